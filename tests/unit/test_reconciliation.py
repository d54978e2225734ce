"""The same figure everywhere: equal where a place holds this version, other by name where it does not, never a guess."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from page_kit import begin, cells, whole, words

from pipeline.clock import FixedClock
from pipeline.exports.star import export_star
from pipeline.marts import Reader, reader
from pipeline.marts.headline import SHOWN
from pipeline.marts.holding import FIGURES
from pipeline.reconciliation import Line, Place, Reconciliation, reconcile, withheld
from pipeline.runs.records import StepState, SyncState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.sheets import held
from pipeline.sheets.google_refusals import SERVICE as GOOGLE
from pipeline.sheets.layout import tabs
from pipeline.sheets.workbook import WorkbookSheet
from pipeline.steps import workbook
from pipeline.warehouse.publication import Publications
from streamlit_app.auth import Role, User

pytestmark = [pytest.mark.xdist_group("the bank of the pages")]

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
SPREADSHEET = "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"


@dataclasses.dataclass
class House:
    """The published bank of the pages, and a home and a run store of a test's own."""

    reader: Reader
    settings: Settings
    store: RunStore

    def reconcile(self) -> Reconciliation:
        return reconcile(self.reader, self.settings, self.store)

    def place(self, name: str) -> Place:
        return next(place for place in self.reconcile().places if place.name == name)

    def verdicts(self, place: str) -> dict[str, str]:
        """What is said of each figure that belongs to a place."""
        found = {line.figure: str(line.cells[place].verdict) for line in self.reconcile().lines}
        return {figure: verdict for figure, verdict in found.items() if verdict != "not_held"}

    def write_sheet(self) -> Path:
        path = workbook(self.settings)
        WorkbookSheet(path).write(tabs(self.reader, language="fr"), at=NOW)
        return path

    def sync(
        self, name: str, *, version: str = "v0001", state: SyncState = SyncState.DONE, only: str = "", **counts: int
    ) -> None:
        scope = {"only": only, "afresh": False, "version": version}
        self.store.record_sync(name, state=state, service="embedded", who="ada", started_at=NOW, scope=scope, counts=counts)


@pytest.fixture
def house(pages_bank: Path, tmp_path: Path) -> House:
    version = Publications(pages_bank, keep=5).current()
    assert version is not None
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=FixedClock(NOW))
    return House(reader(version), Settings(_env_file=None, home=tmp_path), store)


def test_what_was_never_written_is_not_delivered_and_nothing_is_equal(house: House) -> None:
    found = house.reconcile()
    assert [str(place.state) for place in found.places] == ["never"] * 5
    assert {str(cell.verdict) for line in found.lines for cell in line.cells.values()} == {"not_delivered", "not_held"}


def test_the_sheet_holds_every_figure_that_was_published_as_customers_themselves_add_up_to(house: House) -> None:
    house.write_sheet()
    assert house.verdicts("sheet") == dict.fromkeys(("customers", *SHOWN), "equal")
    everybody = house.reader.relation("mart_customers").to_pylist()
    by_name = {line.figure: line for line in house.reconcile().lines}
    assert by_name["customers"].cells["sheet"].value == len(everybody)
    assert by_name["active_customers"].cells["sheet"].value == sum(row["is_active"] for row in everybody)


def test_a_figure_that_somebody_changed_by_hand_differs_and_only_that_one(house: House) -> None:
    path = house.write_sheet()
    book = load_workbook(path)
    sheet = book.worksheets[0]
    label = house.reader.registry["mau"].label["fr"]
    row = next(line for line in range(3, 20) if sheet.cell(line, 1).value == label)
    sheet.cell(row, 2).value += 1
    book.save(path)
    told = house.verdicts("sheet")
    assert [figure for figure, verdict in told.items() if verdict != "equal"] == ["mau"]
    assert told["mau"] == "differs"


def test_a_figure_that_somebody_took_away_differs(house: House) -> None:
    path = house.write_sheet()
    book = load_workbook(path)
    book.worksheets[0].delete_rows(3)
    book.save(path)
    assert sorted(house.verdicts("sheet").values()).count("differs") == 1


def test_a_sheet_of_another_version_is_not_equal_even_where_its_figures_are(house: House) -> None:
    house.write_sheet()
    newer = dataclasses.replace(house.reader.version, name="v0002")
    house.reader = Reader(newer)
    assert set(house.verdicts("sheet").values()) == {"other_version"}
    assert house.place("sheet").version == "v0001"


def test_a_file_that_is_no_workbook_is_unreadable_and_not_equal(house: House) -> None:
    path = workbook(house.settings)
    path.parent.mkdir()
    path.write_text("no workbook")
    assert str(house.place("sheet").state) == "unreadable"
    assert set(house.verdicts("sheet").values()) == {"unknown"}


