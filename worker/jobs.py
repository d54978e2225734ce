"""What the worker does when it is time: close what the dead left, ask for due runs, serve requests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from pipeline.errors import NeopulseError, TransientError
from pipeline.runner import Order
from pipeline.runs.leases import LeaseHeldError
from pipeline.runs.records import Request, Run, RunState
from pipeline.runs.store import RunStore

DAILY = "daily"
FIRST_START = "first start"
RUNS_KILLED_IN_A_ROW = 3

_log = logging.getLogger(__name__)


class Executes(Protocol):
    """Who does a run: pipeline.runner.Runner."""

    def execute(self, order: Order, *, cancelled: Callable[[], bool]) -> Run:
        """Do one run and return how it ended."""


def last_slot(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The latest moment up to `now` at which the zone's clocks showed that time; the first where they showed it twice."""
    today = now.astimezone(zone).date()
    slots = (datetime.combine(day, at, zone).astimezone(UTC) for day in (today, today - timedelta(days=1)))
    return next(slot for slot in slots if slot <= now)


def ask_for_slot(store: RunStore, slot: datetime) -> None:
    """Turn a moment of the schedule into a request, unless somebody did before."""
    if store.request_slot(DAILY, slot) is not None:
        _log.info("the daily run of %s is asked for", slot.isoformat())


def catch_up(store: RunStore, slot: datetime) -> None:
    """Ask for the slot that passed while no worker was there; what was due before the first start ever is not missed."""
    if store.has_slots(DAILY):
        ask_for_slot(store, slot)
    else:
        store.skip_slot(DAILY, slot)


def ask_for_first_version(store: RunStore, *, was_published: bool) -> None:
    """Ask for a run where nothing was ever published; not again and again where it kills the worker each time."""
    last = store.runs(RUNS_KILLED_IN_A_ROW)
    kills = len(last) == RUNS_KILLED_IN_A_ROW and all(run.state is RunState.INTERRUPTED for run in last)
    if was_published or kills:
        return
    store.request_run(FIRST_START, trigger="schedule")
    _log.info("nothing has been published yet: a run is asked for")


def reap(store: RunStore, is_dead: Callable[[str], bool]) -> None:
    """Close the runs whose process is gone."""
    for run in store.reap(is_dead):
        _log.warning("run %d was left by a process that is gone; it can be resumed from %s", run.id, run.unfinished_step)


def serve(store: RunStore, runner: Executes, request: Request, *, cancelled: Callable[[], bool]) -> None:
    """Do the run that a request asks for; a request that cannot be served is refused with the reason.

    Raises LeaseHeldError or TransientError where it can be served later: the request then waits.
    """
    try:
        run = runner.execute(order_for(request), cancelled=cancelled)
    except (LeaseHeldError, TransientError):
        raise
    except Exception as error:
        # Left waiting, it would be tried again each second. One that was claimed already stays as its run left it.
        _log.error("request %d is refused: %s", request.id, error, exc_info=None if isinstance(error, NeopulseError) else error)
        store.refuse(request.id, str(error))
    else:
        _log.info("request %d: run %d %s", request.id, run.id, run.state)


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
