"""`spreadsheets.batchUpdate`: every sub-request on a copy, which takes the spreadsheet's place only if all of them hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from stand_ins.google_sheets import fields
from stand_ins.google_sheets.a1 import grid_area
from stand_ins.google_sheets.entered import effective
from stand_ins.google_sheets.errors import ApiError, in_request, invalid, not_in_the_stand_in
from stand_ins.google_sheets.grid import EMPTY, Area, Book, Cell, Entered, Formula, Row, Sheet, text_checked

MOST_REQUESTS = 100_000
GRID = ("frozenRowCount", "frozenColumnCount", "hideGridlines", "rowGroupControlAfter", "columnGroupControlAfter")

Apply = Callable[[Book, Mapping[str, Any]], Any]


def apply(book: Book, requests: list[Mapping[str, Any]]) -> tuple[Book, list[dict[str, Any]]]:
    """The spreadsheet after all of the requests, and their replies; the one that was handed in stays as it is."""
    if not requests:
        raise invalid("Must specify at least one request.")
    if len(requests) > MOST_REQUESTS:
        raise invalid(f"Too many requests: {len(requests)}, the maximum is {MOST_REQUESTS}")
    draft = book.draft()
    replies = []
    for place, request in enumerate(requests):
        kind = next(iter(request), "")
        if kind not in _KINDS:
            raise not_in_the_stand_in(f"batchUpdate request {kind}")
        try:
            reply = _KINDS[kind](draft, request[kind])
        except ApiError as error:
            raise in_request(place, kind, error.message) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise in_request(place, kind, f"a member is missing or of the wrong type: {error}") from error
        replies.append({} if reply is None else {kind: reply})
    return draft, replies


def _add_sheet(book: Book, body: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(body.get("properties", {}))
    title = given.get("title") or next(
        name for name in (f"Sheet{n}" for n in itertools.count(len(book.sheets) + 1)) if not book.titled(name)
    )
    if book.titled(title):
        raise invalid(f'A sheet with the name "{title}" already exists. Please enter another name.')
    sheet_id = int(given.get("sheetId", _free_id(book)))
    if any(sheet.id == sheet_id for sheet in book.sheets):
        raise invalid(f"Sheet with id {sheet_id} already exists.")
    grid = dict(given.get("gridProperties", {}))
    sheet = Sheet(sheet_id, title, [{} for _ in range(int(grid.get("rowCount", 1000)))], int(grid.get("columnCount", 26)))
    sheet.grid = {name: grid[name] for name in GRID if grid.get(name)}
    sheet.properties = {name: given[name] for name in ("hidden", "tabColor", "tabColorStyle", "rightToLeft") if given.get(name)}
    book.sheets.insert(int(given.get("index", len(book.sheets))), sheet)
    book.check_size()
    return {"properties": properties(book, sheet)}


def _free_id(book: Book) -> int:
    taken = {sheet.id for sheet in book.sheets}
    return next(number for number in itertools.count(1_000_003, 7_919) if number not in taken)


def properties(book: Book, sheet: Sheet) -> dict[str, Any]:
    """A tab's SheetProperties; members at their default are left out, as Google does."""
    return {
        "sheetId": sheet.id,
        "title": sheet.title,
        "index": book.sheets.index(sheet),
        "sheetType": "GRID",
        "gridProperties": {"rowCount": len(sheet.rows), "columnCount": sheet.columns, **sheet.grid},
        **sheet.properties,
    }


def _delete_sheet(book: Book, body: Mapping[str, Any]) -> None:
    sheet = book.sheet(int(body["sheetId"]))
    if not any(each is not sheet and not each.properties.get("hidden") for each in book.sheets):
        raise invalid("You can't remove all the visible sheets in a document.")
    book.sheets.remove(sheet)


