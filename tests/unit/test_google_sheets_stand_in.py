"""The stand-in of Google Sheets, asked by gspread and google-auth as they are: what the other tests rest on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import gspread
import pytest
import requests
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from gspread.exceptions import APIError
from gspread.http_client import HTTPClient
from stand_ins.google_sheets.faults import CUT, Fault
from stand_ins.google_sheets.server import ACCOUNT, StandIn, running

from pipeline.clock import FixedClock


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with running() as made:
        yield made


def client(stand_in: StandIn, *, number: int = 1, scopes: tuple[str, ...] = (gspread.auth.DEFAULT_SCOPES[0],)) -> gspread.Client:
    credentials = service_account.Credentials.from_service_account_info(stand_in.key_file(number=number), scopes=scopes)
    credentials._is_regional_access_boundary_lookup_required = lambda: False

    class Redirected(HTTPClient):
        def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> requests.Response:
            for host in ("https://sheets.googleapis.com", "https://www.googleapis.com"):
                endpoint = endpoint.replace(host, stand_in.url)
            return super().request(method, endpoint, *args, **kwargs)

    return gspread.Client(credentials, http_client=Redirected)


@pytest.fixture
def tab(stand_in: StandIn) -> gspread.Worksheet:
    return client(stand_in).open_by_key(stand_in.create().id).sheet1


def test_a_token_is_given_for_the_right_signature_only(stand_in: StandIn) -> None:
    book = stand_in.create()
    assert client(stand_in).open_by_key(book.id).title == "Bank KPIs"
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        client(stand_in, number=2).open_by_key(book.id)
    with pytest.raises(RefreshError, match="invalid_scope"):
        client(stand_in, scopes=("https://www.googleapis.com/auth/calendar",)).open_by_key(book.id)
    answer = requests.get(f"{stand_in.url}/v4/spreadsheets/{book.id}", headers={"Authorization": "Bearer made-up"}, timeout=5)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_drive_lists_what_is_shared_and_finds_by_name(stand_in: StandIn) -> None:
    stand_in.create("Bank KPIs")
    stand_in.create("Bob's KPIs")
    stand_in.create("private", shared={})
    mine = client(stand_in)
    assert [file["name"] for file in mine.list_spreadsheet_files()] == ["Bank KPIs", "Bob's KPIs"]
    assert mine.open("Bank KPIs").sheet1.title == "Sheet1"
    with pytest.raises(gspread.SpreadsheetNotFound):
        mine.open("private")


def test_who_may_read_may_not_write(stand_in: StandIn) -> None:
    book = stand_in.create(shared={ACCOUNT: "reader"})
    tab = client(stand_in).open_by_key(book.id).sheet1
    with pytest.raises(APIError, match="The caller does not have permission"):
        tab.update([["x"]], "A1")


def test_raw_keeps_and_user_entered_reads(tab: gspread.Worksheet) -> None:
    given = [["=1+1", "0042", "2026-11-25", "12%", "true", "'quoted"]]
    tab.update(given, "A1", value_input_option=gspread.utils.ValueInputOption.raw)
    tab.update(given, "A2", value_input_option=gspread.utils.ValueInputOption.user_entered)
    raw, read = tab.get_values("A1:F2", value_render_option=gspread.utils.ValueRenderOption.unformatted)
    assert raw == given[0]
    assert read == [2, 42, 46351, 0.12, True, "quoted"]
    assert tab.get_values("A2:F2") == [["2", "42", "2026-11-25", "12%", "TRUE", "quoted"]]


def test_none_leaves_a_cell_and_an_empty_text_empties_it(tab: gspread.Worksheet) -> None:
    tab.update([["a", "b", "c"]], "A1")
    tab.update([[None, "", "d"]], "A1")
    assert tab.get_values("A1:C1") == [["a", "", "d"]]


def test_a_batch_is_carried_out_whole_or_not_at_all(stand_in: StandIn, tab: gspread.Worksheet) -> None:
    tab.update([["before"]], "A1")
    fine = {"updateCells": {"start": {"sheetId": 0}, "rows": [{"values": [{}]}], "fields": "userEnteredValue"}}
    wrong = {"deleteSheet": {"sheetId": 99}}
    with pytest.raises(APIError, match=r"Invalid requests\[1\].deleteSheet: No grid with id: 99"):
        tab.spreadsheet.batch_update({"requests": [fine, wrong]})
    assert tab.acell("A1").value == "before"
    assert len(stand_in.book(tab.spreadsheet_id).sheets) == 1


def test_what_update_cells_does_not_cover_is_cleared_and_formats_stay(stand_in: StandIn, tab: gspread.Worksheet) -> None:
    tab.update([["a", "b"], ["c", "d"]], "A1")
    tab.format("A1:B2", {"textFormat": {"bold": True}})
    whole = {"sheetId": 0, "startRowIndex": 0, "endRowIndex": 2, "startColumnIndex": 0, "endColumnIndex": 2}
    rows = [{"values": [{"userEnteredValue": {"stringValue": "=new"}}]}]
    tab.spreadsheet.batch_update({"requests": [{"updateCells": {"range": whole, "rows": rows, "fields": "userEnteredValue"}}]})
    assert tab.get_values("A1:B2", maintain_size=True) == [["=new", ""], ["", ""]]
    assert stand_in.book(tab.spreadsheet_id).sheets[0].cell(1, 1).format == {"textFormat": {"bold": True}}


def test_pasted_values_come_without_formulas_and_formats(stand_in: StandIn, tab: gspread.Worksheet) -> None:
    tab.update([["=2+3", "text"]], "A1", value_input_option=gspread.utils.ValueInputOption.user_entered)
    tab.format("A1", {"textFormat": {"bold": True}})
    tab.copy_range("A1:B1", "A5:B5", gspread.utils.PasteType.values)
    cells = [stand_in.book(tab.spreadsheet_id).sheets[0].cell(4, column) for column in (0, 1)]
    assert [(cell.value, cell.format) for cell in cells] == [(5, None), ("text", None)]


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda tab: tab.update([["x"]], "A1001"), "exceeds grid limits"),
        (lambda tab: tab.resize(10_000_001, 1), "above the limit of 10000000 cells"),
        (lambda tab: tab.resize(1, 18_279), "limit of 18278"),
        (lambda tab: tab.update([["x" * 50_001]], "A1"), "maximum of 50000 characters in a single cell"),
        (lambda tab: tab.spreadsheet.add_worksheet("Sheet1", 1, 1), "already exists"),
        (lambda tab: tab.spreadsheet.del_worksheet(tab), "can't remove all the visible sheets"),
        (lambda tab: tab.freeze(1000), "can't freeze all visible rows"),
        (lambda tab: tab.spreadsheet.values_get("Nowhere!A1"), "Unable to parse range"),
    ],
)
def test_limits_are_told_in_googles_words(tab: gspread.Worksheet, act: Any, told: str) -> None:
    with pytest.raises(APIError, match=told):
        act(tab)


def test_a_used_up_minute_is_told_with_googles_body_and_ends() -> None:
    clock = FixedClock(datetime(2026, 11, 25, tzinfo=UTC))
    with running(clock=clock.now, writes_per_minute=3) as stand_in:
        tab = client(stand_in).open_by_key(stand_in.create().id).sheet1
        for _ in range(3):
            tab.update([["x"]], "A1")
        with pytest.raises(APIError, match="Quota exceeded for quota metric 'Write requests'") as caught:
            tab.update([["x"]], "A1")
        told = caught.value.error
        assert (told["code"], told["status"]) == (429, "RESOURCE_EXHAUSTED")
        assert told["details"][0]["metadata"]["quota_limit"] == "WriteRequestsPerMinutePerUser"
        clock.sleep(timedelta(seconds=61).total_seconds())
        tab.update([["y"]], "A1")


@pytest.mark.parametrize(("after", "left"), [(False, "old"), (True, "new")])
def test_a_fault_strikes_before_or_after_the_call_took_effect(
    stand_in: StandIn, tab: gspread.Worksheet, after: bool, left: str
) -> None:
    tab.update([["old"]], "A1")
    stand_in.faults.add(Fault(status=CUT, after=after, kind="values.update"))
    with pytest.raises(requests.ConnectionError):
        tab.update([["new"]], "A1")
    assert tab.acell("A1").value == left


def test_a_request_that_it_does_not_know_is_named(tab: gspread.Worksheet) -> None:
    with pytest.raises(APIError, match="stand-in does not do this: batchUpdate request addChart"):
        tab.spreadsheet.batch_update({"requests": [{"addChart": {}}]})
