"""What answers for any N are made of: who was active or new on each day, who fell silent after it and who came back on it.

"Window-free" in docs/definitions.md. Of one group the pairs of active days are read once, and N is applied here; of many groups,
of several dimensions or of very many pairs one scan applies it. All else is numpy's: planning such a statement takes longer.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.marts.grid import Counts, Grid, grid, group_places
from pipeline.marts.question import Question, Scope, scope
from pipeline.warehouse.base import ReadOnly

OPEN = 1_000_000  # the gap in days of a pair whose second day has not come
MOST_PAIRS = 500_000  # that a reader keeps, of 12 bytes each: those of two and a half years in which every pair of days occurs

_COUNTS = """
    select {by} date, sum(active_customers)::integer as dau, sum(new_customers)::integer as new_customers
    from ({counts})
    where date <= $as_of
    group by all
"""
_PAIRS = "select activity_date, returned_on, customers::integer as customers from ({pairs})"
_HOW_MANY = "select count(*) as pairs from ({pairs})"
_LONGER_PAIRS = """
    select {by} activity_date, returned_on, sum(customers)::bigint as customers
    from ({pairs})
    where gap_days is null or gap_days > $window
    group by grouping sets (({by} activity_date), ({by} returned_on))
"""


def counted(database: ReadOnly, question: Question, *, as_of: date) -> Grid:
    """Each group's `dau, new_customers` on each day to as_of, which no window changes: no pair of days is read for them."""
    asked = scope(_group(question))

    def read() -> Grid:
        statement = _COUNTS.format(by=asked.columns, counts=asked.counted("mart_daily_counts"))
        found = database.query(statement, dict(asked.parameters) | {"as_of": as_of})
        return grid(found, by=asked.by, names=("dau", "new_customers"), as_of=as_of)

    return database.kept(("counted", _group(question), as_of), read)


def by_day(database: ReadOnly, question: Question, *, window: int, as_of: date) -> Grid:
    """The same with `resurrected_customers, silent_after`.

    A group is a value of the question's `by`, or everybody. `silent_after` counts who was active on the day and then not for
    more than the window's days, or not any more; `resurrected_customers` who came back after so long.
    """
    asked = scope(_group(question))

    def read() -> Grid:
        counts = counted(database, question, as_of=as_of)
        pairs = _longer_pairs(database, asked, window)
        return counts.beside(
            silent_after=_summed(counts, asked, pairs, "activity_date"),
            resurrected_customers=_summed(counts, asked, pairs, "returned_on"),
        )

    return database.kept(("by day", _group(question), window, as_of), read)


def _group(question: Question) -> Question:
    """Whom the question is about, without what it asks of them."""
    return dataclasses.replace(question, metric="", window=None, start=None, end=None, grain=None, kind=None, cohort=None)


def _longer_pairs(database: ReadOnly, asked: Scope, window: int) -> pa.Table:
    """The pairs that the window does not bridge; those of one group are so few that they are read once for every window."""
    parameters, relation = dict(asked.parameters), asked.counted("mart_activity_gaps")
    if asked.by or not asked.is_added_up or _how_many(database, relation, parameters) > MOST_PAIRS:
        return database.query(_LONGER_PAIRS.format(by=asked.columns, pairs=relation), parameters | {"window": window})
    every = database.query(_PAIRS.format(pairs=relation), parameters)
    days = pc.days_between(every["activity_date"], every["returned_on"])
    return every.filter(pc.greater(days.fill_null(OPEN), window))


def _how_many(database: ReadOnly, relation: str, parameters: dict[str, Any]) -> int:
    return int(database.query(_HOW_MANY.format(pairs=relation), parameters)["pairs"][0].as_py())


def _summed(counts: Grid, asked: Scope, pairs: pa.Table, day: str) -> Counts:
    known = pairs.filter(pairs[day].is_valid())
    days = known[day].to_numpy().astype("datetime64[D]")
    return counts.added_up(group_places(known, asked.by, counts.groups), days, known["customers"].to_numpy())


def daily(database: ReadOnly, question: Question, *, window: int, as_of: date) -> Grid:
    """The same with `churned_customers`, N days after the last active one, and `active_customers` at each day's end."""
    known = by_day(database, question, window=window, as_of=as_of)
    counts = known.counts
    churned = moved_on(counts["silent_after"], window)
    active = np.cumsum(counts["new_customers"] + counts["resurrected_customers"] - churned, axis=1)
    return known.beside(churned_customers=churned, active_customers=active)


def moved_on(counts: Counts, days: int) -> Counts:
    """Counts by group and day, moved so many days on; what leaves the last day is left out."""
    moved = np.zeros_like(counts)
    moved[:, days:] = counts[:, : max(counts.shape[1] - days, 0)]
    return moved
