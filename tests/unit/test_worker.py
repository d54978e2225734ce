"""The worker: the schedule across time zones and restarts, requests, and the watchdog. No test waits."""

from __future__ import annotations

import time as machine_time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fast_clock import fast_clock

from pipeline.clock import FixedClock, SystemClock
from pipeline.errors import ConfigurationError, PermanentError, TransientError
from pipeline.runner import Order
from pipeline.runs.leases import LeaseHeldError
from pipeline.runs.records import Doing, Request, RequestState, Run, RunState, SlotOutcome, StepState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from worker import health
from worker.__main__ import main
from worker.health import STUCK_BEATS, Heart, Pulse, is_healthy, worker_name
from worker.loop import Loop

PARIS = ZoneInfo("Europe/Paris")
SIX = time(6, 0)
SUNDAY_EVENING = datetime(2019, 5, 12, 18, 0, tzinfo=UTC)
MONDAY_SIX = datetime(2019, 5, 13, 4, 0, tzinfo=UTC)  # 06:00 in Paris


@dataclass
class FakeRunner:
    """Runs nothing, but leaves the record that a run leaves."""

    store: RunStore
    orders: list[Order] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    ends_as: RunState = RunState.SUCCEEDED

    def execute(self, order: Order, *, cancelled: Callable[[], bool]) -> Run:
        self.orders.append(order)
        assert not cancelled()
        if self.errors:
            raise self.errors.pop(0)
        lease = self.store.take_lease("runner", seconds=40)
        plan = [("extract", StepState.PENDING)]
        run = self.store.start_run(
            lease,
            trigger=order.trigger,
            requested_by=order.requested_by,
            plan=plan,
            first_step="extract",
            request_id=order.request_id,
        )
        ended = self.store.finish_run(lease, run.id, state=self.ends_as)
        self.store.release(lease)
        return ended


@dataclass
class FakeSyncs:
    """Sends nothing, but remembers for which sync it was asked."""

    asked: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def carry_out(self, request: Request, *, is_to_end: Callable[[], bool]) -> str:
        assert not is_to_end()
        self.asked.append(request.parameters["sync"])
        if self.errors:
            raise self.errors.pop(0)
        return "3 created"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FixedClock:
    """A clock that the `schedule` library goes by as well."""
    return fast_clock(monkeypatch, SUNDAY_EVENING)


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> RunStore:
    return RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)


@pytest.fixture
def runner(store: RunStore) -> FakeRunner:
    return FakeRunner(store)


@dataclass
class Worker:
    """A worker that a test starts, turns and kills."""

    store: RunStore
    runner: FakeRunner
    clock: FixedClock
    pulse: Pulse = field(default_factory=Pulse)
    syncs: FakeSyncs = field(default_factory=lambda: FakeSyncs())
    is_dead: Callable[[str], bool] = lambda _holder: False
    wants_to_end: bool = False
    upkeep: Callable[[], None] = lambda: None
    looks_for_messages: int = 0

    def deliver_next(self) -> None:
        self.looks_for_messages += 1

    def start(self, *, was_published: bool = True) -> Loop:
        loop = Loop(
            settings=Settings(_env_file=None),  # type: ignore[call-arg]
            store=self.store,
            runner=self.runner,
            clock=self.clock,
            pulse=self.pulse,
            is_dead=lambda holder: self.is_dead(holder),
            is_to_end=lambda: self.wants_to_end,
            postman=self,
            syncs=self.syncs,
            upkeep=self.upkeep,
        )
        loop.start(was_published=was_published)
        return loop


@pytest.fixture
def worker(store: RunStore, runner: FakeRunner, clock: FixedClock) -> Worker:
    return Worker(store, runner, clock)


def turn_until(loop: Loop, clock: FixedClock, until: datetime, *, every: timedelta = timedelta(minutes=10)) -> None:
    while clock.now() < until:
        loop.turn()
        clock.sleep(every.total_seconds())
    loop.turn()


