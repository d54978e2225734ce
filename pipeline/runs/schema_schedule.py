"""The tables of the schedule, and what an older store needs to have one (migration 2)."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Connection, Integer, String, Table

from pipeline.runs.schema import METADATA, Moment, add_columns, runs, slots

# A row is never deleted: `removed_at` keeps its name known, so that its slots stay explained, and so that a schedule
# that a person emptied is told from one that was never filled.
schedules = Table(
    "schedules",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("weekday", Integer),
    Column("hour", Integer),
    Column("minute", Integer, nullable=False),
    Column("timezone", String(80), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("resumes", Boolean, nullable=False),
    Column("first_step", String(40), nullable=False),
    Column("since", Moment, nullable=False),
    Column("changed_by", String(200), nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("removed_at", Moment),
)

NEW_COLUMNS = (
    *(slots.c.outcome, slots.c.reason, slots.c.in_the_way, slots.c.request_id),
    *(runs.c.cancel_asked_by, runs.c.cancel_asked_at),
)


def add_schedule(connection: Connection) -> None:
    """Bring a store of layout 1 up to 2: the table of rows, why each slot was served or not, and who cancelled a run."""
    schedules.create(connection, checkfirst=True)
    add_columns(connection, *NEW_COLUMNS)
