"""Who is active, new, back or gone on each day: answered for any window from the pairs of consecutive active days.

Source of the formulas: "Window-free" in docs/definitions.md: who is active on a day is everybody who was new or came back
up to it, less everybody who lapsed.
"""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pyarrow as pa

from pipeline.marts import pairs, tables
from pipeline.marts.grid import Grid, by_period
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

ROLLING_DAYS = {"wau": 7, "mau": 28}
STICKINESS_DAYS = 28

FLOWS = ("new_customers", "resurrected_customers", "churned_customers")
_KEY = {"day": "date", "week": "week", "month": "month"}


def growth_accounting(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Active, new, resurrected and churned customers by period: the last day's stock, and the period's flows.

    Columns: `date`, `week` or `month`, the dimension asked for, the four counts, `dau` of the last day, `final_on`.
    """
    asked = dataclasses.replace(question, metric="", window=None, kind=None, cohort=None)

    def count() -> pa.Table:
        daily = pairs.daily(database, asked, window=window, as_of=as_of)
        return _by_period(asked, daily, stocks=("active_customers", "dau"), flows=FLOWS, as_of=as_of)

    return database.kept(("growth", asked, window, as_of), count)


def _of_no_window(database: ReadOnly, question: Question, *, as_of: date) -> pa.Table:
    """The new customers and `dau` of the above, which no window changes."""
    counted = pairs.counted(database, question, as_of=as_of)
    return _by_period(question, counted, stocks=("dau",), flows=("new_customers",), as_of=as_of)


def _by_period(question: Question, daily: Grid, *, stocks: tuple[str, ...], flows: tuple[str, ...], as_of: date) -> pa.Table:
    by, grain = scope(question).by, question.grain or "day"
    columns = by_period(daily, grain, stocks=stocks, flows=flows, **_bounds(question, as_of))
    shown = {_KEY[grain]: columns["period_start"], **dict.fromkeys(by, columns["group"])}
    shown |= {name: columns[name] for name in (*stocks, *flows, "final_on")}
    texts = dict.fromkeys(by, pa.string())
    return pa.table({name: pa.array(values, texts.get(name)) for name, values in shown.items()})


def daily_count(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """One of the four counts as an answer."""
    if question.metric == "new_customers":
        counts = _of_no_window(database, question, as_of=as_of)
    else:
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
    """DAU, WAU or MAU: how many customers had an active day on the day, or in the last 7 or 28 days."""
    del window  # these three have windows of their own, or none
    counts = _rolling(database, question, question.metric, as_of=as_of)
    return tables.finished(counts.append_column("value", counts[question.metric]), _keys(question), as_of=as_of)


def _rolling(database: ReadOnly, question: Question, name: str, *, as_of: date) -> pa.Table:
    """DAU of each day and, under its name, WAU or MAU; by group, then by day: columns `date`, the dimension's, these, `final_on`.

    Published for everybody and for each value of one dimension; else who is active under a window of that many days.
    """
    asked = dataclasses.replace(question, metric="", window=None, kind=None, cohort=None, grain="day")
    group = scope(asked)
    if group.is_added_up:
        statement = _ROLLING.format(by=group.columns, counts=group.added_up("mart_daily_activity"))
        return database.query(statement, dict(group.parameters) | _bounds(asked, as_of))
    if name not in ROLLING_DAYS:
        return _of_no_window(database, asked, as_of=as_of)
    counts = growth_accounting(database, asked, window=ROLLING_DAYS[name], as_of=as_of)
    return counts.append_column(name, counts["active_customers"])


_ROLLING = """
select {by} date, sum(dau)::bigint as dau, sum(wau)::bigint as wau, sum(mau)::bigint as mau, date as final_on
from ({counts})
where date >= $start and date <= $end
group by all
order by {by} date
"""


def stickiness(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Mean DAU over the 28 days to each day, over MAU of that day; n is MAU. Days before the first count as zero."""
    del window
    daily = _rolling(database, dataclasses.replace(question, start=None, end=None), "mau", as_of=as_of)
    mau, dau = daily["mau"].to_numpy(), daily["dau"].to_numpy()
    # the rows of a group are its days, one after the other, so the sum over 28 of them is a difference of sums so far
    group = daily[question.by].combine_chunks().dictionary_encode().indices.to_numpy() if question.by else np.zeros_like(dau)
    begin = np.searchsorted(group, group)
    so_far = np.concatenate([[0], np.cumsum(dau)])
    place = np.arange(dau.size)
    sums = so_far[place + 1] - so_far[np.maximum(place + 1 - STICKINESS_DAYS, begin)]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(mau > 0, sums / STICKINESS_DAYS / mau, np.nan)
    bounds = _bounds(question, as_of)
    dates = daily["date"].to_numpy()
    asked = pa.array((dates >= np.datetime64(bounds["start"], "D")) & (dates <= np.datetime64(bounds["end"], "D")))
    table = daily.append_column("n", daily["mau"]).append_column("value", tables.nullable(value)).filter(asked)
    return tables.finished(table, ["date", *scope(question).by], as_of=as_of)


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


def _bounds(question: Question, as_of: date) -> dict[str, date]:
    return {"start": question.start or date.min, "end": question.end or as_of}
