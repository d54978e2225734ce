"""Rows by key in a tab of Google Sheets that people may work in too: own columns of own rows are touched, nothing else.

The first row names the columns. A row is found by its key, wherever people moved it; a column by its name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count, groupby
from typing import Any

from pipeline.clock import Clock
from pipeline.errors import DataError, PermanentError
from pipeline.settings import Settings
from pipeline.sheets.google_calls import Calls, connect
from pipeline.sheets.google_cells import (
    EPOCH,
    LONGEST_TEXT,
    NUMBER_FORMATS,
    Plain,
    cell,
    characters,
    is_same,
    plain,
    read_back,
)
from pipeline.sheets.google_refusals import SERVICE, OutdatedError, UnclearError
from pipeline.sheets.google_requests import Request, a1, area, letters, size
from pipeline.sheets.google_staging import PART_BYTES, free_id
from pipeline.spreadsheets import Storable

PAGE_CELLS = 200_000  # cells in one answer
MOST_REQUESTS = 50_000
MOST_LOOKS = 8
ROOM = 4  # columns beside one's own in a new tab; empty ones count towards the ten million cells, for each customer
_MOVED = "did somebody move rows at that moment?"

Row = Sequence[Storable]
Values = tuple[Storable, ...]


@dataclass(frozen=True)
class RowCounts:
    """What a write did."""

    created: int
    updated: int
    deleted: int


@dataclass(frozen=True)
class _Found:
    """A tab: its id and grid, where its columns stand (by name), where its keys stand (by key, the first of each), how they are
    held, which are there more than once, and the first column behind everything that anybody has written."""

    sheet_id: int
    rows: int
    columns: int
    header: Mapping[str, int] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, Plain] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()
    free: int = 0


class GoogleRows:
    """The rows of tabs, read and written by key. `guard` is asked right before each batch."""

    def __init__(self, calls: Calls, *, guard: Callable[[], None] = lambda: None) -> None:
        self._calls = calls
        self._guard = guard

    def read(self, tab: str, columns: Sequence[str], key: str) -> dict[str, Values]:
        """Every row that has a key, by that key as text: its values in the order of `columns`, None where a column has no place.

        No rows where the tab is not there. Raises DataError where the tab holds something and lacks the key column, or has
        merged cells. One call, and one for every 200,000 cells.
        """
        return self._read(tab, columns, key, computed=False)

    def computed(self, tab: str, columns: Sequence[str], key: str) -> dict[str, Values]:
        """The same, with what a formula comes to in its place. Raises DataError where it comes to an error."""
        return self._read(tab, columns, key, computed=True)

    def _read(self, tab: str, columns: Sequence[str], key: str, *, computed: bool) -> dict[str, Values]:
        place = self._calls.state().find(tab)
        if place is None:
            return {}
        step = max(PAGE_CELLS // max(place.columns, 1), 1)
        header: dict[str, int] = {}
        rows: dict[str, Values] = {}
        for top in range(0, place.rows, step):
            sheet = self._calls.cells([a1(tab, top, min(top + step, place.rows), 0, place.columns)], computed=computed)[0]
            lines = _lines(sheet)
            if top == 0:
                header = _header(tab, key, sheet, lines)
            for number, line in sorted(lines.items()):
                if number == 0 or key not in header:
                    continue
                told = _computed(tab, number, line, (header[key],)) if computed else line
                if not (name := _key(told.get(header[key]))):
                    continue
                if computed:
                    told = _computed(tab, number, line, [header[column] for column in columns if column in header])
                rows.setdefault(name, tuple(_value(told.get(header.get(column, -1))) for column in columns))
        return rows

    def write(
        self, tab: str, columns: Sequence[str], key: str, changed: Mapping[str, Row], deleted: Collection[str] = ()
    ) -> RowCounts:
        """Bring rows to the tab by key: rewrite those that are there, append the others, take away the deleted ones.

        `changed` has each row's values in the order of `columns`, which the key is one of. A missing tab is made, a missing
        column is added on the right. One look and, up to 1.8 MB, one batch: each row is written whole or not at all. Raises
        DataError where a value or the tab cannot be used, PermanentError where the answer shows other rows than were written.
        """
        for row in changed.values():
            _refuse_unfit(tab, columns, row)
        first: _Found | None = None
        until = self._calls.clock.passed() + self._calls.patience.deadline_seconds
        for attempt in count():
            found = self._look(tab, columns, key)
            first = first or found
            try:
                self._apply(tab, columns, key, found, changed, deleted)
                break
            except UnclearError as unclear:
                if attempt >= MOST_LOOKS:
                    raise
                self._calls.wait_after(unclear, attempt, until)
        known = first.numbers if first else {}
        created = sum(name not in known for name in changed)
        return RowCounts(created, len(changed) - created, sum(name in known and name not in changed for name in deleted))

    def _look(self, tab: str, columns: Sequence[str], key: str) -> _Found:
        """Where the tab's columns and keys stand now: one call, one more where the key is not in the first column, and one more
        where a column lacks."""
        try:
            sheet = self._calls.cells([f"{_quoted(tab)}!1:1", f"{_quoted(tab)}!A:A"])[0]
        except OutdatedError:
            if (state := self._calls.state()).find(tab) is not None:
                raise
            return _Found(free_id(tab, state.ids), 0, 0)
        lines = _lines(sheet)
        header = _header(tab, key, sheet, lines)
        place = header.get(key, 0)
        if place:
            sheet = self._calls.cells([f"{_quoted(tab)}!{letters(place)}:{letters(place)}"])[0]
            lines = _lines(sheet)
        numbers, held, repeated = dict[str, int](), dict[str, Plain](), set[str]()
        for number, line in sorted(lines.items()):
            if number > 0 and (name := _key(line.get(place))):
                if name in numbers:
                    repeated.add(name)
                else:
                    numbers[name], held[name] = number, read_back(line[place])
        grid = sheet["properties"]["gridProperties"]
        rows, width = int(grid["rowCount"]), int(grid["columnCount"])
        free = 0 if header.keys() >= set(columns) else self._free(tab, rows, width, max(header.values(), default=-1) + 1)
        return _Found(int(sheet["properties"]["sheetId"]), rows, width, header, numbers, held, frozenset(repeated), free)

    def _free(self, tab: str, rows: int, columns: int, first: int) -> int:
        """The first column behind everything in the tab: people also write where no header stands."""
        if first >= columns:
            return first
        [lines] = self._calls.values([a1(tab, 0, rows, first, columns)])
        return first + max(map(len, lines), default=0)

    def _apply(
        self, tab: str, columns: Sequence[str], key: str, found: _Found, changed: Mapping[str, Row], deleted: Collection[str]
    ) -> None:
        places = _places(found, columns)
        updated = {name: row for name, row in changed.items() if name in found.numbers}
        created = {name: row for name, row in changed.items() if name not in found.numbers}
        doomed = sorted({found.numbers[name] for name in deleted if name in found.numbers and name not in changed}, reverse=True)
        requests = [
            *_made(tab, found, columns, places),
            *(request for name, row in updated.items() for request in _rewritten(found, places, key, name, row)),
            *({"deleteDimension": {"range": _rows(found.sheet_id, number)}} for number in doomed),
            *_appended(found.sheet_id, places, list(created.values())),
        ]
        if not requests:
            return
        *before, last = _batches(requests)
        for batch in before:
            self._guard()
            self._calls.batch(batch)
        self._guard()
        answer = self._calls.batch(last, read=[f"{_quoted(tab)}!{letters(places[key])}:{letters(places[key])}"])
        _verify(tab, answer, places[key], found, updated, created, deleted)


def open_rows(settings: Settings, *, clock: Clock, guard: Callable[[], None]) -> GoogleRows:
    """The rows of the spreadsheet of the syncs. Raises ConfigurationError where nobody can sign in."""
    calls = connect(settings, clock=clock, spreadsheet=settings.google_sheets_syncs_id, look=guard)
    return GoogleRows(calls, guard=guard)


def _quoted(tab: str) -> str:
    return "'" + tab.replace("'", "''") + "'"


def _lines(sheet: Mapping[str, Any]) -> dict[int, dict[int, Mapping[str, Any]]]:
    """The cells of an answer by row and column."""
    lines: dict[int, dict[int, Mapping[str, Any]]] = {}
    for data in sheet.get("data", []):
        for number, row in enumerate(data.get("rowData", []), data.get("startRow", 0)):
            cells = enumerate(row.get("values", []), data.get("startColumn", 0))
            lines.setdefault(number, {}).update({column: found for column, found in cells if found.get("userEnteredValue")})
    return lines


def _header(tab: str, key: str, sheet: Mapping[str, Any], lines: Mapping[int, Mapping[int, Any]]) -> dict[str, int]:
    """The columns by the name in the first row, the leftmost of each."""
    if sheet.get("merges"):
        raise _unusable(tab, "has merged cells")
    header: dict[str, int] = {}
    for column, found in sorted(lines.get(0, {}).items()):
        header.setdefault(str(_value(found)), column)
    if key not in header and any(lines.values()):
        raise _unusable(tab, f"has no column {key} in its first row")
    return header


def _key(found: Mapping[str, Any] | None) -> str:
    """The text of a key, whatever format somebody gave its cell: 17 shown as a day is 17."""
    value = read_back(found or {})
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def _value(found: Mapping[str, Any] | None) -> Storable:
    """What a cell holds, as it was handed in: a number under a date format is a day or a moment."""
    value = read_back(found or {})
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    kind = ((found or {}).get("userEnteredFormat") or {}).get("numberFormat", {}).get("type", "")
    if kind in ("DATE", "DATE_TIME"):
        return _moment(value, is_day=kind == "DATE" and float(value).is_integer())
    return int(value) if float(value).is_integer() else value


def _computed(
    tab: str, number: int, line: Mapping[int, Mapping[str, Any]], columns: Collection[int]
) -> dict[int, Mapping[str, Any]]:
    """These columns of a line with what their formulas come to; what people compute beside them is their own affair."""
    made: dict[int, Mapping[str, Any]] = {}
    for column in columns:
        found = line.get(column, {})
        value = found.get("effectiveValue") or {}
        if "errorValue" in value:
            kind = value["errorValue"].get("type", "ERROR")
            raise _unusable(tab, f"has a formula in {letters(column)}{number + 1} that comes to an error ({kind})")
        cell_format = found.get("effectiveFormat") or found.get("userEnteredFormat")
        made[column] = {"userEnteredValue": value, "userEnteredFormat": cell_format}
    return made


def _moment(serial: float, *, is_day: bool) -> date | datetime:
    if is_day:
        return EPOCH + timedelta(days=int(serial))
    return datetime(EPOCH.year, EPOCH.month, EPOCH.day) + timedelta(seconds=round(serial * 86_400))


def _places(found: _Found, columns: Sequence[str]) -> dict[str, int]:
    """Where each own column stands or will stand."""
    free = count(found.free)
    return {column: found.header[column] if column in found.header else next(free) for column in columns}


def _made(tab: str, found: _Found, columns: Sequence[str], places: Mapping[str, int]) -> Iterator[Request]:
    """The tab where it is missing, room for columns that lack, their names."""
    if not found.rows:
        grid = {"rowCount": 1000, "columnCount": len(columns) + ROOM, "frozenRowCount": 1}
        yield {"addSheet": {"properties": {"sheetId": found.sheet_id, "title": tab, "gridProperties": grid}}}
    elif (needed := max(places.values()) + 1) > found.columns:
        properties = {"sheetId": found.sheet_id, "gridProperties": {"columnCount": needed}}
        yield {"updateSheetProperties": {"properties": properties, "fields": "gridProperties.columnCount"}}
    for column in columns:
        if column not in found.header:
            covered = area(found.sheet_id, 0, 1, places[column], places[column] + 1)
            title = {**cell(column), "userEnteredFormat": {"textFormat": {"bold": True}}}
            rows, fields = [{"values": [title]}], "userEnteredValue,userEnteredFormat.textFormat.bold"
            yield {"updateCells": {"range": covered, "rows": rows, "fields": fields}}


def _rewritten(found: _Found, places: Mapping[str, int], key: str, name: str, row: Row) -> Iterator[Request]:
    """The own cells of one row, in stretches of neighbours; formats of others stay, but a day is shown as a day.

    A key that is held as it should be is not written again: by it the answer shows whether this still was its row.
    """
    number, given = found.numbers[name], dict(zip(places, row, strict=True))
    if is_same(plain(given[key]), found.held[name]):
        del given[key]
    cells = sorted(((places[column], _cell(value)) for column, value in given.items()), key=lambda each: each[0])
    for _, stretch in groupby(enumerate(cells), key=lambda each: (each[1][0] - each[0], "userEnteredFormat" in each[1][1])):
        run = [each for _, each in stretch]
        covered = area(found.sheet_id, number, number + 1, run[0][0], run[-1][0] + 1)
        fields = "userEnteredValue" + (",userEnteredFormat.numberFormat" if "userEnteredFormat" in run[0][1] else "")
        yield {"updateCells": {"range": covered, "rows": [{"values": [each for _, each in run]}], "fields": fields}}


def _appended(sheet_id: int, places: Mapping[str, int], rows: Sequence[Row]) -> Iterator[Request]:
    """Rows below everything that the tab holds, in requests that fit into a body; the service knows best where that is."""
    width = max(places.values(), default=-1) + 1
    lines: list[dict[str, Any]] = []
    taken = 0
    for row in rows:
        cells: list[dict[str, Any]] = [{} for _ in range(width)]
        for place, value in zip(places.values(), row, strict=True):
            cells[place] = _cell(value)
        lines.append({"values": cells})
        taken += size(lines[-1])
        if taken > PART_BYTES // 2:
            yield _append(sheet_id, lines)
            lines, taken = [], 0
    if lines:
        yield _append(sheet_id, lines)


def _append(sheet_id: int, lines: Sequence[Mapping[str, Any]]) -> Request:
    return {
        "appendCells": {"sheetId": sheet_id, "rows": list(lines), "fields": "userEnteredValue,userEnteredFormat.numberFormat"}
    }


def _cell(value: Storable) -> dict[str, Any]:
    held = plain(value)
    if isinstance(value, date) and not isinstance(held, str):
        shown = NUMBER_FORMATS["moment" if isinstance(value, datetime) else "date"]
        return {**cell(held), "userEnteredFormat": {"numberFormat": shown}}
    return cell(held)


def _rows(sheet_id: int, number: int) -> dict[str, Any]:
    return {"sheetId": sheet_id, "dimension": "ROWS", "startIndex": number, "endIndex": number + 1}


def _batches(requests: Sequence[Request]) -> Iterator[list[Request]]:
    """The requests in their order, as many in a body as it takes."""
    batch: list[Request] = []
    taken = 0
    for request in requests:
        length = size(request)
        if batch and (taken + length > PART_BYTES or len(batch) >= MOST_REQUESTS):
            yield batch
            batch, taken = [], 0
        batch.append(request)
        taken += length + 1
    yield batch


def _verify(
    tab: str,
    answer: Sequence[Mapping[str, Any]],
    place: int,
    found: _Found,
    updated: Mapping[str, Row],
    created: Mapping[str, Row],
    deleted: Collection[str],
) -> None:
    """Hold the key column against what it should hold now: each rewritten key in its row, less the deleted rows above it, the
    new keys there, and the deleted ones gone."""
    lines = _lines(answer[0]) if answer else {}
    keys = {number: _key(line.get(place)) for number, line in lines.items() if number > 0}
    there = set(keys.values())
    doomed = {name for name in deleted if name in found.numbers and name not in updated}
    gone = sorted(found.numbers[name] for name in doomed)
    for name in updated:
        number = found.numbers[name] - bisect_left(gone, found.numbers[name])
        if keys.get(number) != name:
            raise _not_written(tab, f"row {number + 1} holds another key than it should; {_MOVED}")
    if lacking := sorted(created.keys() - there):
        raise _not_written(tab, f"{len(lacking):,} of {len(created):,} new rows did not arrive")
    if left := sorted((doomed & there) - found.repeated):
        raise _not_written(tab, f"rows that were to go are still there ({len(left):,}), and others may be gone; {_MOVED}")


def _refuse_unfit(tab: str, columns: Sequence[str], row: Row) -> None:
    if len(row) != len(columns):
        raise _unusable(tab, f"is given a row of {len(row)} cells for {len(columns)} columns")
    for value in row:
        held: Plain = plain(value)
        if isinstance(held, str) and characters(held) > LONGEST_TEXT:
            raise _unusable(tab, f"is given a text of {characters(held):,} characters; a cell holds {LONGEST_TEXT:,}")


def _unusable(tab: str, what: str) -> DataError:
    return DataError(
        f"The tab {tab} {what}",
        where=f"{SERVICE}, tab {tab}",
        safe="The tab is untouched; the new version is published",
        next="mend the tab or rename it (it is made anew), then neopulse run --from activate",
    )


def _not_written(tab: str, what: str) -> PermanentError:
    return PermanentError(
        f"The tab {tab} was not written as it should be: {what}",
        where=f"{SERVICE}, tab {tab}",
        safe="The new version is published; Google keeps the tab as it was before in its version history",
        next="look at the tab, then neopulse run --from activate, which compares every row again",
    )
