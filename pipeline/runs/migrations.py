"""The forward-only steps that bring an older run store up to date; a new one is made as it is today."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection, func, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from pipeline.errors import ConfigurationError
from pipeline.runs.schema import METADATA, RUN_LEASE, leases, migrations
from pipeline.runs.schema_access import add_access
from pipeline.runs.schema_guard import add as add_guard
from pipeline.runs.schema_guard import add_segments
from pipeline.runs.schema_kept import add_kept, notes, saved_views
from pipeline.runs.schema_reports import add_reports, report_subscriptions
from pipeline.runs.schema_schedule import add_schedule
from pipeline.runs.schema_syncs import add_syncs


def number_once(connection: Connection) -> None:
    """Let SQLite give no number of a row that was deleted to another one, as PostgreSQL never does (migration 9).

    Such a table has to be made anew; its rows keep their numbers.
    """
    if connection.dialect.name != "sqlite":
        return
    for table in (notes, saved_views, report_subscriptions):
        connection.execute(text(f"alter table {table.name} rename to {table.name}_before"))
        table.create(connection)
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        connection.execute(text(f"insert into {table.name} ({columns}) select {columns} from {table.name}_before"))
        connection.execute(text(f"drop table {table.name}_before"))


# number -> what brings a store of the number before up to it
MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    2: add_schedule,
    3: add_guard,
    4: add_access,
    5: add_syncs,
    6: add_kept,
    7: add_reports,
    8: add_segments,
    9: number_once,
}
LATEST = max(MIGRATIONS)


def is_up_to_date(connection: Connection) -> bool:
    """Whether the tables are those of this neopulse, so that nothing has to be written before the store is used."""
    if not inspect(connection).has_table(migrations.name):
        return False
    return bool(connection.execute(select(func.max(migrations.c.number))).scalar_one() == LATEST)


def migrate(
    connection: Connection,
    now: datetime,
    *,
    latest: int | None = None,
    migrations_by_number: Mapping[int, Callable[[Connection], None]] | None = None,
) -> None:
    """Create the tables of a new store or bring an older one up to `latest`; never back.

    Raises ConfigurationError where the store was made by a newer neopulse, or the database refuses a change: the transaction
    that the caller is in then leaves the store as it was.
    """
    latest = LATEST if latest is None else latest
    steps_up = MIGRATIONS if migrations_by_number is None else migrations_by_number
    if not inspect(connection).has_table(migrations.name):
        METADATA.create_all(connection)
        connection.execute(insert(leases).values(name=RUN_LEASE, token=0))
        _stamp(connection, latest, now)
        return
    found = connection.execute(select(func.max(migrations.c.number))).scalar_one()
    if found > latest:
        raise ConfigurationError(
            f"The run store has layout {found}; this neopulse knows layouts up to {latest}",
            where="NEOPULSE_RUN_STORE",
            safe="The store was not touched",
            next="use the newer neopulse that made it",
        )
    for number in range(found + 1, latest + 1):
        try:
            steps_up[number](connection)
        except (DBAPIError, NoSuchTableError) as error:
            raise ConfigurationError(
                f"The run store could not be brought from layout {number - 1} to {number}: "
                f"{error.orig if isinstance(error, DBAPIError) else f'there is no {error}'}",
                where="NEOPULSE_RUN_STORE",
                safe="The store is as it was, and the neopulse that made it still works with it",
                next="free disk space or end what locks it, then the same command"
                if isinstance(error, DBAPIError)
                else "neopulse restore FILE --force with the last backup",
            ) from error
        _stamp(connection, number, now)


def _stamp(connection: Connection, number: int, now: datetime) -> None:
    connection.execute(insert(migrations).values(number=number, applied_at=now))
