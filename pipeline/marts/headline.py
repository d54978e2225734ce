"""The figures a manager reads first, each with the same figure one period before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.marts.activity import FLOWS
from pipeline.marts.grid import Days
from pipeline.marts.question import Answer, Question, Where
from pipeline.metrics import Metric
from pipeline.statistics import Floats, difference_of_shares, ratio_of_counts, ratio_of_ratios

PERIOD_DAYS = 28
OF_FLOWS = f"{PERIOD_DAYS} days"  # the period of a figure that is a sum over days
SHOWN = ("active_customers", *FLOWS, "quick_ratio", "monthly_churn_rate", "mau", "stickiness")
"""The metrics of the headline, in its order."""

Ask = Callable[[Question], Answer]


@dataclass(frozen=True)
class Headline:
    """One figure: for the 28 days to `until`, for the day itself, or for the month that ends then.

    `before` is the same figure 28 days (for a month: one month) earlier, of `before_n` customers where that is told; None where
    history does not reach back. `withheld` says that something was taken out because it is of too few customers.
    """

    metric: Metric
    period: str
    until: date
    value: float | None
    before: float | None
    n: int | None
    low: float | None
    high: float | None
    final_on: date
    provisional: bool
    withheld: bool = False
    before_n: int | None = None

    @property
    def change(self) -> float | None:
        """The difference to the period before, in the unit of the metric."""
        return None if self.value is None or self.before is None else self.value - self.before

    @cached_property
    def change_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the change: of a rate in its own unit, of a flow and of the quick ratio as a share of `before`.

        None where none can be said, and of stocks and what is made of them (active customers, MAU, stickiness): everybody is
        counted, nobody sampled, so that their change is what happened. Months are taken as independent: who lapses in one is not
        there at the start of the next, and rates of lapsing in successive intervals are uncorrelated.
        """
        test = _TESTS.get(self.metric.name)
        found = None if test is None or self.value is None or self.before is None else test(self)
        return None if found is None or math.isnan(found[0]) else found

    @property
    def is_beyond_chance(self) -> bool | None:
        """Whether chance alone would hardly make the change; None where that cannot be said."""
        found = self.change_interval
        return None if found is None else not found[0] <= 0 <= found[1]


def _counts_changed(figure: Headline) -> tuple[float, float]:
    _, low, high = ratio_of_counts(round(figure.value or 0), round(figure.before or 0))
    return low - 1, high - 1


def _ratios_changed(figure: Headline) -> tuple[float, float]:
    (value, left), (before, left_before) = (figure.value or 0, figure.n or 0), (figure.before or 0, figure.before_n or 0)
    _, low, high = ratio_of_ratios((round(value * left), left), (round(before * left_before), left_before))
    return low - 1, high - 1


def _shares_changed(figure: Headline) -> tuple[float, float]:
    n = (figure.n or 0, figure.before_n or 0)
    _, low, high = difference_of_shares((round((figure.value or 0) * n[0]), round((figure.before or 0) * n[1])), n)
    return low, high


_TESTS: Mapping[str, Callable[[Headline], tuple[float, float]]] = {
    **dict.fromkeys(FLOWS, _counts_changed),
    "quick_ratio": _ratios_changed,
    "monthly_churn_rate": _shares_changed,
}


def headline(
    ask: Ask, *, window: int | None, where: Where, as_of: date, countries: tuple[str, ...] | None = None
) -> tuple[Headline, ...]:
    """Active customers, the flows and quick ratio of 28 days, churn of the last final month, MAU and stickiness.

    `as_of` may be an earlier day than the last loaded one: each figure is then what it was on that day.
    """

    def asked(metric: str, **more: Any) -> Answer:
        return ask(Question(metric, where=where, countries=countries, **more))

    figures = [_of_day(asked("active_customers", window=window), as_of)]
    flows = {name: asked(name, window=window) for name in FLOWS}
    figures += [_of_days(answer, as_of) for answer in flows.values()]
    figures.append(_quick_ratio(asked("quick_ratio", window=window, grain="month"), figures[1:4]))
    figures.append(_of_month(asked("monthly_churn_rate", window=window), as_of))
    figures += [_of_day(asked(name), as_of) for name in ("mau", "stickiness")]
    return tuple(figures)


def _of_day(answer: Answer, day: date) -> Headline:
    now, before = _on(answer.table, day), _on(answer.table, day - timedelta(days=PERIOD_DAYS))
    return _headline(answer.metric, "day", day, now | {"final_on": day}, before.get("value"), before.get("n"))


def _on(table: pa.Table, day: date) -> dict[str, Any]:
    """The row of a day; nothing where it has none."""
    return next(iter(table.filter(pc.equal(table["date"], pa.scalar(day, pa.date32()))).to_pylist()), {})


def _of_days(answer: Answer, day: date) -> Headline:
    days = answer.table["date"].to_numpy().astype("datetime64[D]")
    earlier = day - timedelta(days=PERIOD_DAYS)
    reaches_back = days.size > 0 and days[0] <= np.datetime64(earlier - timedelta(days=PERIOD_DAYS - 1), "D")
    values = answer.table["value"].to_numpy()
    before = _total(days, values, earlier) if reaches_back else None
    return _headline(answer.metric, OF_FLOWS, day, {"value": _total(days, values, day), "final_on": day}, before)


def _total(days: Days, values: Floats, until: date) -> float:
    """The sum over the period that ends on a day, of an answer's consecutive days."""
    last = np.datetime64(until, "D")
    since, end = np.searchsorted(days, [last - PERIOD_DAYS + 1, last + 1])
    return float(values[since:end].sum())


def _quick_ratio(answer: Answer, flows: list[Headline]) -> Headline:
    new, resurrected, churned = flows
    value = _ratio(new.value, resurrected.value, churned.value)
    row = {"value": value, "n": None if churned.value is None else int(churned.value), "final_on": churned.final_on}
    before = _ratio(new.before, resurrected.before, churned.before)
    before_n = None if churned.before is None else int(churned.before)
    return _headline(answer.metric, OF_FLOWS, churned.until, row, before, before_n)


def _ratio(new: float | None, resurrected: float | None, churned: float | None) -> float | None:
    if new is None or resurrected is None or not churned:
        return None
    return (new + resurrected) / churned


def _of_month(answer: Answer, as_of: date) -> Headline:
    final = [row for row in answer.rows() if not row["provisional"] and row["final_on"] <= as_of]
    if not final:
        return _headline(answer.metric, "month", as_of, {"final_on": as_of}, None)
    day_before = final[-1]["month"] - timedelta(days=1)
    before = next((row for row in final[-2:-1] if row["month"] == day_before.replace(day=1)), {})  # nobody may have been there
    return _headline(answer.metric, "month", final[-1]["final_on"], final[-1], before.get("value"), before.get("n"))


def _headline(
    metric: Metric, period: str, until: date, row: dict[str, Any], before: float | None, before_n: int | None = None
) -> Headline:
    return Headline(
        metric=metric,
        period=period,
        until=until,
        value=row.get("value"),
        before=before,
        before_n=before_n,
        n=row.get("n"),
        low=row.get("low"),
        high=row.get("high"),
        final_on=row["final_on"],
        provisional=bool(row.get("provisional", False)),
    )
