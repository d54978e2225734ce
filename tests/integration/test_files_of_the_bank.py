"""What a file of the bank says does not depend on the files beside it, on its name or on the folder that it lies in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import builds
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chain import Published, publish
from test_incremental import assert_same_tables

from pipeline.sources.schema import RAW_TABLES
from pipeline.warehouse import duckdb_state

CUSTOMERS = range(1, 41)
FIRST, LAST = date(2020, 1, 1), date(2020, 2, 29)
Column = Sequence[Any]


def write(path: Path, table: str, rows: int, **columns: Column) -> None:
    """A file of the bank with these columns, typed as they are; the others are empty texts."""
    whole = {name: columns.get(name, pa.nulls(rows, pa.string())) for name in RAW_TABLES[table].columns}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(whole), path)


def write_customers(folder: Path, *, name: str = "users.parquet", customers: Sequence[int] = CUSTOMERS) -> None:
    ids = pa.array(customers, pa.int64())
    opened = [datetime(2020, 1, 1)] * len(customers)
    countries = ["GB" if number <= 20 else "FR" for number in customers]
    write(
        folder / name,
        "users",
        len(customers),
        user_id=ids,
        created_date=pa.array(opened),
        country=countries,
        plan=["METAL"] * len(customers),
    )
    write(folder / "devices.parquet", "devices", 1, string_field_0=["Apple"], string_field_1=pa.array([1], pa.int64()))


def write_day(folder: Path, day: date, *, users: pa.DataType, ids: pa.DataType, amounts: pa.DataType, more: int = 0) -> None:
    """Each customer pays 1,234.56 on a day; `more` rows have no customer, which makes floats of pandas' whole numbers."""
    first = (day - FIRST).days * 100
    rows = len(CUSTOMERS) + more
    write(
        folder / f"transactions/{day}.parquet",
        "transactions",
        rows,
        transaction_id=pa.array([first + number for number in range(1, rows + 1)]).cast(ids),
        user_id=pa.array([*CUSTOMERS, *[None] * more]).cast(users),
        created_date=pa.array([datetime(day.year, day.month, day.day, 12)] * rows),
        transactions_type=["CARD_PAYMENT"] * rows,
        transactions_state=["COMPLETED"] * rows,
        amount_usd=pa.array([1234.56] * rows, pa.float64()).cast(amounts),
    )


def whole_numbers(folder: Path, day: date) -> None:
    write_day(folder, day, users=pa.int64(), ids=pa.int64(), amounts=pa.float32())


def floats(folder: Path, day: date) -> None:
    write_day(folder, day, users=pa.float64(), ids=pa.float64(), amounts=pa.float64(), more=1)


def figures(published: Published) -> Mapping[str, Any]:
    customers = published.reader.relation("dim_customers")
    months = published.reader.relation("mart_transactions_monthly")
    problems = published.reader.relation("mart_data_quality")
    return {
        "customers": (customers.num_rows, sum(customers["has_user_row"].to_pylist())),
        "transactions": (sum(months["transactions"].to_pylist()), round(sum(months["amount_usd"].to_pylist()), 4)),
        "problems": {row["reason"]: row["rows_affected"] for row in problems.to_pylist() if not row["reason"].startswith("day_")},
    }


def test_ids_that_one_days_file_has_as_floats_are_those_of_the_other_days(tmp_path: Path) -> None:
    raw, days = tmp_path / "raw", [FIRST, FIRST + timedelta(days=30), LAST - timedelta(days=1)]
    write_customers(raw)
    for day in days:
        whole_numbers(raw, day)
    with builds.building(builds.direct):
        publish(raw, tmp_path / "home")
    floats(raw, LAST)
    with builds.building(builds.forked):
        found = publish(raw, tmp_path / "home")
    right = {
        "customers": (40, 40),
        "transactions": (4 * 40, round(4 * 40 * 1234.56, 4)),
        "problems": {"missing_user_id": 1},
    }
    assert figures(found) == right
    with builds.building(builds.direct):
        wanted = publish(raw, tmp_path / "afresh", full_refresh=True)
    assert figures(wanted) == right
    assert_same_tables(found, wanted, after="a day of floats")


