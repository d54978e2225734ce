"""`neopulse export`: published rows as files that are whole, hold no formula, and are noted down."""

from __future__ import annotations

import csv
import json
import os
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
from pipeline.exports import star
from pipeline.exports.relations import export_relation
from pipeline.powerbi.star import TABLES
from pipeline.runs.store import RunStore
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
    with pytest.raises(OSError, match="No space left"):
        export_relation(version_of(house.home), "mart_people", file)
    assert file.read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "people.csv"]


def version_of(home: Path) -> Version:
    version = Publications(home, keep=5).current()
    assert version is not None
    return version


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

    def test_the_run_history_is_that_of_the_run_store(self, pages_bank: Path, tmp_path: Path) -> None:
        export(pages_bank, tmp_path)
        rows = pq.read_table(star.newest(tmp_path) / "runs.parquet").to_pylist()
        assert [(row["run"], row["state"]) for row in rows] == [(2, "succeeded"), (1, "succeeded")]
        assert rows[0]["version"] == "v0001"


def export(home: Path, folder: Path, *, minute: int = 0) -> dict[str, object]:
    store = RunStore.open(f"sqlite:///{home / 'run_store.db'}", clock=FixedClock(datetime(2026, 11, 1, tzinfo=UTC)))
    try:
        clock = FixedClock(datetime(2026, 11, 1, 6, minute, tzinfo=UTC))
        return star.export_star(version_of(home), folder, runs=store.runs(), clock=clock)
    finally:
        store.close()
