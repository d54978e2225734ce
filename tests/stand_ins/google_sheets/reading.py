"""`spreadsheets.get`: properties and, where they are asked for, cells, cut down to the field mask."""

from __future__ import annotations

import ast
from typing import Any

from stand_ins.google_sheets import a1, fields
from stand_ins.google_sheets.batch import properties
from stand_ins.google_sheets.entered import effective, shown
from stand_ins.google_sheets.grid import Area, Book, Cell, Formula, Sheet

DEFAULT_FORMAT = {
    "backgroundColor": {"red": 1, "green": 1, "blue": 1},
    "padding": {"top": 2, "right": 3, "bottom": 2, "left": 3},
    "verticalAlignment": "BOTTOM",
    "wrapStrategy": "OVERFLOW_CELL",
}
WIDTH, HEIGHT = 100, 21


def get(book: Book, *, ranges: list[str], grid_data: bool, mask: str) -> dict[str, Any]:
    """The spreadsheet; with a mask, `includeGridData` does not count. Ranges leave out the tabs that they do not touch."""
    tree = fields.parse(mask) if mask and mask != "*" else {}
    asked = [a1.area(book, text) for text in ranges]
    sheets_tree = tree.get("sheets", {})
    with_cells = (
        "data" in sheets_tree or (bool(mask) and not sheets_tree and fields.names(tree, "sheets")) or (not mask and grid_data)
    )
    content = {
        "spreadsheetId": book.id,
        "properties": {
            "title": book.title,
            "autoRecalc": "ON_CHANGE",
            "defaultFormat": DEFAULT_FORMAT,
            **book.properties,
        },
        "sheets": [
            _sheet(book, sheet, [area for area in asked if area.sheet_id == sheet.id], with_cells, sheets_tree.get("data", {}))
            for sheet in book.sheets
            if not asked or any(area.sheet_id == sheet.id for area in asked)
        ],
        "spreadsheetUrl": f"https://docs.google.com/spreadsheets/d/{book.id}/edit",
    }
    if book.names:
        content["namedRanges"] = list(book.names.values())
    return fields.kept(content, tree) if tree else content


def _sheet(book: Book, sheet: Sheet, asked: list[Area], with_cells: bool, tree: fields.Tree) -> dict[str, Any]:
    content: dict[str, Any] = {"properties": properties(book, sheet)}
    if sheet.merges:
        content["merges"] = [area.as_grid_range() for area in sheet.merges]
    if sheet.filter:
        content["basicFilter"] = sheet.filter
    if sheet.protected:
        content["protectedRanges"] = sheet.protected
    for name, dimension in (("rowGroups", "ROWS"), ("columnGroups", "COLUMNS")):
        if sheet.groups[dimension]:
            content[name] = sheet.groups[dimension]
    if with_cells:
        content["data"] = [_data(sheet, area, tree) for area in asked or [sheet.whole()]]
    return content


def _data(sheet: Sheet, area: Area, tree: fields.Tree) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if area.top:
        content["startRow"] = area.top
    if area.left:
        content["startColumn"] = area.left
    if fields.names(tree, "rowData"):
        rows = [_row(sheet.rows[row], area) for row in range(area.top, area.bottom)]
        while rows and not rows[-1]:
            rows.pop()
        if rows:
            content["rowData"] = rows
    if fields.names(tree, "columnMetadata"):
        content["columnMetadata"] = [{"pixelSize": sheet.widths.get(column, WIDTH)} for column in range(area.left, area.right)]
    if fields.names(tree, "rowMetadata"):
        content["rowMetadata"] = [{"pixelSize": HEIGHT} for _ in range(area.top, area.bottom)]
    return content


def _row(row: dict[int, Cell], area: Area) -> dict[str, Any]:
    inside = [column for column in row if area.left <= column < area.right]
    if not inside:
        return {}
    return {"values": [_cell(row[column]) if column in row else {} for column in range(area.left, max(inside) + 1)]}


def _cell(cell: Cell) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if cell.value is not None:
        content["userEnteredValue"] = extended(cell.value)
        value = effective(cell.value)
        is_error = isinstance(value, ast.AST)
        content["effectiveValue"] = {"errorValue": {"type": "ERROR"}} if is_error else extended(value)  # type: ignore[arg-type]
        content["formattedValue"] = shown(cell)
    if cell.format:
        content["userEnteredFormat"] = cell.format
    if cell.note:
        content["note"] = cell.note
    if cell.rule:
        content["dataValidation"] = cell.rule
    return content


def extended(value: str | int | float | bool | Formula | None) -> dict[str, Any]:
    """A value as the API shows it."""
    match value:
        case Formula():
            return {"formulaValue": value.text}
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value}
        case None:
            return {}
        case _:
            return {"numberValue": value}
