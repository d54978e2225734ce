"""Bytes, money and slots of BigQuery for a billion transactions and more, by formula; writes the tables of docs/scale.md.

    bytes of a model = sum over the large tables that it reads of  rows x bytes of the columns that it reads x share of days

Which columns and days those are is in scale_reads.json, found by Google's analyzer in the compiled models of a full refresh
and of three nights (tests/integration/test_bigquery_scale.py): a day is so many days before the last loaded one, and null is an
open end. A test compares it with the models as they are, and the formula with the bytes that the stand-in counts. The sizes of
the columns and the rows for each transaction are the demo bank's. Run it with `python scripts/scale.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
READS = ROOT / "scripts" / "scale_reads.json"
PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- written by scripts/scale.py -->", "<!-- end -->"
TIB = 2**40
SIZES = (1, 10, 100)  # billions of transactions
LOOK_BACK_DAYS = 35
Reads = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]  # model, table, and columns with the days that are read of them

# What a night finds, in the words of the page: each of them finds what the one before finds as well.
NIGHTS = {"new_day": "a new day", "late": "and rows 30 days late", "moved": "and somebody who moved"}
WHOLE_FROM = {"new_day": "", "late": " where rows are late", "moved": " where somebody moved"}

# Kept by this column; in one piece where there is none.
PARTITION_COLUMNS = {
    "bank_transactions": "created_date",
    "typed_transactions": "transaction_date",
    "fct_customer_days": "activity_date",
    "fct_customer_months": "month",
    "fct_breaks": "",
    "fct_customer_volumes": "",
    "fct_customer_activity": "",
    "dim_customers": "",
    "customer_accounts": "",
}

# Rows for each transaction, counted in the demo bank of 500,000 transactions and 3,425 customers.
ROWS = {
    "bank_transactions": 1.0,
    "typed_transactions": 1.0,
    "fct_customer_days": 0.324,
    "fct_customer_months": 0.0438,
    "fct_breaks": 0.0377,
    "fct_customer_volumes": 0.0354,
    "fct_customer_activity": 0.0068,
    "dim_customers": 0.0069,
    "customer_accounts": 0.0069,
}

# What a model asks of a whole table in a night before its own statement: the days on which repeated identifiers stand.
LOOKS = {"repeated_transactions": ("typed_transactions", ("transaction_key", "rejection_code", "transaction_date"))}

# Bytes by type: https://cloud.google.com/bigquery/pricing#data; a text has 2 more than its letters, NULL has none.
NUMBER, MONEY, FLAG = 8.0, 16.0, 1.0
BYTES = {
    # the bank's own columns, created_date as TIMESTAMP
    **{"transaction_id": 20.0, "transactions_type": 12.0, "amount_usd": MONEY, "transactions_state": 11.0},
    **{"ea_cardholderpresence": 4.0, "ea_merchant_country": 4.0, "user_id": 11.0, "created_date": NUMBER},
    **{"transactions_currency": 5.0, "ea_merchant_mcc": 5.0, "ea_merchant_city": 6.0, "direction": 10.0},
    # what the models add; texts that only odd rows have count as nothing
    **{"transaction_type": 12.0, "transaction_state": 11.0, "merchant_country": 3.0, "is_card_holder_present": FLAG},
    **dict.fromkeys(("transaction_id_text", "user_id_text", "doubt", "rejection_reason", "rejected_row"), 0.0),
    **dict.fromkeys(("is_activity", "has_user_row", "crypto_unlocked", "notifications_push", "notifications_email"), FLAG),
    **dict.fromkeys(("completed_amount_usd", "activity_amount_usd"), MONEY),
    **{"country": 4.0, "plan": 10.0, "plan_tier": 10.0, "os": 8.0, "age_band": 7.0, "signup_cohort": 9.0, "city": 9.0},
}


@dataclass(frozen=True)
class Bank:
    """A bank of so many transactions in so many days."""

    transactions: float
    days: int = 5 * 365


@dataclass(frozen=True)
class Prices:
    """On demand, in USD; and how much one slot scans and works in a second, which is a guess to plan with."""

    usd_per_tib: float = 6.25
    slot_bytes_per_second: float = 50e6


def width(column: str) -> float:
    """Bytes of a column in a row."""
    return BYTES.get(column, NUMBER)


def days_read(ranges: Sequence[Sequence[int | None]], bank: Bank) -> int:
    """How many of the bank's days lie in ranges, each from and to so many days before the last one; None is an open end."""
    days = 0
    for first, last in ranges:
        earliest = bank.days - 1 if first is None else min(first, bank.days - 1)
        latest = 0 if last is None else max(last, 0)
        days += max(earliest - latest + 1, 0)
    return days


def table_bytes(table: str, reads: Sequence[Mapping[str, Any]], bank: Bank) -> float:
    """Bytes that a model scans of a table."""
    by_row = sum(sum(map(width, read["columns"])) * days_read(read["days"], bank) / bank.days for read in reads)
    return ROWS[table] * bank.transactions * by_row


