"""The star of Power BI as Parquet: a folder an export, and a manifest that names the newest whole one.

DIR/manifest.json                          which folder is whole and newest, its version, as_of and rows
DIR/v0012-20261126T043000000000Z/*.parquet    one file a table, never changed; the one before stays for who is reading it
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import files
from pipeline.clock import Clock
from pipeline.exports.relations import Note, places, write
from pipeline.powerbi.shapes import Kind, Table, select
from pipeline.powerbi.star import RUNS, TABLES
from pipeline.runs.records import Run
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Version

MANIFEST = "manifest.json"
FOLDERS_KEPT = 2
_FOLDER = re.compile(r"v\d{4,}-\d{8}T\d{12}Z")
_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "whole": pa.int64(),
    "decimal": pa.float64(),
    "date": pa.date32(),
    "yes_no": pa.bool_(),
}


def export_star(version: Version, folder: Path, *, runs: Sequence[Run], note: Note, clock: Clock) -> dict[str, Any]:
    """Write every table of the star into a new folder, then name it in the manifest, in one act; returns the manifest.

    A reader that follows the manifest reads one whole export, also while the next one is written. What an interrupted
    export left goes first.
    """
    files.make_folder(folder, named_by="DIR")
    database = ReadOnlyDuckDB(version.database)
    try:
        with files.asked_for(folder):
            return _export(version, database, folder, runs=runs, note=note, now=clock.now())
    finally:
        database.close()


def _export(
    version: Version, database: ReadOnlyDuckDB, folder: Path, *, runs: Sequence[Run], note: Note, now: datetime
) -> dict[str, Any]:
    files.remove_remains(folder, lambda part: part == MANIFEST or _FOLDER.fullmatch(part), now=now)
    new = folder / f"{version.name}-{now:%Y%m%dT%H%M%S%f}Z"
    with files.beside(new) as beside:
        beside.mkdir()
        rows = _write_tables(version, database, beside, runs)
        note(sum(rows.values()))
    manifest = {
        "folder": new.name,
        "version": version.name,
        "as_of": version.as_of,
        "inactivity_days": version.inactivity_days,
        "activity_rule": version.activity_rule,
        "source": version.source,
        "published_at": version.published_at.isoformat(),
        "exported_at": now.isoformat(),
        "tables": {name: {"file": f"{name}.parquet", "rows": count} for name, count in rows.items()},
    }
    files.write_json(folder / MANIFEST, manifest)
    _prune(folder, new.name)
    return manifest


def newest(folder: Path) -> Path:
    """The folder of the newest whole export; raises FileNotFoundError where there is none."""
    named = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["folder"]
    return folder / str(named)


def _write_tables(version: Version, database: ReadOnlyDuckDB, folder: Path, runs: Sequence[Run]) -> dict[str, int]:
    lies = places(database) | {"current_version": _current(version)}
    written = {}
    for table in TABLES:
        batches = iter(_run_batches(runs)) if table is RUNS else database.batches(_ordered(table, lies))
        written[table.file] = write(folder / f"{table.file}.parquet", batches, schema(table))
    return written


def schema(table: Table) -> pa.Schema:
    """The columns of a table's file."""
    return pa.schema([(column.source, _TYPES[column.kind]) for column in table.columns])


def _ordered(table: Table, lies: dict[str, str]) -> str:
    return f"select * from ({select(table, lambda name: lies.get(name, name))}) order by all"


def _current(version: Version) -> str:
    """What BigQuery keeps in the table current_version."""
    at = version.published_at.date()
    return f"(select '{version.name}' as version, date '{version.as_of}' as as_of, date '{at}' as published_at)"


def _run_batches(runs: Sequence[Run]) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pylist([_run(run) for run in runs], schema=schema(RUNS))


def _run(run: Run) -> dict[str, Any]:
    minutes = None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds() / 60
    return {
        "run": run.id,
        "state": str(run.state),
        "trigger": run.trigger,
        "started_on": run.started_at.date(),
        "minutes": minutes,
        "version": run.version,
        "as_of": run.as_of,
    }


def _prune(folder: Path, newest: str) -> None:
    """Keep the newest export and the one right before it, for who is reading it."""
    whole = sorted((path for path in folder.iterdir() if _FOLDER.fullmatch(path.name)), key=lambda path: path.name[-22:])
    for path in whole[:-FOLDERS_KEPT]:
        if path.name != newest:
            shutil.rmtree(path, ignore_errors=True)
