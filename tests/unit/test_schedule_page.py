"""The page Schedule: its rows, their next moments, and what became of those that have passed. Without a browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import page_kit
import pytest
from page_kit import HOSTILE, begin, failed, is_harmless, opened, press, whole, words
from streamlit.testing.v1 import AppTest

from pipeline.clock import FixedClock
from pipeline.runs.calendar import next_slots
from pipeline.runs.records import ScheduleKind, ScheduleRow, SlotOutcome
from pipeline.runs.store import RunStore
from streamlit_app import actions_schedule, auth, formats
from streamlit_app.auth import Role, RoleError, User

DAILY = ScheduleRow("daily", ScheduleKind.DAILY, hour=6, minute=0, timezone="Europe/Paris")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A run store that the app reads, a living worker, and an admin at the screen."""
    return page_kit.with_a_worker(page_kit.run_store(tmp_path, monkeypatch))


def tables(page: AppTest) -> str:
    return "\n".join(element.value.to_string() for element in page.table)


@pytest.mark.parametrize(
    ("language", "title", "when"), [("en", "Schedule", "Every day at"), ("fr", "Planification", "Chaque jour")]
)
def test_the_page_shows_each_row_with_its_next_moments_by_both_clocks(
    store: RunStore, language: str, title: str, when: str
) -> None:
    store.add_schedule(replace(DAILY, timezone="Asia/Tokyo"), "ada")
    page = whole("ops_schedule", lang=language)
    assert [header.value for header in page.header] == [title]
    assert when in words(page)
    (coming,) = [table.value for table in page.table]
    expected = next_slots(store.schedule("daily"), datetime.now(UTC), 3)
    shown = [tuple(line) for line in coming.to_numpy().tolist()]
    assert len(shown) == 3
    for (own, viewer), moment in zip(shown, expected, strict=True):
        tokyo = moment.astimezone(ZoneInfo("Asia/Tokyo"))
        assert f"{tokyo:%H:%M}" == own[-5:] == "06:00"
        assert f"{moment:%H:%M}" == viewer[-5:] == "21:00"


def test_an_empty_schedule_says_what_to_do_and_a_dead_worker_is_told(store: RunStore, tmp_path: Path) -> None:
    assert store.schedules() == []
    assert "Nothing runs by itself" in words(whole("ops_schedule"))
    assert "No worker is alive" not in words(whole("ops_schedule"))
    then = FixedClock(datetime.now(UTC) - timedelta(hours=1))
    RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=then).beat("worker-1", started_at=then.now(), doing="waiting")
    assert "No worker is alive" in words(whole("ops_schedule"))


def test_a_row_is_added_with_what_the_fields_hold(store: RunStore) -> None:
    page = whole("ops_schedule")
    assert page.button(key="new_save").disabled
    page.selectbox(key="new_kind").select(ScheduleKind.WEEKLY).run()
    page.text_input(key="new_name").set_value(" week's end ")
    page.selectbox(key="new_weekday").select(4)
    page.time_input(key="new_at").set_value(datetime(2019, 1, 1, 18, 30).time())
    page.selectbox(key="new_zone").select("America/New_York")
    page.selectbox(key="new_step").select("sheet")
    page.toggle(key="new_resumes").set_value(False).run()
    press(page, "new_save")
    assert failed(page) == []
    (row,) = store.schedules()
    assert row == replace(
        ScheduleRow(
            "week's end",
            ScheduleKind.WEEKLY,
            minute=30,
            hour=18,
            weekday=4,
            timezone="America/New_York",
            resumes=False,
            first_step="sheet",
            changed_by="ada",
        ),
        since=row.since,
        changed_at=row.changed_at,
    )
    assert "Every Friday at 18:30 (America/New_York)" in words(page)
    (noted,) = store.acts()
    assert (noted.who, noted.action, noted.what, noted.before) == ("ada", "schedule_add", "schedule week's end", None)
    assert noted.after["hour"] == 18


def test_a_row_is_changed_switched_off_and_deleted_and_each_leaves_before_and_after(store: RunStore) -> None:
    store.add_schedule(DAILY, "ada")
    page = whole("ops_schedule")
    page.selectbox(key="row_daily_kind").select(ScheduleKind.HOURLY).run()
    page.number_input(key="row_daily_minute").set_value(45).run()
    press(page, "row_daily_save")
    assert failed(page) == []
    press(page, "switch_daily")
    assert failed(page) == []
    off = store.schedule("daily")
    assert (off.kind, off.minute, off.hour, off.enabled) == (ScheduleKind.HOURLY, 45, None, False)
    assert tables(page) == ""  # what is off has no next moment
    press(page, "remove_daily")
    assert failed(page) == []
    assert store.schedules() == []
    told = [(row.action, row.before["kind"], (row.after or {}).get("enabled")) for row in reversed(store.acts())]
    assert told == [
        ("schedule_change", "daily", True),
        ("schedule_change", "hourly", False),
        ("schedule_remove", "hourly", None),
    ]


