"""The app's own copy of what was published in BigQuery: the same file, tables and types as a version built with DuckDB.

Tables of more rows than the settings allow stay where they are; the file says so in `main.not_copied`, and whoever asks
for one of them is told its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.bigquery import BigQuery
from pipeline.errors import NotCopiedError
from pipeline.settings import PREFIX
from pipeline.warehouse import segment_numbers

NOT_COPIED = "main.not_copied"
LEADING = 3  # columns that a table is ordered by where nothing else is said
_TYPES = {"float64": "double", "int64": "bigint", "bool": "boolean", "numeric": "decimal(38, 9)"}


@dataclass(frozen=True)
class Relation:
    """One table to copy: where it lies, its place for others, and the types and the order that its model declares."""

    schema: str
    name: str
    place: str
    shown_as: str
    types: Mapping[str, str]
    order: str = ""


def write(connection: BigQuery, relations: list[Relation], target: Path, *, at_most: int) -> dict[str, int]:
    """Copy the relations into the file `target`; returns the rows of each, also of those that were too many to copy."""
    rows: dict[str, int] = {}
    with duckdb.connect(target) as file:
        file.execute("set TimeZone = 'UTC'")
        file.execute(f"create table {NOT_COPIED} (relation varchar, rows_there bigint, place varchar)")
        # the segments first: their numbers stand in all others
        for relation in sorted(relations, key=lambda one: one.name != segment_numbers.SEGMENTS):
            rows[relation.name] = connection.number_of_rows(relation.place)
            if rows[relation.name] > at_most:
                values = [relation.name, rows[relation.name], relation.shown_as]
                file.execute(f"insert into {NOT_COPIED} values ($1, $2, $3)", values)
            else:
                _copy(connection, relation, file, are_numbered=rows.get(segment_numbers.SEGMENTS, at_most + 1) <= at_most)
    return rows


def _copy(connection: BigQuery, relation: Relation, file: duckdb.DuckDBPyConnection, *, are_numbered: bool) -> None:
    """Copy one relation; segments that were too many to copy themselves keep their digests."""
    schema, batches = connection.pages(relation.place)
    columns = [f'"{field.name}"::{_type(relation, field)} as "{field.name}"' for field in schema]
    order = relation.order or ", ".join(str(place + 1) for place in range(min(len(columns), LEADING)))
    file.execute(f"create schema if not exists {relation.schema}")
    file.register("downloaded", pa.RecordBatchReader.from_batches(schema, batches))
    rows = f"select {', '.join(columns)} from downloaded"
    if are_numbered and segment_numbers.COLUMN in schema.names:
        if relation.name == segment_numbers.SEGMENTS:  # what is downloaded can be read once
            file.execute(f"create temp table segments as {rows}")
            segment_numbers.assign(file, "segments")
            rows = "select * from segments"
        rows = segment_numbers.numbered(f"({rows})")
    file.execute(f'create table {relation.schema}."{relation.name}" as {rows} order by {order}')
    file.unregister("downloaded")


def _type(relation: Relation, field: pa.Field) -> str:
    declared = relation.types.get(field.name, "").lower()
    if declared:
        return _TYPES.get(declared, declared)
    if pa.types.is_decimal(field.type):
        return f"decimal({field.type.precision}, {field.type.scale})" if field.type.precision <= 38 else "double"
    return str(duckdb.from_arrow(pa.table({field.name: pa.nulls(0, field.type)})).types[0])


def refuse_what_was_not_copied(file: duckdb.DuckDBPyConnection, error: duckdb.Error) -> None:
    """Raise NotCopiedError where what could not be found is a table that was too long to copy."""
    with suppress(duckdb.Error), file.cursor() as cursor:
        for relation, rows, place in cursor.execute(f"select * from {NOT_COPIED}").fetchall():
            if re.search(rf"\b{re.escape(relation)}\b", str(error)):
                raise NotCopiedError(
                    f"{relation} has {rows:,} rows and stays in BigQuery",
                    where=place,
                    safe="Every other figure",
                    next=f"read it there, or raise {PREFIX}BIGQUERY_READ_COPY_ROWS, then neopulse run",
                ) from error
