"""The customers behind one figure: as many rows as the figure counts, for any window.

Source: "Window-free" in docs/definitions.md. A customer's pauses longer than the shortest window are known day by day
(mart_customer_breaks), so that who was active under N on a day, who left or came back, and in which weeks and months somebody
had an active day all follow from them: a week without one is a pause of at least eight days. Single days are read off the
bitmaps of their months (mart_customer_months).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Literal

import numpy as np

from pipeline.errors import ConfigurationError
from pipeline.marts.activity import ROLLING_DAYS, STICKINESS_DAYS
from pipeline.marts.churn import CAME_BACK_DAYS
from pipeline.marts.grid import DAYS_A_WEEK, period_of
from pipeline.marts.question import Question

Part = Literal["value", "n"]
Statement = tuple[str, dict[str, Any]]  # and its parameters
PAUSES, MONTHS = "mart_customer_breaks", "mart_customer_months"
L28_DAYS = 28
OF_N_ALONE = ("stickiness",)  # the others are no customers: a mean of daily counts


@dataclass(frozen=True)
class Behind:
    """One figure whose customers are asked for.

    `question` says metric, window, grain, kind and cohort, all defaults filled in (question.checked); its filters are those of
    the list. `on` is the figure's time key, a day of its period, or of its cohort, whose `period` (0, 1, 2 ...) is meant; with
    `until` the days from `on` to it, both included, are the period. Of L28 `period` is the number of active days. Of a share
    and of L28, `part` is `value` for those it counts and `n` for those it is taken of.
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
        return period_of(date.fromisoformat(str(day)), str(self.question.grain))


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
# On how many of some days of two months, each month's days as a bitmap, somebody was active; of who was there for long enough.
_ON_SO_MANY_DAYS = """
    select user_id, null::date as happened_on
    from marts.mart_customer_months
    inner join warehouse.dim_customers using (customer_key)
    where month in ($month, $month_before) and opening_date <= $opened_by
    group by user_id
    having sum(bit_count(active_days_bitmap & case month when $month then $days else $days_before end)) between $least and $most
"""
_COHORT_DAYS = {"first_activity": "first_active_day", "signup": "opening_date"}


def statement(behind: Behind, *, window: int, as_of: date) -> Statement:
    """The select of `user_id` and `happened_on` behind a figure, and its parameters.

    Raises ConfigurationError for a metric whose customers are not known one by one, such as those of payments.
    """
    metric = behind.question.metric
    if metric not in _OF_A_METRIC:
        raise ConfigurationError(
            f"The customers behind {metric} are not known one by one",
            where="the list",
            next=f"one of {', '.join(_OF_A_METRIC)}",
        )
    sql, parameters = _OF_A_METRIC[metric](behind, window, as_of)
    return sql, named_in(sql, parameters)


def named_in(sql: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the parameters that the statement has: DuckDB refuses one that it has not."""
    return {name: value for name, value in parameters.items() if re.search(rf"\${name}\b", sql)}


def has_a_list(metric: str) -> bool:
    """Whether the customers behind the metric's figures can be listed."""
    return metric in _OF_A_METRIC


def table_of(metric: str) -> str:
    """The published table that the metric's lists are made from."""
    return MONTHS if metric in OF_SINGLE_DAYS else PAUSES


def _stock(behind: Behind, window: int, as_of: date) -> Statement:
    _, last = behind.days()
    return _THERE, {"there_on": min(last, as_of), "clock": window, "window": window}


def _rolling(behind: Behind, window: int, as_of: date) -> Statement:
    del window  # it has a window of its own
    return _stock(behind, ROLLING_DAYS[behind.question.metric], as_of)


def _sticky(behind: Behind, window: int, as_of: date) -> Statement:
    del window  # a mean of daily counts over MAU: those that it is taken of
    return _stock(behind, STICKINESS_DAYS, as_of)


def _on_the_day(behind: Behind, window: int, as_of: date) -> Statement:
    del window
    day = min(behind.days()[1], as_of)
    return _ON_SO_MANY_DAYS, _days_of_two_months(day, day) | {"opened_by": day, "least": 1, "most": 1}


def _on_so_many_days(behind: Behind, window: int, as_of: date) -> Statement:
    """Of who was a customer for all of the 28 days: the others are counted apart."""
    del window
    last = min(behind.days()[1], as_of)
    least, most = (1, L28_DAYS) if behind.part == "n" else (behind.period, behind.period)
    if not 1 <= least <= L28_DAYS:
        raise ConfigurationError(
            f"Nobody is counted on {least} of {L28_DAYS} days", where="the list", next=f"a period from 1 to {L28_DAYS}"
        )
    days = _days_of_two_months(last - timedelta(days=L28_DAYS - 1), last)
    return _ON_SO_MANY_DAYS, days | {"opened_by": last - timedelta(days=L28_DAYS), "least": least, "most": most}


def _days_of_two_months(first: date, last: date) -> dict[str, Any]:
    """The days from one to another at most a month later, as bitmaps of the later month and the one before it."""
    month = last.replace(day=1)
    before = month - timedelta(days=1)
    return {
        "month": month,
        "days": _bitmap(max(first, month), last),
        "month_before": before.replace(day=1),
        "days_before": _bitmap(first, before),
    }


def _bitmap(first: date, last: date) -> int:
    """The bits of the days of one month, the first of it as the lowest; none where `first` is the later."""
    return sum(1 << (day - 1) for day in range(first.day, last.day + 1)) if first <= last else 0


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
    "dau": _on_the_day,
    "wau": _rolling,
    "mau": _rolling,
    "stickiness": _sticky,
    "l28": _on_so_many_days,
    "monthly_churn_rate": _churn,
    "came_back_share": _came_back,
    "retention_cohort": _cohort,
}
OF_SINGLE_DAYS = ("dau", "l28")
