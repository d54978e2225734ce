"""A run that a person cancels or that takes too long: it ends, its children with it, and changes nothing more."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from hand_made import facts

from pipeline import cancelling, cli
from pipeline.clock import FixedClock, SystemClock
from pipeline.context import StepContext, StepResult
from pipeline.errors import ConfigurationError, InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.runner import Order, Runner
from pipeline.runs import by_hand
from pipeline.runs.holders import Holders
from pipeline.runs.records import Run, RunState, StepState
from pipeline.runs.store import RunStore
from pipeline.runs.trail import Acts
from pipeline.settings import Settings, load
from pipeline.steps import STEPS
from pipeline.warehouse import dbt_build
from pipeline.warehouse.duckdb import DuckDBWarehouse
from pipeline.warehouse.publication import Candidate, Publications

MONDAY = datetime(2019, 5, 13, 4, 0, tzinfo=UTC)
SCHEDULED = Order(trigger="schedule", requested_by="daily")
SECONDS = 60  # that a test waits for what takes one or two

# Stands in for dbt: a process with a child of its own that both work for ever, and say who they are.
ENDLESS_BUILD = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
place = pathlib.Path(sys.argv[1])
place.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
place.with_suffix(".new").rename(place)
time.sleep(3600)
"""


@dataclass
class Chain:
    """Steps that do what a test tells them, and remember what was called and announced."""

    acts: dict[str, Callable[[StepContext], object]] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)

    def run_step(self, name: str, context: StepContext) -> StepResult:
        self.called.append(name)
        if name in self.acts:
            self.acts[name](context)
        return StepResult(service=name)

    def announce_failure(self, context: StepContext, step: str, _error: NeopulseError) -> None:
        context.guard()  # as the real one does before it writes a mail
        self.announced.append(step)


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


@pytest.fixture
def runner(tmp_path: Path, chain: Chain, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = load(None)
    return Runner(
        settings=settings,
        store=RunStore.open(settings.run_store_url, clock=clock),
        publications=Publications(tmp_path, keep=5),
        clock=clock,
        holders=Holders(tmp_path / "holders"),
        run_step=chain.run_step,
        announce_failure=chain.announce_failure,
        jitter=lambda: 1.0,
    )


def never() -> bool:
    return False


def with_limit(runner: Runner, **limits: int) -> Runner:
    return replace(runner, settings=runner.settings.model_copy(update={f"step_limit_{step}": limits[step] for step in limits}))


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text()


# --- cancelled ----------------------------------------------------------------------------------------------------------


@dataclass
class Background:
    """A run in a thread, as a worker does it, on the machine's own clock."""

    runner: Runner
    ended: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._execute, daemon=True)
        self.thread.start()

    def _execute(self) -> None:
        self.ended.append(self.runner.execute(SCHEDULED, cancelled=never))

    def end(self) -> Run:
        self.thread.join(SECONDS)
        return self.ended[0]


@pytest.fixture
def build(tmp_path: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[int]]]:
    """The step transform begins a build that never ends; gives the numbers of its processes once they are there."""
    place = tmp_path / "processes"
    monkeypatch.setattr(dbt_build, "_command", lambda *_, **__: [sys.executable, "-c", ENDLESS_BUILD, str(place)])

    def transform(context: StepContext) -> None:
        dbt_build.build(
            tmp_path, tmp_path, variables={}, environment={}, watch=lambda _events: context.progress(None, "building")
        )

    def processes() -> list[int]:
        wait_for(place.exists)
        return [int(number) for number in place.read_text().split()]

    chain.acts["transform"] = transform
    yield processes
    for pid in processes():
        assert not is_alive(pid)


