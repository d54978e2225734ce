"""What the pages of the section Operations read: each read checks the role itself, and nothing is cached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median

import pyarrow as pa
import streamlit as st

from pipeline import settings, steps
from pipeline.clock import SystemClock
from pipeline.logs import run_log
from pipeline.reverse_etl.plan import Plan, Scope
from pipeline.runner import Order
from pipeline.runs import by_hand
from pipeline.runs.by_hand import SyncByHand
from pipeline.runs.holders import Holders
from pipeline.runs.records import AuditRow, Delivery, Event, RejectedRow, Request, Run, Step, StepState, SyncRun, WorkerRow
from pipeline.runs.requests import SYNC
from pipeline.runs.store import RunStore
from pipeline.runs.trail import Acts
from streamlit_app import actions, auth, data, messages
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role

EVENTS_A_READ = 1000
LAST_RUNS = 100
LIKE_RUNS = 5
ACTS_SHOWN = 200
# Acts whose values name no customer and no country.
ON_THE_CHAIN = {
    *("sign_in", "sign_in_refused", "sign_out", "run_now", "run_with", "retry_from_failure", "cancel", "rollback"),
    *("backup", "restore", "schedule_add", "schedule_change", "schedule_remove"),
}
SYNC_RUNS_SHOWN = 20


@dataclass(frozen=True)
class Now:
    """What is going on at one moment; `obstacle` is why no run can be asked for."""

    at: datetime
    running: Run | None
    sync_by_hand: SyncByHand | None
    latest: Run | None
    waiting: Request | None
    worker: WorkerRow | None
    obstacle: Outcome | None


def now() -> Now:
    """What is going on at this moment."""
    store = _store()
    at = SystemClock().now()
    alive = [worker for worker in store.workers() if worker.is_alive(at)]
    return Now(
        at=at,
        running=actions.running(store),
        sync_by_hand=by_hand.going_on(store, at),
        latest=store.latest(),
        waiting=store.next_request(),
        worker=alive[0] if alive else None,
        obstacle=actions.why_no_run(store, at),
    )


@dataclass(frozen=True)
class PlannedStep:
    """What a step would do, and how long it took lately; `seconds` is None where nobody knows."""

    name: str
    act: str
    seconds: float | None


def plan(first_step: str, *, only_step: bool, full_refresh: bool) -> list[PlannedStep]:
    """What a run with these parameters would do, and how long each step took in the last runs that did it alike."""
    from pipeline.planned_acts import planned_act

    order = Order("request", "", first_step=first_step, only_step=only_step, full_refresh=full_refresh)
    in_force, last = _settings(), _store().runs(LAST_RUNS)
    return [
        PlannedStep(step, planned_act(step, in_force, messages.language()), _lately(step, last, full_refresh=full_refresh))
        for step in order.steps
    ]


def asks_for_money() -> bool:
    """Whether the engine that transforms is paid by what it scans."""
    return _settings().warehouse != "duckdb"


def planned_cost() -> str:
    """What a full refresh would scan and cost; asks the engine."""
    return steps.planned_cost(_settings())


def durations() -> pa.Table:
    """How long the last runs of all five steps took, oldest first: run, date, value in minutes, outcome."""
    ended = [
        {
            "run": run.id,
            "date": run.started_at,
            "value": (run.ended_at - run.started_at).total_seconds() / 60,
            "outcome": str(run.state),
        }
        for run in reversed(_store().runs(LAST_RUNS))
        if run.ended_at is not None and run.first_step == steps.STEPS[0] and not run.only_step
    ]
    kinds = [("run", pa.int64()), ("date", pa.timestamp("ms", "UTC")), ("value", pa.float64()), ("outcome", pa.string())]
    return pa.Table.from_pylist(ended, schema=pa.schema(kinds))


def runs(limit: int) -> list[Run]:
    """The last runs, newest first."""
    return _store().runs(limit)


def run(run_id: int) -> Run:
    """One run; raises PermanentError where there is none of that number."""
    return _store().run(run_id)


def newest_step(name: str) -> tuple[Run, Step] | None:
    """The newest step of that name that succeeded, with its run, among the last runs."""
    for run in _store().runs(LAST_RUNS):
        for step in run.steps:
            if step.name == name and step.state is StepState.SUCCEEDED:
                return run, step
    return None


def why_no_cancel(run: Run) -> Outcome | None:
    """Why this run cannot be cancelled now; None where it can."""
    auth.require(Role.ADMIN)
    return actions.why_no_cancel(run)


def why_no_retry(run: Run) -> Outcome | None:
    """Why this run cannot be taken up again now; None where it can."""
    store = _store()
    return actions.why_no_retry(run, store.latest()) or actions.why_no_run(store, SystemClock().now())


def events(run_id: int) -> list[Event]:
    """The whole live log of a run, oldest line first."""
    store = _store()
    found: list[Event] = []
    while more := store.events(run_id, after=found[-1].id if found else 0, limit=EVENTS_A_READ):
        found += more
    return found


def log_text(run_id: int) -> str:
    """The log file of a run, tracebacks included; its live log where the file is gone."""
    try:
        return run_log(_settings().home, run_id).read_text(encoding="utf-8")
    except FileNotFoundError:
        lines = (f"{event.at:%Y-%m-%d %H:%M:%S}Z {event.level.upper():7} {event.step}: {event.text}" for event in events(run_id))
        return "\n".join(lines) + "\n"


def undelivered() -> list[Delivery]:
    """What is to be delivered and was not yet, oldest first."""
    return _store().waiting()


@dataclass(frozen=True)
class ListedSync:
    """One sync as its page shows it; `is_planned_here` is false where Census plans it, and keeps its source to itself."""

    name: str
    last: SyncRun | None
    next_run_at: datetime | None
    is_planned_here: bool
    description: str = ""
    owner: str = ""
    source: str = ""
    destination: str = ""
    mode: str = ""
    key: str = ""


def syncs() -> list[ListedSync]:
    """Every sync of the settings in force, with what it did last and when the chain runs next."""
    from pipeline.activation import census_syncs, declared

    in_force, store = _settings(), _store()
    now = SystemClock().now()
    to_come = (worker.next_run_at for worker in store.workers() if worker.is_alive(now))
    next_run_at = min((moment for moment in to_come if moment is not None), default=None)
    if in_force.reverse_etl == "census":
        return [
            ListedSync(sync.name, _last_sync_run(store, sync.name), next_run_at, is_planned_here=False)
            for sync in census_syncs(in_force)
        ]
    return [
        ListedSync(
            name=sync.name,
            last=_last_sync_run(store, sync.name),
            next_run_at=next_run_at,
            is_planned_here=True,
            description=sync.description,
            owner=sync.owner,
            source=sync.source,
            destination=f"{sync.destination.kind} {sync.destination.name}",
            mode=sync.mode,
            key=sync.key,
        )
        for sync in declared(in_force)
    ]


def sync_plan(name: str, *, only: str = "", afresh: bool = False) -> Plan:
    """What a sync would do now: all that changed, one row, or every row; raises what hinders it."""
    from pipeline.syncs_by_hand import ByHand

    auth.require_everywhere(Role.ADMIN)
    in_force = _settings()
    version = data.current_version()
    hand = ByHand(in_force, _store(), SystemClock(), version, Holders.of(in_force.home))
    [plan] = hand.plans(name, Scope(only, afresh))
    return plan


def sync_runs(name: str, limit: int = SYNC_RUNS_SHOWN) -> list[SyncRun]:
    """What a sync did the last times, newest first."""
    return _store().sync_runs(name, limit)


def rejected_rows(sync_run_id: int, *, key: str = "", limit: int = 200) -> tuple[list[RejectedRow], int]:
    """The rows that were not taken in one of those times, with how many there are; `key` is how their keys begin."""
    auth.require_everywhere(Role.ADMIN)
    return _store().rejected_rows(sync_run_id, key=key, limit=limit)


def newest_sync_request(name: str) -> Request | None:
    """What was asked for last by hand for this sync, among the last requests."""
    asked = (request for request in _store().requests(LAST_RUNS) if request.kind == SYNC and request.parameters["sync"] == name)
    return next(asked, None)


def _last_sync_run(store: RunStore, name: str) -> SyncRun | None:
    return next(iter(store.sync_runs(name, 1)), None)


def acts(asked: Acts, limit: int = ACTS_SHOWN) -> list[AuditRow]:
    """The last acts of those asked for, newest first.

    Who is confined to countries reads what was noted down of their own acts and of those on the chain; of others, such as rules,
    reports, files and views, that they were done.
    """
    found, user = _store().acts(asked, limit=limit), auth.current_user()
    if user.countries is None:
        return found
    return [row if row.who == user.name or row.action in ON_THE_CHAIN else replace(row, before=None, after=None) for row in found]


def actors() -> list[str]:
    """Everybody who has a row in the audit log."""
    return _store().actors()


def kinds_of_acts() -> list[str]:
    """Every kind of act in the audit log."""
    return _store().kinds_of_acts()


def viewer_zone() -> str:
    """The time zone of the reader's browser; UTC where it does not tell."""
    auth.require(Role.ADMIN)
    return st.context.timezone or "UTC"


def _lately(step: str, last: list[Run], *, full_refresh: bool) -> float | None:
    """The median of the last times that a step took, of builds of the same kind where that makes a difference."""
    took = [
        (done.ended_at - done.started_at).total_seconds()
        for run in last
        for done in run.steps
        if done.name == step
        and done.state is StepState.SUCCEEDED
        and done.ended_at is not None
        and done.started_at is not None
        and (step != "transform" or bool(done.detail.get("full_refresh")) is full_refresh)
    ]
    return median(took[:LIKE_RUNS]) if took else None


def _store() -> RunStore:
    auth.require(Role.ADMIN)
    return data.run_store()


def _settings() -> settings.Settings:
    auth.require(Role.ADMIN)
    return settings.load()
