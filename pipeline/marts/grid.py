"""Counts by group and day laid out as a grid, in which days without a row are there, and added up by period.

In numpy and not in SQL: a statement that fills days and adds up periods takes longer to be planned than this to be counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Counts = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]
DAYS_A_WEEK = 7
_MONDAY = np.datetime64("1970-01-05", "D")


@dataclass(frozen=True)
class Grid:
    """Counts of shape (groups, days): one array a name. `days` are consecutive; `begins` is each group's first day with a row."""

    groups: tuple[str, ...]
    begins: Days
    days: Days
    counts: Mapping[str, Counts]

    def __post_init__(self) -> None:
        """Grids are kept and shared: nobody changes one."""
        for counts in self.counts.values():
            counts.setflags(write=False)

    @property
    def nbytes(self) -> int:
        """What the arrays weigh."""
        return sum(int(counts.nbytes) for counts in self.counts.values()) + int(self.days.nbytes + self.begins.nbytes)

    def beside(self, **more: Counts) -> Grid:
        """The same grid with more counts."""
        return dataclasses.replace(self, counts={**self.counts, **more})

    def added_up(self, group: Counts, day: Days, amount: Counts) -> Counts:
        """Amounts by the place of their group and by day, summed into the shape of the grid; other days are left out."""
        shape = (len(self.groups), self.days.size)
        if not self.days.size:
            return np.zeros(shape, dtype=np.int64)
        place = (day - self.days[0]).astype(np.int64)
        within = (place >= 0) & (place < self.days.size)
        flat = group[within] * self.days.size + place[within]
        # sums of whole numbers are exact in floating point up to 2^53
        return np.bincount(flat, weights=amount[within], minlength=shape[0] * shape[1]).astype(np.int64).reshape(shape)


def grid(table: pa.Table, *, by: Sequence[str], names: Sequence[str], as_of: date) -> Grid:
    """Rows of `date`, at most one splitting column and counts as a grid from the first date to as_of; what has no row is 0.

    Rows are of distinct (group, date), none after as_of. Without a splitting column everybody is one group, called "".
    """
    dates = table["date"].to_numpy().astype("datetime64[D]")
    if not dates.size:
        empty = np.zeros((0, 0), dtype=np.int64)
        return Grid((), dates, dates, dict.fromkeys(names, empty))
    groups = tuple(sorted(str(value) for value in pc.unique(table[by[0]]).to_pylist())) if by else ("",)
    group = group_places(table, by, groups)
    days = np.arange(dates.min(), np.datetime64(as_of, "D") + 1)
    place = (dates - days[0]).astype(np.int64)
    begins = np.full(len(groups), days.size, dtype=np.int64)
    np.minimum.at(begins, group, place)
    counts = {name: np.zeros((len(groups), days.size), dtype=np.int64) for name in names}
    for name, filled in counts.items():
        filled[group, place] = table[name].to_numpy()
    return Grid(groups, days[begins], days, counts)


def group_places(table: pa.Table, by: Sequence[str], groups: Sequence[str]) -> Counts:
    """The place among the groups of each row's value; 0 where everybody is one group."""
    if not by or not table.num_rows:
        return np.zeros(table.num_rows, dtype=np.int64)
    values = table[by[0]].combine_chunks().dictionary_encode()
    places = {name: place for place, name in enumerate(groups)}
    known = np.array([places[str(value)] for value in values.dictionary.to_pylist()], dtype=np.int64)
    places_of_rows: Counts = known[values.indices.to_numpy()]
    return places_of_rows


def by_period(whole: Grid, grain: str, *, stocks: Sequence[str], flows: Sequence[str], start: date, end: date) -> dict[str, Any]:
    """The grid by period, as columns: `group`, `period_start`, `final_on` (the period's last day), the stocks and the flows.

    A stock is that of the period's last day so far, a flow the sum over its days. Periods that begin from the one of `start` on,
    up to `end`, and end after the group has begun; by group, then by period. `grain` is day, week (from Monday) or month.
    """
    starts = period_starts(whole.days, grain)
    firsts = np.flatnonzero(np.append(True, starts[1:] != starts[:-1])) if starts.size else np.zeros(0, dtype=np.int64)
    lasts = np.append(firsts[1:], starts.size)[: firsts.size] - 1
    begun = whole.days[lasts][None, :] >= whole.begins[:, None]
    asked = (starts[firsts] >= period_starts(_days([start]), grain)) & (starts[firsts] <= _days([end]))
    shown = begun & asked
    group, period = np.nonzero(shown)
    columns: dict[str, Any] = {
        "group": np.array(whole.groups, dtype=object)[group],
        "period_start": starts[firsts][period],
        "final_on": period_ends(starts[firsts], grain)[period],
    }
    columns |= {name: whole.counts[name][:, lasts][shown] for name in stocks}
    columns |= {name: _sums(whole.counts[name], firsts)[shown] for name in flows}
    return columns


def period_starts(days: Days, grain: str) -> Days:
    """The first day of each day's period."""
    if grain == "month":
        return days.astype("datetime64[M]").astype("datetime64[D]")
    if grain == "week":
        return days - (days - _MONDAY) % np.timedelta64(DAYS_A_WEEK, "D")
    return days


def period_ends(starts: Days, grain: str) -> Days:
    """The last day of the periods that begin on these days."""
    if grain == "month":
        return (starts.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    return starts + (DAYS_A_WEEK - 1 if grain == "week" else 0)


def period_of(day: date, grain: str) -> tuple[date, date]:
    """The first and the last day of the day, week (from Monday) or month that holds a day."""
    first = period_starts(_days([day]), grain)
    return first[0].item(), period_ends(first, grain)[0].item()


def _sums(counts: Counts, firsts: Counts) -> Counts:
    return np.add.reduceat(counts, firsts, axis=1) if firsts.size else counts


def _days(days: Sequence[date]) -> Days:
    return np.array(days, dtype="datetime64[D]")
