"""The run store: one lease, one open request, nothing written under a lost lease."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres_kit import PostgreSQL, at_once, plain_engine
from sqlalchemy import Connection, Insert, insert, inspect, make_url, select, text, update

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, InterruptedRunError, PermanentError, TransientError
from pipeline.runs import history, migrations, schema
from pipeline.runs import requests as run_requests
from pipeline.runs.database import StoreMovedError
from pipeline.runs.holders import Holders
from pipeline.runs.keeper import RENEW_SECONDS, holding
from pipeline.runs.leases import LeaseHeldError
from pipeline.runs.postgresql import postgresql_engine, with_driver
from pipeline.runs.records import Lease, RequestState, Run, RunState, StepState, SyncState
from pipeline.runs.sightings import LOOK_ON_SECONDS
from pipeline.runs.store import RunStore
from streamlit_app import stores

MONDAY = datetime(2019, 5, 13, 4, 0, tzinfo=UTC)
PLAN = (("extract", StepState.PENDING), ("transform", StepState.PENDING), ("notify", StepState.PENDING))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


@pytest.fixture
def url(run_store_url: str) -> str:
    """A store on each engine: what holds on one has to hold on the other."""
    return run_store_url


@pytest.fixture
def store(url: str, clock: FixedClock) -> Iterator[RunStore]:
    opened = RunStore.open(url, clock=clock)
    yield opened
    opened.close()


def begin(store: RunStore, *, holder: str = "first", request_id: int | None = None) -> tuple[Lease, Run]:
    lease = store.take_lease(holder, seconds=40)
    run = store.start_run(lease, trigger="cli", requested_by="ada", plan=PLAN, first_step="extract", request_id=request_id)
    return lease, run


def test_a_second_run_is_refused_with_the_name_of_the_first(store: RunStore) -> None:
    begin(store, holder="machine process 12")
    with pytest.raises(LeaseHeldError) as refused:
        store.take_lease("machine process 13", seconds=40)
    assert "Run 1 is going on" in str(refused.value)
    assert "machine process 12 since 2019-05-13 04:00:00 UTC" in str(refused.value)


TAKE = """
try:
    RunStore.open(url, clock=SystemClock()).take_lease("a process", seconds=40)
    print("taken")
except LeaseHeldError:
    print("refused")
