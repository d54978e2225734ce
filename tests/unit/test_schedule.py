"""The schedule: which moments a row means, that each is served once or skipped with the reason, and what edits change."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from postgres_kit import plain_engine
from sqlalchemy import bindparam, insert, inspect, text

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.runs import migrations, schema
from pipeline.runs.calendar import next_slots, slots
from pipeline.runs.endings import waits_for_a_person
from pipeline.runs.records import Run, RunState, ScheduleKind, ScheduleRow, SkipReason, SlotOutcome, StepState
from pipeline.runs.sightings import LOOK_ON_SECONDS
from pipeline.runs.store import RunStore

PARIS, LORD_HOWE = "Europe/Paris", "Australia/Lord_Howe"  # whose clocks change by an hour, and by half of one
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SUNDAY = datetime(2019, 5, 12, 18, 0, tzinfo=UTC)
SIX = datetime(2019, 5, 13, 4, 0, tzinfo=UTC)  # 06:00 in Paris, on Monday
DAILY = ScheduleRow("daily", ScheduleKind.DAILY, hour=6, minute=0, timezone=PARIS)
HOURLY = ScheduleRow("hourly", ScheduleKind.HOURLY, minute=30, timezone=PARIS)
PLAN = (("extract", StepState.PENDING), ("transform", StepState.PENDING))


def minutes(first: datetime, last: datetime) -> Iterator[datetime]:
    moment = first
    while moment <= last:
        yield moment
        moment += MINUTE


def by_brute_force(row: ScheduleRow, first: datetime, last: datetime) -> list[datetime]:
    """The moments of a row found minute by minute, by looking at what its zone's clocks show."""
    zone, found, days = ZoneInfo(row.timezone), [], set[date]()
    before = (first - DAY).astimezone(zone).replace(tzinfo=None)
    for moment in minutes(first - DAY + MINUTE, last):
        shown = moment.astimezone(zone).replace(tzinfo=None)
        if row.kind is ScheduleKind.HOURLY:
            found += [moment] if shown.minute == row.minute else []
            continue
        # what lies between the last minute and this one was skipped; it is due as many minutes later as it was skipped by
        wanted = shown.replace(hour=row.hour or 0, minute=row.minute)
        if before < wanted <= shown and wanted.date() not in days:
            days.add(wanted.date())
            if row.kind is ScheduleKind.DAILY or wanted.weekday() == row.weekday:
                found.append(moment if wanted == shown else moment + (wanted - before - MINUTE))
        before = shown
    return [moment for moment in found if first < moment <= last]


@pytest.mark.parametrize("change", [datetime(2019, 3, 31, 1, tzinfo=UTC), datetime(2019, 10, 27, 1, tzinfo=UTC)])
@pytest.mark.parametrize(("hour", "minute"), [(0, 0), (1, 59), (2, 0), (2, 30), (2, 59), (3, 0), (6, 0), (23, 59)])
def test_each_day_has_its_slot_once_also_where_the_clocks_change(change: datetime, hour: int, minute: int) -> None:
    for row in (replace(DAILY, hour=hour, minute=minute), replace(HOURLY, minute=minute)):
        first, last = change - DAY, change + 2 * DAY
        assert slots(row, after=first, until=last) == by_brute_force(row, first, last)


@pytest.mark.parametrize("change", [datetime(2019, 4, 6, 15, tzinfo=UTC), datetime(2019, 10, 5, 15, 30, tzinfo=UTC)])
@pytest.mark.parametrize(("hour", "minute"), [(1, 30), (1, 45), (2, 0), (2, 15), (2, 30)])
def test_clocks_that_change_by_half_an_hour_are_followed_too(change: datetime, hour: int, minute: int) -> None:
    for row in (replace(DAILY, hour=hour, minute=minute), replace(HOURLY, minute=minute)):
        moved = replace(row, timezone=LORD_HOWE)
        first, last = change - DAY, change + 2 * DAY
        assert slots(moved, after=first, until=last) == by_brute_force(moved, first, last)


