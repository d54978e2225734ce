"""Who is active, new, back or gone on each day: answered for any window from the pairs of consecutive active days.

Source of the formulas: "Window-free" in docs/definitions.md. Each pair keeps its customer active from its day until the
next active day or until N days have passed, whichever comes first.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.marts import tables
from pipeline.marts.question import Question, Scope, scope
from pipeline.warehouse.base import ReadOnly

EVENTS = ("new_customers", "resurrected_customers", "churned_customers")
ROLLING_DAYS = {"dau": 1, "wau": 7, "mau": 28}

_DAILY = """
with pairs as (
    select activity_date, gap_days, is_first, {by} customers
    from marts.mart_activity_gaps
    where {condition}
),

changes as (
    select
        activity_date as date, {by}
        customers as entering,
        case when is_first then customers else 0 end as new_customers,
        case when false then customers else 0 end as resurrected_customers,
        case when false then customers else 0 end as churned_customers,
    from pairs
    union all
    select
        activity_date + least(coalesce(gap_days, $window), $window)::integer, {by}
        -customers,
        0,
        0,
        case when gap_days is null or gap_days > $window then customers else 0 end,
    from pairs
    union all
    select activity_date + gap_days, {by} 0, 0, customers, 0
    from pairs
    where gap_days > $window
),

by_day as (
    select
        date, {by}
        sum(entering) as entering,
        sum(new_customers) as new_customers,
        sum(resurrected_customers) as resurrected_customers,
        sum(churned_customers) as churned_customers,
    from changes
    group by {by} date
),

groups as (select {by} min(date) as first_date from by_day group by all),

every_day as (
    select dates.date_day as date, groups.*
    from groups
    inner join warehouse.dim_dates as dates on dates.date_day >= groups.first_date and dates.date_day <= $as_of
),

daily as (
    select
        date, {by}
        sum(coalesce(entering, 0)) over (partition by {by} true order by date) as active_customers,
        coalesce(new_customers, 0) as new_customers,
        coalesce(resurrected_customers, 0) as resurrected_customers,
        coalesce(churned_customers, 0) as churned_customers,
    from every_day
    left join by_day using ({by} date)
)"""

_PERIODS = """,

in_periods as (select *, {period} as period_start, {period_end} as period_end from daily),

by_period as (
    select
        period_start, {by}
        arg_max(active_customers, date)::bigint as active_customers,
        sum(new_customers)::bigint as new_customers,
        sum(resurrected_customers)::bigint as resurrected_customers,
        sum(churned_customers)::bigint as churned_customers,
        max(period_end) as final_on,
    from in_periods
    group by {by} period_start
)

select period_start as {key}, * exclude (period_start)
from by_period
where period_start >= {first_period} and period_start <= $end
order by {by} period_start
"""

_PERIOD = {"day": "date", "week": "date_trunc('week', date)::date", "month": "date_trunc('month', date)::date"}
_PERIOD_END = {"day": "date", "week": "date_trunc('week', date)::date + 6", "month": "last_day(date)"}
_FIRST_PERIOD = {"day": "$start", "week": "date_trunc('week', $start)", "month": "date_trunc('month', $start)"}
_KEY = {"day": "date", "week": "week", "month": "month"}


def growth_accounting(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Active, new, resurrected and churned customers by period: the last day's stock, and the period's flows.

    Columns: `date`, `week` or `month`, the dimension asked for, the four counts, `final_on`.
    """
    asked, grain = scope(question), question.grain or "day"
    statement = _DAILY.format(by=asked.columns, condition=asked.condition) + _PERIODS.format(
        by=asked.columns,
        key=_KEY[grain],
        period=_PERIOD[grain],
        period_end=_PERIOD_END[grain],
        first_period=_FIRST_PERIOD[grain],
    )
    return database.query(statement, _parameters(question, asked, window=window, as_of=as_of))