def _duplicate_sheet(book: Book, body: Mapping[str, Any]) -> dict[str, Any]:
    source = book.draft().sheet(int(body["sourceSheetId"]))
    title = body.get("newSheetName") or f"Copy of {source.title}"
    if book.titled(title):
        raise invalid(f'A sheet with the name "{title}" already exists. Please enter another name.')
    source.id, source.title = int(body.get("newSheetId") or _free_id(book)), title
    book.sheets.insert(int(body.get("insertSheetIndex", 0)), source)
    book.check_size()
    return {"properties": properties(book, source)}


def _update_sheet_properties(book: Book, body: Mapping[str, Any]) -> None:
    given, tree = body["properties"], fields.parse(body["fields"])
    sheet = book.sheet(int(given.get("sheetId", 0)))
    if "title" in tree and given["title"] != sheet.title:
        if (other := book.titled(given["title"])) and other is not sheet:
            raise invalid(f'A sheet with the name "{given["title"]}" already exists. Please enter another name.')
        sheet.title = given["title"]
    if "gridProperties" in tree:
        _change_grid(book, sheet, given.get("gridProperties", {}), tree["gridProperties"])
    for name in ("hidden", "rightToLeft"):
        if name in tree:
            _set_or_clear(sheet.properties, name, given.get(name))
    for name in ("tabColor", "tabColorStyle"):
        if name in tree:
            _set_or_clear(sheet.properties, name, _colour(given.get(name)))
    if "tabColor" in tree or "tabColorStyle" in tree:
        _same_colours(sheet.properties, "tabColorStyle" if "tabColorStyle" in tree else "tabColor")
    if all(each.properties.get("hidden") for each in book.sheets):
        raise invalid("You can't hide all the sheets in a document.")
    if "index" in tree:
        _move(book, sheet, int(given.get("index", 0)))


def _colour(given: Any) -> Any:
    """A colour as it is kept: 256 steps, and what is 0 left out."""
    if isinstance(given, dict):
        return {name: kept for name, value in given.items() if (kept := _colour(value)) or (name == "rgbColor" and kept == {})}
    return int(given * 255) / 255 if isinstance(given, (int, float)) else given


def _same_colours(held: dict[str, Any], set_by: str) -> None:
    if set_by == "tabColorStyle":
        _set_or_clear(held, "tabColor", (held.get("tabColorStyle") or {}).get("rgbColor"))
    else:
        _set_or_clear(held, "tabColorStyle", {"rgbColor": held["tabColor"]} if held.get("tabColor") else None)


def _move(book: Book, sheet: Sheet, index: int) -> None:
    before = book.sheets.index(sheet)
    book.sheets.remove(sheet)
    book.sheets.insert(index - 1 if index > before else index, sheet)


def _change_grid(book: Book, sheet: Sheet, given: Mapping[str, Any], tree: fields.Tree) -> None:
    for name in GRID:
        if fields.names(tree, name):
            _set_or_clear(sheet.grid, name, given.get(name))
    # The count of rows is applied and checked before that of columns.
    for name in ("rowCount", "columnCount"):
        if fields.names(tree, name) and name in given:
            if int(given[name]) < 1:
                raise invalid(f"{name} must be at least 1")
            rows = int(given[name]) if name == "rowCount" else len(sheet.rows)
            sheet.resize(rows, int(given[name]) if name == "columnCount" else sheet.columns)
            book.check_size()
    if int(sheet.grid.get("frozenRowCount", 0)) >= len(sheet.rows):
        raise invalid("You can't freeze all visible rows on the sheet.")
    if int(sheet.grid.get("frozenColumnCount", 0)) >= sheet.columns:
        raise invalid("You can't freeze all visible columns on the sheet.")


def _set_or_clear(held: dict[str, Any], name: str, value: Any) -> None:
    if value:
        held[name] = value
    else:
        held.pop(name, None)


def _update_spreadsheet_properties(book: Book, body: Mapping[str, Any]) -> None:
    changed = fields.merged({**book.properties, "title": book.title}, body["properties"], fields.parse(body["fields"]))
    book.title = changed.pop("title", book.title)
    book.properties = changed


