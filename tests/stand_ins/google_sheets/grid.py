"""Spreadsheets as they are held: tabs of sparse rows whose cells never change in place, so that a copy costs next to nothing."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stand_ins.google_sheets.errors import ApiError, invalid

MOST_CELLS = 10_000_000
MOST_COLUMNS = 18_278
LONGEST_TEXT = 50_000


@dataclass(frozen=True)
class Formula:
    """What a person typed behind an equals sign, sign included."""

    text: str


Entered = str | int | float | bool | Formula | None


@dataclass(frozen=True)
class Cell:
    """What was entered, how it is shown, its note and its validation rule."""

    value: Entered = None
    format: Any = None
    note: str = ""
    rule: Any = None

    @property
    def is_bare(self) -> bool:
        """Whether nothing is held at all."""
        return self.value is None and not self.format and not self.note and not self.rule


EMPTY = Cell()
Row = dict[int, Cell]  # by column from 0; never changed in place


@dataclass(frozen=True)
class Area:
    """A rectangle of one tab, ends excluded."""

    sheet_id: int
    top: int
    bottom: int
    left: int
    right: int

    def places(self) -> Iterator[tuple[int, int]]:
        """Every row and column."""
        return itertools.product(range(self.top, self.bottom), range(self.left, self.right))

    def overlaps(self, other: Area) -> bool:
        """Whether they share a cell."""
        return (
            self.sheet_id == other.sheet_id
            and self.top < other.bottom
            and other.top < self.bottom
            and self.left < other.right
            and other.left < self.right
        )

    def as_grid_range(self) -> dict[str, int]:
        """As the API shows it."""
        return {
            "sheetId": self.sheet_id,
            "startRowIndex": self.top,
            "endRowIndex": self.bottom,
            "startColumnIndex": self.left,
            "endColumnIndex": self.right,
        }


@dataclass
class Sheet:
    """One tab."""

    id: int
    title: str
    rows: list[Row]
    columns: int
    properties: dict[str, Any] = field(default_factory=dict)  # hidden, tabColor ...
    grid: dict[str, Any] = field(default_factory=dict)  # frozenRowCount, hideGridlines ...
    merges: list[Area] = field(default_factory=list)
    filter: Any = None
    protected: list[dict[str, Any]] = field(default_factory=list)
    groups: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"ROWS": [], "COLUMNS": []})
    widths: dict[int, int] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """The size that counts towards the limit: empty cells too."""
        return len(self.rows) * self.columns

    def cell(self, row: int, column: int) -> Cell:
        """One cell; empty where nothing is."""
        return self.rows[row].get(column, EMPTY)

    def change(self, row: int, left: int, right: int, change: Callable[[int, Cell], Cell]) -> None:
        """Replace the cells of a stretch of a row."""
        cells = dict(self.rows[row])
        for column in range(left, right):
            changed = change(column, cells.get(column, EMPTY))
            if changed.is_bare:
                cells.pop(column, None)
            else:
                cells[column] = changed
        self.rows[row] = cells

    def put(self, row: int, column: int, value: Entered, **more: Any) -> None:
        """Enter a value as the program or a person would."""
        self.change(row, column, column + 1, lambda _column, cell: replace(cell, value=value, **more))

    def whole(self) -> Area:
        """The whole grid."""
        return Area(self.id, 0, len(self.rows), 0, self.columns)

    def resize(self, rows: int, columns: int) -> None:
        """Cut or grow the grid at its ends."""
        if columns < self.columns:
            self.rows = [{column: cell for column, cell in row.items() if column < columns} for row in self.rows]
        self.rows = self.rows[:rows] + [{} for _ in range(rows - len(self.rows))]
        self.columns = columns

    def used(self) -> tuple[int, int]:
        """Rows and columns up to the last value."""
        rows = [number for number, row in enumerate(self.rows, 1) if any(cell.value is not None for cell in row.values())]
        columns = [column + 1 for row in self.rows for column, cell in row.items() if cell.value is not None]
        return max(rows, default=0), max(columns, default=0)


@dataclass
class Book:
    """One spreadsheet and who may use it: addresses to `owner`, `writer` or `reader`."""

    id: str
    title: str
    sheets: list[Sheet]
    shared: dict[str, str]
    created: str = ""
    modified: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    names: dict[str, dict[str, Any]] = field(default_factory=dict)  # named ranges by id

    def draft(self) -> Book:
        """A copy to apply a batch to; rows and cells are shared until they are replaced."""
        made = copy.copy(self)
        made.sheets = [_copy(sheet) for sheet in self.sheets]
        made.properties, made.names = copy.deepcopy(self.properties), copy.deepcopy(self.names)
        return made

    def sheet(self, sheet_id: int) -> Sheet:
        """The tab with that id."""
        found = [sheet for sheet in self.sheets if sheet.id == sheet_id]
        if not found:
            raise invalid(f"No grid with id: {sheet_id}")
        return found[0]

    def titled(self, title: str) -> Sheet | None:
        """The tab with that title; Google does not tell capitals apart."""
        return next((sheet for sheet in self.sheets if sheet.title.casefold() == title.casefold()), None)

    def check_size(self) -> None:
        """Refuse more than a file may hold."""
        total = sum(sheet.cells for sheet in self.sheets)
        if total > MOST_CELLS:
            raise invalid(
                f"This action would increase the number of cells in the workbook above the limit of {MOST_CELLS} cells."
            )
        if any(sheet.columns > MOST_COLUMNS for sheet in self.sheets):
            raise invalid(f"This action would increase the number of columns in the sheet above the limit of {MOST_COLUMNS}.")


def _copy(sheet: Sheet) -> Sheet:
    made = copy.copy(sheet)
    made.rows = list(sheet.rows)
    for name in ("properties", "grid", "filter", "protected", "groups", "widths"):
        setattr(made, name, copy.deepcopy(getattr(sheet, name)))
    made.merges = list(sheet.merges)
    return made


def text_checked(value: Entered) -> Entered:
    """Refuse a text that no cell can hold."""
    text = value.text if isinstance(value, Formula) else value
    if isinstance(text, str) and len(text) > LONGEST_TEXT:
        raise ApiError(400, f"Your input contains more than the maximum of {LONGEST_TEXT} characters in a single cell.")
    return value
