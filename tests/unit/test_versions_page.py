"""The page Versions: what is kept, two side by side, the way back, and the candidate that waits for an admin."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hand_made import House
from page_kit import HOSTILE, cells, failed, is_harmless, opened, press, words

from pipeline.errors import HeldError
from pipeline.marts import Headline
from pipeline.metrics import Metric
from pipeline.runs.records import RequestState
from pipeline.warehouse.publication import Version
from streamlit_app import actions_versions, auth, data, formats, operations_versions
from streamlit_app.auth import Role, RoleError, User
from streamlit_app.messages import text

CUSTOMERS = "marts.mart_customers"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Two versions and a candidate that waits."""
    house = House.at(tmp_path_factory.mktemp("made"))
    house.transform(1000)
    house.clock.sleep(60)
    house.transform(1100)
    house.clock.sleep(60)
    with pytest.raises(HeldError):
        house.transform(400, tables={CUSTOMERS: "select range as user_id, 7 as country, 'x' as tier from range(400)"})
    house.store.release(house.store.lease())  # type: ignore[arg-type]
    return house


@pytest.fixture
def house(made: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """The same in a home that the app reads; a worker is alive."""
    house = House.at(tmp_path)
    house.take_over(made)
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    data.in_force.cache_clear()
    monkeypatch.setattr(data, "run_store", lambda: house.store)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    house.clock.sleep((datetime.now(UTC) - house.clock.now()).total_seconds())
    house.store.beat("worker-1", started_at=house.clock.now(), doing="waiting")
    return house


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_candidate_that_waits_is_shown_with_every_reason_and_what_readers_see(house: House, language: str) -> None:
    page = opened("ops_versions", lang=language)
    assert failed(page) == []
    shown = words(page).replace("\u202f", " ").replace("\xa0", " ")
    assert text("ops_versions.waits", language, run=3) in shown
    reasons = {
        "en": [
            "Rows of mart_customers: 400, 61.9% fewer than the usual 1,050 (median; publications: 2).",
            "The column mart_customers.country is INTEGER; it was VARCHAR in v0002.",
            "The column mart_customers.tier (VARCHAR) is new since v0002.",
        ],
        "fr": ["Lignes de mart_customers : 400, 61,9 % de moins que les 1 050 habituelles (médiane ; publications : 2)."],
    }
    for reason in reasons[language]:
        assert reason in shown
    assert house.names() == ["v0002", "v0001"]


def test_an_approval_asks_for_its_reason_and_leaves_one_request_and_one_audit_row(house: House) -> None:
    page = press(opened("ops_versions"), "approve")
    page.text_area(key="note").set_value("the branch in Lille closed")
    page = press(page, "decide_do")
    assert failed(page) == []
    [request] = house.store.requests()
    assert (request.state, request.trigger, request.parameters["approves"]) == (RequestState.WAITING, "approval", 3)
    [row] = house.store.acts()
    assert (row.who, row.action, row.what) == ("ada", "approve", "candidate of run 3")
    assert row.after == {"state": "approved", "note": "the branch in Lille closed"}
    assert row.before["readers_see"] == "v0002"
    decision = house.store.decision(3)
    assert decision is not None
    assert (decision.state, decision.decided_by) == ("approved", "ada")
    assert text("answers.press.approved", "en", run=3, request=request.id) in words(page)


def test_fifty_approvals_at_once_are_one_request_and_one_audit_row(house: House) -> None:
    outcomes = []
    gate = threading.Barrier(10)

    def approve() -> None:
        gate.wait()
        outcomes.extend(actions_versions.approve(3, "") for _ in range(5))

    threads = [threading.Thread(target=approve) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.accepted for outcome in outcomes].count(True) == 1
    assert len(house.store.requests()) == 1
    assert len(house.store.acts()) == 1


def test_a_rejection_deletes_the_candidate_and_says_what_readers_keep(house: House) -> None:
    page = press(opened("ops_versions"), "reject")
    assert text("ops_versions.reject_means", "en", run=3, current="v0002") in words(page)
    page = press(page, "decide_do")
    assert house.held.waiting() == []
    assert text("ops_versions.waits", "en", run=3) not in words(page)
    [row] = house.store.acts()
    assert (row.action, row.after["state"]) == ("reject", "rejected")
    late = actions_versions.approve(3, "")
    assert (late.accepted, late.answer) == (False, "not_waiting")
    assert house.store.requests() == []


def test_without_a_worker_the_button_is_off_and_says_why_and_a_rejection_needs_none(house: House) -> None:
    house.clock.sleep(-600)
    house.store.beat("worker-1", started_at=house.clock.now(), doing="waiting")
    page = opened("ops_versions")
    assert page.button(key="approve").disabled
    assert not page.button(key="reject").disabled
    assert text("answers.press.no_worker", "en") in words(page)
    assert actions_versions.approve(3, "").answer == "no_worker"


def test_the_kept_versions_tell_tests_rows_last_day_and_run_and_lead_back(house: House) -> None:
    page = opened("ops_versions")
    shown = words(page)
    for fact in ("**v0002**", "**v0001**", "data to 28 Feb 2026", "60 of 62 tests", "by run 2", "1,100 rows"):
        assert fact in shown, fact
    page = press(press(page, "show_v0001"), "roll_back_do")
    assert failed(page) == []
    current = house.publications.current()
    assert current is not None
    assert current.name == "v0001"


def figures(version: Version) -> tuple[Headline, ...]:
    label = {"en": "Active customers", "fr": "Clients actifs"}
    metric = Metric("active_customers", label, label, "customers", "m", "c")
    value = float(version.rows["mart_customers"])
    day = date(2026, 2, 28)
    return (Headline(metric, "day", day, value, None, None, None, None, day, provisional=False),)


class Figures:
    def __init__(self, version: Version) -> None:
        self._version = version

    def headline(self) -> tuple[Headline, ...]:
        return figures(self._version)


@pytest.mark.usefixtures("house")
def test_two_versions_side_by_side_show_figures_rows_tests_and_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations_versions, "reader", Figures)
    page = opened("ops_versions", section="compare")
    assert failed(page) == []
    assert (page.selectbox(key="before").value, page.selectbox(key="after").value) == ("v0002", "run 3")
    tables = [table.value.to_csv() for table in page.table]
    assert 'Active customers,"1,100",400,−700' in tables[0]
    assert 'mart_customers,"1,100",400,−700,−63.6%' in tables[1]
    assert "mart_customers,country,VARCHAR,INTEGER" in tables[2]
    assert "mart_customers,tier,–,VARCHAR" in tables[2]
    page.selectbox(key="after").set_value("v0001").run()
    assert 'mart_customers,"1,100","1,000",−100,−9.1%' in page.table[1].value.to_csv()
    assert text("ops_versions.no_column_changed", "en") in words(page)


