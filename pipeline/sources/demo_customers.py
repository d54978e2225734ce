"""The demo bank's customers: who they are, when they signed up, and their raw rows in `users` and `devices`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.sources import demo_facts as facts
from pipeline.sources.demo_draws import Deck, Integers, apportion, choose, curve, deal, even_shares
from pipeline.sources.demo_places import home_cities
from pipeline.sources.demo_text import DAY, SPELLING_WEIGHTS, moments, numbered, since_start, words
from pipeline.sources.schema import RAW_TABLES

TIER_OF_PLAN = np.array([0, 1, 2, 2, 1, 1])
"""0 standard, 1 premium, 2 metal, by position in PLANS."""
LIVELY, ATTEMPTS_ONLY, SILENT = 0, 1, 2
_CRYPTO_WEIGHT = np.array([0.154, 0.48, 0.6])
_APPLE_WEIGHT = np.array([1.0, 1.4, 2.0])
_CHUNK = 100_000


@dataclass(frozen=True)
class Customers:
    """One entry a customer, in the order of their numbers: `user_0`, `user_1` and so on, roughly by signup."""

    signed_up_at: Integers
    """Microseconds since the bank's first midnight, UTC."""
    country: Integers
    plan: Integers
    brand: Integers
    birth_year: Integers
    has_crypto: NDArray[np.bool_]
    opt_ins: Integers
    contacts: Integers
    kind: NDArray[np.uint8]
    """LIVELY, ATTEMPTS_ONLY (never completed a transaction) or SILENT (has none)."""

    @property
    def count(self) -> int:
        return len(self.signed_up_at)

    @property
    def tier(self) -> Integers:
        return np.asarray(TIER_OF_PLAN[self.plan])


def draw_customers(random: np.random.Generator, count: int) -> Customers:
    """Draw the customers with the published shares of countries, plans, brands, signup months and opt-ins."""
    plan = deal(random, list(facts.PLANS.values()), count)
    tier = TIER_OF_PLAN[plan]
    return Customers(
        signed_up_at=_signups(random, count),
        country=deal(random, [country.customers for country in facts.COUNTRIES], count),
        plan=plan,
        brand=_brands(random, tier),
        birth_year=np.floor(curve(facts.BIRTH_YEAR, even_shares(random, count))).astype(np.int64),
        has_crypto=_marked(count, choose(random, _CRYPTO_WEIGHT[tier], _scaled(facts.CRYPTO_UNLOCKED, count))),
        opt_ins=deal(random, list(facts.OPT_INS.values()), count),
        contacts=np.floor(curve(facts.CONTACTS, even_shares(random, count))).astype(np.int64),
        kind=_kinds(random, tier),
    )


def _scaled(published: int, count: int) -> int:
    return round(published * count / facts.CUSTOMERS)


def _marked(count: int, positions: Integers) -> NDArray[np.bool_]:
    marks = np.zeros(count, dtype=np.bool_)
    marks[positions] = True
    return marks


def _signups(random: np.random.Generator, count: int) -> Integers:
    """Signup moments, exact by ten days; the order is that of the customers' numbers, which is only roughly by time."""
    starts = [since_start(datetime(2018, month, day)) for month in range(1, 13) for day in (1, 11, 21)]
    starts.append(since_start(datetime(2019, 1, 1)))
    ends = [*starts[1:], since_start(facts.LAST_SIGNUP)]
    published = [*np.ravel(facts.SIGNUPS_BY_TEN_DAYS), facts.SIGNUPS_OF_JANUARY_2019]
    spans = zip(starts, ends, apportion(published, count), strict=True)
    moments_by_span = [random.integers(start, end, quota) for start, end, quota in spans]
    at = np.sort(np.concatenate(moments_by_span))
    return np.asarray(at[np.argsort(at + random.normal(0, 6 * DAY, count), kind="stable")])