def daily_count(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """One of the four counts as an answer."""
    counts = growth_accounting(database, question, window=window, as_of=as_of)
    table = counts.append_column("value", counts[question.metric])
    return tables.finished(table, _keys(question), as_of=as_of)


def quick_ratio(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """(new + resurrected) / churned of each period; null where nobody churned. n counts who churned."""
    counts = growth_accounting(database, question, window=window, as_of=as_of)
    came = counts["new_customers"].to_numpy() + counts["resurrected_customers"].to_numpy()
    left = counts["churned_customers"].to_numpy()
    ratio = [float(plus) / float(minus) if minus else None for plus, minus in zip(came, left, strict=True)]
    table = counts.append_column("value", pa.array(ratio, pa.float64())).append_column("n", counts["churned_customers"])
    return tables.finished(table, _keys(question), as_of=as_of)


def rolling(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """DAU, WAU or MAU: who had an active day in the last 1, 7 or 28 days is who is active under that window."""
    del window  # these three have windows of their own
    return tables.finished(_rolling(database, question, ROLLING_DAYS[question.metric], as_of=as_of), _keys(question), as_of=as_of)


def stickiness(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Mean DAU over the 28 days to each day, over MAU of that day; n is MAU. Days before the first count as zero."""
    del window
    whole = dataclasses.replace(question, grain="day", start=None, end=None)
    by = list(scope(question).by)
    daily = _rolling(database, whole, 1, as_of=as_of).to_pandas()
    daily["n"] = _rolling(database, whole, 28, as_of=as_of)["value"].to_pandas()
    sums = (daily.groupby(by)["value"] if by else daily["value"]).rolling(28, min_periods=1).sum()
    daily["value"] = sums.droplevel(0) if by else sums
    daily["value"] = (daily["value"] / 28 / daily["n"]).where(daily["n"] > 0)
    bounds = _bounds(question, as_of)
    asked = daily[(daily["date"] >= bounds["start"]) & (daily["date"] <= bounds["end"])]
    table = pa.Table.from_pandas(asked, preserve_index=False)
    return tables.finished(table, ["date", *by], as_of=as_of)


def _rolling(database: ReadOnly, question: Question, days: int, *, as_of: date) -> pa.Table:
    counts = growth_accounting(database, question, window=days, as_of=as_of)
    return counts.append_column("value", counts["active_customers"])


def active_days(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """L28: how many customers had 1, 2 ... 28 active days in the 28 days to a month's end, or to as_of.

    The last such day of the range counts. `value` and `n` are of customers at least 28 days old; `younger` counts the rest.
    """
    del window
    asked = scope(question)
    parameters = {"end": min(question.end or as_of, as_of)} | dict(asked.parameters)
    table = database.query(_ACTIVE_DAYS.format(by=asked.columns, condition=asked.condition), parameters)
    return tables.finished(table, ["date", *asked.by, "active_days"], as_of=as_of, extra=["younger"])


_ACTIVE_DAYS = """
with counted as (
    select date, {by} active_days, is_new, customers
    from marts.mart_l28
    where {condition} and date = (select max(date) from marts.mart_l28 where date <= $end)
),

groups as (select distinct {by} date from counted),

every_count as (
    select groups.*, days.active_days
    from groups
    cross join (select unnest(range(1, 29))::integer as active_days) as days
),

filled as (
    select
        date, {by} active_days,
        coalesce(sum(customers) filter (where not is_new), 0)::bigint as value,
        coalesce(sum(customers) filter (where is_new), 0)::bigint as younger,
    from every_count
    left join counted using (date, {by} active_days)
    group by date, {by} active_days
)

select *, sum(value) over (partition by {by} date)::bigint as n, date as final_on
from filled
order by {by} date, active_days
"""


def _keys(question: Question) -> list[str]:
    return [_KEY[question.grain or "day"], *scope(question).by]


def _parameters(question: Question, asked: Scope, *, window: int, as_of: date) -> dict[str, Any]:
    return {"window": window, "as_of": as_of} | dict(asked.parameters) | _bounds(question, as_of)


def _bounds(question: Question, as_of: date) -> dict[str, date]:
    return {"start": question.start or date.min, "end": question.end or as_of}
