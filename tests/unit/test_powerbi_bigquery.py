"""The SQL that the committed queries send to BigQuery: Google's analyzer takes it, and its executor gives the export's rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import powerbi_model
import pyarrow as pa
import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

from google.cloud import bigquery  # noqa: E402
from stand_ins.bigquery.server import running  # noqa: E402

from pipeline.exports import star  # noqa: E402
from pipeline.marts import reader  # noqa: E402
from pipeline.powerbi.shapes import Table, relations, select  # noqa: E402
from pipeline.powerbi.star import RUNS, TABLES  # noqa: E402
from pipeline.warehouse.publication import Publications  # noqa: E402

pytestmark = pytest.mark.xdist_group("the bank of the pages")

PROJECT, DATASET = "project-one", "neopulse"
SOME = {  # the reference executor takes its time: some rows of each mart, and every kind of them
    "mart_growth_accounting": "segment in ('all', 'plan_tier') and date >= date '2019-04-20'",
    "mart_daily_activity": "segment in ('all', 'plan_tier') and date >= date '2019-03-20'",
    "mart_monthly_churn_rate": "segment in ('all', 'plan_tier')",
    "mart_retention_cohorts": "segment = 'plan_tier' and cohort >= date '2018-12-01'",
    "mart_activity_gaps_by_dimension": "segment = 'all' or (segment = 'os' and gap_days is null)",
    "mart_amount_retention": "month >= date '2019-04-01'",
    "mart_transactions_monthly": "month >= date '2019-05-01'",
    "mart_l28": "date >= date '2019-05-01'",
    "dim_dates": "date_day >= date '2018-11-20'",
    "dim_countries": "country < 'D'",
}
TYPES = {"int32": "INT64", "int64": "INT64", "double": "FLOAT64", "string": "STRING", "date32[day]": "DATE", "bool": "BOOL"}


@pytest.fixture(scope="module")
def marts(pages_bank: Path) -> dict[str, pa.Table]:
    """Some rows of every published mart that the star reads."""
    version = Publications(pages_bank, keep=5).current()
    assert version is not None
    open_version = reader(version)
    found = {}
    for name in {name for table in TABLES for name in relations(table)} - {"current_version"}:
        whole = duckdb.from_arrow(open_version.relation(name))
        found[name] = whole.filter(SOME.get(name, "true")).to_arrow_table()
        assert found[name].num_rows > 0, name
    moment = pa.array(["2026-11-23T12:00:00+00:00"])
    found["current_version"] = pa.table({"version": ["v0001"], "as_of": [version.as_of], "published_at": moment})
    return found


@pytest.fixture(scope="module")
def client(marts: dict[str, pa.Table]) -> Iterator[Any]:
    with running() as stand_in:
        client = stand_ins.client(stand_in, PROJECT)
        client.create_dataset(DATASET)
        for name, rows in marts.items():
            load(client, name, rows)
        yield client


def load(client: Any, name: str, rows: pa.Table) -> None:
    schema = [bigquery.SchemaField(field.name, bigquery_type(field)) for field in rows.schema]
    content = [
        {key: value.isoformat() if isinstance(value, date) else value for key, value in row.items()} for row in rows.to_pylist()
    ]
    config = bigquery.LoadJobConfig(schema=schema)
    client.load_table_from_json(content, f"{PROJECT}.{DATASET}.{name}", job_config=config).result()


def bigquery_type(field: pa.Field) -> str:
    return "TIMESTAMP" if field.name == "published_at" else TYPES[str(field.type)]


def sent(table: Table) -> str:
    """The text that the committed query hands to BigQuery, as Power Query puts it together."""
    [partition] = powerbi_model.committed().of("table")[table.name].of("partition").values()
    [text] = re.findall(r'PublishedQuery\("((?:[^"]|"")*)"\)', partition.properties["source"])
    return str(text).replace('""', '"').replace("{published}", f"`{PROJECT}`.`{DATASET}`")


@pytest.mark.parametrize(
    "table", [table for table in TABLES if table is not RUNS and not table.direct], ids=lambda table: table.name
)
def test_bigquery_gives_the_rows_that_the_export_writes(client: Any, marts: dict[str, pa.Table], table: Table) -> None:
    found = [tuple(row.values()) for row in client.query(sent(table)).result()]
    here = duckdb.connect()
    for name, rows in marts.items():
        here.register(name, rows)
    wanted = here.sql(select(table, lambda name: name)).to_arrow_table().cast(star.schema(table))
    expected = [tuple(row.values()) for row in wanted.to_pylist()]
    assert len(expected) > 0
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_the_list_that_is_asked_where_it_lies_selects_columns_that_are_there(marts: dict[str, pa.Table]) -> None:
    [partition] = powerbi_model.committed().of("table")["Customers"].of("partition").values()
    source = partition.properties["source"]
    [listed] = re.findall(r"Table\.SelectColumns\(Mart, \{([^}]*)\}\)", source)
    assert {name.strip().strip('"') for name in listed.split(",")} <= set(marts["mart_customers"].column_names)
    assert '[Name = "mart_customers", Kind = "View"]' in source
