"""One awkward bank on both engines, run after run: every published table must come out equal, value for value.

Real dbt-bigquery and google-cloud-bigquery speak to the stand-in, where Google's own executor computes what they ask.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
from differences import close  # noqa: E402
from histories import History, Row, random_bank, write_csv  # noqa: E402
from stand_ins.bigquery.server import running  # noqa: E402

from pipeline.clock import FixedClock  # noqa: E402
from pipeline.runner import Order, Reporter, Runner  # noqa: E402
from pipeline.runs.holders import Holders  # noqa: E402
from pipeline.runs.records import Run, RunState  # noqa: E402
from pipeline.runs.store import RunStore  # noqa: E402
from pipeline.settings import Settings  # noqa: E402
from pipeline.warehouse import choice  # noqa: E402
from pipeline.warehouse.publication import Version  # noqa: E402

pytestmark = pytest.mark.slow

NIGHTS = {"all of the first bank": 25, "new days and late rows": 28, "an old day corrected, a customer moved": 30}
Tables = Mapping[str, list[Row]]


@dataclass(frozen=True)
class Night:
    """What one run published, on both engines."""

    name: str
    duckdb: Version
    bigquery: Version
    built_everything: tuple[bool, bool]


def awkward_bank() -> History:
    """Customers at the edges of the windows, dirty rows, odd identifiers, amounts that nobody can read, repeated ids."""
    history = random_bank(7, customers=16, first_day=date(2018, 12, 28), last_day=date(2019, 3, 24))
    history.customer(9001, opened=date(2019, 1, 1), plan="METAL")
    for day, amount in ((3, ""), (9, "n/a"), (29, "1e3"), (30, "-4.25"), (31, "0.00005")):
        history.transaction(9001, date(2019, 1, day), amount=amount, presence="TRUE")
    history.transaction(9001, date(2019, 2, 1), state="LOST")
    for user_id in ("user_b7-x", "00017", "", " user_9001 "):
        history.transaction(9001, date(2019, 2, 10))["user_id"] = user_id
    first = history.transaction(9001, date(2019, 2, 2), state="PENDING")
    history.transaction(9001, date(2019, 3, 2))["transaction_id"] = first["transaction_id"]
    history.transaction(9001, datetime(2019, 4, 3, tzinfo=UTC))  # still to come
    return history


def nights() -> Iterator[tuple[str, Tables]]:
    """The bank's tables as three runs find them."""
    whole = awkward_bank().tables()
    late = [row for row in whole["transactions"] if row["created_date"].startswith("2019-02-0")][::3]
    early = [row for row in whole["transactions"] if row["created_date"][:10] < "2019-03-12" and row not in late]
    names = iter(NIGHTS)
    yield next(names), {**whole, "transactions": early}
    yield next(names), whole
    corrected = copy.deepcopy(whole)
    completed = [row for row in corrected["transactions"] if row["transactions_state"] == "COMPLETED"]
    completed[3]["amount_usd"] = "77.77"
    corrected["transactions"].remove(completed[5])
    next(row for row in corrected["users"] if row["user_id"] == "user_9001")["plan"] = "STANDARD"
    yield next(names), corrected


def write_days(folder: Path, tables: Tables) -> Path:
    """The bank as files, a day of transactions in each; a file whose content has not changed is left alone."""
    kept = set()
    for day in sorted({row["created_date"][:10] for row in tables["transactions"]}):
        rows = [row for row in tables["transactions"] if row["created_date"][:10] == day]
        fresh = write_csv(folder.with_name("fresh"), {"transactions": rows}) / "transactions.csv"
        path = folder / f"transactions-{day.replace('/', '-')}.csv"
        if not path.exists() or path.read_bytes() != fresh.read_bytes():
            fresh.replace(path)
        kept.add(path)
    for path in set(folder.glob("transactions-*")) - kept:
        path.unlink()
    write_csv(folder, {name: rows for name, rows in tables.items() if name != "transactions"})
    return folder


