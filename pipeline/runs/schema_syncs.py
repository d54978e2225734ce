"""The run store's tables of syncs: what each one did, run by run, and the rows that were not taken."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Connection, ForeignKey, Index, Integer, String, Table, Text

from pipeline.runs.schema import METADATA, Moment

sync_runs = Table(
    "sync_runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sync", String(80), nullable=False),
    Column("state", String(20), nullable=False),
    Column("service", String(80), nullable=False),
    Column("run_id", Integer, ForeignKey("runs.id")),
    Column("who", String(200), nullable=False),
    Column("scope", JSON, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("link", Text, nullable=False),
    Column("error", Text),
    Index("sync_runs_of_sync", "sync", "id"),
)

sync_rejects = Table(
    "sync_rejects",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sync_run_id", Integer, ForeignKey("sync_runs.id"), nullable=False),
    Column("key", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("row", JSON, nullable=False),
    Index("sync_rejects_of_run", "sync_run_id", "key"),
)


def add_syncs(connection: Connection) -> None:
    """Bring a store from before these tables up to date."""
    METADATA.create_all(connection, tables=[sync_runs, sync_rejects])
