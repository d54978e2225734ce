"""A published survival curve beside the one of the package `lifelines`."""

from __future__ import annotations

from datetime import date
from typing import Any

import oracle
import pytest
from chain import Published


def first_lapse(customer: oracle.Customer, window: int, as_of: date) -> tuple[int, bool] | None:
    """Days to the first lapse or to as_of, straight from the customer's days."""
    if customer.first is None:
        return None
    lapses = oracle.recognised_lapses(customer, window, as_of)
    return ((lapses[0] if lapses else as_of) - customer.first).days, bool(lapses)


def assert_is_lifelines_curve(published: Published, times: list[tuple[int, bool]], question: dict[str, Any]) -> None:
    lifelines = pytest.importorskip("lifelines")
    fitter = lifelines.KaplanMeierFitter().fit([days for days, _ in times], [happened for _, happened in times])
    interval = fitter.confidence_interval_survival_function_
    low, high = (interval[name] for name in interval.columns)
    figures = published.figures("survival", **question)
    events = sorted({days for days, happened in times if happened})
    assert sorted(figures.keys() - {0}) == [days for days in events if days > 0]
    for days, figure in figures.items():
        about = (question, days)
        assert figure.value == pytest.approx(fitter.survival_function_at_times(days).iloc[0], abs=1e-9), about
        assert figure.n == fitter.event_table.at_risk.asof(days) if days else len(times), about
        if days and figure.value:
            assert figure.low == pytest.approx(low.loc[days], abs=1e-9), about
            assert figure.high == pytest.approx(high.loc[days], abs=1e-9), about
