"""A week of the schedule on a fast clock: two workers that are killed at random and started again, runs of any length.

Every slot is served exactly once or says why not, and what it says is held against what the test saw happen. The slots are
found minute by minute from what the zones' clocks show.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fast_clock import fast_clock
from sqlalchemy import Engine

from pipeline.clock import FixedClock
from pipeline.runner import Order
from pipeline.runs.database import open_engine
from pipeline.runs.endings import waits_for_a_person
from pipeline.runs.records import (
    Request,
    RequestState,
    Run,
    RunState,
    ScheduleKind,
    ScheduleRow,
    SkipReason,
    Slot,
    SlotOutcome,
    StepState,
)
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from worker.health import Pulse
from worker.loop import Loop

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ROWS = (
    ScheduleRow("hourly", ScheduleKind.HOURLY, minute=30, timezone="Europe/Paris", first_step="sheet"),
    ScheduleRow("night", ScheduleKind.DAILY, hour=2, minute=30, timezone="Europe/Paris", first_step="transform"),
    ScheduleRow("bank", ScheduleKind.DAILY, hour=6, minute=0, timezone="America/New_York", resumes=False),
    ScheduleRow("weekly", ScheduleKind.WEEKLY, weekday=6, hour=2, minute=15, timezone="Australia/Lord_Howe"),
)
LONGEST_PAUSE = timedelta(minutes=40)  # between two turns of a worker, on this clock
STEPS = ("extract", "transform", "sheet")


class KilledError(BaseException):
    """What kill -9 is to a worker: nothing of it goes on, and nothing is closed."""


class Nothing:
    """No message waits, and nobody asks for a sync."""

    def deliver_next(self) -> None:
        return

    def carry_out(self, *_: object, **__: object) -> str:
        raise AssertionError("nobody asks for a sync")


NOTHING = Nothing()


@dataclass
class World:
    """The run store, the clock, and everything that happened, as somebody who watches would note it down."""

    engine: Engine
    clock: FixedClock
    chance: random.Random
    quiet_from: datetime
    workers: list[Worker] = field(default_factory=list)
    went_on: dict[int, tuple[datetime, datetime | None]] = field(default_factory=dict)
    looks: list[datetime] = field(default_factory=list)
    begun: list[int | None] = field(default_factory=list)
    kills: int = 0

    def may_kill(self, probability: float) -> None:
        if self.clock.now() < self.quiet_from and self.chance.random() < probability:
            self.kills += 1
            raise KilledError

    def pass_time(self, minutes: float, *, but: Worker | None = None) -> None:
        """Time passes in small steps, and every worker that is free turns."""
        until = self.clock.now() + timedelta(minutes=minutes)
        while self.clock.now() < until:
            self.clock.sleep(self.chance.uniform(300, LONGEST_PAUSE.total_seconds()))
            for worker in self.workers:
                if worker is not but:
                    worker.turn()


class DoomedStore(RunStore):
    """A worker's run store; the worker may die right before or right after it does something that counts."""

    world: World

    def serve_slots(self, name: str) -> object:  # type: ignore[override]
        return self._doomed(lambda: RunStore.serve_slots(self, name))

    def take_up_interrupted(self) -> object:  # type: ignore[override]
        return self._doomed(lambda: RunStore.take_up_interrupted(self))

    def _doomed(self, act: Callable[[], object]) -> object:
        self.world.may_kill(0.02)
        done = act()
        if done is not None:
            self.world.may_kill(0.05)
        return done


