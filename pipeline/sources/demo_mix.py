"""Which type and state each of the demo bank's transactions has, so that all together have the published shares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.sources import demo_facts as facts
from pipeline.sources.demo_draws import Deck, Floats

FIRST, ACTIVE, BANK, ATTEMPT, METAL_FURTHER, FURTHER = range(6)
"""Groups of rows: a customer's first transaction; the one that makes a day active; the only one of a day of the bank's own
transactions, or of failed attempts; what else happens on an active day, for holders of a metal plan and for all others."""

STATES = len(facts.STATES)
COMPLETED = facts.STATES.index("COMPLETED")

_FIRST_TYPES = {"TOPUP": 78, "TRANSFER": 12, "CARD_PAYMENT": 7, "EXCHANGE": 3}
_BANK_TYPES = {"FEE": 50, "CARD_REFUND": 25, "TAX": 15, "REFUND": 10}
_MOST_CASHBACK = 0.6
"""Largest share of cashback among the further transactions of a metal plan."""


def type_code(code: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The type, a position in TYPES, of a code that stands for type and state together."""
    return code // np.uint8(STATES)


def state_code(code: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The state, a position in STATES, of a code that stands for type and state together."""
    return code % np.uint8(STATES)


def decks(random: np.random.Generator, rows: Mapping[int, float]) -> dict[int, Deck]:
    """A deck of codes for each group, given how many rows each group will have."""
    return {group: Deck(random, shares) for group, shares in _shares(rows).items()}


def _shares(rows: Mapping[int, float]) -> dict[int, Floats]:
    published = np.array([facts.TRANSACTIONS_BY_TYPE[name] for name in facts.TYPES], dtype=np.float64)
    wanted = published * (sum(rows.values()) / facts.TRANSACTIONS)
    own = np.array([name not in facts.BANK_INITIATED for name in facts.TYPES])[:, None]
    completed = np.arange(STATES) == COMPLETED
    shares = {
        FIRST: _completed(_FIRST_TYPES),
        BANK: _completed(_BANK_TYPES),
        ATTEMPT: _normalised(wanted * (own & ~completed)),
    }
    left = np.maximum(wanted - sum(share * rows[group] for group, share in shares.items()), 0.0)
    shares[ACTIVE] = _normalised(left * (own & completed))
    left = np.maximum(left - shares[ACTIVE] * rows[ACTIVE], 0.0)
    shares[METAL_FURTHER] = _metal(left, rows[METAL_FURTHER])
    shares[FURTHER] = _normalised(np.maximum(left - shares[METAL_FURTHER] * rows[METAL_FURTHER], 0.0))
    return {group: share.ravel() for group, share in shares.items()}


def _completed(types: Mapping[str, int]) -> Floats:
    shares = np.zeros((len(facts.TYPES), STATES))
    for name, weight in types.items():
        shares[facts.TYPES.index(name), COMPLETED] = weight
    return _normalised(shares)


def _normalised(weights: Floats) -> Floats:
    return weights / max(float(weights.sum()), 1e-9)


def _metal(left: Floats, rows: float) -> Floats:
    """Cashback goes to holders of a metal plan; the rest of their transactions is like everyone's."""
    is_cashback = (np.array(facts.TYPES) == "CASHBACK")[:, None]
    share = min(float((left * is_cashback).sum()) / max(rows, 1.0), _MOST_CASHBACK)
    return _normalised(left * is_cashback) * share + _normalised(left * ~is_cashback) * (1 - share)
