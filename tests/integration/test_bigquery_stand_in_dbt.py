"""The real dbt-bigquery builds a small project in the stand-in twice: views, merges, overwritten partitions, contracts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

from stand_ins.bigquery.server import StandIn, running  # noqa: E402

PROJECT = Path(stand_ins.__file__).parents[1] / "tiny_dbt_project"

pytestmark = [pytest.mark.slow, pytest.mark.proof]


class Building:
    """dbt on the command line; its target and its logs lie in the test's folder."""

    def __init__(self, stand_in: StandIn, folder: Path) -> None:
        self.stand_in = stand_in
        self.client = stand_ins.client(stand_in)
        self._folder = folder

    def dbt(self, *words: str) -> str:
        command = [str(Path(sys.executable).parent / "dbt"), *words, "--project-dir", str(PROJECT)]
        command += ["--profiles-dir", str(PROJECT), "--no-use-colors"]
        command += ["--target-path", str(self._folder / "target"), "--log-path", str(self._folder / "logs")]
        environment = os.environ | {"STAND_IN_URL": self.stand_in.url}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build(self, up_to: str) -> None:
        self.dbt("build", "--vars", f'{{up_to: "{up_to}"}}')

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(row) for row in self.client.list_rows(f"project-one.tiny.{table}"))


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Building]:
    with running() as stand_in:
        made = Building(stand_in, tmp_path_factory.mktemp("dbt"))
        made.build("2024-01-03")
        made.build("2024-01-04")
        yield made


def test_a_merge_brings_customers_up_to_date(building: Building) -> None:
    assert building.rows("customers") == [
        ("ada", date(2024, 1, 4), Decimal("100.75")),
        ("bea", date(2024, 1, 1), Decimal(20)),
        ("cid", date(2024, 1, 4), Decimal(50)),
        ("unknown", date(2024, 1, 3), Decimal(40)),
    ]


def test_a_merge_updates_only_the_columns_it_was_given(building: Building) -> None:
    # ada's later payments would make no other minimum; the amount shows that her row was updated
    assert building.rows("first_amounts")[0] == ("ada", Decimal("10.5"), Decimal("100.75"))


def test_overwritten_partitions_are_those_of_the_increment(building: Building) -> None:
    assert [(row[0], row[3]) for row in building.rows("rows_by_day")] == [
        (1, "2024-01-03"),
        (2, "2024-01-03"),
        (3, "2024-01-03"),
        (4, "2024-01-03"),
        (5, "2024-01-04"),
        (6, "2024-01-04"),
    ]
    assert [row[0] for row in building.rows("rows_of_named_days")] == [1, 2, 3, 4, 5, 6]


def test_tables_carry_what_the_project_says(building: Building) -> None:
    days = building.client.get_table("project-one.tiny.days")
    assert (days.description, days.labels, days.require_partition_filter) == ("Totals of each day.", {"owner": "tests"}, True)
    assert (days.time_partitioning.field, days.clustering_fields, days.num_rows) == ("paid_on", ["payments"], 4)
    payment_id = building.client.get_table("project-one.tiny.payments_so_far").schema[0]
    assert payment_id.description == "Number of the payment."
    customer, amount, _ = building.client.get_table("project-one.tiny.contracted").schema
    assert (customer.mode, amount.precision, amount.scale) == ("REQUIRED", 18, 2)


def test_the_catalog_of_the_docs_holds_every_relation(building: Building) -> None:
    import json

    building.dbt("docs", "generate")
    catalog = json.loads((building._folder / "target" / "catalog.json").read_text())
    columns = {name.rsplit(".")[-1]: list(node["columns"]) for name, node in catalog["nodes"].items()}
    assert columns["customers"] == ["customer", "last_paid_on", "amount"]
    assert set(columns) == {
        "contracted",
        "customers",
        "days",
        "first_amounts",
        "payments",
        "payments_so_far",
        "rows_by_day",
        "rows_of_named_days",
    }


def test_nothing_but_the_stand_in_was_asked_and_nothing_failed(building: Building) -> None:
    assert {call.status for call in building.stand_in.calls} <= {200, 204, 404}
    assert any(call.statement and "declare dbt_partitions_for_replacement" in call.statement for call in building.stand_in.calls)