@dataclass
class Worker:
    """One worker: its loop, the run that it does, its deaths and its returns."""

    name: str
    world: World
    is_seen_to_be_dead: bool  # on the same machine as the other one
    loop: Loop | None = None
    busy: bool = False
    back_at: datetime | None = None

    def turn(self) -> None:
        """Turn once, or come back once it is time; a kill inside ends this worker alone."""
        if self.busy:
            return
        now = self.world.clock.now()
        if self.loop is None and self.back_at is not None and now < self.back_at:
            return
        try:
            if self.loop is None:
                self._start()
            assert self.loop is not None
            self.loop.turn()
            self.world.looks.append(now)
        except KilledError:
            self.loop, self.busy = None, False
            self.back_at = self.world.clock.now() + timedelta(minutes=self.world.chance.choice((0, 1, 10, 60, 150)))

    def _start(self) -> None:
        store = DoomedStore(self.world.engine, self.world.clock)
        store.world = self.world  # type: ignore[attr-defined]
        self.loop = Loop(
            settings=Settings(_env_file=None),  # type: ignore[call-arg]
            store=store,
            runner=self,
            clock=self.world.clock,
            pulse=Pulse(),
            is_dead=self._is_dead,
            is_to_end=lambda: False,
            postman=NOTHING,
            syncs=NOTHING,
            upkeep=lambda: None,
        )
        self.loop.start(was_published=True)

    def _is_dead(self, holder: str) -> bool:
        owner = next(worker for worker in self.world.workers if holder.startswith(worker.name))
        return owner.is_seen_to_be_dead and not owner.busy

    def execute(self, order: Order, *, cancelled: Callable[[], bool]) -> Run:
        """Do a run of any length, in steps between which time passes and the worker may die."""
        assert not cancelled()
        world = self.world
        store = RunStore(world.engine, world.clock)
        first = order.first_step
        if order.resumes is not None:
            earlier = store.run(order.resumes)
            assert earlier.state is RunState.INTERRUPTED
            assert earlier.unfinished_step is not None
            first = earlier.unfinished_step
        lease = store.take_lease(f"{self.name} {world.chance.random()}", seconds=40)
        plan = [(step, StepState.PENDING if step in STEPS[STEPS.index(first) :] else StepState.SKIPPED) for step in STEPS]
        run = store.start_run(
            lease,
            trigger=order.trigger,
            requested_by=order.requested_by,
            plan=plan,
            first_step=first,
            resumes=order.resumes,
            request_id=order.request_id,
        )
        world.went_on[run.id] = (world.clock.now(), None)
        world.begun.append(order.request_id)
        self.busy = True
        try:
            for step in STEPS[STEPS.index(first) :]:
                store.renew(lease, seconds=4 * 3600)
                world.pass_time(world.chance.choice((1, 5, 20, 45)), but=self)
                world.may_kill(0.08)
                store.finish_step(lease, run.id, step, state=StepState.SUCCEEDED)
        except KilledError:
            world.went_on[run.id] = (run.started_at, world.clock.now())
            store.renew(lease, seconds=40)  # it renewed until its last breath
            raise
        finally:
            self.busy = False
        world.went_on[run.id] = (run.started_at, world.clock.now())
        state = RunState.FAILED if world.chance.random() < 0.1 else RunState.SUCCEEDED
        ended = store.finish_run(lease, run.id, state=state)
        store.release(lease)
        return ended


def expected(row: ScheduleRow, first: datetime, last: datetime) -> Iterator[datetime]:
    """The slots of a row, minute by minute, by what the clocks of its zone show and when they skip."""
    zone, days = ZoneInfo(row.timezone), set()
    moment, before = first, first.astimezone(zone).replace(tzinfo=None)
    while (moment := moment + MINUTE) <= last:
        shown = moment.astimezone(zone).replace(tzinfo=None)
        if row.kind is ScheduleKind.HOURLY:
            if shown.minute == row.minute:
                yield moment
            continue
        wanted = shown.replace(hour=row.hour or 0, minute=row.minute)
        if before < wanted <= shown and wanted.date() not in days:
            days.add(wanted.date())
            if row.weekday in (None, wanted.weekday()):
                yield moment if wanted == shown else moment + (wanted - before - MINUTE)
        before = shown


SPRING, AUTUMN = datetime(2019, 3, 25, tzinfo=UTC), datetime(2019, 10, 21, tzinfo=UTC)  # Mondays before the clocks change
MORE = [pytest.param(monday, seed, marks=pytest.mark.proof) for seed in range(3, 8) for monday in (SPRING, AUTUMN)]


