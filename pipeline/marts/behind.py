"""The customers behind one figure: as many rows as the figure counts, for any window.

Source: "Window-free" in docs/definitions.md. A customer's pauses longer than the shortest window are known day by day
(mart_customer_breaks), so that who was active under N on a day, who left or came back, and in which weeks and months somebody
had an active day all follow from them: a week without one is a pause of at least eight days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Literal

import numpy as np

from pipeline.errors import ConfigurationError
from pipeline.marts.activity import ROLLING_DAYS
from pipeline.marts.churn import CAME_BACK_DAYS
from pipeline.marts.grid import DAYS_A_WEEK, period_ends, period_starts
from pipeline.marts.question import Question

Part = Literal["value", "n"]
Statement = tuple[str, dict[str, Any]]  # and its parameters


@dataclass(frozen=True)
class Behind:
    """One figure whose customers are asked for.

    `question` says metric, window, grain, kind and cohort, all defaults filled in (question.checked); its filters are those of
    the list. `on` is the figure's time key, a day of its period, or of its cohort, whose `period` (0, 1, 2 ...) is meant; with
    `until` the days from `on` to it, both included, are the period. Of a share, `part` is `value` for those it counts and
    `n` for those it is taken of.
    """

    question: Question
    on: date
    until: date | None = None
    period: int = 0
    part: Part = "value"

    def days(self) -> tuple[date, date]:
        """The first and the last day of the figure's period, or of its cohort's."""
        return (self.on, self.until) if self.until is not None else self._period_of(np.datetime64(self.on, "D"))

    def days_of_the_period(self) -> tuple[date, date]:
        """The first and the last day of the period of a cohort cell."""
        cohort = np.datetime64(self.days()[0], "D")
        if self.question.grain == "week":
            return self._period_of(cohort + DAYS_A_WEEK * self.period)
        return self._period_of((cohort.astype("datetime64[M]") + self.period).astype("datetime64[D]"))

    def _period_of(self, day: np.datetime64) -> tuple[date, date]:
        grain = str(self.question.grain)
        first = period_starts(np.array([day]), grain)
        return first[0].item(), (period_ends(first, grain) if grain != "day" else first)[0].item()


# Each gives `user_id` and the day of what happened (null for a state). `there` is who is in a stretch that has not been left by
# the clock on the day $there_on: a closed pause must be longer than the window to be a lapse.
_THERE = """
    select user_id, null::date as happened_on
    from marts.mart_customers
    where first_active_day <= $there_on
        and user_id not in (
            select user_id
            from marts.mart_customer_breaks
            where last_active_day <= $there_on::date - $clock::integer
                and (returned_on is null or (returned_on > $there_on and returned_on - last_active_day > $window))
        )
"""
_NEW = """
    select user_id, first_active_day as happened_on
    from marts.mart_customers
    where first_active_day between $first and $last
"""
_RETURNS = """
    select user_id, returned_on as happened_on
    from marts.mart_customer_breaks
    where returned_on between $first and $last and returned_on - last_active_day > $window
"""
# whose lapse is dated by the clock within the days, and known by now
_LAPSES = """
    select user_id, last_active_day + $clock::integer as happened_on
    from marts.mart_customer_breaks
    where last_active_day between $first::date - $clock::integer and $last::date - $clock::integer
        and last_active_day <= $as_of::date - $window::integer
        and (returned_on is null or returned_on - last_active_day > $window)
"""
_CAME_BACK = _LAPSES + "and returned_on - last_active_day <= $window + $came_back_days"
# of those there when the month began: whoever comes back and leaves once more within it has left once
_LEFT_IN_THE_MONTH = f"""
    select user_id, min(happened_on) as happened_on
    from ({_LAPSES}) as lapses
    where user_id in (select user_id from ({_THERE}) as there)
    group by user_id
"""
_COHORT = """
    select user_id, {day} as happened_on
    from marts.mart_customers
    where {day} between $first and $last
"""
_IN_THE_PERIOD = """
    and first_active_day <= $period_end
    and user_id not in (
        select user_id
        from marts.mart_customer_breaks
        where last_active_day < $period_start and (returned_on is null or returned_on > $period_end)
    )
"""
_FROM_THE_PERIOD_ON = "and last_active_day >= $period_start"
_COHORT_DAYS = {"first_activity": "first_active_day", "signup": "opening_date"}


def statement(behind: Behind, *, window: int, as_of: date) -> Statement:
    """The select of `user_id` and `happened_on` behind a figure, and its parameters.

    Raises ConfigurationError for a metric whose customers are not known one by one: of single days (DAU, L28) the marts
    have counts alone.
    """
    metric = behind.question.metric
    if metric not in _OF_A_METRIC:
        raise ConfigurationError(
            f"The customers behind {metric} are not known one by one",
            where="the list",
            next=f"one of {', '.join(_OF_A_METRIC)}",
        )
    sql, parameters = _OF_A_METRIC[metric](behind, window, as_of)
    return sql, {name: value for name, value in parameters.items() if f"${name}" in sql}


def has_a_list(metric: str) -> bool:
    """Whether the customers behind the metric's figures can be listed."""
    return metric in _OF_A_METRIC


def _stock(behind: Behind, window: int, as_of: date) -> Statement:
    _, last = behind.days()
    return _THERE, {"there_on": min(last, as_of), "clock": window, "window": window}


def _rolling(behind: Behind, window: int, as_of: date) -> Statement:
    del window  # it has a window of its own
    return _stock(behind, ROLLING_DAYS[behind.question.metric], as_of)


def _within(sql: str, behind: Behind, window: int, as_of: date) -> Statement:
    first, last = behind.days()
    return sql, {"first": first, "last": min(last, as_of), "window": window, "clock": window, "as_of": as_of}


def _churn(behind: Behind, window: int, as_of: date) -> Statement:
    sql = _THERE if behind.part == "n" else _LEFT_IN_THE_MONTH
    _, parameters = _within(sql, behind, window, as_of)
    clock = 1 if behind.question.kind == "effective" else window
    return sql, parameters | {"there_on": parameters["first"] - timedelta(days=1), "clock": clock}


def _came_back(behind: Behind, window: int, as_of: date) -> Statement:
    sql, parameters = _within(_LAPSES if behind.part == "n" else _CAME_BACK, behind, window, as_of)
    return sql, parameters | {"came_back_days": CAME_BACK_DAYS}


def _cohort(behind: Behind, window: int, as_of: date) -> Statement:
    del window, as_of
    members = _COHORT.format(day=_COHORT_DAYS[str(behind.question.cohort)])
    retained = _FROM_THE_PERIOD_ON if behind.question.kind == "unbounded" else _IN_THE_PERIOD
    (first, last), (start, end) = behind.days(), behind.days_of_the_period()
    parameters = {"first": first, "last": last, "period_start": start, "period_end": end}
    return members + ("" if behind.part == "n" else retained), parameters


_OF_A_METRIC: Mapping[str, Callable[[Behind, int, date], Statement]] = {
    "active_customers": _stock,
    "new_customers": partial(_within, _NEW),
    "resurrected_customers": partial(_within, _RETURNS),
    "churned_customers": partial(_within, _LAPSES),
    "wau": _rolling,
    "mau": _rolling,
    "monthly_churn_rate": _churn,
    "came_back_share": _came_back,
    "retention_cohort": _cohort,
}