"""


def test_of_processes_that_want_the_lease_at_once_one_gets_it(url: str) -> None:
    assert at_once(TAKE, url, processes=4) == ["refused"] * 3 + ["taken"]


def test_tokens_only_ever_grow(store: RunStore, clock: FixedClock) -> None:
    first = store.take_lease("a", seconds=40)
    store.release(first)
    second = store.take_lease("b", seconds=40)
    clock.sleep(41)
    third = store.take_lease("c", seconds=40)
    assert first.token < second.token < third.token


def test_a_renewed_lease_outlives_its_first_end(store: RunStore, clock: FixedClock) -> None:
    lease = store.take_lease("a", seconds=40)
    clock.sleep(30)
    store.renew(lease, seconds=40)
    clock.sleep(30)
    store.assert_held(lease)
    clock.sleep(11)
    with pytest.raises(InterruptedRunError):
        store.assert_held(lease)


def test_a_clock_that_is_set_on_takes_the_lease_from_nobody_who_renews_it(url: str, store: RunStore, clock: FixedClock) -> None:
    lease, run = begin(store)
    asking = RunStore.open(url, clock=clock)
    for _ in range(6):
        clock.set(clock.now() + timedelta(hours=1))
        assert asking.reap() == []
        with pytest.raises(LeaseHeldError, match="Run 1 is going on"):
            asking.take_lease("second", seconds=40)
        store.assert_held(lease)
        clock.sleep(10)
        store.renew(lease, seconds=40)
    store.start_step(lease, run.id, "extract", attempt=1)

    clock.set(clock.now() + timedelta(hours=1))  # and the holder dies: nobody renews any more
    assert asking.reap() == []
    clock.sleep(LOOK_ON_SECONDS - 1)
    assert asking.reap() == []
    clock.sleep(1)
    assert [reaped.id for reaped in asking.reap()] == [run.id]
    assert asking.take_lease("second", seconds=40).token > lease.token


def test_a_machine_whose_clock_is_ahead_takes_the_lease_only_from_who_is_silent(
    url: str, store: RunStore, clock: FixedClock
) -> None:
    ahead = FixedClock(clock.now() + timedelta(minutes=5))
    other = RunStore.open(url, clock=ahead)
    lease, run = begin(store)
    for _ in range(12):
        assert other.reap() == []
        assert other.lease() is not None
        clock.sleep(RENEW_SECONDS)
        ahead.sleep(RENEW_SECONDS)
        lease = store.renew(lease, seconds=40)
    assert other.reap() == []
    ahead.sleep(LOOK_ON_SECONDS)
    assert [reaped.id for reaped in other.reap()] == [run.id]
    assert LOOK_ON_SECONDS >= 2 * RENEW_SECONDS


class Renewed(FixedClock):
    """A clock under which somebody renews as time passes, until it is told that he died."""

    def __init__(self, now: datetime, renew: Callable[[], object]) -> None:
        super().__init__(now)
        self.renew: Callable[[], object] | None = renew

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.renew is not None and self.passed() % RENEW_SECONDS == 0:
            self.renew()


def test_who_has_just_begun_looks_on_before_it_takes_a_lease_whose_time_is_over(
    url: str, store: RunStore, clock: FixedClock, tmp_path: Path
) -> None:
    lease, run = begin(store)

    def renew() -> None:
        clock.sleep(RENEW_SECONDS)
        store.renew(lease, seconds=40)

    ahead = Renewed(clock.now() + timedelta(hours=1), renew)
    other, holders = RunStore.open(url, clock=ahead), Holders(tmp_path / "holders")
    with pytest.raises(LeaseHeldError), holding(other, holders):
        pass
    assert ahead.passed() == RENEW_SECONDS
    ahead.renew = None
    with holding(RunStore.open(url, clock=ahead), holders) as keeper:
        assert keeper.lease.token > lease.token
    assert ahead.passed() == RENEW_SECONDS + LOOK_ON_SECONDS
    assert store.run(run.id).state is RunState.INTERRUPTED


def test_who_comes_back_after_the_lease_ran_out_cannot_write(store: RunStore, clock: FixedClock) -> None:
    late, run = begin(store)
    store.start_step(late, run.id, "extract", attempt=1)
    clock.sleep(41)
    assert [reaped.id for reaped in store.reap()] == [run.id]

    with pytest.raises(InterruptedRunError):
        store.renew(late, seconds=40)
    with pytest.raises(InterruptedRunError):
        store.progress(late, run.id, "extract", fraction=0.5, text="half")
    with pytest.raises(InterruptedRunError):
        store.finish_step(late, run.id, "extract", state=StepState.SUCCEEDED)
    with pytest.raises(InterruptedRunError):
        store.set_version(late, run.id, version="v0001", as_of=date(2019, 5, 12))
    assert store.finish_run(late, run.id, state=RunState.SUCCEEDED).state is RunState.INTERRUPTED


def test_a_run_does_not_begin_under_a_lost_lease(store: RunStore, clock: FixedClock) -> None:
    late = store.take_lease("late", seconds=40)
    clock.sleep(41)
    store.take_lease("present", seconds=40)
    with pytest.raises(InterruptedRunError):
        store.start_run(late, trigger="cli", requested_by="ada", plan=PLAN, first_step="extract")
    assert store.runs() == []


def test_a_late_release_does_not_free_the_lease_of_the_next(store: RunStore, clock: FixedClock) -> None:
    late = store.take_lease("the same process", seconds=40)
    clock.sleep(41)
    present = store.take_lease("the same process", seconds=40)
    store.release(late)
    store.assert_held(present)
    with pytest.raises(InterruptedRunError):
        store.assert_held(late)


def test_a_run_whose_lease_lives_is_not_reaped(store: RunStore, clock: FixedClock) -> None:
    begin(store)
    clock.sleep(39)
    assert store.reap() == []


def test_a_reaped_run_tells_where_to_resume(store: RunStore, clock: FixedClock) -> None:
    lease, run = begin(store)
    store.start_step(lease, run.id, "extract", attempt=1)
    store.finish_step(lease, run.id, "extract", state=StepState.SUCCEEDED, service="files", rows_in=3, rows_out=3)
    store.start_step(lease, run.id, "transform", attempt=1)
    clock.sleep(41)
    (reaped,) = store.reap()
    assert [step.state for step in reaped.steps] == [StepState.SUCCEEDED, StepState.INTERRUPTED, StepState.PENDING]
    assert reaped.unfinished_step == "transform"
    assert reaped.error is not None
    assert "neopulse run --from transform" in reaped.error
    assert reaped.ended_at == MONDAY + timedelta(seconds=41)
    assert store.reap() == []


def test_the_run_of_a_holder_that_is_seen_to_be_dead_is_reaped_at_once(store: RunStore) -> None:
    begin(store, holder="dead")
    assert len(store.reap(lambda holder: holder == "dead")) == 1
    store.take_lease("next", seconds=40)


def test_what_a_dead_holder_left_is_seen_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    holders = Holders(tmp_path / "holders")
    with holders.alive("me"):
        assert not holders.is_dead("me")
    assert not holders.is_dead("a holder of another machine")
    (tmp_path / "holders" / holders._path("gone").name).touch()
    assert holders.is_dead("gone")


def test_fifty_presses_at_once_are_one_request(url: str, clock: FixedClock) -> None:
    stores = [RunStore.open(url, clock=clock) for _ in range(5)]
    with ThreadPoolExecutor(50) as presses:
        asked = list(presses.map(lambda number: stores[number % 5].request_run(f"person {number}"), range(50)))
    assert len({request.id for request in asked}) == 1
    assert len(stores[0].requests()) == 1


def test_a_press_while_the_run_goes_on_is_the_same_request_and_afterwards_a_new_one(store: RunStore) -> None:
    request = store.request_run("ada")
    lease, run = begin(store, request_id=request.id)
    assert store.next_request() is None
    again = store.request_run("grace")
    assert (again.id, again.state, again.run_id) == (request.id, RequestState.CLAIMED, run.id)

    store.finish_run(lease, run.id, state=RunState.SUCCEEDED)
    (answered,) = store.requests()
    assert (answered.state, answered.answer) == (RequestState.DONE, "Run 1 succeeded")
    assert store.request_run("grace").id != request.id


def test_requests_that_differ_are_served_in_their_order(store: RunStore) -> None:
    first = store.request_run("ada", first_step="sheet")
    second = store.request_run("ada")
    waiting = store.next_request()
    assert waiting is not None
    assert waiting.id == first.id
    store.refuse(first.id, "no version was published")
    waiting = store.next_request()
    assert waiting is not None
    assert waiting.id == second.id
    assert store.request_run("ada", first_step="sheet").id not in (first.id, second.id)  # what was refused may be asked again


def test_a_request_is_served_once(store: RunStore) -> None:
    request = store.request_run("ada")
    lease, run = begin(store, request_id=request.id)
    store.finish_run(lease, run.id, state=RunState.SUCCEEDED)
    store.release(lease)
    with pytest.raises(PermanentError, match="served already"):
        begin(store, request_id=request.id)
    assert [run.id for run in store.runs()] == [run.id]  # the refused start left no trace


def test_steps_keep_service_rows_times_and_attempts(store: RunStore, clock: FixedClock) -> None:
    lease, run = begin(store)
    store.start_step(lease, run.id, "extract", attempt=1)
    clock.sleep(5)
    store.start_step(lease, run.id, "extract", attempt=2)
    clock.sleep(7)
    store.finish_step(
        lease,
        run.id,
        "extract",
        state=StepState.SUCCEEDED,
        service="files",
        rows_in=10,
        rows_out=9,
        detail={"tables": {"users": 9}},
    )
    extract = store.run(run.id).steps[0]
    assert (extract.service, extract.rows_in, extract.rows_out, extract.attempts) == ("files", 10, 9, 2)
    assert extract.started_at == MONDAY
    assert extract.ended_at == MONDAY + timedelta(seconds=12)
    assert extract.detail == {"tables": {"users": 9}}


def test_runs_are_paged_from_the_newest_down(store: RunStore) -> None:
    for _ in range(5):
        lease, run = begin(store)
        store.finish_run(lease, run.id, state=RunState.SUCCEEDED)
        store.release(lease)
    assert [run.id for run in store.runs(2)] == [5, 4]
    assert [run.id for run in store.runs(2, before=4)] == [3, 2]
    latest = store.latest()
    assert latest is not None
    assert latest.id == 5
    with pytest.raises(PermanentError, match="no run 6"):
        store.run(6)


def test_the_live_log_goes_on_where_the_reader_left_off(store: RunStore) -> None:
    _, run = begin(store)
    for word in ("one", "two", "three"):
        store.add_event(run.id, level="info", step="extract", text=word)
    seen = store.events(run.id)
    assert [event.text for event in seen] == ["one", "two", "three"]
    assert [event.text for event in store.events(run.id, after=seen[1].id)] == ["three"]


def test_a_delivery_is_reserved_until_it_was_made_and_never_again(store: RunStore) -> None:
    assert store.reserve("v0001/mail", "managers@localhost", {"version": "v0001"})
    assert store.reserve("v0001/mail", "managers@localhost", {"version": "v0001"})  # the crash came before the mail
    assert [delivery.key for delivery in store.waiting()] == ["v0001/mail"]
    store.delivered("v0001/mail", location="outbox/v0001.eml")
    assert not store.reserve("v0001/mail", "managers@localhost", {"version": "v0001"})
    assert store.waiting() == []
    delivery = store.delivery("v0001/mail")
    assert delivery is not None
    assert (delivery.delivered, delivery.location) == (True, "outbox/v0001.eml")


def test_many_writers_wait_for_each_other_and_none_fails(url: str, clock: FixedClock) -> None:
    stores = [RunStore.open(url, clock=clock) for _ in range(8)]
    with ThreadPoolExecutor(8) as writers:
        reserved = list(writers.map(lambda number: stores[number % 8].reserve(f"mail {number}", "outbox", {}), range(200)))
    assert all(reserved)
    assert len(stores[0].waiting()) == 200


def test_sent_rows_change_one_by_one_and_per_sync(store: RunStore) -> None:
    store.replace_sent_rows("status", {f"user {number}": "a" for number in range(1200)})
    store.replace_sent_rows("lapsed", {"user 1": "z"})
    store.replace_sent_rows("status", {"user 0": None, "user 1": "b", "user 1200": "c"})
    sent = store.sent_rows("status")
    assert len(sent) == 1200
    assert "user 0" not in sent
    assert (sent["user 1"], sent["user 2"], sent["user 1200"]) == ("b", "a", "c")
    assert store.sent_rows("lapsed") == {"user 1": "z"}


def test_the_audit_keeps_who_did_what_and_the_values_before_and_after(store: RunStore) -> None:
    store.audit("ada", "rollback", "version", before="v0002", after="v0001")
    (row,) = store.acts()
    assert (row.who, row.action, row.before, row.after, row.at) == ("ada", "rollback", "v0002", "v0001", MONDAY)


def test_a_worker_has_one_row_however_often_it_beats(store: RunStore, clock: FixedClock) -> None:
    store.beat("machine", started_at=MONDAY, doing="waiting", next_run_at=MONDAY + timedelta(days=1))
    clock.sleep(5)
    store.beat("machine", started_at=MONDAY, doing="run 1")
    (worker,) = store.workers()
    assert (worker.doing, worker.beat_at, worker.next_run_at) == ("run 1", MONDAY + timedelta(seconds=5), None)


def test_moments_come_back_in_utc_whatever_zone_they_went_in(store: RunStore) -> None:
    store.beat("machine", started_at=datetime.fromisoformat("2019-05-13T06:00:00+02:00"), doing="waiting")
    assert store.workers()[0].started_at == MONDAY
    assert store.workers()[0].started_at.tzinfo is UTC


def test_a_store_of_a_newer_neopulse_is_left_alone(url: str, store: RunStore, clock: FixedClock) -> None:
    store.close()
    engine = plain_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(schema.migrations).values(number=99, applied_at=MONDAY))
    with pytest.raises(ConfigurationError, match="layout 99"):
        RunStore.open(url, clock=clock)


def test_an_older_store_is_brought_up_to_date_once(url: str, store: RunStore) -> None:
    def add_note(connection: object) -> None:
        connection.execute(text("alter table runs add column note text"))  # type: ignore[attr-defined]

    store.close()
    engine = plain_engine(url)
    for _ in range(2):
        with engine.begin() as connection:
            migrations.migrate(
                connection, MONDAY, latest=migrations.LATEST + 1, migrations_by_number={migrations.LATEST + 1: add_note}
            )
    with engine.begin() as connection:
        connection.execute(text("select note from runs"))
        assert list(connection.execute(select(schema.migrations.c.number)).scalars()) == [
            migrations.LATEST,
            migrations.LATEST + 1,
        ]


def test_what_is_no_run_store_is_named_and_not_touched(tmp_path: Path, clock: FixedClock) -> None:
    path = tmp_path / "run_store.db"
    path.write_text("these are my notes, not a database, and they are long enough to be looked at" * 20)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="cannot be opened") as refused:
        RunStore.open(f"sqlite:///{path}", clock=clock)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == before


def test_a_store_that_is_damaged_is_refused_with_the_way_out_of_it_with_a_backup_or_without(
    tmp_path: Path, clock: FixedClock
) -> None:
    path = tmp_path / "run_store.db"
    opened = RunStore.open(f"sqlite:///{path}", clock=clock)
    opened.close()
    path.write_bytes(b"\x17" * path.stat().st_size)
    with pytest.raises(ConfigurationError, match="cannot be opened") as refused:
        RunStore.open(f"sqlite:///{path}", clock=clock)
    assert refused.value.safe == "The published versions and what readers see"
    assert "neopulse restore FILE --force" in str(refused.value.next)
    assert "move run_store.db and run_store.db-* aside" in str(refused.value.next)
    aside = tmp_path / "aside"
    aside.mkdir()
    for each in tmp_path.glob("run_store.db*"):
        each.rename(aside / each.name)
    anew = RunStore.open(f"sqlite:///{path}", clock=clock)
    assert list(anew.runs()) == []
    anew.close()


def test_a_wrong_address_is_refused_without_repeating_its_password(clock: FixedClock) -> None:
    for address in ("not an address: hunter2", "nosuch://ada:hunter2@host/db"):
        with pytest.raises(ConfigurationError) as refused:
            RunStore.open(address, clock=clock)
        assert "hunter2" not in str(refused.value)


def test_a_store_that_somebody_locks_is_worth_another_try(
    url: str, store: RunStore, monkeypatch: pytest.MonkeyPatch, clock: FixedClock
) -> None:
    monkeypatch.setattr("pipeline.runs.database.LOCK_WAIT_SECONDS", 0)
    monkeypatch.setattr("pipeline.runs.postgresql.LOCK_SECONDS", 0.01)
    impatient = RunStore.open(url, clock=clock)
    with store._write() as connection:
        connection.execute(update(schema.leases).values(token=7))
        with pytest.raises(TransientError, match="lock"):
            impatient.take_lease("ada", seconds=40)
    impatient.close()


def test_a_store_is_opened_and_read_while_somebody_writes(url: str, store: RunStore, clock: FixedClock) -> None:
    with store._write() as connection:
        connection.execute(update(schema.leases).values(token=7))
        reader = RunStore.open(url, clock=clock)
        assert reader.lease() is None
        reader.close()


def test_a_read_sees_one_moment_however_many_queries_it_takes(url: str, store: RunStore, clock: FixedClock) -> None:
    other = RunStore.open(url, clock=clock)
    with store._read() as connection:
        assert connection.execute(select(schema.audit)).all() == []
        other.audit("ada", "rollback", "version")
        assert connection.execute(select(schema.audit)).all() == []
    assert len(store.acts()) == 1
    other.close()


def test_a_late_holder_s_word_that_comes_while_the_reaper_is_at_it_is_refused(
    url: str, store: RunStore, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reaper has closed the step and has not committed when the late holder writes: the close has to stay."""
    late, run = begin(store)
    store.start_step(late, run.id, "extract", attempt=1)
    clock.sleep(41)
    writer, interrupt = RunStore.open(url, clock=clock), history._interrupt
    with ThreadPoolExecutor(1) as thread:
        words: list[Future[None]] = []

        def closed_and_waiting(connection: Connection, run_id: int, now: datetime) -> None:
            interrupt(connection, run_id, now)
            words.append(thread.submit(writer.finish_step, late, run.id, "extract", state=StepState.SUCCEEDED))
            time.sleep(0.3)  # for the word to come in between; where it does not, nothing is shown and nothing is wrong

        monkeypatch.setattr(history, "_interrupt", closed_and_waiting)
        store.reap()
        assert isinstance(words[0].exception(), InterruptedRunError)
    ended = store.run(run.id)
    assert (ended.state, ended.steps[0].state) == (RunState.INTERRUPTED, StepState.INTERRUPTED)
    writer.close()


