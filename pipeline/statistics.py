"""How sure we are: Wilson intervals for shares, Kaplan-Meier curves for times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Z_95 = 1.959963984540054


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Lower and upper end of the 95 % Wilson score interval; NaN where n = 0.

    Source: E. B. Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """
    k, size = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        half_width = Z_95 * np.sqrt(k * (size - k) / size + Z_95**2 / 4)
        low = np.maximum(0.0, (k + Z_95**2 / 2 - half_width) / (size + Z_95**2))
        high = np.minimum(1.0, (k + Z_95**2 / 2 + half_width) / (size + Z_95**2))
    return np.where(size > 0, low, np.nan), np.where(size > 0, high, np.nan)


@dataclass(frozen=True)
class SurvivalCurve:
    """A Kaplan-Meier estimate: at each time with an event, the share not yet met by it, and its 95 % interval."""

    times: npt.NDArray[np.int64]
    survival: Floats
    low: Floats
    high: Floats
    at_risk: npt.NDArray[np.int64]


def kaplan_meier(times: npt.ArrayLike, events: npt.ArrayLike, censored: npt.ArrayLike) -> SurvivalCurve:
    """Product-limit estimate from counts: at each of `times` (days), how many events and how many censored.

    Who is censored at a time is still at risk at it. Interval: Greenwood's variance on the log(-log) scale.
    Sources: E. L. Kaplan and P. Meier (1958), JASA 53, 457-481; J. D. Kalbfleisch and R. L. Prentice (1980), section 1.4.
    """
    order = np.argsort(np.asarray(times))
    when = np.asarray(times, dtype=np.int64)[order]
    met = np.asarray(events, dtype=np.int64)[order]
    leaving = met + np.asarray(censored, dtype=np.int64)[order]
    at_risk = np.cumsum(leaving[::-1])[::-1]
    kept = met > 0
    when, met, at_risk = when[kept], met[kept], at_risk[kept]
    survival = np.asarray(np.cumprod(1 - met / at_risk), dtype=np.float64)
    low, high = _log_log_interval(survival, met.astype(np.float64), at_risk.astype(np.float64))
    return SurvivalCurve(when, survival, low, high, at_risk)


def _log_log_interval(survival: Floats, events: Floats, at_risk: Floats) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(events / (at_risk * (at_risk - events)))
        spread = Z_95 * np.sqrt(variance) / np.log(survival)
        low, high = survival ** np.exp(-spread), survival ** np.exp(spread)
    # spread is negative, for log(survival) is: the first of the two is the lower end
    inside = (survival > 0) & (survival < 1)
    return np.where(inside, low, survival), np.where(inside, high, survival)