def test_the_daily_run_is_done_once_a_day_at_six_in_paris(worker: Worker, clock: FixedClock) -> None:
    loop = worker.start()
    turn_until(loop, clock, MONDAY_SIX - timedelta(minutes=10))
    assert worker.runner.orders == []
    turn_until(loop, clock, MONDAY_SIX + timedelta(days=2, hours=1))
    assert [(order.trigger, order.requested_by) for order in worker.runner.orders] == [("schedule", "daily")] * 3


def test_the_daily_run_keeps_to_six_over_the_days_that_the_clocks_change(worker: Worker, clock: FixedClock) -> None:
    began: list[datetime] = []
    clock.sleep((datetime(2019, 10, 25, 18, tzinfo=UTC) - clock.now()).total_seconds())
    loop = worker.start()
    while clock.now() < datetime(2019, 10, 29, 12, tzinfo=UTC):
        before = len(worker.runner.orders)
        loop.turn()
        began += [clock.now().astimezone(PARIS)] * (len(worker.runner.orders) - before)
        clock.sleep(300)
    assert [(moment.day, moment.hour, moment.minute) for moment in began] == [(day, 6, 0) for day in (26, 27, 28, 29)]


def test_a_slot_missed_while_no_worker_was_there_is_made_up_for_once(worker: Worker, clock: FixedClock) -> None:
    worker.start()
    clock.sleep(timedelta(days=4).total_seconds())
    turn_until(worker.start(), clock, clock.now() + timedelta(hours=1))
    assert len(worker.runner.orders) == 1
    turn_until(worker.start(), clock, clock.now() + timedelta(hours=1))
    assert len(worker.runner.orders) == 1


def test_what_was_due_before_the_first_start_ever_is_not_made_up_for(worker: Worker) -> None:
    worker.start().turn()
    assert worker.runner.orders == []


def test_a_clock_that_jumps_ahead_and_back_stops_no_worker_and_serves_no_moment_twice(worker: Worker, clock: FixedClock) -> None:
    loop = worker.start()
    turn_until(loop, clock, clock.now() + timedelta(hours=20))
    clock.sleep(5 * 86400)
    loop.turn()
    asked = [slot for slot in worker.store.slots() if slot.outcome is SlotOutcome.ASKED]
    clock.sleep(-5 * 86400)
    before = worker.looks_for_messages
    turn_until(loop, clock, clock.now() + timedelta(hours=2))
    assert worker.looks_for_messages - before >= 10
    assert [slot for slot in worker.store.slots() if slot.outcome is SlotOutcome.ASKED] == asked
    assert len({slot.due_at for slot in worker.store.slots()}) == len(worker.store.slots())
    turn_until(loop, clock, clock.now() + timedelta(days=6))
    assert worker.store.slots()[0].due_at > asked[0].due_at


@pytest.fixture
def machine_in_paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(machine_time, "tzset"):
        pytest.skip("the machine's zone cannot be set here")
    with monkeypatch.context() as inside:
        inside.setenv("TZ", "Europe/Paris")
        machine_time.tzset()
        yield
    machine_time.tzset()


