"""One awkward bank on both engines, run after run: every published table must come out equal, value for value.

Real dbt-bigquery and google-cloud-bigquery speak to the stand-in, where Google's own executor computes what they ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
from engines import NIGHTS, built_everything, content, different, nights, run, write_days  # noqa: E402
from stand_ins.bigquery.faults import Call  # noqa: E402
from stand_ins.bigquery.server import running  # noqa: E402

from pipeline.settings import Settings  # noqa: E402
from pipeline.warehouse.publication import Version  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.proof]


@dataclass(frozen=True)
class Night:
    """What one run published on both engines, whether it began from nothing, and what it asked of BigQuery."""

    name: str
    duckdb: Version
    bigquery: Version
    built_everything: tuple[bool, bool]
    calls: list[Call]


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
            done.append(Night(name, local, remote, began, stand_in.calls[calls:]))
        yield done


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
