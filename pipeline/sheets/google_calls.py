"""Calls to Google Sheets through gspread: time limits, patience, the quota of a minute, and refusals that say what to do."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from gspread.http_client import HTTPClient
from gspread.urls import SPREADSHEET_BATCH_UPDATE_URL

from pipeline.clock import Clock
from pipeline.connections import LOOK_EVERY_SECONDS, Adapter, Connections
from pipeline.http import Patience
from pipeline.settings import Settings
from pipeline.sheets.google_cells import MOST_CELLS
from pipeline.sheets.google_refusals import PutOffError, Refusals, UnclearError, json_answer
from pipeline.sheets.google_sign_in import Account, sign_in

GOOGLE = ("https://sheets.googleapis.com", "https://www.googleapis.com")
PATIENCE = Patience(connect_seconds=10.0, answer_seconds=180.0, deadline_seconds=900.0)
ONE_LOOK = Patience(connect_seconds=10.0, answer_seconds=30.0, deadline_seconds=30.0)
SHEET_SETTING, SYNCS_SETTING = "NEOPULSE_GOOGLE_SHEETS_ID", "NEOPULSE_GOOGLE_SHEETS_SYNCS_ID"
CALLS_A_MINUTE = 60  # of one user, reads and writes each
_STATE = "spreadsheetUrl,properties.title,sheets(merges,properties(sheetId,title,hidden,sheetType,gridProperties))"
_CELLS = "sheets(properties(sheetId,title,gridProperties),data(startRow,startColumn,rowData.values.userEnteredValue))"
_FORMATTED = (
    "sheets(properties(sheetId,title,gridProperties),merges,"
    "data(startRow,startColumn,rowData.values(userEnteredValue,userEnteredFormat.numberFormat)))"
)
_COMPUTED = _FORMATTED.replace("(userEnteredValue,", "(effectiveValue,effectiveFormat.numberFormat,userEnteredValue,")


@dataclass(frozen=True)
class Place:
    """A tab as it stands in the spreadsheet; a tab without a grid, such as a chart, has no rows."""

    sheet_id: int
    title: str
    rows: int
    columns: int
    is_merged: bool = False
    """Whether somebody merged cells in it: all but one of them show nothing."""

    @property
    def cells(self) -> int:
        """What it takes of the spreadsheet's ten million."""
        return self.rows * self.columns


@dataclass(frozen=True)
class State:
    """The tabs of a spreadsheet, by title in one case, as Google compares them."""

    title: str
    address: str
    places: Mapping[str, Place]

    def find(self, title: str) -> Place | None:
        """The tab of that name, in whatever case."""
        return self.places.get(title.casefold())

    @property
    def ids(self) -> frozenset[int]:
        """The ids that are taken."""
        return frozenset(place.sheet_id for place in self.places.values())

    @property
    def cells(self) -> int:
        """The cells of all tabs."""
        return sum(place.cells for place in self.places.values())


