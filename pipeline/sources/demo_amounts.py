"""Amounts of the demo bank's transactions: a look-up table of texts for each type, with zeros, round sums and absurd billions."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.sources import demo_facts as facts
from pipeline.sources.demo_draws import Floats, Integers, apportion

AMOUNT_BITS = 14


class Amounts(NamedTuple):
    """How the amounts of a type are spread, in USD."""

    median: float
    spread: float
    """Standard deviation of the logarithm."""
    zeros: float
    round_sums: float
    """Shares of amounts of nothing, and of a round sum in the customer's own currency."""


_BY_TYPE = {
    "CARD_PAYMENT": Amounts(6.65, 1.35, 0.0300, 0.11),
    "TRANSFER": Amounts(20.0, 2.25, 0.0050, 0.20),
    "TOPUP": Amounts(52.0, 1.55, 0.0, 0.45),
    "EXCHANGE": Amounts(14.0, 2.3, 0.0150, 0.15),
    "ATM": Amounts(42.0, 1.0, 0.0, 0.60),
    "CASHBACK": Amounts(0.02, 1.2, 0.1150, 0.0),
    "FEE": Amounts(4.5, 0.9, 0.0, 0.0),
    "CARD_REFUND": Amounts(11.0, 1.4, 0.0, 0.05),
    "TAX": Amounts(0.05, 0.6, 0.0, 0.0),
    "REFUND": Amounts(7.0, 1.0, 0.0, 0.0),
}
_ROUND_SUMS = {1: 5, 2: 5, 5: 10, 10: 40, 20: 25, 50: 14, 100: 12, 200: 5, 500: 2}
_USD_PER_UNIT = 0.8511
"""One unit of the customer's currency: the original's amounts are disguised by such a factor."""
_ABSURD_USD = (1_276_595_744.68, 8_510_638_297.87, 21_276_595_744.68, 85_106_382_978.72)


class AmountTexts:
    """Every amount's text once, and for each type a look-up table from random bits to a text."""

    def __init__(self) -> None:
        cents = np.stack([_quantiles(_BY_TYPE[name]) for name in facts.TYPES])
        absurd = np.round(np.array(_ABSURD_USD) * 100).astype(np.int64)
        distinct = np.unique(np.concatenate([cents.ravel(), absurd]))
        self.texts: pa.Array = pa.array([str(each / 100) for each in distinct.tolist()], pa.string())
        self.absurd: NDArray[np.int32] = np.searchsorted(distinct, absurd).astype(np.int32)
        self._table = np.searchsorted(distinct, cents).astype(np.int32)

    def codes(self, types: NDArray[np.uint8], random_bits: NDArray[np.uint16]) -> NDArray[np.int32]:
        """Positions in `texts` for rows of the given types."""
        return np.asarray(self._table[types, random_bits >> (16 - AMOUNT_BITS)])


def _quantiles(amounts: Amounts) -> Integers:
    """Cents at evenly spaced shares of a type's transactions, the zeros and the round sums first."""
    size = 1 << AMOUNT_BITS
    zeros, rounded = round(amounts.zeros * size), round(amounts.round_sums * size)
    sums = np.array(list(_ROUND_SUMS)) * _USD_PER_UNIT * 100
    normal = _normal_quantiles(size - zeros - rounded)
    spread = np.maximum(np.exp(np.log(amounts.median) + amounts.spread * normal) * 100, 1.0)
    parts = (np.zeros(zeros), np.repeat(sums, apportion(list(_ROUND_SUMS.values()), rounded)), spread)
    return np.round(np.concatenate(parts)).astype(np.int64)


def _normal_quantiles(count: int) -> Floats:
    """The standard normal distribution at evenly spaced shares, read off its tabulated distribution function."""
    values = np.linspace(-4.0, 4.0, 2001)
    shares = [NormalDist().cdf(value) for value in values.tolist()]
    return np.interp((np.arange(count) + 0.5) / count, shares, values)
