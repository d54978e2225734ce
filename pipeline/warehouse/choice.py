"""The warehouse and the publications that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.settings import Settings
from pipeline.warehouse.base import Warehouse
from pipeline.warehouse.publication import Publications


def warehouse(
    settings: Settings, *, project: Path, run_id: int | None = None, is_to_end: Callable[[], bool] = lambda: False
) -> Warehouse:
    """The engine that builds `project`, a folder with a dbt project; the jobs of a service carry the run's number.

    Where `is_to_end` says so, the statement that this process waits for is ended, and InterruptedRunError raised.
    """
    if settings.warehouse == "bigquery":
        from pipeline.bigquery import connect
        from pipeline.warehouse.bigquery import BigQueryWarehouse

        connection = connect(settings, run_id=run_id, is_to_end=is_to_end)
        return BigQueryWarehouse(connection, settings, project=project, run_id=run_id)
    from pipeline.warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(
        settings.home / "warehouse",
        project=project,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        is_to_end=is_to_end,
    )


def publications(settings: Settings) -> Publications:
    """The published versions, in the home and, where the warehouse is BigQuery, in its datasets as well.

    No connection is made before a version is published or rolled back to.
    """
    if settings.warehouse != "bigquery":
        return Publications(settings.home, keep=settings.versions_kept)
    from pipeline.bigquery import connect
    from pipeline.warehouse.bigquery_versions import BigQueryVersions

    mirror = BigQueryVersions(lambda: connect(settings), prefix=settings.bigquery_prefix, keep=settings.versions_kept)
    return Publications(settings.home, keep=settings.versions_kept, mirror=mirror)
