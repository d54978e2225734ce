"""Whole banks and questions to them at random, for hypothesis: a bank is a list of customers, each grown from one number.

A failing example therefore shrinks to few customers and one question. Everything about a customer follows from its number
and the bank's windows: the gaps between active days keep to the edges of these.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import oracle
from chain import Published, Replayed
from histories import SPELLINGS, History, Row, stamp
from hypothesis import strategies as st

from pipeline.marts import METRICS, family

NOON = datetime(2020, 11, 10, 12, tzinfo=UTC)  # in the middle of a bank day: rows of it wait, rows after it cannot be
ESTIMATED = ("silence_risk", "silence_calibration")  # learned from the past: judged by how right they prove, not replayed
COUNTED = tuple(metric for metric in METRICS if metric not in ESTIMATED)
NOT_BY_DATE = ("l28", "retention_cohort", "survival", "time_to_first_transaction", "window_sensitivity")
FIRST_DAYS = (date(2019, 9, 20), date(2020, 6, 30))
LAST_DAY = date(2020, 11, 14)
AWKWARD_DAYS = (
    date(2019, 10, 27),  # the clocks go back
    date(2019, 12, 30),  # the first week of 2020 begins
    date(2019, 12, 31),
    date(2020, 1, 1),
    date(2020, 2, 29),
    date(2020, 3, 1),
    date(2020, 3, 29),  # the clocks go forward
    date(2020, 10, 25),
    date(2020, 10, 31),
    date(2020, 11, 9),  # the last day that is over
)
COUNTRIES = ("GB", "Unknown", "FR", "PL", " ie ", "")
PLANS = ("STANDARD", "STANDARD", "unknown", "PREMIUM", "METAL", "metal_free", "")
BRANDS = ("Apple", "Android", "Android", "Unknown", None)
KNOWN_TYPES = ("CARD_PAYMENT", "CARD_PAYMENT", "CARD_PAYMENT", "TRANSFER", "TOPUP", "EXCHANGE", "ATM", " card_payment ")
NO_ACTIVITY = ("FEE", "TAX", "CASHBACK", "REFUND", "CARD_REFUND")
STATES = ("DECLINED", "REVERTED", "FAILED", "PENDING", "CANCELLED", "HELD", "")
AMOUNTS = ("0.0", "0.01", "8.51", "-3.2", "12345.6789", "", "n/a", "1e3", "NaN")
PRESENCE = ("TRUE", "true", "False", "FALSE", "1.0", "UNKNOWN", "")
MERCHANTS = ("GBR", "FRA", "ROM", "ROU", " pol", "")


@dataclass(frozen=True)
class Reading:
    """How the rows are read: the settings of the run, and the same for the oracle."""

    name: str
    window: int
    zone: str = "Europe/Paris"
    as_of: date | None = None
    rule: oracle.Rule = field(default_factory=oracle.Rule)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run."""
        return {
            "inactivity_days": self.window,
            "bank_timezone": self.zone,
            "as_of": self.as_of,
            "activity_states": ",".join(sorted(self.rule.states)),
            "activity_excluded_types": ",".join(sorted(self.rule.excluded_types)),
            "activity_minimum_amount": float(self.rule.minimum_amount),
        }

    def replayed(self, tables: Mapping[str, list[Row]]) -> Replayed:
        """What the oracle makes of the rows."""
        return Replayed(tables, window=self.window, now=NOON, rule=self.rule, zone=self.zone, as_of=self.as_of)


PUBLISHED_WINDOWS = (7, 30, 90)
READINGS = (
    Reading("N of 30 days", 30),
    Reading(
        "N of 90 days, New York, pinned, pending counts and cents do not",
        90,
        "America/New_York",
        date(2020, 9, 11),
        oracle.Rule(frozenset({"COMPLETED", "PENDING"}), frozenset({"FEE", "TAX"}), Decimal("0.05")),
    ),
    Reading("N of 7 days, Auckland, every type", 7, "Pacific/Auckland", rule=oracle.Rule(excluded_types=frozenset())),
)