def test_neopulse_cancel_ends_the_run_wherever_it_runs_and_its_building_processes_with_it(
    runner: Runner, chain: Chain, build: Callable[[], list[int]]
) -> None:
    clock = SystemClock()
    store = RunStore.open(runner.settings.run_store_url, clock=clock)
    run = Background(replace(runner, clock=clock, store=store))
    processes = build()
    assert [is_alive(pid) for pid in processes] == [True, True]
    result = CliRunner().invoke(cli.main, ["cancel"])  # knows nothing of the thread: it meets the run in the store alone
    assert (result.exit_code, result.output) == (0, "run 1 interrupted\n")
    wait_for(lambda: not any(is_alive(pid) for pid in processes))
    ended = run.end()
    assert (ended.state, ended.error_kind, ended.unfinished_step) == (RunState.INTERRUPTED, "interrupted", "transform")
    assert ended.error is not None
    assert ended.error.startswith(f"The run was cancelled by {ended.cancel_asked_by}\n")
    assert chain.called == ["extract", "transform"]
    assert chain.announced == []
    assert store.lease() is None
    (row,) = store.acts()
    assert (row.action, row.what, row.before, row.after) == ("cancel", "run 1", "running", "asked to end")
    assert store.take_up_interrupted() is None


def candidate(folder: Path, run: Run) -> Candidate:
    version = folder / "candidate"
    version.mkdir()
    (version / "neopulse.duckdb").touch()
    return Candidate(version, facts(run.id), lease_token=run.lease_token, started_at=run.started_at)


def test_a_wish_that_comes_right_before_the_publish_still_stops_it(runner: Runner, chain: Chain, tmp_path: Path) -> None:
    def transform(context: StepContext) -> None:
        ready = candidate(tmp_path, context.run)
        context.store.ask_to_cancel(context.run.id, "ada")
        context.publications.publish(ready, clock=context.clock, guard=context.guard)

    chain.acts["transform"] = transform
    run = runner.execute(SCHEDULED, cancelled=never)
    assert run.error is not None
    assert run.error.startswith("The run was cancelled by ada")
    assert runner.publications.current() is None
    assert runner.publications.versions() == []


def test_a_step_that_is_interrupted_by_its_engine_says_who_cancelled_it(runner: Runner, chain: Chain) -> None:
    def transform(context: StepContext) -> None:
        context.store.ask_to_cancel(context.run.id, "ada")
        wait_for(context.cancelled)
        raise InterruptedRunError("DuckDB was interrupted")

    chain.acts["transform"] = transform
    run = runner.execute(SCHEDULED, cancelled=never)
    assert (run.error or "").startswith("The run was cancelled by ada")


def test_a_statement_of_the_engine_in_this_process_ends_as_well(tmp_path: Path) -> None:
    wishes = threading.Event()
    warehouse = DuckDBWarehouse(tmp_path, project=tmp_path, memory_limit="100MB", is_to_end=wishes.is_set)
    with duckdb.connect(tmp_path / "state.duckdb") as connection:
        connection.execute("create schema warehouse")
        endless = "select sum(a.range + b.range) as as_of from range(1000000) a, range(200000) b"
        connection.execute(f"create view warehouse.dim_publication as {endless}")
    threading.Timer(0.2, wishes.set).start()
    with pytest.raises(InterruptedRunError):
        warehouse.publication_facts()


def test_only_what_is_going_on_can_be_cancelled(runner: Runner, clock: FixedClock) -> None:
    with pytest.raises(ConfigurationError, match="No run is going on"):
        cancelling.cancel(runner.store, None, "ada", clock=clock)
    ended = runner.execute(SCHEDULED, cancelled=never)
    with pytest.raises(ConfigurationError, match="No run is going on"):
        cancelling.cancel(runner.store, None, "ada", clock=clock)
    with pytest.raises(PermanentError, match=f"Run {ended.id} is not going on"):
        cancelling.cancel(runner.store, ended.id, "ada", clock=clock)
    assert runner.store.acts() == []


