"""The run store's tables; pipeline/runs/migrations.py brings those of an older store up to date.

Nothing here is SQLite's own: the same definitions make the tables on PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
    inspect,
    text,
)
from sqlalchemy.types import TypeDecorator

METADATA = MetaData()
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
    Column("cancel_asked_by", String(200)),
    Column("cancel_asked_at", Moment),
    Column("approves", Integer),
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

# A moment of the schedule that was served; the key lets each be served once, whoever comes first. `job` is the name of
# its row in the schedule, `outcome` is empty where an older neopulse served it.
slots = Table(
    "slots",
    METADATA,
    Column("job", String(40), primary_key=True),
    Column("due_at", Moment, primary_key=True),
    Column("taken_at", Moment, nullable=False),
    Column("outcome", String(20)),
    Column("reason", String(20)),
    Column("in_the_way", Integer),
    Column("request_id", Integer),
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


def add_columns(connection: Connection, *columns: Column[Any]) -> None:
    """Give the tables of an older store columns that are of today and may be empty; one that is there already stays."""
    for column in columns:
        there = {each["name"] for each in inspect(connection).get_columns(column.table.name)}
        if column.name not in there:
            kind = column.type.compile(connection.dialect)
            connection.execute(text(f"alter table {column.table.name} add column {column.name} {kind}"))