def test_a_time_that_the_clocks_skip_comes_later_and_one_that_they_show_twice_comes_the_first_time() -> None:
    row = replace(DAILY, hour=2, minute=30)
    skipped = slots(row, after=datetime(2019, 3, 30, 12, tzinfo=UTC), until=datetime(2019, 3, 31, 12, tzinfo=UTC))
    assert skipped == [datetime(2019, 3, 31, 1, 30, tzinfo=UTC)]  # the clocks show 03:30
    twice = slots(row, after=datetime(2019, 10, 26, 12, tzinfo=UTC), until=datetime(2019, 10, 27, 12, tzinfo=UTC))
    assert twice == [datetime(2019, 10, 27, 0, 30, tzinfo=UTC)]  # half an hour before they go back


def test_a_weekly_row_comes_on_its_day_by_its_own_clocks() -> None:
    row = ScheduleRow("weekly", ScheduleKind.WEEKLY, weekday=6, hour=0, minute=15, timezone="Asia/Kolkata")
    found = slots(row, after=SUNDAY, until=SUNDAY + 21 * DAY)
    assert found == by_brute_force(row, SUNDAY, SUNDAY + 21 * DAY)
    assert [moment.astimezone(ZoneInfo("Asia/Kolkata")).strftime("%a %H:%M") for moment in found] == ["Sun 00:15"] * 3
    assert [f"{moment:%a %H:%M}" for moment in found] == ["Sat 18:45"] * 3


def test_an_hourly_row_is_served_in_both_of_the_hours_that_have_one_name() -> None:
    night = datetime(2019, 10, 26, 23, 45, tzinfo=UTC)
    assert [moment - night for moment in slots(HOURLY, after=night, until=night + 3 * HOUR)] == [
        45 * MINUTE,
        45 * MINUTE + HOUR,
        45 * MINUTE + 2 * HOUR,
    ]


def test_the_next_slots_are_those_after_now_and_after_the_row_was_made() -> None:
    assert next_slots(DAILY, SIX, 2) == [SIX + DAY, SIX + 2 * DAY]
    assert next_slots(replace(DAILY, since=SIX + DAY), SUNDAY) == [SIX + 2 * DAY]
    assert next_slots(replace(DAILY, enabled=False), SUNDAY) == []


# --- the store ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(SUNDAY)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'run_store.db'}"


@pytest.fixture
def store(url: str, clock: FixedClock) -> RunStore:
    return RunStore.open(url, clock=clock)


def to(clock: FixedClock, moment: datetime) -> None:
    clock.sleep((moment - clock.now()).total_seconds())


def told(store: RunStore, name: str = "daily") -> list[tuple[datetime, SlotOutcome | None, str]]:
    return [(slot.due_at, slot.outcome, slot.why_skipped) for slot in reversed(store.slots(name))]


def run(store: RunStore, clock: FixedClock, *, minutes: int, state: RunState = RunState.SUCCEEDED, cancel: bool = False) -> Run:
    lease = store.take_lease("a worker", seconds=minutes * 60 + 60)
    began = store.start_run(lease, trigger="cli", requested_by="ada", plan=PLAN, first_step="extract")
    if cancel:
        store.ask_to_cancel(began.id, "ada")
    clock.sleep(minutes * 60)
    ended = store.finish_run(lease, began.id, state=state)
    store.release(lease)
    return ended


def test_a_slot_becomes_one_request_whoever_comes(url: str, store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(replace(DAILY, first_step="transform"), "ada")
    assert store.serve_slots("daily") is None
    to(clock, SIX)
    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(lambda _: RunStore.open(url, clock=clock).serve_slots("daily"), range(16)))
    (asked,) = [slot for slot in served if slot is not None]
    (request,) = store.requests()
    assert (asked.due_at, asked.outcome, asked.request_id) == (SIX, SlotOutcome.ASKED, request.id)
    assert (request.trigger, request.requested_by, request.parameters["first_step"]) == ("schedule", "daily", "transform")


