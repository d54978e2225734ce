"""What our way of building relations on DuckDB refuses, in the project itself with a model more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from pipeline.transform import DBT_PROJECT
from pipeline.warehouse.duckdb import DuckDBWarehouse

WITH_A_KEY = "{{ config(materialized='incremental', unique_key='number') }} select 1 as number"
READS_ITSELF = (
    "{{ config(materialized='table') }} select 1 as number {% if execute %}union all select number from {{ this }}{% endif %}"
)
READS_NOTHING = "{{ config(materialized='table') }} select 1 as number"
CONTRACT = """
version: 2
models:
  - name: reads_itself
    config: {contract: {enforced: true}}
    columns: [{name: number, data_type: integer}]
  - name: reads_nothing
    config: {contract: {enforced: true}}
    columns: [{name: number, data_type: integer}]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """How each of these models ended, and what was said about it."""
    folder = tmp_path_factory.mktemp("guards")
    project = shutil.copytree(DBT_PROJECT, folder / "project")
    for name, text in (("with_a_key", WITH_A_KEY), ("reads_itself", READS_ITSELF), ("reads_nothing", READS_NOTHING)):
        (project / "models" / f"{name}.sql").write_text(text, encoding="utf-8")
    (project / "models" / "more.yml").write_text(CONTRACT, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "dbt.cli.main", "run", "--full-refresh", "--no-use-colors", "--no-version-check"),
        *("--select", "with_a_key", "reads_itself", "reads_nothing", "--no-send-anonymous-usage-stats"),
        *("--project-dir", str(project), "--profiles-dir", str(project)),
        *("--target-path", str(folder), "--log-path", str(folder)),
    ]
    warehouse = DuckDBWarehouse(folder, project=project, memory_limit="1GB", threads=1)
    subprocess.run(command, env={**os.environ, **warehouse.environment()}, capture_output=True, check=False)
    results = json.loads((folder / "run_results.json").read_text(encoding="utf-8"))["results"]
    return {result["unique_id"].split(".")[-1]: (result["status"], result["message"]) for result in results}


def test_a_key_that_would_do_nothing_is_refused(told: dict[str, tuple[str, str]]) -> None:
    status, message = told["with_a_key"]
    assert status == "error"
    assert "with_a_key: rows are forgotten by pre-hooks here; a unique_key would do nothing on DuckDB" in message


def test_a_model_with_a_contract_that_reads_itself_is_refused(told: dict[str, tuple[str, str]]) -> None:
    status, message = told["reads_itself"]
    assert status == "error"
    assert "reads_itself: with a contract it is empty before it is read, so it cannot read itself" in message


def test_a_model_with_a_contract_that_reads_others_is_built(told: dict[str, tuple[str, str]]) -> None:
    assert told["reads_nothing"][0] == "success"
