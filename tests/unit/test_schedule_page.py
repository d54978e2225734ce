"""The page Schedule, and what the page Runs got: parameters and what they cost, cancel, the trend. Without a browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from pipeline.clock import FixedClock, SystemClock
from pipeline.errors import ConfigurationError
from pipeline.runs.calendar import next_slots
from pipeline.runs.records import Lease, Run, RunState, ScheduleKind, ScheduleRow, SlotOutcome, StepState
from pipeline.runs.store import RunStore
from pipeline.steps import STEPS
from streamlit_app import actions, actions_schedule, auth, data, formats, operations, operations_schedule
from streamlit_app.auth import Role, RoleError, User

DAILY = ScheduleRow("daily", ScheduleKind.DAILY, hour=6, minute=0, timezone="Europe/Paris")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A run store that the app reads, a living worker, and an admin at the screen."""
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    data.in_force.cache_clear()
    opened = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=SystemClock())
    monkeypatch.setattr(data, "run_store", lambda: opened)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    opened.beat("worker-1", started_at=datetime.now(UTC), doing="waiting")
    return opened


def draw_schedule() -> None:
    from streamlit_app.views import ops_schedule

    ops_schedule.show()


def draw_runs() -> None:
    from streamlit_app.views import ops_runs

    ops_runs.show()


def opened(draws: Callable[[], None], language: str = "en") -> AppTest:
    page = AppTest.from_function(draws, default_timeout=60)
    page.query_params["lang"] = language
    page.run()
    whole(page)
    return page


def whole(page: AppTest) -> None:
    assert [error.message for error in page.exception] == []
    assert [error.value for error in page.error] == []


def words(page: AppTest) -> str:
    kinds = ("header", "subheader", "markdown", "caption", "warning", "error", "info", "toast")
    return "\n".join(str(element.value) for kind in kinds for element in page.get(kind))


def tables(page: AppTest) -> str:
    return "\n".join(element.value.to_string() for element in page.table)


def begin(store: RunStore, **parameters: object) -> tuple[Lease, Run]:
    lease = store.take_lease("worker-1", seconds=60)
    plan = [(step, StepState.PENDING) for step in STEPS]
    values: dict[str, object] = {"trigger": "schedule", "requested_by": "daily", "first_step": "extract"} | parameters
    return lease, store.start_run(lease, plan=plan, **values)  # type: ignore[arg-type]


# --- the schedule -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "title", "when"), [("en", "Schedule", "Every day at"), ("fr", "Planification", "Chaque jour")]
)
def test_the_page_shows_each_row_with_its_next_moments_by_both_clocks(
    store: RunStore, language: str, title: str, when: str
) -> None:
    store.add_schedule(replace(DAILY, timezone="Asia/Tokyo"), "ada")
    page = opened(draw_schedule, language)
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
    assert "Nothing runs by itself" in words(opened(draw_schedule))
    assert "No worker is alive" not in words(opened(draw_schedule))
    then = FixedClock(datetime.now(UTC) - timedelta(hours=1))
    RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=then).beat("worker-1", started_at=then.now(), doing="waiting")
    assert "No worker is alive" in words(opened(draw_schedule))


def test_a_row_is_added_with_what_the_fields_hold(store: RunStore) -> None:
    page = opened(draw_schedule)
    assert page.button(key="new_save").disabled
    page.selectbox(key="new_kind").select(ScheduleKind.WEEKLY).run()
    page.text_input(key="new_name").set_value(" week's end ")
    page.selectbox(key="new_weekday").select(4)
    page.time_input(key="new_at").set_value(datetime(2019, 1, 1, 18, 30).time())
    page.selectbox(key="new_zone").select("America/New_York")
    page.selectbox(key="new_step").select("sheet")
    page.toggle(key="new_resumes").set_value(False).run()
    page.button(key="new_save").click().run()
    whole(page)
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
    page = opened(draw_schedule)
    page.selectbox(key="row_daily_kind").select(ScheduleKind.HOURLY).run()
    page.number_input(key="row_daily_minute").set_value(45).run()
    page.button(key="row_daily_save").click().run()
    whole(page)
    page.button(key="switch_daily").click().run()
    whole(page)
    off = store.schedule("daily")
    assert (off.kind, off.minute, off.hour, off.enabled) == (ScheduleKind.HOURLY, 45, None, False)
    assert tables(page) == ""  # what is off has no next moment
    page.button(key="remove_daily").click().run()
    whole(page)
    assert store.schedules() == []
    told = [(row.action, row.before["kind"], (row.after or {}).get("enabled")) for row in reversed(store.acts())]
    assert told == [
        ("schedule_change", "daily", True),
        ("schedule_change", "hourly", False),
        ("schedule_remove", "hourly", None),
    ]