def _update_cells(book: Book, body: Mapping[str, Any]) -> None:
    tree, rows = fields.parse(body["fields"]), body.get("rows", [])
    if "range" in body:
        area = grid_area(book, body["range"])
    else:
        start = body["start"]
        width = max((len(row.get("values", [])) for row in rows), default=0)
        top, left = int(start.get("rowIndex", 0)), int(start.get("columnIndex", 0))
        area = Area(int(start.get("sheetId", 0)), top, top + len(rows), left, left + width)
        if rows and width:
            grid_area(book, area.as_grid_range())
    sheet = book.sheet(area.sheet_id)
    if len(rows) > area.bottom - area.top:
        raise invalid(f"Attempting to write row {area.bottom}, beyond the last requested row of: {area.bottom - 1}")
    for row in range(area.top, area.bottom):
        cells = (rows[row - area.top] if row - area.top < len(rows) else {}).get("values", [])
        if len(cells) > area.right - area.left:
            raise invalid(f"Attempting to write column {area.right}, beyond the last requested column of: {area.right - 1}")
        _change_row(sheet, row, area, cells, tree)


def _change_row(sheet: Sheet, row: int, area: Area, cells: list[Mapping[str, Any]], tree: fields.Tree) -> None:
    def changed(column: int, cell: Cell) -> Cell:
        place = column - area.left
        return _changed(cell, cells[place] if place < len(cells) else {}, tree)

    sheet.change(row, area.left, area.right, changed)


def _changed(cell: Cell, given: Mapping[str, Any], tree: fields.Tree) -> Cell:
    if fields.names(tree, "userEnteredValue"):
        cell = replace(cell, value=_extended_value(given.get("userEnteredValue")))
    if fields.names(tree, "userEnteredFormat"):
        below = tree.get("userEnteredFormat", {})
        cell = replace(cell, format=_with_styles(fields.merged(cell.format, given.get("userEnteredFormat"), below)))
    if fields.names(tree, "note"):
        cell = replace(cell, note=given.get("note") or "")
    if fields.names(tree, "dataValidation"):
        cell = replace(cell, rule=given.get("dataValidation"))
    return cell


def _extended_value(value: Mapping[str, Any] | None) -> Entered:
    if not value:
        return None
    if len(value) > 1:
        raise invalid("an ExtendedValue has one member")
    ((kind, content),) = value.items()
    match kind, content:
        case "stringValue", str():
            return text_checked(content if content != "" else None)
        case "boolValue", bool():
            return content
        case "numberValue", int() | float() if not isinstance(content, bool):
            return content if isinstance(content, int) and abs(content) < 2**53 else float(content)
        case "formulaValue", str() if content.startswith("="):
            return Formula(content)
    raise invalid(f"Invalid value at 'requests.update_cells.rows.values.user_entered_value' ({kind})")


def _with_styles(cell_format: Any) -> Any:
    """Google adds a ColorStyle beside each old-style Color."""
    if not isinstance(cell_format, dict):
        return cell_format
    made = {name: _with_styles(value) for name, value in cell_format.items()}
    for name in ("backgroundColor", "foregroundColor"):
        if name in made:
            made[f"{name}Style"] = {"rgbColor": made[name]}
    return made


def _repeat_cell(book: Book, body: Mapping[str, Any]) -> None:
    area, tree = grid_area(book, body["range"]), fields.parse(body["fields"])
    sheet = book.sheet(area.sheet_id)
    for row in range(area.top, area.bottom):
        sheet.change(row, area.left, area.right, lambda _column, cell: _changed(cell, body["cell"], tree))


def _append_cells(book: Book, body: Mapping[str, Any]) -> None:
    sheet, rows = book.sheet(int(body.get("sheetId", 0))), body["rows"]
    used, _ = sheet.used()
    width = max((len(row.get("values", [])) for row in rows), default=0)
    sheet.resize(max(len(sheet.rows), used + len(rows)), max(sheet.columns, width))
    book.check_size()
    start = {"sheetId": sheet.id, "rowIndex": used, "columnIndex": 0}
    _update_cells(book, {"start": start, "rows": rows, "fields": body["fields"]})


