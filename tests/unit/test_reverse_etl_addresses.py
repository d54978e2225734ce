"""Rows to an address, in batches: what is taken is known, what is refused is told, and a fault costs no row."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sent_notes import Notes
from stand_ins.address.server import Destination as StandIn
from stand_ins.address.server import running

from pipeline.activation import caller
from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, DataError, InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.http import Patience
from pipeline.reverse_etl.base import SyncResult
from pipeline.reverse_etl.embedded import EmbeddedReverseETL, Surroundings
from pipeline.reverse_etl.http_batches import NOT_TOLD, plain
from pipeline.reverse_etl.plan import Plan
from pipeline.reverse_etl.snapshots import Journal
from pipeline.reverse_etl.syncs import Destination, Field, Guards, Mode, RunFacts, Sync

FACTS = RunFacts(7, "v0003", date(2019, 5, 16), datetime(2019, 5, 17, 6, tzinfo=UTC))
TOKEN = "crm-s3cr3t-token"


class Desk:
    """A mart that can be changed, and an address that it is brought to."""

    def __init__(self, home: Path, there: StandIn) -> None:
        self.home = home
        self.there = there
        self.facts = FACTS
        self.bank = "files"
        self.notes = Notes()
        self.clock = FixedClock(datetime(2026, 11, 25, tzinfo=UTC))
        self.guard: Callable[[], None] = lambda: None
        self.sync = Sync(
            name="customers",
            source="mart",
            key="id",
            destination=Destination("http", f"{there.url}/rows?list=7", batch_rows=4),
            mode="mirror",
            owner="someone",
            description="what it is for",
        )
        self.mart: pa.Table = self.table({str(number): "STANDARD" for number in range(10)})

    @staticmethod
    def table(rows: Mapping[str, str] | Sequence[tuple[str | None, str]]) -> pa.Table:
        pairs = list(rows.items()) if isinstance(rows, Mapping) else list(rows)
        return pa.table({"id": pa.array([key for key, _ in pairs], pa.string()), "plan": [plan for _, plan in pairs]})

    def engine(self, **changes: Any) -> EmbeddedReverseETL:
        return EmbeddedReverseETL(
            (replace(self.sync, **changes),),
            Surroundings(
                read=lambda _mart: self.mart,
                folder=self.home / "destinations",
                snapshots=self.home / "syncs",
                store=self.notes,
                facts=self.facts,
                bank=self.bank,
                guard=self.guard,
                caller=lambda sync: caller(sync, {"crm": TOKEN}, clock=self.clock, patience=Patience(deadline_seconds=20)),
            ),
        )

    def run(self, *, approved: str | None = None, **changes: Any) -> SyncResult:
        [result] = self.engine(**changes).run(approved=approved)
        assert result.rows_in == self.mart.num_rows
        return result

    def plan(self, **changes: Any) -> Plan:
        return self.engine(**changes).plans()[0]

    def upsert(self) -> dict[str, Any]:
        return {"destination": Destination("upsert", f"{self.there.url}/upsert", batch_rows=4), "mode": "upsert"}

    def plans_there(self) -> dict[str, str]:
        return {key: row["plan"] for key, row in self.there.rows.items()}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with running() as there:
        yield Desk(tmp_path, there)


def counts(result: SyncResult) -> tuple[int, int, int, int]:
    return (result.created, result.updated, result.unchanged, result.deleted)


def test_a_run_that_loses_its_lease_between_two_batches_sends_no_more(desk: Desk) -> None:
    def lost_after_the_first_batch() -> None:
        if desk.there.posts:
            raise InterruptedRunError("lost")

    desk.guard = lost_after_the_first_batch
    with pytest.raises(InterruptedRunError):
        desk.run()
    assert [len(body["records"]) for body in desk.there.posts] == [4]
    desk.guard = lambda: None
    assert counts(desk.run()) == (6, 0, 4, 0)  # what was taken before is known


def test_rows_go_in_batches_and_only_what_changed_goes_again(desk: Desk) -> None:
    assert counts(desk.run()) == (10, 0, 0, 0)
    assert [len(body["records"]) for body in desk.there.posts] == [4, 4, 2]
    assert desk.there.posts[0]["operation"] == "upsert"
    assert (desk.there.posts[0]["sync"], desk.there.posts[0]["key"]) == ("customers", "id")
    assert counts(desk.run()) == (0, 0, 10, 0)
    assert len(desk.there.posts) == 3
    desk.mart = desk.table({str(number): "METAL" if number == 5 else "STANDARD" for number in range(1, 12)})
    assert counts(desk.run()) == (2, 1, 8, 1)
    assert desk.plans_there() == dict(zip(*[desk.mart[name].to_pylist() for name in ("id", "plan")], strict=True))
    assert [(body["operation"], len(body["records"])) for body in desk.there.posts[3:]] == [
        ("upsert", 2),
        ("upsert", 1),
        ("delete", 1),
    ]
    assert desk.there.posts[-1]["records"] == [{"id": "0"}]


def test_a_mirror_deletes_only_what_it_sent(desk: Desk) -> None:
    desk.there.rows["theirs"] = {"id": "theirs", "plan": "GOLD"}
    desk.run()
    desk.mart = desk.mart.slice(0, 6)
    assert counts(desk.run()) == (0, 0, 6, 4)
    assert set(desk.there.rows) == {"theirs", *map(str, range(6))}


@pytest.mark.parametrize(("mode", "operation"), [("upsert", "upsert"), ("create_only", "create"), ("append", "append")])
def test_the_other_modes_delete_nothing_and_say_what_they_mean(desk: Desk, mode: Mode, operation: str) -> None:
    desk.run(mode=mode)
    desk.mart = desk.table([("0", "METAL"), ("new", "STANDARD")])
    result = desk.run(mode=mode)
    changed = (1, 1, 0, 0) if mode == "upsert" else (1, 0, 1, 0)
    assert (counts(result), result.skipped) == (changed, 0 if mode == "upsert" else 1)
    assert {body["operation"] for body in desk.there.posts} == {operation}
    assert len(desk.there.rows) == 11


def test_update_only_leaves_it_to_the_address_what_it_knows(desk: Desk) -> None:
    desk.there.refuse = lambda row: "" if row["id"] == "3" else "not known here"
    result = desk.run(mode="update_only")
    assert (result.updated, result.rejected) == (1, 9)
    assert {body["operation"] for body in desk.there.posts} == {"update"}


def test_fields_are_columns_constants_and_facts_of_the_run(desk: Desk) -> None:
    fields = (
        Field("customer", column="id"),
        Field("tier", column="plan"),
        Field("origin", constant="neopulse"),
        Field("run", run="run_id"),
        Field("as_of", run="as_of"),
        Field("at", run="published_at"),
    )
    desk.run(fields=fields)
    stamped = {"origin": "neopulse", "run": 7, "as_of": "2019-05-16", "at": "2019-05-17T06:00:00Z"}
    assert desk.there.rows["3"] == {"customer": "3", "tier": "STANDARD", **stamped}
    assert counts(desk.run(fields=fields)) == (0, 0, 10, 0)
    other = tuple(replace(each, constant="pulse") if each.constant else each for each in fields)
    assert counts(desk.run(fields=other)) == (0, 10, 0, 0)
    more = (*other, Field("again", column="plan"))
    assert counts(desk.run(fields=more)) == (0, 10, 0, 0)


@pytest.mark.parametrize("strict", [True, False])
def test_bad_rows_are_found_alone_told_with_the_reason_and_tried_again(desk: Desk, strict: bool) -> None:
    desk.there.strict = strict
    desk.there.refuse = lambda row: "no such plan" if row["id"] in ("2", "7") else ""
    result = desk.run()
    assert (result.created, result.rejected, result.is_partial) == (8, 2, True)
    assert [reject.key for reject in result.rejects] == ["2", "7"]
    assert all("no such plan" in reject.reason for reject in result.rejects)
    assert result.notes == ("partial: the destination refused 2 rows",)
    assert set(desk.there.rows) == set("01345689")
    sent_before = len(desk.there.posts)
    desk.there.refuse = lambda row: "no such plan" if row["id"] == "7" else ""
    result = desk.run()
    assert (counts(result), result.rejected) == ((1, 0, 8, 0), 1)
    assert {row["id"] for body in desk.there.posts[sent_before:] for row in body["records"]} == {"2", "7"}


def test_a_row_that_was_sent_and_is_refused_now_stays_as_it_was_sent(desk: Desk) -> None:
    desk.run()
    desk.there.refuse = lambda row: "no" if row.get("plan") == "METAL" else ""
    desk.mart = desk.table({str(number): "METAL" if number == 2 else "STANDARD" for number in range(10)})
    for _ in range(2):
        result = desk.run()
        assert (counts(result), result.rejected) == ((0, 0, 9, 0), 1)
    assert desk.plans_there()["2"] == "STANDARD"
    desk.mart = desk.mart.filter(pa.compute.not_equal(desk.mart["id"], "2"))
    assert counts(desk.run()) == (0, 0, 9, 1)


def test_a_deletion_that_is_refused_is_told_and_tried_again(desk: Desk) -> None:
    desk.run()
    desk.there.refuse = lambda row: "has open invoices" if row["id"] == "9" else ""
    desk.mart = desk.mart.slice(0, 8)
    result = desk.run()
    assert (counts(result), result.undeleted, result.is_partial) == ((0, 0, 8, 1), 1, True)
    desk.there.refuse = lambda _row: ""
    assert counts(desk.run()) == (0, 0, 8, 1)
    assert set(desk.there.rows) == set("01234567")


def test_an_address_that_refuses_everything_is_not_asked_a_million_times(desk: Desk) -> None:
    desk.mart = desk.table({str(number): "STANDARD" for number in range(1000)})
    desk.there.refuse = lambda _row: "the property plan does not exist"
    with pytest.raises(PermanentError, match=r"refuses every row, the first ones because: .*the property plan does not exist"):
        desk.run()
    assert len(desk.there.posts) < 250


def test_what_was_taken_before_a_fault_is_not_sent_again(desk: Desk) -> None:
    desk.there.fail = lambda call, after: 500 if call >= 3 and not after else None
    with pytest.raises(TransientError, match="answers 500"):
        desk.run(mode="append")
    assert len(desk.there.appended) == 8
    desk.there.fail = lambda _call, _after: None
    assert counts(desk.run(mode="append")) == (2, 0, 8, 0)
    assert [row["id"] for row in desk.there.appended] == [str(number) for number in range(10)]


def test_a_row_that_goes_back_to_what_it_was_is_no_repetition(desk: Desk) -> None:
    desk.mart = desk.table({"1": "A"})
    for plan in ("A", "B", "A", "B", "A"):
        desk.mart = desk.table({"1": plan})
        desk.run(mode="upsert")
    assert len(desk.there.keys_seen) == 5


def test_a_batch_whose_answer_was_lost_comes_again_with_its_key_whatever_the_run(desk: Desk) -> None:
    fields = (Field("id", column="id"), Field("plan", column="plan"), Field("run", run="run_id"))
    desk.there.fail = lambda call, after: 500 if call >= 2 and after else None
    with pytest.raises(TransientError):
        desk.run(mode="append", fields=fields)
    desk.there.fail = lambda _call, _after: None
    desk.facts = replace(FACTS, run_id=8)
    desk.run(mode="append", fields=fields)
    assert [row["id"] for row in desk.there.appended] == [str(number) for number in range(10)]


@pytest.mark.parametrize("fault", [0, 429, 500, 502, 503])
@pytest.mark.parametrize("after", [False, True])
def test_a_fault_at_any_call_before_or_after_it_applied_loses_and_doubles_nothing(desk: Desk, fault: int, after: bool) -> None:
    struck: set[int] = set()

    def fail(call: int, is_after: bool) -> int | None:
        if is_after == after and call % 2 == 1 and call not in struck:
            struck.add(call)
            return fault
        return None

    desk.there.fail = fail
    assert counts(desk.run(mode="append")) == (10, 0, 0, 0)
    assert [row["id"] for row in desk.there.appended] == [str(number) for number in range(10)]
    assert struck


class KilledError(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_kill_around_any_note_costs_no_row_and_doubles_none(
    desk: Desk, is_noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = Journal.took

    def dies(journal: Journal, *taken: Any) -> None:
        if is_noted:
            took(journal, *taken)
        raise KilledError

    for _ in range(2):
        monkeypatch.setattr(Journal, "took", dies)
        with pytest.raises(KilledError):
            desk.run(mode="append")
        monkeypatch.setattr(Journal, "took", took)
        assert desk.plan(mode="append").count("same") == len(desk.there.appended) * is_noted
    desk.run(mode="append")
    assert [row["id"] for row in desk.there.appended] == [str(number) for number in range(10)]


@pytest.mark.parametrize("killed_at", range(4))
@pytest.mark.parametrize("act", ["rename", "note", "unlink"])
def test_a_kill_around_any_act_on_the_snapshot_costs_no_row_and_doubles_none(
    desk: Desk, act: str, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: dict[str, tuple[Any, str]] = {
        "rename": (Path, "replace"),
        "note": (Notes, "replace_sent_rows"),
        "unlink": (Path, "unlink"),
    }
    owner, name = places[act]
    real, calls = getattr(owner, name), iter(range(100))

    def dies(*given: Any, **more: Any) -> Any:
        number = next(calls)
        if number == killed_at and act == "unlink":
            raise KilledError
        done = real(*given, **more)
        if number == killed_at:
            raise KilledError
        return done

    monkeypatch.setattr(owner, name, dies)
    with contextlib.suppress(KilledError):
        desk.run(mode="append")
    monkeypatch.undo()
    desk.run(mode="append")
    assert [row["id"] for row in desk.there.appended] == [str(number) for number in range(10)]
    assert counts(desk.run(mode="append")) == (0, 0, 10, 0)


def test_a_torn_line_of_the_journal_is_a_batch_that_is_sent_again(desk: Desk) -> None:
    desk.there.fail = lambda call, after: 500 if call >= 3 and not after else None
    with pytest.raises(TransientError):
        desk.run()
    journal = desk.home / "syncs" / "customers.journal"
    assert len(journal.read_text().splitlines()) == 3
    journal.write_text(journal.read_text()[:-15])
    desk.there.fail = lambda _call, _after: None
    assert counts(desk.run()) == (6, 0, 4, 0)
    assert not journal.exists()


def test_a_journal_of_an_older_snapshot_is_left_alone(desk: Desk) -> None:
    desk.run()
    (desk.home / "syncs" / "customers.journal").write_text('{"generation": 1}\n{"taken": {}, "deleted": ["3", "4"]}\n')
    assert counts(desk.run()) == (0, 0, 10, 0)


@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "of an old backup"])
def test_a_lost_snapshot_sends_everything_again_and_deletes_nothing(desk: Desk, damage: str) -> None:
    desk.run()
    snapshot = desk.home / "syncs" / "customers.parquet"
    old = snapshot.read_bytes()
    desk.mart = desk.table({str(number): "METAL" for number in range(10)})
    desk.run()
    if damage == "gone":
        snapshot.unlink()
    else:
        snapshot.write_bytes({"cut": snapshot.read_bytes()[:-20], "empty": b"", "of an old backup": old}[damage])
    desk.mart = desk.mart.slice(0, 5)
    result = desk.run()
    assert counts(result) == (5, 0, 0, 0)
    assert "nothing is deleted in this run" in result.notes[0]
    assert set(desk.there.rows) == set("0123456789")
    assert counts(desk.run()) == (0, 0, 5, 0)


def test_appending_after_a_loss_waits_for_a_person(desk: Desk) -> None:
    desk.run(mode="append")
    (desk.home / "syncs" / "customers.parquet").unlink()
    with pytest.raises(DataError, match="would append 10 rows that may be there already"):
        desk.run(mode="append")
    assert len(desk.there.appended) == 10


def test_a_sync_that_is_sent_elsewhere_begins_anew_there(desk: Desk) -> None:
    desk.run()
    elsewhere = Destination("http", f"{desk.there.url}/other", batch_rows=100)
    desk.mart = desk.mart.slice(0, 3)
    result = desk.run(destination=elsewhere)
    assert counts(result) == (3, 0, 0, 0)
    assert "another one than before" in result.notes[0]
    assert counts(desk.run(destination=elsewhere)) == (0, 0, 3, 0)


def test_a_plan_that_would_delete_60_percent_is_stopped_and_explained(desk: Desk) -> None:
    desk.run()
    calls = len(desk.there.posts)
    desk.mart = desk.mart.slice(0, 4)
    with pytest.raises(
        DataError, match=r"would delete 6 of 10 rows \(60\.0 %\), more than max_delete_percent = 50 allows"
    ) as caught:
        desk.run(guards=Guards(max_delete_percent=50))
    plan = desk.plan(guards=Guards(max_delete_percent=50))
    assert f"neopulse syncs customers --apply {plan.digest}" in caught.value.next
    assert len(desk.there.posts) == calls
    assert (plan.counts, plan.samples["delete"]) == ({"same": 4, "delete": 6}, ("4", "5", "6", "7", "8"))
    assert counts(desk.run(guards=Guards(max_delete_percent=50), approved=plan.digest)) == (0, 0, 4, 6)


@pytest.mark.parametrize(
    ("before", "after", "stops"),
    [
        ("demo bank 1000/1", "demo bank 1000/1", True),
        ("demo bank 1000/1", "demo bank 1000/2", False),
        ("demo bank 1000/1", "files", False),
        ("files", "BigQuery", True),
        ("files", "demo bank 1000/1", True),
    ],
)
def test_customers_of_a_demo_bank_that_is_gone_are_not_guarded(desk: Desk, before: str, after: str, stops: bool) -> None:
    desk.bank = before
    desk.run()
    desk.bank = after
    desk.mart = desk.table(dict.fromkeys(("a", "b", "c"), "STANDARD"))
    if stops:
        with pytest.raises(DataError, match="would delete 10 of 10 rows"):
            desk.run(guards=Guards(max_delete_percent=50))
        return
    assert counts(desk.run(guards=Guards(max_delete_percent=50))) == (3, 0, 0, 10)
    desk.mart = desk.mart.slice(0, 1)
    with pytest.raises(DataError, match="would delete 2 of 3 rows"):
        desk.run(guards=Guards(max_delete_percent=50))


@pytest.mark.parametrize(
    ("guards", "told"),
    [
        (Guards(max_deletes=1), "would delete 2 rows, more than max_deletes = 1 allows"),
        (Guards(max_delete_percent=19.9), "would delete 2 of 10 rows"),
        (Guards(max_creates=2), "would create 3 rows, more than max_creates = 2 allows"),
        (Guards(max_deletes=0, max_creates=0), "would delete 2 rows.* and would create 3 rows"),
    ],
)
def test_each_guard_stops_at_its_limit_and_not_before(desk: Desk, guards: Guards, told: str) -> None:
    desk.run()
    desk.mart = desk.table({str(number): "STANDARD" for number in range(2, 13)})
    with pytest.raises(DataError, match=told):
        desk.run(guards=guards)
    assert counts(desk.run(guards=Guards(max_deletes=2, max_delete_percent=20, max_creates=3))) == (3, 0, 8, 2)


def test_an_approval_holds_for_the_plan_that_was_seen_and_no_other(desk: Desk) -> None:
    desk.run()
    desk.mart = desk.mart.slice(0, 4)
    seen = desk.plan().digest
    assert desk.plan().digest == seen
    desk.mart = desk.table(dict.fromkeys("1234", "STANDARD"))  # as many of each kind, but others
    assert (desk.plan().counts, desk.plan().digest != seen) == ({"same": 4, "delete": 6}, True)
    desk.mart = desk.table({"0": "STANDARD", "1": "STANDARD", "2": "STANDARD", "3": "METAL"})
    assert desk.plan().digest != seen
    with pytest.raises(DataError, match=f"is not {seen} any more"):
        desk.run(approved=seen)
    assert len(desk.there.rows) == 10


def test_an_empty_source_deletes_nothing_even_where_somebody_approves(desk: Desk) -> None:
    desk.run()
    desk.mart = desk.mart.slice(0, 0)
    for approved in (None, desk.plan().digest):
        with pytest.raises(DataError, match="would delete all 10 sent before"):
            desk.run(approved=approved)
    assert len(desk.there.rows) == 10


def test_a_source_that_cannot_be_read_sends_and_deletes_nothing(desk: Desk) -> None:
    def fails(_mart: str) -> pa.Table:
        raise DataError("the mart cannot be read")

    desk.run()
    engine = desk.engine()
    engine._around = replace(engine._around, read=fails)
    with pytest.raises(DataError, match="cannot be read"):
        engine.run()
    assert (len(desk.there.rows), len(desk.there.posts)) == (10, 3)


def test_one_destination_that_fails_does_not_keep_the_others_from_being_served(desk: Desk) -> None:
    other = replace(desk.sync, name="other", destination=Destination("csv", "other.csv"))
    desk.there.fail = lambda _call, after: None if after else 500
    engine = desk.engine()
    engine._syncs = (desk.sync, other)
    with pytest.raises(TransientError, match="answers 500") as caught:
        engine.run()
    assert "carried out: other" in caught.value.safe
    assert (desk.home / "destinations" / "other.csv").read_text().count("STANDARD") == 10


def test_a_token_is_sent_and_never_told(desk: Desk) -> None:
    desk.there.token = TOKEN
    with_token = Destination("http", f"{desk.there.url}/rows", token="crm")
    assert counts(desk.run(destination=with_token)) == (10, 0, 0, 0)
    desk.there.token = "another"
    desk.mart = desk.table({"new": "METAL"})
    with pytest.raises(ConfigurationError, match="refuses with 401") as caught:
        desk.run(destination=with_token)
    assert TOKEN not in str(caught.value) + repr(caught.value)
    assert "NEOPULSE_SYNC_TOKENS" in caught.value.next


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"success": False}, "does not say that it took the rows"),
        ({"errors": ["no"]}, "does not say that it took the rows"),
        (["fine"], "does not say that it took the rows"),
        ({"ok": False, "message": "quota exceeded, nothing was stored"}, "does not say that it took the rows"),
        ({"status": "error", "message": "invalid token"}, "does not say that it took the rows"),
        ({"success": "false"}, "does not say that it took the rows"),
        ({"success": True}, "does not say that it took the rows"),
        ({"queued": 4}, "does not say that it took the rows"),
        ({"message": "Workflow was started"}, "does not say that it took the rows"),
        ({"accepted": 4, "success": None}, "does not say that it took the rows"),
        ({"accepted": 3}, "took 3 and refused 0 of 4 rows, which does not add up"),
        ({"rejected": [{"key": "stranger"}]}, "names rejected rows that it was not sent"),
        ({"rejected": 3}, "names rejected rows that it was not sent"),
    ],
)
def test_an_answer_that_does_not_add_up_is_no_success(desk: Desk, answer: Any, told: str) -> None:
    desk.there.answer = answer
    desk.there.fail = lambda _call, after: 200 if after else None
    with pytest.raises(PermanentError, match=told):
        desk.run()
    assert desk.plan().counts == {"create": 10}


@pytest.mark.parametrize("answer", [{}, {"accepted": 4}, {"accepted": 4, "rejected": [], "success": True}, {"rejected": []}])
def test_an_answer_that_says_what_was_taken_is_one(desk: Desk, answer: Any) -> None:
    desk.mart = desk.mart.slice(0, 4)
    desk.there.answer = answer
    assert desk.run().created == 4


def test_rows_go_the_way_of_hubspot(desk: Desk) -> None:
    desk.there.refuse = lambda row: "Property values were not valid" if row["id"] == "6" else ""
    result = desk.run(**desk.upsert())
    assert (counts(result), result.rejected) == ((9, 0, 0, 0), 1)
    assert [(reject.key, reject.reason) for reject in result.rejects] == [("6", "Property values were not valid")]
    [first, *_] = desk.there.posts
    assert first["inputs"][0] == {
        "id": "0",
        "idProperty": "id",
        "objectWriteTraceId": "0",
        "properties": {"id": "0", "plan": "STANDARD"},
    }
    assert counts(desk.run(**desk.upsert())) == (0, 0, 9, 0)


@pytest.mark.parametrize(
    ("answer", "taken", "reason"),
    [
        ({"status": "COMPLETE", "results": []}, 0, NOT_TOLD),
        ({"results": [{"properties": {"id": "1"}}]}, 1, NOT_TOLD),
        ({"results": [{"objectWriteTraceId": "1"}], "numErrors": 3, "errors": []}, 1, NOT_TOLD),
        ({"results": [], "errors": [{"message": "quota"}]}, 0, "quota"),
        ({"results": [], "errors": [{"message": "quota", "context": None}]}, 0, "quota"),
        ({"results": [], "errors": [{"message": "quota", "context": ["1"]}]}, 0, "quota"),
    ],
)
def test_rows_that_the_answer_does_not_account_for_are_not_taken(desk: Desk, answer: Any, taken: int, reason: str) -> None:
    desk.mart = desk.mart.slice(0, 4)
    desk.there.answer = answer
    result = desk.run(**desk.upsert())
    assert (result.created, result.rejected) == (taken, 4 - taken)
    assert {reject.reason for reject in result.rejects} == {reason}


@pytest.mark.parametrize("errors", [["no"], [None], {"message": "no"}, "no", [{"message": "no"}, None]])
def test_errors_of_another_shape_are_no_success_of_the_way_of_hubspot(desk: Desk, errors: Any) -> None:
    desk.there.answer = {"results": [], "errors": errors}
    with pytest.raises(PermanentError, match="answers otherwise than HubSpot does"):
        desk.run(**desk.upsert())


def test_values_are_plain_json() -> None:
    given_values = [None, True, 3, "x", 1.5, float("nan"), Decimal("1.10"), Decimal("12345678901234567890.1"), Decimal("NaN")]
    assert [plain(value) for value in given_values] == [None, True, 3, "x", 1.5, None, 1.1, "12345678901234567890.1", None]
    assert plain(datetime(2019, 5, 1, 2, 3, tzinfo=UTC)) == "2019-05-01T02:03:00Z"
    assert plain(datetime(2019, 5, 1)) == "2019-05-01T00:00:00Z"
    assert plain([date(2019, 5, 1), {"a": Decimal(1)}]) == ["2019-05-01", {"a": 1.0}]


KEYS = st.sampled_from([None, "", "1", "2", "3", "4", "5", "6"])
ROWS = st.lists(st.tuples(KEYS, st.sampled_from(["A", "B", "bad"])), max_size=9)
NIGHTS = st.lists(st.tuples(ROWS, st.integers(0, 6), st.booleans()), min_size=1, max_size=3)


@settings(max_examples=15, deadline=None)
@given(NIGHTS, st.sampled_from(["mirror", "upsert", "append", "create_only"]), st.booleans())
def test_in_is_sent_unchanged_rejected_and_invalid_and_the_address_ends_up_right(
    tmp_path_factory: pytest.TempPathFactory, nights: Any, mode: Mode, strict: bool
) -> None:
    with running() as there:
        desk = Desk(tmp_path_factory.mktemp("desk"), there)
        there.strict, there.refuse = strict, lambda row: "bad" if row.get("plan") == "bad" else ""
        expected: dict[str, str] = {}
        for rows, broken_at, is_broken in nights:
            desk.mart = desk.table(rows)
            first = len(there.posts)
            there.fail = lambda call, after, first=first, at=broken_at, on=is_broken: (
                500 if on and call >= first + at and not after else None
            )
            known = dict(expected)
            names = [key for key, _ in rows]
            good = {key: plan for key, plan in rows if key and names.count(key) == 1}
            try:
                result = desk.run(mode=mode)
            except NeopulseError:
                there.fail = lambda _call, _after: None
                if desk.plan(mode=mode).empties:
                    continue
                result = desk.run(mode=mode)
            invalid = len(rows) - len(good)
            assert result.invalid == invalid
            assert result.sent + result.unchanged + result.rejected + result.invalid == len(rows)
            taken = {key: plan for key, plan in good.items() if plan != "bad"}
            expected = taken | known if mode in ("append", "create_only") else known | taken
            if mode == "mirror":
                expected = {key: plan for key, plan in expected.items() if key in names}
            assert desk.plans_there() == expected
            there.fail = lambda _call, _after: None
            assert counts(desk.run(mode=mode))[:2] == (0, 0)
