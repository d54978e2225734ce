"""When the demo bank's customers are active: spells of use, silences, returns, and the ragged end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.sources import demo_facts as facts
from pipeline.sources.demo_customers import ATTEMPTS_ONLY, LIVELY, Customers
from pipeline.sources.demo_draws import Floats, Integers, curve, deal
from pipeline.sources.demo_text import DAY, MINUTE, since_start

DAYS = (facts.END.date() - facts.FIRST_DAY).days + 1
"""Days of the bank's data, the last one cut short."""
END_AT = since_start(facts.END)

ACTIVE, BANK_ONLY, ATTEMPT_ONLY = 0, 1, 2
"""Kinds of days: a completed transaction of the customer's own; only the bank's (a fee, a refund); only failed attempts."""


class Habit(NamedTuple):
    """A way of using the bank: spells with a daily chance of activity, silences between them, and how often one returns."""

    spell_days: float
    """Mean length of a spell."""
    silence_days: float
    """Median length of a silence."""
    silence_spread: float
    returns: float
    """Chance that a silence ends."""
    daily: float
    """Median chance of activity on a day of a spell."""
    daily_spread: float
    per_day: float
    """Median weight of the transactions beyond the first of an active day."""
    per_day_spread: float


HABITS = (
    Habit(375.0, 62.0, 0.78, 0.93, 0.219, 1.42, 0.95, 0.56),
    Habit(25.8, 64.0, 1.03, 0.965, 0.198, 0.65, 0.70, 0.78),
    Habit(1.5, 115.0, 0.8, 0.29, 0.57, 0.3, 0.144, 0.54),
)
"""The regular, the occasional, and who only tries."""

HABIT_SHARES = ((0.498, 0.346, 0.156), (0.95, 0.045, 0.005), (0.97, 0.03, 0.0))
"""Shares of the habits by tier: standard, premium, metal."""

_SPELL_FACTOR = np.array([1.0, 3.2, 10.0])
_DAILY_SHIFT = np.array([0.0, 0.5, 0.9])
_PER_DAY_SHIFT = np.array([0.0, 0.4, 1.0])
"""How the tiers differ: longer spells, more active days, more transactions a day."""

_LIKING_BY_COUNTRY = {
    "RO": 0.35,
    "LT": 0.3,
    "IE": 0.2,
    "MT": 0.2,
    "PL": 0.1,
    "CH": 0.1,
    "FR": -0.15,
    "PT": -0.15,
    "ES": -0.25,
    "DE": -0.35,
}
_LIKING_BY_YEAR_OF_AGE = -0.012
_LIKING_OF_APPLE = 0.08
_MEAN_BIRTH_YEAR = 1985
_SPELL_LIKING = 0.6
"""Mild differences between countries, ages and brands, in standard deviations, and how much they lengthen a spell."""

_ATTEMPT_CHANCE = 0.002
_BANK_CHANCE = 0.0006
"""Chances of a day with nothing but failed attempts, and with nothing but the bank's own transactions."""

_WEEKDAYS = (0.97, 0.98, 1.0, 1.02, 1.08, 1.03, 0.92)
_MONTHS = (0.97, 0.97, 1.0, 1.0, 1.01, 1.02, 1.03, 1.02, 1.0, 1.0, 1.01, 1.05)
_LAST_DAYS = (0.78, 0.47, 0.22, 0.09, 0.05, 0.04, 0.04)
"""What is left of the activity on each day of the last week."""

_DAILY_TREND = 0.138
_SILENCE_TREND = -0.645
"""Growth, as a logarithm, of the daily chance and of the silences from the first day to the last."""
_EARLY_DELAY = 0.53
"""How much longer the bank's first customers took to their first transaction, in standard deviations."""

_CHUNK = 8192
"""Customers drawn at a time; a multiple of eight, for the bits."""


@dataclass(frozen=True)
class Lives:
    """How each customer uses the bank, one entry a customer."""

    first_at: Integers
    """Moment of the first transaction, were there one."""
    habit: Integers
    daily: Floats
    spell_days: Floats
    per_day: Floats


