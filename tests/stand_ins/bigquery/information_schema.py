"""INFORMATION_SCHEMA and `__TABLES__`: relations made on the spot from what the warehouse holds."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from typing import Any

from stand_ins.bigquery.binding import Names, Source
from stand_ins.bigquery.columns import Column, Row
from stand_ins.bigquery.errors import not_in_the_stand_in
from stand_ins.bigquery.storage import Dataset, Relation, Warehouse

MARK = "INFORMATION_SCHEMA"


def source(path: tuple[str, ...], naming: Names, warehouse: Warehouse) -> Source | None:
    """The relation that a path means, or None where it means a table."""
    upper = [name.upper() for name in path]
    if path[-1] == "__TABLES__":
        project, dataset = _place(path[:-1], naming)
        return _made(".".join(path), OLD_TABLES, _old_tables(warehouse, project, str(dataset)))
    if MARK not in upper:
        return None
    place = upper.index(MARK)
    project, dataset = _place(path[:place], naming)
    view = upper[place + 1] if place + 1 < len(upper) else ""
    if view not in VIEWS:
        raise not_in_the_stand_in(f"INFORMATION_SCHEMA.{view}")
    columns, rows = VIEWS[view]
    return _made(".".join(path), columns, rows(warehouse, project, dataset))


def _made(name: str, columns: tuple[Column, ...], rows: Iterable[Row]) -> Source:
    return Source(name, columns, None, list(rows))


def _place(path: tuple[str, ...], naming: Names) -> tuple[str, str | None]:
    """Project and dataset before INFORMATION_SCHEMA; no dataset where a region or only a project stands there."""
    parts = [part for part in path if not part.lower().startswith("region-")]
    if len(parts) == len(path) and len(parts) == 1:
        return naming.project, parts[0]
    if len(parts) >= 2:
        return ".".join(parts[:-1]), parts[-1]
    return (parts[0] if parts else naming.project), None


def _relations(warehouse: Warehouse, project: str, dataset: str | None) -> list[Relation]:
    datasets = [dataset] if dataset else [kept.name for kept in warehouse.datasets(project)]
    return [relation for name in datasets for relation in warehouse.relations(project, name)]


def _columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in types.items())


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


OLD_TABLES = _columns(
    project_id="STRING",
    dataset_id="STRING",
    table_id="STRING",
    creation_time="INT64",
    last_modified_time="INT64",
    row_count="INT64",
    size_bytes="INT64",
    type="INT64",
)


def _milliseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def _old_tables(warehouse: Warehouse, project: str, dataset: str) -> list[Row]:
    found = []
    for relation in warehouse.relations(project, dataset):
        view = relation.kind == "VIEW"
        rows = 0 if view else len(warehouse.rows(relation))
        size = 0 if view else sum(warehouse.sizes(relation).values())
        times = (_milliseconds(relation.created), _milliseconds(relation.modified))
        found.append((project, dataset, relation.id.table, *times, rows, size, 2 if view else 1))
    return found


TABLES = _columns(
    table_catalog="STRING",
    table_schema="STRING",
    table_name="STRING",
    table_type="STRING",
    is_insertable_into="STRING",
    is_typed="STRING",
    creation_time="TIMESTAMP",
    ddl="STRING",
)

TABLE_TYPES = {"TABLE": "BASE TABLE", "VIEW": "VIEW", "SNAPSHOT": "SNAPSHOT"}


def _tables(warehouse: Warehouse, project: str, dataset: str | None) -> list[Row]:
    return [
        (*_names(relation), TABLE_TYPES[relation.kind], "NO" if relation.kind == "VIEW" else "YES", "NO", relation.created, None)
        for relation in _relations(warehouse, project, dataset)
    ]


def _names(relation: Relation) -> tuple[str, str, str]:
    return relation.id.project, relation.id.dataset, relation.id.table


COLUMNS = _columns(
    table_catalog="STRING",
    table_schema="STRING",
    table_name="STRING",
    column_name="STRING",
    ordinal_position="INT64",
    is_nullable="STRING",
    data_type="STRING",
    is_generated="STRING",
    is_hidden="STRING",
    is_system_defined="STRING",
    is_partitioning_column="STRING",
    clustering_ordinal_position="INT64",
    column_default="STRING",
)


def _column_rows(warehouse: Warehouse, project: str, dataset: str | None) -> list[Row]:
    return [
        (
            *_names(relation),
            column.name,
            position,
            "NO" if column.mode == "REQUIRED" else "YES",
            column.sql_type,
            "NEVER",
            "NO",
            "NO",
            "YES" if relation.partitioning and relation.partitioning.column.lower() == column.name.lower() else "NO",
            relation.clustering.index(column.name) + 1 if column.name in relation.clustering else None,
            "NULL",
        )
        for relation in _relations(warehouse, project, dataset)
        for position, column in enumerate(relation.columns, start=1)
    ]


FIELD_PATHS = _columns(
    table_catalog="STRING",
    table_schema="STRING",
    table_name="STRING",
    column_name="STRING",
    field_path="STRING",
    data_type="STRING",
    description="STRING",
    collation_name="STRING",
    rounding_mode="STRING",
)


def _field_paths(warehouse: Warehouse, project: str, dataset: str | None) -> list[Row]:
    return [
        (*_names(relation), column.name, path, field.sql_type, field.description, "NULL", None)
        for relation in _relations(warehouse, project, dataset)
        for column in relation.columns
        for path, field in _paths(column, column.name)
    ]


def _paths(column: Column, path: str) -> list[tuple[str, Column]]:
    below = [found for field in column.fields for found in _paths(field, f"{path}.{field.name}")]
    return [(path, column), *below]


OPTIONS = _columns(
    table_catalog="STRING",
    table_schema="STRING",
    table_name="STRING",
    option_name="STRING",
    option_type="STRING",
    option_value="STRING",
)


def _options(warehouse: Warehouse, project: str, dataset: str | None) -> list[Row]:
    return [
        (*_names(relation), *option) for relation in _relations(warehouse, project, dataset) for option in _options_of(relation)
    ]


def _options_of(relation: Relation) -> list[tuple[str, str, str]]:
    found = []
    if relation.description:
        found.append(("description", "STRING", _text(relation.description)))
    if relation.friendly_name:
        found.append(("friendly_name", "STRING", _text(relation.friendly_name)))
    if relation.labels:
        pairs = ", ".join(f"STRUCT({_text(key)}, {_text(value)})" for key, value in relation.labels.items())
        found.append(("labels", "ARRAY<STRUCT<STRING, STRING>>", f"[{pairs}]"))
    if relation.require_partition_filter:
        found.append(("require_partition_filter", "BOOL", "true"))
    if relation.expires:
        found.append(("expiration_timestamp", "TIMESTAMP", f"TIMESTAMP {_text(relation.expires.isoformat())}"))
    return found


PARTITIONS = _columns(
    table_catalog="STRING",
    table_schema="STRING",
    table_name="STRING",
    partition_id="STRING",
    total_rows="INT64",
    total_logical_bytes="INT64",
    total_billable_bytes="INT64",
    last_modified_time="TIMESTAMP",
    storage_tier="STRING",
)


def _partitions(warehouse: Warehouse, project: str, dataset: str | None) -> list[Row]:
    return [
        row
        for relation in _relations(warehouse, project, dataset)
        if relation.kind != "VIEW"
        for row in _partitions_of(warehouse, relation)
    ]


def _partitions_of(warehouse: Warehouse, relation: Relation) -> list[Row]:
    counts, sizes = warehouse.row_counts(relation), warehouse.sizes(relation)
    found: list[Row] = []
    for partition, modified in sorted(relation.partitions_modified.items()):
        size = sum(value for (held, _), value in sizes.items() if held == partition)
        row = (partition or None, counts.get(partition, 0), size, size, modified, "ACTIVE")
        found.append((*_names(relation), *row))
    return found


SCHEMATA = _columns(
    catalog_name="STRING",
    schema_name="STRING",
    schema_owner="STRING",
    creation_time="TIMESTAMP",
    last_modified_time="TIMESTAMP",
    location="STRING",
    ddl="STRING",
    default_collation_name="STRING",
)


def _schemata(warehouse: Warehouse, project: str, _dataset: str | None) -> list[Row]:
    def row(kept: Dataset) -> Row:
        return (project, kept.name, None, kept.created, kept.modified, kept.location, None, "NULL")

    return [row(kept) for kept in warehouse.datasets(project)]


MATERIALIZED_VIEWS = _columns(
    table_catalog="STRING",
    table_schema="STRING",
    table_name="STRING",
    last_refresh_time="TIMESTAMP",
    refresh_watermark="TIMESTAMP",
)


def _none(_warehouse: Warehouse, _project: str, _dataset: str | None) -> list[Row]:
    return []


Rows = Callable[[Warehouse, str, str | None], list[Any]]

VIEWS: dict[str, tuple[tuple[Column, ...], Rows]] = {
    "TABLES": (TABLES, _tables),
    "COLUMNS": (COLUMNS, _column_rows),
    "COLUMN_FIELD_PATHS": (FIELD_PATHS, _field_paths),
    "TABLE_OPTIONS": (OPTIONS, _options),
    "PARTITIONS": (PARTITIONS, _partitions),
    "SCHEMATA": (SCHEMATA, _schemata),
    "MATERIALIZED_VIEWS": (MATERIALIZED_VIEWS, _none),
}
