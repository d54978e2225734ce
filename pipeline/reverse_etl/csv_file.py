"""A CSV file that holds a sync's rows, and whatever other people keep in it: read whole, replaced whole.

A text that a spreadsheet would take for a formula gets an apostrophe before it, as in every CSV file (`pipeline/safe_cells.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.reverse_etl.snapshots import SentRows
from pipeline.reverse_etl.tables import Row
from pipeline.reverse_etl.workbook import FILES, digest_of, refuse_saved_meanwhile, unusable
from pipeline.safe_cells import as_before, safe_cell
from pipeline.spreadsheets import storable


class CsvRows:
    """The file at a path; it has one table, whatever `tab` says. `guard` is asked right before the file is replaced."""

    def __init__(self, path: Path, store: SentRows, *, guard: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._store = store
        self._guard = guard
        self._left = digest_of(path)

    @property
    def is_as_left(self) -> bool:
        """Whether the file is the one that we left."""
        return self._left is not None and self._left == self._store.sent_rows(FILES).get(self.path.name)

    def read(self, tab: str, columns: Sequence[str], key: str) -> Mapping[str, Row]:
        """Every row of the file by key; see KeyedRows."""
        del tab
        header, rows = self._content(columns, key)
        places = [header.index(name) if name in header else None for name in columns]
        found: dict[str, Row] = {}
        for row in rows:
            if known := as_before(row[header.index(key)]):
                found.setdefault(known, [None if place is None else row[place] for place in places])
        return found

    def computed(self, tab: str, columns: Sequence[str], key: str) -> Mapping[str, Row]:
        """The same: a file of texts computes nothing."""
        return self.read(tab, columns, key)

    def write(self, tab: str, columns: Sequence[str], key: str, changed: Mapping[str, Row], deleted: Collection[str]) -> None:
        """Replace the file with one in which the rows are changed, deleted and appended."""
        del tab
        header, rows = self._content(columns, key)
        full = [*header, *(name for name in columns if name not in header)]
        places = [full.index(name) for name in columns]
        left, gone = dict(changed), set(deleted)
        kept: list[list[str]] = []
        for row in rows:
            known = as_before(row[full.index(key)])
            if known in gone:
                continue
            kept.append(_filled(row + [""] * (len(full) - len(row)), places, left.pop(known, None)))
        kept += [_filled([""] * len(full), places, row) for row in left.values()]
        self._replace([full, *kept])

    def commit(self) -> None:
        """Note down what the file is now."""
        self._left = digest_of(self.path)
        if not self.is_as_left:
            self._store.replace_sent_rows(FILES, {self.path.name: self._left})

    def _content(self, columns: Sequence[str], key: str) -> tuple[list[str], list[list[str]]]:
        if not self.path.exists():
            return list(columns), []
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as stream:
                lines = [line for line in csv.reader(stream, strict=True) if line]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise unusable(self.path, f"cannot be read as CSV: {error}") from error
        if not lines:
            return list(columns), []
        if key not in lines[0]:
            raise unusable(self.path, f"has no column {key} in its first row")
        width = max(map(len, lines))  # people also write where no header stands
        header, *rows = (line + [""] * (width - len(line)) for line in lines)
        return header, rows

    def _replace(self, lines: Sequence[Sequence[str]]) -> None:
        files.make_folder(self.path.parent)
        with files.beside(self.path) as beside:
            with beside.open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows(lines)
            self._guard()
            refuse_saved_meanwhile(self.path, self._left)


def cell(value: Any) -> str | None:
    """A value as the file holds it and gives it back."""
    stored = storable(value)
    if stored is None:
        return None
    if isinstance(stored, bool):
        return "true" if stored else "false"
    if isinstance(stored, str):
        return str(safe_cell(stored))
    return stored.isoformat() if hasattr(stored, "isoformat") else str(stored)


def _filled(row: list[str], places: Sequence[int], values: Row | None) -> list[str]:
    if values is not None:
        for place, value in zip(places, values, strict=True):
            row[place] = "" if value is None else value
    return row
