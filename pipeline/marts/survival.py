"""How long until a first lapse, and how long until a first transaction: Kaplan-Meier on counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.marts import tables
from pipeline.marts.question import Question, Scope, scope
from pipeline.statistics import LogRank, kaplan_meier, log_rank
from pipeline.warehouse.base import ReadOnly

FOLLOWED = "followed_days"
ENOUGH = 30  # customers in a group that is compared

# Under N the first lapse is the record gap with previous record <= N < gap; the row without a gap says up to when its
# customers were followed without one. `last_start` is the first active day of the youngest of these.
_FIRST_LAPSES = """
with counted as (
    select {by} tenure_days, gap_days is null as is_censored, sum(customers) as customers
    from ({records})
    where previous_record_days <= $window and (gap_days is null or gap_days > $window)
    group by all
)

select
    {by}
    (tenure_days + case when is_censored then 0 else $window end)::bigint as days,
    coalesce(sum(customers) filter (where not is_censored), 0)::bigint as events,
    coalesce(sum(customers) filter (where is_censored), 0)::bigint as censored,
    min($as_of - tenure_days::integer) filter (where is_censored) as last_start,
from counted
group by all
order by {by} days
"""

_FIRST_TRANSACTIONS = """
with counted as (
    select {by} follow_up_days, is_censored, count(*) as customers, max(opening_date) as last_start
    from marts.mart_time_to_first_transaction
    where {condition} and opening_date >= $start and opening_date <= $end
    group by all
)

select
    {by}
    follow_up_days::bigint as days,
    coalesce(sum(customers) filter (where not is_censored), 0)::bigint as events,
    coalesce(sum(customers) filter (where is_censored), 0)::bigint as censored,
    max(last_start) filter (where is_censored) as last_start,
from counted
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

    `left_out` are those of fewer than 30 customers, `too_young` those of which nobody is followed to a day on which
    somebody left.
    """

    test: LogRank | None
    groups: tuple[str, ...]
    left_out: tuple[str, ...]
    too_young: tuple[str, ...] = ()


def compared(database: ReadOnly, question: Question, *, groups: Sequence[str], window: int, as_of: date) -> Compared:
    """The log-rank test between the survival curves of these values of the question's dimension."""
    asked = scope(question)
    parameters = {"window": window, "as_of": as_of} | dict(asked.parameters)
    counts = database.query(_FIRST_LAPSES.format(by=asked.columns, records=asked.joined("mart_record_gaps")), parameters)
    found = {group[asked.by[0]]: _columns(part) for group, part in _groups(counts, asked)}
    known = {name: found[name] for name in groups if name in found}
    large = {name: part for name, part in known.items() if part[1].sum() + part[2].sum() >= ENOUGH}
    test, names = log_rank(list(large.values())), tuple(large)
    compared = names if test is None else tuple(names[place] for place in test.of)
    left_out = tuple(name for name in known if name not in large)
    return Compared(test, compared, left_out, tuple(name for name in names if name not in compared))


def time_to_first_transaction(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """The share of customers who had made a first transaction that counts, by days since account opening.

    Who never transacted is censored at as_of, not dropped; n is the number at risk. `followed_days` says up to which day the
    last point of its curve holds: beyond, nobody is followed. Where nobody transacted on day 0 there is no interval on it.
    """
    del window
    asked = scope(question)
    parameters = {"start": question.start or date.min, "end": question.end or as_of} | dict(asked.parameters)
    counts = database.query(_FIRST_TRANSACTIONS.format(by=asked.columns, condition=asked.condition), parameters)
    return _curves(counts, asked, as_of=as_of, share_met=True)


def _curves(counts: pa.Table, asked: Scope, *, as_of: date, share_met: bool) -> pa.Table:
    extra = [FOLLOWED] if share_met else []
    schema = pa.schema(
        [pa.field("tenure_days", pa.int64()), *(pa.field(name, pa.string()) for name in asked.by)]
        + [pa.field(name, pa.float64()) for name in ("value", "low", "high")]
        + [pa.field("n", pa.int64()), pa.field("final_on", pa.date32()), *(pa.field(name, pa.int64()) for name in extra)]
    )
    parts = [_points(group, part, as_of=as_of, share_met=share_met) for group, part in _groups(counts, asked)]
    table = pa.concat_tables([schema.empty_table(), *(part.select(schema.names).cast(schema) for part in parts)])
    return tables.finished(table, ["tenure_days", *asked.by], as_of=as_of, extra=extra)


def _groups(counts: pa.Table, asked: Scope) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """The rows of each group, which lie together, in the order of the groups."""
    if not counts.num_rows:
        return
    if not asked.by:
        yield {}, counts
        return
    runs = counts[asked.by[0]].combine_chunks().dictionary_encode()
    codes = runs.indices.to_numpy()
    begins = np.flatnonzero(np.diff(codes, prepend=-1))
    for begin, end in zip(begins, [*begins[1:], codes.size], strict=True):
        yield {asked.by[0]: runs.dictionary[int(codes[begin])].as_py()}, counts.slice(begin, end - begin)


def _columns(part: pa.Table) -> tuple[Any, Any, Any]:
    """Days, events and censored as kaplan_meier and log_rank take them."""
    return part["days"].to_numpy(), part["events"].to_numpy(), part["censored"].to_numpy()


def _points(group: dict[str, str], part: pa.Table, *, as_of: date, share_met: bool) -> pa.Table:
    """The curve of one group, from its first day on: tenure_days, the group's own columns, value, low, high, n and the rest."""
    days, events, censored = _columns(part)
    curve = kaplan_meier(days, events, censored)
    times, at_risk = curve.times, curve.at_risk
    value, low, high = curve.survival, curve.low, curve.high
    if not times.size or times[0] > 0:
        everyone = int(events.sum() + censored.sum())
        times, at_risk = np.concatenate([[0], times]), np.concatenate([[everyone], at_risk])
        certain = np.nan if share_met else 1.0  # everybody has their first active day; that nobody transacts is an estimate
        value, low, high = (np.concatenate([[first], rest]) for first, rest in ((1.0, value), (certain, low), (certain, high)))
    if share_met:
        value, low, high = 1 - value, 1 - high, 1 - low
    columns = {
        "tenure_days": pa.array(times.astype(np.int64)),
        **{name: pa.repeat(pa.scalar(text, pa.string()), times.size) for name, text in group.items()},
        **{name: tables.nullable(column) for name, column in (("value", value), ("low", low), ("high", high))},
        "n": pa.array(at_risk.astype(np.int64)),
        FOLLOWED: pa.repeat(pa.scalar(int(days.max()), pa.int64()), times.size),
        "final_on": _final_on(times, pc.max(part["last_start"]).as_py(), as_of),
    }
    return pa.table(columns)


def _final_on(times: Any, last_start: date | None, as_of: date) -> pa.Array:
    """A point waits for the youngest customer who has not met the event; where everybody has, it stands now."""
    if last_start is None:
        return pa.repeat(pa.scalar(as_of, pa.date32()), times.size)
    return pa.array(np.datetime64(last_start, "D") + times.astype("timedelta64[D]"))
