"""One published relation as a Parquet or CSV file, written beside and renamed, so that nobody reads half of it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import files
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError
from pipeline.safe_cells import safe_cell
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Version

Note = Callable[[int], None]
"""Notes down that so many rows are about to be there as a file; where it raises, there is no file."""

FORMS = (".parquet", ".csv")
_RELATIONS = """
    select table_schema as schema, table_name as name from information_schema.tables
    where table_schema in ('marts', 'warehouse')
"""


def names(version: Version) -> dict[str, int]:
    """What of a version can be exported, with its rows; the marts first."""
    return dict(sorted(version.rows.items(), key=lambda relation: (not relation[0].startswith(("mart_", "sync_")), relation)))


def places(database: ReadOnlyDuckDB) -> dict[str, str]:
    """Where each relation of a version's file lies, as `schema.name`."""
    return {row["name"]: f"{row['schema']}.{row['name']}" for row in database.query(_RELATIONS).to_pylist()}


def export_relation(version: Version, name: str, target: Path, *, note: Note, clock: Clock) -> int:
    """Write a relation of a version to `target`, in the form that its ending names; returns the rows.

    What an interrupted export to the same file left beside it goes first.

    Raises ConfigurationError where there is no such relation, or the ending is neither .parquet nor .csv.
    """
    form = target.suffix.lower()
    if form not in FORMS:
        raise ConfigurationError(
            f"{target} is neither .parquet nor .csv", where="FILE", next=f"neopulse export {name} {name}.parquet"
        )
    if name not in version.rows:
        raise ConfigurationError(
            f"{name} is not in version {version.name}", where="NAME", next="neopulse export, which lists them"
        )
    folder = files.make_folder(target.absolute().parent, named_by="FILE")
    files.remove_remains(folder, lambda part: part == target.name, now=clock.now())
    database = ReadOnlyDuckDB(version.database)
    try:
        place = places(database).get(name, f"marts.{name}")  # too long to copy: the reader says where it is
        with files.asked_for(target):
            return write(target, database.batches(f"select * from {place} order by all"), note=note)
    finally:
        database.close()


def write(
    target: Path, batches: Iterator[pa.RecordBatch], schema: pa.Schema | None = None, *, note: Note = lambda _rows: None
) -> int:
    """Write batches to a Parquet or CSV file in one act, cast to the schema where one is given; returns the rows."""
    with files.beside(target.absolute()) as beside:
        rows = (_write_csv if target.suffix.lower() == ".csv" else _write_parquet)(beside, batches, schema)
        note(rows)
    return rows


def _write_parquet(target: Path, batches: Iterator[pa.RecordBatch], schema: pa.Schema | None) -> int:
    first = _cast(next(batches), schema)
    rows: int = first.num_rows
    with pq.ParquetWriter(target, first.schema, compression="zstd") as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(_cast(batch, schema))
            rows += batch.num_rows
    return rows


def _write_csv(target: Path, batches: Iterator[pa.RecordBatch], schema: pa.Schema | None) -> int:
    rows = 0
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        for place, batch in enumerate(batches):
            if place == 0:
                writer.writerow(map(safe_cell, batch.schema.names))
            writer.writerows(map(_cell, row.values()) for row in _cast(batch, schema).to_pylist())
            rows += batch.num_rows
    return rows


def _cast(batch: pa.RecordBatch, schema: pa.Schema | None) -> pa.RecordBatch:
    return batch if schema is None else batch.cast(schema)


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else safe_cell(value)
