"""Who of those active at a month's start left within it, and who of those who left came back: for any window."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.marts import tables
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

CAME_BACK_DAYS = 90

# A clock says how many days after the last active day a customer is gone: N (recognised) or 1 (effective).
#
# Two ways to lapse in a month after being active at its start: by the pair of days that covers the start, or, where the
# window is no longer than a month, by a later pair whose stretch still reaches back to the start (mart_month_lapses).
_MONTHLY = """
with gaps as (
    select
        activity_date, returned_on, {by} customers,
        activity_date + $clock::integer as gone_on,
        activity_date + $window::integer as recognised_on,
    from ({gaps})
    where gap_days is null or gap_days > $window
),

months as (
    select distinct month_start as month, month_end from warehouse.dim_dates where not is_after_as_of
),

changes as (
    select date_trunc('month', date)::date as month, {by} new_customers as change from ({counts})
    union all
    select date_trunc('month', returned_on)::date, {by} customers from gaps where returned_on is not null
    union all
    select date_trunc('month', gone_on)::date, {by} -customers from gaps where gone_on <= $as_of
),

by_month as (select month, {by} sum(change) as change from changes group by {by} month),

every_month as (
    select months.month, month_end, groups.* exclude (first_month)
    from (select {by} min(month) as first_month from by_month group by all) as groups
    inner join months on months.month > groups.first_month
),

-- who is there at a month's start is who was new or came back before it and has not gone before it
at_start as (
    select
        every_month.month, {every_by}
        sum(by_month.change) as customers,
    from every_month
    inner join by_month on by_month.month < every_month.month {same}
    group by all
),

lapses as (
    select date_trunc('month', gone_on)::date as month, {by} customers
    from gaps
    where recognised_on <= $as_of and activity_date < date_trunc('month', gone_on)
    union all
    select month, {by} customers
    from ({later})
    where longest_gap_before_days <= $window
        and gap_days > $window
        and activity_date + $clock::integer <= last_day(month)
        and activity_date + $window::integer <= $as_of
),

by_lapse as (select month, {by} sum(customers) as churned from lapses group by {by} month)

select
    month, {by}
    coalesce(churned, 0)::double / customers as value,
    customers::bigint as n,
    coalesce(churned, 0)::bigint as churned,
    last_day(month) - $clock::integer + $window::integer as final_on,
from at_start
left join by_lapse using ({by} month)
where customers > 0 and month >= date_trunc('month', $start) and month <= $end
order by {by} month
"""


def monthly_churn_rate(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """The share of those there at each month's start who left within the month.

    Kind `recognised`: of those active at the end of the day before, whose lapse was recognised in the month. Kind
    `effective`: of those inside an active stretch on the day before, whose stretch was over on a day of the month and
    has lapsed by now; final N days later. Columns beside the common ones: `month`, `churned`; Wilson interval.
    """
    asked = scope(question)
    parameters = _parameters(question, window=window, as_of=as_of)
    parameters["clock"] = 1 if question.kind == "effective" else window
    statement = _MONTHLY.format(
        by=asked.columns,
        every_by="".join(f"every_month.{column}, " for column in asked.by),
        same="".join(f"and by_month.{column} = every_month.{column}" for column in asked.by),
        gaps=asked.counted("mart_activity_gaps"),
        counts=asked.counted("mart_daily_counts"),
        later=asked.joined("mart_month_lapses"),
    )
    table = database.query(statement, parameters)
    return tables.finished(tables.with_wilson(table, "churned"), ["month", *asked.by], as_of=as_of, extra=["churned"])


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
