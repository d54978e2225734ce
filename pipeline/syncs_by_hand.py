"""One sync by a person's hand: its plan shown, and that very plan carried out, outside of a run and never beside one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from pipeline.activation import Activation, declared
from pipeline.answers import columns
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, InterruptedRunError
from pipeline.reverse_etl.base import SyncResult
from pipeline.reverse_etl.embedded import choose
from pipeline.reverse_etl.plan import ACTS, Plan
from pipeline.runs.holders import Holders, new_holder
from pipeline.runs.keeper import LeaseKeeper
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Version


def plans(settings: Settings, store: RunStore, version: Version | None, clock: Clock, name: str | None) -> tuple[Plan, ...]:
    """What a run would do now, for one sync or for all of them; nothing is changed."""
    activation = _activation(settings, store, version, clock)
    syncs = declared(settings)
    return activation.embedded((choose(syncs, name),) if name else syncs).plans()


def apply(
    settings: Settings,
    store: RunStore,
    version: Version | None,
    clock: Clock,
    *,
    name: str,
    digest: str,
    who: str,
    holders: Holders,
    is_to_end: Callable[[], bool],
) -> SyncResult:
    """Carry out the plan of that digest, past the guards that it tripped.

    Raises DataError where the plan is another one by now, LeaseHeldError where a run is going on.
    """
    store.reap(holders.is_dead)
    holder = new_holder()
    with holders.alive(holder), LeaseKeeper(store, holder) as keeper:

        def look() -> None:
            if is_to_end() or keeper.is_lost:
                raise InterruptedRunError(
                    "The sync was stopped",
                    where=f"syncs.yml: {name}",
                    safe="What the destination took is noted down",
                    next=f"neopulse syncs {name}",
                )

        def guard() -> None:
            look()
            store.assert_held(keeper.lease)

        activation = _activation(settings, store, version, clock, look=look, guard=guard)
        [result] = activation.embedded((choose(declared(settings), name),)).run(approved=digest)
    store.audit(who, "apply sync plan", name, before={"digest": digest}, after=dict(result.to_json()))
    return result


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
    lines.append("  nothing to do" if plan.is_idle else f"  neopulse syncs {sync.name} --apply {plan.digest}")
    return "\n".join(lines)


def _activation(
    settings: Settings,
    store: RunStore,
    version: Version | None,
    clock: Clock,
    *,
    look: Callable[[], None] = lambda: None,
    guard: Callable[[], None] = lambda: None,
) -> Activation:
    if settings.reverse_etl != "embedded":
        raise ConfigurationError(
            "Census carries out the syncs and keeps their plans to itself",
            where="NEOPULSE_REVERSE_ETL",
            next="look at the syncs at Census, or set NEOPULSE_REVERSE_ETL=embedded",
        )
    if version is None:
        raise ConfigurationError(
            "Nothing has been published yet, so there is nothing to send", where=str(settings.home), next="neopulse run"
        )
    return Activation(settings=settings, store=store, clock=clock, version=version, look=look, guard=guard)
