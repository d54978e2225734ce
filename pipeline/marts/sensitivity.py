"""What another N would make of the figures: every window from 7 to 180 days in one answer.

A silence counts under the windows of one span: those it has outlasted, and whose N-th day fell where the figure looks.
Each span opens at its first window and closes after its last, so that one running sum answers for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.marts import tables
from pipeline.marts.churn import CAME_BACK_DAYS
from pipeline.marts.grid import Counts, Days, group_places
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

WINDOWS = (7, 180)
ENOUGH = 30  # lapses, below which a window is not judged
NEVER_ENDS = WINDOWS[1] + CAME_BACK_DAYS + 1  # the days of a silence that outlasts every window, and the days to come back

# Only silences that reach the days a figure looks at are asked for; all else is as easy in numpy, and planned in no time.
# What had outlasted every window when the first of these days came is one with all that had.
_SILENCES = f"""
    select
        {{by}}
        greatest(activity_date, $outlasting) as activity_date,
        case
            when activity_date < $outlasting or gap_days is null then {NEVER_ENDS}
            else least(gap_days, {NEVER_ENDS})
        end::integer as gap_days,
        {{customers}} as customers,
    from ({{gaps}})
    where activity_date < $begun_before and (returned_on is null or returned_on >= $reaching)
    {{grouped}}
"""
_ADDED_UP = {"customers": "customers", "grouped": ""}  # few of its rows are alike
_OF_SEGMENTS = {"customers": "sum(customers)::bigint", "grouped": "group by all"}
_ARRIVED = """
    select {by} coalesce(sum(new_customers) filter (where date < $before), 0)::bigint as customers
    from ({counts})
    group by {by} true
"""
_MONTH_LAPSES = """
    select {by} activity_date, gap_days, longest_gap_before_days, sum(customers)::bigint as customers
    from ({later})
    where month = $month
    group by all
"""
_LAST_MONTH = """
    select max(month_start) as first_day, max(month_end) as last_day
    from warehouse.dim_dates
    where month_end + $waiting::integer <= $as_of
"""
NEVER = date.max


@dataclass(frozen=True)
class _Month:
    """The month that a share is about."""

    first: date
    last: date


class _Windows:
    """Sums for each group and window, made of spans of windows that count alike."""

    def __init__(self, groups: int) -> None:
        self._changes = np.zeros((groups, WINDOWS[1] - WINDOWS[0] + 2), dtype=np.int64)

    def add(self, group: Counts, customers: Counts, first: Counts, last: Counts) -> None:
        """Count customers under every window from the first to the last one, both included."""
        opens = np.clip(first, WINDOWS[0], WINDOWS[1] + 1)
        closes = np.clip(last + 1, opens, WINDOWS[1] + 1)  # where it opens: what no window counts is taken off again
        row = group * self._changes.shape[1] - WINDOWS[0]
        self._changes += self._summed(row + opens, customers)
        self._changes -= self._summed(row + closes, customers)

    def _summed(self, places: Counts, customers: Counts) -> Counts:
        # sums of whole numbers are exact in floating point up to 2^53
        sums = np.bincount(places, weights=customers, minlength=self._changes.size)
        return sums.astype(np.int64).reshape(self._changes.shape)

    @property
    def sums(self) -> Counts:
        """Of shape (groups, windows)."""
        sums: Counts = np.cumsum(self._changes, axis=1)[:, :-1]
        return sums


@dataclass(frozen=True)
class _Silences:
    """Silences after an active day: its group, that day and the days of silence, which have no end where nobody came back."""

    group: Counts
    activity: Days
    gap_days: Counts
    customers: Counts

    def since(self, day: date) -> Counts:
        """The days from each silence's active day to a day."""
        return (np.datetime64(day, "D") - self.activity).astype(np.int64)


