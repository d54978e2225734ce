"""The requests of a batch that makes a tab hold a draft: grid, cells, formats; and how the answer is held against the draft."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import PermanentError
from pipeline.sheets.base import Format
from pipeline.sheets.google_calls import Place
from pipeline.sheets.google_cells import NUMBER_FORMATS, Draft, Plain, PlainRow, encoded, is_same, read_back
from pipeline.sheets.google_refusals import SERVICE

Request = dict[str, Any]
PIXELS_A_CHARACTER = 7
_HEADER_FORMAT = {
    "backgroundColor": {"red": 0.906, "green": 0.929, "blue": 0.953},
    "textFormat": {"bold": True},
    "wrapStrategy": "WRAP",
    "verticalAlignment": "TOP",
}
_NOTE_FORMAT = {"textFormat": {"italic": True, "foregroundColor": {"red": 0.35, "green": 0.35, "blue": 0.35}}}


def size(requests: Any) -> int:
    """The bytes that requests take in a body."""
    return len(json.dumps(requests, ensure_ascii=False, separators=(",", ":")).encode())


def size_up_to(draft: Draft, most: int) -> int:
    """The bytes that the rows of a draft take in a body; of a larger one no more is counted than shows that it is."""
    taken = 2
    for row in draft.rows:
        taken += size(encoded([row])[0]) + 1
        if taken > most:
            break
    return taken


def new_tab(draft: Draft, sheet_id: int) -> list[Request]:
    """A tab under an id that the requests after it can name, its columns as wide as the layout says."""
    grid = {"rowCount": len(draft.rows), "columnCount": draft.columns}
    properties = {"sheetId": sheet_id, "title": draft.title, "gridProperties": grid}
    widths = [
        {
            "updateDimensionProperties": {
                "range": {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": column, "endIndex": column + 1},
                "properties": {"pixelSize": PIXELS_A_CHARACTER * width + 14},
                "fields": "pixelSize",
            }
        }
        for column, width in enumerate(draft.tab.widths)
    ]
    return [{"addSheet": {"properties": properties}}, *widths]


def grown(draft: Draft, place: Place) -> list[Request]:
    """Make room, before anything is cut off."""
    rows, columns = max(place.rows, len(draft.rows)), max(place.columns, draft.columns)
    if (rows, columns) == (place.rows, place.columns):
        return []
    grid = {"rowCount": rows, "columnCount": columns}
    return [_grid_properties(place.sheet_id, grid, "gridProperties(rowCount,columnCount)")]


def separated(place: Place) -> Request:
    """Undo every merge: of merged cells all but one would show nothing."""
    return {"unmergeCells": {"range": area(place.sheet_id, 0, place.rows, 0, place.columns)}}


def whole_grid(draft: Draft, place: Place, rows: Sequence[Mapping[str, Any]]) -> Request:
    """Write rows over the whole grid: what they do not cover is emptied."""
    covered = area(place.sheet_id, 0, max(place.rows, len(draft.rows)), 0, max(place.columns, draft.columns))
    return {"updateCells": {"range": covered, "rows": list(rows), "fields": "userEnteredValue"}}


def some_rows(place: Place, first: int, rows: Sequence[Mapping[str, Any]], columns: int, *, left: int = 0) -> Request:
    """Write neighbouring rows."""
    covered = area(place.sheet_id, first, first + len(rows), left, left + columns)
    return {"updateCells": {"range": covered, "rows": list(rows), "fields": "userEnteredValue"}}


def finished(draft: Draft, place: Place) -> list[Request]:
    """Formats, then the grid as large as the draft, with note, header and first column kept on the screen."""
    frozen = min(draft.tab.frozen_rows, len(draft.rows) - 1)
    grid = {
        "rowCount": len(draft.rows),
        "columnCount": draft.columns,
        "frozenRowCount": frozen,
        "frozenColumnCount": min(1, draft.columns - 1),
    }
    fields = "gridProperties(rowCount,columnCount,frozenRowCount,frozenColumnCount)"
    # Nothing is frozen while the grid is cut, for a grid cannot be cut into what is frozen.
    loose = _grid_properties(place.sheet_id, {}, "gridProperties(frozenRowCount,frozenColumnCount)")
    return [*_formats(draft, place.sheet_id), loose, _grid_properties(place.sheet_id, grid, fields)]


def _formats(draft: Draft, sheet_id: int) -> Iterator[Request]:
    yield _repeated(area(sheet_id, 0, 1, 0, draft.columns), _NOTE_FORMAT, "textFormat")
    yield _repeated(area(sheet_id, 1, 2, 0, draft.columns), _HEADER_FORMAT, ",".join(_HEADER_FORMAT))
    if len(draft.rows) > draft.tab.frozen_rows:
        for column, chosen in enumerate(draft.tab.formats):
            yield number_format(sheet_id, draft.tab.frozen_rows, len(draft.rows), column, chosen)
    for first, last, column, chosen in draft.formats:
        yield number_format(sheet_id, first, last, column, chosen)


def number_format(sheet_id: int, first: int, last: int, column: int, chosen: Format) -> Request:
    """The number format of a stretch of a column; none for text."""
    found = NUMBER_FORMATS[chosen]
    return _repeated(area(sheet_id, first, last, column, column + 1), {"numberFormat": found} if found else {}, "numberFormat")


def _repeated(covered: Mapping[str, int], cell_format: Mapping[str, Any], fields: str) -> Request:
    return {
        "repeatCell": {"range": covered, "cell": {"userEnteredFormat": cell_format}, "fields": f"userEnteredFormat({fields})"}
    }


def _grid_properties(sheet_id: int, grid: Mapping[str, int], fields: str) -> Request:
    return {"updateSheetProperties": {"properties": {"sheetId": sheet_id, "gridProperties": grid}, "fields": fields}}


def area(sheet_id: int, top: int, bottom: int, left: int, right: int) -> dict[str, int]:
    """A rectangle, ends excluded."""
    return {
        "sheetId": sheet_id,
        "startRowIndex": top,
        "endRowIndex": bottom,
        "startColumnIndex": left,
        "endColumnIndex": right,
    }


def a1(title: str, top: int, bottom: int, left: int, right: int) -> str:
    """A rectangle, ends excluded, as the API reads it."""
    quoted = title.replace("'", "''")
    return f"'{quoted}'!{letters(left)}{top + 1}:{letters(right - 1)}{bottom}"


def letters(column: int) -> str:
    """0 is A, 26 is AA."""
    found, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(65 + rest) + found
    return found


class DifferentError(PermanentError):
    """The cells are not those that were written: the service failed, or somebody wrote into them at the same moment."""


class Answered:
    """The cells of tabs as an answer shows them."""

    def __init__(self, sheets: Sequence[Mapping[str, Any]]) -> None:
        self._sheets = {sheet["properties"]["title"].casefold(): sheet for sheet in sheets}

    def verify_size(self, draft: Draft) -> None:
        """Raise DifferentError where a tab is not as large as its draft."""
        grid = self._sheet(draft.title)["properties"]["gridProperties"]
        if (found := (grid["rowCount"], grid["columnCount"])) != (expected := (len(draft.rows), draft.columns)):
            raise _not_whole(
                draft.title, f"it has {found[0]:,} rows and {found[1]} columns, not {expected[0]:,} and {expected[1]}"
            )

    def verify(self, title: str, top: int, left: int, rows: Sequence[PlainRow]) -> None:
        """Raise DifferentError where cells do not hold what was written."""
        cells = self._cells(title)
        for number, row in enumerate(rows, top):
            for column, value in enumerate(row, left):
                found = cells.get((number, column))
                if not is_same(value, found):
                    raise _not_whole(title, f"row {number + 1}, column {letters(column)} differs from what was written")

    def _cells(self, title: str) -> dict[tuple[int, int], Plain]:
        return {
            (row, column): read_back(cell)
            for data in self._sheet(title).get("data", [])
            for row, cells in enumerate(data.get("rowData", []), data.get("startRow", 0))
            for column, cell in enumerate(cells.get("values", []), data.get("startColumn", 0))
        }

    def _sheet(self, title: str) -> Mapping[str, Any]:
        if title.casefold() not in self._sheets:
            raise _not_whole(title, "it is not there")
        return self._sheets[title.casefold()]


def _not_whole(title: str, what: str) -> DifferentError:
    return DifferentError(
        f"The tab {title} was not written whole: {what}",
        where=f"{SERVICE}, tab {title}",
        safe="The new version is published; the figures are right in the app and with neopulse metric",
        next="neopulse run --from sheet",
    )
