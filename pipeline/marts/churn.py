"""Who of those active at a month's start left within it, and who of those who left came back: for any window."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.marts import pairs, tables
from pipeline.marts.grid import Counts, Days, Grid, group_places
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

CAME_BACK_DAYS = 90

LONGEST_MONTH_DAYS = 31

# Two ways to lapse in a month after being active at its start: by the pair of days that covers the start, or, where the
# window is no longer than a month, by a later pair whose stretch still reaches back to the start (mart_month_lapses).
_LATER = """
    select {by} activity_date, sum(customers)::bigint as customers
    from ({later})
    where longest_gap_before_days <= $window and gap_days > $window
    group by all
"""


def monthly_churn_rate(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """The share of those there at each month's start who left within the month.

    Kind `recognised`: of those active at the end of the day before, whose lapse was recognised in the month. Kind
    `effective`: of those inside an active stretch on the day before, whose stretch was over on a day of the month and
    has lapsed by now; final N days after the month's last day but one. Columns beside the common ones: `month`,
    `churned`; Wilson interval.
    """
    by = scope(question).by
    clock = 1 if question.kind == "effective" else window  # how many days after the last active day a customer is gone
    counted = pairs.by_day(database, question, window=window, as_of=as_of)
    firsts = _first_days(counted.days)
    starts = counted.days[firsts]
    there = _there_at_start(counted, clock=clock)[:, firsts]
    lapses = _lapses(database, question, counted, window=window, clock=clock, as_of=as_of)
    lapsed = np.add.reduceat(lapses, firsts, axis=1) if firsts.size else lapses
    asked = (_month(starts) >= _month(_day(question.start or date.min))) & (starts <= _day(question.end or as_of))
    group, place = np.nonzero((there > 0) & (_month(starts) > _month(counted.begins)[:, None]) & asked)
    months, n, churned = _month(starts)[place], there[group, place], lapsed[group, place]
    columns = {
        "month": pa.array(months.astype("datetime64[D]")),
        **{name: pa.array([counted.groups[one] for one in group], pa.string()) for name in by},
        "value": pa.array(churned / n, pa.float64()),
        "n": pa.array(n, pa.int64()),
        "churned": pa.array(churned, pa.int64()),
        "final_on": pa.array((months + 1).astype("datetime64[D]") - 1 - clock + window),
    }
    table = tables.with_wilson(pa.table(columns), "churned")
    return tables.finished(table, ["month", *by], as_of=as_of, extra=["churned"])


def _there_at_start(counted: Grid, *, clock: int) -> Counts:
    """Who is there when each day begins: who was new or came back before it and has not gone before it."""
    counts = counted.counts
    change = counts["new_customers"] + counts["resurrected_customers"] - pairs.moved_on(counts["silent_after"], clock)
    so_far: Counts = np.cumsum(change, axis=1)
    return so_far - change


def _lapses(database: ReadOnly, question: Question, counted: Grid, *, window: int, clock: int, as_of: date) -> Counts:
    """Who was there when a month began and left within it, by group and a day of that month."""
    known = counted.days + window <= _day(as_of)
    next_month = _month(counted.days) < _month(counted.days + clock)
    lapses = pairs.moved_on(counted.counts["silent_after"] * (known & next_month), clock)
    if clock >= LONGEST_MONTH_DAYS:
        return lapses
    asked = scope(question)
    parameters = {"window": window} | dict(asked.parameters)
    found = database.query(_LATER.format(by=asked.columns, later=asked.joined("mart_month_lapses")), parameters)
    days = found["activity_date"].to_numpy().astype("datetime64[D]")
    later = counted.added_up(group_places(found, asked.by, counted.groups), days, found["customers"].to_numpy())
    lapses += later * (known & ~next_month)
    return lapses


def _day(day: date) -> np.datetime64:
    return np.datetime64(day, "D")


def _month(days: Any) -> Any:
    """The month of each day."""
    return days.astype("datetime64[M]")


def _first_days(days: Days) -> Counts:
    """The places at which a month begins among consecutive days."""
    months = _month(days)
    return np.flatnonzero(np.append(True, months[1:] != months[:-1])) if days.size else np.zeros(0, dtype=np.int64)


_CAME_BACK = """
with lapses as (
    select
        date_trunc('month', activity_date + $window::integer)::date as month, {by}
        customers,
        case when gap_days <= $window + $came_back_days then customers else 0 end as came_back,
    from ({gaps})
    where (gap_days is null or gap_days > $window) and activity_date + $window::integer <= $as_of
)

select
    month, {by}
    sum(came_back)::double / sum(customers) as value,
    sum(customers)::bigint as n,
    sum(came_back)::bigint as came_back,
    last_day(month) + $came_back_days::integer as final_on,
from lapses
where month >= date_trunc('month', $start) and month <= $end
group by all
order by {by} month
"""


def came_back_share(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Of the lapses recognised in each month, the share that came back within 90 days of being recognised.

    n counts the lapses; a month is final 90 days after its last day. Columns beside the common ones: `month`,
    `came_back`; Wilson interval.
    """
    asked = scope(question)
    parameters = _parameters(question, window=window, as_of=as_of) | {"came_back_days": CAME_BACK_DAYS}
    statement = _CAME_BACK.format(by=asked.columns, gaps=asked.counted("mart_activity_gaps"))
    table = tables.with_wilson(database.query(statement, parameters), "came_back")
    return tables.finished(table, ["month", *asked.by], as_of=as_of, extra=["came_back"])


def _parameters(question: Question, *, window: int, as_of: date) -> dict[str, Any]:
    asked = {"window": window, "as_of": as_of, "start": question.start or date.min, "end": question.end or as_of}
    return asked | dict(scope(question).parameters)