def draw_lives(random: np.random.Generator, customers: Customers) -> Lives:
    """Draw the habits by tier and what each customer makes of them."""
    tier = customers.tier
    habit = np.empty(customers.count, dtype=np.int64)
    for position, shares in enumerate(HABIT_SHARES):
        habit[tier == position] = deal(random, shares, int((tier == position).sum()))
    of = {name: _of_habit(name)[habit] for name in Habit._fields}
    shared = _shared_liking(customers)
    liking = random.normal(size=customers.count) + shared
    logit = np.log(of["daily"] / (1 - of["daily"])) + of["daily_spread"] * liking + _DAILY_SHIFT[tier]
    noise = 0.6 * liking + 0.8 * random.normal(size=customers.count)
    return Lives(
        first_at=_first_moments(random, customers.signed_up_at),
        habit=habit,
        daily=1 / (1 + np.exp(-logit)),
        spell_days=of["spell_days"] * _SPELL_FACTOR[tier] * np.exp(_SPELL_LIKING * shared),
        per_day=np.exp(np.log(of["per_day"]) + of["per_day_spread"] * noise + _PER_DAY_SHIFT[tier]),
    )


def _shared_liking(customers: Customers) -> Floats:
    """How much a customer's country, age and device make of the bank; about 0 on average."""
    by_country = np.array([_LIKING_BY_COUNTRY.get(country.alpha_2, 0.0) for country in facts.COUNTRIES])
    is_apple = customers.brand == list(facts.BRANDS).index("Apple")
    by_age = _LIKING_BY_YEAR_OF_AGE * (_MEAN_BIRTH_YEAR - customers.birth_year)
    return np.asarray(by_country[customers.country] + by_age + np.where(is_apple, _LIKING_OF_APPLE, -_LIKING_OF_APPLE))


def _first_moments(random: np.random.Generator, signed_up_at: Integers) -> Integers:
    """Signup and then the published time to the first transaction, which was longer in the bank's first months."""
    count = len(signed_up_at)
    earliness = 1 - np.argsort(np.argsort(signed_up_at)) / max(count, 1)
    order = np.argsort(np.argsort(random.normal(size=count) + _EARLY_DELAY * earliness))
    minutes = curve(facts.MINUTES_TO_FIRST_TRANSACTION, (order + random.random(count)) / max(count, 1), logarithmic=True)
    first_at = signed_up_at + (minutes * MINUTE).astype(np.int64)
    too_late = first_at >= END_AT - 7 * DAY
    sometime = signed_up_at + (random.uniform(0.3, 0.9, count) * (END_AT - signed_up_at)).astype(np.int64)
    return np.where(too_late, sometime, first_at)


