"""A whole copy of the run store as one SQLite file, whatever engine it is on, and the way back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import DBAPIError

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, PermanentError, TransientError
from pipeline.runs import migrations, schema
from pipeline.runs.database import open_engine
from pipeline.runs.postgresql import is_postgresql, lock_for_migration, postgresql_engine, with_driver

ROWS_AT_ONCE = 1000
WITH_HISTORY = (schema.runs, schema.requests, schema.audit, schema.deliveries)


def copy_store(url: str, to: Path) -> None:
    """Write the store as of one moment into a new SQLite file; whoever writes to the store meanwhile is not held up."""
    address = with_driver(make_url(url))
    try:
        if is_postgresql(address):
            _copy_rows(address.render_as_string(hide_password=False), to)
        else:
            with closing(sqlite3.connect(str(address.database))) as source, closing(sqlite3.connect(to)) as target:
                source.backup(target)
                target.execute("pragma journal_mode=delete")
    except (sqlite3.Error, DBAPIError) as error:
        raise TransientError(
            f"The run store could not be copied: {getattr(error, 'orig', None) or error}",
            where=str(to.parent),
            safe="The run store itself",
            next="free disk space, then the same command",
        ) from error
    check_copy(to)


def check_copy(path: Path) -> int:
    """The layout of a copied store; raises PermanentError where the file is no whole run store, or one of a newer neopulse."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            (answer,) = connection.execute("pragma quick_check(1)").fetchone()
            (layout,) = connection.execute("select max(number) from migrations").fetchone()
    except sqlite3.Error as error:
        raise PermanentError(f"The copy of the run store cannot be read: {error}", where=str(path)) from error
    if answer != "ok":
        raise PermanentError(f"The copy of the run store is damaged: {answer}", where=str(path))
    if int(layout) > migrations.LATEST:
        raise PermanentError(
            f"The run store has layout {layout}; this neopulse knows layouts up to {migrations.LATEST}",
            where=str(path),
            safe="Nothing was changed",
            next="use the neopulse that made it, or a newer one",
        )
    return int(layout)


def bring_up_to_date(path: Path, clock: Clock) -> None:
    """Give a copied store the tables of this neopulse, and leave one file without a journal beside it."""
    open_engine(f"sqlite:///{path}", clock).dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode=delete")


def has_history(url: str, clock: Clock) -> bool:
    """Whether anything ever happened in the store at a URL; a new one is made where there is none."""
    engine = open_engine(url, clock)
    try:
        with engine.connect() as connection:
            return any(connection.execute(select(table).limit(1)).first() is not None for table in WITH_HISTORY)
    finally:
        engine.dispose()


def fill_postgresql(url: str, copy: Path, clock: Clock) -> None:
    """Put the rows of a copied store in the place of all rows of a PostgreSQL store, in one transaction.

    Raises ConfigurationError where PostgreSQL refuses them: the store then is as it was.
    """
    source, target = create_engine(f"sqlite:///{copy}"), open_engine(url, clock)
    try:
        with source.connect() as reading, target.begin() as writing:
            lock_for_migration(writing)
            schema.METADATA.drop_all(writing)  # not emptied: the audit lets nobody remove a row
            schema.METADATA.create_all(writing)
            _copy_tables(reading, writing)
            _count_on(writing)
    except DBAPIError as error:
        raise ConfigurationError(
            f"PostgreSQL did not take the rows of the backup: {error.orig}",
            where="NEOPULSE_RUN_STORE",
            safe="Its rows are as they were",
        ) from error
    finally:
        source.dispose()
        target.dispose()


def _copy_rows(url: str, to: Path) -> None:
    source, target = postgresql_engine(make_url(url)), _quick_sqlite(to)
    try:
        with (
            source.execution_options(isolation_level="REPEATABLE READ").connect() as reading,
            target.begin() as writing,
        ):
            schema.METADATA.create_all(writing)
            _copy_tables(reading, writing)
    finally:
        source.dispose()
        target.dispose()


def _copy_tables(reading: Connection, writing: Connection) -> None:
    for table in schema.METADATA.sorted_tables:
        # In the order of their keys: a run that resumes another comes after it.
        rows = reading.execution_options(yield_per=ROWS_AT_ONCE).execute(select(table).order_by(*table.primary_key.columns))
        for part in rows.mappings().partitions():
            writing.execute(table.insert(), [dict(row) for row in part])


def _count_on(connection: Connection) -> None:
    """Let each table's numbers go on after the highest that came from the copy."""
    for table in schema.METADATA.sorted_tables:
        for column in table.primary_key.columns:
            sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar_one()
            if sequence is not None:
                highest = connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one()
                connection.execute(text("select setval(:name, :next, false)"), {"name": sequence, "next": highest + 1})


def _quick_sqlite(path: Path) -> Engine:
    """A file that nobody else knows yet: no journal is needed, for half of it is thrown away."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("pragma journal_mode=off")

    return engine
