"""One run: order of steps, second attempts, resuming, stopping, and what stays in the record."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.clock import FixedClock
from pipeline.context import StepContext, StepResult
from pipeline.errors import ConfigurationError, DataError, InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.logs import run_log
from pipeline.runner import Order, Runner, backoff_seconds
from pipeline.runs.holders import Holders
from pipeline.runs.leases import LeaseHeldError
from pipeline.runs.records import RequestState, RunState, StepState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.steps import STEPS
from pipeline.warehouse.publication import Publications

pytestmark = pytest.mark.usefixtures("on_each_engine")

MONDAY = datetime(2019, 5, 13, 4, 0, tzinfo=UTC)
CLI = Order(trigger="cli", requested_by="ada")


@dataclass
class Chain:
    """Steps that do what a test tells them, and remember that they were called."""

    called: list[str] = field(default_factory=list)
    announced: list[tuple[str, str]] = field(default_factory=list)
    acts: dict[str, list[Callable[[StepContext], StepResult | None]]] = field(default_factory=dict)

    def run_step(self, name: str, context: StepContext) -> StepResult:
        self.called.append(name)
        waiting = self.acts.get(name, [])
        result = waiting.pop(0)(context) if waiting else None
        return result or StepResult(service=f"{name} service", rows_in=1, rows_out=2)

    def announce_failure(self, _context: StepContext, step: str, error: NeopulseError) -> None:
        self.announced.append((step, error.what))


def raising(error: BaseException) -> Callable[[StepContext], StepResult | None]:
    def act(_context: StepContext) -> StepResult | None:
        raise error

    return act


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def runner(tmp_path: Path, clock: FixedClock, chain: Chain) -> Runner:
    settings = Settings(home=tmp_path, _env_file=None)  # type: ignore[call-arg]
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


def test_the_five_steps_are_done_in_order_and_recorded(runner: Runner, chain: Chain) -> None:
    run = runner.execute(CLI, cancelled=never)
    assert chain.called == ["extract", "transform", "sheet", "activate", "notify"]
    assert run.state is RunState.SUCCEEDED
    assert [(step.state, step.service, step.rows_in, step.rows_out) for step in run.steps] == [
        (StepState.SUCCEEDED, f"{name} service", 1, 2) for name in STEPS
    ]
    assert runner.store.lease() is None


@pytest.mark.parametrize(
    ("order", "done"),
    [
        (replace(CLI, first_step="sheet"), ["sheet", "activate", "notify"]),
        (replace(CLI, first_step="sheet", only_step=True), ["sheet"]),
    ],
)
def test_from_and_only_skip_the_other_steps(runner: Runner, chain: Chain, order: Order, done: list[str]) -> None:
    run = runner.execute(order, cancelled=never)
    assert chain.called == done
    assert [step.name for step in run.steps if step.state is StepState.SKIPPED] == [name for name in STEPS if name not in done]


def test_what_may_pass_is_tried_again_after_growing_waits(runner: Runner, chain: Chain, clock: FixedClock) -> None:
    chain.acts["sheet"] = [raising(TransientError("busy")), raising(TransientError("busy"))]
    run = runner.execute(CLI, cancelled=never)
    assert run.state is RunState.SUCCEEDED
    assert run.steps[2].attempts == 3
    assert (clock.now() - MONDAY).total_seconds() == 2 + 4


def test_the_last_attempt_s_error_stays(runner: Runner, chain: Chain) -> None:
    chain.acts["sheet"] = [raising(TransientError(f"busy {number}")) for number in range(5)]
    run = runner.execute(CLI, cancelled=never)
    assert chain.called.count("sheet") == 3  # settings.step_attempts
    assert (run.state, run.error_kind, run.error) == (RunState.FAILED, "transient", "busy 2")


@pytest.mark.parametrize("error", [DataError("no"), ConfigurationError("no"), PermanentError("no")])
def test_what_will_not_pass_is_tried_once(runner: Runner, chain: Chain, error: NeopulseError) -> None:
    chain.acts["transform"] = [raising(error)]
    run = runner.execute(CLI, cancelled=never)
    assert chain.called == ["extract", "transform"]
    assert (run.state, run.error_kind, run.unfinished_step) == (RunState.FAILED, error.kind, "transform")
    assert [step.state for step in run.steps[1:3]] == [StepState.FAILED, StepState.PENDING]
    assert chain.announced == [("transform", "no")]


def test_waits_double_up_to_a_minute_and_are_spread() -> None:
    assert [backoff_seconds(attempt, jitter=1.0) for attempt in (1, 2, 3, 6, 9)] == [2, 4, 8, 60, 60]
    assert backoff_seconds(2, jitter=0.0) == 2


def test_a_fault_that_nobody_foresaw_is_recorded_in_a_line_and_logged_in_full(runner: Runner, chain: Chain) -> None:
    chain.acts["transform"] = [raising(KeyError("plan"))]
    run = runner.execute(CLI, cancelled=never)
    assert run.error is not None
    assert run.error.startswith("KeyError in step transform: 'plan'")
    assert str(run_log(runner.settings.home, run.id)) in run.error
    assert "Traceback" not in run.error
    assert not any("Traceback" in event.text for event in runner.store.events(run.id))
    assert "Traceback" in run_log(runner.settings.home, run.id).read_text()


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), RuntimeError("IO Error: No space left on device")]
)
def test_a_full_disk_is_tried_again_and_told_as_such(runner: Runner, chain: Chain, error: Exception) -> None:
    chain.acts["sheet"] = [raising(error)]
    assert runner.execute(CLI, cancelled=never).state is RunState.SUCCEEDED
    chain.acts["sheet"] = [raising(error)] * 3
    run = runner.execute(CLI, cancelled=never)
    assert (run.state, run.error_kind) == (RunState.FAILED, "transient")
    assert run.error is not None
    assert run.error.startswith("The disk is full")
    assert "free disk space, then neopulse run --from sheet" in run.error


def test_a_failing_announcement_does_not_hide_the_failure(runner: Runner, chain: Chain) -> None:
    def failing(_context: StepContext, _step: str, _error: NeopulseError) -> None:
        raise RuntimeError("no mail today")

    chain.acts["sheet"] = [raising(DataError("the sheet is full"))]
    run = replace(runner, announce_failure=failing).execute(CLI, cancelled=never)
    assert (run.state, run.error) == (RunState.FAILED, "the sheet is full")
    assert any("no mail today" in event.text for event in runner.store.events(run.id))
    assert runner.store.lease() is None


@pytest.mark.parametrize("is_landed", [True, False])
def test_a_build_is_resumed_from_what_was_landed_and_from_the_beginning_where_nothing_is(
    runner: Runner, chain: Chain, is_landed: bool
) -> None:
    """A home that was restored has nothing landed."""
    chain.acts["transform"] = [raising(PermanentError("refused"))]
    failed = runner.execute(CLI, cancelled=never)
    if is_landed:
        (runner.settings.home / "landing").mkdir(parents=True)
        (runner.settings.home / "landing" / "manifest.json").write_text("{}")
    chain.called.clear()
    runner.execute(Order(trigger="resume", requested_by="ada", resumes=failed.id), cancelled=never)
    assert chain.called == list(STEPS[1:] if is_landed else STEPS)


def test_a_failed_run_is_resumed_from_its_failed_step(runner: Runner, chain: Chain) -> None:
    chain.acts["activate"] = [raising(PermanentError("refused"))]
    failed = runner.execute(replace(CLI, full_refresh=True), cancelled=never)
    chain.called.clear()
    resumed = runner.execute(Order(trigger="resume", requested_by="ada", resumes=failed.id), cancelled=never)
    assert chain.called == ["activate", "notify"]
    assert (resumed.state, resumed.resumes, resumed.first_step, resumed.full_refresh) == (RunState.SUCCEEDED, 1, "activate", True)


def test_a_run_that_did_its_work_cannot_be_resumed(runner: Runner) -> None:
    run = runner.execute(CLI, cancelled=never)
    with pytest.raises(ConfigurationError, match="Run 1 succeeded and cannot be resumed"):
        runner.execute(Order(trigger="resume", requested_by="ada", resumes=run.id), cancelled=never)
    assert len(runner.store.runs()) == 1


def test_a_wish_to_end_interrupts_a_step_at_its_next_word(runner: Runner, chain: Chain) -> None:
    wishes = iter([False, False, True, True, True, True, True, True])

    def long_work(context: StepContext) -> StepResult | None:
        for number in range(100):
            context.progress(number / 100, "working")
        raise AssertionError("the step was not stopped")

    chain.acts["extract"] = [long_work]
    run = runner.execute(CLI, cancelled=lambda: next(wishes))
    assert (run.state, run.error_kind) == (RunState.INTERRUPTED, "interrupted")
    assert run.error is not None
    assert run.error.endswith("next: neopulse run --from extract")
    assert [step.state for step in run.steps[:2]] == [StepState.INTERRUPTED, StepState.PENDING]
    assert chain.announced == []
    assert runner.store.lease() is None


def test_a_wish_to_end_between_steps_leaves_the_next_one_undone(runner: Runner, chain: Chain) -> None:
    run = runner.execute(CLI, cancelled=lambda: "extract" in chain.called)
    assert chain.called == ["extract"]
    assert run.unfinished_step == "transform"


def test_a_wish_to_end_is_heard_while_waiting_for_another_attempt(runner: Runner, chain: Chain, clock: FixedClock) -> None:
    runner = replace(runner, settings=runner.settings.model_copy(update={"step_attempts": 10}))
    chain.acts["extract"] = [raising(TransientError("busy"))] * 10
    run = runner.execute(CLI, cancelled=lambda: (clock.now() - MONDAY).total_seconds() > 20)
    assert run.state is RunState.INTERRUPTED
    assert (clock.now() - MONDAY).total_seconds() < 22


def test_a_second_press_of_ctrl_c_ends_the_run_as_interrupted(runner: Runner, chain: Chain) -> None:
    chain.acts["transform"] = [raising(KeyboardInterrupt())]
    run = runner.execute(CLI, cancelled=never)
    assert run.state is RunState.INTERRUPTED
    assert runner.store.lease() is None


def test_a_run_that_was_taken_for_dead_can_do_nothing_more(runner: Runner, chain: Chain, clock: FixedClock) -> None:
    """A machine that slept wakes up: its lease ran out and another process closed its run."""
    seen: list[str] = []

    def sleeper(context: StepContext) -> StepResult | None:
        clock.sleep(3600)
        RunStore.open(runner.settings.run_store_url, clock=clock).reap()
        try:
            context.guard()
        except InterruptedRunError as error:
            seen.append(error.kind)
            raise
        return None

    chain.acts["transform"] = [sleeper]
    run = runner.execute(CLI, cancelled=never)
    assert seen == ["interrupted"]
    assert chain.called == ["extract", "transform"]
    assert run.state is RunState.INTERRUPTED
    assert chain.announced == []


def test_two_runners_do_not_run_at_once(runner: Runner, chain: Chain) -> None:
    refused: list[str] = []

    def meanwhile(_context: StepContext) -> StepResult | None:
        with pytest.raises(LeaseHeldError) as held:
            runner.execute(CLI, cancelled=never)
        refused.append(held.value.what)
        return None

    chain.acts["extract"] = [meanwhile]
    assert runner.execute(CLI, cancelled=never).state is RunState.SUCCEEDED
    assert refused == ["Run 1 is going on"]
    assert len(runner.store.runs()) == 1


def test_what_a_killed_run_left_is_closed_before_the_next_begins(runner: Runner) -> None:
    plan = [(name, StepState.PENDING) for name in STEPS]
    lease = runner.store.take_lease("killed", seconds=40)
    left = runner.store.start_run(lease, trigger="cli", requested_by="ada", plan=plan, first_step="extract")
    with runner.holders.alive("somebody else"):
        pass
    (runner.settings.home / "holders" / runner.holders._path("killed").name).touch()  # the lock that the system let go of
    run = runner.execute(CLI, cancelled=never)
    assert run.state is RunState.SUCCEEDED
    assert runner.store.run(left.id).state is RunState.INTERRUPTED


def test_progress_reaches_the_store_about_once_a_second(
    runner: Runner, chain: Chain, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    record = RunStore.progress

    def counting(store: RunStore, *arguments: object, **values: object) -> None:
        written.append(str(values["text"]))
        record(store, *arguments, **values)  # type: ignore[arg-type]

    def talkative(context: StepContext) -> StepResult | None:
        for number in range(100):
            context.progress(number / 100, f"row {number}")
            clock.sleep(0.1)
        return None

    monkeypatch.setattr(RunStore, "progress", counting)
    chain.acts["extract"] = [talkative]
    runner.execute(CLI, cancelled=never)
    assert written[:3] == ["row 0", "row 10", "row 20"]
    assert len(written) == 10


def test_a_request_is_claimed_by_its_run_and_answered_at_the_end(runner: Runner, chain: Chain) -> None:
    request = runner.store.request_run("ada")
    states: list[RequestState] = []

    def look(_context: StepContext) -> StepResult | None:
        states.append(runner.store.requests()[0].state)
        return None

    chain.acts["sheet"] = [look]
    runner.execute(Order(trigger="request", requested_by="ada", request_id=request.id), cancelled=never)
    assert states == [RequestState.CLAIMED]
    assert runner.store.requests()[0].state is RequestState.DONE


def test_the_live_log_tells_the_run_step_by_step(runner: Runner, chain: Chain) -> None:
    chain.acts["sheet"] = [raising(TransientError("busy"))]
    run = runner.execute(CLI, cancelled=never)
    told = [(event.level, event.step, event.text) for event in runner.store.events(run.id)]
    assert ("info", "extract", "extract succeeded: extract service, rows in 1, rows out 2, 0.0 s") in told
    assert ("warning", "sheet", "sheet: attempt 1 of 3 failed, again in 2 s: busy") in told
    assert told[-1] == ("info", "notify", "Run 1 succeeded")
