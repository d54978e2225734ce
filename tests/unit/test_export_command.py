"""`neopulse export`: published rows as files that are whole, hold no formula, and are noted down."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hand_made import House

from pipeline import cli
from pipeline.clock import FixedClock
from pipeline.errors import PermanentError
from pipeline.exports import star
from pipeline.exports.relations import Note, export_relation
from pipeline.powerbi.star import TABLES
from pipeline.runs.store import RunStore
from pipeline.stop import EndInOrder
from pipeline.warehouse.publication import Publications, Version

PEOPLE = """
    select * from (values ('=1+1', 'FR', 12, true, date '2026-02-01'), ('b;@x', 'DE', -3, false, null))
        as people (user_id, country, balance, is_active, last_active_day)
"""


def neopulse(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    house = House.at(tmp_path / "home")
    house.publications.publish(house.candidate(1, {"marts.mart_people": PEOPLE}), clock=house.clock, guard=lambda: None)
    return house


@pytest.mark.usefixtures("house")
def test_the_list_names_every_relation_and_the_star() -> None:
    assert [line.split()[0] for line in neopulse("export").output.splitlines()] == ["name", "powerbi", "mart_people"]


@pytest.mark.usefixtures("house")
def test_a_parquet_file_has_the_rows_and_types_of_the_mart(tmp_path: Path) -> None:
    file = tmp_path / "people.parquet"
    assert neopulse("export", "mart_people", str(file)).output == f"{file}: 2 rows of mart_people, version v0001\n"
    assert duckdb.sql(f"select user_id, balance, is_active, last_active_day::text from '{file}'").fetchall() == [
        ("=1+1", 12, True, "2026-02-01"),
        ("b;@x", -3, False, None),
    ]


@pytest.mark.usefixtures("house")
def test_no_text_of_a_person_is_a_formula_in_csv_and_numbers_stay_numbers(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    neopulse("export", "mart_people", str(file))
    with file.open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["user_id", "country", "balance", "is_active", "last_active_day"],
            ["'=1+1", "FR", "12", "true", "2026-02-01"],
            ["b;'@x", "DE", "-3", "false", ""],
        ]


def test_an_export_is_noted_down_with_who_what_and_how_much(house: House, tmp_path: Path) -> None:
    neopulse("export", "mart_people", str(tmp_path / "people.csv"))
    [row] = house.store.acts()
    assert (row.action, row.what) == ("export", "mart_people")
    assert row.after == {"form": "csv", "rows": 2, "version": "v0001", "file": str(tmp_path / "people.csv")}


def test_a_file_that_cannot_be_noted_down_does_not_come_to_be(house: House, tmp_path: Path) -> None:
    refuse_acts(house.home)
    result = neopulse("export", "mart_people", str(tmp_path / "people.csv"))
    assert (result.exit_code, "no acts today" in result.output) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_nor_does_it_replace_the_file_before(house: House, tmp_path: Path) -> None:
    file = tmp_path / "people.parquet"
    file.write_text("what was there")
    refuse_acts(house.home)
    assert neopulse("export", "mart_people", str(file)).exit_code == 1
    assert file.read_text() == "what was there"


def test_a_rollback_that_cannot_be_noted_down_changes_nothing(house: House) -> None:
    house.publications.publish(house.candidate(2, {"marts.mart_people": PEOPLE}), clock=house.clock, guard=lambda: None)
    refuse_acts(house.home)
    result = neopulse("rollback", "v0001")
    assert (result.exit_code, "no acts today" in result.output) == (1, True)
    assert (now := house.publications.current()) is not None
    assert now.name == "v0002"


def refuse_acts(home: Path) -> None:
    """From here on the run store takes no act into its audit log."""
    refusing = "create trigger refusing before insert on audit begin select raise(abort, 'no acts today'); end"
    with sqlite3.connect(home / "run_store.db") as connection:
        connection.execute(refusing)
    connection.close()


TOLD_TO_END = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@pytest.fixture
def unheard() -> Iterator[None]:
    """A signal that nobody takes ends the test, not the tests."""

    def fails(number: int, _frame: object) -> None:
        raise AssertionError(f"nobody took signal {number}")

    before = {number: signal.signal(number, fails) for number in TOLD_TO_END}
    yield
    assert {signal.getsignal(number) for number in TOLD_TO_END} == {fails}
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("unheard")
@pytest.mark.parametrize("number", TOLD_TO_END)
def test_an_export_that_is_told_to_end_leaves_nothing_behind(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    seen = []

    def told(*_: object) -> object:
        seen.extend(path.name for path in tmp_path.iterdir() if path.name != "home")
        signal.raise_signal(number)

    monkeypatch.setattr("pipeline.exports.relations._cell", told)
    assert neopulse("export", "mart_people", str(tmp_path / "people.csv")).exit_code == 128 + number
    assert seen == [f".people.csv.{os.getpid()}.part"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert house.store.acts() == []


@pytest.mark.usefixtures("unheard")
def test_what_an_engine_makes_of_the_signal_is_no_failure_of_its_own() -> None:
    def engine() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            signal.raise_signal(signal.SIGTERM)  # once more, while it tidies up
            raise RuntimeError("Query interrupted") from None

    with pytest.raises(SystemExit) as ended, EndInOrder():
        engine()
    assert ended.value.code == 143


@pytest.fixture(scope="module")
def killed() -> int:
    """The number of a process that is gone."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.usefixtures("house")
