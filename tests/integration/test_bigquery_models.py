"""Every compiled model and data test goes through Google's analyzer: names, types and functions, without a row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
from scale_reads import QUALIFIED, Columns, raw_tables  # noqa: E402
from stand_ins.bigquery import google_sql  # noqa: E402
from stand_ins.bigquery.reads import joins_that_cannot_be_run  # noqa: E402
from stand_ins.bigquery.server import running  # noqa: E402
from stand_ins.bigquery.session import output_columns  # noqa: E402

from pipeline.bigquery import connect  # noqa: E402
from pipeline.extract.countries import land_country_facts  # noqa: E402
from pipeline.transform import DBT_PROJECT  # noqa: E402
from pipeline.warehouse.bigquery import BigQueryWarehouse  # noqa: E402


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """dbt's manifest of a full build for BigQuery; incremental models ask the service whether they are there."""
    target = tmp_path_factory.mktemp("target")
    with running() as stand_in:
        settings = bigquery_bank.settings(stand_in, target, threads=2)
        warehouse = BigQueryWarehouse(connect(settings), settings, project=DBT_PROJECT)
        command = [
            *(sys.executable, "-m", "dbt.cli.main", "compile", "--full-refresh", "--no-use-colors", "--no-version-check"),
            *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
            *("--target-path", str(target), "--log-path", str(target)),
        ]
        done = subprocess.run(command, env={**os.environ, **warehouse.environment()}, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    return dict(json.loads((target / "manifest.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Columns]:
    """What the dataset `raw` holds when dbt begins."""
    return raw_tables(land_country_facts(tmp_path_factory.mktemp("landing")).path)


def in_order(nodes: Mapping[str, Any]) -> Iterator[Any]:
    """The nodes, each after what it is made from."""
    told: set[str] = set()

    def tell(name: str) -> Iterator[Any]:
        if name in nodes and name not in told:
            told.add(name)
            for parent in nodes[name]["depends_on"]["nodes"]:
                yield from tell(parent)
            yield nodes[name]

    for name in nodes:
        yield from tell(name)


def test_google_takes_every_model_and_every_test(manifest: dict[str, Any], raw: dict[str, Columns]) -> None:
    nodes = {name: node for name, node in manifest["nodes"].items() if node.get("compiled_code")}
    assert len(nodes) > 130
    tables, refused = dict(raw), {}
    for node in in_order(nodes):
        scope = google_sql.Scope(tuple(google_sql.Table(name, columns) for name, columns in tables.items()))
        try:
            resolved = google_sql.analyze(QUALIFIED.sub(r"\1", node["compiled_code"]), scope)
        except google_sql.SqlError as error:
            refused[node["name"]] = str(error)
        else:
            if joins_that_cannot_be_run(resolved):
                refused[node["name"]] = "has an outer join without an equality of both sides"
            if node["resource_type"] == "model":
                tables[node["name"]] = output_columns(resolved)
    assert refused == {}


def test_the_tables_that_grow_with_the_bank_are_kept_by_day_and_customer(manifest: dict[str, Any]) -> None:
    layout = {node["name"]: node["config"] for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    assert layout["typed_transactions"]["partition_by"] == {"field": "transaction_date", "data_type": "date"}
    assert layout["fct_customer_days"]["partition_by"] == {"field": "activity_date", "data_type": "date"}
    assert layout["fct_customer_days"]["cluster_by"] == ["customer_key"]
