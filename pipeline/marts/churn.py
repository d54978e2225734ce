"""Who of those active at a month's start left within it, for any window, recognised clock."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from pipeline.marts import tables
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

# Two ways to lapse in a month after being active at its start: by the pair of days that covers the start, or, where the
# window is no longer than a month, by a later pair whose stretch still reaches back to the start (mart_month_lapses).
_MONTHLY = """
with pairs as (
    select
        activity_date, {by} customers,
        gap_days is null or gap_days > $window as lapses,
        activity_date + least(coalesce(gap_days, $window), $window)::integer as until,
    from marts.mart_activity_gaps
    where {condition}
),

months as (
    select distinct month_start as month, month_end from warehouse.dim_dates where not is_after_as_of
),

at_start as (
    select
        month, {by}
        customers,
        case when lapses and until <= month_end and until <= $as_of then customers else 0 end as churned,
    from pairs
    inner join months on month > activity_date and month <= until
    where date_trunc('month', until) > date_trunc('month', activity_date)
),

later as (
    select month, {by} 0 as customers, customers as churned
    from marts.mart_month_lapses
    where {condition}
        and longest_gap_before_days <= $window
        and gap_days > $window
        and activity_date + $window::integer <= least(last_day(month), $as_of)
),

together as (
    select * from at_start
    union all
    select * from later
)

select
    month, {by}
    sum(churned)::double / sum(customers) as value,
    sum(customers)::bigint as n,
    sum(churned)::bigint as churned,
    last_day(month) as final_on,
from together
group by all
having sum(customers) > 0 and month >= date_trunc('month', $start) and month <= $end
order by {by} month
"""


def monthly_churn_rate(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """The share of those active at each month's start whose stretch lapsed, recognised, within the month.

    Columns beside the common ones: `month`, `churned`; n counts who was active at the start; Wilson interval.
    """
    asked = scope(question)
    parameters = {
        "window": window,
        "as_of": as_of,
        "start": question.start or date.min,
        "end": question.end or as_of,
    } | dict(asked.parameters)
    table = database.query(_MONTHLY.format(by=asked.columns, condition=asked.condition), parameters)
    return tables.finished(tables.with_wilson(table, "churned"), ["month", *asked.by], as_of=as_of, extra=["churned"])