def _dimension(sheet: Sheet, body: Mapping[str, Any]) -> tuple[str, int, int]:
    length = len(sheet.rows) if body["dimension"] == "ROWS" else sheet.columns
    first, last = int(body.get("startIndex", 0)), int(body.get("endIndex", length))
    return body["dimension"], first, last


def _insert_dimension(book: Book, body: Mapping[str, Any]) -> None:
    sheet = book.sheet(int(body["range"].get("sheetId", 0)))
    dimension, first, last = _dimension(sheet, body["range"])
    length = len(sheet.rows) if dimension == "ROWS" else sheet.columns
    inherits = bool(body.get("inheritFromBefore"))
    if first > length or (first == length and not inherits) or (first == 0 and inherits):
        raise invalid(f"range.startIndex[{first}] must be less than the grid size ({length}) if inheritFromBefore is false.")
    if dimension == "ROWS":
        model = sheet.rows[first - 1 if inherits else first]
        bare: Row = {column: Cell(format=cell.format) for column, cell in model.items() if cell.format}
        sheet.rows[first:first] = [dict(bare) for _ in range(last - first)]
    else:
        by = last - first
        sheet.rows = [{column + by * (column >= first): cell for column, cell in row.items()} for row in sheet.rows]
        sheet.columns += by
    sheet.merges = [_shifted(area, dimension, first, last - first) for area in sheet.merges]
    book.check_size()


def _shifted(area: Area, dimension: str, first: int, by: int) -> Area:
    if dimension == "ROWS":
        return replace(area, top=area.top + by * (area.top >= first), bottom=area.bottom + by * (area.bottom > first))
    return replace(area, left=area.left + by * (area.left >= first), right=area.right + by * (area.right > first))


def _delete_dimension(book: Book, body: Mapping[str, Any]) -> None:
    sheet = book.sheet(int(body["range"].get("sheetId", 0)))
    dimension, first, last = _dimension(sheet, body["range"])
    length = len(sheet.rows) if dimension == "ROWS" else sheet.columns
    if last > length or first >= last:
        raise invalid(f"range.endIndex[{last}] is after last {dimension.lower()[:-1]} in sheet[{length}]")
    if last - first == length:
        raise invalid(f"You can't delete all the {dimension.lower()} on the sheet.")
    if dimension == "ROWS":
        del sheet.rows[first:last]
        return
    by = last - first
    sheet.rows = [
        {column - by * (column >= last): cell for column, cell in row.items() if not first <= column < last} for row in sheet.rows
    ]
    sheet.columns -= by


def _copy_paste(book: Book, body: Mapping[str, Any]) -> None:
    source, target = grid_area(book, body["source"]), grid_area(book, body["destination"])
    if body.get("pasteOrientation", "NORMAL") != "NORMAL":
        raise not_in_the_stand_in("pasteOrientation TRANSPOSE")
    cells = _cells_of(book, source)
    height, width = source.bottom - source.top, source.right - source.left
    sheet, paste = book.sheet(target.sheet_id), _pasted(body.get("pasteType", "PASTE_NORMAL"))
    down, across = max(target.bottom - target.top, height), max(target.right - target.left, width)
    rows, columns = down // height * height, across // width * width
    for row in range(rows):
        if target.top + row >= len(sheet.rows) or target.left + columns > sheet.columns:
            raise invalid("destination exceeds grid limits")
        line = cells[row % height]
        sheet.change(
            target.top + row,
            target.left,
            target.left + columns,
            lambda column, cell, line=line: paste(line.get((column - target.left) % width, EMPTY), cell),
        )


def _cells_of(book: Book, area: Area) -> list[Row]:
    rows = book.sheet(area.sheet_id).rows[area.top : area.bottom]
    return [{column - area.left: cell for column, cell in row.items() if area.left <= column < area.right} for row in rows]


