"""The run store's table of reports: who gets which figures by mail, how often, and of which countries."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Connection, Integer, String, Table

from pipeline.runs.schema import METADATA, Moment

report_subscriptions = Table(
    "report_subscriptions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("addresses", JSON, nullable=False),
    Column("frequency", String(10), nullable=False),
    Column("language", String(5), nullable=False),
    Column("countries", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("changed_by", String(200), nullable=False),
    Column("changed_at", Moment, nullable=False),
    sqlite_autoincrement=True,  # no number is given twice: what was sent to a reader is noted down by it
)


def add_reports(connection: Connection) -> None:
    """Bring a store from before this table up to date."""
    report_subscriptions.create(connection, checkfirst=True)
