"""Tabs of one workbook that people may work in too: our columns of our rows are touched, the rest stays.

The file is replaced whole. As long as it is the very file that we wrote and nobody worked in it, it is neither read nor
patched but written anew, which is many times as fast.
"""

from __future__ import annotations

import hashlib
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter, range_boundaries
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from pipeline import files, spreadsheets
from pipeline.errors import DataError, PermanentError, TransientError
from pipeline.reverse_etl import plain_workbook
from pipeline.reverse_etl.plain_workbook import COLUMN_WIDTH, PlainTab
from pipeline.reverse_etl.snapshots import SentRows
from pipeline.reverse_etl.tables import Row

FILES = "files of the embedded reverse ETL"  # beside the syncs in the run store: file, or file and tab, to digest


class WorkbookRows:
    """The workbook at a path, read at most once; `guard` is asked right before the file is replaced."""

    def __init__(self, path: Path, store: SentRows, *, guard: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._store = store
        self._guard = guard
        self._workbook: Workbook | None = None
        self._tabs: dict[tuple[str, ...], _Tab] = {}
        self._rows_expected: dict[str, int] = {}
        self._has_changed = False
        self._left = self._digest()
        self._notes = store.sent_rows(FILES)

    @property
    def is_as_left(self) -> bool:
        """Whether the file is the one that we left: then what we know of it holds, and it need not be read."""
        return self._left is not None and self._left == self._notes.get(self.path.name)

    def is_plain(self, tabs: Collection[str]) -> bool:
        """Whether nothing is lost when the file is made anew from these tabs: it is not there, or all of it is ours."""
        if not self.path.exists():
            return True
        return self._is_ours and self._noted.keys() <= set(map(self._plain, tabs))

    @property
    def _noted(self) -> dict[str, str]:
        """The tabs that we wrote into a file in which nobody had worked, each with that file's digest."""
        return {key: digest for key, digest in self._notes.items() if key.startswith(self._plain(""))}

    @property
    def _is_ours(self) -> bool:
        """Whether all of the file is ours."""
        return self._left is None or set(self._noted.values()) == {self._left}

    def read(self, tab: str, columns: Sequence[str], key: str) -> Mapping[str, Row]:
        """Every row of a tab by key; see KeyedRows."""
        return self._tab(tab, columns, key).values() if tab in self._opened().sheetnames else {}

    def computed(self, tab: str, columns: Sequence[str], key: str) -> Mapping[str, Row]:
        """Every row with what its formulas came to when the file was last saved; see KeyedRows."""
        if tab not in self._opened().sheetnames or not (formulas := self._tab(tab, columns, key).formulas()):
            return self.read(tab, columns, key)
        came_to = _Tab(self._load(data_only=True), tab, columns, key, self.path)
        for place in formulas:
            if (told := came_to.untold(place)) is not None:
                raise unusable(self.path, f"has a formula in {place} of the tab {tab} that {told}")
        return came_to.values()

    def write(self, tab: str, columns: Sequence[str], key: str, changed: Mapping[str, Row], deleted: Collection[str]) -> None:
        """Change a tab; `commit` replaces the file."""
        there = self._tab(tab, columns, key)
        self._has_changed |= there.apply(changed, deleted)
        self._rows_expected[tab] = there.rows_expected

    def commit(self) -> None:
        """Replace the file where something changed, and note down what it is now."""
        if self._workbook is not None and self._has_changed:
            workbook = self._workbook
            titles = [sheet.title for sheet in workbook.worksheets]
            was_ours = self._is_ours
            self._replace(lambda beside: workbook.save(beside), self._rows_expected, titles)
            self._note(plain=titles if was_ours else ())
        elif not self.is_as_left:
            self._note(plain=())

    def rewrite(self, tabs: Sequence[PlainTab], rows: Mapping[str, int]) -> None:
        """Make the file anew from these tabs, which have that many rows, and note down that all of it is ours."""
        expected = {name: count + 1 for name, count in rows.items()}
        self._replace(lambda beside: plain_workbook.write(beside, tabs), expected, [tab.name for tab in tabs])
        self._note(plain=[tab.name for tab in tabs])

    def _replace(self, write: Callable[[Path], None], expected: Mapping[str, int], names: Sequence[str]) -> None:
        files.make_folder(self.path.parent)
        with files.beside(self.path) as beside:
            write(beside)
            counts = dict(zip(names, spreadsheets.row_counts(beside), strict=True))
            for name, rows in expected.items():
                self._verify(name, counts[name], rows)
            self._guard()
            refuse_saved_meanwhile(self.path, self._left)

    def _verify(self, tab: str, rows_written: int, expected: int) -> None:
        if rows_written < expected:
            raise PermanentError(
                f"The tab {tab} was not written whole: {rows_written:,} rows instead of {expected:,}",
                where=str(self.path),
                safe="The destination is untouched",
                next="see whether the disk is full, then neopulse run --from activate",
            )

    def _note(self, *, plain: Sequence[str]) -> None:
        digest = self._digest()
        before = {key: None for key in self._notes if key.startswith(self._plain(""))}
        changes: dict[str, str | None] = before | {self._plain(tab): digest for tab in plain} | {self.path.name: digest}
        self._store.replace_sent_rows(FILES, changes)
        self._left, self._notes = digest, self._store.sent_rows(FILES)

    def _plain(self, tab: str) -> str:
        return f"{self.path.name}: {tab}"

    def _tab(self, name: str, columns: Sequence[str], key: str) -> _Tab:
        known_as = (name, *columns)
        if known_as not in self._tabs:
            self._tabs[known_as] = _Tab(self._opened(), name, columns, key, self.path)
        return self._tabs[known_as]

    def _opened(self) -> Workbook:
        if self._workbook is None:
            self._workbook = self._open()
        return self._workbook

    def _open(self) -> Workbook:
        if not self.path.exists():
            workbook = Workbook()
            workbook.remove(workbook.worksheets[0])
            return workbook
        return self._load(rich_text=True)

    def _load(self, **how: bool) -> Workbook:
        try:
            return load_workbook(self.path, **how)
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, InvalidFileException) as error:
            raise unusable(self.path, f"cannot be read as a workbook: {error}") from error

    def _digest(self) -> str | None:
        return digest_of(self.path)


