"""The demo bank's raw table `transactions`: rows out of the calendar, slice of days by slice of days, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.sources import demo_calendar as calendars
from pipeline.sources import demo_mix as mix
from pipeline.sources.demo_calendar import DAYS, END_AT, Calendar, Lives, draw_calendar, draw_lives
from pipeline.sources.demo_columns import TransactionColumns
from pipeline.sources.demo_customers import Customers
from pipeline.sources.demo_draws import Deck, Floats, Integers
from pipeline.sources.demo_text import DAY, SPELLING_WEIGHTS, moments, numbered
from pipeline.sources.schema import RAW_TABLES

_ROWS_PER_SLICE = 245_760
"""About that many rows a slice, which becomes one row group (a day of a large bank may be more)."""
_FULLEST = 0.8
"""Largest share of the transactions that make a day active: where a small bank draws more, its days are thinned out."""

_DUPLICATES_PER_MILLION = 300
_ABSURD_PER_MILLION = 3
_METAL = 2


@dataclass(frozen=True)
class _Rows:
    """Rows before they become text, one entry a row."""

    customer: Integers
    at: Integers
    code: NDArray[np.uint8]
    """Type and state together."""

    def taken(self, order: Integers) -> _Rows:
        return _Rows(self.customer[order], self.at[order], self.code[order])


class Transactions:
    """All of a bank's transactions, yet to be formed: exactly `total` of them, and some exact duplicates on top."""

    def __init__(self, random: np.random.Generator, customers: Customers, total: int) -> None:
        self._random = random
        self._customers = customers
        self._total = total
        self._lives = draw_lives(random, customers)
        self._calendar = _fitting_calendar(random, customers, self._lives, total)
        self._further = total - int(self._calendar.days_of_kind.sum())
        self._weights = self._lives.per_day * self._calendar.active_days
        self._decks = mix.decks(random, self._rows_by_group())
        self._spellings = Deck(random, SPELLING_WEIGHTS)
        self._columns = TransactionColumns(random, customers)
        self._written = 0
        self._weight_written = 0.0
        self._further_written = 0

    def slices(self) -> Iterator[pa.Table]:
        """The raw rows, a table for each slice of days, in the order of time; a slice's duplicates lie at its end."""
        for start, end in _slices(self._calendar, self._total):
            rows = self._rows(start, end)
            if len(rows.at):
                yield self._formed(rows)

    def _rows_by_group(self) -> dict[int, float]:
        lively = int((self._calendar.active_days > 0).sum())
        active, bank, attempts = (int(days.sum()) for days in self._calendar.days_of_kind)
        metal = float(self._weights[self._customers.tier == _METAL].sum() / max(self._weights.sum(), 1e-9))
        return {
            mix.FIRST: lively,
            mix.ACTIVE: active - lively,
            mix.BANK: bank,
            mix.ATTEMPT: attempts,
            mix.METAL_FURTHER: self._further * metal,
            mix.FURTHER: self._further * (1 - metal),
        }

    def _rows(self, start: int, end: int) -> _Rows:
        """The rows from day `start` to before day `end`, in the order of time."""
        days, customers, groups = self._placed(start, end)
        codes = np.empty(len(days), dtype=np.uint8)
        for group, deck in self._decks.items():
            chosen = np.flatnonzero(groups == group)
            codes[chosen] = deck.deal(len(chosen))
        rows = _Rows(customers, self._times(days, customers, groups), codes)
        return rows.taken(np.argsort(rows.at, kind="stable"))

    def _placed(self, start: int, end: int) -> tuple[Integers, Integers, NDArray[np.uint8]]:
        """Day, customer and group of each row."""
        by_kind = [self._calendar.entries(kind, start, end) for kind in range(3)]
        days, customers = by_kind[calendars.ACTIVE]
        is_first = self._lives.first_at[customers] // DAY == days
        further = np.repeat(np.arange(len(days)), self._further_counts(customers))
        is_metal = self._customers.tier[customers[further]] == _METAL
        groups = [
            np.where(is_first, mix.FIRST, mix.ACTIVE),
            np.full(len(by_kind[calendars.BANK_ONLY][0]), mix.BANK),
            np.full(len(by_kind[calendars.ATTEMPT_ONLY][0]), mix.ATTEMPT),
            np.where(is_metal, mix.METAL_FURTHER, mix.FURTHER),
        ]
        return (
            np.concatenate([*(days for days, _ in by_kind), days[further]]),
            np.concatenate([*(customers for _, customers in by_kind), customers[further]]),
            np.concatenate(groups).astype(np.uint8),
        )

    def _further_counts(self, customers: Integers) -> Integers:
        """How many transactions follow the first on each active day; all days together have exactly those that are left."""
        weights = self._lives.per_day[customers]
        self._weight_written += float(weights.sum())
        share = min(self._weight_written / max(float(self._weights.sum()), 1e-9), 1.0)
        due = round(self._further * share) - self._further_written
        self._further_written += due
        return _split(due, weights * self._random.standard_exponential(len(weights)))

    def _times(self, days: Integers, customers: Integers, groups: NDArray[np.uint8]) -> Integers:
        """Moments within the days: never before a customer's first, never after the end of the data."""
        first_at = self._lives.first_at[customers]
        at = days * DAY + self._columns.times_of_day(self._random, len(days))
        earliest = np.maximum(days * DAY, first_at)
        latest = np.minimum((days + 1) * DAY, END_AT)
        narrow = np.flatnonzero((at < earliest) | (at >= latest))
        room = (latest - earliest)[narrow]
        at[narrow] = earliest[narrow] + (self._random.random(len(narrow)) * room).astype(np.int64)
        opens = (groups == mix.FIRST) | ((groups == mix.ATTEMPT) & (first_at // DAY == days))
        at[opens] = first_at[opens]
        return at

    def _formed(self, rows: _Rows) -> pa.Table:
        count = len(rows.at)
        self._written += count
        absurd = self._due(_ABSURD_PER_MILLION, count)
        columns = {
            "transaction_id": numbered("transaction_", np.arange(self._written - count, self._written) + 1),
            "user_id": self._columns.users(rows.customer),
            "created_date": moments(rows.at, self._spellings.deal(count)),
            **self._columns.draw(self._random, customers=rows.customer, codes=rows.code, absurd=absurd),
        }
        formed = pa.table({name: columns[name] for name in RAW_TABLES["transactions"].columns})
        twice = self._random.integers(0, count, self._due(_DUPLICATES_PER_MILLION, count))
        return pa.concat_tables([formed, formed.take(pa.array(np.sort(twice)))])

    def _due(self, per_million: int, count: int) -> int:
        """How many of a rarity the last `count` rows written should have, at least one in the first slice."""
        before, now = ((-(-written * per_million // 1_000_000)) for written in (self._written - count, self._written))
        return now - before


def _fitting_calendar(random: np.random.Generator, customers: Customers, lives: Lives, total: int) -> Calendar:
    """A calendar whose days leave room for further transactions on them."""
    activity = 1.0
    while True:
        calendar = draw_calendar(random, customers, lives, activity=activity)
        days = int(calendar.days_of_kind.sum())
        if days <= total * _FULLEST:
            return calendar
        activity *= 0.9 * total * _FULLEST / days


def _slices(calendar: Calendar, total: int) -> Iterator[tuple[int, int]]:
    """First day and day after the last of each slice; a slice has whole days and about as many rows as a row group should."""
    days_by_day = calendar.days_of_kind.sum(axis=0)
    rows = np.cumsum(days_by_day) * (total / max(int(days_by_day.sum()), 1))
    start = 0
    while start < DAYS:
        before = rows[start - 1] if start else 0.0
        end = max(start + 1, int(np.searchsorted(rows, before + _ROWS_PER_SLICE, side="right")))
        yield start, min(end, DAYS)
        start = end


def _split(total: int, weights: Floats) -> Integers:
    """Split `total` in proportion to the weights, in their order: each gets its share rounded up or down."""
    if not len(weights):
        return np.zeros(0, dtype=np.int64)
    up_to = np.cumsum(weights)
    marks = np.floor(up_to * (total / up_to[-1])).astype(np.int64)
    marks[-1] = total
    return np.asarray(np.diff(marks, prepend=0))
