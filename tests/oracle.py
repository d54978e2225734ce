"""Every figure of DEFINITIONS, replayed from the raw rows one customer and one day at a time.

Plain Python on purpose: slow, obvious and without a line of what it judges. Raw rows become usable transactions, these
become bank days, and a walk over each customer's calendar says what happens on every single day.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, str]

BANK_INITIATED = frozenset({"FEE", "TAX", "CASHBACK", "REFUND", "CARD_REFUND"})
CARD_TYPES = frozenset({"CARD_PAYMENT", "ATM"})
DIMENSIONS = ("country", "plan", "plan_tier", "os", "age_band", "signup_cohort")
ENDED_WITHOUT_IT = frozenset({"DECLINED", "REVERTED", "FAILED", "CANCELLED"})
AGE_BANDS = ((18, "under 18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (55, "45-54"), (65, "55-64"))
UNKNOWN = "unknown"
Z = 1.959963984540054  # 97.5th percentile of the normal distribution
CAME_BACK_DAYS = 90
WINDOWS = range(7, 181)
ONE_DAY = timedelta(days=1)


# --- raw rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """Which transactions count as activity."""

    states: frozenset[str] = frozenset({"COMPLETED"})
    excluded_types: frozenset[str] = BANK_INITIATED
    minimum_amount: Decimal = Decimal(0)

    def counts(self, transaction: Transaction) -> bool:
        """Whether a transaction keeps its customer active."""
        allowed = transaction.state in self.states and transaction.type not in self.excluded_types
        if self.minimum_amount == 0:
            return allowed  # no minimum: an amount that is below zero or cannot be read does not matter
        return allowed and transaction.amount is not None and transaction.amount >= self.minimum_amount


@dataclass(frozen=True)
class Transaction:
    """One usable transaction on its bank day; an amount that cannot be read is None and adds nothing to a sum."""

    transaction_id: str
    user_id: str
    moment: datetime
    day: date
    type: str
    state: str
    amount: Decimal | None
    holder_present: bool | None
    merchant_country: str


@dataclass(frozen=True, eq=False)
class Customer:
    """One customer with the days on which a transaction counted."""

    user_id: str
    opening: date
    country: str = UNKNOWN
    plan: str = UNKNOWN
    plan_tier: str = UNKNOWN
    os: str = UNKNOWN
    age_band: str = UNKNOWN
    has_user_row: bool = True
    active_days: tuple[date, ...] = ()

    @property
    def first(self) -> date | None:
        """The first active day ever."""
        return self.active_days[0] if self.active_days else None

    @property
    def known_from(self) -> date:
        """The first day on which the customer is in a stretch: opening, or activity that lies before it."""
        return min(self.opening, self.active_days[0]) if self.active_days else self.opening

    @property
    def signup_cohort(self) -> str:
        """The month in which the customer is first known, such as 2020-02."""
        return f"{self.known_from:%Y-%m}"


Values = str | tuple[str, ...]


def _has(one: Customer | Transaction, name: str, wanted: Values) -> bool:
    return getattr(one, name) in ((wanted,) if isinstance(wanted, str) else wanted)


@dataclass(frozen=True, eq=False)
class Bank:
    """The customers and transactions known at the end of `as_of`; `everybody` are also those who open later."""

    customers: tuple[Customer, ...]
    everybody: tuple[Customer, ...]
    transactions: tuple[Transaction, ...]
    as_of: date
    rule: Rule
    first_day: date

    @cache  # noqa: B019 - a bank lives as long as the tests of it
    def where(self, **dimensions: Values) -> Bank:
        """The same bank reduced to the customers with these values, or with any of several values of a dimension."""
        if not dimensions:
            return self
        customers, everybody = (
            tuple(one for one in some if all(_has(one, name, value) for name, value in dimensions.items()))
            for some in (self.customers, self.everybody)
        )
        ids = {customer.user_id for customer in everybody}
        transactions = tuple(one for one in self.transactions if one.user_id in ids)
        return replace(self, customers=customers, everybody=everybody, transactions=transactions)

    def values(self, dimension: str) -> list[str]:
        """Every value that occurs in a dimension."""
        return sorted({getattr(customer, dimension) for customer in self.everybody})

    def segments(self, dimensions: Sequence[str] = DIMENSIONS) -> Iterator[tuple[str, str, Bank]]:
        """All customers, then every value of every dimension."""
        yield "all", "all", self
        for dimension in dimensions:
            for value in self.values(dimension):
                yield dimension, value, self.where(**{dimension: value})

    @cached_property
    def counting(self) -> dict[str, list[Transaction]]:
        """Each customer's transactions that count as activity."""
        found: dict[str, list[Transaction]] = defaultdict(list)
        for transaction in self.transactions:
            if self.rule.counts(transaction):
                found[transaction.user_id].append(transaction)
        return found

    @property
    def ever_active(self) -> list[Customer]:
        """The customers with an active day; to the others nothing ever happens."""
        return [customer for customer in self.customers if customer.active_days]

    @property
    def days(self) -> list[date]:
        """Every bank day from the first one known to as_of."""
        return calendar(self.first_day, self.as_of)

    @property
    def months(self) -> list[date]:
        """The first day of every month that the bank has seen."""
        return sorted({day.replace(day=1) for day in self.days})


