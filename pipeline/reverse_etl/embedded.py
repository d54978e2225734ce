"""The embedded reverse ETL: mirrors marts by key into the tabs of one workbook that people may work in too.

It touches its own columns of its own rows only: rows, columns and tabs of other people stay. The file is replaced whole,
and what was sent is noted down after that: a crash in between leaves a file that the next run finds to be right.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from pipeline import files, spreadsheets
from pipeline.errors import DataError, PermanentError
from pipeline.reverse_etl.base import ReadMart, Sync, SyncResult
from pipeline.reverse_etl.plan import Plan, Source, changes, mirror, read_source, refuse_emptying

SERVICE = "embedded reverse ETL"
FILES = "files of the embedded reverse ETL"  # beside the syncs in the run store: file name to digest
COLUMN_WIDTH = 18

Sent = Mapping[str, str]


class SentRows(Protocol):
    """Where what was sent is noted down; the run store does."""

    def sent_rows(self, sync: str) -> dict[str, str]:
        """The rows that a sync has at its destination: key to hash."""

    def replace_sent_rows(self, sync: str, changes: Mapping[str, str | None]) -> None:
        """Note down rows that were taken (key to hash) or dropped (key to None)."""


class EmbeddedReverseETL:
    """Mirrors marts into the workbook at a path; `guard` is asked right before the file is replaced."""

    def __init__(self, path: Path, store: SentRows, *, guard: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._store = store
        self._guard = guard

    def run(self, syncs: Sequence[Sync], read: ReadMart) -> tuple[SyncResult, ...]:
        """Carry out the syncs, all or none. Raises DataError where a mart or the file cannot be used."""
        sources = [read_source(sync, read(sync.mart)) for sync in syncs]
        sent = {sync.name: self._store.sent_rows(sync.name) for sync in syncs}
        plans = self._idle(sources, sent) or self._mirror(sources, sent)
        self._note_down(sources, sent)
        return tuple(plan.result(SERVICE) for plan in plans)

    def _idle(self, sources: Sequence[Source], sent: Mapping[str, Sent]) -> list[Plan]:
        """Plans without work where no row changed, and the file is the one that was left; else none, and it is read."""
        left = self._store.sent_rows(FILES).get(self._path.name)
        if left is None or left != self._digest() or any(changes(source, sent[source.sync.name]) for source in sources):
            return []
        return [mirror(source, held=dict.fromkeys(source.rows, True), sent=()) for source in sources]

    def _mirror(self, sources: Sequence[Source], sent: Mapping[str, Sent]) -> list[Plan]:
        workbook = self._open()
        tabs = [_Tab(workbook, source, self._path) for source in sources]
        plans = [mirror(tab.source, held=tab.held(), sent=sent[tab.source.sync.name]) for tab in tabs]
        for plan in plans:
            refuse_emptying(plan)
        work = [(tab, plan) for tab, plan in zip(tabs, plans, strict=True) if tab.lacks_header or not plan.is_idle]
        for tab, plan in work:
            tab.apply(plan)
        if work:
            self._replace(workbook, tabs)
        return plans

    def _open(self) -> Workbook:
        if not self._path.exists():
            workbook = Workbook()
            workbook.remove(workbook.worksheets[0])
            return workbook
        try:
            return load_workbook(self._path, rich_text=True)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, InvalidFileException) as error:
            raise _unusable(self._path, f"cannot be read as a workbook: {error}") from error

    def _replace(self, workbook: Workbook, tabs: Sequence[_Tab]) -> None:
        files.make_folder(self._path.parent)
        with files.beside(self._path) as beside:
            workbook.save(beside)
            counts = dict(zip((sheet.title for sheet in workbook.worksheets), spreadsheets.row_counts(beside), strict=True))
            for tab in tabs:
                tab.verify(counts[tab.source.sync.tab])
            self._guard()

    def _note_down(self, sources: Sequence[Source], sent: Mapping[str, Sent]) -> None:
        for source in sources:
            if learned := changes(source, sent[source.sync.name]):
                self._store.replace_sent_rows(source.sync.name, learned)
        digest = self._digest()
        if self._store.sent_rows(FILES).get(self._path.name) != digest:
            self._store.replace_sent_rows(FILES, {self._path.name: digest})

    def _digest(self) -> str | None:
        if not self._path.exists():
            return None
        with self._path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class _Held:
    """A row of a tab: its number, and what stands in the columns of the mart (None where a column has no place)."""

    number: int
    values: Sequence[Any]


class _Tab:
    """One sync's tab: where its columns and its rows stand among those of other people."""

    def __init__(self, workbook: Workbook, source: Source, path: Path) -> None:
        name = source.sync.tab
        self.source = source
        self._path = path
        self._sheet: Worksheet = workbook[name] if name in workbook.sheetnames else workbook.create_sheet(name)
        self._columns = self._find_columns()
        self._rows, self._last_row = self._find_rows()

    @property
    def lacks_header(self) -> bool:
        """Whether a column of the mart has no place in the tab yet."""
        return len(self._columns) < len(self.source.columns)

    def held(self) -> dict[str, bool]:
        """Every key of the tab, and whether its row equals the source's."""
        rows = self.source.rows
        return {key: key in rows and all(map(spreadsheets.same, rows[key], held.values)) for key, held in self._rows.items()}

    def apply(self, plan: Plan) -> None:
        """Write the header where it lacks, then update, delete and append."""
        self._complete_header()
        for key in plan.updated:
            self._update(key)
        self._delete(sorted(self._rows[key].number for key in plan.deleted))
        for number, key in enumerate(plan.created, start=self._last_row + 1):
            self._append(number, key)

    def verify(self, rows_written: int) -> None:
        """Raise PermanentError where the file has fewer rows than the header and the source's rows."""
        expected = 1 + len(self.source.rows)
        if rows_written < expected:
            raise PermanentError(
                f"The tab {self.source.sync.tab} was not written whole: {rows_written:,} rows instead of {expected:,}",
                where=str(self._path),
                safe="The destination is untouched",
                next="see whether the disk is full, then neopulse run --from activate",
            )

    def _find_columns(self) -> dict[str, int]:
        header = [cell.value for cell in self._sheet[1]]
        columns = {name: header.index(name) + 1 for name in self.source.columns if name in header}
        key = self.source.sync.key
        if key not in columns and any(value is not None for row in self._sheet.iter_rows(values_only=True) for value in row):
            raise _unusable(self._path, f"has a tab {self._sheet.title} without the column {key} in its first row")
        if self._sheet.merged_cells.ranges:
            raise _unusable(self._path, f"has merged cells in the tab {self._sheet.title}")
        return columns

    def _find_rows(self) -> tuple[dict[str, _Held], int]:
        """The tab's rows by key, the first of each, and the last row that holds anything at all."""
        rows: dict[str, _Held] = {}
        last_row = 1
        key_column = self._columns.get(self.source.sync.key, 1)
        places = [self._columns.get(name, 0) for name in self.source.columns]
        for number, row in enumerate(self._sheet.iter_rows(min_row=2, values_only=True), start=2):
            if any(value is not None for value in row):
                last_row = number
            if (key := row[key_column - 1]) is not None:
                rows.setdefault(str(key), _Held(number, [row[place - 1] if place else None for place in places]))
        return rows, last_row

    def _complete_header(self) -> None:
        is_new = not self._columns
        for name in self.source.columns:
            if name not in self._columns:
                self._columns[name] = 1 if is_new and not self._columns else self._sheet.max_column + 1
                spreadsheets.put(self._sheet, 1, self._columns[name], name).font = Font(bold=True)
                self._sheet.column_dimensions[get_column_letter(self._columns[name])].width = COLUMN_WIDTH
        if is_new:
            self._sheet.freeze_panes = "A2"

    def _update(self, key: str) -> None:
        held = self._rows[key]
        for name, value, found in zip(self.source.columns, self.source.rows[key], held.values, strict=True):
            if not spreadsheets.same(value, found):
                spreadsheets.put(self._sheet, held.number, self._columns[name], value)

    def _append(self, number: int, key: str) -> None:
        for name, value in zip(self.source.columns, self.source.rows[key], strict=True):
            spreadsheets.put(self._sheet, number, self._columns[name], value)

    def _delete(self, doomed: Sequence[int]) -> None:
        """Close the gaps from top to bottom; formulas of other people move along with their rows."""
        width = self._sheet.max_column
        for gaps, (row, following) in enumerate(zip(doomed, [*doomed[1:], self._last_row + 1], strict=False), start=1):
            for column in range(1, width + 1):
                self._empty(row, column)
            if following > row + 1:
                kept = f"A{row + 1}:{get_column_letter(width)}{following - 1}"
                self._sheet.move_range(kept, rows=-gaps, translate=True)
        self._last_row -= len(doomed)
        if doomed:
            self._sheet.delete_rows(self._last_row + 1, len(doomed))

    def _empty(self, row: int, column: int) -> None:
        cell = self._sheet.cell(row, column)
        cell.value, cell.comment, cell.hyperlink = None, None, None


def _unusable(path: Path, what: str) -> DataError:
    return DataError(
        f"The destination {path.name} {what}",
        where=str(path),
        safe="The destination is untouched; the new version is published",
        next="mend the file or move it away (it is made anew), then neopulse run --from activate",
    )
