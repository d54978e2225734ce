"""The run store's tables, and the forward-only steps that bring an older store up to date.

Nothing here is SQLite's own: the same definitions make the tables on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeDecorator

from pipeline.errors import ConfigurationError

METADATA = MetaData()
LATEST = 1
RUN_LEASE = "run"


class Moment(TypeDecorator[datetime]):
    """A moment with zone UTC; kept without a zone where the engine has none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class' signature
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


migrations = Table(
    "migrations",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", Moment, nullable=False),
)

# One row a thing that only one holder may do. `token` only ever grows: what was written under an older one is void.
leases = Table(
    "leases",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("token", Integer, nullable=False),
    Column("holder", String(200)),
    Column("run_id", Integer),
    Column("taken_at", Moment),
    Column("expires_at", Moment),
)

runs = Table(
    "runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("state", String(20), nullable=False, index=True),
    Column("trigger", String(20), nullable=False),
    Column("requested_by", String(200), nullable=False),
    Column("first_step", String(40), nullable=False),
    Column("only_step", Boolean, nullable=False),
    Column("full_refresh", Boolean, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("version", String(40)),
    Column("as_of", Date),
    Column("resumes", Integer, ForeignKey("runs.id")),
    Column("error_kind", String(40)),
    Column("error", Text),
    Column("lease_token", Integer, nullable=False),
)

steps = Table(
    "steps",
    METADATA,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("service", String(80), nullable=False),
    Column("rows_in", BigInteger),
    Column("rows_out", BigInteger),
    Column("detail", JSON, nullable=False),
    Column("error", Text),
    Column("progress", Float),
    Column("progress_text", Text, nullable=False),
)

events = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("runs.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("level", String(10), nullable=False),
    Column("step", String(40), nullable=False),
    Column("text", Text, nullable=False),
    Index("events_of_run", "run_id", "id"),
)

# `open_key` is set while a request is waiting or running and null afterwards: being unique, it lets the database
# itself turn fifty equal presses into one request.
requests = Table(
    "requests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("trigger", String(20), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("open_key", String(80), unique=True),
    Column("requested_by", String(200), nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("run_id", Integer, ForeignKey("runs.id")),
    Column("answer", Text, nullable=False),
)

# A moment of the schedule that was served; the key lets each be served once, whoever comes first.
slots = Table(
    "slots",
    METADATA,
    Column("job", String(40), primary_key=True),
    Column("due_at", Moment, primary_key=True),
    Column("taken_at", Moment, nullable=False),
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("key", String(200), primary_key=True),
    Column("target", String(200), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("reserved_at", Moment, nullable=False),
    Column("delivered_at", Moment),
    Column("location", Text, nullable=False),
)

sent_rows = Table(
    "sent_rows",
    METADATA,
    Column("sync", String(80), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("hash", String(80), nullable=False),
)

audit = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("who", String(200), nullable=False),
    Column("action", String(80), nullable=False),
    Column("what", String(200), nullable=False),
    Column("before", JSON),
    Column("after", JSON),
)

workers = Table(
    "workers",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("started_at", Moment, nullable=False),
    Column("beat_at", Moment, nullable=False),
    Column("doing", String(200), nullable=False),
    Column("next_run_at", Moment),
)

# number -> what brings a store of the number before up to it; a new store starts at LATEST.
MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {}


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
        except DBAPIError as error:
            raise ConfigurationError(
                f"The run store could not be brought from layout {number - 1} to {number}: {error.orig}",
                where="NEOPULSE_RUN_STORE",
                safe="The store is as it was, and the neopulse that made it still works with it",
                next="free disk space or end what locks it, then the same command",
            ) from error
        _stamp(connection, number, now)


def _stamp(connection: Connection, number: int, now: datetime) -> None:
    connection.execute(insert(migrations).values(number=number, applied_at=now))