def read_folder(folder: Path) -> dict[str, list[Row]]:
    """The raw rows of a folder of CSV files, by table."""
    tables: dict[str, list[Row]] = {}
    for table in ("users", "devices", "transactions"):
        files = sorted([*folder.glob(f"{table}*.csv*"), *folder.glob(f"{table}/*.csv*")])
        tables[table] = [row for path in files for row in _read_csv(path)]
    return tables


def _read_csv(path: Path) -> list[Row]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def bank(
    tables: Mapping[str, Iterable[Row]],
    *,
    rule: Rule | None = None,
    zone: str = "Europe/Paris",
    current_day: date = date.max,
    as_of: date | None = None,
) -> Bank:
    """What the raw rows say at the end of `as_of`, which unless pinned is the last day with data before the current one."""
    rule, reader = rule or Rule(), _Reader(ZoneInfo(zone), current_day)
    rows = (row for row in map(reader.transaction, _once(tables["transactions"])) if row is not None)
    usable = _latest_by_id(rows, last_day=as_of or current_day - ONE_DAY)
    if as_of is None:
        as_of = max(transaction.day for transaction in usable if transaction.day < current_day)
    systems = reader.systems(_once(tables["devices"]))
    users = _earliest_by_id(reader, _once(tables["users"]), systems)
    users += _inferred(usable, {customer.user_id for customer in users}, systems)
    known = tuple(transaction for transaction in usable if transaction.day <= as_of)
    everybody = tuple(_with_active_days(users, known, rule))
    customers = tuple(customer for customer in everybody if customer.known_from <= as_of)
    return Bank(customers, everybody, known, as_of, rule, min(customer.known_from for customer in customers))


def _once(rows: Iterable[Row]) -> list[Row]:
    """The rows without exact duplicates."""
    return [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in rows)]


def _latest_by_id(transactions: Iterable[Transaction], *, last_day: date) -> list[Transaction]:
    """One transaction for each id: where rows of one id differ, the latest was the correction, once its day has come."""
    found: dict[str, Transaction] = {}
    for transaction in transactions:
        before = found.get(transaction.transaction_id)
        if before is None or _corrects(transaction, before, last_day=last_day):
            found[transaction.transaction_id] = transaction
    return list(found.values())


def _corrects(one: Transaction, other: Transaction, *, last_day: date) -> bool:
    """Whether one row counts before another of the same id."""
    if (one.day > last_day) is not (other.day > last_day):
        return one.day <= last_day
    if one.moment != other.moment:
        return one.moment > other.moment
    return certainty(one.state) > certainty(other.state)


def certainty(state: str) -> int:
    """How much a state says of a transaction that another row of the same moment calls otherwise."""
    return 3 if state in ENDED_WITHOUT_IT else {"COMPLETED": 2, "PENDING": 1}.get(state, 0)


def _earliest_by_id(reader: _Reader, rows: Iterable[Row], systems: Mapping[str, str]) -> list[Customer]:
    """One customer for each id: where rows of one id differ, the first to be written opened the account."""
    readable = [row for row in rows if moment(row["created_date"]) is not None]
    found: dict[str, Customer] = {}
    for row in sorted(readable, key=lambda row: moment(row["created_date"]) or datetime.max):
        customer = reader.customer(row, systems)
        if customer is not None:
            found.setdefault(customer.user_id, customer)
    return list(found.values())


def _inferred(transactions: Sequence[Transaction], known: set[str], systems: Mapping[str, str]) -> list[Customer]:
    """Who has transactions and no usable row of users: a customer since the first of them."""
    openings: dict[str, date] = {}
    for transaction in transactions:
        if transaction.user_id not in known:
            openings[transaction.user_id] = min(transaction.day, openings.get(transaction.user_id, transaction.day))
    return [Customer(user_id, day, os=systems.get(user_id, UNKNOWN), has_user_row=False) for user_id, day in openings.items()]


def _with_active_days(customers: Sequence[Customer], transactions: Sequence[Transaction], rule: Rule) -> list[Customer]:
    active_days: dict[str, set[date]] = defaultdict(set)
    for transaction in transactions:
        if rule.counts(transaction):
            active_days[transaction.user_id].add(transaction.day)
    return [replace(customer, active_days=tuple(sorted(active_days[customer.user_id]))) for customer in customers]


