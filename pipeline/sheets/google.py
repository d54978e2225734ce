"""The sheet in Google Sheets: one look, rows that do not fit staged beside, then one batch that changes every tab at once.

Readers see all tabs as they were or all as they are now. A tab keeps its id, so that links, charts and filters stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.errors import PermanentError
from pipeline.sheets.base import SheetResult, Tab
from pipeline.sheets.google_calls import Calls, Place, State
from pipeline.sheets.google_cells import MOST_CELLS, Draft, draft, unfit
from pipeline.sheets.google_changes import Changes, Snapshots, Written, changes, holds
from pipeline.sheets.google_refusals import SERVICE, OutdatedError, UnclearError
from pipeline.sheets.google_requests import (
    Answered,
    DifferentError,
    Request,
    a1,
    finished,
    grown,
    new_tab,
    separated,
    size,
    size_up_to,
    whole_grid,
)
from pipeline.sheets.google_staging import PART_BYTES, Progress, Staged, committed, formula_like, free_id, leftovers, stage

MOST_BYTES = PART_BYTES  # of a body; Google advises two million
MOST_REQUESTS = 100_000
MOST_DIFFERENT = 1  # times that cells may differ from what was written before that is a failure
MOST_OUTDATED = 3  # times that somebody may change the tabs between the look and the batch


@dataclass(frozen=True)
class _Plan:
    """Which tabs go whole into the committing batch, which only as far as they changed, and which are staged before."""

    whole: tuple[Draft, ...]
    changed: tuple[Changes, ...]
    staged: tuple[Draft, ...]


@dataclass
class _Attempt:
    """What an attempt before this one has brought about, as far as it is known."""

    staged: list[Staged] = field(default_factory=list)
    may_be_committed: bool = False
    outdated: int = 0


class GoogleSheet:
    """Tabs in a spreadsheet. `guard` is asked right before the batch that readers see."""

    def __init__(
        self,
        calls: Calls,
        snapshots: Snapshots,
        *,
        guard: Callable[[], None] = lambda: None,
        progress: Progress = lambda _fraction, _text: None,
    ) -> None:
        self._calls = calls
        self._snapshots = snapshots
        self._guard = guard
        self._progress = progress

    def write(self, tabs: Sequence[Tab], *, at: datetime) -> SheetResult:
        """Replace the content of the tabs, all or none; other tabs stay. The tabs say themselves what they are of.

        Raises DataError, before anything is written, where a tab fits into no spreadsheet; ConfigurationError where nobody
        may write; DifferentError where the answer shows, twice, other cells than were written.
        """
        del at
        drafts = [draft(tab) for tab in tabs]
        attempt, differed, before = 0, 0, _Attempt()
        until = self._calls.clock.passed() + self._calls.patience.deadline_seconds
        while True:
            try:
                address = self._try(drafts, before)
            except UnclearError as unclear:
                before.outdated += isinstance(unclear, OutdatedError)
                if before.outdated > MOST_OUTDATED:
                    raise
                self._calls.wait_after(unclear, attempt, until)
                attempt += 1
            except DifferentError:
                differed += 1
                if differed > MOST_DIFFERENT:
                    raise
                before = _Attempt()
            else:
                return SheetResult(SERVICE, address, len(tabs), sum(len(tab.rows) for tab in tabs))

    def _try(self, drafts: Sequence[Draft], before: _Attempt) -> str:
        """Look, stage and commit; raises UnclearError where nobody knows whether a batch was carried out."""
        state = self._calls.state()
        _refuse_other_kinds(drafts, state)
        if before.staged and before.may_be_committed and not any(each.place.sheet_id in state.ids for each in before.staged):
            self._verify_later(drafts)
            self._remember(drafts, state)
            return state.address
        plan = self._plan(drafts, state)
        _refuse_too_large(drafts, plan, state)
        self._snapshots.write({})
        if not _are_there(before.staged, plan, state):
            before.staged, before.may_be_committed = [], False
            before.staged = stage(plan.staged, state, self._calls, progress=self._progress)
        self._commit(drafts, plan, state, before)
        return state.address

    def _plan(self, drafts: Sequence[Draft], state: State) -> _Plan:
        """As much as fits goes into one body, small tabs first; a large tab that hardly changed is a small one."""
        sizes = {each.title: size_up_to(each, MOST_BYTES) for each in drafts}
        large = [each for each in drafts if sizes[each.title] > MOST_BYTES]
        left, changed = MOST_BYTES, list[Changes]()
        for found in self._changes(large, state):
            if (needed := size(found.requests())) <= left and len(found.requests()) < MOST_REQUESTS:
                changed.append(found)
                left -= needed
        done = {each.draft.title for each in changed}
        whole, staged = list[Draft](), list[Draft]()
        for each in sorted(drafts, key=lambda each: sizes[each.title]):
            if each.title in done:
                continue
            fits = sizes[each.title] <= left
            (whole if fits else staged).append(each)
            left -= sizes[each.title] if fits else 0
        return _Plan(tuple(whole), tuple(changed), tuple(staged))

    def _changes(self, large: Sequence[Draft], state: State) -> list[Changes]:
        """What changed in large tabs that still hold the keys that were written: one call for all of them, or none."""
        known = self._snapshots.read()
        found = [
            change
            for each in large
            if each.tab.keys and (before := known.get(each.title)) and (place := state.find(each.title))
            if (change := changes(each, before, place))
        ]
        if not found:
            return []
        ranges = [a1(each.draft.title, each.draft.tab.frozen_rows, each.place.rows, 0, each.draft.tab.keys) for each in found]
        read = zip(found, self._calls.values(ranges), strict=True)
        return [each for each, keys in read if holds(known[each.draft.title], keys, columns=each.draft.tab.keys)]

    def _commit(self, drafts: Sequence[Draft], plan: _Plan, state: State, before: _Attempt) -> None:
        places = {each.title: _place(each, state) for each in drafts}
        staged = {each.draft.title: each for each in before.staged}
        changed = {each.draft.title: each for each in plan.changed}
        requests: list[Request] = []
        for each in drafts:
            requests += [] if state.find(each.title) else new_tab(each, places[each.title].sheet_id)
            requests += [separated(places[each.title])] if places[each.title].is_merged else []
            requests += _content(each, places[each.title], staged.get(each.title), changed.get(each.title))
        if not before.staged:
            requests += [{"deleteSheet": {"sheetId": place.sheet_id}} for place in leftovers(state)]
        if len(requests) > MOST_REQUESTS:
            raise unfit(drafts[0].title, f"tabs beside it that need {len(requests):,} requests; a batch holds {MOST_REQUESTS:,}")
        self._progress(None, "writing the tabs")
        self._guard()
        before.may_be_committed = True
        answer = Answered(self._calls.batch(requests, read=_ranges_to_read(plan)))
        self._verify(plan, answer)
        self._remember(drafts, state)

    def _verify(self, plan: _Plan, answer: Answered) -> None:
        """Hold the answer against what was written: small tabs whole, large ones by their keys, last row and changed rows."""
        for each in plan.whole:
            answer.verify_size(each)
            answer.verify(each.title, 0, 0, each.rows)
        for each in (*plan.staged, *(change.draft for change in plan.changed)):
            _verify_large(each, answer)
        for change in plan.changed:
            for run in change.stretches:
                answer.verify(change.draft.title, run.start, 0, change.draft.rows[run.start : run.stop])

    def _verify_later(self, drafts: Sequence[Draft]) -> None:
        """The batch was carried out and its answer lost: read what it would have shown."""
        answer = Answered(self._calls.grid([name for each in drafts for name in _large_ranges(each)]))
        for each in drafts:
            _verify_large(each, answer)

    def _remember(self, drafts: Sequence[Draft], state: State) -> None:
        large = [each for each in drafts if each.tab.keys and size_up_to(each, MOST_BYTES) > MOST_BYTES]
        self._snapshots.write({each.title: Written.of(each, _place(each, state).sheet_id) for each in large})


def _content(each: Draft, place: Place, staged: Staged | None, changed: Changes | None) -> list[Request]:
    if staged is not None:
        return committed(staged, place)
    if changed is not None:
        return changed.requests()
    return [*grown(each, place), whole_grid(each, place, each.encoded), *finished(each, place)]


def _place(each: Draft, state: State) -> Place:
    """Where a tab is, or where it will be made."""
    return state.find(each.title) or Place(free_id(each.title, state.ids), each.title, len(each.rows), each.columns)


def _are_there(staged: Sequence[Staged], plan: _Plan, state: State) -> bool:
    """Whether what an attempt before this one has staged is still what is needed."""
    return tuple(each.draft for each in staged) == plan.staged and all(each.place.sheet_id in state.ids for each in staged)


def _large_ranges(each: Draft) -> list[str]:
    """The key columns, the note among them, and whole rows to look at."""
    keys = a1(each.title, 0, len(each.rows), 0, max(each.tab.keys, 1))
    return [keys, *(a1(each.title, number, number + 1, 0, each.columns) for number in _rows_to_look_at(each))]


def _rows_to_look_at(each: Draft) -> tuple[int, ...]:
    """The last row, and the first one with a text that looks like a formula."""
    last = len(each.rows) - 1
    suspect = next((number for number, _, _ in formula_like(each)), last)
    return tuple(dict.fromkeys((suspect, last)))


def _verify_large(each: Draft, answer: Answered) -> None:
    answer.verify_size(each)
    answer.verify(each.title, 0, 0, [row[: max(each.tab.keys, 1)] for row in each.rows])
    for number in _rows_to_look_at(each):
        answer.verify(each.title, number, 0, each.rows[number : number + 1])


def _ranges_to_read(plan: _Plan) -> list[str]:
    ranges = [a1(each.title, 0, len(each.rows), 0, each.columns) for each in plan.whole]
    for each in (*plan.staged, *(change.draft for change in plan.changed)):
        ranges += _large_ranges(each)
    for change in plan.changed:
        ranges += [a1(change.draft.title, run.start, run.stop, 0, change.draft.columns) for run in change.stretches]
    return ranges


def _refuse_other_kinds(drafts: Sequence[Draft], state: State) -> None:
    for each in drafts:
        place = state.find(each.title)
        if place is not None and not place.cells:
            raise PermanentError(
                f"The tab {each.title} is there and is no grid of cells, but a chart or a connected sheet",
                where=f"{SERVICE}, tab {each.title}",
                safe="Nothing was written",
                next="rename that tab, then neopulse run --from sheet",
            )


def _refuse_too_large(drafts: Sequence[Draft], plan: _Plan, state: State) -> None:
    """Ten million cells are counted at the fullest moment: tabs grown, none cut yet, staging tabs beside them."""
    places: Mapping[str, Place | None] = {each.title: state.find(each.title) for each in drafts}
    most = state.cells - sum(place.cells for place in leftovers(state)) + sum(each.cells for each in plan.staged)
    for each in drafts:
        place = places[each.title]
        rows, columns = (place.rows, place.columns) if place else (0, 0)
        most += max(rows, len(each.rows)) * max(columns, each.columns) - rows * columns
    if most > MOST_CELLS:
        raise unfit(
            max(drafts, key=lambda each: each.cells).title,
            f"too many cells: while it is written there would be {most:,}, and a spreadsheet holds {MOST_CELLS:,}",
        )
