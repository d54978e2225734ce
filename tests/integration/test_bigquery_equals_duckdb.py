"""One awkward bank on both engines, run after run: every published table must come out equal, value for value.

Real dbt-bigquery and google-cloud-bigquery speak to the stand-in, where Google's own executor computes what they ask.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
from engines import NIGHTS, built_everything, content, different, nights, run, write_days  # noqa: E402
from scale_reads import Analyst, Reads, of_models, raw_tables, remembered  # noqa: E402
from stand_ins.bigquery.faults import Call  # noqa: E402
from stand_ins.bigquery.server import StandIn, running  # noqa: E402

from pipeline.extract.countries import land_country_facts  # noqa: E402
from pipeline.settings import Settings  # noqa: E402
from pipeline.warehouse.publication import Version  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import scale  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.proof]


@dataclass(frozen=True)
class Night:
    """What one run published on both engines, whether it began from nothing, and what it asked of BigQuery."""

    name: str
    duckdb: Version
    bigquery: Version
    built_everything: tuple[bool, bool]
    calls: list[Call]
    sizes: Mapping[str, Counter[str]]

    @property
    def models(self) -> list[dict[str, Any]]:
        """The models as they were compiled for BigQuery."""
        found: list[dict[str, Any]] = json.loads((self.bigquery.folder / "models.json").read_text(encoding="utf-8"))
        return found


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
            bigquery_bank.load(stand_ins.client(stand_in, bigquery_bank.SOURCE_PROJECT), tables)
            calls = len(stand_in.calls)
            (one, local), (other, remote) = run(on_duckdb, name), run(on_bigquery, name)
            began = (built_everything(one), built_everything(other))
            done.append(Night(name, local, remote, began, stand_in.calls[calls:], sizes(stand_in)))
        yield done


def sizes(stand_in: StandIn) -> dict[str, Counter[str]]:
    """The bytes of each column of each table that is there now, the bank's too; without the year 1, which is in no figure."""
    held = stand_in.warehouse
    places = [(bigquery_bank.SOURCE_PROJECT, bigquery_bank.SOURCE)]
    places += [(bigquery_bank.PROJECT, f"neopulse_{schema}") for schema in ("raw", "warehouse", "marts")]
    found: dict[str, Counter[str]] = {}
    for relation in (relation for place in places for relation in held.relations(*place) if relation.kind == "TABLE"):
        columns = found.setdefault(relation.id.table, Counter())
        for (partition, column), size in held.sizes(relation).items():
            columns[column] += size * (not partition.startswith("0001"))
    return found


@pytest.fixture(params=range(len(NIGHTS)), ids=list(NIGHTS))
def night(request: pytest.FixtureRequest, built: list[Night]) -> Night:
    return built[request.param]


def test_every_mart_has_the_same_columns_types_and_values_on_both_engines(night: Night) -> None:
    wanted = content(night.duckdb)
    assert sum(len(rows) > 0 for _, rows in wanted.values()) > 25
    assert different(content(night.bigquery), wanted) == []


def test_both_engines_build_on_the_last_run_where_they_may(built: list[Night]) -> None:
    assert [night.built_everything for night in built] == [(True, True), (False, False), (False, False)]


def test_the_versions_tell_the_same(night: Night) -> None:
    assert night.bigquery.as_of == night.duckdb.as_of
    assert night.bigquery.rows == night.duckdb.rows
    assert night.bigquery.activity_rule == night.duckdb.activity_rule
    assert night.bigquery.tests.total == night.duckdb.tests.total > 60


def test_every_query_carries_the_application_the_run_and_the_model(night: Night) -> None:
    queries = [call for call in night.calls if call.job_kind == "query"]
    assert {call.labels.get("application") for call in queries} == {"neopulse"}
    models = {call.labels["model"] for call in queries if "model" in call.labels}
    assert {"typed_transactions", "fct_customer_days", "mart_customers"} <= models


def test_the_scale_is_computed_from_what_the_models_read(built: list[Night], tmp_path: Path) -> None:
    analyst = Analyst(raw_tables(land_country_facts(tmp_path).path))
    views = [model["name"] for model in built[0].models if model["name"] == "fct_transactions" or model["schema"] == "staging"]

    def reads(night: Night) -> Reads:
        return of_models(night.models, analyst, partition_columns=scale.PARTITION_COLUMNS, views=views)

    full = reads(built[0])
    analyst.tables |= remembered(analyst.tables)
    found, written = {"full": full, "night": reads(built[1])}, tmp_path / scale.READS.name
    written.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    again = f"models read otherwise now: cp {written} {scale.READS}, then python scripts/scale.py"
    assert found == json.loads(scale.READS.read_text(encoding="utf-8")), again


def test_the_formula_of_the_scale_gives_the_bytes_that_are_counted(built: list[Night]) -> None:
    night, reads = built[0], json.loads(scale.READS.read_text(encoding="utf-8"))["full"]
    small = sum(sum(columns.values()) for table, columns in night.sizes.items() if table not in scale.PARTITION_COLUMNS)
    checked = 0
    for model, tables in reads.items():
        predicted = sum(night.sizes[table][column] for table, read in tables.items() for column in read["columns"])
        of_model = (call for call in night.calls if call.labels.get("model") == model)
        made = [call.bytes_processed for call in of_model if "create or replace table" in (call.statement or "")]
        checked += len(made)
        assert not made or 0 < predicted <= max(made) <= predicted + small, model  # a view is read when it is copied
    assert checked > 20


def test_what_a_model_asks_before_its_own_statement_is_in_the_scale(built: list[Night]) -> None:
    night = built[1]
    for model, (table, columns) in scale.LOOKS.items():
        asked = [call for call in night.calls if call.labels.get("model") == model and "string_agg" in (call.statement or "")]
        found = [call.bytes_processed for call in asked if table in (call.statement or "")]
        predicted, whole = sum(night.sizes[table][column] for column in columns), sum(night.sizes[table].values())
        assert len(found) > 0, model
        assert all(predicted <= size < whole / 2 for size in found), (model, found, predicted, whole)


def test_the_page_of_the_scale_says_what_the_formula_gives() -> None:
    text = scale.PAGE.read_text(encoding="utf-8")
    assert text == scale.page(text, json.loads(scale.READS.read_text(encoding="utf-8")))
