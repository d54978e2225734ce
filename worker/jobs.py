"""What the worker does when it is time: close what the dead left, ask for due runs, serve requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from pipeline.errors import NeopulseError, TransientError
from pipeline.runner import Order
from pipeline.runs import calendar
from pipeline.runs.endings import waits_for_a_person
from pipeline.runs.leases import LeaseHeldError
from pipeline.runs.records import Request, Run, RunState, ScheduleKind, ScheduleRow, SlotOutcome
from pipeline.runs.store import RunStore
from pipeline.settings import Settings

DAILY = "daily"
BY_SETTING = "NEOPULSE_DAILY_AT"
FIRST_START = "first start"
RUNS_KILLED_IN_A_ROW = 3

_log = logging.getLogger(__name__)


class Executes(Protocol):
    """Who does a run: pipeline.runner.Runner."""

    def execute(self, order: Order, *, cancelled: Callable[[], bool]) -> Run:
        """Do one run and return how it ended."""


def seed(store: RunStore, settings: Settings) -> None:
    """Give a schedule that never had a row the one that the settings ask for."""
    at = settings.daily_at
    row = ScheduleRow(
        DAILY, ScheduleKind.DAILY, minute=at.minute, hour=at.hour, timezone=settings.bank_timezone, changed_by=BY_SETTING
    )
    if store.seed_schedule(row):
        _log.info("the schedule begins with a row: daily at %s in %s", at.strftime("%H:%M"), row.timezone)


def ask_for_due(store: RunStore, rows: Sequence[ScheduleRow]) -> None:
    """Turn the moments that are due into requests or skip them with the reason, row by row."""
    for row in store.due(rows):
        slot = store.serve_slots(row.name)
        if slot is None:
            continue
        if slot.outcome is SlotOutcome.ASKED:
            _log.info("%s: the run of %s is asked for", row.name, slot.due_at.isoformat())
        else:
            _log.warning("%s: the run of %s is skipped: %s", row.name, slot.due_at.isoformat(), slot.why_skipped)


def next_run_at(rows: Sequence[ScheduleRow], now: datetime) -> datetime | None:
    """When the schedule runs next; None where no row is on."""
    return min((moment for row in rows for moment in calendar.next_slots(row, now)), default=None)


def ask_for_first_version(store: RunStore, *, was_published: bool) -> None:
    """Ask for a run where nothing was ever published and none is asked for; not again where it kills the worker each time."""
    last = store.runs(RUNS_KILLED_IN_A_ROW)
    kills = len(last) == RUNS_KILLED_IN_A_ROW and all(run.state is RunState.INTERRUPTED for run in last)
    if was_published or kills or store.next_request() is not None:
        return
    store.request_run(FIRST_START, trigger="schedule")
    _log.info("nothing has been published yet: a run is asked for")


def reap(store: RunStore, is_dead: Callable[[str], bool]) -> None:
    """Close the runs whose process is gone."""
    for run in store.reap(is_dead):
        _log.warning("run %d was left by a process that is gone; it can be resumed from %s", run.id, run.unfinished_step)


class Syncs(Protocol):
    """Who carries out one sync: worker.syncs.SyncsOnRequest."""

    def carry_out(self, request: Request, *, is_to_end: Callable[[], bool]) -> str:
        """Do what the request asks for, and say what came of it."""


def take_up(store: RunStore) -> None:
    """Ask for the newest run to be taken up where it was interrupted and its row of the schedule says so."""
    run = store.take_up_interrupted()
    if run is None:
        return
    if waits_for_a_person(run):
        _log.error("run %d was interrupted again and now waits for a person: neopulse run --from %s", run.id, run.unfinished_step)
    else:
        _log.info("run %d was interrupted; it is taken up from %s", run.id, run.unfinished_step)


def serve(store: RunStore, request: Request, carry_out: Callable[[], str]) -> None:
    """Do what a request asks for; one that cannot be served is refused with the reason. `carry_out` says what came of it.

    Raises LeaseHeldError or TransientError where it can be served later: the request then waits, unless it was claimed.
    """
    try:
        _log.info("request %d: %s", request.id, carry_out())
    except (LeaseHeldError, TransientError):
        raise
    except Exception as error:
        # Left waiting, it would be tried again each second. One that was claimed already stays as its run left it.
        _log.error("request %d is refused: %s", request.id, error, exc_info=None if isinstance(error, NeopulseError) else error)
        store.refuse(request.id, str(error))


def order_for(request: Request) -> Order:
    """The order that a request stands for."""
    asked = request.parameters
    return Order(
        trigger="resume" if asked["resumes"] is not None else request.trigger,
        requested_by=request.requested_by,
        first_step=asked["first_step"],
        only_step=asked["only_step"],
        full_refresh=asked["full_refresh"],
        resumes=asked["resumes"],
        request_id=request.id,
        approves=asked.get("approves"),
    )