def test_of_the_slots_that_were_missed_the_latest_runs_and_the_others_say_why_not(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(DAILY, "ada")
    to(clock, SIX + 3 * DAY + HOUR)
    store.serve_slots("daily")
    assert [(slot.due_at, slot.outcome, slot.reason) for slot in reversed(store.slots())] == [
        *((SIX + number * DAY, SlotOutcome.SKIPPED, SkipReason.MISSED) for number in range(3)),
        (SIX + 3 * DAY, SlotOutcome.ASKED, None),
    ]
    assert len(store.requests()) == 1
    assert store.serve_slots("daily") is None


def test_of_years_of_moments_that_were_missed_the_newest_hundred_are_written_down(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(ScheduleRow("hourly", ScheduleKind.HOURLY, minute=0, hour=None, timezone="UTC"), "ada")
    clock.sleep(3 * 365 * 86_400)
    latest = store.serve_slots("hourly")
    assert latest is not None
    assert latest.outcome is SlotOutcome.ASKED
    noted = store.slots("hourly", limit=1_000)
    assert [slot.due_at for slot in noted] == [latest.due_at - timedelta(hours=hours) for hours in range(101)]
    assert {slot.reason for slot in noted[1:]} == {SkipReason.MISSED}
    assert store.serve_slots("hourly") is None
    assert store.due(store.schedules()) == []
    clock.sleep(3_600)
    assert store.serve_slots("hourly") is not None


def test_what_a_clock_that_was_ahead_called_missed_is_served_when_it_comes(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(DAILY, "ada")
    to(clock, SIX + 3 * DAY)
    store.serve_slots("daily")
    to(clock, SIX - HOUR)
    (row,) = store.schedules()
    for number in range(6):
        to(clock, SIX + number * DAY)
        assert bool(store.due([row])) is (number != 3)
        slot = store.serve_slots("daily")
        assert (slot.due_at, slot.outcome) == (clock.now(), SlotOutcome.ASKED) if slot else number == 3
        assert store.serve_slots("daily") is None
    assert [(due_at, outcome) for due_at, outcome, _ in told(store)] == [
        (SIX + number * DAY, SlotOutcome.ASKED) for number in range(6)
    ]


def test_a_clock_that_went_back_serves_at_most_what_was_really_missed_and_nothing_twice(
    store: RunStore, clock: FixedClock
) -> None:
    store.add_schedule(HOURLY, "ada")
    half = SIX + 30 * MINUTE
    to(clock, half + 3 * HOUR + 10 * MINUTE)
    store.serve_slots("hourly")
    asked = [told(store, "hourly")[-1]]
    to(clock, half + 2 * HOUR + 10 * MINUTE)  # and is behind now
    store.serve_slots("hourly")
    to(clock, half + 3 * HOUR + 20 * MINUTE)
    assert store.serve_slots("hourly") is None
    assert told(store, "hourly")[-2:] == [(half + 2 * HOUR, SlotOutcome.ASKED, ""), *asked]


def test_an_edit_lets_go_of_what_a_clock_that_was_ahead_called_missed(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(DAILY, "ada")
    to(clock, SIX + 3 * DAY)
    store.serve_slots("daily")
    to(clock, SIX + HOUR)
    store.change_schedule(replace(DAILY, hour=7), "ada")
    slots_left = [(slot.due_at, slot.reason) for slot in reversed(store.slots())]
    assert slots_left == [(SIX, SkipReason.CHANGED), (SIX + 3 * DAY, None)]


def test_a_slot_is_skipped_while_a_run_is_going_on_and_names_it(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(DAILY, "ada")
    to(clock, SIX - HOUR)
    lease = store.take_lease("a worker", seconds=7200)
    store.start_run(lease, trigger="cli", requested_by="ada", plan=PLAN, first_step="extract")
    to(clock, SIX)
    store.serve_slots("daily")
    assert told(store) == [(SIX, SlotOutcome.SKIPPED, "run 1 was still going on")]
    assert store.requests() == []


def test_a_slot_waits_until_it_is_known_whether_a_run_elsewhere_is_dead_and_is_served_then(
    url: str, store: RunStore, clock: FixedClock
) -> None:
    store.add_schedule(DAILY, "ada")
    to(clock, SIX - MINUTE)
    lease = store.take_lease("another machine", seconds=40)  # which dies at once
    store.start_run(lease, trigger="cli", requested_by="ada", plan=PLAN, first_step="extract")
    to(clock, SIX)
    just_begun = RunStore.open(url, clock=clock)
    assert just_begun.serve_slots("daily") is None
    assert told(store) == []
    clock.sleep(LOOK_ON_SECONDS)
    slot = just_begun.serve_slots("daily")
    assert slot is not None
    assert (slot.due_at, slot.outcome) == (SIX, SlotOutcome.ASKED)


def test_a_sync_by_hand_does_not_cost_the_slot(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(DAILY, "ada")
    to(clock, SIX)
    store.take_lease("somebody's hand", seconds=40)
    slot = store.serve_slots("daily")
    assert slot is not None
    assert slot.outcome is SlotOutcome.ASKED


def test_a_run_that_began_after_the_slot_is_not_in_its_way(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(DAILY, "ada")
    to(clock, SIX + HOUR)  # nobody looked at the schedule for an hour, and somebody has just begun a run by hand
    lease = store.take_lease("a terminal", seconds=7200)
    store.start_run(lease, trigger="cli", requested_by="ada", plan=PLAN, first_step="extract")
    clock.sleep(60)
    store.serve_slots("daily")
    assert told(store) == [(SIX, SlotOutcome.ASKED, "")]


def test_a_worker_that_ran_through_slots_skips_them_when_it_looks_again(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(HOURLY, "ada")
    to(clock, SIX)
    store.serve_slots("hourly")
    run(store, clock, minutes=150)  # 04:00 to 06:30, a minute too long for the slot of 06:30 to find it ended
    clock.sleep(60)
    store.serve_slots("hourly")
    assert [(due_at, reason) for due_at, _, reason in told(store, "hourly")[-3:]] == [
        (SIX + 30 * MINUTE, "run 1 was still going on"),
        (SIX + 90 * MINUTE, "run 1 was still going on"),
        (SIX + 150 * MINUTE, ""),
    ]


@pytest.mark.parametrize(
    ("state", "cancel", "outcome"),
    [
        (RunState.FAILED, False, SlotOutcome.SKIPPED),
        (RunState.HELD, False, SlotOutcome.SKIPPED),
        (RunState.INTERRUPTED, True, SlotOutcome.SKIPPED),
        (RunState.INTERRUPTED, False, SlotOutcome.ASKED),
    ],
)
def test_a_run_that_was_interrupted_by_itself_does_not_cost_the_slot(
    store: RunStore, clock: FixedClock, state: RunState, cancel: bool, outcome: SlotOutcome
) -> None:
    store.add_schedule(DAILY, "ada")
    to(clock, SIX - HOUR)
    run(store, clock, minutes=120, state=state, cancel=cancel)
    slot = store.serve_slots("daily")
    assert slot is not None
    assert slot.outcome is outcome


def test_rows_that_are_due_together_are_served_by_one_run_the_whole_ones_first(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(replace(DAILY, name="a sheet", first_step="sheet"), "ada")
    store.add_schedule(replace(DAILY, name="b"), "ada")
    store.add_schedule(replace(DAILY, name="c"), "ada")
    rows = store.schedules()
    assert [row.name for row in rows] == ["b", "c", "a sheet"]
    to(clock, SIX)
    served = {row.name: store.serve_slots(row.name) for row in rows}
    requests = {name: slot.request_id or 0 for name, slot in served.items() if slot is not None}
    assert requests["b"] == requests["c"] < requests["a sheet"]


def test_a_row_that_is_off_or_gone_asks_for_nothing(store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(replace(DAILY, enabled=False), "ada")
    store.add_schedule(HOURLY, "ada")
    store.remove_schedule("hourly", "ada")
    to(clock, SIX)
    assert [store.serve_slots(name) for name in ("daily", "hourly", "no such row")] == [None] * 3
    assert store.due(store.schedules()) == []


def test_what_was_due_before_a_row_was_made_moved_or_switched_on_is_not_made_up_for(store: RunStore, clock: FixedClock) -> None:
    to(clock, SIX + HOUR)
    row = store.add_schedule(DAILY, "ada")
    assert store.serve_slots("daily") is None
    _, moved = store.change_schedule(replace(row, hour=5), "ada")  # 05:00 in Paris was two hours ago
    assert store.serve_slots("daily") is None
    store.change_schedule(replace(moved, enabled=False), "ada")
    to(clock, SIX + 5 * DAY)
    _, on = store.change_schedule(replace(moved, enabled=True), "ada")
    assert store.serve_slots("daily") is None
    assert next_slots(on, clock.now()) == [SIX + 6 * DAY - HOUR]


def test_what_a_changed_row_still_had_to_serve_says_so(store: RunStore, clock: FixedClock) -> None:
    row = store.add_schedule(DAILY, "ada")
    to(clock, SIX + HOUR)
    before, after = store.change_schedule(replace(row, resumes=False), "bob")
    assert (before.resumes, after.resumes, after.changed_by, after.since) == (True, False, "bob", row.since)
    assert told(store) == [(SIX, SlotOutcome.SKIPPED, "the row was changed before this moment was served")]
    assert store.serve_slots("daily") is None


def test_the_first_row_is_made_once_and_an_emptied_schedule_stays_empty(store: RunStore, clock: FixedClock) -> None:
    assert store.seed_schedule(DAILY)
    assert not store.seed_schedule(HOURLY)
    assert store.remove_schedule("daily", "ada").hour == 6
    assert not store.seed_schedule(DAILY)
    assert store.schedules() == []
    clock.sleep(60)
    again = store.add_schedule(DAILY, "ada")  # the name is free, and its old slots do not come back
    assert (store.schedule("daily"), again.since) == (again, clock.now())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": " "}, "A name has 1 to 40 characters"),
        ({"name": "x" * 41}, "A name has 1 to 40 characters"),
        ({"name": "a\nb"}, "one line"),
        ({"hour": 24}, "An hour is 0 to 23"),
        ({"hour": None}, "An hour is 0 to 23"),
        ({"minute": 60}, "A minute is 0 to 59"),
        ({"kind": ScheduleKind.WEEKLY}, "A weekday is 0"),
        ({"timezone": "Paris"}, "is not a time zone"),
        ({"timezone": "../../etc/passwd"}, "is not a time zone"),
    ],
)
def test_a_row_that_means_no_moment_is_refused(store: RunStore, change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        store.add_schedule(replace(DAILY, **change), "ada")  # type: ignore[arg-type]
    assert store.schedules() == []


def test_a_name_is_taken_once_and_an_unknown_one_is_refused(store: RunStore) -> None:
    row = store.add_schedule(DAILY, "ada")
    with pytest.raises(ConfigurationError, match="already has a row daily"):
        store.add_schedule(replace(DAILY, hour=7), "ada")
    assert store.schedules() == [row]
    for act in (lambda: store.change_schedule(HOURLY, "ada"), lambda: store.remove_schedule("hourly", "ada")):
        with pytest.raises(PermanentError, match="has no row hourly"):
            act()


def test_a_store_of_layout_1_gets_the_schedule_and_keeps_the_slots_that_it_served(run_store_url: str, clock: FixedClock) -> None:
    store = RunStore.open(run_store_url, clock=clock)
    store.close()
    engine = plain_engine(run_store_url)
    with engine.begin() as connection:  # back to what layout 1 was
        connection.execute(text("drop table schedules"))
        for table, columns in (
            ("slots", ("outcome", "reason", "in_the_way", "request_id")),
            ("runs", ("cancel_asked_by", "cancel_asked_at")),
        ):
            for column in columns:
                connection.execute(text(f"alter table {table} drop column {column}"))
        connection.execute(text("delete from migrations"))
        connection.execute(insert(schema.migrations).values(number=1, applied_at=SIX - 12 * DAY))
        served = text("insert into slots (job, due_at, taken_at) values ('daily', :due_at, :taken_at)")
        moments = (bindparam(name, type_=schema.Moment) for name in ("due_at", "taken_at"))
        connection.execute(served.bindparams(*moments), {"due_at": SIX - DAY, "taken_at": SIX - DAY + timedelta(seconds=1)})
    store = RunStore.open(run_store_url, clock=clock)
    assert {"schedules"} <= set(inspect(engine).get_table_names())
    with engine.begin() as connection:
        assert connection.execute(text("select max(number) from migrations")).scalar() == migrations.LATEST
    store.seed_schedule(DAILY)
    to(clock, SIX + HOUR)
    store.serve_slots("daily")
    assert told(store) == [(SIX - DAY, None, ""), (SIX, SlotOutcome.ASKED, "")]


# --- taking up what was interrupted -----------------------------------------------------------------------------------


def interrupted(store: RunStore, *, trigger: str = "schedule", by: str = "daily", resumes: int | None = None) -> Run:
    lease = store.take_lease("a worker", seconds=40)
    began = store.start_run(
        lease, trigger=trigger, requested_by=by, plan=PLAN, first_step="extract", resumes=resumes, full_refresh=True
    )
    store.finish_step(lease, began.id, "extract", state=StepState.SUCCEEDED)
    (ended,) = store.reap(lambda holder: holder == "a worker")
    return ended


def test_an_interrupted_run_of_the_schedule_is_taken_up_once_from_where_it_stopped(
    url: str, store: RunStore, clock: FixedClock
) -> None:
    store.add_schedule(DAILY, "ada")
    ended = interrupted(store)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: RunStore.open(url, clock=clock).take_up_interrupted(), range(8)))
    assert [run.id for run in taken if run is not None] == [ended.id]
    (request,) = store.requests()
    assert (request.requested_by, dict(request.parameters)) == (
        "daily",
        {"first_step": "transform", "only_step": False, "full_refresh": True, "resumes": ended.id},
    )
    store.refuse(request.id, "it cannot be")
    assert store.take_up_interrupted() is None


def test_what_no_row_wants_taken_up_waits(store: RunStore) -> None:
    row = store.add_schedule(replace(DAILY, resumes=False), "ada")
    interrupted(store)
    assert store.take_up_interrupted() is None
    store.change_schedule(replace(row, resumes=True, enabled=False), "ada")
    assert store.take_up_interrupted() is None
    store.change_schedule(replace(row, resumes=True), "ada")
    interrupted(store, trigger="cli")
    assert store.take_up_interrupted() is None
    interrupted(store, by="another row")
    assert store.take_up_interrupted() is None
    interrupted(store)
    assert store.take_up_interrupted() is not None


def test_a_cancelled_run_is_not_taken_up_and_says_who_cancelled_it_however_it_ended(store: RunStore) -> None:
    store.add_schedule(DAILY, "ada")
    lease = store.take_lease("a worker", seconds=40)
    began = store.start_run(lease, trigger="schedule", requested_by="daily", plan=PLAN, first_step="extract")
    assert store.cancelled_by(lease) is None
    assert store.ask_to_cancel(began.id, "bob")
    assert not store.ask_to_cancel(began.id, "cleo")
    assert store.cancelled_by(lease) == "bob"
    (ended,) = store.reap(lambda _holder: True)
    assert "cancelled by bob" in (ended.error or "")
    assert store.take_up_interrupted() is None
    with pytest.raises(PermanentError, match=r"Run 1 is not going on: it interrupted"):
        store.ask_to_cancel(began.id, "bob")
    with pytest.raises(PermanentError, match="Run 7 is not going on"):
        store.ask_to_cancel(7, "bob")


def test_after_three_times_in_a_row_the_run_waits_for_a_person_and_says_so(store: RunStore) -> None:
    store.add_schedule(DAILY, "ada")
    ended = interrupted(store)
    for _ in range(3):
        taken = store.take_up_interrupted()
        assert taken is not None
        assert not waits_for_a_person(taken)
        store.refuse(store.requests()[0].id, "served by the test")
        ended = interrupted(store, trigger="resume", resumes=ended.id)
    left = store.take_up_interrupted()
    assert left is not None
    assert waits_for_a_person(left)
    assert left.error is not None
    assert left.error.endswith("it now waits for a person")
    assert [event.level for event in store.events(left.id)] == ["warning", "error"]
    assert store.take_up_interrupted() is None
    assert len(store.requests()) == 3