@pytest.mark.usefixtures("machine_in_paris")
def test_a_machine_whose_clocks_go_back_in_autumn_stands_still_for_no_hour(
    worker: Worker, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.sleep((datetime(2019, 10, 27, 0, 50, tzinfo=UTC) - clock.now()).total_seconds())  # 02:50, for the first time
    loop, looks = worker.start(), list[int]()
    for _ in range(9):
        turn_until(loop, clock, clock.now() + timedelta(minutes=10), every=timedelta(seconds=10))
        looks.append(worker.looks_for_messages)
    assert all(after - before >= 60 for before, after in pairwise(looks))
    assert "went back" not in caplog.text


def test_two_workers_do_a_slot_once(worker: Worker, clock: FixedClock) -> None:
    first, second = worker.start(), worker.start()
    clock.sleep((MONDAY_SIX - clock.now()).total_seconds())
    for loop in (first, second, first, second):
        loop.turn()
    assert len(worker.runner.orders) == 1


def test_the_setting_makes_the_first_row_once_and_an_edit_is_followed_within_seconds(worker: Worker, clock: FixedClock) -> None:
    loop = worker.start()
    (daily,) = worker.store.schedules()
    assert (daily.name, daily.hour, daily.minute, daily.timezone, daily.changed_by) == (
        "daily",
        6,
        0,
        "Europe/Paris",
        "NEOPULSE_DAILY_AT",
    )
    worker.store.change_schedule(replace(daily, hour=20, minute=1, first_step="sheet"), "ada")  # a minute from now, in Paris
    turn_until(loop, clock, SUNDAY_EVENING + timedelta(seconds=58), every=timedelta(seconds=1))
    assert (worker.runner.orders, worker.pulse.next_run_at) == ([], SUNDAY_EVENING + timedelta(minutes=1))
    turn_until(loop, clock, SUNDAY_EVENING + timedelta(seconds=63), every=timedelta(seconds=1))
    assert [(order.requested_by, order.first_step) for order in worker.runner.orders] == [("daily", "sheet")]
    worker.store.remove_schedule("daily", "ada")
    turn_until(worker.start(), clock, clock.now() + timedelta(days=2), every=timedelta(hours=1))
    assert worker.store.schedules() == []
    assert len(worker.runner.orders) == 1


def test_a_run_that_a_dead_worker_left_is_taken_up_where_its_row_says_so(worker: Worker) -> None:
    worker.start()
    lease = worker.store.take_lease("killed", seconds=40)
    plan = [("extract", StepState.SUCCEEDED), ("transform", StepState.PENDING)]
    run = worker.store.start_run(lease, trigger="schedule", requested_by="daily", plan=plan, first_step="extract")
    worker.is_dead = lambda holder: holder == "killed"
    worker.start().turn()
    (order,) = worker.runner.orders
    assert (order.trigger, order.requested_by, order.first_step, order.resumes) == ("resume", "daily", "transform", run.id)


def test_where_nothing_was_ever_published_the_first_start_runs(worker: Worker) -> None:
    loop = worker.start(was_published=False)
    loop.turn()
    loop.turn()
    assert [order.requested_by for order in worker.runner.orders] == ["first start"]


def test_no_first_run_is_asked_for_beside_one_that_waits(worker: Worker) -> None:
    worker.store.request_run("ada", first_step="transform")
    worker.start(was_published=False)
    assert [request.requested_by for request in worker.store.requests()] == ["ada"]


def test_a_first_run_that_kills_the_worker_each_time_is_not_begun_for_ever(worker: Worker) -> None:
    worker.runner.ends_as = RunState.INTERRUPTED
    for _ in range(5):
        worker.start(was_published=False).turn()
    assert len(worker.runner.orders) == 3


def test_a_request_is_served_with_what_it_asks_for(worker: Worker) -> None:
    request = worker.store.request_run("ada", first_step="sheet", only_step=True)
    loop = worker.start()
    loop.turn()
    loop.turn()
    assert worker.runner.orders == [Order("request", "ada", first_step="sheet", only_step=True, request_id=request.id)]
    assert worker.store.requests()[0].state is RequestState.DONE


def test_a_request_to_resume_is_told_apart(worker: Worker) -> None:
    worker.store.request_run("ada", resumes=7)
    worker.start().turn()
    assert (worker.runner.orders[0].trigger, worker.runner.orders[0].resumes) == ("resume", 7)


def test_a_request_waits_while_another_run_goes_on(worker: Worker) -> None:
    worker.store.request_run("ada")
    loop = worker.start()
    worker.runner.errors = [LeaseHeldError("Run 1 is going on"), TransientError("the store is busy")]
    loop.turn()
    loop.turn()
    assert worker.store.requests()[0].state is RequestState.WAITING
    loop.turn()
    assert worker.store.requests()[0].state is RequestState.DONE


@pytest.mark.parametrize(
    "error", [ConfigurationError("Run 3 succeeded and cannot be resumed"), PermanentError("no run 9"), ZeroDivisionError("oh")]
)
def test_a_request_that_cannot_be_served_is_refused_with_the_reason_and_not_tried_again(worker: Worker, error: Exception) -> None:
    worker.store.request_run("ada")
    worker.runner.errors = [error]
    loop = worker.start()
    for _ in range(3):
        loop.turn()
    (request,) = worker.store.requests()
    assert (request.state, request.answer) == (RequestState.REFUSED, str(error))
    assert len(worker.runner.orders) == 1


def test_a_sync_that_is_asked_for_is_carried_out_without_a_run(worker: Worker) -> None:
    worker.store.request_sync("ada", sync="crm", scope={"only": "", "afresh": True}, digest="abc")
    worker.syncs.errors.append(LeaseHeldError("Run 7 is going on", where="held by a run"))
    loop = worker.start()
    loop.turn()
    loop.turn()
    assert (worker.syncs.asked, worker.runner.orders) == (["crm", "crm"], [])


def test_a_sync_that_cannot_be_carried_out_is_refused_with_the_reason(worker: Worker) -> None:
    asked = worker.store.request_sync("ada", sync="crm", scope={"only": "", "afresh": True}, digest="abc")
    worker.syncs.errors.append(ConfigurationError("There is no sync crm"))
    loop = worker.start()
    loop.turn()
    loop.turn()
    request = worker.store.request(asked.id)
    assert request is not None
    assert (request.state, request.answer, len(worker.syncs.asked)) == (RequestState.REFUSED, "There is no sync crm", 1)


def test_a_job_that_raises_does_not_run_again_on_every_turn(
    worker: Worker, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[datetime] = []

    def broken(_store: RunStore, _name: str) -> None:
        calls.append(clock.now())
        raise RuntimeError("the disk is full")

    loop = worker.start()
    monkeypatch.setattr(RunStore, "serve_slots", broken)
    clock.sleep((MONDAY_SIX - clock.now()).total_seconds())
    for _ in range(8):  # turns within one second
        loop.turn()
    assert calls == [MONDAY_SIX]


def test_old_things_are_looked_for_by_the_hour_and_a_fault_there_ends_nothing(worker: Worker, clock: FixedClock) -> None:
    looks: list[datetime] = []

    def look() -> None:
        looks.append(clock.now())
        raise PermissionError("somebody else's folder")

    worker.upkeep = look
    loop = worker.start()
    for _ in range(4):
        loop.turn()
        clock.sleep(1801)
    assert looks == [SUNDAY_EVENING + timedelta(seconds=3602)]


def test_nothing_is_begun_once_the_worker_is_told_to_end(worker: Worker) -> None:
    loop = worker.start()
    worker.store.request_run("ada")
    worker.wants_to_end = True
    loop.run()
    loop.turn()
    assert worker.runner.orders == []
    assert worker.store.requests()[0].state is RequestState.WAITING


def test_what_a_killed_worker_left_running_is_closed_at_the_start(worker: Worker) -> None:
    lease = worker.store.take_lease("killed", seconds=40)
    plan = [("extract", StepState.SUCCEEDED), ("transform", StepState.PENDING)]
    run = worker.store.start_run(lease, trigger="schedule", requested_by="daily", plan=plan, first_step="extract")
    worker.is_dead = lambda holder: holder == "killed"
    worker.start()
    closed = worker.store.run(run.id)
    assert (closed.state, closed.unfinished_step) == (RunState.INTERRUPTED, "transform")


def test_the_run_of_a_holder_on_another_machine_is_closed_within_a_minute(worker: Worker, clock: FixedClock) -> None:
    loop = worker.start()
    lease = worker.store.take_lease("another machine", seconds=40)
    run = worker.store.start_run(
        lease, trigger="cli", requested_by="ada", plan=[("extract", StepState.PENDING)], first_step="extract"
    )
    began = clock.now()
    turn_until(loop, clock, began + timedelta(seconds=39), every=timedelta(seconds=1))
    assert worker.store.run(run.id).state is RunState.RUNNING
    turn_until(loop, clock, began + timedelta(seconds=55), every=timedelta(seconds=1))
    assert worker.store.run(run.id).state is RunState.INTERRUPTED


def test_the_worker_s_row_tells_what_it_does_and_when_it_runs_next(worker: Worker, store: RunStore, clock: FixedClock) -> None:
    worker.start().turn()
    Heart(store, worker.pulse, clock=clock).beat()
    (row,) = store.workers()
    assert (row.name, row.doing, row.next_run_at) == (worker_name(), "waiting", MONDAY_SIX)
    assert is_healthy(store, worker_name(), clock.now())
    clock.sleep(61)
    assert not is_healthy(store, worker_name(), clock.now())
    assert not is_healthy(store, "another machine", clock.now())


def test_a_worker_that_ends_says_so_and_is_not_taken_for_alive(store: RunStore, clock: FixedClock) -> None:
    pulse = Pulse()
    pulse.next_run_at = MONDAY_SIX
    with Heart(store, pulse, clock=clock) as heart:
        heart.beat()
        assert is_healthy(store, worker_name(), clock.now())
    (row,) = store.workers()
    assert (row.doing, row.beat_at, row.next_run_at) == ("ended", clock.now(), None)
    assert not is_healthy(store, worker_name(), clock.now())


def beats(store: RunStore, pulse: Pulse, clock: FixedClock, *, turning: bool) -> list[int]:
    deaths: list[int] = []
    heart = Heart(store, pulse, clock=clock, die=deaths.append)
    for _ in range(STUCK_BEATS):
        pulse.turns += turning
        heart.beat()
    return deaths


@pytest.mark.on_a_file
def test_a_worker_whose_run_store_was_taken_away_ends(
    tmp_path: Path, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "run_store.db"
    store = RunStore.open(f"sqlite:///{file}", clock=clock)
    pulse, deaths = Pulse(), list[int]()
    heart = Heart(store, pulse, clock=clock, die=deaths.append)
    heart.beat()
    assert deaths == []
    file.rename(tmp_path / "aside.db")
    heart.beat()
    assert deaths == [1]
    assert "moved, deleted or replaced" in caplog.text


def test_a_loop_that_stands_still_ends_the_process(store: RunStore, clock: FixedClock) -> None:
    assert beats(store, Pulse(), clock, turning=False) == [1]


def test_a_loop_that_turns_lives(store: RunStore, clock: FixedClock) -> None:
    assert beats(store, Pulse(), clock, turning=True) == []


def test_a_long_run_lives_for_as_long_as_it_keeps_its_lease(
    store: RunStore, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "is_this_process", lambda holder: holder == "this process")
    pulse = Pulse()
    pulse.doing = Doing.RUNNING
    lease = store.take_lease("this process", seconds=40)
    assert beats(store, pulse, clock, turning=False) == []
    store.release(lease)
    store.take_lease("another", seconds=40)
    assert beats(store, pulse, clock, turning=False) == [1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_probe_answers_0_for_a_worker_that_beats_and_1_for_anything_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["--healthy"]) == 1
    store = RunStore.open(f"sqlite:///{home / 'run_store.db'}", clock=SystemClock())
    store.beat(worker_name(), started_at=SystemClock().now(), doing="waiting")
    assert main(["--healthy"]) == 0
    monkeypatch.setenv("NEOPULSE_RUN_STORE", "nonsense")
    assert main(["--healthy"]) == 1


def test_a_worker_with_wrong_settings_or_arguments_ends_with_2(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--helthy"]) == 2
    (home / ".env").write_text("NEOPULSE_DAILY_AT=late\n")
    assert main([]) == 2
    assert "NEOPULSE_DAILY_AT" in capsys.readouterr().err
