"""One sync by a person's hand: its plan shown, and that very plan carried out, outside of a run and never beside one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.activation import Activation, census_syncs, declared
from pipeline.answers import columns
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, InterruptedRunError, PermanentError
from pipeline.reverse_etl.base import SyncResult
from pipeline.reverse_etl.census import CensusSync
from pipeline.reverse_etl.embedded import choose
from pipeline.reverse_etl.plan import ACTS, ALL, Plan, Scope
from pipeline.runs.holders import Holders
from pipeline.runs.keeper import holding
from pipeline.runs.leases import lost
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Version


@dataclass(frozen=True)
class Press:
    """What somebody asks for: one sync, how much of it, and the digest of the plan that they saw (none at Census)."""

    sync: str
    who: str
    scope: Scope = ALL
    digest: str = ""
    request_id: int | None = None


@dataclass(frozen=True)
class ByHand:
    """The syncs of one published version, for people."""

    settings: Settings
    store: RunStore
    clock: Clock
    version: Version | None
    holders: Holders

    def plans(self, name: str | None = None, scope: Scope = ALL) -> tuple[Plan, ...]:
        """What a run would do now, for one sync or for all of them; nothing is changed.

        Raises ConfigurationError where Census carries out the syncs: it keeps its plans to itself.
        """
        if self.settings.reverse_etl == "census":
            raise ConfigurationError(
                "Census carries out the syncs and keeps their plans to itself",
                where="NEOPULSE_REVERSE_ETL",
                next="look at the syncs at Census, or set NEOPULSE_REVERSE_ETL=embedded",
            )
        syncs = declared(self.settings)
        return self._activation("", scope).embedded((choose(syncs, name),) if name else syncs).plans()

    def apply(self, press: Press, *, is_to_end: Callable[[], bool]) -> SyncResult:
        """Carry out the plan that was seen, past the guards that it tripped; a request is claimed and answered.

        Raises DataError where the plan is another one by now, LeaseHeldError where a run is going on.
        """
        with holding(self.store, self.holders) as keeper:
            self._claim(press)
            limit = self.settings.step_limit("activate")
            until = self.clock.passed() + limit.total_seconds()

            def look() -> None:
                if keeper.is_lost:
                    raise lost(keeper.lease)
                if is_to_end():
                    raise _ended(press.sync, "The sync was stopped")
                if self.clock.passed() >= until:
                    raise _ended(press.sync, f"The sync was ended: it took longer than {limit.total_seconds() / 60:,.0f} minutes")

            def guard() -> None:
                look()
                keeper.assert_held()

            try:
                result = self._carry_out(press, attempt=keeper.lease.holder, look=look, guard=guard)
            except Exception as error:
                self._answer(press, str(error))
                raise
            self._answer(press, outcome(result))
        before = {"digest": press.digest, "only": press.scope.only, "afresh": press.scope.afresh}
        self.store.audit(press.who, "apply sync plan", press.sync, before=before, after=dict(result.to_json()))
        return result

    def _carry_out(self, press: Press, *, attempt: str, look: Callable[[], None], guard: Callable[[], None]) -> SyncResult:
        activation = dataclasses.replace(self._activation(press.who, press.scope), attempt=attempt, look=look, guard=guard)
        if self.settings.reverse_etl != "census":
            syncs = (choose(declared(self.settings), press.sync),)
            return activation.embedded(syncs).run(approved=press.digest)[0]
        if press.scope.only:
            raise ConfigurationError("Census sends no row alone", where="NEOPULSE_REVERSE_ETL", next="test the sync at Census")
        guard()
        return activation.census((_at_census(press.sync, self.settings),), full=press.scope.afresh).run()[0]

    def _claim(self, press: Press) -> None:
        if press.request_id is not None and not self.store.claim(press.request_id):
            raise PermanentError(
                f"Request {press.request_id} was served already", where="the run store", safe="Nothing was sent twice"
            )

    def _answer(self, press: Press, answer: str) -> None:
        if press.request_id is not None:
            self.store.answer(press.request_id, answer)

    def _activation(self, who: str, scope: Scope) -> Activation:
        if self.version is None:
            raise ConfigurationError(
                "Nothing has been published yet, so there is nothing to send", where=str(self.settings.home), next="neopulse run"
            )
        return Activation(settings=self.settings, store=self.store, clock=self.clock, version=self.version, who=who, scope=scope)


def outcome(result: SyncResult) -> str:
    """What a sync did, in one line."""
    return (
        f"{result.sync}: {result.created:,} created, {result.updated:,} updated, {result.unchanged:,} unchanged, "
        f"{result.deleted:,} deleted, {result.rejected:,} rejected, {result.invalid:,} invalid"
    )


def _at_census(name: str, settings: Settings) -> CensusSync:
    for sync in census_syncs(settings):
        if sync.name == name:
            return sync
    raise ConfigurationError(f"There is no sync {name} at Census", where="NEOPULSE_CENSUS_SYNCS", next="neopulse check")


def _ended(sync: str, what: str) -> InterruptedRunError:
    return InterruptedRunError(
        what,
        where=f"syncs.yml: {sync}",
        safe="What the destination took is noted down",
        next=f"neopulse syncs {sync}",
    )


def in_words(plans: Sequence[Plan]) -> str:
    """Each plan: its counts, some keys, what stops it, and how to carry it out."""
    return "\n\n".join(_in_words(plan) for plan in plans)


def as_json(plans: Sequence[Plan]) -> str:
    """The plans for programs."""
    return json.dumps([plan.to_json() for plan in plans], indent=2)


def _in_words(plan: Plan) -> str:
    sync = plan.sync
    lines = [f"{sync.name}: {sync.mode} of {sync.source} to {sync.destination.kind} {sync.destination.name}"]
    lines += [f"  {line}" for line in columns([{act: f"{plan.count(act):,}" for act in ACTS}])]
    lines += [f"  {act}, for example: {', '.join(keys)}" for act, keys in plan.samples.items() if keys]
    lines += [f"  not sent: {reject.key or 'a row without a key'}: {reject.reason}" for reject in plan.rejects[:5]]
    lines += [f"  note: {note}" for note in plan.notes]
    lines += [f"  stopped by a guard: it {reason}" for reason in plan.tripped]
    scope = f" --only {plan.scope.only}" if plan.scope.only else " --afresh" if plan.scope.afresh else ""
    lines.append("  nothing to do" if plan.is_idle else f"  neopulse syncs {sync.name}{scope} --apply {plan.digest}")
    return "\n".join(lines)
