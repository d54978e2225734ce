"""Small banks as raw rows: made by hand for one rule each, or at random and as awkward as rows can be."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

PARIS = ZoneInfo("Europe/Paris")
SPELLINGS = ("%Y-%m-%d %H:%M:%S.%f UTC", "%Y-%m-%d %H:%M:%S.%f+00:00", "%Y-%m-%d %H:%M:%S")
GAPS = (1, 1, 2, 3, 6, 7, 8, 13, 14, 15, 28, 29, 30, 31, 32, 59, 60, 61, 89, 90, 91, 120, 179, 180, 181, 200)
TYPES = ("CARD_PAYMENT", "CARD_PAYMENT", "CARD_PAYMENT", "TRANSFER", "TOPUP", "EXCHANGE", "ATM")
BANK_INITIATED = ("FEE", "TAX", "CASHBACK", "REFUND", "CARD_REFUND")
OTHER_STATES = ("DECLINED", "REVERTED", "FAILED", "PENDING", "CANCELLED")
PRESENCE = ("TRUE", "true", "True", "FALSE", "false", "False", "UNKNOWN", "")

Row = dict[str, str]


@dataclass
class History:
    """Raw tables under construction."""

    users: list[Row] = field(default_factory=list)
    devices: list[Row] = field(default_factory=list)
    transactions: list[Row] = field(default_factory=list)

    def customer(
        self,
        number: int,
        *,
        opened: date | datetime | str,
        country: str = "GB",
        plan: str = "STANDARD",
        birth_year: str = "1990",
        brand: str | None = "Apple",
    ) -> None:
        """Add a row of users and, unless `brand` is None, one of devices."""
        self.users.append(
            {
                "user_id": f"user_{number}",
                "birth_year": birth_year,
                "country": country,
                "city": "Lyon",
                "created_date": opened if isinstance(opened, str) else stamp(opened),
                "user_settings_crypto_unlocked": "0",
                "plan": plan,
                "attributes_notifications_marketing_push": "",
                "attributes_notifications_marketing_email": "",
                "num_contacts": "0",
                "num_referrals": "0",
                "num_successful_referrals": "0",
            }
        )
        if brand is not None:
            self.devices.append({"string_field_0": brand, "string_field_1": f"user_{number}"})

    def transaction(
        self,
        number: int,
        on: date | datetime | str,
        *,
        type: str = "CARD_PAYMENT",
        state: str = "COMPLETED",
        amount: str = "10.0",
        presence: str = "",
        merchant_country: str = "GBR",
    ) -> Row:
        """Add a row of transactions; a plain date means noon of that bank day."""
        row = {
            "transaction_id": f"transaction_{len(self.transactions) + 1}",
            "transactions_type": type,
            "transactions_currency": "GBP",
            "amount_usd": amount,
            "transactions_state": state,
            "ea_cardholderpresence": presence,
            "ea_merchant_mcc": "5411.0" if type == "CARD_PAYMENT" else "",
            "ea_merchant_city": "Lyon" if type in ("CARD_PAYMENT", "ATM") else "",
            "ea_merchant_country": merchant_country if type in ("CARD_PAYMENT", "ATM") else "",
            "direction": "OUTBOUND",
            "user_id": f"user_{number}",
            "created_date": on if isinstance(on, str) else stamp(on),
        }
        self.transactions.append(row)
        return row

    def active(self, number: int, *days: date) -> None:
        """Add one plain card payment at noon of each bank day."""
        for day in days:
            self.transaction(number, day)

    def tables(self) -> dict[str, list[Row]]:
        """The raw rows by table."""
        return {"users": self.users, "devices": self.devices, "transactions": self.transactions}


def stamp(moment: date | datetime, spelling: str = SPELLINGS[0]) -> str:
    """A timestamp as the bank writes it; a plain date means noon of that day in Paris."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(12), PARIS)
    return moment.astimezone(UTC).strftime(spelling)


def write_csv(folder: Path, tables: Mapping[str, Sequence[Row]]) -> Path:
    """Write each table as one CSV file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def write_parquet(folder: Path, tables: Mapping[str, Sequence[Row]], *, files: int = 2) -> Path:
    """Write each table as Parquet files of strings, the empty string as null, as a warehouse would export them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        for number in range(files):
            part = [{column: value or None for column, value in row.items()} for row in rows[number::files]]
            schema = pa.schema([(column, pa.string()) for column in rows[0]])
            pq.write_table(pa.Table.from_pylist(part, schema=schema), folder / f"{name}-{number}.parquet")
    return folder


