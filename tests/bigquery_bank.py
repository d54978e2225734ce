"""A bank whose raw tables lie in BigQuery or in its stand-in, and neopulse pointed at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from histories import Row

from pipeline.settings import Settings

SOURCE_PROJECT, SOURCE = "bank-source", "bank_raw"
PROJECT = "bank-analytics"


def load(client: Any, tables: Mapping[str, Sequence[Row]], *, dataset: str = SOURCE, location: str = "EU") -> None:
    """Make a dataset hold these rows and no others, every column a STRING, the empty text as NULL."""
    from google.cloud import bigquery

    made = bigquery.Dataset(f"{client.project}.{dataset}")
    made.location, made.default_table_expiration_ms = location, 24 * 3600 * 1000
    client.create_dataset(made, exists_ok=True)
    for name, rows in tables.items():
        fields = [bigquery.SchemaField(column, "STRING") for column in rows[0]]
        config = bigquery.LoadJobConfig(schema=fields, write_disposition="WRITE_TRUNCATE")
        content = [{column: value or None for column, value in row.items()} for row in rows]
        place = f"{client.project}.{dataset}.{name}"
        client.load_table_from_json(content, place, location=location, job_config=config).result()


def settings(stand_in: Any, home: Path, **given: Any) -> Settings:
    """Settings that build in the stand-in, from the bank's dataset in another project."""
    own = {
        "warehouse": "bigquery",
        "bigquery_project": PROJECT,
        "bigquery_source": f"{SOURCE_PROJECT}.{SOURCE}",
        "bigquery_endpoint": stand_in.url,
    }
    return Settings(_env_file=None, home=home, **{"largest_shrink": 1, "guard_rows_growth": 0, **own, **given})


def rows(client: Any, sql: str) -> list[dict[str, Any]]:
    """What somebody else sees who asks BigQuery itself."""
    return [dict(row.items()) for row in client.query(sql).result()]
