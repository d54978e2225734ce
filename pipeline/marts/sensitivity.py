"""What another N would make of the figures: every window from 7 to 180 days in one answer.

A silence counts under the windows of one span: those it has outlasted, and whose N-th day fell where the figure looks.
Each span opens at its first window and closes after its last, so that one running sum answers for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.marts import tables
from pipeline.marts.churn import CAME_BACK_DAYS
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

WINDOWS = (7, 180)
ENOUGH = 30  # lapses, below which a window is not judged

_ANSWER = """
with gaps as (select * from ({gaps})),

counts as (select * from ({counts})),

last_month as (
    select max(month_start) as first_day, max(month_end) as last_day
    from warehouse.dim_dates
    where month_end + $waiting::integer <= $as_of
),

{spans},

clipped as (
    select
        {by} n, met,
        greatest(first_window, $first_window) as first_window,
        least(last_window, $last_window) as last_window,
    from spans
),

changes as (
    select first_window as window_days, {by} n, met from clipped where first_window <= last_window
    union all
    select last_window + 1, {by} -n, -met from clipped where first_window <= last_window
),

every_window as (
    select *
    from (select distinct {by} true as is_there from counts) as groups
    cross join (select unnest(range($first_window, $last_window + 1))::integer as window_days) as windows
    where $kind = 'active' or exists (select 1 from last_month where first_day is not null)
),

by_window as (
    select
        window_days, {by}
        sum(coalesce(changed.n, 0)) over (partition by {by} true order by window_days)::bigint as n,
        sum(coalesce(changed.met, 0)) over (partition by {by} true order by window_days)::bigint as met,
    from every_window
    left join (select window_days, {by} sum(n) as n, sum(met) as met from changes group by {by} window_days) as changed
        using ({by} window_days)
)

select by_window.*, last_month.last_day + $waiting::integer as final_on
from by_window
cross join last_month
order by {by} window_days
"""

# Active under N on a day: who was ever active up to it, less those whose silence had reached N days on it. A silence of that
# length outlasts the shortest window, so that the cube holds it; the shorter ones leave their customers active under all.
_ACTIVE = """
spans as (
    select {by} new_customers as n, 0 as met, 1 as first_window, 1000000 as last_window from counts where date <= $as_of
    union all
    select {by} -customers, 0, 1, ($as_of - activity_date)::integer from gaps where returned_on is null
)"""

_CHURN = """
later as (select * from ({later})),

at_start as (
    select {by} new_customers as n, 0 as met, 1 as first_window, 1000000 as last_window
    from counts
    inner join last_month on date < first_day
    union all
    select {by} -customers, 0, 1, (first_day - 1 - activity_date)::integer
    from gaps
    inner join last_month on activity_date < first_day and (returned_on is null or returned_on >= first_day)
),

lapses as (
    select
        {by} customers,
        (first_day - activity_date)::integer as first_window,
        least(last_day - activity_date, gap_days - 1)::integer as last_window,
    from gaps
    inner join last_month on activity_date < first_day
    union all
    select
        {by} customers,
        longest_gap_before_days,
        least(last_day - activity_date, gap_days - 1)::integer,
    from later
    inner join last_month on month = first_day
),

spans as (
    select * from at_start
    union all
    select {by} 0, customers, first_window, last_window from lapses
)"""

_CAME_BACK = """
lapses as (
    select
        {by} customers,
        gap_days,
        (first_day - activity_date)::integer as first_window,
        least(last_day - activity_date, gap_days - 1)::integer as last_window,
    from gaps
    inner join last_month on activity_date < last_day
),

spans as (
    select {by} customers as n, 0 as met, first_window, last_window from lapses
    union all
    select {by} 0, customers, greatest(first_window, gap_days - $waiting), last_window from lapses where gap_days is not null
)"""

_SPANS = {"active": _ACTIVE, "churn": _CHURN, "came_back": _CAME_BACK}


def window_sensitivity(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """One row per window of 7 to 180 days (`window_days`), for judging which N to choose.

    Kind `active`: the customers active on as_of. Kind `churn`: the monthly churn rate, recognised, of the last month that
    is over. Kind `came_back`: of the lapses recognised in the last month that ended 90 days ago or before, the share that
    came back within 90 days of it; how many were no departures at all. Shares have their n and Wilson interval.
    """
    del window  # all of them are asked
    asked, kind = scope(question), question.kind or "active"
    spans = _SPANS[kind].format(by=asked.columns, later=asked.joined("mart_month_lapses"))
    statement = _ANSWER.format(
        by=asked.columns, spans=spans, gaps=asked.counted("mart_activity_gaps"), counts=asked.counted("mart_daily_counts")
    )
    parameters = {
        "kind": kind,
        "as_of": as_of,
        "waiting": CAME_BACK_DAYS if kind == "came_back" else 0,
        "first_window": WINDOWS[0],
        "last_window": WINDOWS[1],
    } | dict(asked.parameters)
    return _finished(database.query(statement, parameters), ["window_days", *asked.by], kind=kind, as_of=as_of)


def _finished(found: pa.Table, keys: list[str], *, kind: str, as_of: date) -> pa.Table:
    if kind == "active":
        active = pa.table({name: found[name] for name in keys} | {"value": found["n"]})
        return tables.finished(active.append_column("final_on", pa.repeat(pa.scalar(as_of), len(active))), keys, as_of=as_of)
    shares = [met / n if n else None for met, n in zip(found["met"].to_pylist(), found["n"].to_pylist(), strict=True)]
    name = {"churn": "churned", "came_back": "came_back"}[kind]
    table = tables.with_wilson(found, "met").append_column("value", pa.array(shares, pa.float64()))
    return tables.finished(table.append_column(name, found["met"]), keys, as_of=as_of, extra=[name])


@dataclass(frozen=True)
class Suggestion:
    """The window that the share that came back speaks for, and that share under it with its interval and n.

    `is_settled` is false where no window keeps below the stated share: it is then the longest one that could be judged.
    """

    window_days: int
    share: float
    low: float
    high: float
    n: int
    is_settled: bool


def suggested_window(came_back: pa.Table, *, below: float) -> Suggestion | None:
    """The smallest window from which on, at each longer one too, less than `below` of the lapses came back.

    `came_back` is the answer of window_sensitivity of that kind. Windows with fewer than 30 lapses are not judged; None where
    none can be. The rule stands in docs/definitions.md.
    """
    judged = came_back.filter(pc.greater_equal(came_back["n"], ENOUGH)).sort_by("window_days")
    if not judged.num_rows:
        return None
    too_many = np.flatnonzero(judged["value"].to_numpy() >= below)
    settled_at = int(too_many[-1]) + 1 if too_many.size else 0
    is_settled = settled_at < judged.num_rows
    (chosen,) = judged.slice(settled_at if is_settled else judged.num_rows - 1, 1).to_pylist()
    return Suggestion(chosen["window_days"], chosen["value"], chosen["low"], chosen["high"], chosen["n"], is_settled=is_settled)