@dataclass(frozen=True)
class RandomBank:
    """The numbers that a bank is grown from."""

    first_day: date
    last_day: date
    windows: tuple[int, ...]
    customers: tuple[int, ...]

    def tables(self) -> dict[str, list[Row]]:
        """The raw rows, in the order of chance."""
        history = History()
        # One plain customer, so that there is always a last day with data.
        history.customer(1, opened=self.first_day)
        history.active(1, self.first_day)
        for place, seed in enumerate(self.customers):
            _Life(self, history, random.Random(seed), place + 2).live()
        chance = random.Random(len(self.customers))
        for rows in history.tables().values():
            chance.shuffle(rows)
        return history.tables()


@dataclass(frozen=True)
class _Life:
    """One customer in the making."""

    bank: RandomBank
    history: History
    chance: random.Random
    number: int

    def live(self) -> None:
        """Add the customer's rows."""
        opened = self._day_of_life()
        if self.chance.random() > 0.04:
            self._user(opened)
        days = self._active_days(opened + timedelta(days=self.chance.choice((0, 0, 0, 1, 5, 40, -1, -25))))
        mine = [self._transaction(day) for day in days for _ in range(self.chance.choice((1, 1, 1, 2, 5)))]
        mine += [self._no_activity(day) for day in days[:4] if self.chance.random() < 0.6]
        self._spoil(mine)

    def _day_of_life(self) -> date:
        if self.chance.random() < 0.3:
            awkward = [day for day in AWKWARD_DAYS if self.bank.first_day <= day <= self.bank.last_day]
            if awkward:
                return self.chance.choice(awkward)
        return self.bank.first_day + timedelta(days=self.chance.randrange((self.bank.last_day - self.bank.first_day).days + 1))

    def _user(self, opened: date) -> None:
        self.history.customer(
            self.number,
            opened=self._moment(opened),
            country=self.chance.choice(COUNTRIES),
            plan=self.chance.choice(PLANS),
            birth_year=self.chance.choice(
                (str(self.chance.randint(1920, 2004)), f"{self.chance.randint(1975, 2000)}.0", "", "19")
            ),
            brand=self.chance.choice(BRANDS),
        )

    def _active_days(self, first: date) -> list[date]:
        """Days from the first on: none, one, a few a week, or gaps at the edges of the bank's windows."""
        stop = self.chance.choice((0, 1, 1, 2, 3, 8, 20, 60))
        steady, day, days = self.chance.random() < 0.25, first, list[date]()
        while day <= self.bank.last_day and len(days) < stop:
            days.append(day)
            edge = self.chance.choice((*self.bank.windows, *PUBLISHED_WINDOWS)) + self.chance.choice((-1, 0, 0, 1, 1))
            day += timedelta(days=self.chance.randint(1, 9) if steady else self.chance.choice((1, 2, 28, edge, edge, edge)))
        return days

    def _transaction(self, day: date, **row: str) -> Row:
        given = {
            "type": self.chance.choice(KNOWN_TYPES) if self.chance.random() < 0.95 else self.chance.choice(("GIFT", "")),
            "state": "COMPLETED" if self.chance.random() < 0.95 else "completed ",
            "amount": self.chance.choice(AMOUNTS) if self.chance.random() < 0.3 else f"{self.chance.randint(1, 99_999) / 100}",
            "presence": self.chance.choice(PRESENCE),
            "merchant_country": self.chance.choice(MERCHANTS),
        }
        return self.history.transaction(self.number, self._moment(day), **(given | row))

    def _no_activity(self, day: date) -> Row:
        """A transaction that is none under the usual rule: the bank's own, or never completed."""
        shifted = day + timedelta(days=self.chance.choice((0, 3, -5, self.chance.choice(self.bank.windows))))
        if self.chance.random() < 0.5:
            return self._transaction(shifted, type=self.chance.choice(NO_ACTIVITY))
        return self._transaction(shifted, state=self.chance.choice(STATES))

    def _moment(self, day: date) -> str:
        """A moment of the day in Paris as the bank spells it, often minutes from midnight; ties are likely."""
        clock = self.chance.choice((time(0, 0), time(0, 5), time(2, 30), time(12), time(12), time(23, 30), time(23, 59, 59)))
        return stamp(datetime.combine(day, clock, ZoneInfo("Europe/Paris")), self.chance.choice(SPELLINGS))

    def _spoil(self, mine: list[Row]) -> None:
        """What may be wrong with rows: each now and then; copies last, as no rule says which of two at one moment
        counts where their states weigh the same."""
        for spoil in (_rename, _lose, _not_yet, _repeat, _correct, _take_over, _send_again_today, _contradict, _write_twice):
            if mine and self.chance.random() < 0.12:
                spoil(self, self.chance.choice(mine))


