"""DuckDB as the warehouse: what its state sees of the landed files, and what a reader may do with a version."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import damage
import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from pipeline.errors import DataError, OtherEditionError, PermanentError, TransientError
from pipeline.sources.landing import Fingerprint, LandedTable, Landing
from pipeline.sources.schema import RAW_TABLES
from pipeline.transform import DBT_PROJECT
from pipeline.warehouse import duckdb_state
from pipeline.warehouse.base import IN_THE_FUTURE, DamagedStateError
from pipeline.warehouse.duckdb import STATE, DuckDBWarehouse, ReadOnlyDuckDB


def landed(folder: Path, name: str, *parts: dict[str, list[Any]]) -> LandedTable:
    """A landed table of one file a part; columns that a part does not give are empty."""
    folder.mkdir(parents=True, exist_ok=True)
    marks = []
    for number, part in enumerate(parts):
        path = folder / f"{name}-{number}.parquet"
        rows = len(next(iter(part.values())))
        pa.parquet.write_table(pa.table({**{column: [None] * rows for column in RAW_TABLES[name].columns}, **part}), path)
        marks.append(Fingerprint.of(path))
    return LandedTable(name, tuple(marks), 0, RAW_TABLES[name].columns)


VARIABLES = {"current_bank_day": "2019-05-17", "inactivity_days": 90}


def warehouse_in(folder: Path) -> DuckDBWarehouse:
    """A warehouse whose state is in that folder, over a project without models."""
    project = folder / "project"
    project.mkdir(parents=True, exist_ok=True)
    (project / "dbt_project.yml").write_text("name: empty")
    return DuckDBWarehouse(folder, project=project, memory_limit="500MB", threads=1)


def prepared(folder: Path, *tables: LandedTable, external: Path | None = None) -> list[Any]:
    """What a state over these tables sees in `raw.transactions`: the amount, the moment and the code of each row."""
    landing = Landing("files", datetime(2019, 5, 17, tzinfo=UTC), {table.name: table for table in tables})
    facts = {"external_countries": external} if external else {}
    warehouse_in(folder).prepare(landing, external=facts, variables=VARIABLES, full_refresh=False)
    with duckdb.connect(folder / STATE) as connection:
        select = "select amount_usd, created_date, ea_merchant_mcc from raw.transactions order by all"
        return connection.execute(select).fetchall()


def test_every_value_of_the_bank_is_a_text_whatever_type_its_file_has(tmp_path: Path) -> None:
    moment = datetime(2018, 3, 1, 9, 30, tzinfo=UTC)
    texts: dict[str, list[Any]] = {
        "amount_usd": ["8.51"],
        "created_date": ["2018-02-01 09:30:00 UTC"],
        "ea_merchant_mcc": ["5411.0"],
    }
    typed: dict[str, list[Any]] = {"amount_usd": [9.5], "created_date": [moment], "ea_merchant_mcc": [5411]}
    assert prepared(tmp_path, landed(tmp_path / "in", "transactions", texts, typed)) == [
        ("8.51", "2018-02-01 09:30:00 UTC", "5411.0"),
        ("9.5", "2018-03-01 09:30:00+00", "5411"),
    ]


def test_a_table_that_the_bank_left_out_is_there_and_empty(tmp_path: Path) -> None:
    assert prepared(tmp_path) == []
    with duckdb.connect(tmp_path / STATE) as connection:
        columns = connection.execute("select * from raw.notifications").description
    assert tuple(column[0] for column in columns) == RAW_TABLES["notifications"].columns


def test_external_facts_keep_their_types_and_a_folder_may_have_a_quotation_mark(tmp_path: Path) -> None:
    folder = tmp_path / "the bank's own"
    folder.mkdir()
    pa.parquet.write_table(pa.table({"alpha_2": ["FR"], "population": [68_000_000]}), folder / "facts.parquet")
    prepared(folder, landed(folder, "transactions", {"amount_usd": ["1"]}), external=folder / "facts.parquet")
    with duckdb.connect(folder / STATE) as connection:
        assert connection.execute("select * from raw.external_countries").fetchall() == [("FR", 68_000_000)]


def test_a_landed_file_that_is_no_parquet_is_told_in_one_line(tmp_path: Path) -> None:
    table = landed(tmp_path, "transactions", {"amount_usd": ["1"]})
    table.files[0].write_text("amount_usd\n1\n")
    with pytest.raises(DataError) as refusal:
        prepared(tmp_path / "candidate", table)
    assert refusal.value.what.startswith("DuckDB gave up: ")
    assert "\n" not in refusal.value.what


def test_a_bank_without_a_complete_day_is_refused(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / STATE) as connection:
        connection.execute("create schema warehouse; create table warehouse.dim_publication as select null::date as as_of")
    with pytest.raises(DataError) as refusal:
        warehouse_in(tmp_path).publication_facts()
    assert refusal.value.what == "The data holds no complete day: there is nothing to count up to"


class Dying:
    """A connection of a process that is killed right after it dropped a first schema."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, statement: str, *parameters: Any) -> Any:
        result = self._connection.execute(statement, *parameters)
        if statement.startswith("drop schema"):
            raise KeyboardInterrupt
        return result


