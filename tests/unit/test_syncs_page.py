"""The page Syncs: what a sync did, what it would do, the press that asks for exactly that, and the rows that were refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import page_kit
import pytest
from page_kit import HARMLESS, HOSTILE, cells, is_harmless, whole, words
from streamlit.testing.v1 import AppTest

from pipeline.marts import ConfinedError
from pipeline.runs.records import RequestState, StepState, SyncState
from pipeline.runs.store import RunStore
from streamlit_app import actions, auth, data, formats
from streamlit_app.auth import Role, RoleError, User
from streamlit_app.components import states

COUNTS = {"created": 3, "updated": 0, "unchanged": 5, "deleted": 0, "rejected": 2, "invalid": 1}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return page_kit.published_home(tmp_path, monkeypatch)


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    return page_kit.run_store(home, monkeypatch)


def record(store: RunStore, *, who: str = "daily", scope: Mapping[str, object] | None = None) -> None:
    store.record_sync(
        "customer_status",
        state=SyncState.PARTIAL,
        service="embedded reverse ETL",
        who=who,
        scope=scope or {},
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        counts=COUNTS,
        notes=("partial: the destination refused 2 rows",),
        rejects=[("71", "no such contact", {"user_id": "71", "plan": "METAL"}), ("8", "blocked", {}), ("", "no key", {})],
    )


def tables(shown: AppTest) -> list[list[list[str]]]:
    return [table.value.values.tolist() for table in shown.table]


def test_what_a_sync_did_is_told_with_its_refused_rows_and_what_was_to_be_sent(store: RunStore) -> None:
    record(store)
    shown = whole("ops_syncs")
    history, rejects = tables(shown)
    assert history[0][1:] == ["some rows were refused", "daily, by hand", "3", "0", "5", "0", "2", "1"]
    assert [row[:2] for row in rejects] == [["`71`", "`no such contact`"], ["`8`", "`blocked`"], ["`–`", "`no key`"]]
    assert rejects[0][2] == '`{"user_id": "71", "plan": "METAL"}`'
    assert [each.value for each in shown.warning] == [formats.plain("partial: the destination refused 2 rows")]
    assert "3 of 3" in [each.value for each in shown.caption]


def test_a_sync_is_told_in_the_language_of_the_page(store: RunStore) -> None:
    record(store)
    english, french = (words(whole("ops_syncs", lang=language)) for language in ("en", "fr"))
    assert "`sync_customer_status` to tab `Customers`, mirror · for customer relations" in english
    assert "`sync_customer_status` vers l'onglet `Customers`, copie conforme · pour la relation client" in french
    assert "En anglais\u00a0: Every customer with plan" in french
    assert "\nEvery customer with plan" in f"\n{english}"


def test_a_refused_row_is_found_by_its_key(store: RunStore) -> None:
    record(store)
    shown = whole("ops_syncs")
    shown.text_input(key="rejects_key").set_value("7").run()
    assert [row[0] for row in tables(shown)[1]] == ["`71`"]
    assert "1 of 1" in [each.value for each in shown.caption]


def test_the_plan_is_shown_and_exactly_that_plan_is_asked_for_once(store: RunStore) -> None:
    store.beat("worker-1", started_at=datetime.now(UTC), doing="waiting")
    shown = whole("ops_syncs")
    shown.button(key="show_plan").click().run()
    assert tables(shown)[0] == [["7", "0", "0", "0", "0", "0", "0"]]
    shown.button(key="carry_out").click().run()
    [request] = store.requests()
    assert (request.kind, request.state, request.requested_by) == ("sync", RequestState.WAITING, "ada")
    assert request.parameters["sync"] == "customer_status"
    assert request.parameters["scope"] == {"only": "", "afresh": False}
    assert len(request.parameters["digest"]) == 16
    [audited] = store.acts()
    assert (audited.who, audited.action, audited.what) == ("ada", "carry_out_sync", "customer_status")
    shown.run()
    assert "carry_out" not in [button.key for button in shown.button]  # the plan that was shown has been overtaken


def test_one_row_is_planned_by_its_key_and_an_unknown_key_is_told(store: RunStore) -> None:
    shown = whole("ops_syncs")
    shown.button_group(key="scope_customer_status").set_value("only").run()
    assert shown.button(key="show_plan").disabled
    shown.text_input(key="key_customer_status").set_value("3").run()
    shown.button(key="show_plan").click().run()
    assert tables(shown)[0] == [["1", "0", "0", "0", "6", "0", "0"]]
    shown.text_input(key="key_customer_status").set_value("99").run()
    shown.button(key="show_plan").click().run()
    assert formats.plain("the row 99 cannot be tried: the source has no such row") in shown.error[0].value
    assert not store.requests()


@pytest.mark.usefixtures("store")
def test_the_plan_of_another_scope_is_not_shown() -> None:
    shown = whole("ops_syncs")
    shown.button(key="show_plan").click().run()
    assert len(tables(shown)) == 1
    shown.button_group(key="scope_customer_status").set_value("afresh").run()
    assert tables(shown) == []


def test_a_press_while_a_run_is_going_on_asks_for_nothing(store: RunStore) -> None:
    store.beat("worker-1", started_at=datetime.now(UTC), doing="running")
    lease = store.take_lease("worker-1", seconds=60)
    store.start_run(lease, trigger="cli", requested_by="ada", plan=[("extract", StepState.PENDING)], first_step="extract")
    outcome = actions.carry_out_sync("customer_status", digest="abc")
    assert (outcome.accepted, outcome.answer) == (False, "running")
    assert store.requests() == []


def test_without_a_worker_the_button_is_off_and_says_why(store: RunStore) -> None:
    shown = whole("ops_syncs")
    shown.button(key="show_plan").click().run()
    assert shown.button(key="carry_out").disabled
    assert any("no worker is alive" in each.value for each in shown.caption)
    assert not store.requests()


def test_what_came_of_a_press_is_told(store: RunStore) -> None:
    request = store.request_sync("ada", sync="customer_status", scope={"only": "", "afresh": False}, digest="abc")
    assert any(each.value == "Asked for by ada; the worker begins within seconds." for each in whole("ops_syncs").caption)
    store.claim(request.id)
    store.answer(request.id, "customer_status: 3 created")
    assert any(each.value == "Last asked for by ada: `customer_status: 3 created`" for each in whole("ops_syncs").caption)


@pytest.mark.usefixtures("store")
def test_the_page_is_not_for_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User("maria", Role.MANAGER))
    with pytest.raises(RoleError):
        page_kit.draw("ops_syncs")


def test_an_error_a_note_and_what_a_step_is_doing_that_try_to_be_code_stay_texts(store: RunStore) -> None:
    shown = []
    for text in (f"{HOSTILE}\n  where: {HOSTILE}\n  {HOSTILE}", f"no where: {HOSTILE}"):
        lines = states.in_lines(text)
        assert HOSTILE not in "".join(lines)
        shown += lines
    assert shown[:2] == [f"**{formats.plain(HOSTILE)}**", f"Where: {formats.plain(HOSTILE)}"]
    assert states.how_far("Extract", HOSTILE) == f"Extract · {formats.plain(HOSTILE)}"
    began = datetime(2026, 1, 1, tzinfo=UTC)
    told = {"notes": (HOSTILE,), "error": f"{HOSTILE}\n  safe: {HOSTILE}"}
    store.record_sync("customer_status", state=SyncState.FAILED, service="x", who="ada", started_at=began, **told)
    page = page_kit.opened("ops_syncs")
    assert is_harmless(page)
    assert len(page.error) == len(page.warning) == 1


def test_a_person_a_key_and_an_answer_that_try_to_be_code_stay_texts(store: RunStore) -> None:
    record(store, who=HOSTILE, scope={"only": HOSTILE})
    request = store.request_sync(HOSTILE, sync="customer_status", scope={"only": HOSTILE, "afresh": False}, digest="abc")
    assert is_harmless(whole("ops_syncs"))
    store.claim(request.id)
    store.answer(request.id, f"{HOSTILE}\n  {HOSTILE}")
    store.reserve("mail-1", HOSTILE, {})
    page = whole("ops_syncs")
    assert is_harmless(page)
    assert HARMLESS in cells(page)


# --- the push of the early warnings from the page Churn ---------------------------------------------------------------


def test_a_push_asks_for_the_plan_of_the_moment_and_is_noted_down_with_its_rows(store: RunStore) -> None:
    store.beat("worker-1", started_at=datetime.now(UTC), doing="waiting")
    assert actions.push_early_warnings().accepted
    [request] = store.requests()
    assert (request.kind, request.parameters["sync"], len(request.parameters["digest"])) == ("sync", "early_warnings", 16)
    pushed, asked = store.acts()
    assert (pushed.who, pushed.action, pushed.after["rows"]) == ("ada", "push_early_warnings", 1)
    assert asked.action == "carry_out_sync"
    assert actions.push_early_warnings().answer == "waiting"
    assert len(store.requests()) == 1


def test_rows_that_are_changed_and_taken_out_are_noted_down_with_those_that_are_new(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.beat("worker-1", started_at=datetime.now(UTC), doing="waiting")
    counts = {"create": 1, "update": 20, "delete": 300, "same": 4000}
    plan = SimpleNamespace(is_idle=False, tripped=(), digest="0123456789abcdef", count=counts.get)
    monkeypatch.setattr(actions.ByHand, "plans", lambda *_: [plan])
    assert actions.push_early_warnings().accepted
    pushed, _ = store.acts()
    assert pushed.after["rows"] == 321


def test_without_a_worker_or_a_sync_of_that_name_nothing_is_pushed_and_the_reason_is_said(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert actions.push_early_warnings().answer == "no_worker"
    own = tmp_path / "syncs.yml"
    own.write_text("syncs: {}")
    monkeypatch.setenv("NEOPULSE_SYNCS", str(own))
    data.in_force.cache_clear()
    assert actions.push_early_warnings().answer == "push_elsewhere"
    assert store.requests() == []


def test_only_an_admin_who_sees_every_country_pushes(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for user, error in (
        (User("max", Role.MANAGER), RoleError),
        (User("eva", Role.ADMIN, frozenset({"FR"})), ConfinedError),
    ):
        monkeypatch.setattr(auth, "current_user", lambda user=user: user)
        with pytest.raises(error):
            actions.push_early_warnings()
    assert store.requests() == []