def test_a_sync_by_hand_is_told_with_who_asked_and_how_it_ends(runner: Runner, clock: FixedClock) -> None:
    store = runner.store
    request = store.request_sync("bob", sync="customer_status", scope={"only": "", "afresh": False}, digest="abc")
    lease = store.take_lease("worker-1", seconds=40)
    store.claim(request.id)
    with pytest.raises(ConfigurationError) as refused:
        cancelling.cancel(store, None, "ada", clock=clock)
    told = str(refused.value)
    assert told.startswith("No run is going on, but a sync by hand: customer_status, asked for by bob\n")
    assert "held by worker-1 since 2019-05-13 04:00:00 UTC" in told
    assert "at the latest after the minutes of NEOPULSE_STEP_LIMIT_ACTIVATE; sooner where the worker is stopped" in told
    store.answer(request.id, "done")
    store.release(lease)
    with pytest.raises(ConfigurationError, match=r"^No run is going on\n"):
        cancelling.cancel(store, None, "ada", clock=clock)
    assert store.acts(Acts(), limit=1) == []


def test_a_sync_at_a_command_line_is_told_and_a_run_that_is_about_to_begin_is_none(runner: Runner, clock: FixedClock) -> None:
    lease = runner.store.take_lease("laptop process 7", seconds=40)
    assert by_hand.going_on(runner.store, clock.now()) is None  # a run that has the lease writes itself down now
    clock.sleep(10)
    with pytest.raises(ConfigurationError, match=r"a sync by hand: begun at a command line\n.*laptop process 7(.|\n)*Ctrl"):
        cancelling.cancel(runner.store, None, "ada", clock=clock)
    plan = [(name, StepState.PENDING) for name in STEPS]
    runner.store.start_run(lease, trigger="cli", requested_by="ada", plan=plan, first_step="extract")
    assert by_hand.going_on(runner.store, clock.now()) is None


def test_a_run_that_does_not_end_is_said_and_a_dead_one_is_closed(runner: Runner, clock: FixedClock) -> None:
    plan = [(name, StepState.PENDING) for name in STEPS]
    lease = runner.store.take_lease("another machine", seconds=1_000)
    deaf = runner.store.start_run(lease, trigger="cli", requested_by="ada", plan=plan, first_step="extract")
    with pytest.raises(TransientError, match="has not ended yet"):
        cancelling.cancel(runner.store, deaf.id, "ada", clock=clock)
    runner.store.renew(lease, seconds=40)  # and then its machine dies
    closed = cancelling.cancel(runner.store, deaf.id, "bob", clock=clock)
    assert (closed.state, closed.cancel_asked_by) == (RunState.INTERRUPTED, "ada")
    assert "cancelled by ada" in (closed.error or "")
    assert len(runner.store.acts()) == 1


# --- too long -----------------------------------------------------------------------------------------------------------


def pass_time(store: RunStore, clock: FixedClock, seconds: float) -> None:
    """Time passes, and the lease is kept as a living process keeps it."""
    lease = store.lease()
    clock.sleep(seconds)
    if lease is not None:
        store.renew(lease, seconds=40)


def working(clock: FixedClock, minutes: int) -> Callable[[StepContext], None]:
    def act(context: StepContext) -> None:
        for minute in range(minutes):
            for _ in range(3):
                pass_time(context.store, clock, 20)
            context.progress(minute / minutes, "working")

    return act


def test_a_step_over_its_limit_fails_once_and_is_announced(runner: Runner, chain: Chain, clock: FixedClock) -> None:
    chain.acts["sheet"] = working(clock, 100)
    run = with_limit(runner, sheet=7).execute(SCHEDULED, cancelled=never)
    assert (run.state, run.error_kind, run.unfinished_step) == (RunState.FAILED, "permanent", "sheet")
    assert run.error is not None
    assert run.error.startswith("The step sheet was ended: it took longer than 7 minutes\n  where: NEOPULSE_STEP_LIMIT_SHEET")
    assert run.steps[2].attempts == 1
    assert (clock.now() - MONDAY).total_seconds() == 7 * 60
    assert chain.announced == ["sheet"]


