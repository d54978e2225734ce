"""DuckDB as the warehouse: one file that runs build on, one smaller file a version, and readers that cannot write."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline import files, scratch
from pipeline.errors import DataError, InterruptedRunError, NeopulseError, OtherEditionError, PermanentError, TransientError
from pipeline.kept import Kept, Value
from pipeline.sources.landing import Landing
from pipeline.warehouse import duckdb_damage, duckdb_state, read_copy, segment_numbers
from pipeline.warehouse.base import DamagedStateError, Increment
from pipeline.warehouse.memory import granted_memory
from pipeline.warehouse.publication import DATABASE
from pipeline.warehouse.signature import signature

STATE = "state.duckdb"  # a file named as one of its schemas would be ambiguous
SPILL = "spill"  # what does not fit in memory while dbt builds
DAMAGED = ".damaged"  # what a state that was set aside is called on top
READER_MEMORY = "512MB"
LOOK_SECONDS = 0.5
KEPT_BYTES = 16_000_000  # of a reader: rows, and what was made of them
_NOT_THERE = (duckdb.CatalogException, duckdb.BinderException)  # a table, a column
_READABLE = f"""
    select table_schema, table_name, count(*) as columns, bool_or(column_name = '{segment_numbers.COLUMN}') as has_segments
    from information_schema.columns
    where table_catalog = 'state'
        and (table_schema = 'marts' or (table_schema = 'warehouse' and regexp_full_match(table_name, 'dim_.*|rejected_rows')))
    group by all
    order by all
