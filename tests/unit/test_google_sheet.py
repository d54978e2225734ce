"""The sheet in Google Sheets: few calls, all tabs or none, and what is noticed when the answer differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from google_sheets_kit import World, large, rows_of, tab, whole, with_small_parts, world
from stand_ins.google_sheets.faults import CUT, Fault
from stand_ins.google_sheets.grid import Area, Sheet

from pipeline.errors import DataError, PermanentError, TransientError
from pipeline.http import Patience
from pipeline.sheets import google, google_staging
from pipeline.sheets.google_cells import EPOCH, draft


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    with_small_parts(monkeypatch)


def test_a_small_tab_costs_two_calls_and_stands_in_an_exact_grid_under_a_frozen_header(here: World) -> None:
    result = here.write(tab())
    assert here.kinds() == ["get", "batchUpdate"]
    assert (result.service, result.tabs, result.rows) == ("Google Sheets", 1, 2)
    assert result.location == f"https://docs.google.com/spreadsheets/d/{here.book_id}/edit"
    september, october = (date(2026, 9, 1) - EPOCH).days, (date(2026, 10, 1) - EPOCH).days
    assert here.rows("Monthly churn") == [
        ["churn as of 2026-11-24", None, None],
        ["Month", "Country", "Churn rate"],
        [september, "FR", 0.05],
        [october, "FR", 0.06],
    ]
    sheet = here.book.titled("Monthly churn")
    assert sheet is not None
    assert sheet.grid == {"frozenRowCount": 2, "frozenColumnCount": 1}
    formats = [(sheet.cell(2, column).format or {}).get("numberFormat") for column in range(3)]
    assert formats == [{"type": "DATE", "pattern": "yyyy-mm-dd"}, None, {"type": "PERCENT", "pattern": "0.0%"}]
    assert sheet.cell(1, 2).format["textFormat"]["bold"]


def test_every_small_tab_of_a_sheet_goes_with_one_batch(here: World) -> None:
    here.write(*(tab(f"Tab {number}") for number in range(8)))
    assert here.kinds() == ["get", "batchUpdate"]
    assert here.titles() == ["Sheet1", *(f"Tab {number}" for number in range(8))]


def test_a_tab_keeps_its_id_its_filter_and_what_people_protect_and_other_tabs_stay(here: World) -> None:
    here.write(tab())
    book = here.book
    sheet, notes = book.titled("Monthly churn"), book.sheets[0]
    assert sheet is not None
    notes.put(0, 0, "somebody's own notes")
    sheet.filter, sheet.protected = {"range": {"sheetId": sheet.id}}, [{"protectedRangeId": 7}]
    here.write(tab(rows=[(date(2026, 11, 1), "DE", 0.07)]))
    after = here.book.titled("Monthly churn")
    assert after is not None
    assert (after.id, after.filter, after.protected) == (sheet.id, sheet.filter, sheet.protected)
    assert len(after.rows) == 3
    assert here.book.sheets[0].cell(0, 0).value == "somebody's own notes"


@pytest.mark.parametrize("rows", [3, 60], ids=["small", "large"])
def test_cells_that_somebody_merged_show_their_figures_again(here: World, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    with_small_parts(monkeypatch)
    here.write(large(rows=rows))
    sheet = here.book.titled("Cohorts")
    assert sheet is not None
    sheet.merges.append(Area(sheet.id, 2, 4, 1, 2))
    here.write(large(2, rows=rows))
    after = here.book.titled("Cohorts")
    assert after is not None
    assert (after.merges, here.rows("Cohorts")) == ([], whole(large(2, rows=rows)))


def test_a_tab_that_people_widened_is_brought_back_to_its_grid_and_their_cells_in_it_are_emptied(here: World) -> None:
    here.write(tab())
    sheet = here.book.titled("Monthly churn")
    assert sheet is not None
    sheet.resize(50, 9)
    sheet.put(40, 8, "scribble")
    sheet.put(2, 1, "overwritten")
    here.write(tab())
    assert here.rows("Monthly churn") == whole(tab())


@pytest.mark.usefixtures("small_parts")
def test_a_large_tab_is_staged_in_parts_and_costs_them_and_three_calls(here: World) -> None:
    here.write(large(rows=400))
    parts = len(list(google_staging.parts(draft(large(rows=400)).rows)))
    assert parts == 15
    assert here.kinds() == ["get", "batchUpdate", *["values.update"] * parts, "batchUpdate"]
    assert here.rows("Cohorts") == whole(large(rows=400))
    assert here.titles() == ["Sheet1", "Cohorts"]


def test_a_real_part_is_about_as_large_as_google_advises(here: World) -> None:
    body = [tuple(f"cell {row} {column} " + "x" * 30 for column in range(10)) for row in range(5_000)]
    columns = tuple(f"c{number}" for number in range(10))
    here.write(tab("Big", body, header=columns, formats=("text",) * 10))
    sizes = [call.size for call in here.stand_in.calls if call.kind == "values.update"]
    assert len(sizes) > 1
    assert all(size < 2_000_000 for size in sizes)
    assert min(sizes[:-1]) > 1_700_000
    assert here.rows("Big")[-1] == list(body[-1])


@pytest.mark.usefixtures("small_parts")
def test_small_tabs_beside_a_large_one_appear_with_it(here: World) -> None:
    here.write(large(1), tab())
    here.stand_in.faults.clear()
    before = here.book
    here.write(large(2), tab(rows=[(date(2026, 11, 1), "DE", 0.07)]))
    commits = [call for call in here.stand_in.calls if "copyPaste" in call.requests]
    assert len(commits) == 1
    assert "updateCells" in commits[0].requests
    assert rows_of(before, "Cohorts") == whole(large(1))


@pytest.mark.usefixtures("small_parts")
def test_a_large_tab_that_hardly_changed_costs_three_calls_and_ends_the_same(here: World) -> None:
    here.write(large(rows=100))
    here.stand_in.faults.clear()
    content = list(large(rows=100).rows)
    content[7] = ("row 007", 99.5, "another word")
    del content[40:42]
    content.insert(20, ("row 019b", 1.0, "came in between"))
    changed = dataclasses.replace(large(rows=100), rows=tuple(content), note="version 1, a day later")
    here.write(changed)
    assert here.kinds() == ["get", "values.batchGet", "batchUpdate"]
    assert here.rows("Cohorts") == whole(changed)
    assert here.stand_in.calls[-1].requests.count("updateCells") == 3  # head, two stretches


@pytest.mark.usefixtures("small_parts")
def test_a_large_tab_in_which_somebody_changed_a_key_is_written_whole(here: World) -> None:
    here.write(large(rows=100))
    sheet = here.book.titled("Cohorts")
    assert sheet is not None
    sheet.put(50, 0, "somebody's word")
    here.stand_in.faults.clear()
    here.write(large(rows=100))
    assert "values.update" in here.kinds()
    assert here.rows("Cohorts") == whole(large(rows=100))


@pytest.mark.parametrize("change", ["order", "fifth", "columns", "lost snapshot", "other tab"])
@pytest.mark.usefixtures("small_parts")
def test_a_change_that_is_no_small_one_is_written_whole(here: World, change: str) -> None:
    here.write(large(rows=100))
    here.stand_in.faults.clear()
    content = large(rows=100)
    if change == "order":
        content = dataclasses.replace(content, rows=(content.rows[1], content.rows[0], *content.rows[2:]))
    elif change == "fifth":
        content = dataclasses.replace(content, rows=(*large(2).rows[:20], *content.rows[20:]))
    elif change == "columns":
        content = dataclasses.replace(content, header=("Key", "Value", "Another word"))
    elif change == "lost snapshot":
        (here.folder / "google.json").unlink()
    else:
        sheet = here.book.titled("Cohorts")
        assert sheet is not None
        sheet.id += 1
    here.write(content)
    assert "values.update" in here.kinds()
    assert here.rows("Cohorts") == whole(content)


def fill(here: World, cells: int) -> None:
    """Other people's tabs of that many cells together."""
    here.book.sheets[0].resize(999, 10_000)
    here.book.sheets[1:] = [Sheet(99, "rest", [{} for _ in range(cells - 9_990_000)], 1)]