def run(settings: Settings, day: int) -> Run:
    """Extract and transform on the morning of that day of March; returns how the transform ended."""
    clock = FixedClock(datetime(2019, 3, day, 5, tzinfo=UTC))
    store = RunStore.open(settings.run_store_url, clock=clock)
    publications, holders = choice.publications(settings), Holders(settings.home / "holders")
    runner = Runner(settings, store, publications, clock, holders, Reporter())
    for step in ("extract", "transform"):
        done = runner.execute(Order("cli", "the tests", first_step=step, only_step=True), cancelled=lambda: False)
        assert done.state is RunState.SUCCEEDED, done.error
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Night]]:
    folder, homes = tmp_path_factory.mktemp("bank"), tmp_path_factory.mktemp("homes")
    common: dict[str, Any] = {"inactivity_days": 14, "threads": 2}
    with running() as stand_in:
        done = []
        on_duckdb = Settings(_env_file=None, raw=folder, home=homes / "duckdb", memory_limit="1GB", **common)
        on_bigquery = bigquery_bank.settings(stand_in, homes / "bigquery", **common)
        for name, tables in nights():
            write_days(folder, tables)
            bigquery_bank.load(stand_in, tables)
            runs = [run(settings, NIGHTS[name]) for settings in (on_duckdb, on_bigquery)]
            versions = [choice.publications(settings).current() for settings in (on_duckdb, on_bigquery)]
            assert versions[0] is not None
            assert versions[1] is not None
            done.append(Night(name, versions[0], versions[1], (built_everything(runs[0]), built_everything(runs[1]))))
        yield done


def built_everything(done: Run) -> bool:
    step = next(step for step in done.steps if step.name == "transform")
    return bool(step.detail["full_refresh"])


@pytest.fixture(params=range(len(NIGHTS)), ids=list(NIGHTS))
def night(request: pytest.FixtureRequest, built: list[Night]) -> Night:
    return built[request.param]


def content(version: Version) -> dict[str, tuple[dict[str, str], list[tuple[Any, ...]]]]:
    """Columns with their types, and the sorted rows, of every table that a version has for its readers."""
    with duckdb.connect(version.database, read_only=True) as file:
        names = file.execute(
            "select table_schema, table_name from information_schema.tables where table_schema <> 'main'"
        ).fetchall()
        found = {}
        for schema, name in names:
            result = file.execute(f"select * from {schema}.{name}")
            columns = {column[0]: str(column[1]) for column in result.description or ()}
            found[f"{schema}.{name}"] = (columns, result.fetchall())
        return found


def test_every_mart_has_the_same_columns_types_and_values_on_both_engines(night: Night) -> None:
    wanted, found = content(night.duckdb), content(night.bigquery)
    assert found.keys() == wanted.keys()
    for name, (columns, rows) in wanted.items():
        if name.startswith("marts."):
            assert found[name][0] == columns, name
            assert rows or name.endswith("sync_lapsed_customers"), name
        assert list(found[name][0]) == list(columns), name
        assert different(name, columns, found[name][1], rows) == []


def different(name: str, columns: Mapping[str, str], found: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]]) -> list[str]:
    """Where the rows of one table differ, at most five; a text that quotes a row may be spelled otherwise."""
    kept = [place for place, column in enumerate(columns) if column != "source_row"]
    found, wanted = in_order(found, kept), in_order(wanted, kept)
    if len(found) != len(wanted):
        only = [row for row in found if row not in wanted][:3], [row for row in wanted if row not in found][:3]
        return [f"{name}: {len(found)} rows, not {len(wanted)}: {only}"]
    pairs = zip(found, wanted, strict=True)
    return [f"{name}: {one} is not {other}" for one, other in pairs if not all(map(equal, one, other))][:5]


def in_order(rows: list[tuple[Any, ...]], places: list[int]) -> list[tuple[Any, ...]]:
    """Rows of these columns, sorted so that the last digits of a float do not decide."""
    kept = [tuple(row[place] for place in places) for row in rows]
    return sorted(kept, key=lambda row: [f"{value:.6g}" if isinstance(value, float) else repr(value) for value in row])


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return close(one, other, 1e-12)
    return bool(one == other)


def test_both_engines_build_on_the_last_run_where_they_may(built: list[Night]) -> None:
    assert [night.built_everything for night in built] == [(True, True), (False, False), (False, False)]


def test_the_versions_tell_the_same(night: Night) -> None:
    assert night.bigquery.as_of == night.duckdb.as_of
    assert night.bigquery.rows == night.duckdb.rows
    assert night.bigquery.activity_rule == night.duckdb.activity_rule
    assert night.bigquery.tests.total == night.duckdb.tests.total > 60