class Calendar:
    """Which customer has which kind of day when: one bit for each kind, day and customer."""

    def __init__(self, customers: int) -> None:
        self.customers = customers
        self._bits = np.zeros((3, DAYS, -(-customers // 8)), dtype=np.uint8)
        self.days_of_kind = np.zeros((3, DAYS), dtype=np.int64)
        self.active_days = np.zeros(customers, dtype=np.int64)

    def enter(self, start: int, kind: int, marks: NDArray[np.bool_]) -> None:
        """Enter the days (second axis) of one kind for the customers from `start` on; `start` is a multiple of eight."""
        packed = np.packbits(np.ascontiguousarray(marks.T), axis=1)
        self._bits[kind, :, start // 8 : start // 8 + packed.shape[1]] = packed
        self.days_of_kind[kind] += marks.sum(axis=0)
        if kind == ACTIVE:
            self.active_days[start : start + len(marks)] = marks.sum(axis=1)

    def entries(self, kind: int, start: int, end: int) -> tuple[Integers, Integers]:
        """Days and customers with a day of that kind from day `start` to before day `end`, in the order of the days."""
        marks = np.unpackbits(self._bits[kind, start:end], axis=1, count=self.customers)
        days, customers = np.divmod(np.flatnonzero(marks), self.customers)
        return days + start, customers


def draw_calendar(random: np.random.Generator, customers: Customers, lives: Lives, *, activity: float = 1.0) -> Calendar:
    """Draw every customer's days; `activity` below 1 thins the days within spells out."""
    calendar = Calendar(customers.count)
    for start in range(0, customers.count, _CHUNK):
        chunk = np.arange(start, min(start + _CHUNK, customers.count))
        lively = customers.kind[chunk] == LIVELY
        in_spell, edges = _spells(random, lives, chunk, lively)
        chance = (lives.daily[chunk, None] * (_DAY_FACTORS * activity)).astype(np.float32)
        active = edges | (in_spell & (random.random(in_spell.shape, dtype=np.float32) < chance))
        bank_only, attempts = _other_days(random, lives.first_at[chunk] // DAY, customers.kind[chunk], active)
        for kind, marks in ((ACTIVE, active), (BANK_ONLY, bank_only), (ATTEMPT_ONLY, attempts)):
            calendar.enter(start, kind, marks)
    return calendar


def _spells(
    random: np.random.Generator, lives: Lives, chunk: Integers, lively: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Days within spells, and the spells' first and last days, which are active for certain."""
    steps = np.zeros((len(chunk), DAYS + 1), dtype=np.int8)
    edges = np.zeros((len(chunk), DAYS), dtype=np.bool_)
    rows = np.flatnonzero(lively)
    start = lives.first_at[chunk[rows]] // DAY
    while len(rows):
        customers = chunk[rows]
        length = 1 + np.floor(random.standard_exponential(len(rows)) * lives.spell_days[customers]).astype(np.int64)
        end = np.minimum(start + length, DAYS)
        steps[rows, start] += 1
        steps[rows, end] -= 1
        edges[rows, start] = True
        over = end < _QUIET_FROM
        edges[rows[over], end[over] - 1] = True
        start, returning = _returns(random, lives.habit[customers], end)
        rows, start = rows[returning], start[returning]
    return np.cumsum(steps[:, :-1], axis=1, dtype=np.int8) > 0, edges


def _returns(random: np.random.Generator, habit: Integers, end: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """First day of the next spell after spells that ended before day `end`, and whether there is one."""
    logarithm = _of_habit("silence_spread")[habit] * random.normal(size=len(end)) + _SILENCE_TREND * (end / DAYS - 0.5)
    start = end + 1 + np.floor(_of_habit("silence_days")[habit] * np.exp(logarithm)).astype(np.int64)
    return start, (start < _QUIET_FROM) & (random.random(len(end)) < _of_habit("returns")[habit])


def _other_days(
    random: np.random.Generator, first_day: Integers, kind: NDArray[np.uint8], active: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Days with only the bank's own transactions and days with only failed attempts, after the first day."""
    age = np.arange(DAYS) - first_day[:, None]
    drawn = random.random(active.shape, dtype=np.float32) / _DAY_FACTORS.astype(np.float32)
    free = (age > 0) & ~active
    lively = (kind == LIVELY)[:, None]
    bank_only = free & lively & (drawn < _BANK_CHANCE)
    attempts = free & lively & (drawn > _BANK_CHANCE) & (drawn < _BANK_CHANCE + _ATTEMPT_CHANCE)
    trying = (age >= 0) & (age < 60) & (drawn < 0.04) | (age == 0)
    return bank_only, attempts | (trying & (kind == ATTEMPTS_ONLY)[:, None])


def _of_habit(name: str) -> Floats:
    return np.array([getattr(habit, name) for habit in HABITS])


def _day_factors() -> Floats:
    days = [facts.FIRST_DAY + timedelta(days=day) for day in range(DAYS)]
    factors = np.array([_WEEKDAYS[day.weekday()] * _MONTHS[day.month - 1] for day in days])
    factors *= np.exp(_DAILY_TREND * _PROGRESS)
    factors[-len(_LAST_DAYS) :] *= _LAST_DAYS
    return factors


_PROGRESS = np.arange(DAYS) / DAYS - 0.5
_DAY_FACTORS = _day_factors()
_QUIET_FROM = DAYS - len(_LAST_DAYS)
"""From this day on no spell begins or ends: the activity thins out."""
