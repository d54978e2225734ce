"""A published version of a handful of customers, made by hand in a moment: for what comes after publishing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from pipeline.clock import Clock
from pipeline.warehouse.publication import Candidate, Facts, Publications, TestSummary, Version


def publish_customers(home: Path, customers: int, *, clock: Clock, run_id: int = 1) -> Version:
    """A version whose customers are numbered from 0; two of them have lapsed."""
    folder = home / "candidates" / str(run_id)
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("[]")
    with duckdb.connect(folder / "published.duckdb") as connection:
        connection.execute("create schema marts")
        rows = f"select i::varchar as user_id, 'FR' as country from range({customers}) t(i)"
        connection.execute(f"create table marts.sync_customer_status as {rows}")
        connection.execute(f"create table marts.sync_lapsed_customers as {rows} limit 2")
    facts = Facts(
        run_id=run_id,
        as_of=date(2019, 5, 15),
        source="demo bank",
        inactivity_days=90,
        activity_rule="all",
        bank_timezone="Europe/Paris",
        tests=TestSummary(1, 0, 0, 1),
        rows={},
    )
    candidate = Candidate(folder, facts, lease_token=run_id, started_at=datetime(2026, 11, 25, 6, tzinfo=UTC))
    return Publications(home, keep=5).publish(candidate, clock=clock, guard=lambda: None)