def _pasted(kind: str) -> Callable[[Cell, Cell], Cell]:
    kinds: dict[str, Callable[[Cell, Cell], Cell]] = {
        "PASTE_NORMAL": lambda source, _target: source,
        "PASTE_VALUES": lambda source, target: replace(target, value=_effective(source)),
        "PASTE_FORMAT": lambda source, target: replace(target, format=source.format),
        "PASTE_FORMULA": lambda source, target: replace(target, value=source.value),
    }
    if kind not in kinds:
        raise not_in_the_stand_in(f"pasteType {kind}")
    return kinds[kind]


def _effective(cell: Cell) -> Entered:
    value = effective(cell.value)
    return value if isinstance(value, (str, int, float, bool)) else None


def _cut_paste(book: Book, body: Mapping[str, Any]) -> None:
    source, start = grid_area(book, body["source"]), body["destination"]
    cells = _cells_of(book, source)
    for row in range(source.top, source.bottom):
        book.sheet(source.sheet_id).change(row, source.left, source.right, lambda *_: EMPTY)
    target = book.sheet(int(start.get("sheetId", 0)))
    top, left = int(start.get("rowIndex", 0)), int(start.get("columnIndex", 0))
    for row, line in enumerate(cells, top):
        width = source.right - source.left
        target.change(row, left, left + width, lambda column, _cell, line=line: line.get(column - left, EMPTY))


def _sort_range(book: Book, body: Mapping[str, Any]) -> None:
    area = grid_area(book, body["range"])
    sheet = book.sheet(area.sheet_id)
    lines = _cells_of(book, area)
    for spec in reversed(body["sortSpecs"]):
        column = int(spec.get("dimensionIndex", 0)) - area.left
        lines.sort(key=lambda line, column=column: _rank(line.get(column, EMPTY)), reverse=spec.get("sortOrder") == "DESCENDING")
    for row, line in enumerate(lines, area.top):
        sheet.change(row, area.left, area.right, lambda column, _cell, line=line: line.get(column - area.left, EMPTY))