def test_more_than_ten_million_cells_are_refused_before_anything_is_written(here: World) -> None:
    fill(here, 9_999_990)
    with pytest.raises(DataError, match="there would be 10,000,002"):
        here.write(tab())
    assert here.kinds() == ["get"]
    fill(here, 9_999_988)
    here.write(tab())
    assert here.rows("Monthly churn") == whole(tab())


@pytest.mark.usefixtures("small_parts")
def test_the_ten_million_are_counted_with_the_staging_tab(here: World) -> None:
    content = large()
    fill(here, 10_000_000 - 2 * 62 * 3 + 1)
    with pytest.raises(DataError, match="there would be 10,000,001"):
        here.write(content)
    fill(here, 10_000_000 - 2 * 62 * 3)
    here.write(content)
    assert here.rows("Cohorts") == whole(content)


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_did_not_arrive_whole_is_noticed(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.write(large(1))
    monkeypatch.setattr("pipeline.sheets.google_calls.Calls.put", lambda *_: {"updatedRows": 3, "updatedCells": 9})
    with pytest.raises(PermanentError, match="did not arrive whole: 3 rows and 9 cells"):
        here.write(large(2))
    assert here.rows("Cohorts") == whole(large(1))


def test_cells_that_differ_from_what_was_written_are_noticed(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_grid = google.whole_grid

    def tampered(content: Any, place: Any, rows: Any) -> Any:
        return whole_grid(content, place, [*rows[:-1], {"values": [{}]}])

    monkeypatch.setattr(google, "whole_grid", tampered)
    with pytest.raises(PermanentError, match="Monthly churn was not written whole: row 4, column A differs"):
        here.write(tab())


def test_cells_that_somebody_wrote_into_at_that_moment_are_written_again(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_grid, times = google.whole_grid, iter([True, False])

    def tampered(content: Any, place: Any, rows: Any) -> Any:
        return whole_grid(content, place, [*rows[:-1], {"values": [{}]}] if next(times) else rows)

    monkeypatch.setattr(google, "whole_grid", tampered)
    here.write(tab())
    assert here.kinds() == ["get", "batchUpdate"] * 2
    assert here.rows("Monthly churn") == whole(tab())


@pytest.mark.usefixtures("small_parts")
def test_staging_tabs_of_a_run_that_died_are_taken_away_by_a_run_that_needs_none(here: World) -> None:
    here.stand_in.faults.add(Fault(status=CUT, times=1_000, kind="values.update"))
    with pytest.raises(TransientError):
        here.write(large(), patience=Patience(deadline_seconds=0))
    assert any(title.startswith("_stage:") for title in here.titles())
    here.stand_in.faults.clear()
    here.write(tab())
    assert here.titles() == ["Sheet1", "Monthly churn"]


def test_a_tab_that_somebody_renamed_between_the_look_and_the_batch_is_looked_for_again(here: World) -> None:
    here.write(tab())

    def rename() -> None:
        sheet = here.book.titled("Monthly churn")
        if sheet is not None and len(here.book.sheets) == 2:
            here.book.sheets.remove(sheet)

    here.write(tab(), guard=rename)
    assert here.rows("Monthly churn") == whole(tab())
