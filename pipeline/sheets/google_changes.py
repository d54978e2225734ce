"""What changed in a large tab since it was last written: by key and row hash, as long as the tab still holds those keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.sheets.google_calls import Place
from pipeline.sheets.google_cells import Draft, Plain, PlainRow, encoded, is_same
from pipeline.sheets.google_requests import Request, finished, some_rows

WORTH_IT = 0.2  # from this share of changed rows on, the whole tab is written


@dataclass(frozen=True)
class Written:
    """A tab as it was last written: where, under which note and header, and of each row its key and its hash."""

    sheet_id: int
    head: str
    keys: tuple[PlainRow, ...]
    hashes: tuple[str, ...]

    @classmethod
    def of(cls, draft: Draft, sheet_id: int) -> Written:
        """What is to be remembered of a draft."""
        body = draft.rows[draft.tab.frozen_rows :]
        keys = tuple(row[: draft.tab.keys] for row in body)
        return cls(sheet_id, _head(draft), keys, tuple(_hash(row) for row in body))


def _head(draft: Draft) -> str:
    """The header and the formats, which decide what a row means."""
    return _hash((draft.rows[1], draft.tab.formats))


def _hash(content: Any) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:24]


class Snapshots:
    """What was last written to each large tab, in a file beside the workbook's place.

    A tab is forgotten before it is written and remembered after that: whatever happens in between, it is written whole.
    """

    def __init__(self, path: Path, spreadsheet_id: str) -> None:
        self._path = path
        self._spreadsheet_id = spreadsheet_id

    def read(self) -> dict[str, Written]:
        """The tabs by title; none where the file is missing, broken, or of another spreadsheet."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            tabs = content["tabs"] if content["spreadsheet"] == self._spreadsheet_id else {}
            return {title: _written(told) for title, told in tabs.items()}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def write(self, tabs: Mapping[str, Written]) -> None:
        """Replace what is remembered."""
        if not tabs and not self._path.exists():
            return
        files.make_folder(self._path.parent)
        told = {title: [tab.sheet_id, tab.head, tab.keys, tab.hashes] for title, tab in tabs.items()}
        files.write_text(self._path, json.dumps({"spreadsheet": self._spreadsheet_id, "tabs": told}))


def _written(told: Sequence[Any]) -> Written:
    sheet_id, head, keys, hashes = told
    return Written(int(sheet_id), str(head), tuple(tuple(key) for key in keys), tuple(hashes))


@dataclass(frozen=True)
class Changes:
    """The way from the rows before to those of a draft: rows to drop (by their old number), to put in and to rewrite (by
    their new number), counted from the first row under the header."""

    draft: Draft
    place: Place
    dropped: tuple[int, ...]
    inserted: tuple[int, ...]
    rewritten: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share of the rows that changed."""
        touched = len(self.dropped) + len(self.inserted) + len(self.rewritten)
        return touched / max(len(self.draft.rows) - self.draft.tab.frozen_rows, 1)

    @cached_property
    def stretches(self) -> tuple[range, ...]:
        """The rows of the tab that are written, as stretches of neighbours; the note and the header are."""
        offset = self.draft.tab.frozen_rows
        return (range(offset), *(_moved(run, offset) for run in _runs(sorted({*self.inserted, *self.rewritten}))))

    def requests(self) -> list[Request]:
        """Drop from the bottom, put in from the top, write, format."""
        offset, place = self.draft.tab.frozen_rows, self.place
        dropped = [_dimension("deleteDimension", place, _moved(run, offset)) for run in reversed(list(_runs(self.dropped)))]
        inserted = [_dimension("insertDimension", place, _moved(run, offset)) for run in _runs(self.inserted)]
        written = [
            some_rows(place, run.start, encoded(self.draft.rows[run.start : run.stop]), self.draft.columns)
            for run in self.stretches
        ]
        return [*dropped, *inserted, *written, *finished(self.draft, place)]


def changes(draft: Draft, before: Written, place: Place) -> Changes | None:
    """What changed; None where that does not lead from one to the other or would be most of the tab."""
    after = Written.of(draft, place.sheet_id)
    is_alike = (before.sheet_id, before.head) == (after.sheet_id, after.head)
    if not is_alike or (place.rows, place.columns) != (len(before.keys) + draft.tab.frozen_rows, draft.columns):
        return None
    old, new = _numbers(before), _numbers(after)
    if len(old) != len(before.keys) or len(new) != len(after.keys):
        return None  # a key twice: rows cannot be told apart
    kept = [key for key in after.keys if key in old]
    if [old[key] for key in kept] != sorted(old[key] for key in kept):
        return None  # other rows stand in another order
    found = Changes(
        draft,
        place,
        dropped=tuple(number for key, number in old.items() if key not in new),
        inserted=tuple(number for key, number in new.items() if key not in old),
        rewritten=tuple(new[key] for key in kept if before.hashes[old[key]] != after.hashes[new[key]]),
    )
    return found if found.share < WORTH_IT else None


def _numbers(written: Written) -> dict[PlainRow, int]:
    return {key: number for number, key in enumerate(written.keys)}


def holds(before: Written, found: Sequence[Sequence[Plain]], *, columns: int) -> bool:
    """Whether a tab's key columns, as they were read below its header, are those that were written."""
    if len(found) > len(before.keys):
        return False
    padded = [*found, *([] for _ in range(len(before.keys) - len(found)))]
    return all(
        all(is_same(key[place], _at(row, place)) for place in range(columns))
        for key, row in zip(before.keys, padded, strict=True)
    )


def _at(row: Sequence[Plain], place: int) -> Plain:
    value = row[place] if place < len(row) else None
    return None if value == "" else value


def _runs(numbers: Sequence[int]) -> Iterator[range]:
    """Ascending numbers as stretches of neighbours."""
    start: int | None = None
    for number, following in zip(numbers, [*numbers[1:], None], strict=False):
        start = number if start is None else start
        if following != number + 1:
            yield range(start, number + 1)
            start = None


def _moved(run: range, by: int) -> range:
    return range(run.start + by, run.stop + by)


def _dimension(kind: str, place: Place, rows: range) -> Request:
    covered = {"sheetId": place.sheet_id, "dimension": "ROWS", "startIndex": rows.start, "endIndex": rows.stop}
    return {kind: {"range": covered} | ({"inheritFromBefore": True} if kind == "insertDimension" else {})}
