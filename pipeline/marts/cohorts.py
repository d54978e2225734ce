"""Cohort retention: of those who began together, which share was active again, period by period."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.marts import tables
from pipeline.marts.grid import period_of
from pipeline.marts.question import Question, Scope, Where, scope
from pipeline.warehouse.base import ReadOnly

_CELLS = """
with members as (
    select cohort, last_period, {by} customers
    from ({members})
    where cohort_kind = $cohort_kind and grain = $grain
),

sizes as (
    select cohort, {by} sum(customers) as n
    from members
    where cohort >= $start and cohort <= $end
    group by all
),

periods as (
    select distinct {period_start} as period_start, {period_end} as period_end
    from warehouse.dim_dates
    where date_day <= $as_of
),

every_cell as (
    select sizes.*, {period} as period, period_end
    from sizes
    inner join periods on period_start >= cohort
),

counted as (
    select cohort, period, {by} sum(active_customers) as active_customers
    from ({cells})
    where cohort_kind = $cohort_kind and grain = $grain
    group by all
),

lasts as (
    select cohort, last_period as period, {by} sum(customers) as customers
    from members
    where last_period is not null
    group by all
),

filled as (
    select
        cohort, period, {by} n, period_end,
        coalesce(active_customers, 0) as classic,
        sum(coalesce(customers, 0)) over (partition by {by} cohort order by period desc) as unbounded,
    from every_cell
    left join counted using (cohort, {by} period)
    left join lasts using (cohort, {by} period)
)

select
    cohort, period::integer as period, {by}
    {kind}::bigint as retained,
    {kind}::double / n as value,
    n::bigint as n,
    {final_on} as final_on,
from filled
"""

# The cells of everybody and of each value of one dimension are published as they are; of a very long history in BigQuery
# they may stay there, while the cubes that they are made from are copied.
_ARE_PUBLISHED = "select 1 from information_schema.tables where table_name = 'mart_retention_cohorts'"
_PUBLISHED_CELLS = """
select
    cohort, period, {by}
    {retained}::bigint as retained,
    {retained}::double / cohort_customers as value,
    cohort_customers::bigint as n,
    {final_on} as final_on,
from ({cells})
where cohort_kind = $cohort_kind and grain = $grain and cohort >= $start and cohort <= $end
"""

_CURVE = """
select
    period, {by}
    sum(retained)::bigint as retained,
    sum(retained)::double / sum(n) as value,
    sum(n)::bigint as n,
    count(*) as cohorts,
    max(final_on) as final_on,