class Calls:
    """The calls to one spreadsheet. `look` is asked before every attempt and every second of a wait; what it raises ends it."""

    def __init__(
        self,
        spreadsheet_id: str,
        account: Account,
        *,
        clock: Clock,
        endpoint: str = "",
        named_by: str = SHEET_SETTING,
        patience: Patience = PATIENCE,
        look: Callable[[], None] = lambda: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.spreadsheet_id = spreadsheet_id
        self.named_by = named_by
        self.account = account
        self.clock = clock
        self.patience = patience
        self.jitter = jitter
        self._look = look
        self._http = _PatientClient(self, endpoint)

    def state(self) -> State:
        """The spreadsheet's tabs: one call."""
        content = self._http.fetch_sheet_metadata(self.spreadsheet_id, params={"fields": _STATE})
        places = [_place(sheet) for sheet in content.get("sheets", [])]
        title = content.get("properties", {}).get("title", "")
        return State(title, content.get("spreadsheetUrl", ""), {place.title.casefold(): place for place in places})

    def batch(self, requests: Sequence[Mapping[str, Any]], *, read: Sequence[str] = ()) -> list[Mapping[str, Any]]:
        """Carry out all of the requests or none, in one call; returns the tabs as they are after that, with the ranges asked for.

        Raises UnclearError where it may have been carried out: then look at `state` first.
        """
        body: dict[str, Any] = {"requests": list(requests)}
        if read:
            body |= {"includeSpreadsheetInResponse": True, "responseRanges": list(read), "responseIncludeGridData": True}
        params = {"fields": f"updatedSpreadsheet.{_CELLS}" if read else "spreadsheetId"}
        answer = self._http.send("post", SPREADSHEET_BATCH_UPDATE_URL % self.spreadsheet_id, params, body)
        updated: list[Mapping[str, Any]] = answer.json().get("updatedSpreadsheet", {}).get("sheets", [])
        return updated

    def put(self, place: str, rows: Sequence[Sequence[Any]]) -> Mapping[str, Any]:
        """Write values as they are, from an explicit cell on; doing so again changes nothing."""
        content: Mapping[str, Any] = self._http.values_update(
            self.spreadsheet_id, place, params={"valueInputOption": "RAW"}, body={"values": rows}
        )
        return content

    def values(self, ranges: Sequence[str]) -> list[list[list[Any]]]:
        """The plain values of ranges, moments as serial numbers: one call."""
        params = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "SERIAL_NUMBER"}
        content = self._http.values_batch_get(self.spreadsheet_id, list(ranges), params=dict(params))
        return [found.get("values", []) for found in content["valueRanges"]]

    def grid(self, ranges: Sequence[str]) -> list[Mapping[str, Any]]:
        """The cells of ranges as they were entered: one call."""
        content = self._http.fetch_sheet_metadata(self.spreadsheet_id, params={"ranges": list(ranges), "fields": _CELLS})
        sheets: list[Mapping[str, Any]] = content.get("sheets", [])
        return sheets

    def cells(self, ranges: Sequence[str], *, computed: bool = False) -> list[Mapping[str, Any]]:
        """The cells of ranges with their number formats, and what of their tab is merged: one call.

        With `computed` also what their formulas come to.
        """
        fields = _COMPUTED if computed else _FORMATTED
        content = self._http.fetch_sheet_metadata(self.spreadsheet_id, params={"ranges": list(ranges), "fields": fields})
        sheets: list[Mapping[str, Any]] = content.get("sheets", [])
        return sheets

    def look(self) -> None:
        """Raise where the run is to end."""
        self._look()

    def wait_after(self, unclear: UnclearError, attempt: int, until: float) -> None:
        """Wait before looking again at what became of a call; raises the error where there is no time left."""
        pause = max(unclear.asked_pause, self.patience.pause(attempt, self.jitter()))
        if self.clock.passed() + pause > until:
            raise unclear
        self.wait(pause)

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the wish to end."""
        while seconds > 0:
            self._look()
            self.clock.sleep(min(seconds, LOOK_EVERY_SECONDS))
            seconds -= LOOK_EVERY_SECONDS


def connect(
    settings: Settings,
    *,
    clock: Clock,
    spreadsheet: str = "",
    look: Callable[[], None] = lambda: None,
    patience: Patience = PATIENCE,
) -> Calls:
    """The calls to the spreadsheet of the syncs, by its id, or to that of the sheet.

    Raises ConfigurationError where nobody can sign in.
    """
    account = sign_in(settings.google_sheets_credentials)
    endpoint = settings.google_sheets_endpoint
    book, named_by = (spreadsheet, SYNCS_SETTING) if spreadsheet else (settings.google_sheets_id, SHEET_SETTING)
    return Calls(book, account, clock=clock, endpoint=endpoint, named_by=named_by, patience=patience, look=look)


def look_at(settings: Settings, *, clock: Clock, spreadsheet: str = "") -> str:
    """What one harmless read shows of a spreadsheet, in a sentence that says with whom it has to be shared."""
    calls = connect(settings, clock=clock, spreadsheet=spreadsheet, patience=ONE_LOOK)
    state = calls.state()
    room = f"{state.cells:,} of {MOST_CELLS:,} cells used"
    return f"{state.title} ({state.address}) can be read, {room}; share it with {calls.account.address} as an editor"


def _place(sheet: Mapping[str, Any]) -> Place:
    properties = sheet["properties"]
    grid = properties.get("gridProperties", {})
    rows, columns = int(grid.get("rowCount", 0)), int(grid.get("columnCount", 0))
    return Place(int(properties["sheetId"]), properties["title"], rows, columns, is_merged=bool(sheet.get("merges")))


class _Minute:
    """At most so many calls in any sixty seconds: waiting beforehand costs less than being refused."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: deque[float] = deque()

    def seconds_to_wait(self, passed: float) -> float:
        while self._made and passed - self._made[0] >= 60:
            self._made.popleft()
        return 60 - (passed - self._made[0]) if len(self._made) >= self._most else 0.0

    def count(self, passed: float) -> None:
        self._made.append(passed)


class _PatientClient(HTTPClient):
    """gspread's client with the patience that it lacks; its own one with a back-off never gives up."""

    def __init__(self, calls: Calls, endpoint: str) -> None:
        super().__init__(calls.account.credentials)
        self._calls = calls
        self._endpoint = endpoint
        self._refusals = Refusals(calls.account, calls.spreadsheet_id, calls.clock, named_by=calls.named_by)
        self._reads, self._writes = _Minute(CALLS_A_MINUTE), _Minute(CALLS_A_MINUTE)
        self._connections = Connections()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, Adapter(self._connections))
        self.set_timeout((calls.patience.connect_seconds, calls.patience.answer_seconds))

    def send(self, method: str, address: str, params: Mapping[str, Any], content: Any) -> requests.Response:
        """A call with a body in as few bytes as it takes."""
        data = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        return self.request(method, address, params=dict(params), data=data, headers={"Content-Type": "application/json"})

    def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> requests.Response:
        """One call, tried again while there is hope and time.

        A read and a `PUT` to an explicit range may be repeated; any other call is not, once it may have been carried out.
        """
        calls, is_repeatable = self._calls, method.upper() in ("GET", "PUT")
        until, attempt = calls.clock.passed() + calls.patience.deadline_seconds, 0
        while True:
            self._take_turn(is_read=method.upper() == "GET")
            calls.look()
            due = calls.clock.passed() + (0 if is_repeatable else calls.patience.answer_seconds)

            def look(due: float = due) -> None:
                if calls.clock.passed() >= due:
                    calls.look()

            try:
                with self._refusals.in_words(is_repeatable):
                    with self._connections.while_there_is_time(lambda: calls.clock.passed() > until, look) as was_ended:
                        response = super().request(method, self._redirected(endpoint), *args, **kwargs)
                        if was_ended.is_set():
                            raise TimeoutError
                    return json_answer(response, is_repeatable)
            except PutOffError as put_off:
                pause = max(put_off.asked_pause, calls.patience.pause(attempt, calls.jitter()))
                if calls.clock.passed() + pause > until:
                    raise put_off.why from None
                calls.wait(pause)
                attempt += 1

    def _take_turn(self, *, is_read: bool) -> None:
        minute, clock = (self._reads if is_read else self._writes), self._calls.clock
        self._calls.wait(minute.seconds_to_wait(clock.passed()))
        minute.count(clock.passed())

    def _redirected(self, address: str) -> str:
        for host in GOOGLE:
            if self._endpoint and address.startswith(host):
                return self._endpoint + address.removeprefix(host)
        return address
