"""Values as cells of Google Sheets: text that stays text, moments as serial numbers, and what none can hold, refused."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from pipeline.errors import DataError
from pipeline.sheets.base import Figure, Format, Tab

LONGEST_TEXT = 50_000  # characters in a cell, counted as UTF-16 does
MOST_COLUMNS = 18_278
MOST_CELLS = 10_000_000  # in all tabs of a spreadsheet together, empty ones too
EXACT_INTEGER = 2**53
EXACT_DIGITS = 15
EPOCH = date(1899, 12, 30)
FIRST_DATE = date(1900, 3, 1)  # the first one that a workbook counts alike
NUMBER_FORMATS: Mapping[Format, Mapping[str, str] | None] = {
    "text": None,
    "count": {"type": "NUMBER", "pattern": "#,##0"},
    "share": {"type": "PERCENT", "pattern": "0.0%"},
    "ratio": {"type": "NUMBER", "pattern": "0.00"},
    "usd": {"type": "NUMBER", "pattern": "#,##0.00"},
    "date": {"type": "DATE", "pattern": "yyyy-mm-dd"},
    "moment": {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm"},
}

Plain = str | int | float | bool | None  # what a cell holds
PlainRow = tuple[Plain, ...]

_NEVER_IN_A_CELL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def plain(value: Any) -> Plain:
    """The value as a cell holds it and gives it back.

    Text stays text whatever it begins with; control characters become U+FFFD; empty text, NaN and infinity are nothing.
    Integers from 2^53 on and decimals of more than 15 digits are text, for a cell would round them. Dates and moments (in
    UTC, whole seconds) are days since 30 December 1899; those before March 1900 are ISO text.
    """
    match value:
        case None | bool():
            return value
        case str():
            return _NEVER_IN_A_CELL.sub("\ufffd", value.replace("\r\n", "\n").replace("\r", "\n")) or None
        case int():
            return value if abs(value) < EXACT_INTEGER else str(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case Decimal():
            return _decimal(value)
        case datetime():
            return _moment(value)
        case date():
            return (value - EPOCH).days if value >= FIRST_DATE else value.isoformat()
        case numbers.Integral():
            return plain(int(value))
        case _:
            return plain(str(value))


def _decimal(value: Decimal) -> Plain:
    if not value.is_finite():
        return None
    if len(value.normalize().as_tuple().digits) > EXACT_DIGITS:
        return format(value, "f")
    is_whole = value == value.to_integral_value() and abs(value) < EXACT_INTEGER
    return int(value) if is_whole else float(value)


def _moment(value: datetime) -> Plain:
    moment = (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value).replace(microsecond=0)
    if moment.date() < FIRST_DATE:
        return moment.isoformat()
    return (moment - datetime(EPOCH.year, EPOCH.month, EPOCH.day)) / timedelta(days=1)


def cell(value: Plain) -> dict[str, Any]:
    """A cell of `updateCells`; nothing in it empties the cell. No kind of it can become a formula."""
    match value:
        case None:
            return {}
        case bool():
            return {"userEnteredValue": {"boolValue": value}}
        case str():
            return {"userEnteredValue": {"stringValue": value}}
        case _:
            return {"userEnteredValue": {"numberValue": value}}


def read_back(answered: Mapping[str, Any]) -> Plain:
    """What a cell of an answer holds; a formula is its text, which differs from everything that is written here."""
    value = answered.get("userEnteredValue") or {}
    for kind in ("boolValue", "stringValue", "numberValue"):
        if kind in value:
            found: Plain = value[kind]
            return found if found != "" else None
    return f"formula {value['formulaValue']}" if "formulaValue" in value else None


def is_same(written: Plain, found: Plain) -> bool:
    """Whether a cell holds what was written: neither text for a number nor 1 for true, numbers as close as they are kept."""
    if isinstance(written, bool) or isinstance(found, bool) or isinstance(written, str) or isinstance(found, str):
        return type(written) is type(found) and written == found
    if written is None or found is None:
        return written is found
    return math.isclose(written, found, rel_tol=1e-14, abs_tol=0.0)


@dataclass(frozen=True)
class Draft:
    """A tab as it will stand in the spreadsheet: the note, the header and the rows, each as wide as the header."""

    tab: Tab
    rows: tuple[PlainRow, ...]
    formats: tuple[tuple[int, int, int, Format], ...]
    """Exceptions from a column's format: first row, row after the last, column, format."""

    @property
    def title(self) -> str:
        """The tab's name."""
        return self.tab.name

    @property
    def columns(self) -> int:
        """Its width."""
        return len(self.tab.header)

    @property
    def cells(self) -> int:
        """What it takes of the spreadsheet's ten million."""
        return len(self.rows) * self.columns

    @cached_property
    def encoded(self) -> list[dict[str, Any]]:
        """The rows of `updateCells`."""
        return encoded(self.rows)