def test_what_a_killed_build_spilled_goes_with_its_end_or_with_the_next_build(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path)

    def spilled() -> Path:
        path = Path(warehouse.environment()["DBT_TEMP_FOLDER"]) / "duckdb_temp_12_0_storage_DEFAULT-0.tmp"
        path.parent.mkdir(exist_ok=True)
        path.write_text("customers")
        return path

    left = spilled()
    warehouse.abandon()
    assert not left.exists()
    left = spilled()
    (tmp_path / f"{STATE}.tmp").mkdir()
    landing = Landing("files", datetime(2019, 5, 17, tzinfo=UTC), {})
    warehouse.prepare(landing, external={}, variables=VARIABLES, full_refresh=True)
    assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {STATE, "project"}


def test_nobody_builds_on_what_is_left_when_a_process_dies_while_it_forgets_a_state(tmp_path: Path) -> None:
    landing = Landing("files", datetime(2019, 5, 17, tzinfo=UTC), {})
    asked: dict[str, Any] = {"current_bank_day": "2019-05-17", "full_refresh": False}
    with duckdb.connect(tmp_path / STATE) as connection:
        duckdb_state.begin(connection, landing, signature="these settings", **asked)
        connection.execute("create schema warehouse")
        connection.execute("create table warehouse.dim_publication as select date '2019-05-16' as as_of")
        duckdb_state.seal(connection)
        with pytest.raises(KeyboardInterrupt):
            duckdb_state.begin(Dying(connection), landing, signature="other settings", **asked)  # type: ignore[arg-type]
        again = duckdb_state.begin(connection, landing, signature="these settings", **asked)
    assert (again.full_refresh, again.reason) == (True, "nothing was built before")
    assert again.variables["previous_as_of"] == ""


def test_a_file_that_is_rewritten_with_its_size_and_date_of_before_is_read_again(tmp_path: Path) -> None:
    table = landed(tmp_path / "in", "transactions", {"amount_usd": ["1"]}, {"amount_usd": ["2"]}, {"amount_usd": ["3"]})
    landing = Landing("files", datetime(2019, 5, 17, tzinfo=UTC), {"transactions": table})
    asked: dict[str, Any] = {"signature": "these settings", "current_bank_day": "2019-05-17", "full_refresh": False}
    with duckdb.connect(tmp_path / STATE) as connection:
        duckdb_state.begin(connection, landing, **asked)
        connection.execute(LAST_BUILD)
        duckdb_state.seal(connection)
        path, before = table.files[1], table.files[1].stat()
        landed(tmp_path / "other", "transactions", {"amount_usd": ["7"]})
        path.write_bytes((tmp_path / "other" / "transactions-0.parquet").read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        with pytest.raises(DataError, match="has changed since it was landed"):
            landing.verify()
        again = dataclasses.replace(table, fingerprints=tuple(map(Fingerprint.of, table.files)))
        increment = duckdb_state.begin(connection, dataclasses.replace(landing, tables={"transactions": again}), **asked)
        assert not increment.full_refresh
        assert connection.execute("select amount_usd, source_part from raw.transactions").fetchall() == [("7", 1)]


LAST_BUILD = """
create schema warehouse;
create table warehouse.dim_publication as select date '2019-05-16' as as_of;
create table warehouse.typed_transactions as select 0 as source_part, 0 as rejection_code, date '2019-01-01' as transaction_date;
create table warehouse.customer_accounts as select '' as rejection_reason, date '2019-01-01' as opening_date;
"""


@pytest.mark.parametrize("kind", damage.WHOLE_FILE)
def test_a_state_that_is_damaged_is_told_apart_and_can_be_set_aside(tmp_path: Path, kind: str) -> None:
    prepared(tmp_path)
    path = tmp_path / STATE
    damage.WHOLE_FILE[kind](path)
    broken = path.read_bytes()
    with pytest.raises(DamagedStateError, match="The state that runs build on is damaged") as told:
        prepared(tmp_path)
    assert told.value.where == str(path)
    assert path.read_bytes() == broken
    warehouse_in(tmp_path).set_aside()
    assert prepared(tmp_path) == []
    assert (tmp_path / f"{STATE}.damaged").read_bytes() == broken
    warehouse_in(tmp_path).discard()
    assert list(tmp_path.glob(f"{STATE}*")) == []


KILLED = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1], config={"checkpoint_threshold": "1GB"})
for number in range(40):
    connection.execute(f"create table raw.of_a_build_{number} as select hash(range)::varchar as text from range(3000)")
