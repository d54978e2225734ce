"""What the pages of the section Operations read is for admins, whatever the navigation shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.runs.records import Run, StepState
from pipeline.runs.store import RunStore
from streamlit_app import auth, data, operations
from streamlit_app.auth import Role, RoleError, User

pytestmark = pytest.mark.usefixtures("on_each_engine")

LINES = 7


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that is going on, in a store that the app reads."""
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=SystemClock())
    monkeypatch.setattr(data, "run_store", lambda: store)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    store.beat("worker-1", started_at=datetime.now(UTC), doing="running")
    plan = [(step, StepState.PENDING) for step in ("extract", "transform")]
    lease = store.take_lease("worker-1", seconds=60)
    started = store.start_run(lease, trigger="cli", requested_by="ada", plan=plan, first_step="extract")
    for number in range(LINES):
        store.add_event(started.id, level="info", step="extract", text=f"line {number}")
    return started


def test_every_read_is_refused_to_whoever_is_no_admin(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User("maria", Role.MANAGER))
    reads: list[Callable[[], object]] = [
        operations.now,
        operations.undelivered,
        lambda: operations.runs(10),
        lambda: operations.run(run.id),
        lambda: operations.why_no_retry(run),
        lambda: operations.newest_step("extract"),
        lambda: operations.events(run.id),
        lambda: operations.log_text(run.id),
        operations.syncs,
        lambda: operations.sync_plan("customer_status"),
        lambda: operations.sync_runs("customer_status"),
        lambda: operations.rejected_rows(1),
        lambda: operations.newest_sync_request("customer_status"),
    ]
    for read in reads:
        with pytest.raises(RoleError):
            read()


def test_the_whole_log_is_read_however_long_it_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "EVENTS_A_READ", 3)
    texts = [event.text for event in operations.events(run.id)]
    assert texts == [f"line {number}" for number in range(LINES)]
    assert operations.log_text(run.id).splitlines()[-1].endswith(f"INFO    extract: line {LINES - 1}")


def test_the_log_file_is_preferred_because_it_has_the_tracebacks(run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"run-{run.id}.log").write_text("Traceback\n", encoding="utf-8")
    assert operations.log_text(run.id) == "Traceback\n"


def test_while_a_run_goes_on_the_worker_is_seen_and_no_other_run_can_be_asked_for(run: Run) -> None:
    now = operations.now()
    assert now.running is not None
    assert now.running.id == run.id
    assert now.worker is not None
    assert now.obstacle is not None
    assert now.obstacle.answer == "running"
