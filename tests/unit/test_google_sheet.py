"""The sheet in Google Sheets: few calls, all tabs or none, cells that say what was meant."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google_sheets_kit import AT, World, rows_of, tab, world
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.google_sheets import batch
from stand_ins.google_sheets.faults import CUT, Fault
from stand_ins.google_sheets.grid import Cell, Formula, Sheet

from pipeline.errors import ConfigurationError, DataError, InterruptedRunError, PermanentError, TransientError
from pipeline.http import Patience
from pipeline.sheets import google, google_cells, google_staging
from pipeline.sheets.base import Figure, Tab
from pipeline.sheets.google_cells import EPOCH, draft, plain


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of 4,000 bytes in parts of 1,000, so that a table of sixty rows is a large one."""
    monkeypatch.setattr(google, "MOST_BYTES", 4_000)
    monkeypatch.setattr(google_staging, "PART_BYTES", 1_000)


def large(version: int = 1, rows: int = 60, name: str = "Cohorts") -> Tab:
    body = [(f"row {number:03d}", number + version / 10, f"of version {version}") for number in range(rows)]
    return tab(name, body, header=("Key", "Value", "Word"), formats=("text", "ratio", "text"), note=f"version {version}", keys=1)


def whole(content: Tab) -> list[list[Any]]:
    return [list(row) for row in draft(content).rows]


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


def hardly_changed() -> Tab:
    """The large tab with one row rewritten, one gone and one come in between."""
    rows = list(large(rows=100).rows)
    rows[7] = ("row 007", 99.5, "another word")
    del rows[40]  # as many rows as before: a batch sent twice would fit, and be wrong
    rows.insert(60, ("row 060b", 1.0, "came in between"))
    return dataclasses.replace(large(rows=100), rows=tuple(rows), note="version 1, a day later")


KILLED = [
    (large(1), large(2)),
    (tab(), tab(rows=[(date(2026, 11, 1), "DE", 0.07)])),
    (large(rows=100), hardly_changed()),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("old", "new"), KILLED, ids=["large", "small", "hardly changed"])
@pytest.mark.usefixtures("small_parts")
def test_a_run_killed_at_any_call_leaves_the_old_table_or_the_new_one_and_the_next_run_mends_it(
    here: World, old: Tab, new: Tab, after: bool
) -> None:
    here.write(old)
    here.stand_in.faults.clear()
    here.write(new)
    calls = len(here.kinds())
    seen = set()
    for at in range(1, calls + 1):
        here.write(old)
        here.stand_in.faults.clear()
        here.stand_in.faults.add(Fault(status=CUT, at=at, times=1_000, after=after))
        with pytest.raises(TransientError):
            here.write(new, patience=Patience(deadline_seconds=0))
        held = here.rows(new.name)
        assert held in (whole(old), whole(new)), f"call {at}"
        seen.add(held == whole(new))
        here.stand_in.faults.clear()
        here.write(new)
        assert here.rows(new.name) == whole(new)
        assert here.titles() == ["Sheet1", new.name]
    assert seen == ({False, True} if after else {False})


