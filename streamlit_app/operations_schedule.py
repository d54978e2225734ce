"""What the page Schedule reads: the rows, their next moments, and what became of the last ones."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from zoneinfo import available_timezones

from pipeline.clock import SystemClock
from pipeline.runs import calendar
from pipeline.runs.endings import waits_for_a_person
from pipeline.runs.records import Run, ScheduleRow, Slot
from pipeline.runs.store import RunStore
from streamlit_app import auth, data
from streamlit_app.auth import Role

NEXT = 3


def rows() -> list[ScheduleRow]:
    """Every row of the schedule."""
    return _store().schedules()


def next_slots(row: ScheduleRow) -> list[datetime]:
    """The next moments at which a row runs; none where it is off."""
    auth.require(Role.ADMIN)
    return calendar.next_slots(row, SystemClock().now(), NEXT)


def slots(limit: int) -> list[tuple[Slot, Run | None]]:
    """The last moments that were due, newest first, each with the run that served it, as far as it has begun."""
    store = _store()
    return [(slot, None if slot.run_id is None else store.run(slot.run_id)) for slot in store.slots(limit=limit)]


def left_to_a_person() -> Run | None:
    """The newest run, where it was interrupted so often that the worker does not take it up any more."""
    latest = _store().latest()
    return latest if latest is not None and waits_for_a_person(latest) else None


def is_worker_alive() -> bool:
    """Whether any worker is there to follow the schedule."""
    now = SystemClock().now()
    return any(worker.is_alive(now) for worker in _store().workers())


def bank_zone() -> str:
    """The bank's time zone, which a new row begins with."""
    auth.require(Role.ADMIN)
    return data.in_force().bank_timezone


@cache
def zones() -> list[str]:
    """Every time zone that has a name, those of a place before those of an abbreviation."""
    return sorted(available_timezones(), key=lambda name: ("/" not in name, name))


def _store() -> RunStore:
    auth.require(Role.ADMIN)
    return data.run_store()