def _brands(random: np.random.Generator, tier: Integers) -> Integers:
    names = list(facts.BRANDS)
    quotas = apportion(list(facts.BRANDS.values()), len(tier))
    brand = np.full(len(tier), names.index("Android"))
    brand[choose(random, np.ones(len(tier)), int(quotas[names.index("Unknown")]))] = names.index("Unknown")
    apple_weight = np.where(brand == names.index("Android"), _APPLE_WEIGHT[tier], 0.0)
    brand[choose(random, apple_weight, int(quotas[names.index("Apple")]))] = names.index("Apple")
    return brand


def _kinds(random: np.random.Generator, tier: Integers) -> NDArray[np.uint8]:
    """Who has no transaction and who never completed one: holders of the standard plan all of them."""
    silent, attempts = (_scaled(published, len(tier)) for published in (facts.WITHOUT_TRANSACTION, facts.WITHOUT_COMPLETED))
    chosen = choose(random, np.where(tier == 0, 1.0, 0.0), silent + attempts)
    kind = np.full(len(tier), LIVELY, dtype=np.uint8)
    kind[chosen[:silent]] = SILENT
    kind[chosen[silent:]] = ATTEMPTS_ONLY
    return kind


def user_rows(random: np.random.Generator, customers: Customers) -> Iterator[pa.Table]:
    """The raw table `users`, piece by piece, in no particular order."""
    spellings = Deck(random, SPELLING_WEIGHTS)
    digits = Deck(random, [facts.CUSTOMERS - facts.CITIES_WITH_DIGITS, facts.CITIES_WITH_DIGITS])
    for start in range(0, customers.count, _CHUNK):
        chosen = start + random.permutation(min(_CHUNK, customers.count - start))
        with_digits = int(digits.deal(len(chosen)).sum())
        yield _users(random, customers, chosen, spellings=spellings.deal(len(chosen)), with_digits=with_digits)


def _users(
    random: np.random.Generator, customers: Customers, chosen: Integers, *, spellings: NDArray[np.uint8], with_digits: int
) -> pa.Table:
    push, email = zip(*facts.OPT_INS, strict=True)
    none = np.zeros(len(chosen), dtype=np.int64)
    columns = (
        numbered("user_", chosen),
        numbered("", customers.birth_year[chosen]),
        words(customers.country[chosen], [country.alpha_2 for country in facts.COUNTRIES]),
        _cities(random, customers.country[chosen], with_digits),
        moments(customers.signed_up_at[chosen], spellings),
        words(customers.has_crypto[chosen].astype(np.int64), ["0", "1"]),
        words(customers.plan[chosen], list(facts.PLANS)),
        _opt_ins(push, customers.opt_ins[chosen]),
        _opt_ins(email, customers.opt_ins[chosen]),
        numbered("", customers.contacts[chosen]),
        words(none, ["0"]),
        words(none, ["0"]),
    )
    return pa.table(columns, names=RAW_TABLES["users"].columns)


def _opt_ins(answers: Sequence[str | None], answer: Integers) -> pa.Array:
    known = ("0.0", "1.0")
    return words(np.array([-1 if text is None else known.index(text) for text in answers])[answer], known)


def _cities(random: np.random.Generator, country: Integers, with_digits: int) -> pa.Array:
    typed = np.empty(len(country), dtype=object)
    residents = np.bincount(country, minlength=len(facts.COUNTRIES))
    careless = apportion(residents, with_digits)
    for position in np.flatnonzero(residents):
        cities = home_cities(random, facts.COUNTRIES[position], int(residents[position]), int(careless[position]))
        typed[country == position] = cities
    return pa.array(typed, pa.string())


def device_rows(customers: Customers) -> pa.Table:
    """The raw table `devices`: Apple, then a stray header row where two exports were joined, then the other brands."""
    names = list(facts.BRANDS)
    order = np.argsort(customers.brand != names.index("Apple"), kind="stable")
    apples = int((customers.brand == names.index("Apple")).sum())
    brands, users = words(customers.brand[order], names).cast(pa.string()), numbered("user_", order)
    columns = [
        pa.concat_arrays([column[:apples], pa.array([header]), column[apples:]])
        for column, header in ((brands, "brand"), (users, "user_id"))
    ]
    return pa.table(columns, names=RAW_TABLES["devices"].columns)
