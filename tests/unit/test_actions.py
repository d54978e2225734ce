"""What a press leaves in the run store, and what it answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hand_made import facts

from pipeline.clock import FixedClock, SystemClock
from pipeline.errors import ConfigurationError
from pipeline.runs.records import Lease, Run, RunState, StepState
from pipeline.runs.sightings import LOOK_ON_SECONDS, Sightings
from pipeline.runs.store import RunStore
from pipeline.warehouse.publication import Candidate, Publications
from streamlit_app import actions, auth, data
from streamlit_app.auth import Role, RoleError, User

pytestmark = pytest.mark.usefixtures("on_each_engine")

STEPS = ("extract", "transform", "sheet", "activate", "notify")


def address(home: Path) -> str:
    return f"sqlite:///{home / 'run_store.db'}"


@pytest.fixture
def idle_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A new run store, with an admin at the screen."""
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    opened = RunStore.open(address(tmp_path), clock=SystemClock())
    monkeypatch.setattr(data, "run_store", lambda: opened)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    return opened


@pytest.fixture
def store(idle_store: RunStore) -> RunStore:
    """The same with a living worker."""
    idle_store.beat("worker-1", started_at=datetime.now(UTC), doing="waiting")
    return idle_store


def start(store: RunStore) -> tuple[Lease, Run]:
    lease = store.take_lease("worker-1", seconds=60)
    plan = [(step, StepState.PENDING) for step in STEPS]
    return lease, store.start_run(lease, trigger="cli", requested_by="ada", plan=plan, first_step="extract")


def fail_at(store: RunStore, step: str) -> Run:
    lease, run = start(store)
    for name in STEPS[: STEPS.index(step)]:
        store.finish_step(lease, run.id, name, state=StepState.SUCCEEDED)
    store.finish_step(lease, run.id, step, state=StepState.FAILED, error="a column is missing")
    failed = store.finish_run(lease, run.id, state=RunState.FAILED, error_kind="data", error="a column is missing")
    store.release(lease)
    return failed


def publish(home: Path, count: int) -> Publications:
    publications = Publications(home, keep=5)
    for number in range(1, count + 1):
        folder = home / "candidate"
        folder.mkdir()
        (folder / "published.duckdb").write_bytes(b"")
        candidate = Candidate(folder=folder, facts=facts(number), lease_token=number, started_at=datetime.now(UTC))
        publications.publish(candidate, clock=SystemClock(), guard=lambda: None)
    return publications


def test_a_press_writes_one_request_and_one_audit_row_and_runs_nothing(store: RunStore) -> None:
    outcome = actions.run_now()

    assert (outcome.accepted, outcome.answer) == (True, "accepted")
    (request,) = store.requests()
    assert (request.requested_by, request.parameters["first_step"], request.parameters["resumes"]) == ("ada", "extract", None)
    (row,) = store.acts()
    assert (row.who, row.action, row.after["request"]) == ("ada", "run_now", request.id)
    assert store.runs() == []


def test_a_second_press_is_told_that_a_request_is_waiting(store: RunStore) -> None:
    actions.run_now()
    outcome = actions.run_now()

    assert (outcome.accepted, outcome.answer, outcome.values) == (False, "waiting", {"who": "ada"})
    assert len(store.requests()) == 1
    assert len(store.acts()) == 1


def test_fifty_presses_at_once_leave_one_request(store: RunStore) -> None:
    with ThreadPoolExecutor(50) as pressing:
        outcomes = [future.result() for future in [pressing.submit(actions.run_now) for _ in range(50)]]

    assert len(store.requests(100)) == 1
    assert any(outcome.accepted for outcome in outcomes)
    assert {outcome.answer for outcome in outcomes} <= {"accepted", "waiting"}


def test_no_run_can_be_asked_for_while_one_is_going_on(store: RunStore) -> None:
    _, run = start(store)
    outcome = actions.run_now()

    assert (outcome.answer, outcome.values) == ("running", {"run": run.id})
    assert store.requests() == []