@dataclass(frozen=True)
class _Reader:
    """Reads raw rows; a row without its keys, or dated after the current day, is none."""

    zone: ZoneInfo
    current_day: date

    def transaction(self, row: Row) -> Transaction | None:
        transaction_id, user_id, at = row["transaction_id"].strip(), identifier(row["user_id"]), moment(row["created_date"])
        if not transaction_id or user_id is None or at is None or self.day(at) > self.current_day:
            return None
        country = row["ea_merchant_country"].strip().upper()
        return Transaction(
            transaction_id=transaction_id,
            user_id=user_id,
            moment=at,
            day=self.day(at),
            type=_attribute(row["transactions_type"]),
            state=_attribute(row["transactions_state"]),
            amount=_number(row["amount_usd"]),
            holder_present=_truth(row["ea_cardholderpresence"]),
            merchant_country="ROU" if country == "ROM" else country or UNKNOWN,
        )

    def customer(self, row: Row, systems: Mapping[str, str]) -> Customer | None:
        user_id, at = identifier(row["user_id"]), moment(row["created_date"])
        if user_id is None or at is None or self.day(at) > self.current_day:
            return None
        country, plan = (_attribute(row[name]) for name in ("country", "plan"))
        return Customer(
            user_id=user_id,
            opening=self.day(at),
            country=country,
            plan=plan,
            plan_tier=UNKNOWN if plan == UNKNOWN else "standard" if plan == "STANDARD" else "premium",
            os=systems.get(user_id, UNKNOWN),
            age_band=age_band(row["birth_year"], self.day(at)),
        )

    def systems(self, rows: Iterable[Row]) -> dict[str, str]:
        brands = {"apple": "iOS", "android": "Android"}
        found: dict[str, set[str]] = {}
        for row in rows:
            user_id, system = identifier(row["string_field_1"]), brands.get(row["string_field_0"].strip().lower())
            if user_id is not None and system is not None:
                found.setdefault(user_id, set()).add(system)
        return {user_id: systems.pop() for user_id, systems in found.items() if len(systems) == 1}

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()


def _attribute(text: str) -> str:
    word = text.strip().upper()
    return UNKNOWN if word in ("", "UNKNOWN") else word


def identifier(text: str) -> str | None:
    """The customer id without its prefix: `user_123` and `123` are the same customer."""
    return text.strip().removeprefix("user_") or None


def moment(text: str) -> datetime | None:
    """A timestamp in one of the bank's three spellings; without a zone it is UTC."""
    try:
        read = datetime.fromisoformat(re.sub(r"\s*UTC$", "+00:00", text.strip()))
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def age_band(birth_year: str, opening: date) -> str:
    """The band of the age in calendar years at opening; nobody is older than 120 or not yet born."""
    year = _number(birth_year)
    age = opening.year - int(year) if year is not None else -1
    if not 0 <= age <= 120:
        return UNKNOWN
    return next((band for limit, band in AGE_BANDS if age < limit), "65+")


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _truth(text: str) -> bool | None:
    return {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}.get(text.strip().lower())


# --- time -------------------------------------------------------------------------------------------------------------


def calendar(first: date, last: date) -> list[date]:
    """Every day from first to last, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


@cache
def period_start(day: date, grain: str) -> date:
    """The first day of the month or ISO week that holds a day; a day is its own."""
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[grain]


def next_period(start: date, grain: str) -> date:
    """The first day of the period after the one that starts here."""
    if grain == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days={"day": 1, "week": 7}[grain])


def period_end(start: date, grain: str) -> date:
    """The last day of the period that starts here."""
    return next_period(start, grain) - ONE_DAY


def periods(first: date, last: date, grain: str) -> list[date]:
    """The start of every period from the one that holds first to the one that holds last."""
    starts = [period_start(first, grain)]
    while starts[-1] < period_start(last, grain):
        starts.append(next_period(starts[-1], grain))
    return starts


# --- one customer, day by day -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Day:
    """What a customer's day ends with: active or not, the last active day, and what happened."""

    day: date
    is_active: bool
    last: date | None
    event: str | None


@cache
def walk(customer: Customer, window: int, as_of: date) -> tuple[Day, ...]:
    """Each day from the first known to as_of: a day with activity, or one more day of silence."""
    active_days, is_active, last, days = set(customer.active_days), False, None, []
    for day in calendar(customer.known_from, as_of):
        event = None
        if day in active_days:
            event = "new" if last is None else None if is_active else "resurrected"
            last, is_active = day, True
        elif last is not None and is_active and (day - last).days >= window:
            event, is_active = "churned", False
        days.append(Day(day, is_active, last, event))
    return tuple(days)


@dataclass(frozen=True)
class Stretch:
    """A row of the interval table."""

    user_id: str
    is_active: bool
    starting_date: date
    ending_date: date | None
    recognised_on: date
    is_provisional: bool


def stretches(customer: Customer, window: int, as_of: date) -> list[Stretch]:
    """The customer's stretches on the effective clock: each day is painted, then neighbours of one colour are joined."""
    if customer.first is None:
        return [Stretch(customer.user_id, False, customer.opening, None, customer.opening, False)]
    days = walk(customer, window, as_of)
    painted = {day.day: day.is_active for day in days}
    for lapse in (day for day in days if day.event == "churned"):
        for silent in calendar(lapse.day - timedelta(days=window - 1), lapse.day):
            painted[silent] = False
    starts = [day for day in painted if day - ONE_DAY not in painted or painted[day] != painted[day - ONE_DAY]]
    ends: list[date | None] = [start - ONE_DAY for start in starts[1:]]
    return [
        Stretch(
            customer.user_id,
            painted[start],
            start,
            end,
            start if painted[start] else _recognised(customer, start, window),
            painted[start] and end is None,
        )
        for start, end in zip(starts, [*ends, None], strict=True)
    ]


