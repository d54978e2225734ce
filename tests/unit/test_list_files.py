"""The lists of Runs, Syncs, Versions and data problems as files: whole, for whom, and without what others worded."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import page_kit
import pytest
from hand_made import House
from page_kit import begin, opened, whole

from pipeline.runs.records import RunState, SyncState
from pipeline.runs.store import RunStore
from streamlit_app import auth, data
from streamlit_app.auth import Role, RoleError, User
from streamlit_app.components import chart_files, list_files
from streamlit_app.messages import text
from streamlit_app.views import ops_runs

SECRET = "hunter2"
Makes = Mapping[str, Callable[[], bytes]]


@pytest.fixture
def makes(monkeypatch: pytest.MonkeyPatch) -> Makes:
    """Every file that the page drawn last offers, by its name: the menus are unfolded."""
    found: dict[str, Callable[[], bytes]] = {}
    monkeypatch.setattr(chart_files, "menu", lambda files: chart_files.buttons(files, auth.current_user()))
    monkeypatch.setattr(chart_files, "button", lambda _label, make, *, file_name, **_: found.update({file_name: make}))
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return page_kit.published_home(tmp_path, monkeypatch)


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    return page_kit.run_store(home, monkeypatch)


def rows(written: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.decode("utf-8"), newline="")))


def failed_runs(store: RunStore, many: int) -> None:
    for _ in range(many):
        lease, run = begin(store)
        error = f"Cannot reach postgresql://ada:{SECRET}@db"
        store.finish_run(lease, run.id, state=RunState.FAILED, error_kind="transient", error=error)
        store.release(lease)


def record(store: RunStore) -> None:
    store.record_sync(
        "customer_status",
        state=SyncState.PARTIAL,
        service="embedded reverse ETL",
        who="daily",
        scope={"only": "71"},
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        counts={"created": 3, "rejected": 2},
        notes=(f"sent to https://hooks.example.org/?token={SECRET}",),
        link=f"https://census.example.org/{SECRET}",
        rejects=[("71", "no such contact", {"user_id": "71", "plan": "METAL"}), ("8", "=1+1", {})],
    )


def test_the_file_of_runs_has_them_all_and_no_text_of_an_error(store: RunStore, makes: Makes) -> None:
    many = ops_runs.RUNS_A_PAGE + 2
    failed_runs(store, many)
    assert opened("ops_runs").exception == []
    written = makes["neopulse-runs.csv"]()
    found = rows(written)
    assert tuple(found[0]) == list_files.RUN
    assert [int(row["run"]) for row in found] == list(range(many, 0, -1))
    assert {(row["state"], row["requested_by"], row["error_kind"]) for row in found} == {("failed", "daily", "transient")}
    assert SECRET not in written.decode()
    assert makes["neopulse-runs.xlsx"]().startswith(b"PK")
    noted = [(row.who, row.what, row.after["rows"]) for row in store.acts()]
    assert noted == [("ada", "runs", many)] * 2


def test_the_trend_of_runs_can_be_taken_along_like_every_chart(
    store: RunStore, makes: Makes, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []

    def draw(drawing: Any) -> bytes:
        drawn.append(drawing)
        return b"drawn"

    monkeypatch.setattr(chart_files.pictures, "png", draw)
    failed_runs(store, 2)
    assert opened("ops_runs").exception == []
    assert [row["run"] for row in rows(makes["neopulse-run_durations.csv"]())] == ["1", "2"]
    assert makes["neopulse-run_durations.png"]() == b"drawn"
    assert [row["run"] for row in drawn[0]["datasets"]["drawn"]] == [1, 2]
    assert drawn[0]["title"]["subtitle"] == [text("ops_runs.trend_explained", "en")]


def test_the_files_of_a_sync_have_what_it_did_and_the_rows_that_were_not_taken(store: RunStore, makes: Makes) -> None:
    record(store)
    page = whole("ops_syncs")
    history = makes["neopulse-syncs-customer_status.csv"]()
    (done,) = rows(history)
    assert tuple(done) == list_files.SYNC
    assert (done["who"], done["only"], done["created"], done["rejected"], done["deleted"]) == ("daily", "71", "3", "2", "")
    refused = rows(makes["neopulse-refused_rows-customer_status.csv"]())
    assert [(row["key"], row["reason"]) for row in refused] == [("71", "no such contact"), ("8", "'=1+1")]
    assert refused[0]["row"] == '{"user_id": "71", "plan": "METAL"}'
    assert SECRET not in history.decode()

    page.text_input(key="rejects_key").set_value("7").run()
    assert [row["key"] for row in rows(makes["neopulse-refused_rows-customer_status.csv"]())] == ["71"]
    assert store.acts()[0].after["filters"]["key"] == "7"


def test_the_file_of_versions_has_the_kept_ones_and_says_which_is_current(
    tmp_path: Path, makes: Makes, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House.at(tmp_path)
    for customers in (1000, 1100):
        house.transform(customers)
        house.clock.sleep(60)
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    data.in_force.cache_clear()
    monkeypatch.setattr(data, "run_store", lambda: house.store)
    monkeypatch.setattr(auth, "current_user", lambda: User("ada", Role.ADMIN))
    whole("ops_versions")
    found = rows(makes["neopulse-versions.csv"]())
    assert [(row["version"], row["is_current"]) for row in found] == [("v0002", "True"), ("v0001", "False")]
    assert tuple(found[0]) == list_files.VERSION


@pytest.mark.parametrize("name", ["neopulse-runs.csv", "neopulse-syncs-customer_status.csv", "neopulse-run_durations.png"])
def test_a_list_of_operations_is_no_file_for_who_is_no_admin_any_more(
    store: RunStore, makes: Makes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_runs(store, 2)
    record(store)
    for page in ("ops_runs", "ops_syncs"):
        assert opened(page).exception == []
    monkeypatch.setattr(auth, "current_user", lambda: User("maria", Role.MANAGER))
    with pytest.raises(RoleError):
        makes[name]()


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_the_data_problems_are_a_file_with_what_they_rest_on(makes: Makes, come_in: Callable[[User], None]) -> None:
    come_in(User("vera", Role.VIEWER))
    whole("definitions", section="quality")
    (name,) = (name for name in makes if name.endswith(".csv"))
    assert name == "neopulse-data_problems-v0001-2019-05-10.csv"
    found, told = rows(makes[name]()), data.data_quality().to_pylist()
    assert [(row["reason"], int(row["rows_affected"])) for row in found] == [
        (row["reason"], row["rows_affected"]) for row in told
    ]
    assert {(row["version"], row["as_of"]) for row in found} == {("v0001", "2019-05-10")}


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_menu_of_a_list_is_folded_and_in_the_readers_language(store: RunStore, language: str) -> None:
    failed_runs(store, 1)
    page: Any = opened("ops_runs", lang=language)
    folded = [popover.proto.popover.label for popover in page.get("popover")]
    assert folded == [text("common.files.title", language)]
    assert [button.proto.id for button in page.get("download_button") if "csv_runs" in button.proto.id] == []