@pytest.mark.parametrize(("monday", "seed"), [(AUTUMN, 2), pytest.param(SPRING, 1, marks=pytest.mark.proof), *MORE])
def test_in_a_week_of_kills_each_slot_is_served_once_or_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, monday: datetime, seed: int
) -> None:
    world, store = a_week(tmp_path, monkeypatch, monday, seed)
    end = world.clock.now()
    assert world.kills > 10
    requests = {request.id: request for request in store.requests(10_000)}
    skipped = 0
    for row in ROWS:
        served = list(reversed(store.slots(row.name, limit=1000)))
        assert [slot.due_at for slot in served] == list(expected(row, monday, end))
        for slot in served:
            skipped += slot.outcome is SlotOutcome.SKIPPED
            is_explained(world, slot, requests)
    assert skipped > 5
    each_request_ran_once(world, store)
    each_interrupted_run_was_taken_up_or_overtaken(store)


def a_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, monday: datetime, seed: int) -> tuple[World, RunStore]:
    clock = fast_clock(monkeypatch, monday)
    engine = open_engine(f"sqlite:///{tmp_path / 'run_store.db'}", clock)
    world, store = World(engine, clock, random.Random(seed), quiet_from=monday + 7 * DAY), RunStore(engine, clock)
    for row in ROWS:
        store.add_schedule(row, "ada")
    world.workers = [Worker("first", world, is_seen_to_be_dead=True), Worker("second", world, is_seen_to_be_dead=False)]
    while clock.now() < monday + 7 * DAY + 12 * HOUR:
        world.pass_time(30)
    return world, store


def is_explained(world: World, slot: Slot, requests: Mapping[int, Request]) -> None:
    """What a slot says is what was seen."""
    assert slot.due_at <= slot.taken_at
    if slot.outcome is SlotOutcome.ASKED:
        assert (slot.reason, slot.in_the_way) == (None, None)
        request = requests[slot.request_id or 0]
        assert request.state is RequestState.DONE
        assert request.run_id is not None
    elif slot.reason is SkipReason.OVERLAP:
        assert slot.in_the_way is not None
        began, ended = world.went_on[slot.in_the_way]
        # of a dead worker nobody knows for a minute that it is dead
        assert began <= slot.due_at
        assert ended is None or ended + LONGEST_PAUSE >= slot.due_at
    else:
        assert slot.reason is SkipReason.MISSED
        free = [look for look in world.looks if slot.due_at <= look < slot.taken_at - LONGEST_PAUSE]
        assert all(was_busy(world, look) for look in free)


def was_busy(world: World, moment: datetime) -> bool:
    return any(began <= moment and (ended is None or moment <= ended) for began, ended in world.went_on.values())


def each_request_ran_once(world: World, store: RunStore) -> None:
    asked = store.requests(10_000)
    assert {request.state for request in asked} == {RequestState.DONE}
    assert sorted(request.id for request in asked) == sorted(begun for begun in world.begun if begun is not None)
    assert len(world.begun) == len(asked)
    by_slot = {slot.request_id for row in ROWS for slot in store.slots(row.name, limit=1000) if slot.request_id is not None}
    resumes = [request.parameters["resumes"] for request in asked if request.parameters["resumes"] is not None]
    assert len(resumes) == len(set(resumes))
    assert by_slot == {request.id for request in asked if request.parameters["resumes"] is None}


def each_interrupted_run_was_taken_up_or_overtaken(store: RunStore) -> None:
    runs = store.runs(10_000)
    assert RunState.RUNNING not in {run.state for run in runs}
    taken_up = {run.resumes for run in runs}
    resumable = {row.name for row in ROWS if row.resumes}
    stopped = [run for run in runs if run.state is RunState.INTERRUPTED]
    assert stopped
    for run in stopped:
        is_newest = run.id == runs[0].id
        assert run.id in taken_up or not is_newest or waits_for_a_person(run) or run.requested_by not in resumable
    assert taken_up & {run.id for run in stopped}