def test_a_name_that_is_taken_is_said_on_the_page_and_changes_nothing(store: RunStore) -> None:
    store.add_schedule(DAILY, "ada")
    page = opened(draw_schedule)
    page.text_input(key="new_name").set_value("daily").run()
    page.button(key="new_save").click().run()
    assert "already has a row daily" in page.error[0].value
    assert store.acts() == []


def test_what_became_of_the_last_moments_is_told(store: RunStore, tmp_path: Path) -> None:
    clock = FixedClock(datetime.now(UTC) - timedelta(days=4))
    earlier = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    earlier.add_schedule(DAILY, "ada")
    clock.sleep(2.5 * 86400)
    earlier.serve_slots("daily")
    shown = tables(opened(draw_schedule))
    assert "skipped: no worker was there" in shown
    assert "asked for; the worker is about to begin" in shown
    _, run = begin(earlier, request_id=earlier.requests()[0].id)
    clock.sleep(86400)
    slot = store.serve_slots("daily")
    assert slot is not None
    assert slot.outcome is SlotOutcome.ASKED  # the run's lease has run out long ago: it is in nobody's way
    assert f"Run {run.id}: going on" in tables(opened(draw_schedule))


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
    shown = tables(opened(draw_schedule))
    assert "asked for, and refused: The disk is \\*full\\*" in shown
    assert "free some" not in shown
    assert earlier.prune_requests(datetime.now(UTC)) == 1
    shown = tables(opened(draw_schedule))
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
    assert "It now waits for a person" in "\n".join(error.value for error in page_with_error(draw_schedule).error)


def page_with_error(draws: Callable[[], None]) -> AppTest:
    return AppTest.from_function(draws, default_timeout=60).run()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER])
def test_nobody_below_admin_reads_or_edits_the_schedule(store: RunStore, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    row = store.add_schedule(DAILY, "ada")
    _, run = begin(store)
    monkeypatch.setattr(auth, "current_user", lambda: User("vera", role))
    for act in (
        lambda: actions_schedule.add(replace(DAILY, name="another")),
        lambda: actions_schedule.change(replace(row, hour=7)),
        lambda: actions_schedule.switch("daily", on=False),
        lambda: actions_schedule.remove("daily"),
        lambda: actions.cancel(run.id),
        lambda: actions.run_with("extract", only_step=False, full_refresh=True),
        operations_schedule.rows,
        lambda: operations_schedule.next_slots(row),
        lambda: operations_schedule.slots(5),
        operations_schedule.left_to_a_person,
        operations_schedule.is_worker_alive,
        operations_schedule.bank_zone,
        lambda: operations.plan("extract", only_step=False, full_refresh=False),
        operations.asks_for_money,
        operations.planned_cost,
        operations.durations,
        lambda: operations.why_no_cancel(run),
    ):
        with pytest.raises(RoleError):
            act()
    assert store.schedules() == [row]
    assert store.acts() == []
    assert store.run(run.id).cancel_asked_by is None


# --- the runs -----------------------------------------------------------------------------------------------------------


def history(store: RunStore, tmp_path: Path) -> None:
    """Three whole runs of 10, 40 and 30 minutes, the second with everything built anew and the third stopped; and a short one."""
    clock = FixedClock(datetime(2019, 5, 1, tzinfo=UTC))
    earlier = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=clock)
    for minutes, first_step, ended in (
        (10, "extract", RunState.SUCCEEDED),
        (40, "extract", RunState.SUCCEEDED),
        (30, "extract", RunState.INTERRUPTED),
        (5, "sheet", RunState.SUCCEEDED),
    ):
        lease, run = begin(earlier, first_step=first_step)
        lease = earlier.renew(lease, seconds=7200)
        for step in STEPS[STEPS.index(first_step) :]:
            if ended is RunState.INTERRUPTED and step == "notify":
                break
            earlier.start_step(lease, run.id, step, attempt=1)
            clock.sleep(minutes * 12)
            detail = {"full_refresh": minutes == 40} if step == "transform" else {}
            earlier.finish_step(lease, run.id, step, state=StepState.SUCCEEDED, detail=detail)
        clock.sleep(minutes * 60 - (clock.now() - run.started_at).total_seconds())
        earlier.finish_run(lease, run.id, state=ended)
        earlier.release(lease)
        clock.sleep(3600)
    assert len(store.runs()) == 4


