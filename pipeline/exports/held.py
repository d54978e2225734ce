"""What an export for Power BI holds of the key figures, read from its Parquet files as the model's measures add them up."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import duckdb

from pipeline.errors import DataError
from pipeline.exports.star import MANIFEST
from pipeline.files import literally
from pipeline.marts.headline import PERIOD_DAYS
from pipeline.marts.holding import AMOUNT, CUSTOMERS, TRANSACTIONS, Holding, last_whole_month
from pipeline.powerbi.shapes import Table
from pipeline.powerbi.star import ACTIVITY, CHURN, GROWTH
from pipeline.powerbi.star import CUSTOMERS as CUSTOMER_TABLE
from pipeline.powerbi.star import TRANSACTIONS as TRANSACTION_TABLE

EVERYBODY = "segment_key = 'all:all'"

_FLOWS = """
    select
        sum(active_customers) filter (date = $as_of) as active_customers,
        sum(new_customers) as new_customers,
        sum(resurrected_customers) as resurrected_customers,
        sum(churned_customers) as churned_customers,
        (sum(new_customers) + sum(resurrected_customers)) / nullif(sum(churned_customers), 0) as quick_ratio
    from read_parquet($path, hive_partitioning = false) where {everybody} and date > $since and date <= $as_of
"""
_CHURN = """
    select sum(churned_customers) / nullif(sum(customers_at_start), 0) as monthly_churn_rate
    from read_parquet($path, hive_partitioning = false) where {everybody} and month = $month
"""
_ACTIVITY = """
    select sum(mau) as mau, sum(dau_in_28_days) / 28 / nullif(sum(mau), 0) as stickiness
    from read_parquet($path, hive_partitioning = false) where {everybody} and date = $as_of
"""
_CUSTOMERS = "select count(*) as customers from read_parquet($path, hive_partitioning = false)"
_PAYMENTS = """
    select coalesce(sum(transactions), 0) as transactions, coalesce(sum(amount_usd), 0) as transaction_amount
    from read_parquet($path, hive_partitioning = false)
    where {everybody} and date_trunc('month', month_end) = $month and transaction_state = 'COMPLETED'
"""
_NAMES = {"customers": CUSTOMERS, "transactions": TRANSACTIONS, "transaction_amount": AMOUNT}


def of_export(folder: Path) -> Holding:
    """What the newest whole export in a folder holds.

    Raises FileNotFoundError where there is none to be read, DataError where its files are not those of an export.
    """
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    as_of = date.fromisoformat(manifest["as_of"])
    files = folder / str(manifest["folder"])
    asked = {"as_of": as_of, "since": as_of - timedelta(days=PERIOD_DAYS), "month": last_whole_month(as_of)}
    figures: dict[str, float | None] = {}
    try:
        with duckdb.connect() as connection:
            for table, statement in _STATEMENTS:
                figures |= _row(connection, statement.format(everybody=EVERYBODY), asked, files / f"{table.file}.parquet")
    except duckdb.Error as error:
        raise DataError(
            f"The files of the export cannot be read: {str(error).splitlines()[0]}",
            where=str(files),
            safe="The published version",
            next=f"neopulse export powerbi {folder}",
        ) from error
    return Holding(str(manifest["version"]), as_of, figures)


_STATEMENTS: tuple[tuple[Table, str], ...] = (
    (CUSTOMER_TABLE, _CUSTOMERS),
    (GROWTH, _FLOWS),
    (CHURN, _CHURN),
    (ACTIVITY, _ACTIVITY),
    (TRANSACTION_TABLE, _PAYMENTS),
)


def _row(connection: duckdb.DuckDBPyConnection, statement: str, asked: dict[str, date], path: Path) -> dict[str, float | None]:
    if not path.exists():
        raise FileNotFoundError(path)
    wanted = {name: value for name, value in asked.items() if f"${name}" in statement} | {"path": literally(path)}
    found = connection.execute(statement, wanted)
    names = [column[0] for column in found.description or ()]
    [row] = found.fetchall()
    return {_NAMES.get(name, name): None if value is None else float(value) for name, value in zip(names, row, strict=True)}
