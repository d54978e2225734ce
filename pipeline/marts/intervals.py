"""How long customers pause between two active days: the usage intervals, counted in weeks.

The pairs of days that every window bridges are in no cube (docs/definitions.md). Their number is exact all the same: each active
day but a customer's first one ends one interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.marts import tables
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

WEEK_DAYS = 7
LONGEST_DAYS = 182  # what is longer stands in one last class
REACHED = ("reached", "reached_low", "reached_high")  # what adds up the classes to one

_INTERVALS = """
with longer as (
    select (gap_days - 1) // $week as weeks, sum(customers)::bigint as intervals
    from ({gaps})
    where gap_days > $week and returned_on >= $start and returned_on <= $end
    group by all
),

everything as (
    select (sum(active_customers) - sum(new_customers))::bigint as intervals
    from ({counts})
    where date >= $start and date <= $end
)

select 0 as weeks, coalesce(intervals, 0)::bigint - coalesce((select sum(intervals) from longer), 0)::bigint as intervals
from everything
union all
select weeks, intervals from longer
order by weeks
"""


def usage_intervals(database: ReadOnly, question: Question, *, as_of: date) -> pa.Table:
    """One row per class of a week's width: `from_days` to `to_days` (null: or more) between two active days in a row.

    `value` counts the intervals that ended in the range, `n` all of them, `share` is value over n, with `low` and `high`, and
    `reached` the share of intervals no longer than `to_days`, with `reached_low` and `reached_high`. Final at once: an interval
    that has ended does not change.
    """
    asked = scope(question)
    end = min(question.end or as_of, as_of)
    statement = _INTERVALS.format(gaps=asked.counted("mart_activity_gaps"), counts=asked.counted("mart_daily_counts"))
    parameters = {"week": WEEK_DAYS, "start": question.start or date.min, "end": end} | dict(asked.parameters)
    counted = {row["weeks"]: row["intervals"] for row in database.query(statement, parameters).to_pylist()}
    if not any(counted.values()):
        counted = {}
    table = pa.Table.from_pylist(list(_classes(counted, end)), schema=_SCHEMA)
    sure = tables.with_wilson(tables.with_wilson(table, "value"), "so_far", prefix="reached_")
    return tables.finished(sure, ["from_days", "to_days"], as_of=as_of, extra=["share", *REACHED])


_SCHEMA = pa.schema(
    [
        *((name, pa.int64()) for name in ("from_days", "to_days", "value", "n", "so_far")),
        *((name, pa.float64()) for name in ("share", "reached")),
        ("final_on", pa.date32()),
    ]
)


def _classes(counted: dict[int, int], end: date) -> Iterator[dict[str, Any]]:
    total, weeks, so_far = sum(counted.values()), LONGEST_DAYS // WEEK_DAYS, 0
    for week in range(weeks + 1 if total else 0):
        is_last = week == weeks
        value = total - so_far if is_last else counted.get(week, 0)
        so_far += value
        yield {
            "from_days": week * WEEK_DAYS + 1,
            "to_days": None if is_last else (week + 1) * WEEK_DAYS,
            "value": value,
            "n": total,
            "so_far": so_far,
            "share": value / total,
            "reached": so_far / total,
            "final_on": end,
        }