def _recognised(customer: Customer, silent_from: date, window: int) -> date:
    before = [day for day in customer.active_days if day < silent_from]
    return before[-1] + timedelta(days=window) if before else customer.opening


def first_lapse(customer: Customer, window: int, as_of: date) -> tuple[int, bool] | None:
    """Days from the first active day to the first recognised lapse or to as_of, and whether it is a lapse."""
    if customer.first is None:
        return None
    lapse = next((day.day for day in walk(customer, window, as_of) if day.event == "churned"), None)
    return ((lapse or as_of) - customer.first).days, lapse is not None


# --- figures over customers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """A figure with its denominator, interval, what it was counted from and the day from which it stands."""

    value: float | None
    final_on: date
    n: int | None = None
    low: float | None = None
    high: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def provisional(self, as_of: date) -> bool:
        """Whether time alone can still change the figure."""
        return self.final_on > as_of


def share(part: int, whole: int, *, final_on: date, **counts: int) -> Point:
    """A proportion with its Wilson 95 % interval."""
    if whole == 0:
        return Point(None, final_on, 0, counts=counts)
    low, high = wilson(part, whole)
    return Point(part / whole, final_on, whole, low, high, counts)


def wilson(part: int, whole: int) -> tuple[float, float]:
    """The Wilson score interval: the two roots p of (part/whole - p)^2 = Z^2 p (1 - p) / whole."""
    observed = part / whole
    a, b, c = 1 + Z**2 / whole, -(2 * observed + Z**2 / whole), observed**2
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@cache
def growth(bank: Bank, window: int) -> dict[date, Counter[str]]:
    """By day: active, new, resurrected and churned customers."""
    found: dict[date, Counter[str]] = {day: Counter() for day in bank.days}
    for customer in bank.ever_active:
        for day in walk(customer, window, bank.as_of):
            found[day.day]["active"] += day.is_active
            if day.event:
                found[day.day][day.event] += 1
    return found


@cache
def growth_by(bank: Bank, window: int, grain: str) -> dict[date, Counter[str]]:
    """By day, week or month: who is active at its end, and who was new, resurrected and churned within it."""
    daily = growth(bank, window)
    if grain == "day":
        return daily
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for day, count in daily.items():
        found[period_start(day, grain)] += count - Counter(active=count["active"])
        found[period_start(day, grain)]["active"] = count["active"]
    return found


def quick_ratio(bank: Bank, window: int, grain: str) -> dict[date, Point]:
    """By day, week or month: customers gained for each one lost."""
    return {
        start: _ratio(count["new"] + count["resurrected"], count["churned"], period_end(start, grain))
        for start, count in growth_by(bank, window, grain).items()
    }


def _ratio(part: float, whole: int, final_on: date) -> Point:
    return Point(part / whole if whole else None, final_on, whole)


def monthly_churn(bank: Bank, window: int) -> dict[date, Point]:
    """By month: of the customers active at the end of the day before it, the share with a lapse recognised inside it."""
    found = {}
    for month in bank.months:
        end = period_end(month, "month")
        at_start = churned = 0
        for customer in bank.ever_active:
            if _active_at_end_of(customer, month - ONE_DAY, window, bank.as_of):
                at_start += 1
                churned += _lapses_within(customer, month, end, window=window, as_of=bank.as_of)
        found[month] = share(churned, at_start, final_on=end, churned=churned)
    return found


def monthly_churn_effective(bank: Bank, window: int) -> dict[date, Point]:
    """By month: of the customers inside an active stretch on the day before it, the share whose stretch was over on a day of it.

    A stretch runs from its first to its last active day: who is silent on the day before counts only once they have come
    back in time. Its silence begins the day after its last, and is a lapse once recognised.
    """
    found = {}
    for month in bank.months:
        end = period_end(month, "month")
        at_start = churned = 0
        for customer in bank.ever_active:
            stretch = _stretch_around(customer, month - ONE_DAY, window)
            if stretch:
                at_start += 1
                churned += stretch[-1] + ONE_DAY <= end and _is_over(customer, stretch[-1], window, bank.as_of)
        found[month] = share(churned, at_start, final_on=end - ONE_DAY + timedelta(days=window), churned=churned)
    return found


def _stretch_around(customer: Customer, day: date, window: int) -> list[date]:
    """The active days of the stretch that holds a day, or none: days apart by no more than the window are of one stretch."""
    stretch: list[date] = []
    for active in customer.active_days:
        if stretch and (active - stretch[-1]).days > window:
            if stretch[0] <= day <= stretch[-1]:
                return stretch
            stretch = []
        stretch.append(active)
    return stretch if stretch and stretch[0] <= day <= stretch[-1] else []


