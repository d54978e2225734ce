"""What changed since some days ago: who came, came back and left, split so that the parts add up to the change.

The identity of docs/definitions.md, summed over the days between: `now = before + new + resurrected - churned`, for everybody
and for each value of a dimension.
"""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.marts import tables
from pipeline.marts.activity import FLOWS, growth_accounting
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

PARTS = ("before", *FLOWS, "now")


def what_changed(database: ReadOnly, question: Question, *, days: int, window: int, as_of: date) -> pa.Table:
    """One row per value of the question's dimension, or one in all: the active customers `before` and `now`, and the three flows.

    `now` is the end of the range (as_of without one), `before` so many days earlier; a flow counts the days after `before`.
    `value` is the net change. A value that nobody had yet was 0 before.
    """
    end = min(question.end or as_of, as_of)
    start = end - timedelta(days=days)
    asked = dataclasses.replace(question, grain="day", start=start, end=end)
    by = list(scope(asked).by)
    daily = growth_accounting(database, asked, window=window, as_of=as_of)
    columns = {name: daily[name] for name in by}
    for name, day in (("before", start), ("now", end)):
        columns[name] = pc.if_else(pc.equal(daily["date"], day), daily["active_customers"], 0)
    for name in FLOWS:
        columns[name] = pc.if_else(pc.greater(daily["date"], start), daily[name], 0)
    sums = pa.table(columns).group_by(by).aggregate([(name, "sum") for name in PARTS])
    sums = sums.rename_columns([name.removesuffix("_sum") for name in sums.column_names])
    table = sums.append_column("value", pc.subtract(sums["now"], sums["before"]))
    table = table.append_column("final_on", pa.repeat(pa.scalar(end), table.num_rows)) if daily.num_rows else _nothing(by)
    return tables.finished(table, by, as_of=as_of, extra=PARTS)


def _nothing(by: list[str]) -> pa.Table:
    """No row, where nobody was ever active; a sum over nothing would be one row of nulls."""
    numbers = [(name, pa.int64()) for name in (*PARTS, "value")]
    return pa.schema([*((name, pa.string()) for name in by), *numbers, ("final_on", pa.date32())]).empty_table()
