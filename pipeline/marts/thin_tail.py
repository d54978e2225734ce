"""Last days that hold far fewer active customers than usual: loading may not be finished, and their figures may still rise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pipeline.marts.grid import Counts, grid
from pipeline.marts.question import Question, scope
from pipeline.warehouse.base import ReadOnly

WEEKS = 8
SHARE = 0.6
LEAST_USUAL = 50  # where so many come, chance hardly leaves fewer than 60 % of them
_READ_DAYS = 2 * WEEKS * 7
_COUNTS = """
    select date, sum(active_customers)::integer as active_customers
    from ({counts})
    where date > $since and date <= $as_of
    group by all
"""


@dataclass(frozen=True)
class ThinTail:
    """The days from `first` to `last` (as_of), each with less than 60 % of its usual active customers.

    `low` and `high` are the least and the largest of these shares (None: withheld), `fewest` the customers of the emptiest day.
    """

    first: date
    last: date
    low: float | None
    high: float | None
    fewest: int | None

    @property
    def days(self) -> int:
        """How many days it is of."""
        return (self.last - self.first).days + 1

    def to_json(self) -> dict[str, str]:
        """Its days in plain JSON values, as letters and events keep them."""
        return {"first": self.first.isoformat(), "last": self.last.isoformat()}


def thin_tail(active: Counts, *, as_of: date) -> ThinTail | None:
    """The unusually thin days at the end of a daily series of active customers whose last entry is as_of; None without one.

    The usual of a day is the median of the same weekday in the eight weeks before it. Days whose usual is below 50 are not
    judged and end the tail; so does a day that is as usual, whatever lies before it.
    """
    judged = active[WEEKS * 7 :]
    if not judged.size:
        return None
    usual = np.median([active[(WEEKS - week) * 7 : active.size - week * 7] for week in range(1, WEEKS + 1)], axis=0)
    is_thin = (usual >= LEAST_USUAL) & (judged < SHARE * usual)
    days = int(np.argmin(np.append(is_thin[::-1], False)))
    if not days:
        return None
    shares = judged[-days:] / usual[-days:]
    first = as_of - timedelta(days=days - 1)
    return ThinTail(first, as_of, float(shares.min()), float(shares.max()), int(judged[-days:].min()))


def read(database: ReadOnly, *, as_of: date, countries: tuple[str, ...] | None) -> ThinTail | None:
    """The thin tail of the customers of these countries, or of everybody; tails of up to eight weeks are found."""
    asked = scope(Question("dau", countries=countries))
    statement = _COUNTS.format(counts=asked.counted("mart_daily_counts"))
    since = as_of - timedelta(days=_READ_DAYS)
    found = database.query(statement, {**asked.parameters, "since": since, "as_of": as_of})
    counted = grid(found, by=(), names=("active_customers",), as_of=as_of).counts["active_customers"]
    return thin_tail(counted[0], as_of=as_of) if counted.size else None