# --- banks at random --------------------------------------------------------------------------------------------------


def random_bank(seed: int, *, customers: int, first_day: date, last_day: date) -> History:
    """A bank whose customers keep to the edges: gaps of N - 1, N and N + 1, lone days, ties, midnight and dirty rows."""
    chance, history = random.Random(seed), History()
    for number in range(1, customers + 1):
        opened = _between(chance, first_day, last_day)
        if chance.random() > 0.02:
            _random_user(chance, history, number, opened)
        _random_life(chance, history, number, opened, last_day)
    _dirty(chance, history)
    chance.shuffle(history.transactions)
    chance.shuffle(history.users)
    return history


def _random_user(chance: random.Random, history: History, number: int, opened: date) -> None:
    history.customer(
        number,
        opened=stamp(_moment(chance, opened), chance.choice(SPELLINGS)),
        country=chance.choice(("GB", "GB", "FR", "PL", "IE", "")),
        plan=chance.choice(("STANDARD", "STANDARD", "STANDARD", "PREMIUM", "METAL", "METAL_FREE")),
        birth_year=chance.choice((str(chance.randint(1930, 2004)), str(chance.randint(1975, 2000)), "")),
        brand=chance.choice(("Apple", "Android", "Android", "Unknown", None)),
    )


def _random_life(chance: random.Random, history: History, number: int, opened: date, last_day: date) -> None:
    kind = chance.random()
    if kind < 0.08:
        return
    if kind < 0.14:
        _noise(chance, history, number, _days_from(chance, opened, last_day))
        return
    late = chance.choice((0, 0, 0, 1, 4, 40, -1, -20))
    days = _days_from(chance, opened + timedelta(days=late), last_day)
    days = days[: 1 if kind < 0.22 else len(days)]
    for day in days:
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            _random_transaction(chance, history, number, day)
    _noise(chance, history, number, days[:3])


def _days_from(chance: random.Random, first: date, last: date) -> list[date]:
    stop = chance.choice((3, 8, 20, 60, 200))
    steady = chance.random() < 0.4
    day = first
    days: list[date] = []
    while day <= last and len(days) < stop:
        days.append(day)
        day += timedelta(days=chance.randint(1, 9) if steady else chance.choice(GAPS))
    return days


def _random_transaction(chance: random.Random, history: History, number: int, day: date) -> None:
    history.transaction(
        number,
        stamp(_moment(chance, day), chance.choice(SPELLINGS)),
        type=chance.choice(TYPES),
        amount=chance.choice(("0.0", "0.01", "8.51", f"{chance.randint(1, 99999) / 100}")),
        presence=chance.choice(PRESENCE),
        merchant_country=chance.choice(("GBR", "FRA", "ROM", "ROU", "")),
    )


def _moment(chance: random.Random, day: date) -> datetime:
    """A moment of the bank day, often minutes from midnight."""
    clock = chance.choice((time(0, 0), time(0, 5), time(12), time(23, 30), time(23, 59, 59)))
    return datetime.combine(day, clock, PARIS)


def _noise(chance: random.Random, history: History, number: int, days: Iterable[date]) -> None:
    """Transactions that are no activity: the bank's own, or never completed; some later, some earlier."""
    for day in days:
        shifted = day + timedelta(days=chance.choice((0, 3, -5)))
        if chance.random() < 0.5:
            history.transaction(number, shifted, type=chance.choice(BANK_INITIATED))
        else:
            history.transaction(number, shifted, state=chance.choice(OTHER_STATES), presence=chance.choice(PRESENCE))


def _dirty(chance: random.Random, history: History) -> None:
    """What the real files show: exact duplicates, a stray header row, and rows that cannot be read."""
    for row in chance.sample(history.transactions, k=len(history.transactions) // 50):
        history.transactions.append(dict(row))
    history.users.append(dict(history.users[0]))
    history.devices.append({"string_field_0": "brand", "string_field_1": "user_id"})
    for row in chance.sample(history.transactions, k=5):
        history.transactions.append(row | {"transaction_id": f"{row['transaction_id']}9999", "created_date": "soon"})
    history.users[1]["created_date"] = "31/12/2019"


def _between(chance: random.Random, first: date, last: date) -> date:
    return first + timedelta(days=chance.randrange((last - first).days + 1))