@pytest.mark.parametrize(("language", "before", "after"), [("en", "passed", "with a warning"), ("fr", "réussi", "avertissement")])
def test_a_test_that_ended_otherwise_or_is_in_one_version_only_is_named(
    house: House, language: str, before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, oldest = house.publications.versions()
    (newest.folder / "tests.json").write_text('[{"name": "a", "status": "warn"}, {"name": "b", "status": "pass"}]')
    (oldest.folder / "tests.json").write_text('[{"name": "a", "status": "pass"}, {"name": "b", "status": "pass"}]')
    found = operations_versions.compare(oldest, newest)
    assert [(side.name, side.before, side.after) for side in found.tests] == [("a", "pass", "warn")]
    monkeypatch.setattr(operations_versions, "reader", Figures)
    page = opened("ops_versions", section="compare", lang=language, before=oldest.name, after=newest.name)
    assert failed(page) == []
    [(name, was, now)] = page.table[2].value.to_numpy().tolist()
    assert name == "a"
    assert was == before
    assert after in now


@pytest.mark.usefixtures("house")
def test_what_became_of_earlier_candidates_stays_to_be_read() -> None:
    actions_versions.reject(3, "a file is missing")
    page = opened("ops_versions", section="decisions")
    assert failed(page) == []
    table = page.table[0].value.to_csv()
    for cell in ("rejected", "ada", "a file is missing", "61.9% fewer"):
        assert cell in table


def test_whoever_is_no_admin_sees_no_candidate_and_decides_about_none(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User("maria", Role.MANAGER))
    for decide in (actions_versions.approve, actions_versions.reject):
        with pytest.raises(RoleError):
            decide(3, "")
    assert house.store.acts() == []
    assert len(house.held.waiting()) == 1
    assert text("ops_versions.waits", "en", run=3) not in words(opened("ops_versions"))


@pytest.mark.usefixtures("house")
def test_a_person_and_a_note_that_try_to_be_code_stay_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User(HOSTILE, Role.ADMIN))
    actions_versions.reject(3, HOSTILE)
    page = opened("ops_versions", section="decisions")
    assert failed(page) == []
    assert is_harmless(page)
    assert cells(page).count(formats.plain(HOSTILE)) == 2


def test_a_newer_version_makes_the_candidates_card_go(house: House) -> None:
    assert text("ops_versions.waits", "en", run=3) in words(opened("ops_versions"))
    candidate = house.candidate(9, {CUSTOMERS: "select 1 as user_id"}, lease_token=99)
    house.clock.sleep(60)
    house.publications.publish(replace(candidate, started_at=house.clock.now()), clock=house.clock, guard=lambda: None)
    assert operations_versions.held() is None
    assert text("ops_versions.waits", "en", run=3) not in words(opened("ops_versions"))
