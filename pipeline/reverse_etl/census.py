"""Census carries out the syncs: trigger, wait for the end, tell what came of it; and cancel what nobody waits for any more."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, InterruptedRunError, NeopulseError, PermanentError
from pipeline.http import LostAnswerError
from pipeline.reverse_etl.base import REJECTS_KEPT, NoNotes, Notes, Reject, SyncResult, joined
from pipeline.reverse_etl.census_api import RETIRED, CensusAPI, CensusRun

SERVICE = "Census"
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0
PAUSE_GROWTH = 1.5
LOOK_EVERY_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CensusSync:
    """A sync that Census knows under `id`; `name` is what the run's record calls it."""

    name: str
    id: str


class Memory(Protocol):
    """What was triggered for this run of the chain, so that a second attempt at the step does not trigger it again."""

    def recall(self, sync: CensusSync) -> str | None:
        """The run at Census that an earlier attempt triggered."""

    def note(self, sync: CensusSync, run: str) -> None:
        """Remember a run at Census."""


class Census:
    """Runs syncs at Census, one after the other, each to its end or to `deadline_seconds`.

    `look` raises InterruptedRunError once the run is to end: what was triggered and goes on is then cancelled through
    `cancelling`, an API that does not look. `guard` raises it too and is asked right before a trigger. `progress` is told how
    far the sync is, from 0 to 1 or None.
    """

    def __init__(
        self,
        syncs: Sequence[CensusSync],
        api: CensusAPI,
        *,
        cancelling: CensusAPI,
        memory: Memory,
        clock: Clock,
        look: Callable[[], None] = lambda: None,
        guard: Callable[[], None] = lambda: None,
        progress: Callable[[float | None, str], None] = lambda _fraction, _text: None,
        deadline_seconds: float = 3600,
        full: bool = False,
        notes: Notes | None = None,
    ) -> None:
        self._syncs = syncs
        self._api = api
        self._cancelling = cancelling
        self._memory = memory
        self._clock = clock
        self._look = look
        self._guard = guard
        self._progress = progress
        self._deadline_seconds = deadline_seconds
        self._full = full
        self._notes = notes or NoNotes()

    def run(self) -> tuple[SyncResult, ...]:
        """Carry out every sync. Where some fail the others are carried out all the same; then an error names them."""
        results: list[SyncResult] = []
        failures: list[NeopulseError] = []
        for sync in self._syncs:
            try:
                results.append(self._carry_out(sync))
                self._notes.done(results[-1])
            except InterruptedRunError:
                raise
            except NeopulseError as error:
                named = _named(sync, error)
                _log.error("%s", named)
                self._notes.failed(sync.name, named)
                failures.append(named)
        if failures:
            raise joined(failures, [result.sync for result in results])
        return tuple(results)

    def _carry_out(self, sync: CensusSync) -> SyncResult:
        until = self._clock.passed() + self._deadline_seconds
        run = self._recalled(sync)
        while run is None or run.status == "skipped":
            if run is not None:
                self._wait_for_the_one_going_on(sync, until)
            run = self._triggered(sync, until)
        return self._result(sync, run)

    def _recalled(self, sync: CensusSync) -> CensusRun | None:
        """How the run of an earlier attempt stands or ended; None where there is none that did the work or still may."""
        known = self._memory.recall(sync)
        if known is None:
            return None
        try:
            run = self._api.run(known)
        except ConfigurationError:  # Census does not know it any more
            return None
        if not run.is_over:
            return self._followed(sync, known, self._clock.passed() + self._deadline_seconds)
        return run if run.status == "completed" and not run.was_cancelled else None

    def _triggered(self, sync: CensusSync, until: float) -> CensusRun:
        """A run of our own, to its end."""
        run = self._trigger(sync, until)
        self._memory.note(sync, run)
        return self._followed(sync, run, until)

    def _trigger(self, sync: CensusSync, until: float) -> str:
        """Start a run, once: after a lost answer it is looked for among the runs before it is asked for again."""
        before = {run.id for run in self._api.newest_runs(sync.id)}
        while True:
            self._look()
            self._guard()
            try:
                return self._api.trigger(sync.id, full=self._full)
            except LostAnswerError as error:
                if found := self._found_after(error, sync, before):
                    return found
                if self._clock.passed() >= until:
                    raise

    def _found_after(self, error: LostAnswerError, sync: CensusSync, before: set[str]) -> str | None:
        """The run that was started after all; it may need a moment to be listed."""
        _log.warning("%s: %s; looking for the run before it is triggered again", sync.name, error.what)
        for _ in range(3):
            self._wait(FIRST_PAUSE_SECONDS)
            started = [run.id for run in self._api.newest_runs(sync.id) if run.id not in before and run.status != "skipped"]
            if started:
                return started[-1]
        return None

    def _followed(self, sync: CensusSync, run_id: str, until: float) -> CensusRun:
        """The run once it is over; cancelled where the run of the chain is to end before."""
        try:
            return self._over(sync, run_id, until)
        except InterruptedRunError:
            self._cancel(sync, run_id)
            raise

    def _over(self, sync: CensusSync, run_id: str, until: float) -> CensusRun:
        pause = FIRST_PAUSE_SECONDS
        while True:
            run = self._api.run(run_id)
            if run.is_over:
                return run
            self._tell(sync, run)
            if self._clock.passed() + pause > until:
                raise self._too_late(sync, run)
            self._wait(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)

    def _wait_for_the_one_going_on(self, sync: CensusSync, until: float) -> None:
        """Ours was skipped because another run goes on; that one may have begun before the data was published."""
        going_on = next((run for run in self._api.newest_runs(sync.id) if not run.is_over), None)
        _log.info("%s: Census skipped the run because another one goes on", sync.name)
        if going_on is not None:
            self._over(sync, going_on.id, until)
        if self._clock.passed() >= until:
            raise _failed(f"Census skips every run of {sync.name}", self._link(sync))
        self._wait(FIRST_PAUSE_SECONDS)

    def _wait(self, seconds: float) -> None:
        while seconds > 0:
            self._look()
            self._clock.sleep(min(seconds, LOOK_EVERY_SECONDS))
            seconds -= LOOK_EVERY_SECONDS

    def _cancel(self, sync: CensusSync, run_id: str) -> None:
        try:
            self._cancelling.cancel(run_id)
            _log.info("%s: run %s was cancelled at Census", sync.name, run_id)
        except NeopulseError as error:
            _log.warning("%s: run %s goes on at Census, it could not be cancelled: %s", sync.name, run_id, error.what)

    def _tell(self, sync: CensusSync, run: CensusRun) -> None:
        total, done = run.count("source_record_count"), run.count("records_processed")
        self._progress(min(done / total, 1.0) if total else None, f"{sync.name}: Census says {run.status}")

    def _result(self, sync: CensusSync, run: CensusRun) -> SyncResult:
        if run.was_cancelled:
            raise _failed(f"The sync {sync.name} was cancelled at Census", self._link(sync))
        if run.status != "completed":
            raise _failed(f"The sync {sync.name} failed at Census{self._reasons(run)}", self._link(sync))
        updated, rejected, invalid = (run.count(f"records_{name}") for name in ("updated", "failed", "invalid"))
        rejects, notes = self._rejects(run, rejected + invalid)
        if rejected:
            notes = (f"partial: the destination refused {rejected:,} records", *notes)
        return SyncResult(
            sync=sync.name,
            service=f"{SERVICE} API {self._api.version}",
            updated=updated,
            unchanged=max(run.count("source_record_count") - updated - rejected - invalid, 0),
            deleted=run.count("source_record_deletes"),
            rejected=rejected,
            invalid=invalid,
            rejects=rejects,
            notes=(*notes, RETIRED) if self._api.version == "v1" else notes,
            link=self._link(sync),
        )

    def _rejects(self, run: CensusRun, expected: int) -> tuple[tuple[Reject, ...], tuple[str, ...]]:
        """The refused records with their reasons, and a note where Census does not tell them."""
        if not expected:
            return (), ()
        rejects: list[Reject] = []
        try:
            for record in itertools.islice(self._api.refused_records(run.id), REJECTS_KEPT):
                reason = str(record.get("status_message") or record.get("status") or "no reason given")
                rejects.append(Reject(str(record.get("identifier") or ""), self._api.quote(reason)))
        except InterruptedRunError:
            raise
        except NeopulseError as error:
            return tuple(rejects), (f"the refused records could not be fetched: {error.what}",)
        return tuple(rejects), ()

    def _too_late(self, sync: CensusSync, run: CensusRun) -> PermanentError:
        unknown = "" if run.is_known else ", a status that means nothing to neopulse"
        return _failed(
            f"The sync {sync.name} did not end within {self._deadline_seconds:,.0f} s: Census still says {run.status}{unknown}",
            self._link(sync),
        )

    def _reasons(self, run: CensusRun) -> str:
        told = [str(run.told[name]) for name in ("error_code", "error_message", "error_detail") if run.told.get(name)]
        return ": " + self._api.quote(", ".join(told)) if told else ""

    def _link(self, sync: CensusSync) -> str:
        return f"{self._api.address}/syncs/{sync.id}/sync-history"


def _named(sync: CensusSync, error: NeopulseError) -> NeopulseError:
    """The error with the name of the sync; what Census itself refuses does not have it."""
    if sync.name in error.what:
        return error
    return type(error)(f"{sync.name}: {error.what}", where=error.where, safe=error.safe, next=error.next)


def _failed(what: str, link: str) -> PermanentError:
    return PermanentError(
        what,
        where=link,
        safe="The new version is published; the destination has what Census brought there before",
        next="look at the run at Census, then neopulse run --from activate",
    )
