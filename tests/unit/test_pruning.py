"""Old things go by rule, and what somebody still needs stays however old it is."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hand_made import facts
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, insert

from pipeline.clock import FixedClock
from pipeline.pruning import prune
from pipeline.runs import pruning as pruning_rows
from pipeline.runs import schema
from pipeline.runs.alerts import FIRED, RECOVERED, AlertRule
from pipeline.runs.records import RunState, ScheduleKind, ScheduleRow, StepState, SyncState
from pipeline.runs.store import RunStore
from pipeline.runs.watching import CLOSED, OPENED, REJECTED, Publication
from pipeline.settings import Settings
from pipeline.warehouse.held import HeldCandidates
from pipeline.warehouse.publication import Candidate, Publications

LONG_AGO = datetime(2020, 3, 2, 6, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(LONG_AGO)


@pytest.fixture
def store(run_store_url: str, clock: FixedClock) -> RunStore:
    return RunStore.open(run_store_url, clock=clock)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(  # type: ignore[call-arg]
        _env_file=None, home=tmp_path / "var", runs_kept_days=400, events_kept_days=90, logs_kept_days=30, payloads_kept_days=60
    )


def run_of(store: RunStore, *, resumes: int | None = None, ends: bool = True) -> int:
    lease = store.take_lease("worker", seconds=40)
    request = store.request_run("ada", resumes=resumes)
    plan = [("transform", StepState.PENDING)]
    run = store.start_run(
        lease, trigger="cli", requested_by="ada", plan=plan, first_step="transform", resumes=resumes, request_id=request.id
    )
    store.add_event(run.id, level="info", step="transform", text="began")
    if ends:
        store.finish_run(lease, run.id, state=RunState.SUCCEEDED)
        store.release(lease)
    return run.id


def file_of(path: Path, at: datetime) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def pruned(settings: Settings, store: RunStore, clock: FixedClock) -> dict[str, int]:
    return prune(settings, store, Publications(settings.home, keep=5), clock)


def candidate(settings: Settings, clock: FixedClock, run_id: int) -> Candidate:
    folder = settings.home / "candidates" / str(run_id)
    folder.mkdir(parents=True)
    return Candidate(folder, facts(run_id), lease_token=run_id, started_at=clock.now())


def publish(settings: Settings, clock: FixedClock, run_id: int) -> None:
    made = candidate(settings, clock, run_id)
    Publications(settings.home, keep=5).publish(made, clock=clock, guard=lambda: None)


def test_old_runs_go_with_all_that_is_theirs_and_the_audit_stays(settings: Settings, store: RunStore, clock: FixedClock) -> None:
    old = [run_of(store), run_of(store, resumes=1)]
    store.audit("ada", "retry", "run 1")
    clock.sleep(390 * 86400)
    resuming = run_of(store, resumes=2)
    clock.sleep(11 * 86400)
    assert pruned(settings, store, clock) == {"runs": 2}
    assert [run.id for run in store.runs()] == [resuming]
    assert store.run(resuming).resumes is None
    assert store.events(old[0]) == []
    assert [request.run_id for request in store.requests()] == [resuming]
    assert [row.action for row in store.acts()] == ["retry"]
    assert pruned(settings, store, clock) == {}


def test_the_run_of_a_kept_version_and_its_log_stay_however_old(settings: Settings, store: RunStore, clock: FixedClock) -> None:
    published, gone, newest = run_of(store), run_of(store), run_of(store)
    publish(settings, clock, published)
    logs = {run: file_of(settings.home / "logs" / f"run-{run}.log", LONG_AGO) for run in (published, gone, newest)}
    clock.sleep(3000 * 86400)
    went = pruned(settings, store, clock)
    assert (went["runs"], went["log files"]) == (1, 2)
    assert [run.id for run in store.runs()] == [newest, published]
    assert [run for run, path in logs.items() if path.exists()] == [published]
    assert [version.run_id for version in Publications(settings.home, keep=5).versions()] == [published]


def test_the_run_of_a_candidate_that_waits_stays_with_its_log_and_the_candidate(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    run_of(store)
    held = run_of(store)
    run_of(store)
    candidates = HeldCandidates(Publications(settings.home, keep=5))
    candidates.hold(candidate(settings, clock, held), [{"kind": "rows"}], clock=clock, guard=lambda: None)
    log = file_of(settings.home / "logs" / f"run-{held}.log", clock.now())
    clock.sleep(3000 * 86400)
    assert pruned(settings, store, clock)["runs"] == 1
    assert held in [run.id for run in store.runs()]
    assert log.exists()
    assert [each.run_id for each in candidates.waiting()] == [held]


def test_what_syncs_did_goes_with_its_run_but_the_last_time_of_each(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    rejects = [("7", "no such contact", {"user_id": "7"})]
    for sync in ("crm", "crm", "sheet"):
        run = run_of(store)
        store.record_sync(
            sync, state=SyncState.DONE, service="s", who="daily", started_at=clock.now(), run_id=run, rejects=rejects
        )
    run_of(store)
    clock.sleep(401 * 86400)
    assert pruned(settings, store, clock) == {"syncs": 1, "runs": 1, "lines of live logs": 3}
    assert [run.id for run in store.runs()] == [4, 3, 2]
    [kept] = store.sync_runs("crm")
    assert (kept.run_id, store.rejected_rows(kept.id)[1]) == (2, 1)


def scheduled(store: RunStore, clock: FixedClock) -> int:
    """A day passes, and the moment of the schedule is served by a run."""
    clock.sleep(86400)
    slot = store.serve_slots("daily")
    assert slot is not None
    lease = store.take_lease("worker", seconds=40)
    run = store.start_run(
        lease, trigger="schedule", requested_by="daily", plan=[("transform", StepState.PENDING)], first_step="transform",
        request_id=slot.request_id,
    )  # fmt: skip
    store.finish_run(lease, run.id, state=RunState.SUCCEEDED)
    store.release(lease)
    return run.id


def test_moments_of_the_schedule_go_with_their_runs_but_the_latest_of_each_row(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    store.add_schedule(ScheduleRow("daily", ScheduleKind.DAILY, minute=0, hour=12), "ada")
    published, gone, last = (scheduled(store, clock) for _ in range(3))
    publish(settings, clock, published)
    clock.sleep(86400)
    refused = store.serve_slots("daily")
    assert refused is not None
    assert refused.request_id is not None
    store.refuse(refused.request_id, "no")
    newest = run_of(store)
    clock.sleep(401 * 86400)
    went = pruned(settings, store, clock)
    assert (went["runs"], went["requests"], went["moments of the schedule"]) == (2, 1, 2)
    assert [run.id for run in store.runs()] == [newest, published]
    latest, first = store.slots()
    assert (first.run_id, latest.due_at, latest.request_id, latest.run_id) == (published, refused.due_at, None, None)
    assert store.due(store.schedules())  # worked out from the latest moment that was served
    assert gone not in (slot.run_id for slot in store.slots())
    assert last not in (slot.run_id for slot in store.slots())
    assert "moments of the schedule" not in pruned(settings, store, clock)


def test_the_latest_moment_does_not_name_a_request_whose_number_may_be_another_s_one_day(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    store.add_schedule(ScheduleRow("daily", ScheduleKind.DAILY, minute=0, hour=12), "ada")
    scheduled(store, clock)
    run_of(store)
    clock.sleep(401 * 86400)
    assert pruned(settings, store, clock)["runs"] == 1
    [latest] = store.slots()
    assert (latest.request_id, latest.run_id, latest.standing) == (None, None, "forgotten")


def test_a_moment_that_a_kept_run_was_in_the_way_of_stays_with_it(settings: Settings, store: RunStore, clock: FixedClock) -> None:
    store.add_schedule(ScheduleRow("daily", ScheduleKind.DAILY, minute=0, hour=12), "ada")
    clock.sleep(6 * 3600 - 20)
    run = run_of(store, ends=False)
    lease = store.lease()
    assert lease is not None
    clock.sleep(30)
    skipped = store.serve_slots("daily")
    assert skipped is not None
    assert skipped.in_the_way == run
    store.finish_run(lease, run, state=RunState.SUCCEEDED)
    store.release(lease)
    publish(settings, clock, run)
    scheduled(store, clock)
    clock.sleep(401 * 86400)
    assert "moments of the schedule" not in pruned(settings, store, clock)
    assert [slot.in_the_way for slot in store.slots()] == [None, run]


def test_a_run_that_approved_one_that_is_gone_says_so_no_more(settings: Settings, store: RunStore, clock: FixedClock) -> None:
    held = run_of(store)
    clock.sleep(401 * 86400)
    lease = store.take_lease("worker", seconds=40)
    plan = [("transform", StepState.PENDING)]
    approving = store.start_run(
        lease, trigger="approval", requested_by="ada", plan=plan, first_step="transform", approves=held, resumes=held
    )
    store.finish_run(lease, approving.id, state=RunState.SUCCEEDED)
    store.release(lease)
    assert pruned(settings, store, clock)["runs"] == 1
    assert (store.run(approving.id).approves, store.run(approving.id).resumes) == (None, None)


def test_the_newest_run_stays_where_the_chain_has_stood_still_for_years(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    run_of(store)
    clock.sleep(3000 * 86400)
    assert "runs" not in pruned(settings, store, clock)


def test_a_run_that_another_subject_speaks_of_stays(
    settings: Settings, store: RunStore, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds a table that refers to runs has told all that this needs to know."""
    tables = MetaData()
    for table in schema.METADATA.sorted_tables:
        table.to_metadata(tables)
    held = Table("held", tables, Column("id", Integer, primary_key=True), Column("run", Integer, ForeignKey("runs.id")))
    monkeypatch.setattr(pruning_rows, "METADATA", tables)
    monkeypatch.setattr(pruning_rows, "runs", tables.tables["runs"])
    monkeypatch.setattr(pruning_rows, "GOES_ALONG", [tables.tables[name] for name in ("events", "requests", "steps")])
    first, second, _newest = run_of(store), run_of(store), run_of(store)
    with store._write() as connection:
        held.create(connection)
        connection.execute(insert(held).values(run=first))
    clock.sleep(3000 * 86400)
    assert pruned(settings, store, clock)["runs"] == 1
    assert second not in [run.id for run in store.runs()]


