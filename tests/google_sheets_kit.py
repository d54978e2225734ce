"""What the tests of Google Sheets share: a stand-in, a way in that never waits in earnest, tabs, and what readers see."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from stand_ins.google_sheets.grid import Book, Formula
from stand_ins.google_sheets.server import StandIn, running

from pipeline.clock import FixedClock
from pipeline.http import Patience
from pipeline.sheets import google, google_staging
from pipeline.sheets.base import Format, SheetResult, Tab
from pipeline.sheets.google import GoogleSheet
from pipeline.sheets.google_calls import Calls
from pipeline.sheets.google_cells import draft
from pipeline.sheets.google_changes import Snapshots
from pipeline.sheets.google_sign_in import Account, sign_in

AT = datetime(2026, 11, 25, 6, tzinfo=UTC)


@dataclass
class World:
    """A stand-in, a spreadsheet in it that is shared with the service account, and a clock that nobody has to wait for."""

    stand_in: StandIn
    clock: FixedClock
    folder: Path
    book_id: str
    key_file: Path
    accounts: dict[str, Account] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        """Who signs in; reading a key takes a while, so that it is read once."""
        content = self.key_file.read_text(encoding="utf-8")
        if content not in self.accounts:
            self.accounts[content] = sign_in(self.key_file)
        return self.accounts[content]

    @property
    def book(self) -> Book:
        """The spreadsheet as it is now."""
        return self.stand_in.book(self.book_id)

    def calls(self, *, spreadsheet_id: str = "", patience: Patience | None = None, **more: Any) -> Calls:
        """A way in, as a new process would have it."""
        return Calls(
            spreadsheet_id or self.book_id,
            self.account,
            clock=self.clock,
            endpoint=self.stand_in.url,
            patience=patience or Patience(answer_seconds=30, deadline_seconds=900),
            jitter=lambda: 1.0,
            **more,
        )

    def sheet(self, *, patience: Patience | None = None, **more: Any) -> GoogleSheet:
        """The writer, as a new process would have it."""
        return GoogleSheet(self.calls(patience=patience), Snapshots(self.folder / "google.json", self.book_id), **more)

    def write(self, *tabs: Tab, patience: Patience | None = None, **more: Any) -> SheetResult:
        """Write tabs."""
        return self.sheet(patience=patience, **more).write(tabs, at=AT)

    def kinds(self) -> list[str]:
        """The calls since they were last forgotten."""
        return [call.kind for call in self.stand_in.calls]

    def titles(self) -> list[str]:
        """The tabs, hidden ones too."""
        return [sheet.title for sheet in self.book.sheets]

    def rows(self, title: str) -> list[list[Any]]:
        """What stands in a tab, cell by cell as it was entered."""
        return rows_of(self.book, title)


@contextlib.contextmanager
def world(folder: Path, **options: Any) -> Iterator[World]:
    """A stand-in for the length of a `with` block."""
    clock = FixedClock(AT)
    with running(clock=clock.now, **options) as stand_in:
        key_file = folder / "key.json"
        key_file.write_text(json.dumps(stand_in.key_file()), encoding="utf-8")
        yield World(stand_in, clock, folder, stand_in.create().id, key_file)


def rows_of(book: Book, title: str) -> list[list[Any]]:
    """A tab's cells as they were entered; a formula as it is typed."""
    sheet = book.titled(title)
    assert sheet is not None, title
    values = [[sheet.cell(row, column).value for column in range(sheet.columns)] for row in range(len(sheet.rows))]
    return [[value.text if isinstance(value, Formula) else value for value in row] for row in values]


def tab(
    name: str = "Monthly churn",
    rows: Sequence[Sequence[Any]] = ((date(2026, 9, 1), "FR", 0.05), (date(2026, 10, 1), "FR", 0.06)),
    *,
    header: Sequence[str] = ("Month", "Country", "Churn rate"),
    formats: Sequence[Format] = ("date", "text", "share"),
    note: str = "churn as of 2026-11-24",
    keys: int = 0,
) -> Tab:
    """A small tab."""
    widths = tuple(12 for _ in header)
    return Tab(name, note, tuple(header), tuple(formats), widths, tuple(tuple(row) for row in rows), keys)


def large(version: int = 1, rows: int = 60, name: str = "Cohorts") -> Tab:
    """A table that is large where parts are small."""
    body = [(f"row {number:03d}", number + version / 10, f"of version {version}") for number in range(rows)]
    return tab(name, body, header=("Key", "Value", "Word"), formats=("text", "ratio", "text"), note=f"version {version}", keys=1)


def whole(content: Tab) -> list[list[Any]]:
    """The cells that a tab should have."""
    return [list(row) for row in draft(content).rows]


def hardly_changed() -> Tab:
    """The large tab with one row rewritten, one gone and one come in between."""
    rows = list(large(rows=100).rows)
    rows[7] = ("row 007", 99.5, "another word")
    del rows[40]  # as many rows as before: a batch sent twice would fit, and be wrong
    rows.insert(60, ("row 060b", 1.0, "came in between"))
    return dataclasses.replace(large(rows=100), rows=tuple(rows), note="version 1, a day later")


def with_small_parts(patch: pytest.MonkeyPatch) -> None:
    """Bodies of 4,000 bytes in parts of 1,000, so that a table of sixty rows is a large one."""
    patch.setattr(google, "MOST_BYTES", 4_000)
    patch.setattr(google_staging, "PART_BYTES", 1_000)