def _is_over(customer: Customer, last: date, window: int, as_of: date) -> bool:
    """Whether the silence after an active day has lasted for the whole window, as is known at the end of as_of."""
    return last + timedelta(days=window) <= as_of and not any(0 < (day - last).days <= window for day in customer.active_days)


def recognised_lapses(customer: Customer, window: int, as_of: date) -> list[date]:
    """The days on which the customer's lapses were recognised, straight from the definition: N days after a last day."""
    return [last + timedelta(days=window) for last in customer.active_days if _is_over(customer, last, window, as_of)]


def came_back(bank: Bank, window: int) -> dict[date, Point]:
    """By month: of the lapses recognised in it, the share that came back within 90 days of their recognition."""
    return {month: _came_back_of(bank, month, window) for month in bank.months}


def _came_back_of(bank: Bank, month: date, window: int) -> Point:
    end = period_end(month, "month")
    lapsed = returned = 0
    for customer in bank.ever_active:
        for recognised in recognised_lapses(customer, window, bank.as_of):
            if month <= recognised <= end:
                lapsed += 1
                returned += any(0 < (day - recognised).days <= CAME_BACK_DAYS for day in customer.active_days)
    return share(returned, lapsed, final_on=end + timedelta(days=CAME_BACK_DAYS), came_back=returned)


def sensitivity(bank: Bank, kind: str) -> dict[int, Point]:
    """By window of 7 to 180 days: who is `active` at as_of, the `churn` or the `came_back` share of the last final month."""
    if kind == "active":
        return {window: Point(len(active_on(bank, bank.as_of, window)), bank.as_of) for window in WINDOWS}
    waiting = timedelta(days=CAME_BACK_DAYS if kind == "came_back" else 0)
    final = [month for month in bank.months if period_end(month, "month") + waiting <= bank.as_of]
    figure = _came_back_of if kind == "came_back" else _churn_of
    return {window: figure(bank, final[-1], window) for window in WINDOWS} if final else {}


def _churn_of(bank: Bank, month: date, window: int) -> Point:
    """One month's churn rate straight from the definition, which the walk of every day must agree with."""
    end = period_end(month, "month")
    at_start = active_on(bank, month - ONE_DAY, window)
    churned = sum(any(month <= day <= end for day in recognised_lapses(one, window, bank.as_of)) for one in at_start)
    return share(churned, len(at_start), final_on=end, churned=churned)


def active_on(bank: Bank, day: date, window: int) -> list[Customer]:
    """Who is active at the end of a day: their last active day to it lies fewer than `window` days back."""
    return [one for one in bank.ever_active if any(0 <= (day - active).days < window for active in one.active_days)]


def silent_after(bank: Bank, day: date, *, window: int, days: int) -> dict[Customer, bool]:
    """Of each customer active at the end of a day: whether none of the next `days` days was an active one.

    What a probability of silence is judged by. Raises ValueError where these days are not all over.
    """
    if day + timedelta(days=days) > bank.as_of:
        raise ValueError(f"{days} days after {day} are not over on {bank.as_of}")
    return {
        customer: not any(0 < (active - day).days <= days for active in customer.active_days)
        for customer in active_on(bank, day, window)
    }


def _active_at_end_of(customer: Customer, day: date, window: int, as_of: date) -> bool:
    position = (day - customer.known_from).days
    return position >= 0 and walk(customer, window, as_of)[position].is_active


def _lapses_within(customer: Customer, first: date, last: date, *, window: int, as_of: date) -> bool:
    return any(day.event == "churned" for day in walk(customer, window, as_of) if first <= day.day <= last)


def lapses(customer: Customer, window: int, as_of: date) -> int:
    """How often the customer has lapsed, recognised by as_of."""
    return sum(day.event == "churned" for day in walk(customer, window, as_of))


@cache
def present_within(bank: Bank, days: int) -> dict[date, int]:
    """By day t: distinct customers with an active day in (t - days, t]."""
    found = Counter(
        seen
        for customer in bank.customers
        for seen in {day + timedelta(days=later) for day in customer.active_days for later in range(days)}
    )
    return {day: found[day] for day in bank.days}


def stickiness(bank: Bank) -> dict[date, Point]:
    """By day: the mean of DAU over the 28 days to it, over MAU."""
    dau, mau = present_within(bank, 1), present_within(bank, 28)
    found = {}
    for day in bank.days:
        mean = sum(dau.get(day - timedelta(days=back), 0) for back in range(28)) / 28
        found[day] = _ratio(mean, mau[day], day)
    return found


def l28(bank: Bank, day: date) -> Counter[int]:
    """Customers of 28 days and more by how many active days they had in the 28 days to `day`."""
    grown = [customer for customer in bank.ever_active if (day - customer.known_from).days >= 28]
    found = Counter(sum(0 <= (day - active).days < 28 for active in customer.active_days) for customer in grown)
    return Counter({days: customers for days, customers in found.items() if days > 0})


