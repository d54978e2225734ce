"""The state of a DuckDB warehouse: one file that runs build on, and the memory of which files of the bank are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline import files
from pipeline.sources.landing import Fingerprint, LandedTable, Landing
from pipeline.sources.schema import RAW_TABLES
from pipeline.warehouse.base import IN_THE_FUTURE, THE_CLOCK_WENT_BACK, Increment

TRANSACTIONS = "transactions"
OTHER_TABLES = tuple(name for name in RAW_TABLES if name != TRANSACTIONS)
EDITION = 2  # of the schema `raw`; another number builds everything anew
LARGEST_SHARE = 0.5  # of the bank's rows that an increment may read; more of them, and a full build costs no more


@dataclass(frozen=True)
class Part:
    """A file of transactions and the number under which its rows are in the state."""

    number: int
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Change:
    """What of the bank's files is not in the state as it is now: parts to read, and parts whose rows go first."""

    parts: tuple[Part, ...]
    read: tuple[Part, ...]
    gone: tuple[int, ...]
    tables: tuple[str, ...]


def begin(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    *,
    signature: str,
    current_bank_day: str,
    full_refresh: bool,
) -> Increment:
    """Unseal the state and make its schema `raw` ready for a build on it, or for one from nothing."""
    why_full = "asked for" if full_refresh else _why_full(connection, signature, current_bank_day)
    change = _everything(landing) if why_full else _change(connection, landing, current_bank_day)
    if not why_full and _share(connection, change) > LARGEST_SHARE:
        why_full, change = "most of the bank's rows have changed", _everything(landing)
    previous_as_of = "" if why_full else _previous_as_of(connection)
    if why_full:
        _forget_everything(connection)
    connection.execute("create schema if not exists raw")
    connection.execute("create or replace table raw.state as select false as is_sealed, $1::varchar as signature", [signature])
    _write_parts(connection, change)
    _write_views(connection, landing, change)
    variables = {"previous_as_of": previous_as_of, "changed_tables": list(change.tables)}
    return Increment(bool(why_full), why_full, variables)


def seal(connection: duckdb.DuckDBPyConnection) -> None:
    """Say that the build was whole and its tests held."""
    connection.execute("update raw.state set is_sealed = true")
    connection.execute("checkpoint")


def _why_full(connection: duckdb.DuckDBPyConnection, signature: str, current_bank_day: str) -> str:
    """Why the state cannot be built on; nothing where it can."""
    if not _has(connection, "raw", "state"):
        return "nothing was built before"
    found = connection.execute("select is_sealed, signature from raw.state").fetchone()
    if found is None or not found[0]:
        return "the last build did not end well"
    if found[1] != signature:
        return "settings or models have changed"
    if _counts_what_is_to_come(connection, current_bank_day):
        return THE_CLOCK_WENT_BACK
    return ""


def _counts_what_is_to_come(connection: duckdb.DuckDBPyConnection, current_bank_day: str) -> bool:
    """Whether a row that the last build took is dated after the current bank day: today it would be rejected for that."""
    found = connection.execute(
        """
        select exists (select 1 from warehouse.typed_transactions where rejection_code is null and transaction_date > $1::date)
            or exists (
                select 1 from warehouse.customer_accounts
                where opening_date > $1::date and (rejection_reason is null or rejection_reason like '%_duplicate')
            )
        """,
        [current_bank_day],
    ).fetchone()
    return bool(found and found[0])


def _previous_as_of(connection: duckdb.DuckDBPyConnection) -> str:
    row = connection.execute("select as_of from warehouse.dim_publication").fetchone()
    return row[0].isoformat() if row else ""


def _everything(landing: Landing) -> Change:
    parts = tuple(Part(number, mark) for number, mark in enumerate(_marks(landing, TRANSACTIONS)))
    return Change(parts, parts, (), OTHER_TABLES)


def _change(connection: duckdb.DuckDBPyConnection, landing: Landing, current_bank_day: str) -> Change:
    before = {Path(path): (number, marks) for number, path, *marks in _known_parts(connection)}
    unused = max((number for number, _ in before.values()), default=-1) + 1
    waiting = _parts_with_rows_that_waited(connection, current_bank_day)
    parts, read = [], []
    for mark in _marks(landing, TRANSACTIONS):
        number, known = before.pop(mark.path, (unused, []))
        unused += number == unused
        parts.append(Part(number, mark))
        if known != [mark.size, mark.modified_ns, mark.changed_ns] or number in waiting:
            read.append(parts[-1])
    gone = [number for number, _ in before.values()] + [part.number for part in read]
    return Change(tuple(parts), tuple(read), tuple(sorted(gone)), _changed_tables(connection, landing))


def _known_parts(connection: duckdb.DuckDBPyConnection) -> list[Any]:
    return connection.execute("select source_part, path, size, modified_ns, changed_ns from raw.parts").fetchall()


def _parts_with_rows_that_waited(connection: duckdb.DuckDBPyConnection, current_bank_day: str) -> set[int]:
    """Parts with rows that were in the future when they were read and are not any more."""
    found = connection.execute(
        """
        select distinct source_part from warehouse.typed_transactions
        where rejection_code = $1 and transaction_date <= $2::date
        """,
        [IN_THE_FUTURE, current_bank_day],
    )
    return {number for (number,) in found.fetchall()}


def _changed_tables(connection: duckdb.DuckDBPyConnection, landing: Landing) -> tuple[str, ...]:
    before = dict(connection.execute("select table_name, marks from raw.tables").fetchall())
    accounts_waiting = connection.execute(
        "select count(*) from warehouse.customer_accounts where rejection_reason = 'in_the_future'"
    ).fetchone()
    changed = {name for name in OTHER_TABLES if before.get(name) != _told(_marks(landing, name))}
    return tuple(sorted(changed | ({"users"} if accounts_waiting and accounts_waiting[0] else set())))


