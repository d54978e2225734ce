"""P(silent N) replayed in plain Python: each customer is looked at on each reference day, and the cells are counted.

As in oracle.py nothing here is taken from what it judges: a customer is a list of active days and nothing else.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

SILENCE, FREQUENCY, TENURE = (0, 1, 2, 4, 7, 14, 21, 28, 42, 60, 90, 180, 365), (0, 1, 2, 4, 8, 15, 29), (0, 7, 28, 90, 180)
BLOCK, YEAR, WEIGHT, Z = 30, 360, 20, 1.959963984540054
ANCHOR = date(2000, 1, 30)  # one of the reference days

Cell = tuple[str, str, str]
Counts = dict[Cell, tuple[int, int]]  # customers, and those of them who stayed silent


@dataclass(frozen=True)
class Estimate:
    """A probability with its interval, and how many customers it comes from."""

    probability: float
    low: float
    high: float
    observations: int


def band(value: int, bounds: Sequence[int]) -> str:
    """The band of a value in words."""
    for low, above in pairwise(bounds):
        if low <= value < above:
            return str(low) if above == low + 1 else f"{low}-{above - 1}"
    return f"{bounds[-1]}+"


def cell(days: Sequence[date], on: date, window: int) -> Cell | None:
    """Where a customer stands at the end of a day; None where there is nothing yet, or a lapse."""
    before = days[: bisect_right(days, on)]
    if not before or (on - before[-1]).days >= window:
        return None
    recent = sum((on - day).days < 90 for day in before)
    return (
        band((on - before[-1]).days, SILENCE),
        band(recent, FREQUENCY),
        band((on - before[0]).days, TENURE),
    )


def reference_days(first: date, last: date) -> list[date]:
    """Every thirtieth day from one to another."""
    days = (first + timedelta(days=ahead) for ahead in range((last - first).days + 1))
    return [day for day in days if (day - ANCHOR).days % BLOCK == 0]


def observed(customers: Iterable[Sequence[date]], on: date, window: int) -> Counts:
    """The customers active on a day by cell, and how many had no active day in the N days after it."""
    seen: Counter[Cell] = Counter()
    silent: Counter[Cell] = Counter()
    for days in customers:
        where = cell(days, on, window)
        if where is not None:
            seen[where] += 1
            silent[where] += not any(0 < (day - on).days <= window for day in days)
    return {where: (seen[where], silent[where]) for where in seen}


def learned(customers: Sequence[Sequence[date]], on: date, window: int) -> Counts:
    """What a year of reference days had taught by a day: those whose N days were over on it."""
    first = min((days[0] for days in customers if days), default=on)
    total: dict[Cell, list[int]] = defaultdict(lambda: [0, 0])
    for day in reference_days(max(first, on - timedelta(days=window + YEAR - 1)), on - timedelta(days=window)):
        for where, (seen, silent) in observed(customers, day, window).items():
            total[where][0] += seen
            total[where][1] += silent
    return {where: (seen, silent) for where, (seen, silent) in total.items()}


def estimate(counts: Counts, where: Cell, window: int) -> Estimate:
    """The probability of a cell: its share, drawn towards that of the coarser cell, and never surer than all observations."""
    probability, observations, everybody = 0.5, 0, _sum(counts, ())[0]
    for depth, weight in enumerate((1, WEIGHT, WEIGHT, WEIGHT)):
        seen, silent = _sum(counts, where[:depth])
        if depth == 3 and not seen:
            younger = [band(low, TENURE) for low in TENURE]
            for tenure in reversed(younger[: younger.index(where[2])]):
                if _sum(counts, (*where[:2], tenure))[0]:
                    return estimate(counts, (*where[:2], tenure), window)
        probability = (silent + weight * probability) / (seen + weight)
        observations = seen or observations
    probability += (1 - 2 * probability) * 0.5 / (everybody + 1)
    low, high = _wilson(probability, WEIGHT + observations / max(1.0, window / BLOCK))
    return Estimate(probability, low, high, observations)


def is_held_out(user_id: str, *, percent: int) -> bool:
    """Whether the first sixteenth of the digest, as a number of 65,536, is among the first so many of a hundred parts of them."""
    return int.from_bytes(hashlib.md5(user_id.encode()).digest()[:2], "big") < 65536 * percent // 100


def by_silence_alone(counts: Counts, where: Cell) -> float:
    """The probability by silence so far, whatever the rest."""
    (seen, silent), (all_seen, all_silent) = _sum(counts, where[:1]), _sum(counts, ())
    probability = (silent + WEIGHT * (all_silent + 0.5) / (all_seen + 1)) / (seen + WEIGHT)
    return probability + (1 - 2 * probability) * 0.5 / (all_seen + 1)


def _sum(counts: Mapping[Cell, tuple[int, int]], start: Sequence[str]) -> tuple[int, int]:
    some = [found for where, found in counts.items() if where[: len(start)] == tuple(start)]
    return sum(seen for seen, _ in some), sum(silent for _, silent in some)


def _wilson(share: float, n: float) -> tuple[float, float]:
    middle, spread = share + Z * Z / (2 * n), Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return (middle - spread) / (1 + Z * Z / n), (middle + spread) / (1 + Z * Z / n)
