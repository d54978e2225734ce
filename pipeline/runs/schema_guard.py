"""The run store's tables for what is watched: publications and held candidates, incidents, and rules on figures."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    inspect,
    text,
    update,
)

from pipeline.runs.schema import METADATA, Moment, add_columns, runs

# One row a version that was ever published; it outlives the version, which is pruned.
publications = Table(
    "publications",
    METADATA,
    Column("version", String(40), primary_key=True),
    Column("published_at", Moment, primary_key=True),
    Column("run_id", Integer, nullable=False),
    Column("source", String(80), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("transactions", BigInteger, nullable=False),
    Column("rows", JSON, nullable=False),
    Column("approved", Boolean, nullable=False),
)

# What became of a candidate that the guard held. The candidate itself is a folder: while that is there, it waits.
held_candidates = Table(
    "held_candidates",
    METADATA,
    Column("run_id", Integer, primary_key=True, autoincrement=False),
    Column("held_at", Moment, primary_key=True),
    Column("state", String(20), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("decided_by", String(200)),
    Column("decided_at", Moment),
    Column("note", Text, nullable=False),
    Column("outcome", String(80), nullable=False),
)

# `open_key` is set while an incident is open and null afterwards: being unique, it lets one thing be one incident,
# however many look.
incidents = Table(
    "incidents",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("key", String(200), nullable=False),
    Column("open_key", String(250), unique=True),
    Column("opened_at", Moment, nullable=False, index=True),
    Column("closed_at", Moment),
    Column("what", JSON, nullable=False),
    Column("mailed", String(20), nullable=False),
)

# `segment` is the list of filters, each a dimension and a value ([] is everybody).
alert_rules = Table(
    "alert_rules",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(120), nullable=False),
    Column("metric", String(80), nullable=False),
    Column("grain", String(10)),
    Column("segment", JSON),
    Column("window", Integer),
    Column("comparison", String(20), nullable=False),
    Column("threshold", Float, nullable=False),
    Column("cooldown_hours", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("firing", Boolean, nullable=False),
    Column("looked_at", Moment),
    Column("deleted", Boolean, nullable=False),
)

alert_history = Table(
    "alert_history",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("rule_id", Integer, ForeignKey(alert_rules.c.id), nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", String(40), nullable=False),
    Column("point", Date),
    Column("figure", Float),
    Column("before", Float),
    Column("rule", JSON, nullable=False),
    Column("mail", String(20), nullable=False),
    Index("alert_history_of_rule", "rule_id", "id"),
)

TABLES = (publications, held_candidates, incidents, alert_rules, alert_history)


def add(connection: Connection) -> None:
    """Bring an older store up to these tables (migration 3)."""
    METADATA.create_all(connection, tables=list(TABLES))
    add_columns(connection, runs.c.approves)


def add_segments(connection: Connection) -> None:
    """Let rules have filters of several values and dimensions (migration 8); those that are there keep their one value."""
    there = {column["name"] for column in inspect(connection).get_columns(alert_rules.name)}
    if "dimension" not in there:  # made in this same update
        return
    add_columns(connection, alert_rules.c.segment)
    for rule in connection.execute(text("select id, dimension, value from alert_rules")).all():
        filters = [[rule.dimension, rule.value or ""]] if rule.dimension else []
        connection.execute(update(alert_rules).where(alert_rules.c.id == rule.id).values(segment=filters))
    for column in ("dimension", "value"):
        connection.execute(text(f"alter table alert_rules drop column {column}"))
