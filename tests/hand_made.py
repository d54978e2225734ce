"""Versions made by hand: a few tables of SQL in a file, published or held without a build, on a clock that stands still."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from pipeline import approval, files
from pipeline.clock import Clock, FixedClock
from pipeline.context import StepContext, StepResult
from pipeline.runner import Runner
from pipeline.runs.copies import fill_postgresql
from pipeline.runs.holders import Holders
from pipeline.runs.records import Lease, Run, StepState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.steps import STEPS
from pipeline.warehouse.held import HeldCandidates
from pipeline.warehouse.publication import Candidate, Facts, Publications, TestSummary, Version

SIX_O_CLOCK = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
LAST_DAY = date(2026, 2, 28)
ALL_PASSED = TestSummary(passed=60, failed=0, warned=2, total=62)
CUSTOMERS = "marts.mart_customers"
SHOP = {CUSTOMERS: "select range as user_id, 'FR' as country from range({})"}


@dataclass
class House:
    """One home, its run store, and the means to make versions in it."""

    home: Path
    clock: FixedClock
    store: RunStore
    publications: Publications
    given: dict[str, Any] = field(default_factory=dict)
    made: int = 0

    @classmethod
    def at(cls, home: Path, *, address: str | None = None, **given: Any) -> House:
        clock = FixedClock(SIX_O_CLOCK)
        store = RunStore.open(address or f"sqlite:///{home / 'run_store.db'}", clock=clock)
        return cls(home, clock, store, Publications(home, keep=3), given)

    def take_over(self, other: House) -> None:
        """Become a copy of another house, as it stands: made once, it serves many tests."""
        self.store.close()
        other.store.close()
        shutil.copytree(other.home, self.home, dirs_exist_ok=True)
        if self.address.startswith("postgresql"):
            fill_postgresql(self.address, self.home / "run_store.db", self.clock)
        self.clock.sleep((other.clock.now() - self.clock.now()).total_seconds())

    @property
    def address(self) -> str:
        """Where its run store is: in a file of the home, or where the tests of PostgreSQL put it."""
        return self.store._engine.url.render_as_string(hide_password=False)

    @property
    def settings(self) -> Settings:
        return Settings(_env_file=None, home=self.home, **self.given)

    @property
    def held(self) -> HeldCandidates:
        return HeldCandidates(self.publications)

    def candidate(
        self,
        run_id: int,
        tables: Mapping[str, str],
        *,
        as_of: date = LAST_DAY,
        transactions: int = 0,
        source: str = "files",
        lease_token: int = 0,
    ) -> Candidate:
        """A candidate of tables, each named with its schema and made by a query."""
        folder = files.make_folder(self.home / "candidates" / str(run_id) / "version")
        rows = write_tables(folder / "published.duckdb", tables)
        told = facts(run_id, as_of=as_of, source=source, rows=rows, transactions=transactions)
        tests = [{"name": "unique_mart_customers_user_id", "status": "pass"}]
        (folder / "tests.json").write_text(json.dumps(tests))
        return Candidate(folder, told, lease_token=lease_token or run_id, started_at=self.clock.now())

    def lease(self) -> Lease:
        """The lease of a run, taken from whoever held it last and is gone."""
        self.store.lease()  # a look: from here on nobody renews it
        self.clock.sleep(61)
        return self.store.take_lease("the tests", seconds=60)

    def context(self, lease: Lease, *, guard: Callable[[], None] | None = None, **run: Any) -> StepContext:
        """A run that has begun, as its steps see it."""
        plan = [(step, StepState.PENDING) for step in STEPS]
        started = self.store.start_run(lease, trigger="cli", requested_by="ada", plan=plan, first_step="extract", **run)
        return StepContext(
            settings=self.settings,
            store=self.store,
            run=started,
            clock=self.clock,
            publications=self.publications,
            progress=lambda _fraction, _text: None,
            cancelled=lambda: False,
            guard=guard or (lambda: self.store.assert_held(lease)),
        )

    def transform(self, customers: int, *, context: StepContext | None = None, **facts: Any) -> Version:
        """What the step does with a candidate of so many customers once it is built: hold it, or publish it."""
        context = context or self.context(self.lease())
        run_id = context.run.id
        tables = facts.pop("tables", None) or {name: query.format(customers) for name, query in SHOP.items()}
        candidate = self.candidate(run_id, tables, lease_token=context.run.lease_token, **facts)
        approval.hold_where_unusual(context, candidate)
        version = self.publications.publish(candidate, clock=self.clock, guard=context.guard)
        approval.note(context, version)
        return version

    def runner(self, run_step: Callable[[str, StepContext], StepResult], **more: Any) -> Runner:
        return Runner(
            self.settings,
            self.store,
            self.publications,
            self.clock,
            Holders(self.home / "holders"),
            run_step=run_step,
            **more,
        )

    def names(self) -> list[str]:
        return [version.name for version in self.publications.versions()]

    def run(self, run_id: int) -> Run:
        return self.store.run(run_id)


def facts(run_id: int, **told: Any) -> Facts:
    """What a version says of itself, where a test does not care."""
    usual: dict[str, Any] = {
        "as_of": LAST_DAY,
        "source": "files",
        "inactivity_days": 90,
        "activity_rule": "COMPLETED transactions",
    }
    return Facts(run_id=run_id, **{**usual, "bank_timezone": "Europe/Paris", "tests": ALL_PASSED, "rows": {}, **told})


def version(run_id: int = 1, **told: Any) -> Version:
    """A version of which only the facts are asked for: there is no file."""
    name = f"v{run_id:04}"
    return Version(name=name, number=run_id, folder=Path(name), published_at=SIX_O_CLOCK, **vars(facts(run_id, **told)))


def publish_customers(home: Path, customers: int, *, clock: Clock, run_id: int = 1) -> Version:
    """Publish a version whose customers are numbered from 0; two of them have lapsed."""
    folder = files.make_folder(home / "candidates" / str(run_id))
    (folder / "metrics.json").write_text("[]")
    of_customers = f"select range::varchar as user_id, 'FR' as country from range({customers})"
    tables = {"marts.sync_customer_status": of_customers, "marts.sync_lapsed_customers": f"{of_customers} limit 2"}
    tables["marts.sync_early_warnings"] = f"{of_customers} limit 1"
    rows = write_tables(folder / "published.duckdb", tables)
    candidate = Candidate(folder, facts(run_id, source="demo bank", rows=rows), lease_token=run_id, started_at=SIX_O_CLOCK)
    return Publications(home, keep=5).publish(candidate, clock=clock, guard=lambda: None)


def write_tables(database: Path, tables: Mapping[str, str]) -> dict[str, int]:
    """Write a file of tables; returns the rows of each by its name without the schema."""
    rows = {}
    with duckdb.connect(database) as connection:
        for schema in ("marts", "warehouse"):
            connection.execute(f"create schema {schema}")
        for name, query in tables.items():
            connection.execute(f"create table {name} as {query}")
            (count,) = connection.execute(f"select count(*) from {name}").fetchone() or (0,)
            rows[name.partition(".")[2]] = count
    return rows