def cohorts(bank: Bank, *, grain: str, kind: str, unbounded: bool, window: int) -> dict[tuple[date, int], Point]:
    """By cohort and period: the share with an active day in the period, or in it and later.

    kind: `first_activity` or `signup`. Periods are calendar months or ISO weeks, counted from the cohort's own.
    """
    members: dict[date, list[Customer]] = defaultdict(list)
    for customer in bank.customers:
        joined = customer.first if kind == "first_activity" else customer.known_from
        if joined is not None:
            members[period_start(joined, grain)].append(customer)
    found = {}
    for cohort, customers in members.items():
        seen = [{period_start(day, grain) for day in customer.active_days} for customer in customers]
        for number, start in enumerate(periods(cohort, bank.as_of, grain)):
            active = sum(any(later >= start for later in one) if unbounded else start in one for one in seen)
            final_on = period_end(start, grain) + timedelta(days=window if unbounded else 0)
            found[cohort, number] = share(active, len(customers), final_on=final_on, active=active)
    return found


@dataclass(frozen=True)
class SurvivalStep:
    """The Kaplan-Meier curve at one time with events."""

    time: int
    at_risk: int
    events: int
    value: float
    low: float | None
    high: float | None


def kaplan_meier(times: Sequence[tuple[int, bool]]) -> list[SurvivalStep]:
    """The product-limit curve at its event times, with Greenwood's variance on the log-log scale.

    times: duration in days, and whether the event happened (else the customer was last seen without it).
    """
    steps, value, variance = [], 1.0, 0.0
    for time in sorted({time for time, happened in times if happened}):
        at_risk = sum(other >= time for other, _ in times)
        events = sum(other == time and happened for other, happened in times)
        value *= 1 - events / at_risk
        variance += events / (at_risk * (at_risk - events)) if at_risk > events else math.inf
        low, high = _log_log(value, variance)
        steps.append(SurvivalStep(time, at_risk, events, value, low, high))
    return steps


def _log_log(value: float, variance: float) -> tuple[float | None, float | None]:
    if value <= 0.0:
        return None, None  # nobody is left to estimate the variance from
    spread = Z * math.sqrt(variance) / math.log(value)
    return value ** math.exp(-spread), value ** math.exp(spread)


def survival(bank: Bank, window: int) -> list[SurvivalStep]:
    """Time from the first active day to the first recognised lapse."""
    found = (first_lapse(customer, window, bank.as_of) for customer in bank.ever_active)
    return kaplan_meier([one for one in found if one is not None])


def time_to_first(customer: Customer, as_of: date) -> tuple[int, bool]:
    """Days from opening to the first active day, or to as_of without one; activity before opening counts as day 0."""
    return ((customer.first or as_of) - customer.known_from).days, customer.first is not None


def time_to_first_transaction(bank: Bank) -> list[SurvivalStep]:
    """The share of customers still without an active day, by days since opening."""
    return kaplan_meier([time_to_first(customer, bank.as_of) for customer in with_account(bank)])


def with_account(bank: Bank) -> list[Customer]:
    """Who has a row of users: when the others opened their account is not known."""
    return [customer for customer in bank.customers if customer.has_user_row]


def monthly_amounts(bank: Bank) -> dict[str, dict[date, Decimal]]:
    """By customer and month: the sum of the amounts that count as activity."""
    found: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for user_id, transactions in bank.counting.items():
        for transaction in transactions:
            found[user_id][transaction.day.replace(day=1)] += transaction.amount or 0
    return found


def amount_retention(bank: Bank, kind: str) -> dict[date, Point]:
    """By month: the amount kept (`gross`) or reached (`net`) by the customers of the month before, over what they had then."""
    found, amounts = {}, monthly_amounts(bank)
    for before, month in zip(bank.months, bank.months[1:], strict=False):
        same = [by_month for by_month in amounts.values() if by_month.get(before, 0) > 0]
        had = sum(by_month[before] for by_month in same)
        kept = (min(by_month.get(month, Decimal(0)), by_month[before]) for by_month in same)
        reached = (by_month.get(month, Decimal(0)) for by_month in same)
        part = sum(kept if kind == "gross" else reached)
        found[month] = Point(float(part / had) if had else None, period_end(month, "month"), len(same))
    return found


def three_digits(amount: Decimal) -> tuple[int, int]:
    """Amounts that agree in their first three digits count as equal: the power of ten and the digits, in the order of amounts."""
    if amount >= 100_000_000:
        return 8, math.floor(amount / 1_000_000)
    power = 1
    while amount >= 10**power:
        power += 1
    return power - 1, math.floor(amount * 100 / 10 ** (power - 1))


def concentration(bank: Bank, measure: str, kind: str) -> dict[date, Point]:
    """By month: the part of all that the largest customers have, or the Gini coefficient by its definition over ranks."""
    months: dict[date, list[Decimal]] = defaultdict(list)
    if measure == "amount":
        for by_month in monthly_amounts(bank).values():
            for month, amount in by_month.items():
                months[month] += [amount] if amount > 0 else []
    else:
        for transactions in bank.counting.values():
            for month, count in Counter(one.day.replace(day=1) for one in transactions).items():
                months[month].append(Decimal(count))
    key = three_digits if measure == "amount" else (lambda count: (0, int(count)))
    return {
        month: Point(_concentrated(values, kind, key), period_end(month, "month"), len(values))
        for month, values in months.items()
        if values
    }


