"""Ranges in A1 notation: `'My tab'!A2:C`, `A:A`, `3:5`, a tab's name, a named range."""

from __future__ import annotations

import re

from stand_ins.google_sheets.errors import invalid
from stand_ins.google_sheets.grid import Area, Book, Sheet

_CORNER = re.compile(r"\$?([A-Za-z]{0,3})\$?(\d*)")


def area(book: Book, text: str) -> Area:
    """The rectangle that a text names, cut to the grid; raises 400 where it names none."""
    title, bang, cells = text.rpartition("!")
    for named in book.names.values():
        if named["name"] == cells:  # with or without a tab before it
            return grid_area(book, named["range"])
    sheet = book.titled(_unquoted(title if bang else cells))
    if bang and sheet is None:
        raise invalid(f"Unable to parse range: {text}")
    if not bang:
        if sheet is not None:
            return sheet.whole()
        sheet = book.sheets[0]
    assert sheet is not None
    return _cells(sheet, cells, text)


def _cells(sheet: Sheet, cells: str, text: str) -> Area:
    first, colon, last = cells.partition(":")
    left, top = _corner(first, text)
    right, bottom = _corner(last, text) if colon else (left, top)
    columns = sorted(each for each in (left, right) if each is not None)
    rows = sorted(each for each in (top, bottom) if each is not None)
    if (columns and columns[0] >= sheet.columns) or (rows and rows[0] >= len(sheet.rows)):
        raise invalid(
            f"Range ({shown_title(sheet.title)}!{cells}) exceeds grid limits. "
            f"Max rows: {len(sheet.rows)}, max columns: {sheet.columns}"
        )
    open_below = not rows or (bool(colon) and bottom is None) or (bool(colon) and top is None)
    open_right = not columns or (bool(colon) and right is None) or (bool(colon) and left is None)
    return Area(
        sheet.id,
        rows[0] if rows else 0,
        len(sheet.rows) if open_below else min(rows[-1] + 1, len(sheet.rows)),
        columns[0] if columns else 0,
        sheet.columns if open_right else min(columns[-1] + 1, sheet.columns),
    )


def _corner(text: str, whole: str) -> tuple[int | None, int | None]:
    match = _CORNER.fullmatch(text)
    if match is None or not text:
        raise invalid(f"Unable to parse range: {whole}")
    letters, digits = match.groups()
    return (column_number(letters) if letters else None), (int(digits) - 1 if digits else None)


def _unquoted(title: str) -> str:
    return title[1:-1].replace("''", "'") if len(title) > 1 and title[0] == title[-1] == "'" else title


def grid_area(book: Book, grid_range: dict[str, int]) -> Area:
    """The rectangle of a GridRange; ends that are left out are the grid's, ends beyond it are refused."""
    sheet = book.sheet(int(grid_range.get("sheetId", 0)))
    made = Area(
        sheet.id,
        int(grid_range.get("startRowIndex", 0)),
        int(grid_range.get("endRowIndex", len(sheet.rows))),
        int(grid_range.get("startColumnIndex", 0)),
        int(grid_range.get("endColumnIndex", sheet.columns)),
    )
    if made.bottom > len(sheet.rows) or made.right > sheet.columns or made.top >= made.bottom or made.left >= made.right:
        raise invalid(f"range exceeds grid limits. Max rows: {len(sheet.rows)}, max columns: {sheet.columns}")
    return made


def column_number(letters: str) -> int:
    """A is 0, Z 25, AA 26."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def column_letters(number: int) -> str:
    """0 is A."""
    letters, number = "", number + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def shown_title(title: str) -> str:
    """A title as it stands before the exclamation mark."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", title) and not re.fullmatch(r"[A-Za-z]{1,3}\d+", title)
    return title if plain else "'" + title.replace("'", "''") + "'"


def shown(sheet: Sheet, area: Area) -> str:
    """A rectangle in A1 notation."""
    first = f"{column_letters(area.left)}{area.top + 1}"
    last = f"{column_letters(area.right - 1)}{area.bottom}"
    return f"{shown_title(sheet.title)}!{first}" + (f":{last}" if last != first else "")
