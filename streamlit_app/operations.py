"""What the pages of the section Operations read: each read checks the role itself, and nothing is cached."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from pipeline import settings
from pipeline.clock import SystemClock
from pipeline.logs import run_log
from pipeline.runs.records import AuditRow, Delivery, Event, Request, Run, Step, StepState, WorkerRow
from pipeline.runs.sign_ins import Acts
from pipeline.runs.store import RunStore
from pipeline.warehouse.publication import Publications, Version
from streamlit_app import actions, auth, data
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role

EVENTS_A_READ = 1000
LAST_RUNS = 100
ACTS_SHOWN = 200


@dataclass(frozen=True)
class Now:
    """What is going on at one moment; `obstacle` is why no run can be asked for."""

    at: datetime
    running: Run | None
    latest: Run | None
    waiting: Request | None
    worker: WorkerRow | None
    obstacle: Outcome | None


def now() -> Now:
    """What is going on at this moment."""
    store = _store()
    at = SystemClock().now()
    alive = [worker for worker in store.workers() if at - worker.beat_at < actions.WORKER_SILENT]
    return Now(
        at=at,
        running=actions.running(store),
        latest=store.latest(),
        waiting=store.next_request(),
        worker=alive[0] if alive else None,
        obstacle=actions.why_no_run(store, at),
    )


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


def versions() -> list[Version]:
    """The kept versions, newest first."""
    in_force = _settings()
    return Publications(in_force.home, keep=in_force.versions_kept).versions()


def undelivered() -> list[Delivery]:
    """What is to be delivered and was not yet, oldest first."""
    return _store().waiting()


def acts(asked: Acts, limit: int = ACTS_SHOWN) -> list[AuditRow]:
    """The last acts of those asked for, newest first."""
    return _store().acts(asked, limit=limit)


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


def _store() -> RunStore:
    auth.require(Role.ADMIN)
    return data.run_store()


def _settings() -> settings.Settings:
    auth.require(Role.ADMIN)
    return settings.load()