def _concentrated(values: list[Decimal], kind: str, key: Callable[[Decimal], tuple[int, int]]) -> float:
    """Each customer counts with the mean of those who are equal to them."""
    equal: dict[tuple[int, int], list[Decimal]] = defaultdict(list)
    for value in values:
        equal[key(value)].append(value)
    smallest_first = [sum(equal[one]) / len(equal[one]) for one in sorted(map(key, values))]
    everything = sum(smallest_first)
    if kind == "gini":
        n = len(smallest_first)
        weighted = sum(rank * value for rank, value in enumerate(smallest_first, start=1))
        return float(2 * weighted / (n * everything) - Decimal(n + 1) / n)
    largest = -(-len(values) * (1 if kind == "top_1" else 10) // 100)
    return float(sum(smallest_first[-largest:]) / everything)


# --- transactions -----------------------------------------------------------------------------------------------------


def transaction_totals(bank: Bank, key: Callable[[Transaction], Any]) -> dict[Any, tuple[int, Decimal]]:
    """Transactions and their amount in USD by any key."""
    found: dict[Any, tuple[int, Decimal]] = {}
    for transaction in bank.transactions:
        count, amount = found.get(key(transaction), (0, Decimal(0)))
        found[key(transaction)] = count + 1, amount + (transaction.amount or 0)
    return found


@dataclass(frozen=True)
class CardPayments:
    """Completed card and ATM payments by presence of the holder, in number and in USD."""

    absent: int
    present: int
    unknown: int
    amount_absent: Decimal
    amount_present: Decimal
    amount_unknown: Decimal

    @property
    def known(self) -> int:
        """Payments of which the presence is known."""
        return self.absent + self.present

    @property
    def amount_known(self) -> Decimal:
        """Their amount in USD."""
        return self.amount_absent + self.amount_present


def card_payments(bank: Bank, key: Callable[[Transaction], Any]) -> dict[Any, CardPayments]:
    """Completed card and ATM payments by any key."""
    groups: dict[Any, list[Transaction]] = defaultdict(list)
    for transaction in bank.transactions:
        if transaction.type in CARD_TYPES and transaction.state == "COMPLETED":
            groups[key(transaction)].append(transaction)
    return {name: _split(group) for name, group in groups.items()}


def _split(group: Sequence[Transaction]) -> CardPayments:
    absent, present, unknown = (
        [one.amount or Decimal(0) for one in group if one.holder_present is presence] for presence in (False, True, None)
    )
    amounts = (sum(amounts, Decimal(0)) for amounts in (absent, present, unknown))
    return CardPayments(len(absent), len(present), len(unknown), *amounts)


# --- questions: every metric by name, in the form of the read side ---------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a metric is asked for beside the customers."""

    window: int
    grain: str | None = None
    kind: str | None = None
    cohort: str | None = None


def forget() -> None:
    """Let go of what was worked out for banks that nobody asks about any more."""
    for remembered in (Bank.where, walk, growth, growth_by, present_within):
        remembered.cache_clear()


def answer(
    bank: Bank, metric: str, asked: Asked, *, by: str | None = None, where: Mapping[str, Values] | None = None
) -> dict[Any, Point]:
    """The figures of a metric by time key, or by value of a dimension and time key.

    A figure that is 0 may stand for a row that the pipeline leaves out, and the other way round.
    """
    figures, where = METRICS[metric], dict(where or {})
    if metric in ("transactions", "transaction_amount") and by != "state":
        where.setdefault("state", "COMPLETED")
    bank = _narrowed(bank, where)
    if by is None:
        return figures(bank, asked)
    parts = {value: figures(_narrowed(bank, {by: value}), asked) for value in _values(bank, by)}
    return {(value, key): point for value, points in parts.items() for key, point in points.items()}


OF_TRANSACTIONS = {"type": "type", "state": "state", "merchant_country": "merchant_country"}


def _narrowed(bank: Bank, where: Mapping[str, Values]) -> Bank:
    bank = bank.where(**{name: where[name] for name in sorted(where) if name in DIMENSIONS})
    wanted = {OF_TRANSACTIONS[name]: value for name, value in where.items() if name in OF_TRANSACTIONS}
    if not wanted:
        return bank
    kept = (one for one in bank.transactions if all(_has(one, name, value) for name, value in wanted.items()))
    return replace(bank, transactions=tuple(kept))


def _values(bank: Bank, by: str) -> list[str]:
    if by in DIMENSIONS:
        return bank.values(by)
    return sorted({getattr(one, OF_TRANSACTIONS[by]) for one in bank.transactions})


def _counts(name: str) -> Callable[[Bank, Asked], dict[date, Point]]:
    def figures(bank: Bank, asked: Asked) -> dict[date, Point]:
        grain = asked.grain or "day"
        counts = growth_by(bank, asked.window, grain)
        return {start: Point(count[name], period_end(start, grain)) for start, count in counts.items()}

    return figures


def _present(days: int) -> Callable[[Bank, Asked], dict[date, Point]]:
    return lambda bank, _: {day: Point(count, day) for day, count in present_within(bank, days).items()}


def _l28(bank: Bank, _: Asked) -> dict[tuple[date, int], Point]:
    counts = l28(bank, bank.as_of)
    return {(bank.as_of, days): Point(counts[days], bank.as_of, counts.total()) for days in range(1, 29)}


def _cohorts(bank: Bank, asked: Asked) -> dict[tuple[date, int], Point]:
    return cohorts(
        bank,
        grain=asked.grain or "month",
        kind=asked.cohort or "first_activity",
        unbounded=asked.kind == "unbounded",
        window=asked.window,
    )


def _survival(bank: Bank, asked: Asked) -> dict[int, Point]:
    times = {customer: first_lapse(customer, asked.window, bank.as_of) for customer in bank.ever_active}
    starts = {customer: customer.active_days[0] for customer in times}
    return _curve(survival(bank, asked.window), {c: time for c, time in times.items() if time}, starts, bank.as_of)


def _waiting(bank: Bank, _: Asked) -> dict[int, Point]:
    times = {customer: time_to_first(customer, bank.as_of) for customer in with_account(bank)}
    starts = {customer: customer.known_from for customer in times}
    still = _curve(time_to_first_transaction(bank), times, starts, bank.as_of)
    return {
        days: replace(point, value=0.0, low=None, high=None)  # nobody transacted yet: an estimate without an interval
        if point.value == 1
        else replace(point, value=1 - (point.value or 0), low=_rest(point.high), high=_rest(point.low))
        for days, point in still.items()
    }


def _rest(share: float | None) -> float | None:
    return None if share is None else 1 - share


def _curve(
    steps: Sequence[SurvivalStep], times: Mapping[Customer, tuple[int, bool]], starts: Mapping[Customer, date], as_of: date
) -> dict[int, Point]:
    """The steps and the whole at 0; a step stands once everybody who still waits has been followed for that long."""
    waiting = [starts[customer] for customer, (_, happened) in times.items() if not happened]

    def final_on(days: int) -> date:
        return max((start + timedelta(days=days) for start in waiting), default=as_of)

    found = {0: Point(1.0, final_on(0), len(times), 1.0, 1.0)} if times else {}
    return found | {step.time: Point(step.value, final_on(step.time), step.at_risk, step.low, step.high) for step in steps}


def _transactions(of_amounts: bool) -> Callable[[Bank, Asked], dict[date, Point]]:
    def figures(bank: Bank, _: Asked) -> dict[date, Point]:
        totals = transaction_totals(bank, lambda transaction: transaction.day.replace(day=1))
        return {month: Point(float(total[of_amounts]), period_end(month, "month")) for month, total in totals.items()}

    return figures


def _card_not_present(bank: Bank, asked: Asked) -> dict[date, Point]:
    found = {}
    for month, payments in card_payments(bank, lambda transaction: transaction.day.replace(day=1)).items():
        point = share(payments.absent, payments.known, final_on=period_end(month, "month"), unknown=payments.unknown)
        if asked.kind == "amount":
            value = float(payments.amount_absent / payments.amount_known) if payments.amount_known else None
            point = replace(point, value=value, low=None, high=None)
        found[month] = point
    return found


def _monthly_churn(bank: Bank, asked: Asked) -> dict[date, Point]:
    return (monthly_churn_effective if asked.kind == "effective" else monthly_churn)(bank, asked.window)


METRICS: Mapping[str, Callable[[Bank, Asked], dict[Any, Point]]] = {
    "active_customers": _counts("active"),
    "new_customers": _counts("new"),
    "resurrected_customers": _counts("resurrected"),
    "churned_customers": _counts("churned"),
    "quick_ratio": lambda bank, asked: quick_ratio(bank, asked.window, asked.grain or "month"),
    "monthly_churn_rate": _monthly_churn,
    "came_back_share": lambda bank, asked: came_back(bank, asked.window),
    "window_sensitivity": lambda bank, asked: sensitivity(bank, asked.kind or "active"),
    "dau": _present(1),
    "wau": _present(7),
    "mau": _present(28),
    "stickiness": lambda bank, _: stickiness(bank),
    "l28": _l28,
    "retention_cohort": _cohorts,
    "survival": _survival,
    "time_to_first_transaction": _waiting,
    "amount_retention": lambda bank, asked: amount_retention(bank, asked.kind or "net"),
    "amount_concentration": lambda bank, asked: concentration(bank, "amount", asked.kind or "top_10"),
    "transaction_concentration": lambda bank, asked: concentration(bank, "transactions", asked.kind or "top_10"),
    "transactions": _transactions(of_amounts=False),
    "transaction_amount": _transactions(of_amounts=True),
    "card_not_present_share": _card_not_present,
}