def test_a_step_over_its_limit_sees_a_run_that_is_interrupted_as_a_cancelled_one_does(
    runner: Runner, chain: Chain, clock: FixedClock
) -> None:
    seen: list[NeopulseError] = []

    def slow(context: StepContext) -> None:
        pass_time(context.store, clock, 39)
        assert not context.cancelled()
        pass_time(context.store, clock, 30)
        assert context.cancelled()
        for look in (context.guard, lambda: context.progress(None, "working")):
            with pytest.raises(InterruptedRunError) as told:
                look()
            seen.append(told.value)
        raise seen[0]

    chain.acts["sheet"] = slow
    run = with_limit(runner, sheet=1).execute(SCHEDULED, cancelled=never)
    assert [str(error).splitlines()[0] for error in seen] == ["The run was stopped", "The run was stopped"]
    assert (run.state, run.error_kind) == (RunState.FAILED, "permanent")
    assert (run.error or "").startswith("The step sheet was ended: it took longer than 1 minutes")


def test_each_step_has_a_limit_of_its_own(runner: Runner, chain: Chain, clock: FixedClock) -> None:
    chain.acts |= {"extract": working(clock, 6), "transform": working(clock, 6)}
    assert with_limit(runner, extract=7, transform=7).execute(SCHEDULED, cancelled=never).state is RunState.SUCCEEDED


def test_attempts_and_the_waits_between_them_count(runner: Runner, chain: Chain, clock: FixedClock) -> None:
    def busy(_context: StepContext) -> None:
        clock.sleep(50)
        raise TransientError("busy")

    chain.acts["extract"] = busy
    run = with_limit(runner, extract=1).execute(SCHEDULED, cancelled=never)
    assert chain.called == ["extract", "extract"]
    assert (run.state, run.error_kind) == (RunState.FAILED, "permanent")


def test_the_building_processes_end_with_the_limit(
    runner: Runner, chain: Chain, clock: FixedClock, build: Callable[[], list[int]]
) -> None:
    begun = chain.acts["transform"]

    def transform(context: StepContext) -> None:
        threading.Thread(target=lambda: (build(), clock.sleep(3600))).start()
        begun(context)

    chain.acts["transform"] = transform
    run = with_limit(runner, transform=30).execute(SCHEDULED, cancelled=never)
    assert "took longer than 30 minutes" in (run.error or "")


def test_the_limits_are_settings_in_minutes() -> None:
    settings = Settings(_env_file=None, step_limit_notify=5)  # type: ignore[call-arg]
    assert [settings.step_limit(step).total_seconds() / 60 for step in STEPS] == [120, 360, 60, 240, 5]


@pytest.mark.parametrize("hours", [1, -1])
def test_who_sets_the_clock_of_the_machine_ends_no_step(runner: Runner, chain: Chain, clock: FixedClock, hours: int) -> None:
    def moved(context: StepContext) -> None:
        pass_time(context.store, clock, 30)
        lease = context.store.lease()
        assert lease is not None
        clock.set(clock.now() + timedelta(hours=hours))
        context.store.renew(lease, seconds=40)  # as its keeper does within ten seconds
        pass_time(context.store, clock, 29)
        context.progress(0.5, "working")
        assert not context.cancelled()

    chain.acts["sheet"] = moved
    assert with_limit(runner, sheet=1).execute(SCHEDULED, cancelled=never).state is RunState.SUCCEEDED


def test_a_clock_set_back_makes_no_step_longer(runner: Runner, chain: Chain, clock: FixedClock) -> None:
    def moved(context: StepContext) -> None:
        clock.set(clock.now() - timedelta(hours=1))
        pass_time(context.store, clock, 60)
        context.progress(0.5, "working")

    chain.acts["sheet"] = moved
    assert with_limit(runner, sheet=1).execute(SCHEDULED, cancelled=never).error_kind == "permanent"