from ({cells}) as cells
where final_on <= $as_of {common} {fixed}
group by all
order by {by} period
"""

_COHORTS = "select distinct cohort from ({cells}) as cells where period = 0 and n > 0 order by cohort"

_PERIOD_START = {"month": "month_start", "week": "week_start"}
_PERIOD_END = {"month": "month_end", "week": "week_start + 6"}
_PERIOD = {"month": "date_diff('month', cohort, period_start)", "week": "date_diff('day', cohort, period_start) // 7"}
# An unbounded cell says "then or later": it waits for N more days before it is called final.
_FINAL_ON = {"classic": "{period_end}", "unbounded": "{period_end} + $window::integer"}
_RETAINED = {"classic": "active_customers", "unbounded": "active_customers_unbounded"}


def retention_cohorts(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """One row per cohort and period: the share of the cohort with an active day in that period (unbounded: or later).

    Columns beside the common ones: `cohort` (first day of its month or week), `period` (0, 1, 2 ...), `retained`.
    """
    asked = scope(question)
    statement = _cells(database, question, asked) + f"order by {asked.columns} cohort, period"
    table = database.query(statement, _parameters(statement, question, asked, window=window, as_of=as_of))
    return tables.finished(
        tables.with_wilson(table, "retained"), ["cohort", "period", *asked.by], as_of=as_of, extra=["retained"]
    )


def retention_curve(
    database: ReadOnly,
    question: Question,
    *,
    window: int,
    as_of: date,
    fixed_cohorts: bool,
    without: Where = (),
    beside: tuple[Where, Where] | None = None,
) -> pa.Table:
    """One row per period: the retention of all cohorts together, weighted by size, over final cells only.

    With `fixed_cohorts` each period counts the same cohorts, those whose cells are final up to the longest period that
    more than half of the cohorts have reached; the unbounded curve of such a set never rises. `cohorts` counts them.
    `without` leaves out whoever meets all of these filters. `beside` has the filters of another segment, and of whom is left
    out there: only cohorts with somebody of both count then, for a plan that is new has no cohorts of the years before.
    """
    asked = scope(question, without=without)
    cells = _cells(database, question, asked)
    common = ""
    if beside is not None:
        other, less = beside
        theirs = _cohorts(database, replace(question, where=other), window=window, as_of=as_of, without=less)
        days = ", ".join(f"date '{day}'" for day in theirs)
        common = f"and cohort in (select unnest([{days}]::date[]))"
    fixed = _FIXED.format(cells=cells, common=common) if fixed_cohorts else ""
    statement = _CURVE.format(by=asked.columns, cells=cells, common=common, fixed=fixed)
    table = database.query(statement, _parameters(statement, question, asked, window=window, as_of=as_of))
    return tables.finished(
        tables.with_wilson(table, "retained"), ["period", *asked.by], as_of=as_of, extra=["retained", "cohorts"]
    )


_FIXED = """
    and period <= (
        select quantile_disc(reached, 0.5)
        from (select cohort, max(period) as reached from ({cells}) as cells where final_on <= $as_of {common} group by cohort)
    )
    and cohort in (
        select cohort
        from ({cells}) as cells
        where final_on <= $as_of {common}
        group by cohort
        having max(period) >= (
            select quantile_disc(reached, 0.5)
            from (select cohort, max(period) as reached from ({cells}) as cells where final_on <= $as_of {common} group by cohort)
        )
    )
"""


def _cohorts(database: ReadOnly, question: Question, *, window: int, as_of: date, without: Where) -> list[date]:
    """The cohorts that have somebody of the question's segment."""
    asked = scope(question, without=without)
    statement = _COHORTS.format(cells=_cells(database, question, asked))
    parameters = _parameters(statement, question, asked, window=window, as_of=as_of)
    return list(database.query(statement, parameters)["cohort"].to_pylist())


def _cells(database: ReadOnly, question: Question, asked: Scope) -> str:
    grain, kind = question.grain or "month", question.kind or "classic"
    if asked.is_added_up and not asked.unites and database.query(_ARE_PUBLISHED).num_rows:
        return _PUBLISHED_CELLS.format(
            by=asked.columns,
            cells=asked.added_up("mart_retention_cohorts"),
            retained=_RETAINED[kind],
            final_on=_FINAL_ON[kind].format(period_end="final_on"),
        )
    return _CELLS.format(
        by=asked.columns,
        members=asked.joined("mart_cohort_members"),
        cells=asked.joined("mart_cohort_cells"),
        period_start=_PERIOD_START[grain],
        period_end=_PERIOD_END[grain],
        period=_PERIOD[grain],
        kind=kind,
        final_on=_FINAL_ON[kind].format(period_end="period_end"),
    )


def _parameters(statement: str, question: Question, asked: Scope, *, window: int, as_of: date) -> dict[str, Any]:
    """What the statement names of a question's values: not every form of it names them all."""
    parameters = {
        "cohort_kind": question.cohort or "first_activity",
        "grain": question.grain or "month",
        "as_of": as_of,
        "start": _begin(question),
        "end": question.end or as_of,
        "window": window,
        **asked.parameters,
    }
    return {name: value for name, value in parameters.items() if f"${name}" in statement}


def _begin(question: Question) -> date:
    """The first day of the period that the range starts in: its cohort is shown, as that period is of any other figure."""
    return period_of(question.start or date.min, question.grain or "month")[0]
