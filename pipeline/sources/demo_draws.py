"""Draws that keep their word: exact shares, weighted choices and fast look-ups for the demo bank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

TABLE_SIZE = 4096
"""Length of the look-up tables, whose keys are the upper twelve of sixteen random bits."""


def apportion(weights: ArrayLike, total: int) -> Integers:
    """Split `total` into whole numbers in proportion to the weights (largest remainders first)."""
    shares = np.asarray(weights, dtype=np.float64)
    if shares.sum() <= 0:
        shares = np.ones_like(shares)
    exact = shares * (total / shares.sum())
    whole = np.floor(exact).astype(np.int64)
    largest_first = np.argsort(whole - exact, kind="stable")
    whole[largest_first[: total - int(whole.sum())]] += 1
    return np.asarray(whole)


def deal(random: np.random.Generator, weights: ArrayLike, count: int) -> Integers:
    """`count` positions into the weights, in random order, each as often as its weight says."""
    quotas = apportion(weights, count)
    dealt = np.repeat(np.arange(len(quotas)), quotas)
    random.shuffle(dealt)
    return dealt


def choose(random: np.random.Generator, weights: Floats, count: int) -> Integers:
    """`count` different positions, those of larger weight more likely; never one of weight 0."""
    possible = np.flatnonzero(weights > 0)
    waits = random.standard_exponential(len(possible)) / weights[possible]
    return possible[np.argsort(waits, kind="stable")[:count]]


class Deck:
    """Codes dealt piece by piece, so that all pieces together have the exact shares."""

    def __init__(self, random: np.random.Generator, weights: ArrayLike) -> None:
        shares = np.asarray(weights, dtype=np.float64)
        self._random = random
        self._shares = shares / max(float(shares.sum()), 1e-9)
        self._dealt = np.zeros(len(shares), dtype=np.int64)

    def deal(self, count: int) -> NDArray[np.uint8]:
        """The next `count` codes: positions into the weights."""
        wanted = self._shares * (self._dealt.sum() + count) - self._dealt
        quotas = apportion(np.maximum(wanted, 0.0), count)
        self._dealt += quotas
        codes = np.repeat(np.arange(len(quotas), dtype=np.uint8), quotas)
        self._random.shuffle(codes)
        return codes


def curve(points: Sequence[tuple[float, float]], shares: Floats, *, logarithmic: bool = False) -> Floats:
    """Values of a distribution function given by points, at the shares of the population asked for."""
    at, values = np.array(points).T
    if logarithmic:
        return np.asarray(np.exp(np.interp(shares, at, np.log(values))))
    return np.asarray(np.interp(shares, at, values))


def even_shares(random: np.random.Generator, count: int) -> Floats:
    """`count` shares spread evenly over 0 to 1, in random order: a distribution drawn by them keeps its quantiles."""
    return np.asarray((random.permutation(count) + random.random(count)) / max(count, 1))


def table(weights: ArrayLike, size: int = TABLE_SIZE) -> NDArray[np.int32]:
    """A look-up table from random bits to positions into the weights."""
    return np.repeat(np.arange(np.size(weights), dtype=np.int32), apportion(weights, size))


def bits(random: np.random.Generator, columns: int, rows: int) -> NDArray[np.uint16]:
    """Sixteen random bits for each column and row."""
    return random.integers(0, 1 << 16, size=(columns, rows), dtype=np.uint16)