FAILURES = [
    *({"status": status, "after": after} for status in (CUT, 408, 429, 500, 503) for after in (False, True)),
    *({"status": 502, "html": True, "after": after} for after in (False, True)),
    {"status": CUT, "half": True, "after": True},
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
@pytest.mark.usefixtures("small_parts")
def test_one_failure_at_any_call_is_got_over_within_the_run(here: World, failure: dict[str, Any]) -> None:
    here.write(large(2), tab())
    calls = len(here.kinds())
    for at in range(1, calls + 1):
        here.write(large(1), tab(rows=()))
        here.stand_in.faults.clear()
        fault = here.stand_in.faults.add(Fault(at=at, **failure))
        here.write(large(2), tab())
        assert fault.seen >= at
        assert here.rows("Cohorts") == whole(large(2))
        assert here.rows("Monthly churn") == whole(tab())
        assert here.titles() == ["Sheet1", "Cohorts", "Monthly churn"]


POSSIBLE = [failure for failure in FAILURES if failure != {"status": 429, "after": True}]  # 429 says that nothing was done


@pytest.mark.parametrize("failure", POSSIBLE, ids=str)
@pytest.mark.usefixtures("small_parts")
def test_one_failure_at_any_call_of_a_small_change_neither_loses_nor_doubles_a_row(here: World, failure: dict[str, Any]) -> None:
    for at in (1, 2, 3):
        here.write(large(rows=100))
        here.stand_in.faults.clear()
        here.stand_in.faults.add(Fault(at=at, **failure))
        here.write(hardly_changed())
        assert here.kinds()[:3] == ["get", "values.batchGet", "batchUpdate"] or at < 3
        assert here.rows("Cohorts") == whole(hardly_changed())


class Unlucky(Fault):
    """Every fourth call fails, in whatever way."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)

    def strikes(self, kind: str) -> bool:
        del kind
        how = self.chance.choice(POSSIBLE)
        self.status, self.after = how["status"], how["after"]
        self.html, self.half = how.get("html", False), how.get("half", False)
        return self.chance.random() < 0.25


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.usefixtures("small_parts")
def test_whatever_fails_readers_see_one_version_and_the_last_run_leaves_the_last(here: World, seed: int) -> None:
    versions = [(large(1), tab()), (large(rows=100), tab(rows=())), (hardly_changed(), tab()), (large(2), tab(note="x"))]
    allowed = [[whole(content) for content in version] for version in versions]
    here.write(*versions[0])
    here.stand_in.faults.add(Unlucky(seed))
    for version in (versions[1], versions[2], versions[3], versions[2], versions[1]):
        with contextlib.suppress(TransientError):
            here.write(*version, patience=Patience(deadline_seconds=8))
        assert [here.rows("Cohorts"), here.rows("Monthly churn")] in allowed
    here.stand_in.faults.clear()
    here.write(*versions[2])
    assert [here.rows("Cohorts"), here.rows("Monthly churn")] == allowed[2]
    assert here.titles() == ["Sheet1", "Cohorts", "Monthly churn"]


@pytest.mark.usefixtures("small_parts")
def test_a_lost_answer_to_the_commit_is_looked_up_and_nothing_is_sent_again(here: World) -> None:
    here.write(large(1))
    here.stand_in.faults.clear()
    here.stand_in.faults.add(Fault(status=CUT, at=2, after=True, kind="batchUpdate"))
    here.write(large(2))
    assert here.kinds()[-3:] == ["batchUpdate", "get", "get"]
    assert here.kinds().count("batchUpdate") == 2
    assert here.rows("Cohorts") == whole(large(2))


@pytest.mark.usefixtures("small_parts")
def test_a_commit_that_was_not_carried_out_is_sent_again_without_bringing_the_rows_again(here: World) -> None:
    here.write(large(1))
    here.stand_in.faults.clear()
    here.stand_in.faults.add(Fault(status=500, at=2, kind="batchUpdate"))
    here.write(large(2))
    assert here.kinds()[-3:] == ["batchUpdate", "get", "batchUpdate"]
    assert here.rows("Cohorts") == whole(large(2))


@pytest.mark.usefixtures("small_parts")
def test_a_small_change_that_was_killed_does_not_leave_a_stale_row(here: World) -> None:
    one, other = (
        large(rows=100),
        dataclasses.replace(
            large(rows=100), rows=(*large(rows=100).rows[:50], ("row 050", -1.0, "changed"), *large(rows=100).rows[51:])
        ),
    )
    here.write(one)
    here.stand_in.faults.add(Fault(status=CUT, times=1_000, after=True, kind="batchUpdate"))
    with pytest.raises(TransientError):
        here.write(other, patience=Patience(deadline_seconds=0))
    assert here.rows("Cohorts") == whole(other)
    here.stand_in.faults.clear()
    here.write(one)
    assert here.rows("Cohorts") == whole(one)


@pytest.mark.usefixtures("small_parts")
def test_a_concurrent_reader_never_sees_a_mix(here: World) -> None:
    versions = [[large(number, rows=40 + number), tab(note=f"version {number}")] for number in (1, 2, 3)]
    here.write(*versions[0])
    allowed = [[whole(content) for content in version] for version in versions]
    seen: list[Any] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with here.stand_in.service.lock:
                book = here.book
                seen.append([rows_of(book, "Cohorts"), rows_of(book, "Monthly churn")])
            time.sleep(0.002)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(3):
            for version in versions:
                here.write(*version)
    finally:
        done.set()
        reader.join()
    assert len(seen) > 20
    assert [content for content in seen if content not in allowed] == []


@pytest.mark.usefixtures("small_parts")
def test_clear_then_write_would_have_been_caught(here: World) -> None:
    """The check above is no tautology: the usual way to write is found out by it."""
    here.write(large(1))
    calls = here.calls()
    calls._http.values_clear(here.book_id, "'Cohorts'")
    assert here.rows("Cohorts") not in (whole(large(1)), whole(large(2)))


def test_the_quota_of_a_minute_is_waited_for_and_never_refused(tmp_path: Path) -> None:
    with world(tmp_path, writes_per_minute=60) as here:
        writer = here.sheet()
        for number in range(130):
            writer.write([tab(note=f"number {number}")], at=AT)
        assert [call.status for call in here.stand_in.calls if call.status != 200] == []
        assert here.clock.now() - AT >= timedelta(seconds=120)


def test_a_quota_that_somebody_else_used_up_is_waited_out(tmp_path: Path) -> None:
    with world(tmp_path, writes_per_minute=10) as here:
        for number in range(25):
            here.write(tab(note=f"number {number}"))
        assert 429 in [call.status for call in here.stand_in.calls]
        assert here.rows("Monthly churn")[0][0] == "number 24"


@pytest.mark.parametrize(("status", "kind"), [(429, "get"), (429, "batchUpdate"), (503, "get"), (503, "batchUpdate")])
def test_the_pause_that_the_service_asks_for_is_kept(here: World, status: int, kind: str) -> None:
    here.stand_in.faults.add(Fault(status=status, kind=kind, retry_after="37"))
    here.write(tab())
    assert here.clock.now() - AT == timedelta(seconds=37)


def test_an_end_is_made_of_trying_at_the_deadline(here: World) -> None:
    here.stand_in.faults.add(Fault(status=503, times=10_000))
    with pytest.raises(TransientError, match="answers 503: The service is currently unavailable"):
        here.write(tab(), patience=Patience(deadline_seconds=300))
    assert timedelta(seconds=150) < here.clock.now() - AT <= timedelta(seconds=300)


def test_a_service_that_never_answers_is_given_up(here: World) -> None:
    here.stand_in.faults.add(Fault(status=503, times=10, hold_seconds=0.4))
    with pytest.raises(TransientError, match="ReadTimeout"):
        here.write(tab(), patience=Patience(answer_seconds=0.05, deadline_seconds=0))


def test_a_stopped_run_ends_while_it_waits(here: World) -> None:
    here.stand_in.faults.add(Fault(status=503, times=10_000))

    def look() -> None:
        if here.clock.now() - AT >= timedelta(seconds=5):
            raise InterruptedRunError("stopped")

    sheet = google.GoogleSheet(here.calls(look=look), here.sheet()._snapshots)
    with pytest.raises(InterruptedRunError):
        sheet.write([tab()], at=AT)
    assert here.clock.now() - AT < timedelta(seconds=8)


@pytest.mark.usefixtures("small_parts")
def test_a_run_that_lost_its_lease_changes_nothing_that_readers_see(here: World) -> None:
    here.write(large(1))

    def lost() -> None:
        raise InterruptedRunError("lost")

    with pytest.raises(InterruptedRunError):
        here.write(large(2), guard=lost)
    assert here.rows("Cohorts") == whole(large(1))


def test_a_spreadsheet_that_is_not_shared_says_with_whom_to_share_it(here: World) -> None:
    other = here.stand_in.create("private", shared={})
    sheet = google.GoogleSheet(here.calls(spreadsheet_id=other.id), here.sheet()._snapshots)
    with pytest.raises(ConfigurationError) as caught:
        sheet.write([tab()], at=AT)
    assert "neopulse@bank-analytics.iam.gserviceaccount.com" in caught.value.next
    assert "as an editor" in caught.value.next


def test_a_spreadsheet_that_may_only_be_read_says_so_and_stays(here: World) -> None:
    other = here.stand_in.create("read only", shared={"neopulse@bank-analytics.iam.gserviceaccount.com": "reader"})
    with pytest.raises(ConfigurationError, match="may not use the spreadsheet"):
        google.GoogleSheet(here.calls(spreadsheet_id=other.id), here.sheet()._snapshots).write([tab()], at=AT)
    assert [sheet.title for sheet in here.stand_in.book(other.id).sheets] == ["Sheet1"]


def test_a_spreadsheet_that_is_not_there_says_which_setting_names_it(here: World) -> None:
    with pytest.raises(ConfigurationError, match="finds no such spreadsheet") as caught:
        google.GoogleSheet(here.calls(spreadsheet_id="1NoSuchSpreadsheet000"), here.sheet()._snapshots).write([tab()], at=AT)
    assert "NEOPULSE_GOOGLE_SHEETS_ID" in caught.value.next


def test_a_key_that_google_does_not_know_is_a_matter_of_configuration_and_never_shown(here: World) -> None:
    here.key_file.write_text(json.dumps(here.stand_in.key_file(number=2)), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="Invalid JWT Signature") as caught:
        here.write(tab())
    assert "PRIVATE KEY" not in str(caught.value)
    assert here.stand_in.calls == []


def test_an_account_that_is_gone_is_told_by_its_address(here: World) -> None:
    here.stand_in.tokens.accounts.clear()
    with pytest.raises(ConfigurationError, match=r"neopulse@bank-analytics\S+ sign in: invalid_grant"):
        here.write(tab())


def test_a_token_that_is_no_longer_taken_is_fetched_again(here: World) -> None:
    writer = here.sheet()
    writer.write([tab()], at=AT)
    here.stand_in.tokens.issued.clear()
    writer.write([tab(note="with another token")], at=AT)
    assert here.rows("Monthly churn")[0][0] == "with another token"


@pytest.mark.parametrize("after", [False, True])
def test_a_sign_in_page_in_place_of_an_answer_is_no_answer(here: World, after: bool) -> None:
    here.stand_in.faults.add(Fault(status=200, html=True, times=100, after=after))
    with pytest.raises(PermanentError, match=r"no JSON.*server encountered a temporary error"):
        here.write(tab())


def test_no_look_up_leaves_the_machine(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    resolve: Callable[..., Any] = socket.getaddrinfo

    def watched(host: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    started: list[Any] = []
    manager = "google.auth._regional_access_boundary_utils._RegionalAccessBoundaryManager"
    monkeypatch.setattr(f"{manager}.maybe_start_refresh", lambda *_: started.append("a look-up in a thread of its own"))
    here.write(tab())
    assert set(asked) == {"127.0.0.1"}
    assert started == []


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


def test_a_protected_range_says_whom_to_let_in(here: World) -> None:
    told = "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to remove protection."
    here.stand_in.faults.add(Fault(status=400, kind="batchUpdate", message=f"Invalid requests[0].updateCells: {told}"))
    with pytest.raises(ConfigurationError, match="a range that somebody has protected") as caught:
        here.write(tab())
    assert "add neopulse@bank-analytics.iam.gserviceaccount.com to the editors" in caught.value.next


def test_text_that_the_service_would_make_a_formula_is_noticed_on_the_way() -> None:
    """Whether pasted values keep a text like =1+1 was never seen on the service itself: the read-back looks."""
    assert not google_cells.is_same("=1+1", google_cells.read_back({"userEnteredValue": {"formulaValue": "=1+1"}}))
    assert not google_cells.is_same("=1+1", google_cells.read_back({"userEnteredValue": {"numberValue": 2}}))
    assert not google_cells.is_same(1, True)
    assert not google_cells.is_same("1", 1)
    assert not google_cells.is_same(None, 0)


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