class _Asked:
    """The rows that a question is about, read when they are needed; `before` is the day after the last that a stock counts."""

    def __init__(self, database: ReadOnly, question: Question, *, before: date) -> None:
        self._database = database
        self._scope = scope(question)
        self._before = before
        self.by = self._scope.by

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The values of the dimension that splits, or one group of everybody; none where nobody was ever active."""
        found = self._arrived
        return tuple(sorted(found[self.by[0]].to_pylist())) if self.by else ("",) * found.num_rows

    @property
    def arrived(self) -> Counts:
        """How many customers of each group had their first active day before that day."""
        customers = np.zeros(len(self.groups), dtype=np.int64)
        customers[self._places(self._arrived)] = self._arrived["customers"].to_numpy()
        return customers

    @cached_property
    def _arrived(self) -> pa.Table:
        return self._rows(_ARRIVED, before=self._before)

    def silences(self, *, begun_before: date, reaching: date) -> _Silences:
        """Those that began before a day and reach another one, or are not over."""
        outlasting = self._before - timedelta(days=WINDOWS[1] + 1)
        found = self._rows(_SILENCES, begun_before=begun_before, reaching=reaching, outlasting=outlasting)
        days = found["activity_date"].to_numpy().astype("datetime64[D]")
        return _Silences(self._places(found), days, *(found[name].to_numpy() for name in ("gap_days", "customers")))

    def month_lapses(self, month: date) -> tuple[_Silences, Counts]:
        """Those of a month after which a customer was there at its start all the same, and the longest gap until then."""
        found = self._rows(_MONTH_LAPSES, month=month)
        days = found["activity_date"].to_numpy().astype("datetime64[D]")
        silences = _Silences(self._places(found), days, *(found[name].to_numpy() for name in ("gap_days", "customers")))
        return silences, found["longest_gap_before_days"].to_numpy()

    def _rows(self, statement: str, **parameters: date) -> pa.Table:
        return self._database.query(
            statement.format(
                by=self._scope.columns,
                gaps=self._scope.counted("mart_activity_gaps"),
                counts=self._scope.counted("mart_daily_counts"),
                later=self._scope.joined("mart_month_lapses"),
                **(_ADDED_UP if self._scope.is_added_up else _OF_SEGMENTS),
            ),
            parameters | dict(self._scope.parameters),
        )

    def _places(self, found: pa.Table) -> Counts:
        return group_places(found, self.by, self.groups)


def window_sensitivity(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """One row per window of 7 to 180 days (`window_days`), for judging which N to choose.

    Kind `active`: the customers active on as_of. Kind `churn`: the monthly churn rate, recognised, of the last month that
    is over. Kind `came_back`: of the lapses recognised in the last month that ended 90 days ago or before, the share that
    came back within 90 days of it; how many were no departures at all. Shares have their n and Wilson interval.
    """
    del window  # all of them are asked
    kind = question.kind or "active"
    if kind == "active":
        asked = _Asked(database, question, before=as_of + timedelta(days=1))
        n = _active(asked, as_of)
        return _finished(asked, {"value": n}, n, as_of, as_of=as_of)
    waiting = CAME_BACK_DAYS if kind == "came_back" else 0
    month = _last_month(database, waiting=waiting, as_of=as_of)
    asked = _Asked(database, question, before=as_of if month is None else month.first)
    if month is None:
        nothing = np.zeros((0, WINDOWS[1] - WINDOWS[0] + 1), dtype=np.int64)
        n, met = nothing, nothing
    else:
        n, met = _churn(asked, month) if kind == "churn" else _came_back(asked, month)
    final_on = as_of if month is None else month.last + timedelta(days=waiting)
    return _finished(asked, {"churned" if kind == "churn" else kind: met}, n, final_on, as_of=as_of)


def _last_month(database: ReadOnly, *, waiting: int, as_of: date) -> _Month | None:
    """The last month that was over so many days ago; None where there is none."""
    (row,) = database.query(_LAST_MONTH, {"waiting": waiting, "as_of": as_of}).to_pylist()
    return None if row["first_day"] is None else _Month(row["first_day"], row["last_day"])


def _active(asked: _Asked, as_of: date) -> Counts:
    """Who was ever active up to the day, less those whose silence had reached N days on it.

    A silence of that length outlasts the shortest window, so that the cube holds it; the shorter ones leave their customers
    active under all.
    """
    arrived = asked.arrived
    open_ones = asked.silences(begun_before=as_of + timedelta(days=1), reaching=NEVER)
    gone = _Windows(arrived.size)
    gone.add(open_ones.group, open_ones.customers, np.zeros_like(open_ones.customers), open_ones.since(as_of))
    return arrived[:, None] - gone.sums


def _churn(asked: _Asked, month: _Month) -> tuple[Counts, Counts]:
    """Who was active on the day before the month, and of them who lapsed in it."""
    arrived = asked.arrived
    silences = asked.silences(begun_before=month.first, reaching=month.first)
    gone, lapsed = _Windows(arrived.size), _Windows(arrived.size)
    gone.add(silences.group, silences.customers, np.zeros_like(silences.customers), silences.since(month.first) - 1)
    lapsed.add(silences.group, silences.customers, silences.since(month.first), _last_window(silences, month))
    within, longest_before = asked.month_lapses(month.first)
    lapsed.add(within.group, within.customers, longest_before, _last_window(within, month))
    return arrived[:, None] - gone.sums, lapsed.sums


def _came_back(asked: _Asked, month: _Month) -> tuple[Counts, Counts]:
    """The lapses recognised in the month, and those of which the customer came back within 90 days."""
    silences = asked.silences(begun_before=month.last, reaching=month.first)
    lapses, back = _Windows(len(asked.groups)), _Windows(len(asked.groups))
    first, last = silences.since(month.first), _last_window(silences, month)
    lapses.add(silences.group, silences.customers, first, last)
    back.add(silences.group, silences.customers, np.maximum(first, silences.gap_days - CAME_BACK_DAYS), last)
    return lapses.sums, back.sums


def _last_window(silences: _Silences, month: _Month) -> Counts:
    """The last window that the silence outlasts and whose N-th day is not after the month."""
    return np.minimum(silences.since(month.last), silences.gap_days - 1)


def _finished(asked: _Asked, counted: Mapping[str, Counts], n: Counts, final_on: date, *, as_of: date) -> pa.Table:
    """One row a group and window: a count, or the share that what was counted is of n."""
    ((name, counts),) = counted.items()
    groups, windows = counts.shape
    columns = {"window_days": pa.array(np.tile(np.arange(WINDOWS[0], WINDOWS[1] + 1), groups), pa.int32())}
    columns |= {by: pa.array(np.repeat(np.array(asked.groups[:groups], dtype=object), windows), pa.string()) for by in asked.by}
    columns |= {name: pa.array(counts.ravel()), "final_on": pa.repeat(pa.scalar(final_on, pa.date32()), groups * windows)}
    keys = ["window_days", *asked.by]
    if name == "value":
        return tables.finished(pa.table(columns), keys, as_of=as_of)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(n > 0, counts / n, np.nan)
    columns |= {"n": pa.array(n.ravel()), "value": tables.nullable(value.ravel())}
    return tables.finished(tables.with_wilson(pa.table(columns), name), keys, as_of=as_of, extra=[name])


@dataclass(frozen=True)
class Suggestion:
    """The window that the share that came back speaks for, and that share under it with its interval and n.

    `is_settled` is false where no window keeps below the stated share: it is then the longest one that could be judged.
    `is_sure` is false where the interval of no such window does: it is then the shortest one, and too little is known of it.
    """

    window_days: int
    share: float
    low: float
    high: float
    n: int
    is_settled: bool
    is_sure: bool


def suggested_window(came_back: pa.Table, *, below: float) -> Suggestion | None:
    """The smallest window under which, as under each longer one, less than `below` of the lapses came back, and surely so.

    Surely: the upper end of its 95 % interval is below the share too. `came_back` is the answer of window_sensitivity of that
    kind. Windows with fewer than 30 lapses are not judged; None where none can be. The rule stands in docs/definitions.md.
    """
    judged = came_back.filter(pc.greater_equal(came_back["n"], ENOUGH)).sort_by("window_days")
    if not judged.num_rows:
        return None
    too_many = np.flatnonzero(judged["value"].to_numpy() >= below)
    settled_at = int(too_many[-1]) + 1 if too_many.size else 0
    is_settled = settled_at < judged.num_rows
    sure = np.flatnonzero(judged["high"].to_numpy()[settled_at:] < below)
    place = settled_at + int(sure[0]) if sure.size else min(settled_at, judged.num_rows - 1)
    (chosen,) = judged.slice(place, 1).to_pylist()
    return Suggestion(
        chosen["window_days"],
        chosen["value"],
        chosen["low"],
        chosen["high"],
        chosen["n"],
        is_settled=is_settled,
        is_sure=bool(sure.size),
    )