def encoded(rows: Sequence[PlainRow]) -> list[dict[str, Any]]:
    """Rows as `updateCells` takes them."""
    return [{"values": [cell(value) for value in row]} for row in rows]


def draft(tab: Tab) -> Draft:
    """A tab with every value as a cell holds it. Raises DataError where no cell or no tab can hold it."""
    if len(tab.header) > MOST_COLUMNS:
        raise unfit(tab.name, f"{len(tab.header):,} columns; a tab holds {MOST_COLUMNS:,}")
    blank = (None,) * (len(tab.header) - 1)
    head = [(plain(tab.note), *blank), tuple(plain(title) for title in tab.header)]
    body = [tuple(plain(_value(given)) for given in row) for row in tab.rows]
    rows = (*head, *body)
    for row in rows:
        _refuse_unfit(tab, row)
    return Draft(tab, rows, tuple(_exceptions(tab)))


def _refuse_unfit(tab: Tab, row: PlainRow) -> None:
    if len(row) != len(tab.header):
        raise unfit(tab.name, f"a row of {len(row)} cells under a header of {len(tab.header)}")
    for value in row:
        if isinstance(value, str) and (length := characters(value)) > LONGEST_TEXT:
            raise unfit(tab.name, f"a text of {length:,} characters; a cell holds {LONGEST_TEXT:,}")


def characters(text: str) -> int:
    """The length of a text as Google counts it."""
    return len(text.encode("utf-16-le")) // 2 if len(text) * 2 > LONGEST_TEXT else len(text)


def _value(given: Any) -> Any:
    return given.value if isinstance(given, Figure) else given


def _exceptions(tab: Tab) -> Iterator[tuple[int, int, int, Format]]:
    """Stretches of a column whose values need another format than the column's."""
    for column, usual in enumerate(tab.formats):
        first: int | None = None
        before: Format = usual
        for number, row in enumerate([*tab.rows, None], tab.frozen_rows):
            found = usual if row is None else _format(row[column], usual)
            if found != before or row is None:
                if first is not None and before != usual:
                    yield (first, number, column, before)
                first, before = number, found


def _format(given: Any, usual: Format) -> Format:
    """The format of a value: its own, else the column's; a moment is never shown as a number, nor a number as a day."""
    value, chosen = (given.value, given.format) if isinstance(given, Figure) else (given, usual)
    if isinstance(value, datetime):
        return "moment" if chosen != "date" else chosen
    if isinstance(value, date):
        return "date" if chosen != "moment" else chosen
    is_number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return "text" if is_number and chosen in ("date", "moment") else chosen


def unfit(tab: str, what: str) -> DataError:
    """The refusal of a tab, before anything is written."""
    return DataError(
        f"The tab {tab} has {what}",
        where=tab,
        safe="Nothing was written; the spreadsheet holds what the run before wrote, and the new version is published",
        next="read the figures with neopulse metric",
    )