def _rank(cell: Cell) -> tuple[int, float, str]:
    value = effective(cell.value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (0, float(value), "")
    return (1, 0.0, value.casefold()) if isinstance(value, str) else (2, 0.0, "")


def _merge_cells(book: Book, body: Mapping[str, Any]) -> None:
    area = grid_area(book, body["range"])
    sheet = book.sheet(area.sheet_id)
    sheet.merges = [each for each in sheet.merges if not each.overlaps(area)]
    kind = body.get("mergeType", "MERGE_ALL")
    if kind == "MERGE_ROWS":
        made = [replace(area, top=row, bottom=row + 1) for row in range(area.top, area.bottom)]
    elif kind == "MERGE_COLUMNS":
        made = [replace(area, left=column, right=column + 1) for column in range(area.left, area.right)]
    else:
        made = [area]
    sheet.merges += made
    for merged in made:
        for row in range(merged.top, merged.bottom):
            left = merged.left + (row == merged.top)
            sheet.change(row, left, merged.right, lambda _column, cell: replace(cell, value=None))


def _unmerge_cells(book: Book, body: Mapping[str, Any]) -> None:
    area = grid_area(book, body["range"])
    sheet = book.sheet(area.sheet_id)
    sheet.merges = [each for each in sheet.merges if not each.overlaps(area)]


def _set_basic_filter(book: Book, body: Mapping[str, Any]) -> None:
    area = grid_area(book, body["filter"]["range"])
    book.sheet(area.sheet_id).filter = {"range": area.as_grid_range()}


def _clear_basic_filter(book: Book, body: Mapping[str, Any]) -> None:
    book.sheet(int(body.get("sheetId", 0))).filter = None


def _add_protected_range(book: Book, body: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(body["protectedRange"])
    area = grid_area(book, given["range"])
    taken = {each["protectedRangeId"] for sheet in book.sheets for each in sheet.protected}
    number = next(number for number in itertools.count(501) if number not in taken)
    made = {**given, "protectedRangeId": number, "range": area.as_grid_range(), "requestingUserCanEdit": True}
    made["editors"] = {name: people for name, people in (given.get("editors") or {}).items() if people}
    made = {name: value for name, value in made.items() if value is not None and value is not False}
    book.sheet(area.sheet_id).protected.append(made)
    return {"protectedRange": made}


def _delete_protected_range(book: Book, body: Mapping[str, Any]) -> None:
    for sheet in book.sheets:
        sheet.protected = [each for each in sheet.protected if each["protectedRangeId"] != body["protectedRangeId"]]


def _add_named_range(book: Book, body: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(body["namedRange"])
    grid_area(book, given["range"])
    number = given.get("namedRangeId") or str(1_000_000 + len(book.names))
    book.names[number] = {"namedRangeId": number, "name": given["name"], "range": dict(given["range"])}
    return {"namedRange": book.names[number]}


def _delete_named_range(book: Book, body: Mapping[str, Any]) -> None:
    if book.names.pop(body["namedRangeId"], None) is None:
        raise invalid(f"No named range with id: {body['namedRangeId']}")


def _add_dimension_group(book: Book, body: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(body["range"])
    sheet = book.sheet(int(given.get("sheetId", 0)))
    sheet.grid["rowGroupControlAfter" if given["dimension"] == "ROWS" else "columnGroupControlAfter"] = True
    groups = sheet.groups[given["dimension"]]
    groups.append({"range": given, "depth": 1})
    return {"dimensionGroups": groups}


def _delete_dimension_group(book: Book, body: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(body["range"])
    sheet = book.sheet(int(given.get("sheetId", 0)))
    sheet.groups[given["dimension"]] = [each for each in sheet.groups[given["dimension"]] if each["range"] != given]
    groups = sheet.groups[given["dimension"]]
    return {"dimensionGroups": groups} if groups else {}


def _update_dimension_properties(book: Book, body: Mapping[str, Any]) -> None:
    given = body["range"]
    sheet = book.sheet(int(given.get("sheetId", 0)))
    dimension, first, last = _dimension(sheet, given)
    if dimension == "COLUMNS" and "pixelSize" in body["properties"]:
        sheet.widths |= {column: int(body["properties"]["pixelSize"]) for column in range(first, last)}


def _auto_resize_dimensions(book: Book, body: Mapping[str, Any]) -> None:
    given = body["dimensions"]
    sheet = book.sheet(int(given.get("sheetId", 0)))
    dimension, first, last = _dimension(sheet, given)
    if dimension == "COLUMNS":
        for column in range(first, last):
            longest = max((len(str(row[column].value)) for row in sheet.rows if column in row), default=0)
            sheet.widths[column] = max(21, 8 * longest)


def _set_data_validation(book: Book, body: Mapping[str, Any]) -> None:
    area = grid_area(book, body["range"])
    for row in range(area.top, area.bottom):
        book.sheet(area.sheet_id).change(row, area.left, area.right, lambda _column, cell: replace(cell, rule=body.get("rule")))


_KINDS: Mapping[str, Apply] = {
    "addDimensionGroup": _add_dimension_group,
    "addNamedRange": _add_named_range,
    "addProtectedRange": _add_protected_range,
    "addSheet": _add_sheet,
    "appendCells": _append_cells,
    "autoResizeDimensions": _auto_resize_dimensions,
    "clearBasicFilter": _clear_basic_filter,
    "copyPaste": _copy_paste,
    "cutPaste": _cut_paste,
    "deleteDimension": _delete_dimension,
    "deleteDimensionGroup": _delete_dimension_group,
    "deleteNamedRange": _delete_named_range,
    "deleteProtectedRange": _delete_protected_range,
    "deleteSheet": _delete_sheet,
    "duplicateSheet": _duplicate_sheet,
    "insertDimension": _insert_dimension,
    "mergeCells": _merge_cells,
    "repeatCell": _repeat_cell,
    "setBasicFilter": _set_basic_filter,
    "setDataValidation": _set_data_validation,
    "sortRange": _sort_range,
    "unmergeCells": _unmerge_cells,
    "updateCells": _update_cells,
    "updateDimensionProperties": _update_dimension_properties,
    "updateSheetProperties": _update_sheet_properties,
    "updateSpreadsheetProperties": _update_spreadsheet_properties,
}
