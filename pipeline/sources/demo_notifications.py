"""The demo bank's raw table `notifications`: what the bank sent to whom, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.sources import demo_facts as facts
from pipeline.sources.demo_calendar import END_AT
from pipeline.sources.demo_customers import Customers
from pipeline.sources.demo_draws import Deck, Integers, choose
from pipeline.sources.demo_text import SPELLING_WEIGHTS, moments, numbered, words
from pipeline.sources.schema import RAW_TABLES

_ROWS_PER_PIECE = 250_000
_DUPLICATES_PER_MILLION = 300


def notification_rows(random: np.random.Generator, customers: Customers) -> Iterator[pa.Table]:
    """The raw rows, piece by piece: the published number a customer, and some exact duplicates on top."""
    receiver, at = _sent(random, customers)
    decks = [Deck(random, list(each.values())) for each in (facts.NOTIFICATION_REASONS, facts.CHANNELS, facts.STATUSES)]
    spellings = Deck(random, SPELLING_WEIGHTS)
    for start in range(0, len(at), _ROWS_PER_PIECE):
        piece = slice(start, min(start + _ROWS_PER_PIECE, len(at)))
        count = piece.stop - start
        reason, channel, status = (deck.deal(count) for deck in decks)
        columns = (
            words(reason, list(facts.NOTIFICATION_REASONS)),
            words(channel, list(facts.CHANNELS)),
            words(status, list(facts.STATUSES)),
            numbered("user_", receiver[piece]),
            moments(at[piece], spellings.deal(count)),
        )
        formed = pa.table(columns, names=RAW_TABLES["notifications"].columns)
        twice = random.integers(0, count, -(-count * _DUPLICATES_PER_MILLION // 1_000_000))
        yield pa.concat_tables([formed, formed.take(pa.array(np.sort(twice)))])


def _sent(random: np.random.Generator, customers: Customers) -> tuple[Integers, Integers]:
    """Receiver and moment of each notification; some customers get many, everyone else of those chosen at least one."""
    total = round(facts.NOTIFICATIONS * customers.count / facts.CUSTOMERS)
    reached = round(facts.NOTIFIED_CUSTOMERS * customers.count / facts.CUSTOMERS)
    receivers = choose(random, np.ones(customers.count), reached)
    shares = np.cumsum(random.standard_exponential(len(receivers)))
    further = np.searchsorted(shares, random.random(max(total - reached, 0)) * shares[-1])
    receiver = np.concatenate([receivers, receivers[further]])
    signed_up_at = customers.signed_up_at[receiver]
    at = signed_up_at + (random.random(len(receiver)) ** 1.3 * (END_AT - signed_up_at)).astype(np.int64)
    order = np.argsort(at, kind="stable")
    return receiver[order], at[order]
