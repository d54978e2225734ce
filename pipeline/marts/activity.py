"""Who is active, new, back or gone on each day: answered for any window from the pairs of consecutive active days.

Source of the formulas: "Window-free" in docs/definitions.md: who is active on a day is everybody who was new or came back
up to it, less everybody who lapsed.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.marts import tables
from pipeline.marts.question import Question, Scope, scope
from pipeline.warehouse.base import ReadOnly

ROLLING_DAYS = {"dau": 7, "wau": 7, "mau": 28}  # DAU is counted, whatever the window

_DAILY = """
with gaps as (
    select activity_date, returned_on, {by} customers
    from ({gaps})
    where gap_days is null or gap_days > $window
),

changes as (
    select date, {by} active_customers as dau, new_customers, 0 as resurrected_customers, 0 as churned_customers
    from ({counts})
    union all
    select returned_on, {by} 0, 0, customers, 0
    from gaps
    where returned_on is not null
    union all
    select activity_date + $window::integer, {by} 0, 0, 0, customers
    from gaps
),

by_day as (
    select
        date, {by}
        sum(dau) as dau,
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

counted as (
    select
        date, {by}
        coalesce(dau, 0) as dau,
        coalesce(new_customers, 0) as new_customers,
        coalesce(resurrected_customers, 0) as resurrected_customers,
        coalesce(churned_customers, 0) as churned_customers,
    from every_day
    left join by_day using ({by} date)
),

daily as (
    select
        *,
        sum(new_customers + resurrected_customers - churned_customers)
            over (partition by {by} true order by date) as active_customers,
    from counted
)"""

_PERIODS = """,

in_periods as (select *, {period} as period_start, {period_end} as period_end from daily),

by_period as (
    select
        period_start, {by}
        arg_max(active_customers, date)::bigint as active_customers,
        arg_max(dau, date)::bigint as dau,
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

    Columns: `date`, `week` or `month`, the dimension asked for, the four counts, `dau` of the last day, `final_on`.
    """
    asked, grain = scope(question), question.grain or "day"
    statement = _daily(asked) + _PERIODS.format(
        by=asked.columns,
        key=_KEY[grain],
        period=_PERIOD[grain],
        period_end=_PERIOD_END[grain],
        first_period=_FIRST_PERIOD[grain],
    )
    return database.query(statement, _parameters(question, asked, window=window, as_of=as_of))


def _daily(asked: Scope) -> str:
    return _DAILY.format(by=asked.columns, gaps=asked.counted("mart_activity_gaps"), counts=asked.counted("mart_daily_counts"))


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
    """DAU, WAU or MAU: who had an active day in the last 7 or 28 days is who is active under that window."""
    del window  # these three have windows of their own
    counts = growth_accounting(database, question, window=ROLLING_DAYS[question.metric], as_of=as_of)
    table = counts.append_column("value", counts["dau" if question.metric == "dau" else "active_customers"])
    return tables.finished(table, _keys(question), as_of=as_of)


def stickiness(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Mean DAU over the 28 days to each day, over MAU of that day; n is MAU. Days before the first count as zero."""
    del window
    whole = dataclasses.replace(question, grain="day", start=None, end=None)
    by = list(scope(question).by)
    daily = growth_accounting(database, whole, window=ROLLING_DAYS["mau"], as_of=as_of).to_pandas()
    daily["n"] = daily["active_customers"]
    sums = (daily.groupby(by)["dau"] if by else daily["dau"]).rolling(28, min_periods=1).sum()
    daily["value"] = sums.droplevel(0) if by else sums
    daily["value"] = (daily["value"] / 28 / daily["n"]).where(daily["n"] > 0)
    bounds = _bounds(question, as_of)
    asked = daily[(daily["date"] >= bounds["start"]) & (daily["date"] <= bounds["end"])]
    table = pa.Table.from_pandas(asked, preserve_index=False)
    return tables.finished(table, ["date", *by], as_of=as_of)


def active_days(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """L28: how many customers had 1, 2 ... 28 active days in the 28 days to a month's end, or to as_of.

    The last such day of the range counts. `value` and `n` are of customers at least 28 days old; `younger` counts the rest.
    """
    del window
    asked = scope(question)
    parameters = {"end": min(question.end or as_of, as_of), "as_of": as_of} | dict(asked.parameters)
    # everybody is a group even where nobody was active; a value of a dimension is one where somebody was
    everybody = "select date from asked_day where date is not null"
    groups = f"select distinct {asked.columns} date from counted" if asked.by else everybody
    statement = _ACTIVE_DAYS.format(by=asked.columns, counts=asked.joined("mart_l28"), groups=groups)
    table = database.query(statement, parameters)
    return tables.finished(table, ["date", *asked.by, "active_days"], as_of=as_of, extra=["younger"])


_ACTIVE_DAYS = """
with asked_day as (
    select max(date_day) as date
    from warehouse.dim_dates
    where date_day <= $end and (date_day = month_end or date_day = $as_of)
),

counted as (
    select date, {by} active_days, is_new, customers
    from ({counts})
    where date = (select date from asked_day)
),

groups as ({groups}),

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
