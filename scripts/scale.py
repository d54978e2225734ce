"""Bytes, money and slots of BigQuery for a billion transactions and more, by formula; writes the tables of docs/scale.md.

    bytes of a model = sum over the large tables that it reads of  rows x bytes of the columns that it reads x share of days

Which columns those are is in scale_reads.json, found by Google's analyzer in the compiled models; a test compares it with them
and the formula with the bytes that the stand-in counts. The sizes of the columns and the rows for each transaction are the
demo bank's. Run it with `python scripts/scale.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READS = ROOT / "scripts" / "scale_reads.json"
PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- written by scripts/scale.py -->", "<!-- end -->"
TIB = 2**40
LOOK_BACK_DAYS = 35

# Kept by this column; in one piece where there is none.
PARTITION_COLUMNS = {
    "transactions": "source_part",
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
    "transactions": 1.0,
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
    # computed from created_date: no column of its own
    "source_part_of_the_bank": 0.0,
    # what the models add; texts that only odd rows have count as nothing
    **{"transaction_type": 12.0, "transaction_state": 11.0, "merchant_country": 3.0, "is_card_holder_present": FLAG},
    **dict.fromkeys(("transaction_id_text", "user_id_text", "doubt", "rejection_reason", "rejected_row"), 0.0),
    **dict.fromkeys(("is_activity", "has_user_row", "crypto_unlocked", "notifications_push", "notifications_email"), FLAG),
    **dict.fromkeys(("completed_amount_usd", "activity_amount_usd"), MONEY),
    **{"country": 4.0, "plan": 10.0, "plan_tier": 10.0, "os": 8.0, "age_band": 7.0, "signup_cohort": 9.0, "city": 9.0},
}


@dataclass(frozen=True)
class Bank:
    """A bank of so many transactions in so many days; a night reads the last of them: by month, so up to 31."""

    transactions: float
    days: int = 5 * 365
    changed_days: int = 31


@dataclass(frozen=True)
class Prices:
    """On demand, in USD; and how much one slot scans and works in a second, which is a guess to plan with."""

    usd_per_tib: float = 6.25
    slot_bytes_per_second: float = 50e6


def width(table: str, column: str) -> float:
    """Bytes of a column in a row."""
    if (table, column) == ("transactions", "source_part"):
        return BYTES["source_part_of_the_bank"]
    return BYTES.get(column, NUMBER)


def table_bytes(table: str, read: Mapping[str, object], bank: Bank, *, whole: bool) -> float:
    """Bytes that one reference to a table scans."""
    columns = read["columns"]
    assert isinstance(columns, list)
    by_days = read["some_days"] or table == "transactions"  # the view over the bank's table takes the days that changed
    share = bank.changed_days / bank.days if by_days and not whole else 1.0
    return ROWS[table] * bank.transactions * sum(width(table, column) for column in columns) * share


def model_bytes(reads: Mapping[str, Mapping[str, Mapping[str, object]]], bank: Bank, *, whole: bool) -> dict[str, float]:
    """Bytes by model, the largest first; of a night with what the models ask beforehand."""
    found = {
        model: sum(table_bytes(table, read, bank, whole=whole) for table, read in tables.items())
        for model, tables in reads.items()
    }
    for model, (table, columns) in ({} if whole else LOOKS).items():
        found[model] += ROWS[table] * bank.transactions * sum(width(table, column) for column in columns)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


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
    return bank.transactions * sum(width("transactions", column) for column in columns) * min(LOOK_BACK_DAYS / bank.days, 1.0)


def waiting(bank: Bank) -> float:
    """Bytes of the rows that may have waited for their day: those dated after as_of was, which is two days."""
    columns = ("source_part", "rejection_code", "transaction_date")
    return bank.transactions * sum(width("typed_transactions", column) for column in columns) * 2 / bank.days


def size_table(reads: Mapping[str, dict[str, dict[str, dict[str, object]]]], prices: Prices) -> list[str]:
    """Full refresh and one night of banks of 1, 10 and 100 billion transactions."""
    lines = [
        "| transactions | full refresh | USD | slots for it in an hour | one night | USD a night | USD a month |",
        "|---|---|---|---|---|---|---|",
    ]
    for billions in (1, 10, 100):
        bank = Bank(billions * 1e9)
        full = sum(model_bytes(reads["full"], bank, whole=True).values())
        night = sum(model_bytes(reads["night"], bank, whole=False).values()) + looking_back(bank) + waiting(bank)
        slots = full / prices.slot_bytes_per_second / 3600
        cells = [f"{billions} billion", _size(full), _usd(full, prices), f"{slots:,.0f}"]
        cells += [_size(night), _usd(night, prices), _usd(night * 30, prices)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def model_table(reads: Mapping[str, dict[str, dict[str, dict[str, object]]]], prices: Prices) -> list[str]:
    """The models that a night of 10 billion transactions is spent on."""
    bank = Bank(10e9)
    night = model_bytes(reads["night"], bank, whole=False)
    lines = ["| model | one night, 10 billion | USD | reads whole |", "|---|---|---|---|"]
    for model, size in list(night.items())[:10]:
        whole = {table for table, read in reads["night"][model].items() if not read["some_days"]} | {*LOOKS.get(model, ())[:1]}
        tables = ", ".join(f"`{table}`" for table in sorted(whole))
        lines.append(f"| `{model}` | {_size(size)} | {_usd(size, prices)} | {tables} |")
    return lines


def page(text: str, reads: Mapping[str, dict[str, dict[str, dict[str, object]]]]) -> str:
    """The page with its tables written anew."""
    tables = [size_table(reads, Prices()), model_table(reads, Prices())]
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
