"""An old run store is brought up to date with every row intact, once, whoever opens it; what goes wrong leaves it as it was."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import old_stores
import pytest
from postgres_kit import PostgreSQL, at_once, plain_engine
from sqlalchemy import Connection, inspect, text

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError
from pipeline.runs import database, migrations
from pipeline.runs.alerts import AlertRule
from pipeline.runs.database import is_damage, open_engine
from pipeline.runs.records import RequestState, RunState
from pipeline.runs.reports import WEEKLY, Subscription
from pipeline.runs.store import RunStore

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where nothing is yet, on either engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'run_store.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.url()


@pytest.fixture
def old(empty_url: str) -> str:
    return old_stores.make(empty_url)


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that layout 1 had, as plain as the driver gives it."""
    engine = plain_engine(url)
    with engine.connect() as connection:
        found = {
            name: sorted((dict(row._mapping) for row in connection.execute(text(f'select * from "{name}"'))), key=str)
            for name in ("audit", "deliveries", "events", "leases", "requests", "runs", "sent_rows", "slots", "steps", "workers")
        }
    engine.dispose()
    return found


def layouts(url: str) -> list[int]:
    engine = plain_engine(url)
    with engine.connect() as connection:
        found = [row.number for row in connection.execute(text("select number from migrations order by number"))]
    engine.dispose()
    return found


def columns(url: str) -> dict[str, dict[str, bool]]:
    """Each table's columns, and whether they may be null."""
    engine = plain_engine(url)
    looking = inspect(engine)
    found = {
        table: {column["name"]: column["nullable"] for column in looking.get_columns(table)}
        for table in looking.get_table_names()
    }
    engine.dispose()
    return found


def assert_rows_intact(before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]]) -> None:
    """Every value is what it was; a column that came new may hold anything."""
    for table, rows in before.items():
        assert len(after[table]) >= len(rows), table
        for row in rows:
            assert any(row.items() <= kept.items() for kept in after[table]), f"{table}: {row}"


def test_an_old_store_is_brought_up_to_date_with_its_rows_intact_and_a_second_opening_changes_nothing(old: str) -> None:
    before = everything(old)
    RunStore.open(old, clock=FixedClock(MONDAY)).close()
    after = everything(old)
    assert_rows_intact(before, after)
    assert layouts(old) == list(range(1, migrations.LATEST + 1))
    RunStore.open(old, clock=FixedClock(MONDAY)).close()
    assert everything(old) == after
    assert layouts(old) == list(range(1, migrations.LATEST + 1))


def test_what_the_old_neopulse_wrote_is_read_as_it_was_meant(old: str) -> None:
    store = RunStore.open(old, clock=FixedClock(MONDAY))
    second, first = store.runs()
    assert (first.state, first.error, first.unfinished_step) == (RunState.FAILED, "users.csv has no column plan", "transform")
    assert (second.version, second.as_of, second.resumes) == ("v0001", date(2026, 1, 5), 1)
    assert second.ended_at == datetime(2026, 1, 6, 6, 4, 30, 250_000, tzinfo=UTC)
    assert (first.steps[0].rows_in, first.steps[0].detail) == (5_000_000_000, {"tables": {"users": 3}})
    assert store.events(1)[0].text == "transform failed: Größe 漢"
    waiting = store.next_request()
    assert waiting is not None
    assert (waiting.id, waiting.requested_by, waiting.state) == (2, "grace", RequestState.WAITING)
    assert [delivery.key for delivery in store.waiting()] == ["outbox-failed-1"]
    assert not store.reserve("outbox-v0001", "outbox", {})
    assert store.sent_rows("status") == {"user 1": "a1"}
    assert [(row.who, row.action, row.after) for row in store.acts()] == [("ada", "retry", {"request": 1})]
    store.close()


def test_an_old_store_goes_on_counting_where_it_was(old: str) -> None:
    store = RunStore.open(old, clock=FixedClock(MONDAY))
    assert store.take_lease("worker", seconds=40).token == 3
    assert store.request_run("ada").id == 3
    store.close()


