"""How long until a first lapse, and how long until a first transaction: Kaplan-Meier on counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.marts import tables
from pipeline.marts.question import Question, Scope, scope
from pipeline.statistics import LogRank, SurvivalCurve, kaplan_meier, log_rank
from pipeline.warehouse.base import ReadOnly

ENOUGH = 30  # customers in a group that is compared

# Under N the first lapse is the record gap with previous record <= N < gap; the row without a gap says up to when its
# customers were followed without one. `last_start` is the first active day of the youngest of these.
_FIRST_LAPSES = """
select
    {by}
    (tenure_days + case when gap_days is null then 0 else $window end)::bigint as days,
    sum(customers) filter (where gap_days is not null)::bigint as events,
    sum(customers) filter (where gap_days is null)::bigint as censored,
    min($as_of - tenure_days::integer) filter (where gap_days is null) as last_start,
from ({records})
where previous_record_days <= $window and (gap_days is null or gap_days > $window)
group by all
order by {by} days
"""

_FIRST_TRANSACTIONS = """
select
    {by}
    follow_up_days::bigint as days,
    count(*) filter (where not is_censored) as events,
    count(*) filter (where is_censored) as censored,
    max(opening_date) filter (where is_censored) as last_start,
from marts.mart_time_to_first_transaction
where {condition} and opening_date >= $start and opening_date <= $end
group by all
order by {by} days
"""


def survival(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """The share of customers not yet lapsed, by days since their first active day; n is the number at risk.

    Time runs to the first lapse as recognised (last active day + N); customers without one are censored at as_of. A point
    is final once everybody who has not lapsed has been followed that long.
    """
    asked = scope(question)
    parameters = {"window": window, "as_of": as_of} | dict(asked.parameters)
    counts = database.query(_FIRST_LAPSES.format(by=asked.columns, records=asked.joined("mart_record_gaps")), parameters)
    return _curves(counts, asked, as_of=as_of, share_met=False)


@dataclass(frozen=True)
class Compared:
    """Whether the survival curves of groups differ: the test (None where nothing can be told), and which groups it is of.

    `left_out` are those of fewer than 30 customers.
    """

    test: LogRank | None
    groups: tuple[str, ...]
    left_out: tuple[str, ...]


def compared(database: ReadOnly, question: Question, *, groups: Sequence[str], window: int, as_of: date) -> Compared:
    """The log-rank test between the survival curves of these values of the question's dimension."""
    asked = scope(question)
    parameters = {"window": window, "as_of": as_of} | dict(asked.parameters)
    counts = database.query(_FIRST_LAPSES.format(by=asked.columns, records=asked.joined("mart_record_gaps")), parameters)
    found = {str(group[asked.by[0]]): part.fillna({"events": 0, "censored": 0}) for group, part in _groups(counts, asked)}
    known = {name: found[name] for name in groups if name in found}
    large = {name: part for name, part in known.items() if part["events"].sum() + part["censored"].sum() >= ENOUGH}
    test = log_rank([(part["days"], part["events"], part["censored"]) for part in large.values()])
    return Compared(test, tuple(large), tuple(name for name in known if name not in large))


def time_to_first_transaction(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """The share of customers who had made a first transaction that counts, by days since account opening.

    Who never transacted is censored at as_of, not dropped; n is the number at risk.
    """
    del window
    asked = scope(question)
    parameters = {"start": question.start or date.min, "end": question.end or as_of} | dict(asked.parameters)
    counts = database.query(_FIRST_TRANSACTIONS.format(by=asked.columns, condition=asked.condition), parameters)
    return _curves(counts, asked, as_of=as_of, share_met=True)


def _curves(counts: pa.Table, asked: Scope, *, as_of: date, share_met: bool) -> pa.Table:
    rows = [row for group, part in _groups(counts, asked) for row in _points(group, part, as_of=as_of, share_met=share_met)]
    schema = pa.schema(
        [pa.field("tenure_days", pa.int64()), *(pa.field(name, pa.string()) for name in asked.by)]
        + [pa.field(name, pa.float64()) for name in ("value", "low", "high")]
        + [pa.field("n", pa.int64()), pa.field("final_on", pa.date32())]
    )
    return tables.finished(pa.Table.from_pylist(rows, schema=schema), ["tenure_days", *asked.by], as_of=as_of)


def _groups(counts: pa.Table, asked: Scope) -> Iterator[tuple[dict[str, Any], Any]]:
    frame = counts.to_pandas()
    if not asked.by:
        yield {}, frame
        return
    for value, part in frame.groupby(asked.by[0]):
        yield {asked.by[0]: value}, part


def _points(group: dict[str, Any], part: Any, *, as_of: date, share_met: bool) -> Iterator[dict[str, Any]]:
    if part.empty:
        return
    events, censored = part["events"].fillna(0).to_numpy(), part["censored"].fillna(0).to_numpy()
    by_time = part.assign(events=events, censored=censored).groupby("days", as_index=False)[["events", "censored"]].sum()
    curve = kaplan_meier(by_time["days"], by_time["events"], by_time["censored"])
    last_start = max((day for day in part["last_start"] if isinstance(day, date)), default=None)
    if not curve.times.size or curve.times[0] > 0:
        everyone = int(events.sum() + censored.sum())
        yield group | _point(0, 1.0, 1.0, 1.0, everyone, share_met=share_met) | _final(0, last_start, as_of)
    for time, value, low, high, at_risk in _steps(curve):
        yield group | _point(time, value, low, high, at_risk, share_met=share_met) | _final(time, last_start, as_of)


def _final(days: int, last_start: date | None, as_of: date) -> dict[str, date]:
    """A point waits for the youngest customer who has not met the event; where everybody has, it stands now."""
    return {"final_on": last_start + timedelta(days=days) if last_start is not None else as_of}


def _steps(curve: SurvivalCurve) -> Iterator[tuple[int, float, float, float, int]]:
    for place in range(curve.times.size):
        yield (
            int(curve.times[place]),
            float(curve.survival[place]),
            float(curve.low[place]),
            float(curve.high[place]),
            int(curve.at_risk[place]),
        )


def _point(days: int, value: float, low: float, high: float, at_risk: int, *, share_met: bool) -> dict[str, Any]:
    if share_met:
        value, low, high = 1 - value, 1 - high, 1 - low
    return {
        "tenure_days": days,
        "value": value,
        "low": None if np.isnan(low) else low,
        "high": None if np.isnan(high) else high,
        "n": at_risk,
    }