@dataclass(frozen=True)
class _Held:
    """A row of a tab: its number, and what stands in our columns (None where a column has no place)."""

    number: int
    values: Sequence[Any]


class _Tab:
    """One tab: where our columns and our rows stand among those of other people."""

    def __init__(self, workbook: Workbook, name: str, columns: Sequence[str], key: str, path: Path) -> None:
        self._names = list(columns)
        self._key = key
        self._path = path
        self._sheet: Worksheet = workbook[name] if name in workbook.sheetnames else workbook.create_sheet(name)
        self._columns = self._find_columns()
        self._rows, self._last_row = self._find_rows()
        self.rows_expected = 0

    def values(self) -> dict[str, Row]:
        """Our columns of every row that has a key."""
        return {key: held.values for key, held in self._rows.items()}

    def formulas(self) -> list[str]:
        """Where formulas stand in our columns."""
        own = set(self._columns.values())
        cells = (cell for row in self._sheet.iter_rows(min_row=2) for cell in row)
        return [cell.coordinate for cell in cells if cell.data_type == "f" and cell.column in own]

    def untold(self, place: str) -> str | None:
        """Why it is not known what a formula of a row with a key, or of a key itself, comes to; None where it is."""
        cell = self._sheet[place]
        if cell.row not in self._numbers and cell.column != self._columns.get(self._key):
            return None  # filled down below the rows
        if cell.value is None and cell.data_type != "str":  # that one is an empty text
            return "nothing has computed yet: open the file in a spreadsheet program and save it"
        return f"comes to {cell.value}" if cell.data_type == "e" else None

    @cached_property
    def _numbers(self) -> frozenset[int]:
        return frozenset(held.number for held in self._rows.values())

    def apply(self, changed: Mapping[str, Row], deleted: Collection[str]) -> bool:
        """Write the header where it lacks, then update, delete and append; says whether there was anything to do."""
        lacks_header, before = len(self._columns) < len(self._names), self._last_row
        self._complete_header()
        for key, row in changed.items():
            if key in self._rows:
                self._update(self._rows[key], row)
        doomed = [key for key in deleted if key in self._rows]
        self._delete(sorted(self._rows[key].number for key in doomed))
        created = [row for key, row in changed.items() if key not in self._rows]
        for number, row in enumerate(created, start=self._last_row + 1):
            self._append(number, row)
        self._stretch(before, max(self._last_row + len(created), 2))
        self.rows_expected = 1 + len(self._rows) - len(doomed) + len(created)
        return lacks_header or bool(changed) or bool(doomed)

    def _find_columns(self) -> dict[str, int]:
        header = [cell.value for cell in self._sheet[1]]
        columns = {name: header.index(name) + 1 for name in self._names if name in header}
        if self._key not in columns and any(
            value is not None for row in self._sheet.iter_rows(values_only=True) for value in row
        ):
            raise unusable(self._path, f"has a tab {self._sheet.title} without the column {self._key} in its first row")
        if self._sheet.merged_cells.ranges:
            raise unusable(self._path, f"has merged cells in the tab {self._sheet.title}")
        return columns

    def _find_rows(self) -> tuple[dict[str, _Held], int]:
        """The tab's rows by key, the first of each, and the last row that holds anything at all."""
        rows: dict[str, _Held] = {}
        last_row = 1
        key_column = self._columns.get(self._key, 1)
        places = [self._columns.get(name, 0) for name in self._names]
        for number, row in enumerate(self._sheet.iter_rows(min_row=2, values_only=True), start=2):
            if any(value is not None for value in row):
                last_row = number
            if (key := row[key_column - 1]) is not None:
                rows.setdefault(str(key), _Held(number, [row[place - 1] if place else None for place in places]))
        return rows, last_row

    def _complete_header(self) -> None:
        is_new = not self._columns
        for name in self._names:
            if name not in self._columns:
                self._columns[name] = 1 if is_new and not self._columns else self._sheet.max_column + 1
                spreadsheets.put(self._sheet, 1, self._columns[name], name).font = Font(bold=True)
                self._sheet.column_dimensions[get_column_letter(self._columns[name])].width = COLUMN_WIDTH
        if is_new:
            self._sheet.freeze_panes = "A2"

    def _update(self, held: _Held, row: Row) -> None:
        for name, value, found in zip(self._names, row, held.values, strict=True):
            if not spreadsheets.same(value, found):
                spreadsheets.put(self._sheet, held.number, self._columns[name], value)

    def _append(self, number: int, row: Row) -> None:
        for name, value in zip(self._names, row, strict=True):
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
            self._move_along(doomed)

    def _move_along(self, doomed: Sequence[int]) -> None:
        """Heights of rows, what a filter hides, and links go with their rows; openpyxl leaves them where they were."""
        dimensions, gone = self._sheet.row_dimensions, set(doomed)
        kept = {number - bisect_left(doomed, number): found for number, found in dimensions.items() if number not in gone}
        dimensions.clear()
        for number, found in kept.items():
            found.index = number
            dimensions[number] = found
        for row in self._sheet.iter_rows(min_row=doomed[0]):
            for cell in row:
                if cell.hyperlink:
                    cell.hyperlink.ref = cell.coordinate

    def _stretch(self, before: int, last: int) -> None:
        """Tables and filters of people that ended with the last row end with the last row again."""
        for table in self._sheet.tables.values():
            if not table.totalsRowCount:
                table.ref = _ending(table.ref, before, last)
                if table.autoFilter is not None:
                    table.autoFilter.ref = table.ref
        if self._sheet.auto_filter.ref:
            self._sheet.auto_filter.ref = _ending(self._sheet.auto_filter.ref, before, last)

    def _empty(self, row: int, column: int) -> None:
        cell = self._sheet.cell(row, column)
        cell.value, cell.comment, cell.hyperlink = None, None, None


def _ending(area: str, before: int, last: int) -> str:
    """An area from the header to the row that was the last, stretched to the one that is; any other as it is."""
    left, top, right, bottom = range_boundaries(area)
    if (top, bottom) != (1, before) or left is None or right is None:
        return area
    return f"{get_column_letter(left)}1:{get_column_letter(right)}{last}"


def digest_of(path: Path) -> str | None:
    """The sign of a file's content; None where there is no file."""
    if not path.exists():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_saved_meanwhile(path: Path, before: str | None) -> None:
    """Raise TransientError where a file is not the one that was read, so that replacing it would undo what somebody saved."""
    if digest_of(path) != before:
        raise TransientError(
            f"Somebody saved the destination {path.name} while it was being changed",
            where=str(path),
            safe="It holds what they saved; nothing was written",
            next="neopulse run --from activate",
        )


def unusable(path: Path, what: str) -> DataError:
    """A file that cannot be the destination as it is."""
    return DataError(
        f"The destination {path.name} {what}",
        where=str(path),
        safe="The destination is untouched; the new version is published",
        next="mend the file or move it away (it is made anew), then neopulse run --from activate",
    )