def test_a_store_that_was_brought_up_to_date_has_the_tables_and_columns_of_a_new_one(old: str, tmp_path: Path) -> None:
    RunStore.open(old, clock=FixedClock(MONDAY)).close()
    new = f"sqlite:///{tmp_path / 'new.db'}"
    RunStore.open(new, clock=FixedClock(MONDAY)).close()
    assert {table: set(found) for table, found in columns(old).items()} == {
        table: set(found) for table, found in columns(new).items()
    }


def test_a_rule_about_one_value_keeps_it_where_rules_may_have_several(empty_url: str) -> None:
    store = RunStore.open(empty_url, clock=FixedClock(MONDAY))
    rules = [AlertRule(name, "dau", "below", 10.0, cooldown_hours=6) for name in ("French", "All")]
    for rule in rules:
        store.save_alert_rule(rule)
    store.close()
    engine = plain_engine(empty_url)
    with engine.begin() as connection:  # as layout 7 had them
        connection.execute(text("alter table alert_rules drop column segment"))
        connection.execute(text("alter table alert_rules add column dimension varchar(40)"))
        connection.execute(text("alter table alert_rules add column value varchar(200)"))
        connection.execute(text("update alert_rules set dimension = 'country', value = 'FR' where name = 'French'"))
        connection.execute(text("delete from migrations"))
        connection.execute(text("insert into migrations values (7, '2026-01-05 06:00:00.000000')"))
    engine.dispose()
    for _ in range(2):
        store = RunStore.open(empty_url, clock=FixedClock(MONDAY))
        found = store.alert_rules()
        store.close()
        assert found == [replace(rules[0], id=1, where=(("country", "FR"),)), replace(rules[1], id=2)]
    assert not {"dimension", "value"} & columns(empty_url)["alert_rules"].keys()


def test_the_number_of_what_was_deleted_is_given_to_nothing_else_also_in_a_store_from_before(empty_url: str) -> None:
    store = RunStore.open(empty_url, clock=FixedClock(MONDAY))
    ids = [store.add_annotation("ada", date(2026, 1, day), f"note {day}", metric="dau") for day in (1, 2, 3)]
    view = store.save_view("ada", "mine", page="churn", query={"country": ["FR"]}, shared=True)
    report = store.save_report_subscription(Subscription(("ada@bank.example",), WEEKLY, "en"), "ada")
    kept = store.annotations(), store.saved_views("ada"), store.report_subscriptions()
    store.close()
    engine = plain_engine(empty_url)
    with engine.begin() as connection:  # as layout 8 had them
        if engine.dialect.name == "sqlite":
            for table in ("annotations", "saved_views", "report_subscriptions"):
                made = connection.execute(text(f"select sql from sqlite_master where name = '{table}'")).scalar_one()
                plain = made.replace(" PRIMARY KEY AUTOINCREMENT", " PRIMARY KEY")
                assert plain != made, table
                connection.execute(text(f"alter table {table} rename to old_{table}"))
                connection.execute(text(plain))
                connection.execute(text(f"insert into {table} select * from old_{table}"))
                connection.execute(text(f"drop table old_{table}"))
        connection.execute(text("delete from migrations"))
        connection.execute(text("insert into migrations values (8, '2026-01-05 06:00:00.000000')"))
    engine.dispose()
    for _ in range(2):
        store = RunStore.open(empty_url, clock=FixedClock(MONDAY))
        assert (store.annotations(), store.saved_views("ada"), store.report_subscriptions()) == kept
        store.close()
    store = RunStore.open(empty_url, clock=FixedClock(MONDAY))
    store.remove_annotation(ids[-1])
    assert store.add_annotation("bob", date(2026, 1, 9), "another one") > ids[-1]
    store.delete_report_subscription(report)
    assert store.save_report_subscription(Subscription(("bob@bank.example",), WEEKLY, "en"), "bob") > report
    assert view is not None
    store.delete_view(view)
    assert (store.save_view("ada", "mine", page="churn", query={}, shared=True) or 0) > view
    store.close()


