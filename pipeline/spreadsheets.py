"""Values in .xlsx files: what a cell can hold, text that stays text, and a count of what was written."""

from __future__ import annotations

import math
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from openpyxl.cell import Cell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.worksheet.worksheet import Worksheet

LONGEST_TEXT = 32_767  # characters in a cell
MOST_ROWS = 1_048_576  # rows in a tab, the header's included
EXACT_INTEGER = 2**53
FIRST_DATE = date(1900, 3, 1)  # Excel counts a 29 February 1900 that never was
FORMULA_STARTS = ("=", "+", "-", "@")

Storable = str | int | float | bool | date | datetime | None


def storable(value: Any) -> Storable:
    """The value as a cell holds it and gives it back: writing it and reading it changes nothing more.

    Numbers have 15 digits, moments are UTC without a zone, what has no place in XML becomes U+FFFD, and empty text, NaN
    and infinity are nothing.
    """
    match value:
        case None | bool():
            return value
        case str():
            return ILLEGAL_CHARACTERS_RE.sub("\ufffd", value.replace("\r\n", "\n").replace("\r", "\n")) or None
        case int():
            return value if abs(value) < EXACT_INTEGER else str(value)
        case float() | Decimal():
            return _number(float(value))
        case datetime():
            return _moment(value)
        case date():
            return value if value >= FIRST_DATE else value.isoformat()
        case _:
            return storable(str(value))


def put(sheet: Worksheet, row: int, column: int, value: Storable, *, number_format: str | None = None) -> Cell:
    """Set a cell; text stays text, whatever it begins with, also when a person edits the cell later."""
    cell = cast(Cell, sheet.cell(row, column))
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"
        if value.startswith(FORMULA_STARTS):  # a cell with a style of its own costs time: only where it is needed
            cell.quotePrefix = True
    elif number_format is not None:
        cell.number_format = number_format
    return cell


def same(left: Storable, right: Any) -> bool:
    """Whether a storable value and what was read from a cell are the same."""
    if isinstance(right, datetime) and not isinstance(left, datetime) and isinstance(left, date):
        return datetime(left.year, left.month, left.day) == right
    return bool(left == right or (left is None and right == ""))


def row_counts(path: Path) -> tuple[int, ...]:
    """The number of rows in each tab of a file, in the order of the tabs, counted in the file itself."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        ordered = sorted(names, key=lambda name: int("".join(filter(str.isdigit, name))))
        return tuple(archive.read(name).count(b"<row ") for name in ordered)


def _number(value: float) -> float | int | str | None:
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.15g}")
    if not math.isfinite(rounded):  # the very last numbers below infinity
        return repr(value)
    return int(rounded) if rounded.is_integer() and abs(rounded) < EXACT_INTEGER else rounded


def _moment(value: datetime) -> Storable:
    moment = (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value).replace(microsecond=0)
    return moment if moment.date() >= FIRST_DATE else moment.isoformat()