def test_a_name_that_is_taken_is_said_on_the_page_and_changes_nothing(store: RunStore) -> None:
    store.add_schedule(DAILY, "ada")
    page = whole("ops_schedule")
    page.text_input(key="new_name").set_value("daily").run()
    press(page, "new_save")
    assert "already has a row daily" in page.error[0].value
    assert store.acts() == []


@pytest.mark.usefixtures("store")
def test_what_became_of_the_last_moments_is_told(tmp_path: Path) -> None:
    clock = FixedClock(datetime.now(UTC) - timedelta(days=4))
    earlier = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    earlier.add_schedule(DAILY, "ada")
    clock.sleep(2.5 * 86400)
    earlier.serve_slots("daily")
    shown = tables(whole("ops_schedule"))
    assert "skipped: no worker was there" in shown
    assert "asked for; the worker is about to begin" in shown
    _, run = begin(earlier, request_id=earlier.requests()[0].id)
    clock.sleep(86400)
    slot = earlier.serve_slots("daily")
    assert slot is not None
    assert slot.outcome is SlotOutcome.ASKED  # the run's lease has run out long ago: it is in nobody's way
    assert f"Run {run.id}: going on" in tables(whole("ops_schedule"))


@pytest.mark.usefixtures("store")
def test_a_moment_whose_request_was_refused_or_is_gone_is_not_about_to_begin(tmp_path: Path) -> None:
    clock = FixedClock(datetime.now(UTC) - timedelta(days=800))
    earlier = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    earlier.add_schedule(DAILY, "ada")
    clock.sleep(86400)
    slot = earlier.serve_slots("daily")
    assert slot is not None
    assert slot.request_id is not None
    assert slot.standing == "waiting"
    earlier.refuse(slot.request_id, "The disk is *full*\n  next: free some")
    shown = tables(whole("ops_schedule"))
    assert "asked for, and refused: `The disk is *full*`" in shown
    assert "free some" not in shown
    assert earlier.prune_requests(datetime.now(UTC)) == 1
    shown = tables(whole("ops_schedule"))
    assert "what became of it is not kept any more" in shown
    assert "about to begin" not in shown


def test_a_run_that_waits_for_a_person_is_told(store: RunStore) -> None:
    store.add_schedule(DAILY, "ada")
    resumes = None
    for _ in range(4):
        _, run = begin(store, resumes=resumes, trigger="schedule" if resumes is None else "resume")
        store.reap(lambda _holder: True)
        resumes = run.id
        store.take_up_interrupted()
        for request in store.requests():
            store.refuse(request.id, "served by the test")
    assert "It now waits for a person" in "\n".join(error.value for error in opened("ops_schedule").error)


def test_whoever_is_no_admin_changes_nothing_of_the_schedule(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    row = store.add_schedule(DAILY, "ada")
    monkeypatch.setattr(auth, "current_user", lambda: User("max", Role.MANAGER))
    acts: tuple[Callable[[], object], ...] = (
        lambda: actions_schedule.add(replace(DAILY, name="another")),
        lambda: actions_schedule.change(replace(row, hour=7)),
        lambda: actions_schedule.switch("daily", on=False),
        lambda: actions_schedule.remove("daily"),
    )
    for act in acts:
        with pytest.raises(RoleError):
            act()
    assert store.schedules() == [row]
    assert store.acts() == []


def test_a_name_and_a_person_that_try_to_be_code_stay_texts(store: RunStore, tmp_path: Path) -> None:
    clock = FixedClock(datetime.now(UTC) - timedelta(days=2))
    earlier = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    hostile = HOSTILE[:40]  # a name has no more
    earlier.add_schedule(replace(DAILY, name=hostile), hostile)
    store.serve_slots(hostile)
    page = whole("ops_schedule")
    assert is_harmless(page, hostile)
    assert formats.plain(hostile) in tables(page)
    assert is_harmless(press(page, f"switch_{hostile}"), hostile)  # the answer names the row
