"""How sure we are: intervals of shares and of their difference, Kaplan-Meier curves for times, and whether two of them differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    """A Kaplan-Meier estimate: at each time with an event, the share not yet met by it, and its 95 % interval.

    Where nobody is left, the variance is not defined, and the interval is NaN.
    """

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
    anybody = survival > 0
    return np.where(anybody, low, np.nan), np.where(anybody, high, np.nan)


def difference_of_shares(successes: tuple[int, int], n: tuple[int, int]) -> tuple[float, float, float]:
    """The difference of two independent shares, the first less the second, and its 95 % interval; NaN where an n is 0.

    Source: R. G. Newcombe (1998), Statistics in Medicine 17, 873-890, method 10: the interval of the difference from the Wilson
    intervals of the two.
    """
    if not all(n):
        return float("nan"), float("nan"), float("nan")
    low, high = wilson(successes, n)
    first, second = successes[0] / n[0], successes[1] / n[1]
    down = float(np.hypot(first - low[0], high[1] - second))
    up = float(np.hypot(high[0] - first, second - low[1]))
    return first - second, first - second - down, first - second + up


def ratio_of_counts(first: int, second: int) -> tuple[float, float, float]:
    """The first of two counts of events over the second, of times as long, and the 95 % interval of it; NaN for 0 and 0.

    Given their sum, the first of two Poisson counts is binomial, with one half where both happen as often. Its share has the
    score interval with continuity correction, which agrees with the exact test where counts are small too; the ratio is
    `share / (1 - share)`. An end is infinite where the second count is 0. Counts of customers, of whom each can do it once, vary
    less than Poisson's: this errs on the safe side.
    Sources: J. Przyborowski and H. Wilenski (1940), Biometrika 31, 313-323; R. G. Newcombe (1998), Statistics in Medicine 17,
    857-872, method 4.
    """
    total = first + second
    if not total:
        return float("nan"), float("nan"), float("nan")
    low = float(wilson(first - 0.5, total)[0]) if first else 0.0
    high = float(wilson(first + 0.5, total)[1]) if second else 1.0
    return _odds(first / total), _odds(low), _odds(high)


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else float("inf")


def ratio_of_ratios(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float, float]:
    """The ratio of two counts over the ratio of two others, and the 95 % interval of it; NaN where a count is 0.

    Source: B. Woolf (1955), Annals of Human Genetics 19, 251-253: the logarithm has the variance of the four reciprocals.
    """
    counts = (*first, *second)
    if not all(counts):
        return float("nan"), float("nan"), float("nan")
    ratio = (first[0] / first[1]) / (second[0] / second[1])
    spread = math.exp(Z_95 * math.sqrt(sum(1 / count for count in counts)))
    return ratio, ratio / spread, ratio * spread


@dataclass(frozen=True)
class LogRank:
    """Whether the curves of several groups are one: the statistic, its degrees of freedom and the probability under one curve.

    `of` has the places of the groups that it is of, among those that were given.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    of: tuple[int, ...] = ()


def log_rank(groups: Sequence[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]]) -> LogRank | None:
    """The log-rank test between groups, each given as `kaplan_meier` takes it: times in days, events, censored.

    At each time with an event, a group is expected to have the events of all in proportion to those of it at risk:
    `E_i = sum d n_i / n`. The statistic is `(O - E)' V^-1 (O - E)` over all groups but the last, where
    `V_il = sum d (n - d) / (n - 1) * n_i / n * (1[i = l] - n_l / n)`; under one curve it is chi-square with one degree fewer than
    groups. A group of which nobody is at risk at any of these times says nothing and counts for none. None where fewer than
    two are left, or nothing can be told between them.
    Sources: N. Mantel (1966), Cancer Chemotherapy Reports 50, 163-170; J. D. Kalbfleisch and R. L. Prentice (1980), section 1.4.
    """
    if not groups:
        return None
    when = np.unique(np.concatenate([np.asarray(times, dtype=np.int64) for times, _, _ in groups]))
    met = np.stack([_counted(when, times, events) for times, events, _ in groups])
    leaving = met + np.stack([_counted(when, times, censored) for times, _, censored in groups])
    at_risk = np.cumsum(leaving[:, ::-1], axis=1)[:, ::-1]
    events, everybody = met.sum(axis=0), at_risk.sum(axis=0)
    told = (events > 0) & (everybody > 1)
    events, everybody, at_risk, met = events[told], everybody[told], at_risk[:, told], met[:, told]
    of = np.flatnonzero(at_risk.any(axis=1))
    at_risk, met = at_risk[of], met[of]
    if of.size < 2:
        return None
    shares = at_risk / everybody
    apart = (met - events * shares).sum(axis=1)[:-1]
    spread = events * (everybody - events) / (everybody - 1)
    variance = np.diag((spread * shares).sum(axis=1)) - (spread * shares) @ shares.T
    variance = variance[:-1, :-1]
    degrees = int(of.size) - 1
    if np.linalg.matrix_rank(variance) < degrees:
        return None
    statistic = float(apart @ np.linalg.solve(variance, apart))
    return LogRank(statistic, degrees, chi_square_tail(statistic, degrees), tuple(of.tolist()))


def _counted(when: npt.NDArray[np.int64], times: npt.ArrayLike, counts: npt.ArrayLike) -> Floats:
    placed = np.zeros(when.size)
    np.add.at(placed, np.searchsorted(when, np.asarray(times, dtype=np.int64)), np.asarray(counts, dtype=np.float64))
    return placed


def chi_square_tail(statistic: float, degrees_of_freedom: int) -> float:
    """The probability of at least this value under chi-square, by the recurrence from one or two degrees of freedom up.

    Source: M. Abramowitz and I. A. Stegun (1964), Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    half = max(statistic, 0.0) / 2
    reached = 2 - degrees_of_freedom % 2
    tail = math.exp(-half) if reached == 2 else math.erfc(math.sqrt(half))
    while reached < degrees_of_freedom:
        tail += half ** (reached / 2) * math.exp(-half) / math.gamma(reached / 2 + 1)
        reached += 2
    return min(tail, 1.0)