def _repeat(life: _Life, row: Row) -> None:
    life.history.transactions.append(dict(row))


def _correct(life: _Life, row: Row) -> None:
    """The same id again, later and otherwise: on another day, or no longer completed."""
    later = oracle.moment(row["created_date"])
    if later is None:
        return
    moved = stamp(later + timedelta(days=life.chance.choice((0, 1, 40)), seconds=life.chance.randint(1, 90)))
    changed = life.chance.choice(({}, {"transactions_state": "REVERTED"}, {"amount_usd": "7.77"}))
    life.history.transactions.append(row | {"created_date": moved} | changed)


def _take_over(life: _Life, row: Row) -> None:
    """The same id, later, of another customer."""
    later = oracle.moment(row["created_date"])
    if later is None:
        return
    other = f"user_{max(2, life.number - 1)}"
    life.history.transactions.append(row | {"created_date": stamp(later + timedelta(hours=30)), "user_id": other})


def _send_again_today(life: _Life, row: Row) -> None:
    """The same id, dated the day that is not over."""
    changed = life.chance.choice(({}, {"transactions_state": "REVERTED"}, {"amount_usd": "6.66"}))
    life.history.transactions.append(row | {"created_date": stamp(NOON - timedelta(minutes=17))} | changed)


def _contradict(life: _Life, row: Row) -> None:
    """The same id at the same moment, in a state that says more of it, or less."""
    weight = oracle.certainty(row["transactions_state"].strip().upper())
    other = [state for state in ("COMPLETED", *STATES) if oracle.certainty(state) != weight]
    life.history.transactions.append(row | {"transactions_state": life.chance.choice(other)})


def _rename(life: _Life, row: Row) -> None:
    """Ids without prefix, with spaces, or that are no numbers: `00017` is not customer 17."""
    row["user_id"] = life.chance.choice((str(life.number), f" user_{life.number} ", f"user_b{life.number}-x", f"00{life.number}"))


def _lose(life: _Life, row: Row) -> None:
    """A row that cannot be used."""
    column, value = life.chance.choice(
        (("user_id", "user_"), ("user_id", " "), ("transaction_id", ""), ("created_date", "soon"), ("created_date", "31/12/2019"))
    )
    row[column] = value


def _not_yet(life: _Life, row: Row) -> None:
    """A row of the current day, which waits, or of a day after it, which cannot be."""
    row["created_date"] = stamp(life.chance.choice((NOON, NOON - timedelta(hours=11), NOON + timedelta(days=3))))


def _write_twice(life: _Life, row: Row) -> None:
    """A second row of users: the first to be written opened the account."""
    del row
    mine = [user for user in life.history.users if user["user_id"] == f"user_{life.number}"]
    opened = oracle.moment(mine[0]["created_date"]) if mine else None
    if opened is not None:
        shifted = stamp(opened + timedelta(days=life.chance.choice((-40, -1, 2, 60))))
        life.history.users.append(mine[0] | {"created_date": shifted, "country": "SE", "plan": "PREMIUM"})


