"""Cells of Google Sheets: every kind of value in one form, text that stays text, and what no cell holds refused beforehand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google_sheets_kit import World, large, tab, whole, with_small_parts, world
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.google_sheets import batch
from stand_ins.google_sheets.grid import Cell, Formula

from pipeline.errors import DataError, PermanentError
from pipeline.sheets import google, google_cells, google_staging
from pipeline.sheets.base import Figure, Tab
from pipeline.sheets.google_cells import EPOCH, plain


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    with_small_parts(monkeypatch)


@pytest.mark.parametrize(
    "text", ["=1+1", '=HYPERLINK("http://evil")', "+1", "-1", "@SUM(A1)", "'quoted", "TRUE", "12", "2026-01-01"]
)
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.usefixtures("small_parts")
def test_text_is_never_a_formula_a_number_or_a_date(here: World, text: str, size: str) -> None:
    rows = [(text, 1.0, text)] * (2 if size == "small" else 80)
    here.write(tab("Words", rows, header=("A", "B", "C"), formats=("text", "ratio", "text")))
    assert ("values.update" in here.kinds()) == (size == "large")
    assert here.rows("Words")[2:] == [[text, 1.0, text]] * len(rows)


@pytest.mark.usefixtures("small_parts")
def test_a_service_whose_pasted_values_are_read_again_still_gets_no_formula(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def typed_again(cell: Cell) -> Any:
        return Formula(cell.value) if isinstance(cell.value, str) and cell.value.startswith("=") else cell.value

    monkeypatch.setattr(batch, "_effective", typed_again)
    content = large(rows=80)
    content = dataclasses.replace(content, rows=(("=1+1", 1.0, "=A1"), *content.rows))
    here.write(content)
    assert here.rows("Cohorts") == whole(content)
    sheet = here.book.titled("Cohorts")
    assert sheet is not None
    assert not any(isinstance(cell.value, Formula) for row in sheet.rows for cell in row.values())
    monkeypatch.setattr(google_staging, "MOST_SPELLED_OUT", 0)
    (here.folder / "google.json").unlink()
    with pytest.raises(PermanentError, match="row 3, column A differs"):
        here.write(content)


def test_a_moment_is_a_serial_number_with_a_format_wherever_it_stands(here: World) -> None:
    rows = [
        ("As of", date(2026, 11, 24)),
        ("Published at", datetime(2026, 11, 25, 6, 30, tzinfo=UTC)),
        ("Share", Figure(0.25, "share")),
        ("Tests", 118),
    ]
    here.write(tab("Last update", rows, header=("Item", "Value"), formats=("text", "text")))
    sheet = here.book.titled("Last update")
    assert sheet is not None
    shown = [
        (sheet.cell(row, 1).value, (sheet.cell(row, 1).format or {}).get("numberFormat", {}).get("type")) for row in range(2, 6)
    ]
    assert shown == [(46350, "DATE"), (46351 + 6.5 / 24, "DATE_TIME"), (0.25, "PERCENT"), (118, None)]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        ("", None),
        (True, True),
        (0.1 + 0.2, 0.1 + 0.2),
        (float("nan"), None),
        (float("-inf"), None),
        (Decimal("8.95"), 8.95),
        (Decimal("12"), 12),
        (Decimal("NaN"), None),
        (Decimal("1234567890.1234567"), "1234567890.1234567"),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**63), "-9223372036854775808"),
        ("a\x00b\r\nc\ud800", "a\ufffdb\nc\ufffd"),
        (date(2020, 1, 1), 43831),
        (datetime(2020, 1, 1, 12, tzinfo=timezone(timedelta(hours=12))), 43831.0),
        (date(1899, 12, 31), "1899-12-31"),
        (b"x", "b'x'"),
    ],
)
def test_every_kind_of_value_has_one_form_in_a_cell(value: Any, stored: Any) -> None:
    found = plain(value)
    assert (found, type(found)) == (stored, type(stored))


TEXT = st.text(max_size=12)
MOMENTS = st.datetimes(datetime(1900, 3, 1), datetime(2100, 1, 1))
DECIMALS = st.decimals(allow_nan=True, allow_infinity=True)
VALUES = st.one_of(st.none(), st.booleans(), TEXT, st.integers(), st.floats(), DECIMALS, st.dates(date(1800, 1, 1)), MOMENTS)


@pytest.fixture(scope="module")
def one_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("cells")) as made:
        yield made


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), max_size=6), st.booleans())
def test_what_is_written_is_found_in_the_cells_whatever_its_type(
    one_world: World, rows: list[tuple[Any, Any]], is_staged: bool
) -> None:
    here = one_world
    with pytest.MonkeyPatch.context() as patch:
        if is_staged:
            patch.setattr(google, "MOST_BYTES", 1)
            patch.setattr(google_staging, "PART_BYTES", 100)
        here.write(tab("Any", rows, header=("A", "B"), formats=("text", "count")))
        found = here.rows("Any")[2:]
        assert found == [[plain(value) for value in row] for row in rows]
        kinds = {str: str, bool: bool, int: (int, float), float: (int, float), type(None): type(None)}
        for row, cells in zip(rows, found, strict=True):
            assert all(isinstance(cell, kinds[type(plain(value))]) for value, cell in zip(row, cells, strict=True))


def test_a_moment_read_back_is_the_moment_to_the_second() -> None:
    moment = datetime(2026, 11, 25, 23, 59, 59, 999_999, tzinfo=UTC)
    serial = plain(moment)
    assert isinstance(serial, float)
    days, fraction = math.floor(serial), serial % 1
    assert EPOCH + timedelta(days=days) == moment.date()
    assert round(fraction * 86_400) == 86_399


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (tab(rows=[(date(2026, 9, 1), "x" * 50_001, 0.1)]), "a text of 50,001 characters; a cell holds 50,000"),
        (tab(rows=[(date(2026, 9, 1), "😀" * 25_001, 0.1)]), "a text of 50,002 characters"),
        (tab(rows=[(date(2026, 9, 1), "FR")]), "a row of 2 cells under a header of 3"),
        (
            tab(rows=(), header=("c",) * 18_279, formats=("text",) * 18_279),
            "18,279 columns; a tab holds 18,278",
        ),
    ],
)
def test_what_no_cell_or_tab_can_hold_is_refused_before_the_first_call(here: World, content: Tab, told: str) -> None:
    with pytest.raises(DataError, match=told):
        here.write(tab(), content)
    assert here.kinds() == []


def test_a_text_of_exactly_the_longest_length_is_written(here: World) -> None:
    here.write(tab(rows=[(date(2026, 9, 1), "x" * 50_000, 0.1)]))
    assert here.rows("Monthly churn")[2][1] == "x" * 50_000


def test_text_that_the_service_would_make_a_formula_is_noticed_on_the_way() -> None:
    """Whether pasted values keep a text like =1+1 was never seen on the service itself: the read-back looks."""
    assert not google_cells.is_same("=1+1", google_cells.read_back({"userEnteredValue": {"formulaValue": "=1+1"}}))
    assert not google_cells.is_same("=1+1", google_cells.read_back({"userEnteredValue": {"numberValue": 2}}))
    assert not google_cells.is_same(1, True)
    assert not google_cells.is_same("1", 1)
    assert not google_cells.is_same(None, 0)
