"""Where and how the demo bank's cards are used: merchant country, city, category and whether the holder was present."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.sources import demo_facts as facts
from pipeline.sources.demo_draws import Floats, Integers, bits, table
from pipeline.sources.demo_places import MerchantCities

_SHIFT = 4
"""Sixteen random bits less this many are a key of a look-up table."""
_AT_HOME = 0.72
"""Share of payments in the customer's own country."""

# Category code, share of card payments, share of them with the holder absent.
_CATEGORIES = (
    ("5411.0", 190, 0.03), ("5814.0", 120, 0.10), ("5812.0", 95, 0.06), ("4111.0", 70, 0.35), ("5499.0", 45, 0.05),
    ("4121.0", 60, 0.90), ("5735.0", 40, 0.98), ("5999.0", 36, 0.45), ("4814.0", 28, 0.92), ("5541.0", 30, 0.03),
    ("5813.0", 34, 0.03), ("5310.0", 14, 0.15), ("5912.0", 22, 0.05), ("5651.0", 20, 0.40), ("5691.0", 16, 0.40),
    ("7994.0", 14, 0.97), ("5816.0", 16, 0.99), ("5815.0", 14, 0.99), ("5311.0", 16, 0.25), ("4131.0", 12, 0.55),
    ("4112.0", 12, 0.60), ("5399.0", 14, 0.55), ("7399.0", 10, 0.70), ("5942.0", 8, 0.50), ("4511.0", 9, 0.95),
    ("7011.0", 12, 0.55), ("4722.0", 6, 0.85), ("5977.0", 5, 0.20), ("7832.0", 6, 0.40), ("8999.0", 8, 0.75),
    ("5200.0", 6, 0.12), ("5331.0", 7, 0.04), ("5921.0", 5, 0.03), ("7523.0", 6, 0.40), ("8398.0", 4, 0.90),
    ("6051.0", 3, 0.95), ("7372.0", 5, 0.98), ("4899.0", 8, 0.98), ("5732.0", 8, 0.40), ("5661.0", 6, 0.20),
)  # fmt: skip
_CASH = (("6011.0", 97, 0.0), ("6010.0", 3, 0.0))

PRESENCE = ("TRUE", "true", "True", "FALSE", "false", "False", "UNKNOWN")
_SPELLINGS = (60, 30, 10)
_UNKNOWN = PRESENCE.index("UNKNOWN")
_PRESENCE_UNKNOWN, _PRESENCE_MISSING = 0.06, 0.03
_COUNTRY_MISSING = 0.003

_TRUE_SHARE_OF_ROMANIA = 0.3
ROMANIA = [country.alpha_3 for country in facts.COUNTRIES].index("ROU")
ROM = len(facts.COUNTRIES)
"""Position of Romania's outdated code, which most of its merchants still send."""

COUNTRY_CODES = (*(country.alpha_3 for country in facts.COUNTRIES), "ROM")
CATEGORY_CODES = tuple(code for code, _, _ in (*_CATEGORIES, *_CASH))


class CardRows(NamedTuple):
    """Positions into the vocabularies, one entry a card row; -1 is no value."""

    country: NDArray[np.int16]
    city: NDArray[np.int32]
    category: NDArray[np.int16]
    presence: NDArray[np.int16]
    currency: NDArray[np.int16]


class Merchants:
    """Look-up tables from a customer's country and random bits to a merchant."""

    def __init__(self, random: np.random.Generator) -> None:
        self.cities = MerchantCities(random)
        self._countries = np.stack([table(_destinations(home)) for home in range(len(facts.COUNTRIES))]).astype(np.int16)
        self._categories = table([weight for _, weight, _ in _CATEGORIES]).astype(np.int16)
        self._cash = (len(_CATEGORIES) + table([weight for _, weight, _ in _CASH])).astype(np.int16)
        absent = np.array([share for _, _, share in (*_CATEGORIES, *_CASH)])
        self._presence = np.stack([table(_presence_weights(share)) for share in absent]).astype(np.int16)
        self._presence_by_phone = table(_presence_weights(0.98)).astype(np.int16)
        self._currencies = np.array([facts.CURRENCIES.index(country.currency) for country in facts.COUNTRIES], dtype=np.int16)

    def draw(self, random: np.random.Generator, home: Integers, is_cash: NDArray[np.bool_]) -> CardRows:
        """Draw the merchants of card rows, given the customers' countries and which rows are cash withdrawals."""
        drawn = bits(random, 5, len(home))
        keys = drawn >> _SHIFT
        country = self._countries[home, keys[0]]
        city = self.cities.places[country, keys[1]]
        category = np.where(is_cash, self._cash[keys[2]], self._categories[keys[2]])
        by_phone = self.cities.is_phone_number[city] & (city >= 0) & ~is_cash
        presence = np.where(by_phone, self._presence_by_phone[keys[3]], self._presence[category, keys[3]])
        presence[presence > _UNKNOWN] = -1
        return CardRows(_as_sent(country, drawn[4]), city, category, presence, self._currencies[country])


def _destinations(home: int) -> Floats:
    visits = np.array([float(country.visits) for country in facts.COUNTRIES])
    visits[home] = 0.0
    weights: Floats = visits / visits.sum() * (1 - _AT_HOME)
    weights[home] = _AT_HOME
    return weights


def _presence_weights(absent: float) -> Floats:
    """Weights of the spellings in PRESENCE and, last, of no value."""
    known = np.array(_SPELLINGS) / sum(_SPELLINGS) * (1 - _PRESENCE_UNKNOWN - _PRESENCE_MISSING)
    return np.array([*known * (1 - absent), *known * absent, _PRESENCE_UNKNOWN, _PRESENCE_MISSING])


def _as_sent(country: NDArray[np.int16], random_bits: NDArray[np.uint16]) -> NDArray[np.int16]:
    """Countries as the merchants' banks send them: Romania mostly by its outdated code, and now and then none."""
    outdated = (country == ROMANIA) & (random_bits > (1 << 16) * _TRUE_SHARE_OF_ROMANIA)
    sent = np.where(outdated, np.int16(ROM), country)
    sent[random_bits < (1 << 16) * _COUNTRY_MISSING] = -1
    return sent