def _step(store: RunStore, detail: dict[str, Any]) -> None:
    lease, run = begin(store)
    store.start_step(lease, run.id, "sheet", attempt=1)
    store.finish_step(lease, run.id, "sheet", state=StepState.SUCCEEDED, service=GOOGLE, detail=detail)


def test_of_a_google_spreadsheet_counts_what_was_verified_when_it_was_written(house: House) -> None:
    house.settings = Settings(_env_file=None, home=house.settings.home, google_sheets_id=SPREADSHEET)
    assert str(house.place("sheet").state) == "never"
    holding = held.of_tabs(tabs(house.reader, language="en"), house.reader.registry).to_json()
    _step(house.store, {"held": json.loads(json.dumps(holding))})
    assert set(house.verdicts("sheet").values()) == {"equal"}


def test_a_google_spreadsheet_written_by_an_older_neopulse_is_not_known(house: House) -> None:
    house.settings = Settings(_env_file=None, home=house.settings.home, google_sheets_id=SPREADSHEET)
    _step(house.store, {"location": "somewhere"})
    assert str(house.place("sheet").state) == "not_noted"
    assert set(house.verdicts("sheet").values()) == {"unknown"}


def test_the_newest_export_for_power_bi_holds_every_figure_and_is_found_by_the_audit_log(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "star"
    export_star(house.reader.version, folder, runs=[], note=lambda _rows: None, clock=FixedClock(NOW))
    assert str(house.place("powerbi").state) == "never"
    house.store.audit("ada", "export", "powerbi", after={"folder": str(folder)})
    house.store.audit("ada", "export", "customers", after={"folder": "elsewhere"})
    assert house.verdicts("powerbi") == dict.fromkeys(FIGURES, "equal")
    for file in folder.glob("v*/growth.parquet"):
        file.write_bytes(b"no parquet")
    assert str(house.place("powerbi").state) == "unreadable"
    house.store.audit("ada", "export", "powerbi", after={"folder": "as/typed"})
    assert str(house.place("powerbi").state) == "not_noted"


def test_a_sync_holds_what_its_last_delivery_of_every_row_left_there(house: House) -> None:
    rows = house.reader.version.rows
    house.sync("customer_status", created=rows["mart_customers"] - 5, updated=2, unchanged=3)
    house.sync("lapsed_customers", created=rows["sync_lapsed_customers"] - 1, rejected=1)
    house.sync("customer_status", only="7", updated=1)
    assert house.verdicts("sync:customer_status") == {"customers": "equal"}
    assert house.verdicts("sync:lapsed_customers") == {"rows:sync_lapsed_customers": "differs"}
    house.sync("customer_status", state=SyncState.FAILED)
    assert house.verdicts("sync:customer_status") == {"customers": "not_delivered"}


def test_a_sync_of_another_version_or_of_none_that_is_known_is_not_equal(house: House) -> None:
    house.sync("customer_status", version="v0000", created=house.reader.version.rows["mart_customers"])
    assert house.verdicts("sync:customer_status") == {"customers": "other_version"}
    house.sync("customer_status", version="", created=house.reader.version.rows["mart_customers"])
    assert house.verdicts("sync:customer_status") == {"customers": "unknown"}


def test_census_keeps_its_sources_to_itself_and_is_compared_with_nothing(house: House) -> None:
    known = {"census_token": "a-token-of-census", "census_syncs": "status=12"}
    house.settings = Settings(_env_file=None, home=house.settings.home, reverse_etl="census", **known)
    house.sync("status", created=3)
    assert str(house.place("sync:status").state) == "source_unknown"
    assert house.verdicts("sync:status") == {}


def test_viewers_get_no_count_below_ten_from_any_place(house: House) -> None:
    house.write_sheet()
    found = house.reconcile()
    few = dataclasses.replace(found.lines[1], published=9.0)
    seen = withheld(dataclasses.replace(found, lines=(found.lines[0], few, *found.lines[2:])), frozenset({"quick_ratio"}))
    told: dict[str, Line] = {line.figure: line for line in seen.lines}
    assert told["active_customers"].published is None
    assert told["active_customers"].cells["sheet"].value is None
    assert str(told["active_customers"].cells["sheet"].verdict) == "equal"
    assert told["quick_ratio"].published is None
    assert told["mau"] == found.lines[7]


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_page_names_each_place_and_says_that_nothing_was_delivered(come_in: Callable[[User], None], language: str) -> None:
    come_in(User("vera", Role.VIEWER))
    page = whole("definitions", section="places", lang=language)
    assert ("not delivered yet" if language == "en" else "pas encore livré") in "\n".join(cells(page))
    assert "v0001" in words(page)