def test_the_plan_of_a_run_tells_what_each_step_does_and_how_long_it_took_lately(store: RunStore, tmp_path: Path) -> None:
    history(store, tmp_path)
    plan = operations.plan("transform", only_step=False, full_refresh=True)
    assert [step.name for step in plan] == ["transform", "sheet", "activate", "notify"]
    assert "build and test a candidate with duckdb" in plan[0].act
    # a fifth of the run each: transform of the one that built everything; sheet of 2, 8, 6 and 1 minutes, notify without the 6
    assert [step.seconds for step in plan] == [480, 240, 240, 120]
    (sheet,) = operations.plan("sheet", only_step=True, full_refresh=False)
    assert sheet.seconds == 240
    assert [step.seconds for step in operations.plan("transform", only_step=True, full_refresh=False)] == [240]


def test_the_trend_has_the_whole_runs_in_their_order_with_how_they_ended(store: RunStore, tmp_path: Path) -> None:
    history(store, tmp_path)
    drawn = operations.durations().select(["run", "value", "outcome"]).to_pylist()
    assert drawn == [
        {"run": 1, "value": 10.0, "outcome": "succeeded"},
        {"run": 2, "value": 40.0, "outcome": "succeeded"},
        {"run": 3, "value": 30.0, "outcome": "interrupted"},
    ]
    assert len(opened_runs(store).get("vega_lite_chart")) == 1


def opened_runs(store: RunStore) -> AppTest:
    assert store.runs()
    page = AppTest.from_function(draw_runs, default_timeout=60).run()
    assert [error.message for error in page.exception] == []
    return page


def test_a_run_is_asked_for_with_the_parameters_of_the_form(store: RunStore) -> None:
    page = opened(draw_runs)
    assert "not known yet" in words(page)
    page.selectbox(key="form_first_step").select("transform").run()
    page.toggle(key="form_only_step").set_value(True).run()
    page.toggle(key="form_full_refresh").set_value(True).run()
    page.button(key="run_with").click().run()
    whole(page)
    (request,) = store.requests()
    assert dict(request.parameters) == {"first_step": "transform", "only_step": True, "full_refresh": True, "resumes": None}
    (noted,) = store.acts()
    assert (noted.who, noted.action, noted.what) == ("ada", "run_with", "run from transform")
    assert page.button(key="run_with").disabled
    assert "a run was already asked for by ada" in words(page)


def test_a_run_that_builds_nothing_cannot_build_everything(store: RunStore) -> None:
    page = opened(draw_runs)
    page.toggle(key="form_full_refresh").set_value(True).run()
    page.selectbox(key="form_first_step").select("sheet").run()
    assert page.toggle(key="form_full_refresh").disabled
    page.button(key="run_with").click().run()
    assert store.requests()[0].parameters["full_refresh"] is False


def test_a_step_that_does_not_exist_is_refused(store: RunStore) -> None:
    with pytest.raises(ConfigurationError, match="There is no step rm"):
        actions.run_with("rm", only_step=True, full_refresh=False)
    assert store.requests() == []


def test_the_run_that_is_going_on_is_cancelled_once_and_the_button_says_so(store: RunStore) -> None:
    _, run = begin(store)
    page = opened(draw_runs)
    button = page.button(key="cancel")
    assert (button.label, button.disabled) == ("Cancel run 1", False)
    button.click().run()
    whole(page)
    again = page.button(key="cancel")
    assert (again.label, again.disabled) == ("Run 1 is being cancelled", True)
    asked = store.run(run.id)
    assert asked.cancel_asked_by == "ada"
    assert [(row.who, row.action, row.what) for row in store.acts()] == [("ada", "cancel", "run 1")]
    assert actions.cancel(run.id).answer == "cancel_under_way"
    assert len(store.acts()) == 1


def test_a_run_that_has_ended_cannot_be_cancelled(store: RunStore) -> None:
    lease, run = begin(store)
    store.finish_run(lease, run.id, state=RunState.FAILED)
    store.release(lease)
    assert actions.cancel(run.id).answer == "cancel_over"


def test_the_days_of_the_week_have_their_names() -> None:
    assert [formats.weekday(day) for day in (0, 6)] == ["Monday", "Sunday"]
