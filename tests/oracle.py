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
from zoneinfo import ZoneInfo

Row = Mapping[str, str]

BANK_INITIATED = frozenset({"FEE", "TAX", "CASHBACK", "REFUND", "CARD_REFUND"})
CARD_TYPES = frozenset({"CARD_PAYMENT", "ATM"})
DIMENSIONS = ("country", "plan", "plan_tier", "os", "age_band")
AGE_BANDS = ((18, "under 18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (55, "45-54"), (65, "55-64"))
UNKNOWN = "unknown"
Z = 1.959963984540054  # 97.5th percentile of the normal distribution
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
        return allowed and transaction.amount >= self.minimum_amount


@dataclass(frozen=True)
class Transaction:
    """One usable transaction on its bank day."""

    transaction_id: str
    user_id: str
    day: date
    type: str
    state: str
    amount: Decimal
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


@dataclass(frozen=True)
class Bank:
    """The customers and transactions known at the end of `as_of`."""

    customers: tuple[Customer, ...]
    transactions: tuple[Transaction, ...]
    as_of: date
    rule: Rule
    first_day: date

    def where(self, **dimensions: str) -> Bank:
        """The same bank reduced to the customers with these values."""
        kept = tuple(c for c in self.customers if all(getattr(c, name) == value for name, value in dimensions.items()))
        ids = {customer.user_id for customer in kept}
        return replace(self, customers=kept, transactions=tuple(t for t in self.transactions if t.user_id in ids))

    def values(self, dimension: str) -> list[str]:
        """Every value that occurs in a dimension."""
        return sorted({getattr(customer, dimension) for customer in self.customers})

    def segments(self) -> Iterator[tuple[str, str, Bank]]:
        """All customers, then every value of every dimension."""
        yield "all", "all", self
        for dimension in DIMENSIONS:
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
    rule = rule or Rule()
    rows = _once(tables["transactions"])
    usable = [transaction for row in rows if (transaction := _transaction(row, ZoneInfo(zone))) is not None]
    if as_of is None:
        as_of = max(transaction.day for transaction in usable if transaction.day < current_day)
    known = tuple(transaction for transaction in usable if transaction.day <= as_of)
    customers = _customers(tables, known, rule=rule, zone=ZoneInfo(zone))
    customers = tuple(customer for customer in customers if customer.known_from <= as_of)
    return Bank(customers, known, as_of, rule, min(customer.known_from for customer in customers))


def _once(rows: Iterable[Row]) -> list[Row]:
    return [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in rows)]


def _transaction(row: Row, zone: ZoneInfo) -> Transaction | None:
    user_id, day, amount = identifier(row["user_id"]), bank_day(row["created_date"], zone), _number(row["amount_usd"])
    if user_id is None or day is None or amount is None:
        return None
    return Transaction(
        transaction_id=row["transaction_id"].strip(),
        user_id=user_id,
        day=day,
        type=row["transactions_type"].strip().upper(),
        state=row["transactions_state"].strip().upper(),
        amount=amount,
        holder_present=_truth(row["ea_cardholderpresence"]),
        merchant_country={"ROM": "ROU"}.get(country := row["ea_merchant_country"].strip().upper(), country) or UNKNOWN,
    )


def _customers(
    tables: Mapping[str, Iterable[Row]], transactions: Sequence[Transaction], *, rule: Rule, zone: ZoneInfo
) -> tuple[Customer, ...]:
    customers = {}
    systems = {identifier(row["string_field_1"]): _system(row["string_field_0"]) for row in _once(tables["devices"])}
    for row in _once(tables["users"]):
        customer = _customer(row, systems, zone)
        if customer is not None:
            customers[customer.user_id] = customer
    for transaction in sorted(transactions, key=lambda transaction: transaction.day):
        if transaction.user_id not in customers:
            customers[transaction.user_id] = Customer(
                transaction.user_id, transaction.day, os=systems.get(transaction.user_id, UNKNOWN), has_user_row=False
            )
    active_days: dict[str, set[date]] = defaultdict(set)
    for transaction in transactions:
        if rule.counts(transaction):
            active_days[transaction.user_id].add(transaction.day)
    return tuple(replace(c, active_days=tuple(sorted(active_days[c.user_id]))) for c in customers.values())


def _customer(row: Row, systems: Mapping[str | None, str], zone: ZoneInfo) -> Customer | None:
    user_id, opening = identifier(row["user_id"]), bank_day(row["created_date"], zone)
    if user_id is None or opening is None:
        return None
    plan = row["plan"].strip().upper()
    return Customer(
        user_id=user_id,
        opening=opening,
        country=row["country"].strip().upper() or UNKNOWN,
        plan=plan or UNKNOWN,
        plan_tier=UNKNOWN if not plan else "standard" if plan == "STANDARD" else "premium",
        os=systems.get(user_id, UNKNOWN),
        age_band=age_band(row["birth_year"], opening),
    )


def identifier(text: str) -> str | None:
    """The number in a customer id such as `user_123`."""
    found = re.fullmatch(r"(?:user_)?(\d+)", text.strip())
    return found[1] if found else None


def bank_day(text: str, zone: ZoneInfo) -> date | None:
    """The local date of a timestamp in one of the bank's three spellings; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(re.sub(r"\s*UTC$", "+00:00", text.strip()))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zone).date()


def age_band(birth_year: str, opening: date) -> str:
    """The band of the age in whole calendar years at opening."""
    year = _number(birth_year)
    if year is None or year > opening.year:
        return UNKNOWN
    age = opening.year - int(year)
    return next((band for limit, band in AGE_BANDS if age < limit), "65+")


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _truth(text: str) -> bool | None:
    return {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}.get(text.strip().lower())


def _system(brand: str) -> str:
    return {"apple": "iOS", "android": "Android"}.get(brand.strip().lower(), UNKNOWN)


# --- time -------------------------------------------------------------------------------------------------------------


def calendar(first: date, last: date) -> list[date]:
    """Every day from first to last, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def period_start(day: date, grain: str) -> date:
    """The first day of the month or ISO week that holds a day."""
    return day.replace(day=1) if grain == "month" else day - timedelta(days=day.weekday())


def next_period(start: date, grain: str) -> date:
    """The first day of the period after the one that starts here."""
    return (start + timedelta(days=32)).replace(day=1) if grain == "month" else start + timedelta(days=7)


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
    for lapse in (day for day in days if day.event == "churned" and day.last is not None):
        for silent in calendar(lapse.last + ONE_DAY, lapse.day):
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


def growth(bank: Bank, window: int) -> dict[date, Counter[str]]:
    """By day: active, new, resurrected and churned customers."""
    found: dict[date, Counter[str]] = {day: Counter() for day in bank.days}
    for customer in bank.ever_active:
        for day in walk(customer, window, bank.as_of):
            found[day.day]["active"] += day.is_active
            if day.event:
                found[day.day][day.event] += 1
    return found


def quick_ratio(bank: Bank, window: int, grain: str) -> dict[date, Point]:
    """By day, week or month: customers gained for each one lost."""
    daily = growth(bank, window)
    if grain == "day":
        return {day: _ratio(count["new"] + count["resurrected"], count["churned"], day) for day, count in daily.items()}
    found = {}
    for start in periods(bank.first_day, bank.as_of, grain):
        inside = [count for day, count in daily.items() if period_start(day, grain) == start]
        gained = sum(count["new"] + count["resurrected"] for count in inside)
        found[start] = _ratio(gained, sum(count["churned"] for count in inside), period_end(start, grain))
    return found


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


def _active_at_end_of(customer: Customer, day: date, window: int, as_of: date) -> bool:
    position = (day - customer.known_from).days
    return position >= 0 and walk(customer, window, as_of)[position].is_active


def _lapses_within(customer: Customer, first: date, last: date, *, window: int, as_of: date) -> bool:
    return any(day.event == "churned" for day in walk(customer, window, as_of) if first <= day.day <= last)


def lapses(customer: Customer, window: int, as_of: date) -> int:
    """How often the customer has lapsed, recognised by as_of."""
    return sum(day.event == "churned" for day in walk(customer, window, as_of))


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
    grown = [customer for customer in bank.customers if (day - customer.known_from).days >= 27]
    found = Counter(sum(0 <= (day - active).days < 28 for active in customer.active_days) for customer in grown)
    return Counter({days: customers for days, customers in found.items() if days > 0})


def cohorts(bank: Bank, *, grain: str, kind: str, unbounded: bool, window: int) -> dict[tuple[date, int], Point]:
    """By cohort and period: the share with an active day in the period, or in it and later.

    kind: `first_activity` or `signup`. Periods are calendar months or ISO weeks, counted from the cohort's own.
    """
    members: dict[date, list[Customer]] = defaultdict(list)
    for customer in bank.customers:
        joined = customer.first if kind == "first_activity" else customer.opening
        if joined is not None and joined <= bank.as_of:
            members[period_start(joined, grain)].append(customer)
    found = {}
    for cohort, customers in members.items():
        for number, start in enumerate(periods(cohort, bank.as_of, grain)):
            end = period_end(start, grain)
            active = sum(any(start <= day and (unbounded or day <= end) for day in c.active_days) for c in customers)
            final_on = end + timedelta(days=window) if unbounded else end
            found[cohort, number] = share(active, len(customers), final_on=final_on, active=active)
    return found


@dataclass(frozen=True)
class SurvivalStep:
    """The Kaplan-Meier curve at one time with events."""

    time: int
    at_risk: int
    events: int
    value: float
    low: float
    high: float


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


def _log_log(value: float, variance: float) -> tuple[float, float]:
    if value <= 0.0:
        return 0.0, 0.0
    spread = Z * math.sqrt(variance) / math.log(value)
    return value ** math.exp(-spread), value ** math.exp(spread)


def survival(bank: Bank, window: int) -> list[SurvivalStep]:
    """Time from the first active day to the first recognised lapse."""
    found = (first_lapse(customer, window, bank.as_of) for customer in bank.ever_active)
    return kaplan_meier([one for one in found if one is not None])


def time_to_first(customer: Customer, as_of: date) -> tuple[int, bool]:
    """Days from opening to the first active day, or to as_of without one; activity before opening counts as day 0."""
    if customer.first is None:
        return (as_of - customer.opening).days, False
    return max((customer.first - customer.opening).days, 0), True


def time_to_first_transaction(bank: Bank) -> list[SurvivalStep]:
    """The share of customers still without an active day, by days since opening."""
    return kaplan_meier([time_to_first(customer, bank.as_of) for customer in bank.customers])


def monthly_amounts(bank: Bank) -> dict[str, dict[date, Decimal]]:
    """By customer and month: the sum of the amounts that count as activity."""
    found: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for user_id, transactions in bank.counting.items():
        for transaction in transactions:
            found[user_id][transaction.day.replace(day=1)] += transaction.amount
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


# --- transactions -----------------------------------------------------------------------------------------------------


def transaction_totals(bank: Bank, key: Callable[[Transaction], object]) -> dict[object, tuple[int, Decimal]]:
    """Transactions and their amount in USD by any key."""
    found: dict[object, tuple[int, Decimal]] = {}
    for transaction in bank.transactions:
        count, amount = found.get(key(transaction), (0, Decimal(0)))
        found[key(transaction)] = count + 1, amount + transaction.amount
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


def card_payments(bank: Bank, key: Callable[[Transaction], object]) -> dict[object, CardPayments]:
    """Completed card and ATM payments by any key."""
    groups: dict[object, list[Transaction]] = defaultdict(list)
    for transaction in bank.transactions:
        if transaction.type in CARD_TYPES and transaction.state == "COMPLETED":
            groups[key(transaction)].append(transaction)
    return {name: _split(group) for name, group in groups.items()}


def _split(group: Sequence[Transaction]) -> CardPayments:
    amounts = {presence: [one.amount for one in group if one.holder_present is presence] for presence in (False, True, None)}
    counts = [len(amounts[presence]) for presence in (False, True, None)]
    return CardPayments(*counts, *(sum(amounts[presence], Decimal(0)) for presence in (False, True, None)))