def test_a_run_whose_lease_ran_out_does_not_block_the_next(store: RunStore, tmp_path: Path) -> None:
    long_ago = FixedClock(datetime.now(UTC) - timedelta(hours=1))
    start(RunStore.open(address(tmp_path), clock=long_ago))
    clock = FixedClock(datetime.now(UTC))
    store._sightings = Sightings(clock)

    assert actions.running(store) is not None  # so it looks after this machine's clock was set on, too
    clock.sleep(LOOK_ON_SECONDS)
    assert actions.running(store) is None
    assert actions.run_now().accepted


def test_a_press_is_refused_where_no_worker_was_ever_started(idle_store: RunStore) -> None:
    assert actions.run_now().answer == "no_worker"
    assert idle_store.requests() == []


def test_a_press_is_refused_where_every_worker_fell_silent(idle_store: RunStore, tmp_path: Path) -> None:
    then = datetime.now(UTC) - timedelta(hours=1)
    RunStore.open(address(tmp_path), clock=FixedClock(then)).beat("worker-1", started_at=then, doing="waiting")

    assert actions.run_now().answer == "no_worker"
    assert idle_store.requests() == []


@pytest.mark.parametrize("step", STEPS)
def test_a_retry_begins_at_the_step_that_failed(store: RunStore, step: str) -> None:
    failed = fail_at(store, step)
    outcome = actions.retry_from_failure(failed.id)

    assert outcome.accepted
    (request,) = store.requests()
    assert (request.parameters["first_step"], request.parameters["resumes"]) == (step, failed.id)
    (row,) = store.acts()
    assert (row.who, row.action, row.what) == ("ada", "retry_from_failure", f"run {failed.id}")


def test_a_run_that_did_not_fail_is_not_retried(store: RunStore) -> None:
    lease, run = start(store)
    for step in STEPS:
        store.finish_step(lease, run.id, step, state=StepState.SUCCEEDED)
    store.finish_run(lease, run.id, state=RunState.SUCCEEDED)
    store.release(lease)

    assert actions.retry_from_failure(run.id).answer == "not_failed"
    assert store.requests() == []


def test_only_the_newest_run_is_retried(store: RunStore) -> None:
    older, newer = fail_at(store, "extract"), fail_at(store, "sheet")
    outcome = actions.retry_from_failure(older.id)

    assert (outcome.answer, outcome.values) == ("overtaken", {"run": older.id, "latest": newer.id})
    assert store.requests() == []


def test_a_rollback_moves_every_reader_and_says_from_where_to_where(store: RunStore, tmp_path: Path) -> None:
    publications = publish(tmp_path, 3)
    outcome = actions.rollback("v0001")

    assert (outcome.accepted, outcome.values) == (True, {"version": "v0001"})
    current = publications.current()
    assert current is not None
    assert current.name == "v0001"
    (row,) = store.acts()
    assert (row.who, row.action, row.before, row.after) == ("ada", "rollback", "v0003", "v0001")


def test_a_rollback_to_what_is_current_or_gone_changes_nothing(store: RunStore, tmp_path: Path) -> None:
    publish(tmp_path, 2)

    assert actions.rollback("v0002").answer == "already_current"
    with pytest.raises(ConfigurationError, match="There is no version v0009"):
        actions.rollback("v0009")
    assert store.acts() == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER])
def test_no_one_below_admin_writes_anything(store: RunStore, tmp_path: Path, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, 2)
    failed = fail_at(store, "sheet")
    monkeypatch.setattr(auth, "current_user", lambda: User("vera", role))

    for act in (actions.run_now, lambda: actions.retry_from_failure(failed.id), lambda: actions.rollback("v0001")):
        with pytest.raises(RoleError):
            act()
    assert store.requests() == []
    assert store.acts() == []
