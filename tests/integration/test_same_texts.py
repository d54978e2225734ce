"""What a text of the bank means is the same on both engines: compiled staging models, on DuckDB and in Google's executor."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
from scale_reads import QUALIFIED  # noqa: E402
from stand_ins.bigquery import google_sql  # noqa: E402
from stand_ins.bigquery.columns import Column  # noqa: E402
from stand_ins.bigquery.server import running  # noqa: E402

from pipeline.bigquery import connect  # noqa: E402
from pipeline.sources.schema import RAW_TABLES  # noqa: E402
from pipeline.transform import DBT_PROJECT  # noqa: E402
from pipeline.warehouse.bigquery import BigQueryWarehouse  # noqa: E402
from pipeline.warehouse.duckdb import DuckDBWarehouse  # noqa: E402

TEN = datetime(2018, 3, 30, 10)
EIGHT = datetime(2018, 3, 30, 8)
MOMENTS = {
    "2018-03-30 10:00:00": TEN,
    "2018-03-30 10:00:00.5 UTC": datetime(2018, 3, 30, 10, 0, 0, 500000),
    "2018-03-30 10:00:00.123456789+00:00": datetime(2018, 3, 30, 10, 0, 0, 123456),
    "2018-03-30T10:00:00Z": TEN,
    "2018-03-30t10:00:00z": TEN,
    " 2018-03-30 10:00:00\t": TEN,
    "2018-03-30 10:00:00\u00a0": TEN,
    "2018-3-9 1:2:3": datetime(2018, 3, 9, 1, 2, 3),
    "2018-03-30": datetime(2018, 3, 30),
    "2018-03-30\n": datetime(2018, 3, 30),
    "02018-03-30": datetime(2018, 3, 30),
    "0999-12-31 10:00": datetime(999, 12, 31, 10),
    "9999-12-31 23:59:59.999999": datetime(9999, 12, 31, 23, 59, 59, 999999),
    "2018-03-30 00:00:00": datetime(2018, 3, 30),
    "2018-03-30 10:24:00": datetime(2018, 3, 30, 10, 24),
    "2018-03-30 10:00:00+02:00": EIGHT,
    "2018-03-30T10:00+02": EIGHT,
    "2018-03-30 10:00:00+2": EIGHT,
    "2018-03-30 10:00:00+2:00": EIGHT,
    "2018-03-30 10:00:00+0200": EIGHT,
    "2018-03-30 10:00:00 UTC+2": EIGHT,
    "2018-03-30 10:00:00 UTC-3:30": datetime(2018, 3, 30, 13, 30),
    "2018-03-30 10:00:00-13:59": datetime(2018, 3, 30, 23, 59),
    "2018-03-30 10:00:00+14:00": datetime(2018, 3, 29, 20),
    "2018-03-30 10:00:00 Europe/Paris": EIGHT,
    "2018-03-30 10:00:00 America/Port_of_Spain": datetime(2018, 3, 30, 14),
    "2018-03-30 10:00:00 Etc/GMT-2": EIGHT,
    "2018-03-30 10:00:00 EST5EDT": datetime(2018, 3, 30, 14),
    "2018-03-30 10:00:00 NZ": datetime(2018, 3, 29, 21),
    "2018-03-30 10:00:00 CET": EIGHT,
    **dict.fromkeys(
        (
            *(
                "2018/03/30 10:00:00",
                "2018/03/30 10:00:00 UTC",
                "2018/03/30 10:00:00+02:00",
                "2018/03/30",
                "2018\\03\\30 10:00:00",
            ),
            *("2018 03 30 10:00:00", "18-03-30 10:00:00", "218-03-30", "10000-01-01", "12018-03-30", "20180330", "30/03/2018"),
            *(
                "2018-02-30 10:00:00",
                "2018-03-30 24:00:00",
                "2018-03-30 24:00",
                "2018-03-30T24:00:00Z",
                "2018-03-30 24:00:00 UTC",
            ),
            *("2018-03-30 24:00:00+02:00", "2018-03-30 25:00:00", "2018-03-30 10:60:00", "2018-03-30 10", "2018-03-30 10:00:00."),
            *("2018-03-30 10:00:00 utc", "2018-03-30 10:00:00 europe/paris", "2018-03-30 10:00:00 EUROPE/PARIS"),
            *("2018-03-30 10:00:00 BST", "2018-03-30 10:00:00 ist", "2018-03-30 10:00:00 GMT+2", "2018-03-30 10:00:00 Z"),
            *(
                "2018-03-30 10:00:00+15:00",
                "2018-03-30 10:00:00+14:30",
                "2018-03-30 10:00:00+13:60",
                "2018-03-30 10:00:00 UTC+15",
            ),
            *("2018-03-30 10:00:00+02:30:15", "2018-03-30 10:00:00 +02:00", "2018-03-30 10:00:00 US/Pacific-New"),
            *("2018-03-30 10:00:00 SystemV/AST4ADT", "2018-03-30 10:00:00 Etc/Unknown", "2018-03-30 UTC", "2018-03-30Z"),
            *("0044-03-15 (BC)", "infinity", "-infinity", "epoch", "now", "today", "", " ", "n/a"),
        ),
        None,
    ),
}
AMOUNTS = {
    "12.5": Decimal("12.5"),
    " -5. ": Decimal(-5),
    "+.5": Decimal("0.5"),
    "1e3": Decimal(1000),
    "0.00005": Decimal("0.0001"),
    "-0.00005": Decimal("-0.0001"),
    "1.23454999999999": Decimal("1.2345"),
    "0.000049999999999": Decimal(0),
    "99999999999999.9999": Decimal("99999999999999.9999"),
    **dict.fromkeys(
        ("1_000", "1_0.5", "1e1_0", "1,000", "1 000", "0x10", "inf", "nan", "true", "$5", "99999999999999.99995", "1e14", ""),
        None,
    ),
}
NUMBERS = {
    "1980": 1980,
    "1980.0": 1980,
    " 2.5 ": 3,
    "-2.5": -3,
    "1e3": 1000,
    **dict.fromkeys(("1_980", "19_80.0", "0x7bc", "0X7BC", "0x1p3", "1,980", "1e10", "inf", "nan", "-", ""), None),
}
# What tells two copies of one moment apart, of which the first one counts. A text as identifier has another hash on each engine.
COPIES: Sequence[tuple[dict[str, str | None], dict[str, str | None]]] = (
    *(({"user_id": f"a{number}-x"}, {"user_id": f"b{number}-x"}) for number in range(12)),
    ({"user_id": "17"}, {"user_id": "5"}),
    ({"user_id": "5"}, {"user_id": "9007199254740993"}),
    ({"user_id": "user_a"}, {"user_id": "z"}),
    ({"transactions_type": ""}, {"transactions_type": "ATM"}),
    ({"transactions_type": "ATM"}, {"transactions_type": "ÉTRANGER"}),
    ({"transactions_state": "LOST"}, {"transactions_state": "SEEN"}),
    ({"amount_usd": "9.5"}, {"amount_usd": "10"}),
    ({"amount_usd": "-2"}, {"amount_usd": "1"}),
    ({"amount_usd": "10"}, {"amount_usd": ""}),
    ({"amount_usd": ""}, {"amount_usd": "n/a"}),
    ({"ea_cardholderpresence": "true"}, {"ea_cardholderpresence": "false"}),
    ({"ea_cardholderpresence": "false"}, {"ea_cardholderpresence": ""}),
    ({"ea_merchant_country": ""}, {"ea_merchant_country": "FRA"}),
)
Staging = Mapping[str, Mapping[str, str]]  # the compiled models by engine and name


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Staging:
    local, remote = tmp_path_factory.mktemp("duckdb"), tmp_path_factory.mktemp("bigquery")
    with running() as stand_in:
        settings = bigquery_bank.settings(stand_in, remote, threads=1)
        there = BigQueryWarehouse(connect(settings), settings, project=DBT_PROJECT)
        here = DuckDBWarehouse(local, project=DBT_PROJECT, memory_limit="1GB", threads=1)
        return {
            "duckdb": _compiled(local, here.environment()),
            "bigquery": _compiled(remote, there.environment()),
        }


def _compiled(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    command = [
        *(sys.executable, "-m", "dbt.cli.main", "compile", "--full-refresh", "--no-use-colors"),
        *("--select", "staging", "typed_transactions", "repeated_transactions"),
        *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--no-version-check"),
        *("--target-path", str(folder), "--log-path", str(folder), "--no-send-anonymous-usage-stats"),
    ]
    subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True)
    nodes = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["nodes"].values()
    return {node["name"]: node["compiled_code"] for node in nodes if node.get("compiled_code")}


def read(staging: Staging, table: str, column: str, texts: Sequence[str], asked: str) -> tuple[list[Any], list[Any]]:
    """What each text of a column becomes on DuckDB and on BigQuery."""
    columns = (*RAW_TABLES[table].columns, *(("source_part",) if table == "transactions" else ()))
    rows = [tuple({"source_part": 0, "user_id": "1", column: text}.get(name) for name in columns) for text in texts]
    types = tuple(Column(name, "INT64" if name == "source_part" else "STRING") for name in columns)
    given = google_sql.Table(table, types, google_sql.encode_rows(types, rows))
    query = f"select {asked} from ({staging['bigquery'][f'stg_bank__{table}']})"
    remote = google_sql.execute(QUALIFIED.sub(r"\1", query), google_sql.Scope((given,))).rows
    with duckdb.connect() as connection:
        declared = ", ".join(f"{name} {'bigint' if name == 'source_part' else 'varchar'}" for name in columns)
        connection.execute(f"set TimeZone = 'UTC'; create schema raw; create table raw.{table} ({declared})")
        connection.executemany(f"insert into raw.{table} values ({', '.join('?' * len(columns))})", rows)
        query = f"select {asked} from ({staging['duckdb'][f'stg_bank__{table}']})"
        local = connection.execute(re.sub(r'"[^"]+"\."raw"\.', "raw.", query)).fetchall()
    return [row[0] for row in local], [row[0] for row in remote]


@pytest.mark.parametrize("table", ["transactions", "users", "notifications"])
def test_a_moment_is_read_or_refused_alike(staging: Staging, table: str) -> None:
    asked = "case when {} is not null then created_at end"
    asked = asked.format(
        {"transactions": "transaction_date", "users": "opening_date", "notifications": "notification_date"}[table]
    )
    local, remote = read(staging, table, "created_date", list(MOMENTS), asked)
    assert dict(zip(MOMENTS, local, strict=True)) == MOMENTS
    assert dict(zip(MOMENTS, remote, strict=True)) == MOMENTS


def test_an_amount_is_read_or_refused_alike(staging: Staging) -> None:
    local, remote = read(staging, "transactions", "amount_usd", list(AMOUNTS), "amount_usd")
    assert dict(zip(AMOUNTS, local, strict=True)) == AMOUNTS
    assert dict(zip(AMOUNTS, remote, strict=True)) == AMOUNTS


def test_a_whole_number_is_read_or_refused_alike(staging: Staging) -> None:
    local, remote = read(staging, "users", "birth_year", list(NUMBERS), "birth_year")
    assert dict(zip(NUMBERS, local, strict=True)) == NUMBERS
    assert dict(zip(NUMBERS, remote, strict=True)) == NUMBERS


@pytest.mark.parametrize("order", [1, -1], ids=["as listed", "the other first"])
def test_of_two_copies_of_one_moment_the_same_one_counts(staging: Staging, order: int) -> None:
    common = {"user_id": "1", "created_date": "2018-03-30 10:00:00"}
    rows = [
        common | {"transaction_id": f"pair-{number}", "source_part": place} | copied
        for number, pair in enumerate(COPIES)
        for place, copied in enumerate(pair)
    ]
    for engine, counted in copies_that_count(staging, rows[::order]).items():
        wrong = [COPIES[number] for number in range(len(COPIES)) if counted[f"pair-{number}"] != 0]
        assert not wrong, engine


def copies_that_count(staging: Staging, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """By engine and transaction the part of the copy that counts, of raw rows whose parts tell them apart."""
    columns = (*RAW_TABLES["transactions"].columns, "source_part")
    values = [tuple(row.get(name) for name in columns) for row in rows]
    types = tuple(Column(name, "INT64" if name == "source_part" else "STRING") for name in columns)
    given = google_sql.Table("transactions", types, google_sql.encode_rows(types, values))
    remote = google_sql.execute(QUALIFIED.sub(r"\1", counting(staging["bigquery"])), google_sql.Scope((given,))).rows
    with duckdb.connect() as connection:
        declared = ", ".join(f"{name} {'bigint' if name == 'source_part' else 'varchar'}" for name in columns)
        connection.execute(f"set TimeZone = 'UTC'; create table transactions ({declared})")
        connection.executemany(f"insert into transactions values ({', '.join('?' * len(columns))})", values)
        local = connection.execute(re.sub(r'"[^"]+"\."[^"]+"\.', "", counting(staging["duckdb"]))).fetchall()
    return {"duckdb": dict(local), "bigquery": {row[0]: row[1] for row in remote}}


def counting(models: Mapping[str, str]) -> str:
    """The models of transactions one within the other, and what is asked of the last."""
    before = ", ".join(f"{name} as ({models[name]})" for name in ("stg_bank__transactions", "typed_transactions"))
    asked = f"select transaction_id, source_part from ({models['repeated_transactions']}) as repeated where copy_number = 1"
    return f"with {before} {asked}"


def moments(chance: random.Random) -> Iterator[str]:
    """Spellings of moments, right and wrong, without those that docs/decisions.md says are read by one engine alone."""
    zones = "Z z +00:00 -00:00 +02:00 -05:30 +2 +02 +0200 +14:00 +14:30 -13:59"
    names = "UTC UTC+2 GMT GMT+2 Europe/Paris CET BST NZ Zulu IST"
    behind = ["", *zones.split(), *(f" {name}" for name in names.split())]
    while True:
        separator = chance.choice("----/.")
        text = separator.join(
            (
                chance.choice(("2018", "1999", "0999", "218", "12018")),
                chance.choice(("3", "12", "13")),
                chance.choice(("9", "31")),
            )
        )
        if chance.random() < 0.9:
            text += chance.choice(" Tt_") + chance.choice(("0", "00", "23", "24")) + ":" + chance.choice(("0", "00", "59", "60"))
            text += chance.choice(("", ":00", ":5", ":59.000", ":59.123456789"))
            text += chance.choice(behind)
        yield chance.choice(("", " ", "\t")) + text + chance.choice(("", " ", "\n", "\u00a0"))


def test_no_spelling_of_a_moment_is_another_moment_on_the_other_engine(staging: Staging) -> None:
    spellings = moments(random.Random(20181028))
    texts = sorted({next(spellings) for _ in range(1500)})
    local, remote = read(
        staging, "transactions", "created_date", texts, "case when transaction_date is not null then created_at end"
    )
    assert len([moment for moment in local if moment]) > 150
    assert {text: pair for text, *pair in zip(texts, local, remote, strict=True) if pair[0] != pair[1]} == {}


def test_no_amount_is_another_on_the_other_engine(staging: Staging) -> None:
    chance, pieces = random.Random(4), ("0", "1", "9", "4999", "_", ".", "-", " ", ",")
    exponents = ("", "", "e1", "e-3", "E+2", "e1_0")
    texts = sorted({"".join(chance.choices(pieces, k=chance.randint(1, 3))) + chance.choice(exponents) for _ in range(3000)})
    local, remote = read(staging, "transactions", "amount_usd", texts, "amount_usd")
    assert len([amount for amount in local if amount is not None]) > 150
    assert {text: pair for text, *pair in zip(texts, local, remote, strict=True) if pair[0] != pair[1]} == {}
