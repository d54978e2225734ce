"""Incidents: something is wrong for a while. Each is told once when it begins and once when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.clock import Clock
from pipeline.errors import PermanentError
from pipeline.notify.event import Notice
from pipeline.runs.records import Run, RunState, StepState
from pipeline.runs.store import RunStore
from pipeline.runs.watching import CLOSED, OPENED, Incident
from pipeline.settings import Settings

FRESHNESS, RUNS = "freshness", "runs"
RUNS_READ = 200
INCIDENTS_READ = 20
LARGEST_SKEW = timedelta(hours=1)  # between two machines; a run that ended later than that was made by a clock that was ahead
WHOLE = ("extract", "transform")  # a run that begins here brings new figures
STEP_BY_STEP = ("notify", "activate", "sheet", "transform")  # by runs of their own, the last one first

Tell = Callable[[Notice, datetime], object]


def watch_freshness(settings: Settings, store: RunStore, clock: Clock, tell: Tell) -> None:
    """Open the incident where no run has succeeded by the agreed hour, close it when one has, and tell either once.

    What was due before the first run ever was not missed. Where nobody agreed on an hour, an open incident ends untold.
    """
    now = clock.now()
    if settings.fresh_by is None:
        if (ended := store.close_incident(FRESHNESS, RUNS)) is not None:
            store.mailed(ended.id, CLOSED)
        return
    due = last_moment(now, settings.fresh_by, settings.zone)
    last = last_success(store)
    if _is_stale(store, last, due, settings.fresh_hours, now):
        store.open_incident(FRESHNESS, RUNS, _opening(due, last, settings.zone))
    else:
        store.close_incident(FRESHNESS, RUNS)
    _tell(store, last, settings.zone, tell)


def last_moment(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The latest moment up to `now` at which the zone's clocks showed that time."""
    today = now.astimezone(zone).date()
    moments = (datetime.combine(day, at, zone).astimezone(UTC) for day in (today, today - timedelta(days=1)))
    return next(moment for moment in moments if moment <= now)


def last_success(store: RunStore) -> Run | None:
    """The newest run that brought new figures to everybody: alone, by taking up one that had begun to, or step by step.

    Of steps that several runs did, also runs that failed later on, it is the run of the transform, once each later step has
    succeeded after it.
    """
    awaited = list(STEP_BY_STEP)
    for run in store.runs(RUNS_READ):
        if run.ended_at is None:
            continue
        if run.state is RunState.SUCCEEDED and not run.only_step and _first_step(store, run) in WHOLE:
            return run
        for step in reversed(run.steps):
            if step.state is StepState.SUCCEEDED and step.name == awaited[0]:
                awaited.pop(0)
            if not awaited:
                return run
    return None


def _first_step(store: RunStore, run: Run) -> str:
    """The step that the work began with, also where others took it up; empty where nobody remembers."""
    try:
        return store.chain(run)[-1].first_step
    except PermanentError:
        return ""


def _is_stale(store: RunStore, last: Run | None, due: datetime, hours: int, now: datetime) -> bool:
    """Whether none ended in time; when one that is still to end really did, nobody knows."""
    began = store.first_run_at()
    if began is None or began > due:
        return False
    return last is None or last.ended_at is None or not due - timedelta(hours=hours) < last.ended_at <= now + LARGEST_SKEW


def _opening(due: datetime, last: Run | None, zone: ZoneInfo) -> Mapping[str, Any]:
    since = _local(last.ended_at, zone) if last is not None and last.ended_at is not None else ""
    return {"at": _local(due, zone), "since": since, "zone": str(zone)}


def _tell(store: RunStore, last: Run | None, zone: ZoneInfo, tell: Tell) -> None:
    """Send what is not sent yet, also of incidents whose process died before it could."""
    for incident in reversed(store.incidents(INCIDENTS_READ, kind=FRESHNESS)):
        if not incident.mailed:
            tell(_notice(incident, OPENED, incident.what), incident.opened_at)
            store.mailed(incident.id, OPENED)
        if incident.closed_at is not None and incident.mailed != CLOSED:
            ended = _local(last.ended_at, zone) if last is not None and last.ended_at is not None else ""
            told = {"run": last.id if last is not None else 0, "at": ended, "since": incident.what["since"], "zone": str(zone)}
            tell(_notice(incident, CLOSED, told), incident.closed_at)
            store.mailed(incident.id, CLOSED)


def _notice(incident: Incident, what: str, values: Mapping[str, Any]) -> Notice:
    kinds = {OPENED: "stale" if values["since"] else "never", CLOSED: "fresh" if values["since"] else "first"}
    return Notice(kinds[what], f"incident-{incident.id}-{what}", values)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="minutes")
