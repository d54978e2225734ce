"""Large tabs: their rows are brought to a hidden tab in parts, counted, and copied into the live tab by the batch that commits.

The staging tab goes with that batch: where it is missing, the batch was carried out.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from pipeline.errors import PermanentError
from pipeline.sheets.google_calls import Calls, Place, State
from pipeline.sheets.google_cells import Draft, Plain, PlainRow, encoded
from pipeline.sheets.google_refusals import SERVICE
from pipeline.sheets.google_requests import Request, a1, area, finished, grown, some_rows, whole_grid
from pipeline.spreadsheets import FORMULA_STARTS

PREFIX = "_stage:"
PART_BYTES = 1_800_000
MOST_SPELLED_OUT = 2_000  # cells; the read-back looks at the first of them however many there are

Progress = Callable[[float | None, str], None]


@dataclass(frozen=True)
class Staged:
    """A draft and the hidden tab that its rows were brought to."""

    draft: Draft
    place: Place


def leftovers(state: State) -> list[Place]:
    """Staging tabs of runs that ended in the middle."""
    return [place for title, place in state.places.items() if title.startswith(PREFIX)]


def stage(drafts: Sequence[Draft], state: State, calls: Calls, *, progress: Progress) -> list[Staged]:
    """Bring every row of the drafts to hidden tabs, anew. Raises PermanentError where one did not arrive."""
    if not drafts:
        return []
    staged = [Staged(draft, _place(draft, state)) for draft in drafts]
    gone: list[Request] = [{"deleteSheet": {"sheetId": place.sheet_id}} for place in leftovers(state)]
    calls.batch([*gone, *(_hidden(each.place) for each in staged)])
    for each in staged:
        _bring(each, calls, progress)
    return staged


def _place(draft: Draft, state: State) -> Place:
    title = f"{PREFIX}{zlib.crc32(draft.title.encode()):08x}"
    return Place(free_id(title, state.ids), title, len(draft.rows), draft.columns)


def free_id(name: str, taken: frozenset[int]) -> int:
    """An id for a new tab, the same for the same name where nobody has it."""
    number = zlib.crc32(name.encode()) & 0x7FFFFFFF
    while number in taken:
        number = (number + 1) & 0x7FFFFFFF
    return number


def _hidden(place: Place) -> Request:
    grid = {"rowCount": place.rows, "columnCount": place.columns}
    properties = {"sheetId": place.sheet_id, "title": place.title, "hidden": True, "gridProperties": grid}
    return {"addSheet": {"properties": properties}}


def _bring(staged: Staged, calls: Calls, progress: Progress) -> None:
    draft, total = staged.draft, len(staged.draft.rows)
    for first, rows in parts(draft.rows):
        progress(first / total, f"{draft.title}: {first:,} of {total:,} rows")
        told = calls.put(a1(staged.place.title, first, first + len(rows), 0, draft.columns), rows)
        _verify(draft, told, len(rows))


def _verify(draft: Draft, told: Mapping[str, int], rows: int) -> None:
    found = (told.get("updatedRows"), told.get("updatedCells"))
    if found != (rows, rows * draft.columns):
        raise PermanentError(
            f"A part of the tab {draft.title} did not arrive whole: {found[0]} rows and {found[1]} cells of "
            f"{rows:,} and {rows * draft.columns:,}",
            where=f"{SERVICE}, tab {draft.title}",
            safe="The tab holds what the run before wrote, and the new version is published",
            next="neopulse run --from sheet",
        )


def parts(rows: Sequence[PlainRow]) -> Iterator[tuple[int, list[list[Plain]]]]:
    """The rows in parts of about 1.8 MB, each with the number of its first row; nothing is "", which counts as a cell."""
    first, size, part = 0, 0, list[list[Plain]]()
    for number, row in enumerate(rows):
        values: list[Plain] = ["" if value is None else value for value in row]
        length = len(json.dumps(values))  # as gspread sends it
        if part and size + length > PART_BYTES:
            yield first, part
            first, size, part = number, 0, []
        part.append(values)
        size += length + 2
    yield first, part


def committed(staged: Staged, place: Place) -> list[Request]:
    """Copy the staged values over the live tab, whose id, links, charts and filters stay, and drop the staging tab."""
    draft, source = staged.draft, staged.place
    copied = {
        "copyPaste": {
            "source": area(source.sheet_id, 0, len(draft.rows), 0, draft.columns),
            "destination": area(place.sheet_id, 0, len(draft.rows), 0, draft.columns),
            "pasteType": "PASTE_VALUES",
        }
    }
    dropped = {"deleteSheet": {"sheetId": source.sheet_id}}
    copies = [*grown(draft, place), whole_grid(draft, place, []), copied, *_spelled_out(draft, place)]
    return [*copies, *finished(draft, place), dropped]


def formula_like(draft: Draft) -> Iterator[tuple[int, int, Plain]]:
    """The texts that would be formulas if a person typed them: row, column, text."""
    for number, row in enumerate(draft.rows):
        for column, value in enumerate(row):
            if isinstance(value, str) and value.startswith(FORMULA_STARTS):
                yield number, column, value


def _spelled_out(draft: Draft, place: Place) -> Iterator[Request]:
    """Such texts once more, in the one way that is documented to keep them text; nobody says so of pasted values."""
    for number, column, value in islice(formula_like(draft), MOST_SPELLED_OUT):
        yield some_rows(place, number, encoded([(value,)]), 1, left=column)
