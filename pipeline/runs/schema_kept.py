"""The run store's tables for what people keep about the figures: targets, notes on days, saved views, and what they have seen."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Connection, Date, Float, Integer, String, Table, Text, UniqueConstraint

from pipeline.runs.schema import METADATA, Moment

LONGEST_SEGMENT = 400  # characters

# `segment` is the JSON of the sorted filters ([] is everybody), `window` N in days, 0 where N does not enter.
targets = Table(
    "targets",
    METADATA,
    Column("metric", String(80), primary_key=True),
    Column("segment", String(LONGEST_SEGMENT), primary_key=True),
    Column("window", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=False),
    Column("set_by", String(200), nullable=False),
    Column("set_at", Moment, nullable=False),
)

notes = Table(
    "annotations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("day", Date, nullable=False),
    Column("text", Text, nullable=False),
    Column("metric", String(80)),
    Column("author", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,  # no number is given twice: an open page would take away what came after
)

saved_views = Table(
    "saved_views",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("name", String(80), nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("page", String(40), nullable=False),
    Column("query", JSON, nullable=False),
    Column("saved_at", Moment, nullable=False),
    UniqueConstraint("owner", "name", name="one_view_a_name"),
    sqlite_autoincrement=True,
)

# What a person has been shown once.
seen = Table(
    "seen",
    METADATA,
    Column("who", String(200), primary_key=True),
    Column("what", String(40), primary_key=True),
    Column("at", Moment, nullable=False),
)

TABLES = (targets, notes, saved_views, seen)


def add_kept(connection: Connection) -> None:
    """Bring a store of layout 5 up to 6."""
    METADATA.create_all(connection, tables=list(TABLES))