def test_a_transaction_that_comes_again_with_a_float_for_its_id_is_the_same_one(tmp_path: Path) -> None:
    write_customers(tmp_path / "raw")
    whole_numbers(tmp_path / "raw", LAST)
    path = tmp_path / f"raw/transactions/{LAST}.parquet"
    again = pq.read_table(path)
    place = again.column_names.index("transaction_id")
    pq.write_table(
        again.set_column(place, "transaction_id", again["transaction_id"].cast(pa.float64())), path.with_name("again.parquet")
    )
    with builds.building(builds.direct):
        found = figures(publish(tmp_path / "raw", tmp_path / "home"))
    assert found["transactions"] == (40, round(40 * 1234.56, 4))
    assert found["problems"] == {"exact_duplicate": 40}


def test_a_path_with_a_value_in_it_says_nothing_of_the_rows(tmp_path: Path) -> None:
    raw = tmp_path / "country=DE/created_date=2020-02-01/user_id=7/plan=STANDARD"
    write_customers(raw)
    whole_numbers(raw, LAST)
    with builds.building(builds.direct):
        published = publish(raw, raw / "home")
    assert published.as_of == LAST
    assert published.reader.relation("mart_customers")["country"].value_counts().to_pylist() == [
        {"values": "GB", "counts": 20},
        {"values": "FR", "counts": 20},
    ]


@pytest.mark.parametrize(
    ("one", "other", "folder"),
    [
        ("users[1].parquet", "users1.parquet", "[prod] *"),
        ("users*.parquet", "users-b.parquet", "raw"),
        ("users?.parquet", "users2.parquet", "raw?"),
    ],
)
def test_a_name_with_brackets_stars_or_question_marks_is_a_name(tmp_path: Path, one: str, other: str, folder: str) -> None:
    raw = tmp_path / "before"
    write_customers(raw, name=one, customers=CUSTOMERS[:20])
    write_customers(raw, name=other, customers=CUSTOMERS[20:])
    whole_numbers(raw, FIRST)
    whole_numbers(raw, LAST)
    (raw / f"transactions/{FIRST}.parquet").rename(raw / "transactions/2020-02-[123][09].parquet")  # a pattern of the other
    raw = raw.rename(tmp_path / folder)
    with builds.building(builds.direct):
        found = figures(publish(raw, tmp_path / "home [1]"))
    assert found == {"customers": (40, 40), "transactions": (80, round(80 * 1234.56, 4)), "problems": {}}


def test_files_are_read_apart_where_their_types_would_become_another_one(tmp_path: Path) -> None:
    kinds = {"a": pa.int64(), "b": pa.float64(), "c": pa.int64(), "d": pa.float32()}
    for name, kind in kinds.items():
        pq.write_table(pa.table({"id": pa.array([17]).cast(kind), "text": ["x"]}), tmp_path / f"{name}.parquet")
    paths = [tmp_path / f"{name}.parquet" for name in kinds]
    with duckdb.connect() as connection:
        assert duckdb_state._alike(connection, ["id", "text"], paths) == [[0, 2], [1], [3]]
        assert duckdb_state._alike(connection, ["text"], paths) == [[0, 1, 2, 3]]
        pq.write_table(pa.table({"id": ["x-17"], "text": ["x"]}), tmp_path / "e.parquet")
        beside_texts = [*paths, tmp_path / "e.parquet"]
        assert duckdb_state._alike(connection, ["id", "text"], beside_texts) == [[0, 1, 2, 3, 4]]
        read = f"select id::varchar from {duckdb_state.parquet(beside_texts)} order by file_index"
        assert [text for (text,) in connection.execute(read).fetchall()] == ["17", "17.0", "17", "17.0", "x-17"]
