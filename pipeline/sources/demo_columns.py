"""What the demo bank's transactions say besides who, when and which type: amount, money, direction, merchant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.sources import demo_facts as facts
from pipeline.sources import demo_mix as mix
from pipeline.sources.demo_amounts import AmountTexts
from pipeline.sources.demo_customers import Customers
from pipeline.sources.demo_draws import Integers, bits, table
from pipeline.sources.demo_merchants import CATEGORY_CODES, COUNTRY_CODES, PRESENCE, CardRows, Merchants
from pipeline.sources.demo_text import MINUTE, numbered, words

DIRECTIONS = ("OUTBOUND", "INBOUND")
_INBOUND_SHARES = {"TOPUP": 1.0, "CASHBACK": 1.0, "CARD_REFUND": 1.0, "REFUND": 1.0, "TRANSFER": 0.42, "EXCHANGE": 0.5}
_FOREIGN_SHARES = {"TRANSFER": 0.12, "TOPUP": 0.04, "EXCHANGE": 1.0}
"""Shares of a type's transactions in other money than that of the customer's country."""
_CRYPTO_SHARE = 0.45
"""Of the exchanges of customers who may hold crypto money."""
_CRYPTO_WEIGHTS = (50, 25, 13, 12)
_ABROAD = {"EUR": 40, "GBP": 25, "USD": 25}
"""Weights of the money that is often exchanged; any other weighs 1."""

# Weight of each hour of the day, UTC.
_HOURS = (5, 3, 2, 2, 3, 6, 14, 26, 34, 36, 40, 50, 60, 56, 48, 48, 54, 64, 66, 56, 42, 32, 20, 11)

_WHOLE = 1 << 16
"""Sixteen random bits below a share of this are an event of that share."""


class TransactionColumns:
    """Draws the remaining columns of transactions as text."""

    def __init__(self, random: np.random.Generator, customers: Customers) -> None:
        self._customers = customers
        self._user_ids = _user_ids(customers.count)
        self._merchants = Merchants(random)
        self._amounts = AmountTexts()
        self._home_money = np.array([facts.CURRENCIES.index(country.currency) for country in facts.COUNTRIES], dtype=np.int16)
        plain = len(facts.CURRENCIES) - len(facts.CRYPTOCURRENCIES)
        self._foreign_money = table([_ABROAD.get(name, 1) for name in facts.CURRENCIES[:plain]]).astype(np.int16)
        self._crypto_money = (plain + table(_CRYPTO_WEIGHTS)).astype(np.int16)
        self._minutes = table(np.repeat(_HOURS, 60), _WHOLE)
        self._inbound = _thresholds(_INBOUND_SHARES)
        self._foreign = _thresholds(_FOREIGN_SHARES)

    def users(self, customers: Integers) -> pa.Array:
        """The user ids of rows; the dictionary holds only those who occur, which keeps the row groups small."""
        occurs = np.zeros(self._customers.count, dtype=np.bool_)
        occurs[customers] = True
        return words((np.cumsum(occurs) - 1)[customers], self._user_ids.filter(pa.array(occurs)))

    def times_of_day(self, random: np.random.Generator, count: int) -> Integers:
        """Microseconds since midnight, busier by day than by night."""
        minutes = self._minutes[bits(random, 1, count)[0]].astype(np.int64)
        return np.asarray(minutes * MINUTE + random.integers(0, MINUTE, count, dtype=np.int32))

    def draw(
        self, random: np.random.Generator, *, customers: Integers, codes: NDArray[np.uint8], absurd: int
    ) -> dict[str, pa.Array]:
        """The columns by their raw names, for rows of the given customers and codes of type and state.

        `absurd` of the rows that are not completed get an amount of billions.
        """
        types, states = mix.type_code(codes), mix.state_code(codes)
        drawn = bits(random, 5, len(codes))
        home = self._customers.country[customers]
        card = np.flatnonzero(_HAS_MERCHANT[types])
        merchants = self._merchants.draw(random, home[card], types[card] == facts.TYPES.index("ATM"))
        money = self._money(customers, home, types, drawn)
        money[card] = merchants.currency
        amounts = self._amounts.codes(types, drawn[3])
        chosen = random.permutation(np.flatnonzero(states != mix.COMPLETED))[:absurd]
        amounts[chosen] = random.choice(self._amounts.absurd, len(chosen))
        return {
            "transactions_type": words(types, facts.TYPES),
            "transactions_currency": words(money, facts.CURRENCIES),
            "amount_usd": words(amounts, self._amounts.texts),
            "transactions_state": words(states, facts.STATES),
            "direction": words((drawn[4] < self._inbound[types]).astype(np.int8), DIRECTIONS),
            **self._merchant_columns(merchants, card, len(codes)),
        }

    def _money(
        self, customers: Integers, home: Integers, types: NDArray[np.uint8], drawn: NDArray[np.uint16]
    ) -> NDArray[np.int16]:
        foreign = drawn[0] < self._foreign[types]
        is_crypto = (types == facts.TYPES.index("EXCHANGE")) & self._customers.has_crypto[customers]
        is_crypto &= drawn[1] < _CRYPTO_SHARE * _WHOLE
        money = np.where(foreign, self._foreign_money[drawn[2] >> 4], self._home_money[home])
        return np.where(is_crypto, self._crypto_money[drawn[2] >> 4], money)

    def _merchant_columns(self, merchants: CardRows, card: Integers, count: int) -> dict[str, pa.Array]:
        return {
            "ea_cardholderpresence": words(_spread(merchants.presence, card, count), PRESENCE),
            "ea_merchant_mcc": words(_spread(merchants.category, card, count), CATEGORY_CODES),
            "ea_merchant_city": words(_spread(merchants.city, card, count), self._merchants.cities.spellings),
            "ea_merchant_country": words(_spread(merchants.country, card, count), COUNTRY_CODES),
        }


def _spread(codes: NDArray[np.integer[Any]], rows: Integers, count: int) -> NDArray[np.int32]:
    """The codes at their rows among `count`, and no value elsewhere."""
    spread = np.full(count, -1, dtype=np.int32)
    spread[rows] = codes
    return spread


def _thresholds(shares: Mapping[str, float]) -> NDArray[np.int32]:
    return np.array([round(shares.get(name, 0.0) * _WHOLE) for name in facts.TYPES], dtype=np.int32)


def _user_ids(count: int) -> pa.Array:
    return numbered("user_", np.arange(count))


_HAS_MERCHANT = np.array([name in facts.WITH_MERCHANT for name in facts.TYPES])