def test_live_logs_texts_and_workers_go_before_their_runs(settings: Settings, store: RunStore, clock: FixedClock) -> None:
    run = run_of(store)
    for key in ("delivered", "waiting"):
        store.reserve(key, "outbox", {"body": "Dear Ada"})
    store.delivered("delivered", location="outbox/1.eml")
    store.beat("a container of last year", started_at=LONG_AGO, doing="waiting")
    clock.sleep(61 * 86400)
    assert pruned(settings, store, clock) == {"texts of delivered messages": 1}
    clock.sleep(30 * 86400)
    store.beat("the container of today", started_at=LONG_AGO, doing="waiting")
    assert pruned(settings, store, clock) == {"lines of live logs": 1, "workers": 1}
    assert store.run(run).state is RunState.SUCCEEDED
    delivered, waiting = store.delivery("delivered"), store.delivery("waiting")
    assert delivered is not None
    assert waiting is not None
    assert (delivered.payload, delivered.location, waiting.payload) == ({}, "outbox/1.eml", {"body": "Dear Ada"})
    assert not store.reserve("delivered", "outbox", {})  # it still is known to have been sent
    assert [worker.name for worker in store.workers()] == ["the container of today"]


def test_candidates_and_temporary_files_go_and_nothing_else_does(settings: Settings, store: RunStore, clock: FixedClock) -> None:
    home, old = settings.home, clock.now()
    temporary = [
        file_of(home / ".backup-12.part" / "run_store.db", old),
        file_of(home / "versions" / ".v0001.gone" / "published.duckdb", old),
        file_of(home / "sheet" / ".neopulse.xlsx.12.part", old),
        file_of(home / "destinations" / "crm" / ".rows.csv.12.part", old),
        file_of(home / "warehouse" / "state.duckdb.tmp" / "duckdb_temp_12_0_storage_DEFAULT-0.tmp", old),
        file_of(home / "warehouse" / "spill" / "duckdb_temp_12_0_storage_DEFAULT-0.tmp", old),
    ]
    candidates = [file_of(home / "candidates" / name / "dbt.log", old) for name in ("7", "8")]
    kept = [
        file_of(home / name, old)
        for name in (
            "sheet/neopulse.xlsx",
            "versions/v0001/published.duckdb",
            "outbox/v0001.eml",
            ".before-restore-20200302T060000Z/run_store.db",
            "logs/worker-faults.log",
            "landing/parts.part",
            "warehouse/state.duckdb",
        )
    ]
    damaged = file_of(home / "warehouse" / "state.duckdb.damaged", old)
    for path in (*temporary, *candidates):
        os.utime(path.parent, (old.timestamp(), old.timestamp()))
    assert pruned(settings, store, clock) == {}
    clock.sleep(2 * 86400)
    assert pruned(settings, store, clock) == {"temporary files": 6}
    clock.sleep(13 * 86400)
    assert pruned(settings, store, clock) == {"candidates": 2, "damaged states": 1}
    assert not damaged.exists()
    clock.sleep(3000 * 86400)
    pruned(settings, store, clock)
    assert [path for path in (*temporary, *candidates) if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


def remembered(number: int, at: datetime, source: str) -> Publication:
    return Publication(f"v{number:04d}", at, number, source, at.date(), 1000, {"mart_customers": 10}, approved=False)


def test_of_publications_the_last_thirty_of_each_source_and_those_of_kept_versions_stay(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    days = [clock.now() + timedelta(days=number) for number in range(40)]
    store.note_publications([remembered(number, day, "files") for number, day in enumerate(days, 1)])
    store.note_publications([remembered(number, day, "demo bank") for number, day in enumerate(days[:5], 101)])
    publish(settings, clock, run_of(store))  # v0001
    clock.sleep(439 * 86400)
    # older than 400 days: all 40 of the one source (its last 30 and v0001 stay) and the 5 of the other, of which all stay
    assert pruned(settings, store, clock)["publications"] == 9
    assert [known.run_id for known in store.publications(100, source="files")] == [*range(40, 10, -1), 1]
    assert len(store.publications(100, source="demo bank")) == 5
    assert "publications" not in pruned(settings, store, clock)


def test_decisions_and_incidents_go_once_they_are_over_and_no_number_is_given_twice(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    rejected, waiting = run_of(store), run_of(store)
    for run in (rejected, waiting):
        store.note_held(run, clock.now(), [{"rule": "rows_gone"}])
    store.decide(rejected, clock.now(), state=REJECTED, who="ada", note="half a delivery")
    ended = [store.open_incident("freshness", f"runs {number}", {"since": ""}) for number in range(3)]
    for number, incident in enumerate(ended):
        store.close_incident("freshness", f"runs {number}")
        store.mailed(incident.id, OPENED if number == 1 else CLOSED)  # of the second one the end is still to be told
    clock.sleep(401 * 86400)
    run_of(store)
    assert {name: went for name, went in pruned(settings, store, clock).items() if name in ("decisions", "incidents")} == {
        "decisions": 1, "incidents": 1
    }  # fmt: skip
    assert [decision.run_id for decision in store.decisions()] == [waiting]
    assert [incident.id for incident in store.incidents()] == [3, 2]
    assert store.open_incident("freshness", "runs", {}).id == 4  # the key of its mail is new


def test_of_what_rules_found_the_last_of_each_kind_and_what_is_untold_stay(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    rule = AlertRule("few", "mau", "below", 10.0, cooldown_hours=0)
    number = store.save_alert_rule(rule)
    for _ in range(4):
        for state, firing in ((FIRED, True), (RECOVERED, False)):
            clock.sleep(86400)
            found = {"state": state, "version": "v0001", "point": None, "figure": 3.0, "before": None, "rule": rule.content}
            row = store.note_look(store.alert_rule(number), clock.now(), firing=firing, row=found)
            assert row is not None
            if row.id != 1:  # the first is still to be told
                store.alert_sent(row.id)
    clock.sleep(401 * 86400)
    assert pruned(settings, store, clock) == {"findings of rules": 5}
    assert [row.id for row in store.alert_history()] == [8, 7, 1]
    last = store.last_fired(number)
    assert last is not None
    assert last.id == 7


def test_mails_of_the_outbox_go_with_the_texts_and_one_that_nobody_noted_down_stays(
    settings: Settings, store: RunStore, clock: FixedClock
) -> None:
    outbox, old = settings.home / "outbox", clock.now()
    delivered, waiting = (file_of(outbox / f"outbox-{name}.eml", old) for name in ("v0001", "v0002"))
    by_hand = file_of(outbox / "copy of the letter.eml", old)
    for path in (delivered, waiting):
        store.reserve(path.stem, "outbox", {"body": "Dear Ada"})
    store.delivered(delivered.stem, location=str(delivered))
    clock.sleep(59 * 86400)
    assert pruned(settings, store, clock) == {}
    clock.sleep(2 * 86400)
    assert pruned(settings, store, clock) == {"texts of delivered messages": 1, "mails of the outbox": 1}
    assert [path.exists() for path in (delivered, waiting, by_hand)] == [False, True, True]
    assert not store.reserve(delivered.stem, "outbox", {})  # and it is not written again


def test_nothing_goes_while_a_run_is_going_on(settings: Settings, store: RunStore, clock: FixedClock) -> None:
    run_of(store)
    run_of(store)
    log = file_of(settings.home / "logs" / "run-1.log", clock.now())
    clock.sleep(3000 * 86400)
    run_of(store, ends=False)
    assert pruned(settings, store, clock) == {}
    assert log.exists()
    assert len(store.runs()) == 3


def test_what_went_is_logged(settings: Settings, store: RunStore, clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    file_of(settings.home / "logs" / "run-1.log", clock.now())
    clock.sleep(31 * 86400)
    with caplog.at_level(logging.INFO, logger="pipeline"):
        pruned(settings, store, clock)
    assert caplog.messages == ["what was old enough is gone: 1 log files"]


def test_hundreds_of_old_runs_go_in_short_acts(store: RunStore, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning_rows, "AT_ONCE", 3)
    for _ in range(10):
        run_of(store)
    clock.sleep(401 * 86400)
    assert store.prune_runs(clock.now() - timedelta(days=400), kept=[4]) == [1, 2, 3, 5, 6, 7, 8, 9]
    assert [run.id for run in store.runs()] == [10, 4]