def test_eight_threads_reserve_the_same_messages_and_each_is_reserved_once(url: str, clock: FixedClock) -> None:
    stores = [RunStore.open(url, clock=clock) for _ in range(4)]
    with ThreadPoolExecutor(8) as writers:
        reserved = list(writers.map(lambda number: stores[number % 4].reserve(f"mail {number // 8}", "outbox", {}), range(160)))
    assert all(reserved)
    assert len(stores[0].waiting()) == 20
    for store in stores:
        store.close()


def test_two_processes_of_a_machine_beat_for_the_first_time_at_once(url: str, clock: FixedClock) -> None:
    stores = [RunStore.open(url, clock=clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as hearts:
        list(hearts.map(lambda store: store.beat("machine", started_at=MONDAY, doing="waiting"), stores))
    assert [worker.name for worker in stores[0].workers()] == ["machine"]
    for store in stores:
        store.close()


def test_a_press_that_meets_the_answer_to_the_one_before_is_a_new_request(
    url: str, store: RunStore, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other, real = store.request_run("ada"), RunStore.open(url, clock=clock), run_requests.insert_once

    def answered_in_between(connection: Connection, row: Insert) -> bool:
        inserted = real(connection, row)
        if not inserted and connection.dialect.name == "postgresql":  # on SQLite nobody can come in between
            other.refuse(first.id, "no")
        return inserted

    monkeypatch.setattr(run_requests, "insert_once", answered_in_between)
    again = store.request_run("grace")
    assert (again.id == first.id) == (store._engine.dialect.name == "sqlite")
    assert again.state is RequestState.WAITING
    other.close()


def test_long_names_broken_bytes_and_every_script_are_kept_on_both_engines(store: RunStore) -> None:
    _, run = begin(store, holder="h" * 300)
    store.add_event(run.id, level="warning", step="extract", text="row 7: 'caf\u00e9 \u6f22 \U0001f600 \x00'")
    assert store.events(run.id)[0].text.startswith("row 7: 'caf\u00e9 \u6f22 \U0001f600 ")
    store.audit("a" * 300, "rollback", "w" * 1000, before={"text": "\x00", "number": 2**60}, after=None)
    (row,) = store.acts()
    assert (len(row.who), len(row.what), row.before["number"], row.after) == (300, 1000, 2**60, None)


def test_a_postgresql_that_the_network_lost_is_given_up_in_seconds_unless_the_address_says_otherwise(
    postgresql: PostgreSQL,
) -> None:
    limits = []
    for more in ("", "&tcp_user_timeout=5000"):
        engine = postgresql_engine(with_driver(make_url(postgresql.url() + more)))
        with engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            limits.append(driver.info.get_parameters()["tcp_user_timeout"])
        engine.dispose()
    assert limits == ["20000", "5000"]


def test_on_postgresql_no_column_has_a_length_that_sqlite_does_not_hold_to(postgresql: PostgreSQL) -> None:
    url = postgresql.url()
    RunStore.open(url, clock=FixedClock(MONDAY)).close()
    engine = plain_engine(url)
    lengths = "select table_name, column_name from information_schema.columns where table_schema = current_schema()"
    with engine.begin() as connection:
        assert connection.execute(text(lengths + " and character_maximum_length > 0")).all() == []
        assert set(inspect(connection).get_table_names()) == set(schema.METADATA.tables)
    engine.dispose()


def test_a_server_that_ends_the_connection_is_worth_another_try_and_the_next_one_works(
    postgresql: PostgreSQL, clock: FixedClock
) -> None:
    url = postgresql.url()
    store, killer = RunStore.open(url, clock=clock), plain_engine(url)
    others = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"

    def write_twice() -> None:
        with store._write() as connection:
            connection.execute(update(schema.leases).values(token=7))
            with killer.begin() as administrator:
                administrator.execute(text(others + " and pid <> pg_backend_pid()"))
            connection.execute(update(schema.leases).values(token=8))

    with pytest.raises(TransientError, match="did not answer"):
        write_twice()
    assert store.take_lease("ada", seconds=40).token == 1  # what was under way is undone
    killer.dispose()
    store.close()


def test_a_server_that_is_not_there_is_named_without_the_password(clock: FixedClock) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened") as refused:
        RunStore.open("postgresql://ada:hunter2@127.0.0.1:1/runs?sslpassword=hunter3", clock=clock)
    assert "ada:***@127.0.0.1:1/runs" in str(refused.value)
    assert "hunter" not in str(refused.value)


def test_a_run_whose_work_was_all_done_is_closed_as_that_and_one_with_a_failed_step_is_not(store: RunStore) -> None:
    for last, closed in ((StepState.SUCCEEDED, RunState.SUCCEEDED), (StepState.FAILED, RunState.INTERRUPTED)):
        lease, run = begin(store)
        for step in ("extract", "transform"):
            store.finish_step(lease, run.id, step, state=StepState.SUCCEEDED)
        store.finish_step(lease, run.id, "notify", state=last)
        [reaped] = store.reap(lambda _holder: True)
        assert (reaped.id, reaped.state, reaped.error is None) == (run.id, closed, closed is RunState.SUCCEEDED)


def test_refused_rows_are_kept_for_the_last_twenty_times_of_a_sync(store: RunStore) -> None:
    facts = {"service": "s", "who": "daily", "started_at": MONDAY, "rejects": [("7", "blocked", {"user_id": "7"})]}
    store.record_sync("another", state=SyncState.PARTIAL, **facts)
    for _ in range(22):
        store.record_sync("crm", state=SyncState.PARTIAL, **facts)
    times = store.sync_runs("crm", 30)
    assert [store.rejected_rows(each.id)[1] for each in times] == [1] * 20 + [0] * 2
    assert store.rejected_rows(store.sync_runs("another")[0].id)[1] == 1


# --- an SQLite file that was taken away -------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "run_store.db"


@pytest.mark.parametrize("another", [False, True], ids=["deleted", "replaced"])
def test_a_store_whose_file_was_taken_away_is_neither_read_nor_written(file: Path, clock: FixedClock, another: bool) -> None:
    store = RunStore.open(f"sqlite:///{file}", clock=clock)
    store.request_run("ada")
    assert not store.was_moved
    for path in file.parent.glob("run_store.db*"):
        path.rename(path.with_name(f"before-{path.name}"))
    if another:
        RunStore.open(f"sqlite:///{file}", clock=clock).close()
    assert store.was_moved
    for act in (store.runs, lambda: store.request_run("bob"), lambda: store.take_lease("worker", seconds=40)):
        with pytest.raises(StoreMovedError, match="moved, deleted or replaced") as refused:
            act()
        assert refused.value.where == str(file)
    assert file.exists() is another  # nothing is made in its place
    for path in file.parent.glob("before-*"):
        path.replace(path.with_name(path.name.removeprefix("before-")))
    assert [request.requested_by for request in store.requests()] == ["ada"]


def test_a_store_in_memory_has_no_file_to_lose(clock: FixedClock) -> None:
    assert not RunStore.open("sqlite://", clock=clock).was_moved


def test_the_app_opens_the_store_that_lies_there_now(file: Path, clock: FixedClock, tmp_path: Path) -> None:
    url = f"sqlite:///{file}"
    first = stores.run_store(url)
    assert stores.run_store(url) is first
    file.rename(tmp_path / "aside.db")
    other = RunStore.open(url, clock=clock)
    other.request_run("bob")
    second = stores.run_store(url)
    assert second is not first
    assert [request.requested_by for request in second.requests()] == ["bob"]