def _share(connection: duckdb.DuckDBPyConnection, change: Change) -> float:
    """The rows that an increment would read, over all rows of the bank."""
    rows = _rows_by_path(connection, [part.fingerprint.path for part in change.parts])
    return sum(rows[part.fingerprint.path] for part in change.read) / max(sum(rows.values()), 1)


def _forget_everything(connection: duckdb.DuckDBPyConnection) -> None:
    # `raw` first: without its table `state` nobody builds on what may be left of the others
    for schema in ("raw", "marts", "warehouse", "staging"):
        connection.execute(f"drop schema if exists {schema} cascade")


def _write_parts(connection: duckdb.DuckDBPyConnection, change: Change) -> None:
    rows = _rows_by_path(connection, [part.fingerprint.path for part in change.parts])
    columns = "source_part bigint, path varchar, size bigint, modified_ns bigint, changed_ns bigint, rows_landed bigint"
    connection.execute(f"create or replace table raw.parts ({columns})")
    for part in change.parts:
        mark = part.fingerprint
        values = [part.number, str(mark.path), mark.size, mark.modified_ns, mark.changed_ns, rows[mark.path]]
        connection.execute("insert into raw.parts values ($1, $2, $3, $4, $5, $6)", values)
    connection.execute(
        "create or replace table raw.changed_parts as select unnest($1::bigint[]) as source_part", [list(change.gone)]
    )


def _rows_by_path(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, int]:
    if not paths:
        return {}
    names = [files.literally(path) for path in paths]
    found = connection.execute("select file_name, num_rows from parquet_file_metadata($1)", [names])
    return {Path(name): int(rows) for name, rows in found.fetchall()}


def _write_views(connection: duckdb.DuckDBPyConnection, landing: Landing, change: Change) -> None:
    read = sorted(change.read, key=lambda part: part.number)
    texts = _texts(connection, TRANSACTIONS, [part.fingerprint.path for part in read], [part.number for part in read])
    connection.execute(f"create or replace view raw.{TRANSACTIONS} as {texts}")
    connection.execute("create or replace table raw.tables (table_name varchar, marks varchar)")
    for name in OTHER_TABLES:
        marks = _marks(landing, name)
        texts = _texts(connection, name, [mark.path for mark in marks])
        connection.execute(f"create or replace view raw.{name} as {texts}")
        connection.execute("insert into raw.tables values ($1, $2)", [name, _told(marks)])


def _numbers(numbers: Sequence[int]) -> str:
    """The column that says which part a row is of."""
    if not numbers:
        return ", null::bigint as source_part"
    if list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f", {numbers[0]} + file_index::bigint as source_part"
    return f", list_extract({list(numbers)}::bigint[], file_index::bigint + 1) as source_part"


def _texts(connection: duckdb.DuckDBPyConnection, table: str, paths: Sequence[Path], numbers: Sequence[int] = ()) -> str:
    """The rows of the files, each value as the text that its own file makes of it; with `numbers`, that of each file."""
    columns = RAW_TABLES[table].columns
    if not paths:
        none = ", ".join(f'null::varchar as "{column}"' for column in columns)
        return f"select {none}{_numbers(()) if table == TRANSACTIONS else ''} where false"
    texts = ", ".join(f'"{column}"::varchar as "{column}"' for column in columns)
    parts = []
    for places in _alike(connection, columns, paths):
        more = _numbers([numbers[place] for place in places]) if numbers else ""
        parts.append(f"select {texts}{more} from {parquet([paths[place] for place in places])}")
    return " union all ".join(parts)


def _alike(connection: duckdb.DuckDBPyConnection, columns: Sequence[str], paths: Sequence[Path]) -> list[list[int]]:
    """The places of files that may be read as one.

    What reads several files gives a column one type for all: whole numbers beside a file of floats become `17.0`, so that a row
    would say one thing where its file is read alone, as in an increment, and another one beside others. Where some file has
    texts, that type is text, and each value is written as its own file has it.
    """
    found = connection.execute(
        "select file_name, name, duckdb_type from parquet_schema($1) where list_contains($2, name) and duckdb_type is not null",
        [[files.literally(path.absolute()) for path in paths], list(columns)],
    ).fetchall()
    types: dict[str, dict[str, str]] = {column: {} for column in columns}
    for name, column, kind in found:
        types[column][name] = kind
    apart = [by_file for by_file in types.values() if len(set(by_file.values())) > 1 and "VARCHAR" not in by_file.values()]
    groups: dict[tuple[str | None, ...], list[int]] = {}
    for place, path in enumerate(paths):
        groups.setdefault(tuple(by_file.get(str(path.absolute())) for by_file in apart), []).append(place)
    return list(groups.values())


def parquet(paths: Sequence[Path]) -> str:
    """What DuckDB reads the files with, found by the names of their columns; `key=value` in a path says nothing of the rows."""
    names = ", ".join(quoted(Path(files.literally(path.absolute()))) for path in paths)
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"


def quoted(path: Path) -> str:
    """A path as a text of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def _marks(landing: Landing, table: str) -> tuple[Fingerprint, ...]:
    landed: Mapping[str, LandedTable] = landing.tables
    return landed[table].fingerprints if table in landed else ()


def _told(marks: Sequence[Fingerprint]) -> str:
    return repr([(str(mark.path), mark.size, mark.modified_ns, mark.changed_ns) for mark in marks])


def _has(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema = $1 and table_name = $2", [schema, table]
    ).fetchone()
    return bool(found and found[0])
