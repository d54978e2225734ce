"""A bank whose raw tables lie in a stand-in for BigQuery, and neopulse pointed at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import stand_ins.bigquery as stand_ins
from histories import Row

from pipeline.settings import Settings

SOURCE_PROJECT, SOURCE = "bank-source", "bank_raw"
PROJECT = "bank-analytics"


def load(stand_in: Any, tables: Mapping[str, Sequence[Row]]) -> None:
    """Make the source dataset hold these rows and no others, every column a STRING, the empty text as NULL."""
    from google.cloud import bigquery

    client = stand_ins.client(stand_in, SOURCE_PROJECT)
    dataset = bigquery.Dataset(f"{SOURCE_PROJECT}.{SOURCE}")
    dataset.location = "EU"
    client.create_dataset(dataset, exists_ok=True)
    for name, rows in tables.items():
        fields = [bigquery.SchemaField(column, "STRING") for column in rows[0]]
        config = bigquery.LoadJobConfig(schema=fields, write_disposition="WRITE_TRUNCATE")
        content = [{column: value or None for column, value in row.items()} for row in rows]
        client.load_table_from_json(content, f"{SOURCE_PROJECT}.{SOURCE}.{name}", job_config=config).result()


def settings(stand_in: Any, home: Path, **given: Any) -> Settings:
    """Settings that build in the stand-in, from the bank's dataset in another project."""
    own = {
        "warehouse": "bigquery",
        "bigquery_project": PROJECT,
        "bigquery_source": f"{SOURCE_PROJECT}.{SOURCE}",
        "bigquery_endpoint": stand_in.url,
    }
    return Settings(_env_file=None, home=home, **{**own, **given})


def rows(stand_in: Any, sql: str) -> list[dict[str, Any]]:
    """What somebody else sees who asks BigQuery itself."""
    return [dict(row.items()) for row in stand_ins.client(stand_in, PROJECT).query(sql).result()]


def datasets(stand_in: Any) -> set[str]:
    """The datasets of neopulse's project."""
    return {dataset.dataset_id for dataset in stand_ins.client(stand_in, PROJECT).list_datasets()}
