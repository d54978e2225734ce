"""The page Runs: a run with parameters and what it costs, cancel, and the trend. Without a browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import page_kit
import pytest
from page_kit import HOSTILE, begin, failed, is_harmless, press, whole, words

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError
from pipeline.runs.records import RunState, StepState
from pipeline.runs.store import RunStore
from pipeline.runs.trail import Acts
from pipeline.steps import STEPS
from streamlit_app import actions, auth, operations
from streamlit_app.auth import Role, RoleError, User


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A run store that the app reads, a living worker, and an admin at the screen."""
    return page_kit.with_a_worker(page_kit.run_store(tmp_path, monkeypatch))


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
    assert len(whole("ops_runs").get("vega_lite_chart")) == 1


def test_a_run_is_asked_for_with_the_parameters_of_the_form(store: RunStore) -> None:
    page = whole("ops_runs")
    assert "not known yet" in words(page)
    page.selectbox(key="form_first_step").select("transform").run()
    page.toggle(key="form_only_step").set_value(True).run()
    page.toggle(key="form_full_refresh").set_value(True).run()
    press(page, "run_with")
    assert failed(page) == []
    (request,) = store.requests()
    assert dict(request.parameters) == {"first_step": "transform", "only_step": True, "full_refresh": True, "resumes": None}
    (noted,) = store.acts(Acts(), limit=10)
    assert (noted.who, noted.action, noted.what) == ("ada", "run_with", "run from transform")
    assert page.button(key="run_with").disabled
    assert "a run was already asked for by ada" in words(page)


def test_a_run_that_builds_nothing_cannot_build_everything(store: RunStore) -> None:
    page = whole("ops_runs")
    page.toggle(key="form_full_refresh").set_value(True).run()
    page.selectbox(key="form_first_step").select("sheet").run()
    assert page.toggle(key="form_full_refresh").disabled
    press(page, "run_with")
    assert store.requests()[0].parameters["full_refresh"] is False


def test_a_step_that_does_not_exist_is_refused(store: RunStore) -> None:
    with pytest.raises(ConfigurationError, match="There is no step rm"):
        actions.run_with("rm", only_step=True, full_refresh=False)
    assert store.requests() == []


def test_the_run_that_is_going_on_is_cancelled_once_and_the_button_says_so(store: RunStore) -> None:
    _, run = begin(store)
    page = whole("ops_runs")
    button = page.button(key="cancel")
    assert (button.label, button.disabled) == ("Cancel run 1", False)
    button.click().run()
    assert failed(page) == []
    again = page.button(key="cancel")
    assert (again.label, again.disabled) == ("Run 1 is being cancelled", True)
    asked = store.run(run.id)
    assert asked.cancel_asked_by == "ada"
    assert [(row.who, row.action, row.what) for row in store.acts(Acts(), limit=10)] == [("ada", "cancel", "run 1")]
    assert actions.cancel(run.id).answer == "cancel_under_way"
    assert len(store.acts(Acts(), limit=10)) == 1


def test_a_run_that_has_ended_cannot_be_cancelled(store: RunStore) -> None:
    lease, run = begin(store)
    store.finish_run(lease, run.id, state=RunState.FAILED)
    store.release(lease)
    assert actions.cancel(run.id).answer == "cancel_over"


@pytest.mark.parametrize(("language", "title"), [("en", "A sync by hand is going on"), ("fr", "Une synchronisation à la main")])
def test_a_sync_by_hand_is_shown_while_it_is_going_on(store: RunStore, language: str, title: str) -> None:
    request = store.request_sync(HOSTILE, sync="customer_status", scope={"only": "", "afresh": False}, digest="abc")
    lease = store.take_lease("worker-1", seconds=60)
    store.claim(request.id)
    page = whole("ops_runs", lang=language)
    assert title in words(page)
    assert "`customer_status`" in words(page)
    assert is_harmless(page)
    assert [button for button in page.button if button.key == "cancel"] == []
    store.answer(request.id, "customer_status: 3 created")
    store.release(lease)
    assert title not in words(whole("ops_runs", lang=language))


def test_a_sync_at_a_command_line_is_shown_with_where_it_was_begun(store: RunStore, tmp_path: Path) -> None:
    earlier = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=FixedClock(datetime.now(UTC) - timedelta(minutes=1)))
    earlier.take_lease(HOSTILE, seconds=600)
    page = whole("ops_runs")
    assert "Begun at a command line" in words(page)
    assert is_harmless(page)
    assert store.latest() is None


def test_whoever_is_no_admin_starts_and_cancels_nothing(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _, run = begin(store)
    monkeypatch.setattr(auth, "current_user", lambda: User("max", Role.MANAGER))
    with pytest.raises(RoleError):
        actions.cancel(run.id)
    with pytest.raises(RoleError):
        actions.run_with("extract", only_step=False, full_refresh=True)
    assert store.run(run.id).cancel_asked_by is None
    assert store.requests() == []
    assert store.acts(Acts(), limit=1) == []


def test_a_person_who_tries_to_be_code_stays_a_text(store: RunStore) -> None:
    lease, run = begin(store, requested_by=HOSTILE)
    assert is_harmless(whole("ops_runs"))
    store.finish_run(lease, run.id, state=RunState.FAILED)
    store.release(lease)
    assert is_harmless(whole("ops_runs"))
    store.request_run(HOSTILE)
    assert is_harmless(whole("ops_runs"))


def test_a_link_to_a_run_that_is_not_there_says_so_until_a_run_is_chosen(store: RunStore, tmp_path: Path) -> None:
    history(store, tmp_path)
    page = whole("ops_runs", run="99999")
    told = "There is no run `99999`; shown instead: Run 4."
    assert told in [warning.value for warning in page.warning]
    assert page.query_params["run"] == "99999"
    page = press(page, "run_2")
    assert told not in words(page)
    assert page.query_params["run"] == "2"


@pytest.mark.parametrize(("language", "names"), [("en", ["extract", "notify"]), ("fr", ["extraction", "courriel"])])
def test_a_run_names_its_steps_in_the_language_of_the_page(
    store: RunStore, tmp_path: Path, language: str, names: list[str]
) -> None:
    history(store, tmp_path)
    page = whole("ops_runs", lang=language)
    (marks, *_) = [each.value for each in page.markdown if ":small[" in each.value and names[0] in each.value]
    assert f"\u00a0{names[0]}]" in marks
    assert f"\u00a0{names[1]}]" in marks