"""


class DuckDBWarehouse:
    """Builds on one file in `folder`, with the memory and the threads that are granted: else `granted_memory` and one a core."""

    name = "duckdb"

    def __init__(
        self,
        folder: Path,
        *,
        project: Path,
        memory_limit: str = "",
        threads: int = 0,
        is_to_end: Callable[[], bool] = lambda: False,
    ) -> None:
        self._folder = files.make_folder(folder.absolute())
        self._project = project
        self._memory_limit = memory_limit or granted_memory()
        self._threads = threads or os.cpu_count() or 1
        self._is_to_end = is_to_end

    def prepare(
        self, landing: Landing, *, external: Mapping[str, Path], variables: Mapping[str, Any], full_refresh: bool
    ) -> Increment:
        """Unseal the state file and put views over the landed files into its schema `raw`."""
        self._remove_what_was_spilled()  # by a build whose process was killed with all that it had begun
        under = signature(self._project, variables, engine=f"duckdb {duckdb.__version__}, state {duckdb_state.EDITION}")
        if full_refresh:
            self.discard()
        with self._connected() as connection:
            increment = duckdb_state.begin(
                connection,
                landing,
                signature=under,
                current_bank_day=variables["current_bank_day"],
                full_refresh=full_refresh,
            )
            for name, path in external.items():
                connection.execute(f"create or replace view raw.{name} as select * from {duckdb_state.parquet((path,))}")
        return increment

    def environment(self) -> Mapping[str, str]:
        """The variables that the profile's target `duckdb` reads."""
        return {
            "DBT_WAREHOUSE_FILE": str(self._path),
            "DBT_THREADS": str(self._threads),
            "DBT_MEMORY_LIMIT": self._memory_limit,
            "DBT_TEMP_FOLDER": str(self._folder / SPILL),
        }

    def abandon(self) -> None:
        """Remove what the building process spilled; the rest of what it did ended with it."""
        self._remove_what_was_spilled()

    def refusal(self, message: str) -> NeopulseError | None:
        """Damage of the state; this machine refuses nobody."""
        return _damaged(message, self._path) if duckdb_damage.is_damage(message, self._path) else None

    def publication_facts(self) -> Mapping[str, Any]:
        """The one row of `warehouse.dim_publication` in the state that was built."""
        with self._connected(read_only=True) as connection:
            rows = connection.sql("select * from warehouse.dim_publication").to_arrow_table().to_pylist()
        if len(rows) != 1 or rows[0]["as_of"] is None:
            raise DataError(
                "The data holds no complete day: there is nothing to count up to",
                where="warehouse.dim_publication",
                safe="Nothing was published",
                next="neopulse status shows what was landed; load at least one bank day that is over",
            )
        return dict(rows[0])

    def seal(self) -> None:
        """Say that all of the state was built and tested; the next run may build on it."""
        with self._connected() as connection:
            duckdb_state.seal(connection)

    def estimate(self) -> str:
        """Nothing: this machine asks for no money."""
        return ""

    def copy_readable(self, target: Path, *, orders: Mapping[str, str], types: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
        """Copy what readers may see into `target`, each table in its order, or in that of its leading columns."""
        del types  # the state has them already
        with _connected(target / DATABASE, state=self._path) as connection, _ending(connection, self._is_to_end):
            connection.execute(f"set memory_limit = '{self._memory_limit}'")
            connection.execute(f"set threads = {self._threads}")
            connection.execute(f"attach {duckdb_state.quoted(self._path)} as state (read_only)")
            relations = connection.execute(_READABLE).fetchall()
            if any(has_segments for *_, has_segments in relations):
                segment_numbers.assign(connection, f"state.warehouse.{segment_numbers.SEGMENTS}")
            rows = {
                name: _copy(connection, f'{schema}."{name}"', orders.get(name) or _leading(columns), has_segments=has_segments)
                for schema, name, columns, has_segments in relations
            }
            connection.execute("detach state")
        return rows

    @property
    def _path(self) -> Path:
        return self._folder / STATE

    @contextmanager
    def _connected(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        with _connected(self._path, read_only=read_only) as connection, _ending(connection, self._is_to_end):
            yield connection

    def discard(self) -> None:
        """Remove the state file and what lies beside it; the next run builds it anew."""
        for path in self._folder.glob(f"{STATE}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()  # a folder: what the engine spilled

    def _remove_what_was_spilled(self) -> None:
        """The engine removes it when it ends, and cannot where it is killed; it holds customers, and may be gigabytes."""
        shutil.rmtree(self._folder / SPILL, ignore_errors=True)

    def set_aside(self) -> None:
        """Rename the state file and its log; they go with the next `discard`, or when they are old enough."""
        for path in self._folder.glob(f"{STATE}*{DAMAGED}"):
            path.unlink()
        for path in sorted(self._folder.glob(f"{STATE}*"), reverse=True):  # the log first: no other file may be read with it
            path.touch()
            path.rename(path.with_name(path.name + DAMAGED))


class ReadOnlyDuckDB:
    """One version's file, open for reading: one connection, a cursor a query, so that threads do not wait for each other."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises FileNotFoundError where the version has been pruned in the meantime."""
        if not path.exists():
            raise FileNotFoundError(path)
        try:
            self._connection = duckdb.connect(path, read_only=True, config=_reader_configuration(path))
        except duckdb.IOException as error:
            if not path.exists():
                raise FileNotFoundError(path) from error
            raise _unreadable(path, error) from error
        self._path = path
        # Only after connecting: external access off forbids to set the temporary folder.
        self._connection.execute("set global TimeZone = 'UTC'")
        self._connection.execute("set enable_external_access = false")
        self._kept = Kept(KEPT_BYTES)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The rows of one select; `$name` in it stands for the parameter of that name.

        The file never changes, so the last answers are kept: one page asks for the parts of one answer many times.
        """
        return self.kept((sql, tuple(sorted((parameters or {}).items()))), lambda: self._rows(sql, parameters))

    def kept(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is made of the file's rows, kept as they are; whoever gets it does not change it."""
        return self._kept.get(key, make)

    def _rows(self, sql: str, parameters: Mapping[str, Any] | None) -> pa.Table:
        try:
            with self._connection.cursor() as cursor:
                return cursor.sql(sql, params=dict(parameters) if parameters else None).to_arrow_table()
        except _NOT_THERE as error:
            raise self._lacking(error) from error
        except duckdb.IOException as error:
            raise _unreadable(self._path, error) from error

    def batches(self, sql: str, *, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """The rows of one select, so many at a time, for whoever passes them on; at least one batch, which may be empty."""
        with self._connection.cursor() as cursor:
            try:
                reader = cursor.sql(sql).to_arrow_reader(rows)
            except _NOT_THERE as error:
                raise self._lacking(error) from error
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
            yield from reader

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _lacking(self, error: duckdb.Error) -> OtherEditionError:
        """Every table and column that is asked for is one of this neopulse's; raises NotCopiedError where it was not copied."""
        read_copy.refuse_what_was_not_copied(self._connection, error)
        version = self._path.parent.name
        return OtherEditionError(f"{version} was published by another neopulse than this one: {_first_line(error)}", version)


def _unreadable(path: Path, error: duckdb.IOException) -> PermanentError:
    return PermanentError(
        f"The published file cannot be read: {_first_line(error)}",
        where=str(path),
        safe="The other kept versions",
        next="neopulse versions, then neopulse rollback VERSION, or neopulse run; free disk space where that is what lacks",
    )


def _reader_configuration(path: Path) -> dict[str, Any]:
    # DuckDB's own choice for what does not fit in memory is beside the file, and a version's folder is never written to.
    return {"memory_limit": READER_MEMORY, "temp_directory": str(scratch.folder() / path.parent.name)}


@contextmanager
def _connected(path: Path, *, read_only: bool = False, state: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the file `path`; `state` is the state that is read over it, by default the file itself."""
    try:
        with duckdb.connect(path, read_only=read_only) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
    except duckdb.Error as error:
        raise _in_words(error, path, state or path) from error


@contextmanager
def _ending(connection: duckdb.DuckDBPyConnection, is_to_end: Callable[[], bool]) -> Iterator[None]:
    """Within the block a statement, however long it would take, ends soon after `is_to_end` says so."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            if is_to_end():
                connection.interrupt()  # again each time: a block may have several statements

    watching = threading.Thread(target=watch, name="ending", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _copy(connection: duckdb.DuckDBPyConnection, relation: str, order: str, *, has_segments: bool) -> int:
    schema = relation.partition(".")[0]
    connection.execute(f"create schema if not exists {schema}")
    rows = segment_numbers.numbered(f"state.{relation}") if has_segments else f"select * from state.{relation}"
    by = _by_places(connection, relation, order)
    copied = connection.execute(f"create table {relation} as {rows} order by {by}").fetchone()
    return int(copied[0]) if copied else 0


def _by_places(connection: duckdb.DuckDBPyConnection, relation: str, order: str) -> str:
    """The same order, with texts compared by their place among all of their column: a third to two thirds of the sorting."""
    source = connection.table(f"state.{relation}")
    texts = {name for name, kind in zip(source.columns, source.types, strict=True) if kind == "VARCHAR"}
    keys = [key.strip() for key in order.split(",")]
    for key in texts.intersection(keys):
        values = f"select distinct {key} from state.{relation} where {key} is not null order by 1"
        connection.execute(f"create or replace temp type places_of_{key} as enum ({values})")
    return ", ".join(f"{key}::places_of_{key}" if key in texts else key for key in keys)


def _leading(columns: int) -> str:
    return ", ".join(str(place + 1) for place in range(min(columns, 3)))


def _in_words(error: duckdb.Error, path: Path, state: Path) -> NeopulseError:
    """The engine's own words, and what to do about them."""
    if isinstance(error, duckdb.InterruptException):
        return InterruptedRunError("DuckDB was interrupted", where=str(path), next="neopulse run --from transform")
    if duckdb_damage.is_damage(str(error), state):
        return _damaged(str(error), state)
    what = f"DuckDB gave up: {_first_line(error)}"
    if isinstance(error, duckdb.OutOfMemoryException):
        return PermanentError(
            what, where="NEOPULSE_MEMORY_LIMIT", next="raise NEOPULSE_MEMORY_LIMIT, then neopulse run --from transform"
        )
    if "Could not set lock" in what:
        return TransientError(
            what, where=str(path), next="end the process that holds the file, then neopulse run --from transform"
        )
    if os.strerror(errno.EACCES) in what:
        again = "let the user of neopulse read and write the file, then neopulse run --from transform"
        return PermanentError(what, where=str(path), next=again)
    return DataError(
        what, where=str(path), next="neopulse run --full-refresh, which builds everything anew from the landed files"
    )


def _damaged(message: str, state: Path) -> DamagedStateError:
    return DamagedStateError(
        f"The state that runs build on is damaged: {' '.join(message.split())}",
        where=str(state),
        safe="What readers see, and the landed files",
        next="look at the disk, then neopulse run --full-refresh",
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