os.kill(os.getpid(), 9)
"""


def test_a_damaged_log_of_a_killed_process_goes_aside_with_its_state(tmp_path: Path) -> None:
    prepared(tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / STATE)], check=False)
    assert killed.returncode == -signal.SIGKILL
    log = tmp_path / f"{STATE}.wal"
    damage.overwritten(at=log.stat().st_size // 2)(log)
    with pytest.raises(DamagedStateError, match="Corrupt WAL file"):
        prepared(tmp_path)
    warehouse_in(tmp_path).set_aside()
    assert prepared(tmp_path) == []
    assert sorted(path.name for path in tmp_path.glob("*.damaged")) == [f"{STATE}.damaged", f"{STATE}.wal.damaged"]


def test_a_state_that_another_process_holds_is_not_damaged(tmp_path: Path) -> None:
    prepared(tmp_path)
    holding = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holding, str(tmp_path / STATE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TransientError, match="Could not set lock") as told:
            prepared(tmp_path)
        holder.kill()
    assert told.value.next == "end the process that holds the file, then neopulse run --from transform"
    assert prepared(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_state_that_may_not_be_read_is_not_damaged(tmp_path: Path) -> None:
    prepared(tmp_path)
    (tmp_path / STATE).chmod(0)
    with pytest.raises(PermanentError, match="Permission denied") as told:
        prepared(tmp_path)
    assert not isinstance(told.value, DamagedStateError)


@pytest.mark.parametrize(
    "words",
    [
        'IO Error: Cannot open file "{state}": Permission denied',
        'IO Error: Could not write file "{state}": No space left on device',
        'IO Error: Could not read from file "{state}": Input/output error',
        'IO Error: Could not read enough bytes from file "/raw/transactions.parquet": attempted to read 8 bytes from location 4',
        "Out of Memory Error: failed to allocate data of size 1.0 MiB",
    ],
)
def test_what_else_can_keep_a_state_from_being_read_is_not_damage(tmp_path: Path, words: str) -> None:
    assert warehouse_in(tmp_path).refusal(words.format(state=tmp_path / STATE)) is None


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "v0001" / "published.duckdb"
    path.parent.mkdir()
    with duckdb.connect(path) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.mart_days as select date '2018-01-01' + range::integer as date, range as number,"
            " timestamptz '2018-01-01 00:00:00+00' as moment from range(500)"
        )
    return path


def test_a_reader_gets_typed_rows_for_named_parameters(database: Path) -> None:
    rows = ReadOnlyDuckDB(database).query(
        "select * from marts.mart_days where number = $number and date > $after", {"number": 3, "after": date(2018, 1, 1)}
    )
    assert rows.to_pylist() == [{"date": date(2018, 1, 4), "number": 3, "moment": datetime(2018, 1, 1, tzinfo=UTC)}]


@pytest.mark.parametrize(
    "statement", ["drop table marts.mart_days", "select * from read_text('{path}')", "copy marts.mart_days to '{path}.csv'"]
)
def test_a_reader_can_neither_write_nor_reach_another_file(database: Path, statement: str) -> None:
    with pytest.raises(duckdb.Error):
        ReadOnlyDuckDB(database).query(statement.format(path=database))


def test_a_reader_reads_on_when_its_version_is_pruned(database: Path) -> None:
    reader = ReadOnlyDuckDB(database)
    shutil.rmtree(database.parent)
    assert reader.query("select sum(number) as total from marts.mart_days").to_pylist() == [{"total": 124_750}]


def test_an_answer_is_kept_for_its_parameters_and_one_that_is_too_heavy_is_not(database: Path) -> None:
    reader = ReadOnlyDuckDB(database)
    numbers = "select range as number from range($count)"
    assert reader.query(numbers, {"count": 3}) is reader.query(numbers, {"count": 3})
    assert reader.query(numbers, {"count": 4}).num_rows == 4
    assert reader.query(numbers, {"count": 1_000_000}) is not reader.query(numbers, {"count": 1_000_000})


def test_twenty_threads_share_one_reader(database: Path) -> None:
    reader = ReadOnlyDuckDB(database)

    def counted(limit: int) -> Any:
        return reader.query("select count(*) as days from marts.mart_days where number < $limit", {"limit": limit})["days"][
            0
        ].as_py()

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(counted, range(200))) == list(range(200))


def test_what_does_not_fit_in_memory_never_goes_into_the_versions_folder(database: Path) -> None:
    reader = ReadOnlyDuckDB(database)
    setting = "select current_setting('temp_directory') as folder"
    assert not Path(reader.query(setting)["folder"][0].as_py()).is_relative_to(database.parent)


def test_a_version_that_is_gone_and_one_that_is_damaged_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ReadOnlyDuckDB(tmp_path / "published.duckdb")
    (tmp_path / "published.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(PermanentError) as refusal:
        ReadOnlyDuckDB(tmp_path / "published.duckdb")
    assert refusal.value.next.startswith("neopulse versions, then neopulse rollback VERSION, or neopulse run")


@pytest.mark.parametrize("statement", ["from marts.mart_weeks", "select weekday from marts.mart_days"])
def test_what_another_neopulse_did_not_publish_is_told_as_that_with_the_version(database: Path, statement: str) -> None:
    reader = ReadOnlyDuckDB(database)
    for ask in (reader.query, lambda sql: list(reader.batches(sql))):
        with pytest.raises(OtherEditionError, match="v0001 was published by another neopulse than this one: ") as refusal:
            ask(statement)
        assert (refusal.value.where, refusal.value.next) == ("v0001", "neopulse run")


def test_the_code_of_rows_in_the_future_is_the_place_of_that_word_in_the_models() -> None:
    macros = (DBT_PROJECT / "macros" / "activity.sql").read_text(encoding="utf-8")
    words = re.search(r"macro rejection_reasons\(\).*?return\((\[.*?\])\)", macros, re.DOTALL)
    assert words is not None
    assert ast.literal_eval(words[1])[IN_THE_FUTURE - 1] == "in_the_future"


def test_what_readers_ask_lies_in_the_order_that_its_model_names(tmp_path: Path) -> None:
    rows = [(word, number) for number in (2, None, 1) for word in ("Écosse", "aland", "Zypern", None, "", "Aland")]
    warehouse = warehouse_in(tmp_path / "state")
    with duckdb.connect(tmp_path / "state" / STATE) as state:
        state.execute("create schema marts; create table marts.of_countries (country varchar, n integer)")
        state.execute("create table marts.of_nobody (country varchar, n integer)")
        state.executemany("insert into marts.of_countries values (?, ?)", rows)

    target = tmp_path / "version"
    target.mkdir()
    warehouse.copy_readable(target, orders={"of_countries": "country, n", "of_nobody": "n, country"}, types={})

    def by_bytes_and_absent_last(row: tuple[str | None, int | None]) -> Any:
        word, number = row
        return word is None, (word or "").encode(), number is None, number or 0

    with duckdb.connect(target / "published.duckdb") as file:
        assert file.execute("from marts.of_countries").fetchall() == sorted(rows, key=by_bytes_and_absent_last)
        assert file.execute("from marts.of_nobody").fetchall() == []
        assert [str(kind) for kind in file.table("marts.of_countries").types] == ["VARCHAR", "INTEGER"]
        assert file.execute("from duckdb_types() where not internal").fetchall() == []
