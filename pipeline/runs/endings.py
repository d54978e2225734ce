"""How a run ends other than by its own work: a person cancels it, or it is interrupted and taken up again by itself."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile

from sqlalchemy import Connection, exists, insert, select, update

from pipeline.errors import PermanentError
from pipeline.runs.database import Database
from pipeline.runs.history import load_chain, load_runs
from pipeline.runs.leases import one_at_a_time
from pipeline.runs.records import Lease, Run, RunState
from pipeline.runs.requests import open_request
from pipeline.runs.schema import events, requests, runs
from pipeline.runs.schema_schedule import schedules

RESUMES_IN_A_ROW = 3
RESUME = "resume"
BY_SCHEDULE = ("schedule", RESUME)
LEFT_TO_A_PERSON = (
    f"  note: It was taken up {RESUMES_IN_A_ROW} times in a row by itself and interrupted each time; it now waits for a person"
)


class EndingStore(Database):
    """Wishes to cancel, and resuming."""

    def ask_to_cancel(self, run_id: int, who: str) -> bool:
        """Ask whoever does the run to end it; False where somebody asked before.

        Raises PermanentError where the run is not going on.
        """
        now = self._clock.now()
        with self._write() as connection:
            asked = connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.state == RunState.RUNNING, runs.c.cancel_asked_by.is_(None))
                .values(cancel_asked_by=who, cancel_asked_at=now)
            )
            state = connection.execute(select(runs.c.state).where(runs.c.id == run_id)).scalar()
        if asked.rowcount == 0 and state != RunState.RUNNING:
            raise PermanentError(
                f"Run {run_id} is not going on" + (f": it {state}" if state else ""),
                where="the run store",
                safe="Nothing was changed",
                next="neopulse status",
            )
        return asked.rowcount == 1

    def cancelled_by(self, lease: Lease) -> str | None:
        """Who wants the run of this lease to end, if anybody does."""
        with self._read() as connection:
            return connection.execute(
                select(runs.c.cancel_asked_by).where(runs.c.lease_token == lease.token, runs.c.state == RunState.RUNNING)
            ).scalar()

    def take_up_interrupted(self) -> Run | None:
        """Ask for the newest run to be taken up at its unfinished step, where it was interrupted and its schedule row says so.

        Once, however many workers look; returns the run. After RESUMES_IN_A_ROW nothing is asked for: the run then says that
        it waits for a person. None where there is nothing to do: the run ended in another way, was cancelled, is no
        schedule's, was taken up already, or waits for a person.
        """
        with self._write() as connection:
            one_at_a_time(connection)
            run = next(
                iter(load_runs(connection, connection.execute(select(runs).order_by(runs.c.id.desc()).limit(1)).all())), None
            )
            if run is None or not _is_to_be_taken_up(connection, run):
                return None
            if _resumes_in_a_row(connection, run) >= RESUMES_IN_A_ROW:
                _leave_to_a_person(connection, run, self._clock.now())
            else:
                open_request(connection, self._clock.now(), run.requested_by, "schedule", _parameters(run))
        return self._reread(run.id)

    def _reread(self, run_id: int) -> Run:
        with self._read() as connection:
            return load_runs(connection, connection.execute(select(runs).where(runs.c.id == run_id)).all())[0]


def waits_for_a_person(run: Run) -> bool:
    """Whether the run was interrupted so often that it is not taken up by itself any more."""
    return LEFT_TO_A_PERSON in (run.error or "")


def _is_to_be_taken_up(connection: Connection, run: Run) -> bool:
    if run.state is not RunState.INTERRUPTED or run.cancel_asked_by is not None or run.trigger not in BY_SCHEDULE:
        return False
    says_so = exists().where(
        schedules.c.name == run.requested_by, schedules.c.resumes, schedules.c.enabled, schedules.c.removed_at.is_(None)
    )
    asked = exists().where(requests.c.parameters["resumes"].as_integer() == run.id)
    return bool(connection.execute(select(says_so & ~asked)).scalar()) and not waits_for_a_person(run)


def _resumes_in_a_row(connection: Connection, run: Run) -> int:
    """How often the run has been taken up by itself already, one time after the other."""

    def by_itself(earlier: Run) -> bool:
        return earlier.trigger == RESUME and earlier.resumes is not None and earlier.requested_by == run.requested_by

    return len(list(takewhile(by_itself, load_chain(connection, run))))


def _leave_to_a_person(connection: Connection, run: Run, now: datetime) -> None:
    connection.execute(update(runs).where(runs.c.id == run.id).values(error=f"{run.error or ''}\n{LEFT_TO_A_PERSON}"))
    text = LEFT_TO_A_PERSON.partition(": ")[2]
    step = run.unfinished_step or ""
    connection.execute(insert(events).values(run_id=run.id, at=now, level="error", step=step, text=text))


def _parameters(run: Run) -> dict[str, object]:
    return {
        "first_step": run.unfinished_step or run.first_step,
        "only_step": run.only_step,
        "full_refresh": run.full_refresh,
        "resumes": run.id,
    }