def test_what_a_killed_export_to_the_same_file_left_goes_with_the_next(tmp_path: Path, killed: int) -> None:
    alive = os.getppid()
    others = [f".people.csv.{alive}.part", f".accounts.csv.{killed}.part", "people.csv.bak"]
    for name in (f".people.csv.{killed}.part", *others):
        (tmp_path / name).write_text("user_id\n1\n")
    assert neopulse("export", "mart_people", str(tmp_path / "people.csv")).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"home", "people.csv", *others}


@pytest.mark.usefixtures("house")
def test_after_a_day_it_goes_whoever_has_the_number_of_its_process_by_now(tmp_path: Path) -> None:
    remains = tmp_path / f".people.csv.{os.getppid()}.part"
    remains.write_text("user_id\n1\n")
    for hours, stays in ((23, True), (25, False)):
        moment = datetime.now(UTC).timestamp() - hours * 3600
        os.utime(remains, (moment, moment))
        neopulse("export", "mart_people", str(tmp_path / "people.csv"))
        assert remains.exists() is stays


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mart_peple", "x.csv"), "mart_peple is not in version v0001"),
        (("mart_people", "people.xlsx"), "neither .parquet nor .csv"),
        (("mart_people",), "where to?"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_is_written_or_noted(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = neopulse("export", *arguments)
    assert (result.exit_code, said in result.output) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert house.store.acts() == []


def test_what_stayed_in_bigquery_is_refused_with_its_place(house: House, tmp_path: Path) -> None:
    told = "select 'mart_customers' as relation, 7000000 as rows_there, 'bank.neopulse.mart_customers' as place"
    candidate = house.candidate(2, {"marts.mart_people": PEOPLE, "main.not_copied": told})
    rows = {**candidate.facts.rows, "mart_customers": 7_000_000}
    large = replace(candidate, facts=replace(candidate.facts, rows=rows))
    house.publications.publish(large, clock=house.clock, guard=lambda: None)
    result = neopulse("export", "mart_customers", str(tmp_path / "customers.csv"))
    assert result.exit_code == 2
    assert "mart_customers has 7,000,000 rows and stays in BigQuery" in result.output
    assert "bank.neopulse.mart_customers" in result.output
    assert not (tmp_path / "customers.csv").exists()


def test_before_the_first_version_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    result = neopulse("export", "powerbi", str(tmp_path / "star"))
    assert (result.exit_code, "Nothing has been published yet" in result.output) == (2, True)


def test_a_file_that_could_not_be_finished_leaves_the_one_before(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("what was there")

    def breaks(*_: object) -> object:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pipeline.exports.relations._cell", breaks)
    with pytest.raises(PermanentError, match=r"people\.csv could not be written: No space left"):
        export_relation(version_of(house.home), "mart_people", file, note=unnoted, clock=house.clock)
    assert file.read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "people.csv"]


@pytest.mark.usefixtures("house")
def test_a_place_that_takes_no_file_is_not_called_a_damaged_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.exports.relations._write_csv", lambda *_: (tmp_path / "gone" / "x").read_text())
    result = neopulse("export", "mart_people", str(tmp_path / "people.csv"))
    assert result.exit_code == 1
    assert "people.csv could not be written: No such file" in result.output
    assert "damaged" not in result.output


def version_of(home: Path) -> Version:
    version = Publications(home, keep=5).current()
    assert version is not None
    return version


def acts(home: Path) -> list[tuple[str, object]]:
    """What the audit log of a home holds, newest first."""
    store = RunStore.open(f"sqlite:///{home / 'run_store.db'}", clock=FixedClock(datetime(2026, 11, 1, tzinfo=UTC)))
    try:
        return [(row.what, row.after) for row in store.acts()]
    finally:
        store.close()


@pytest.mark.xdist_group("the bank of the pages")
class TestTheStar:
    """The tables of Power BI, of the small demo bank."""

    def test_every_table_has_the_columns_that_the_model_names(self, pages_bank: Path, tmp_path: Path) -> None:
        manifest = export(pages_bank, tmp_path)
        for table in TABLES:
            schema = pq.read_schema(star.newest(tmp_path) / f"{table.file}.parquet")
            assert schema.names == [column.source for column in table.columns]
            assert schema == star.schema(table)
        assert (manifest["version"], manifest["as_of"].isoformat()) == ("v0001", "2019-05-10")
        assert manifest["tables"]["customers"]["rows"] == version_of(pages_bank).rows["mart_customers"]

    def test_a_reader_that_follows_the_manifest_never_sees_half(
        self, pages_bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export(pages_bank, tmp_path)
        before = star.newest(tmp_path)
        monkeypatch.setattr(star, "_run_batches", lambda _: 1 / 0)  # the last table of the next export
        with pytest.raises(ZeroDivisionError):
            export(pages_bank, tmp_path, minute=1)
        assert star.newest(tmp_path) == before
        assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", before.name}

    def test_the_export_before_stays_for_who_is_reading_it_and_older_ones_go(self, pages_bank: Path, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        folders = [export(pages_bank, tmp_path, minute=minute)["folder"] for minute in (1, 2, 3)]
        assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "mine", *folders[1:]}
        assert json.loads((tmp_path / "manifest.json").read_text())["folder"] == folders[2]

    def test_an_export_that_cannot_be_noted_down_leaves_the_one_before(self, pages_bank: Path, tmp_path: Path) -> None:
        export(pages_bank, tmp_path)
        before = star.newest(tmp_path)

        def refuses(_rows: int) -> None:
            raise OSError(28, os.strerror(28))

        with pytest.raises(PermanentError, match="could not be written: No space left"):
            export(pages_bank, tmp_path, minute=1, note=refuses)
        assert star.newest(tmp_path) == before
        assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", before.name}

    def test_the_command_notes_it_down_before_the_tables_are_there(
        self, pages_bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home, folder = tmp_path / "home", tmp_path / "star"
        shutil.copytree(pages_bank, home, symlinks=True)
        monkeypatch.setenv("NEOPULSE_HOME", str(home))
        assert neopulse("export", "powerbi", str(folder)).exit_code == 0
        manifest = json.loads((folder / "manifest.json").read_text())
        rows = sum(table["rows"] for table in manifest["tables"].values())
        [noted] = acts(home)
        assert noted == ("powerbi", {"form": "parquet", "rows": rows, "version": "v0001", "folder": str(folder)})
        refuse_acts(home)
        assert neopulse("export", "powerbi", str(folder)).exit_code == 1
        assert {path.name for path in folder.iterdir()} == {"manifest.json", manifest["folder"]}

    @pytest.mark.usefixtures("unheard")
    def test_told_to_end_it_leaves_nothing_and_killed_it_leaves_what_the_next_one_removes(
        self, pages_bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int
    ) -> None:
        export(pages_bank, tmp_path)
        [whole] = [path.name for path in tmp_path.glob("v*")]
        monkeypatch.setenv("NEOPULSE_HOME", str(pages_bank))
        with monkeypatch.context() as patched:
            patched.setattr(star, "_run_batches", lambda _: signal.raise_signal(signal.SIGTERM))
            assert neopulse("export", "powerbi", str(tmp_path)).exit_code == 143
        assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", whole}
        alive = f".v0001-20261101T060000000001Z.{os.getppid()}.part"
        for name in (f".{whole}.{killed}.part", alive, f".mine.{killed}.part"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "customers.parquet").write_text("every customer")
        (tmp_path / f".manifest.json.{killed}.part").write_text("{")
        again = export(pages_bank, tmp_path, minute=1)["folder"]
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {"manifest.json", whole, again, alive, f".mine.{killed}.part"}

    def test_the_run_history_is_that_of_the_run_store(self, pages_bank: Path, tmp_path: Path) -> None:
        export(pages_bank, tmp_path)
        rows = pq.read_table(star.newest(tmp_path) / "runs.parquet").to_pylist()
        assert [(row["run"], row["state"]) for row in rows] == [(2, "succeeded"), (1, "succeeded")]
        assert rows[0]["version"] == "v0001"


def unnoted(_rows: int) -> None:
    """For tests of what is written."""


def export(home: Path, folder: Path, *, minute: int = 0, note: Note = unnoted) -> dict[str, object]:
    store = RunStore.open(f"sqlite:///{home / 'run_store.db'}", clock=FixedClock(datetime(2026, 11, 1, tzinfo=UTC)))
    try:
        clock = FixedClock(datetime(2026, 11, 1, 6, minute, tzinfo=UTC))
        return star.export_star(version_of(home), folder, runs=store.runs(), note=note, clock=clock)
    finally:
        store.close()