@pytest.mark.parametrize("begins_with", ["nothing", "an old store"])
def test_processes_that_open_a_store_at_once_bring_it_up_to_date_once(empty_url: str, begins_with: str) -> None:
    if begins_with == "an old store":
        old_stores.make(empty_url)
    told = at_once("print(len(RunStore.open(url, clock=SystemClock()).runs()))", empty_url, processes=2)
    assert told == ["2" if begins_with == "an old store" else "0"] * 2
    first = 1 if begins_with == "an old store" else migrations.LATEST
    assert layouts(empty_url) == list(range(first, migrations.LATEST + 1))


def test_a_migration_that_fails_half_way_leaves_the_old_store_as_it_was(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: Connection) -> None:
        connection.execute(text("alter table runs add column half_way text"))
        connection.execute(text("update runs set half_way = 'x', error = 'overwritten'"))
        connection.execute(text("insert into no_such_table values (1)"))

    beyond = migrations.LATEST + 1
    monkeypatch.setattr(migrations, "LATEST", beyond)
    monkeypatch.setattr(migrations, "MIGRATIONS", {**migrations.MIGRATIONS, beyond: half})
    before, tables = everything(old), columns(old)
    with pytest.raises(ConfigurationError, match=f"from layout {beyond - 1} to {beyond}") as refused:
        RunStore.open(old, clock=FixedClock(MONDAY))
    assert "The store is as it was" in str(refused.value)
    assert (everything(old), columns(old), layouts(old)) == (before, tables, [1])

    monkeypatch.undo()
    RunStore.open(old, clock=FixedClock(MONDAY)).close()
    assert_rows_intact(before, everything(old))


def test_a_store_without_a_table_that_its_layout_has_is_refused_in_words_and_not_touched(empty_url: str) -> None:
    RunStore.open(empty_url, clock=FixedClock(MONDAY)).close()
    engine = plain_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("drop table alert_history"))
        connection.execute(text("drop table alert_rules"))
        connection.execute(text("delete from migrations"))
        connection.execute(text("insert into migrations values (7, '2026-01-05 06:00:00.000000')"))
    engine.dispose()
    with pytest.raises(ConfigurationError, match="from layout 7 to 8: there is no alert_rules") as refused:
        open_engine(empty_url, FixedClock(MONDAY))
    assert is_damage(refused.value)  # so that the restore that it names does not refuse it
    assert layouts(empty_url) == [7]


def test_a_store_of_a_newer_neopulse_is_refused_and_not_touched(old: str) -> None:
    engine = plain_engine(old)
    with engine.begin() as connection:
        connection.execute(text("insert into migrations values (99, '2030-01-01 00:00:00.000000')"))
    engine.dispose()
    before = everything(old)
    with pytest.raises(ConfigurationError, match="layout 99"):
        open_engine(old, FixedClock(MONDAY))
    assert (everything(old), layouts(old)) == (before, [1, 99])


def test_the_numbers_of_the_migrations_have_no_gap() -> None:
    assert sorted(migrations.MIGRATIONS) == list(range(2, migrations.LATEST + 1))


class Refusing:
    """A cursor that refuses so many times with one of SQLite's codes."""

    def __init__(self, times: int, code: int) -> None:
        self.asked = list[str]()
        self._times, self._code = times, code

    def execute(self, statement: str) -> None:
        self.asked.append(statement)
        if len(self.asked) <= self._times:
            refusal = sqlite3.OperationalError("no")
            refusal.sqlite_errorcode = self._code
            raise refusal


def test_who_is_refused_the_journal_of_a_new_store_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite refuses at once, without waiting, where two processes ask for it at the same moment."""
    paused, cursor = list[float](), Refusing(2, sqlite3.SQLITE_BUSY)
    monkeypatch.setattr(database.time, "sleep", paused.append)
    database._write_ahead(cursor)
    assert cursor.asked == ["PRAGMA journal_mode=WAL"] * 3
    assert paused == [database.ASK_AGAIN_SECONDS] * 2


def test_another_fault_than_a_lock_is_told_at_once() -> None:
    cursor = Refusing(1, sqlite3.SQLITE_READONLY)
    with pytest.raises(sqlite3.OperationalError):
        database._write_ahead(cursor)
    assert len(cursor.asked) == 1
