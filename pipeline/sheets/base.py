"""What a sheet is made of, whoever keeps it: a workbook on disk or a spreadsheet service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pipeline.spreadsheets import Storable

Format = Literal["text", "count", "share", "ratio", "usd", "date", "moment"]


@dataclass(frozen=True)
class Figure:
    """A value whose format is not that of its column."""

    value: Storable
    format: Format


Row = Sequence[Storable | Figure]


@dataclass(frozen=True)
class Tab:
    """One tab: a line of context, the header, the rows, and a format and a width (in characters) for each column.

    `keys` is how many of the first columns tell a row from every other; 0 where rows have no name of their own.
    """

    name: str
    note: str
    header: tuple[str, ...]
    formats: tuple[Format, ...]
    widths: tuple[int, ...]
    rows: tuple[Row, ...]
    keys: int = 0

    @property
    def frozen_rows(self) -> int:
        """The note and the header stay on the screen."""
        return 2


@dataclass(frozen=True)
class SheetResult:
    """What served the sheet, where it lies, and how much was written: `rows` counts neither notes nor headers."""

    service: str
    location: str
    tabs: int
    rows: int


class Sheet(Protocol):
    """Something that can hold tabs for managers to read."""

    def write(self, tabs: Sequence[Tab], *, at: datetime) -> SheetResult:
        """Replace the sheet's content, all tabs or none; `at` is the moment that the content is of."""