def model_bytes(reads: Reads, bank: Bank, *, looks: bool) -> dict[str, float]:
    """Bytes by model, the largest first; of a night with what the models ask beforehand."""
    found = {model: sum(table_bytes(table, read, bank) for table, read in tables.items()) for model, tables in reads.items()}
    for model, (table, columns) in (LOOKS if looks else {}).items():
        found[model] += ROWS[table] * bank.transactions * sum(map(width, columns))
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def night_bytes(reads: Reads, bank: Bank) -> float:
    """Bytes of a night, with what is asked before the models are built."""
    return sum(model_bytes(reads, bank, looks=True).values()) + looking_back(bank) + waiting(bank)


def read_whole(model: str, reads: Reads) -> set[str]:
    """The tables that a model reads from their first day on."""
    tables = reads.get(model, {}).items()
    found = {table for table, groups in tables if any(first is None for group in groups for first, _ in group["days"])}
    return found | {*LOOKS.get(model, ())[:1]}


def looking_back(bank: Bank) -> float:
    """Bytes of the last days of the bank's own table, which are compared by content."""
    of_the_bank = (
        "transaction_id",
        "transactions_type",
        "transactions_currency",
        "amount_usd",
        "transactions_state",
        "direction",
    )
    of_the_card = ("ea_cardholderpresence", "ea_merchant_mcc", "ea_merchant_city", "ea_merchant_country")
    columns = (*of_the_bank, *of_the_card, "user_id", "created_date")
    return bank.transactions * sum(map(width, columns)) * min(LOOK_BACK_DAYS / bank.days, 1.0)


def waiting(bank: Bank) -> float:
    """Bytes of the rows that may have waited for their day: those dated after as_of was, which is two days."""
    columns = ("source_part", "rejection_code", "transaction_date")
    return bank.transactions * sum(map(width, columns)) * 2 / bank.days


def full_table(reads: Mapping[str, Reads], prices: Prices) -> list[str]:
    """A full refresh of banks of 1, 10 and 100 billion transactions."""
    lines = ["| transactions | full refresh | USD | slots for it in an hour |", "|---|---|---|---|"]
    for billions in SIZES:
        full = sum(model_bytes(reads["full"], Bank(billions * 1e9), looks=False).values())
        slots = full / prices.slot_bytes_per_second / 3600
        lines.append(f"| {billions} billion | {_size(full)} | {_usd(full, prices)} | {slots:,.0f} |")
    return lines


def night_table(reads: Mapping[str, Reads], prices: Prices) -> list[str]:
    """One night of the same banks, by what it finds."""
    lines = ["| transactions | a night finds | it scans | USD | USD a month of such nights |", "|---|---|---|---|---|"]
    for billions in SIZES:
        for night, words in NIGHTS.items():
            size = night_bytes(reads[night], Bank(billions * 1e9))
            cells = [f"{billions} billion", words, _size(size), _usd(size, prices), _usd(size * 30, prices)]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def model_table(reads: Mapping[str, Reads], prices: Prices) -> list[str]:
    """The models that the nights of 10 billion transactions are spent on."""
    nights = {night: model_bytes(reads[night], Bank(10e9), looks=True) for night in NIGHTS}
    dearest = nights[list(NIGHTS)[-1]]
    lines = [f"| model | {' | '.join(NIGHTS.values())} | USD at most | reads whole |", "|---|---|---|---|---|---|"]
    for model, most in list(dearest.items())[:18]:
        whole: dict[str, str] = {}
        for night, since in WHOLE_FROM.items():
            whole |= {table: f"`{table}`{since}" for table in sorted(read_whole(model, reads[night])) if table not in whole}
        sizes = [_size(sizes.get(model, 0.0)) for sizes in nights.values()]
        lines.append(f"| `{model}` | {' | '.join(sizes)} | {_usd(most, prices)} | {', '.join(whole.values())} |")
    return lines


def page(text: str, reads: Mapping[str, Reads]) -> str:
    """The page with its tables written anew."""
    tables = [full_table(reads, Prices()), night_table(reads, Prices()), model_table(reads, Prices())]
    parts = text.split(BEGIN)
    rests = [part.split(END, 1)[1] for part in parts[1:]]
    written = [f"{BEGIN}\n" + "\n".join(table) + f"\n{END}{rest}" for table, rest in zip(tables, rests, strict=True)]
    return parts[0] + "".join(written)


def _size(size: float) -> str:
    return f"{size / TIB:,.2f} TiB" if size >= TIB / 100 else f"{size / 2**30:,.1f} GiB"


def _usd(size: float, prices: Prices) -> str:
    return f"{size / TIB * prices.usd_per_tib:,.2f}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), json.loads(READS.read_text(encoding="utf-8"))), encoding="utf-8")
