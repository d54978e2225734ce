"""`spreadsheets.values`: reading, writing, appending and clearing rectangles of plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stand_ins.google_sheets import a1, entered
from stand_ins.google_sheets.errors import ApiError, invalid
from stand_ins.google_sheets.grid import Area, Book, Cell, Sheet

_LIST = "Invalid value at 'data.values' (type.googleapis.com/google.protobuf.ListValue)"


def get(book: Book, text: str, query: dict[str, str]) -> dict[str, Any]:
    """A ValueRange; rows and cells behind the last value are left out."""
    area = a1.area(book, text)
    sheet = book.sheet(area.sheet_id)
    dimension = query.get("majorDimension", "ROWS")
    values = _values(sheet, area, query)
    if dimension == "COLUMNS":
        width = max((len(row) for row in values), default=0)
        values = [_trimmed([row[column] if column < len(row) else "" for row in values]) for column in range(width)]
    content: dict[str, Any] = {"range": a1.shown(sheet, area), "majorDimension": dimension}
    return content | ({"values": values} if values else {})


def _values(sheet: Sheet, area: Area, query: dict[str, str]) -> list[list[Any]]:
    render = query.get("valueRenderOption", "FORMATTED_VALUE")
    moments = query.get("dateTimeRenderOption", "SERIAL_NUMBER")
    rows = []
    for row in sheet.rows[area.top : area.bottom]:
        inside = [column for column in row if area.left <= column < area.right and row[column].value is not None]
        last = max(inside, default=area.left - 1)
        cells = (row.get(column, Cell()) for column in range(area.left, last + 1))
        rows.append([entered.rendered(cell, render, moments) for cell in cells])
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _trimmed(values: list[Any]) -> list[Any]:
    while values and values[-1] == "":
        values.pop()
    return values


def update(book: Book, text: str, body: dict[str, Any], option: str, *, includes_values: bool = False) -> dict[str, Any]:
    """Write values from the range's first cell on; null leaves a cell as it is, "" empties it."""
    rows = _rows(body)
    area = a1.area(book, text)
    sheet = book.sheet(area.sheet_id)
    written = _write(book, sheet, area, rows, option, is_bounded=":" in text.rpartition("!")[2])
    return _told(book, sheet, written, rows, includes_values)


def _rows(body: dict[str, Any]) -> list[list[Any]]:
    rows = body.get("values", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        wrong = rows if not isinstance(rows, list) else next(row for row in rows if not isinstance(row, list))
        message = f'{_LIST}, "{wrong}"'
        violation = {"field": "data.values", "description": message}
        details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
        raise ApiError(400, message, details)
    if (body.get("majorDimension") or "ROWS") == "COLUMNS":
        height = max((len(column) for column in rows), default=0)
        return [[column[row] if row < len(column) else None for column in rows] for row in range(height)]
    return rows


def _write(book: Book, sheet: Sheet, area: Area, rows: list[list[Any]], option: str, *, is_bounded: bool) -> Area:
    if option not in ("RAW", "USER_ENTERED"):
        raise invalid("'valueInputOption' is required but not specified")
    width = max((len(row) for row in rows), default=0)
    bottom, right = area.top + len(rows), area.left + width
    if is_bounded and (bottom > area.bottom or right > area.right):
        what = "row" if bottom > area.bottom else "column"
        tried = area.bottom + 1 if what == "row" else a1.column_letters(area.right)
        raise invalid(f"Requested writing within range [{a1.shown(sheet, area)}], but tried writing to {what} [{tried}]")
    if bottom > len(sheet.rows) or right > sheet.columns:
        shown = f"{a1.shown_title(sheet.title)}!{a1.column_letters(area.left)}{area.top + 1}"
        raise invalid(
            f"Range ({shown}:{a1.column_letters(max(right - 1, area.left))}{bottom}) exceeds grid limits. "
            f"Max rows: {len(sheet.rows)}, max columns: {sheet.columns}"
        )
    del book
    for number, row in enumerate(rows, area.top):
        sheet.change(
            number, area.left, area.left + len(row), lambda column, cell, row=row: _put(cell, row[column - area.left], option)
        )
    return replace(area, bottom=max(bottom, area.top + 1), right=max(right, area.left + 1))


def _put(cell: Cell, value: Any, option: str) -> Cell:
    if value is None:
        return cell
    if option == "RAW":
        return replace(cell, value=entered.raw(value))
    read, number_format = entered.typed(value, (cell.format or {}).get("numberFormat"))
    shown = cell.format if number_format is None else {**(cell.format or {}), "numberFormat": number_format}
    return replace(cell, value=read, format=shown)


def _told(book: Book, sheet: Sheet, written: Area, rows: list[list[Any]], includes_values: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"spreadsheetId": book.id, "updatedRange": a1.shown(sheet, written)}
    if cells := sum(value is not None for row in rows for value in row):
        content |= {
            "updatedRows": sum(any(value is not None for value in row) for row in rows),
            "updatedColumns": len({column for row in rows for column, value in enumerate(row) if value is not None}),
            "updatedCells": cells,
        }
    if includes_values:
        content["updatedData"] = get(book, a1.shown(sheet, written), {})
    return content


def append(book: Book, text: str, body: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """Write below the last table of the range."""
    rows = _rows(body)
    area = a1.area(book, text)
    sheet = book.sheet(area.sheet_id)
    table = _table(sheet, area)
    top, left = (table.bottom, table.left) if table else (area.top, area.left)
    width = max((len(row) for row in rows), default=1)
    if query.get("insertDataOption") == "INSERT_ROWS":
        sheet.rows[top:top] = [{} for _ in rows]
    sheet.resize(max(len(sheet.rows), top + len(rows)), max(sheet.columns, left + width))
    book.check_size()
    start = Area(sheet.id, top, top + 1, left, left + 1)
    written = _write(book, sheet, start, rows, query.get("valueInputOption", ""), is_bounded=False)
    content: dict[str, Any] = {"spreadsheetId": book.id}
    if table:
        content["tableRange"] = a1.shown(sheet, table)
    includes_values = query.get("includeValuesInResponse", "false").casefold() == "true"
    return content | {"updates": _told(book, sheet, written, rows, includes_values)}


def _table(sheet: Sheet, area: Area) -> Area | None:
    """The last block of touching values in the range, or the one that touches a range of one cell."""
    filled = {(row, column) for row, cells in enumerate(sheet.rows) for column, cell in cells.items() if cell.value is not None}
    inside = {(row, column) for row, column in filled if area.top <= row < area.bottom and area.left <= column < area.right}
    if not inside:
        return None
    seed = max(inside)
    block, edge = {seed}, [seed]
    while edge:
        row, column = edge.pop()
        near = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & filled - block
        block |= near
        edge += near
    rows, columns = [row for row, _ in block], [column for _, column in block]
    return Area(sheet.id, min(rows), max(rows) + 1, min(columns), max(columns) + 1)


def clear(book: Book, text: str) -> str:
    """Empty the values of a range, formats stay; returns the range."""
    area = a1.area(book, text)
    sheet = book.sheet(area.sheet_id)
    for row in range(area.top, area.bottom):
        if any(area.left <= column < area.right for column in sheet.rows[row]):
            sheet.change(row, area.left, area.right, lambda _column, cell: replace(cell, value=None))
    return a1.shown(sheet, area)