@st.composite
def banks(draw: st.DrawFn, *, customers: tuple[int, int] = (1, 200)) -> RandomBank:
    """Banks of some customers whose gaps keep to a few windows."""
    first_day = draw(st.dates(*FIRST_DAYS))
    spans = st.integers(20, 420).map(lambda days: min(first_day + timedelta(days=days), LAST_DAY))
    last_days = st.one_of(spans, st.sampled_from([day for day in AWKWARD_DAYS if day > first_day] or [LAST_DAY]))
    number = draw(st.integers(*customers))
    return RandomBank(
        first_day,
        draw(last_days),
        tuple(draw(st.lists(st.integers(7, 180), min_size=2, max_size=4, unique=True))),
        tuple(draw(st.lists(st.integers(0, 2**31), min_size=number, max_size=number))),
    )


# --- questions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One question in numbers; what they mean depends on the bank."""

    metric: str
    window: int
    choices: tuple[int, ...]
    between: tuple[date, date] | None = None

    def question(self, bank: RandomBank, known: Mapping[str, list[str]]) -> dict[str, Any]:
        """The question in words: any of the metric's grains, kinds, cohorts, dimensions, and up to two filters.

        known: the values of each dimension; a dimension without any is not asked for.
        """
        choose, asked = _Choosing(self.choices), family(self.metric)
        question: dict[str, Any] = {
            "window": bank.windows[self.window % len(bank.windows)] if self.window < 4 else self.window + 3
        }
        for name, allowed in (("grain", asked.grains), ("kind", asked.kinds), ("cohort", asked.cohorts)):
            question[name] = choose(allowed)
        dimensions = [name for name in asked.dimensions if known.get(name)]
        question["by"] = choose((None, *dimensions))
        for name in dict.fromkeys(choose((None, *dimensions)) for _ in range(2)):
            if name is not None:
                question[name] = choose(tuple(known[name]))
        if self.between is not None and self.metric not in NOT_BY_DATE:
            question |= {"start": min(self.between), "end": max(self.between)}
        return {name: value for name, value in question.items() if value is not None}


@dataclass
class _Choosing:
    numbers: tuple[int, ...]
    place: int = 0

    def __call__(self, allowed: tuple[Any, ...]) -> Any:
        if not allowed:
            return None
        self.place += 1
        return allowed[self.numbers[self.place - 1] % len(allowed)]


def asked(metrics: tuple[str, ...] = COUNTED) -> st.SearchStrategy[Asked]:
    """Any question: a window below 4 is one of the bank's own, a larger one lies 3 above its number."""
    numbers = st.integers(0, 400)
    windows = st.one_of(st.integers(0, 3), st.integers(4, 177))
    dates = st.dates(FIRST_DAYS[0], LAST_DAY)
    between = st.one_of(st.none(), st.none(), st.tuples(dates, dates))
    return st.builds(Asked, st.sampled_from(metrics), windows, st.tuples(*[numbers] * 8), between)


def values_known(bank: oracle.Bank, dimensions: tuple[str, ...]) -> dict[str, list[str]]:
    """The values of every dimension that customers or transactions have."""
    of_transactions: dict[str, Callable[[oracle.Transaction], str]] = {
        "type": lambda one: one.type,
        "state": lambda one: one.state,
    }
    known = {name: sorted({getattr(customer, name) for customer in bank.customers}) for name in dimensions}
    known |= {name: sorted({value(one) for one in bank.transactions}) for name, value in of_transactions.items()}
    payments = [one for one in bank.transactions if one.type in oracle.CARD_TYPES and one.state == "COMPLETED"]
    return known | {"merchant_country": sorted({one.merchant_country for one in payments})}


def in_words(bank: oracle.Bank, published: Published) -> str:
    """The customers of a small bank, to read beside a failure."""
    told = [
        f"{one.user_id}: known from {one.known_from}, active {', '.join(str(day) for day in one.active_days) or 'never'}"
        for one in bank.customers
    ]
    return f"as of {bank.as_of} (published: {published.as_of})\n" + "\n".join(told if len(told) <= 8 else [*told[:3], "..."])
