"""Census: every way in which a run can end, told as what it was, against a server that speaks both versions of its API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from stand_ins.census.machine import Plan
from stand_ins.census.server import PERSONAL_TOKEN, WORKSPACE_KEY, Fault, running
from stand_ins.census.server import Census as StandIn

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.http import LostAnswerError, Patience
from pipeline.reverse_etl.base import NoNotes, SyncResult
from pipeline.reverse_etl.census import Census, CensusSync
from pipeline.reverse_etl.census_api import CensusAPI, CensusRun

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
STATUS = CensusSync("customer_status", "41")
GOOD = Plan(source_records=1000, updated=12)


class Memory:
    """What was triggered, by name."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}

    def recall(self, sync: CensusSync) -> str | None:
        return self.runs.get(sync.name)

    def note(self, sync: CensusSync, run: str) -> None:
        self.runs[sync.name] = run


class Desk:
    """The client beside the stand-in, on one clock."""

    def __init__(self, stand_in: StandIn, clock: FixedClock) -> None:
        self.stand_in = stand_in
        self.workspace = stand_in.workspace
        self.clock = clock
        self.memory = Memory()
        self.progress: list[tuple[float | None, str]] = []
        self.stop_after_seconds: float | None = None
        self.on_progress: Callable[[], None] = lambda: None

    def tell(self, fraction: float | None, text: str) -> None:
        self.progress.append((fraction, text))
        self.on_progress()

    def look(self) -> None:
        if self.stop_after_seconds is not None and self.seconds() >= self.stop_after_seconds:
            raise InterruptedRunError("The run was stopped")

    def api(self, version: Any = "v2", token: str = "", *, looking: bool = True) -> CensusAPI:
        token = token or (PERSONAL_TOKEN if version == "v2" else WORKSPACE_KEY)
        look = self.look if looking else lambda: None
        return CensusAPI(token, address=self.stand_in.url, version=version, clock=self.clock, look=look)

    def run(self, *syncs: CensusSync, version: Any = "v2", token: str = "", **more: Any) -> tuple[SyncResult, ...]:
        census = Census(
            syncs or (STATUS,),
            self.api(version, token),
            cancelling=self.api(version, token, looking=False),
            memory=self.memory,
            clock=self.clock,
            look=self.look,
            progress=self.tell,
            **more,
        )
        return census.run()

    def seconds(self) -> float:
        return (self.clock.now() - NOW).total_seconds()

    @property
    def triggers(self) -> int:
        return self.stand_in.called("POST", "/trigger$")


@pytest.fixture
def desk() -> Iterator[Desk]:
    clock = FixedClock(NOW)
    with running(clock) as stand_in:
        stand_in.workspace.add(41, GOOD)
        yield Desk(stand_in, clock)


def test_a_run_that_lost_its_lease_triggers_nothing(desk: Desk) -> None:
    def lost() -> None:
        raise InterruptedRunError("lost")

    with pytest.raises(InterruptedRunError):
        desk.run(guard=lost)
    assert (desk.triggers, desk.memory.runs) == (0, {})


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_a_run_is_triggered_once_followed_to_its_end_and_counted(desk: Desk, version: str) -> None:
    refused = [("77", "e-mail address is not valid"), ("78", "blocked")]
    desk.workspace.add(41, replace(GOOD, failed=refused, invalid=[("", "no key")], source_deletes=4))
    [result] = desk.run(version=version)
    assert (result.sync, result.service) == ("customer_status", f"Census API {version}")
    assert (result.updated, result.unchanged, result.rejected, result.invalid, result.deleted) == (12, 985, 2, 1, 4)
    assert (result.rows_in, result.rows_out) == (1000, 997)
    assert result.is_partial
    assert [(reject.key, reject.reason) for reject in result.rejects] == [*refused, ("", "no key")]
    assert result.notes[0] == "partial: the destination refused 2 records"
    assert result.link == f"{desk.stand_in.url}/syncs/41/sync-history"
    assert (desk.triggers, len(desk.workspace.runs)) == (1, 1)
    assert any("2027-01-15" in note for note in result.notes) == (version == "v1")
    assert all(call.path.startswith(f"/api/{version}/") for call in desk.stand_in.calls)


def test_a_run_without_a_refusal_is_whole_and_its_records_are_not_asked_for(desk: Desk) -> None:
    [result] = desk.run()
    assert (result.is_partial, result.notes, result.rejects) == (False, (), ())
    assert desk.stand_in.called("GET", "/records$") == 0


@pytest.mark.parametrize("full", [True, False])
def test_a_full_sync_is_asked_for_in_the_query(desk: Desk, full: bool) -> None:
    desk.run(full=full)
    assert [run.full_sync for run in desk.workspace.runs] == [full]


def test_an_append_sync_that_refuses_to_be_full_says_so(desk: Desk) -> None:
    desk.workspace.add(41, GOOD, refuses_full=True)
    with pytest.raises(PermanentError, match=r"refuses with 422: .*not supported for append syncs"):
        desk.run(full=True)


def test_it_is_looked_at_less_and_less_often(desk: Desk) -> None:
    desk.workspace.add(41, replace(GOOD, working_seconds=1800))
    desk.run()
    assert desk.stand_in.called("GET", r"/sync_runs/\d+$") < 70
    assert desk.seconds() == pytest.approx(1805, abs=31)
    assert desk.progress[0] == (None, "customer_status: Census says queued")
    assert desk.progress[-1][0] == pytest.approx(0.99, abs=0.02)


def test_a_failed_run_is_told_with_its_code_and_its_words(desk: Desk) -> None:
    failed = Plan(ends="failed", error_code="destination_unauthorized", error_message="HubSpot said no", error_detail="401")
    desk.workspace.add(41, failed)
    with pytest.raises(
        PermanentError, match="customer_status failed at Census: destination_unauthorized, HubSpot said no, 401"
    ) as e:
        desk.run()
    assert e.value.where.endswith("/syncs/41/sync-history")
    assert desk.triggers == 1


def test_one_that_fails_does_not_keep_the_others_from_being_carried_out(desk: Desk) -> None:
    desk.workspace.add(40, Plan(ends="failed", error_message="no"))
    with pytest.raises(PermanentError, match="early failed at Census: no") as caught:
        desk.run(CensusSync("early", "40"), STATUS)
    assert "carried out: customer_status" in caught.value.safe
    assert [run.sync_id for run in desk.workspace.runs] == [40, 41]


class Failures(NoNotes):
    """What the run store would be told of syncs that failed."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []

    def failed(self, sync: str, error: NeopulseError) -> None:
        self.failures.append((sync, error.what))


@pytest.mark.parametrize(("status", "faults"), [(404, []), (403, [Fault("GET", "/syncs/40/", 403, '{"message": "read only"}')])])
def test_one_that_is_gone_at_census_or_not_ours_is_named_and_keeps_no_other_from_being_carried_out(
    desk: Desk, status: int, faults: list[Fault]
) -> None:
    desk.stand_in.faults += faults
    notes = Failures()
    with pytest.raises(ConfigurationError, match=f"early: Census API v2 refuses with {status}") as caught:
        desk.run(CensusSync("early", "40"), STATUS, notes=notes)
    assert "carried out: customer_status" in caught.value.safe
    assert [run.sync_id for run in desk.workspace.runs] == [41]
    assert [sync for sync, _ in notes.failures] == ["early"]
    assert f"refuses with {status}" in notes.failures[0][1]


@pytest.mark.parametrize("error", [TransientError, LostAnswerError])
def test_a_passing_failure_of_one_is_noted_keeps_no_other_from_being_carried_out_and_stays_passing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: type[NeopulseError]
) -> None:
    newest_runs = CensusAPI.newest_runs

    def fails_for_one(api: CensusAPI, sync: str) -> Any:
        if sync == "40":
            raise error("Census is busy")
        return newest_runs(api, sync)

    monkeypatch.setattr(CensusAPI, "newest_runs", fails_for_one)
    notes = Failures()
    with pytest.raises(error, match="early: Census is busy") as caught:
        desk.run(CensusSync("early", "40"), STATUS, notes=notes)
    assert "carried out: customer_status" in caught.value.safe
    assert [run.sync_id for run in desk.workspace.runs] == [41]
    assert notes.failures == [("early", "early: Census is busy")]


def test_a_run_that_is_to_end_is_no_failure_of_a_sync_and_begins_no_other(desk: Desk) -> None:
    desk.stop_after_seconds = 0
    notes = Failures()
    with pytest.raises(InterruptedRunError):
        desk.run(CensusSync("early", "40"), STATUS, notes=notes)
    assert notes.failures == []
    assert desk.triggers == 0


def test_a_run_that_somebody_cancelled_there_is_no_success(desk: Desk) -> None:
    desk.on_progress = lambda: desk.workspace.cancel(desk.workspace.runs[0])
    with pytest.raises(PermanentError, match="was cancelled at Census"):
        desk.run()


@pytest.mark.parametrize("word", ["preparing", "Paused_By_Robot", ""])
def test_a_status_that_nobody_knows_is_followed_to_a_known_end(desk: Desk, word: str) -> None:
    desk.workspace.add(41, replace(GOOD, working_as=word))
    assert desk.run()[0].updated == 12


@pytest.mark.parametrize("word", ["succeeded", "done", "success", "preparing"])
def test_a_status_that_nobody_knows_is_never_taken_for_success(desk: Desk, word: str) -> None:
    desk.workspace.add(41, replace(GOOD, ends=word))
    with pytest.raises(PermanentError, match=f"within 600 s: Census still says {word}, a status that means nothing to neopulse"):
        desk.run(deadline_seconds=600)
    assert 570 < desk.seconds() <= 600


def test_a_run_that_is_stuck_fails_at_the_deadline_and_says_how_it_stands(desk: Desk) -> None:
    desk.workspace.add(41, Plan(stuck=True))
    with pytest.raises(PermanentError, match=r"did not end within 900 s: Census still says working\n"):
        desk.run(deadline_seconds=900)
    assert desk.triggers == 1


def test_a_skipped_run_waits_for_the_one_that_goes_on_and_then_has_its_own(desk: Desk) -> None:
    desk.workspace.add(41, replace(GOOD, working_seconds=300, updated=1), GOOD)
    theirs = desk.workspace.trigger(desk.workspace.syncs[41], full=False, reason="schedule")
    [result] = desk.run()
    assert [run.status(desk.clock.now()) for run in desk.workspace.runs] == ["completed", "skipped", "completed"]
    assert result.updated == 12
    assert desk.workspace.runs[-1].created_at > theirs.created_at
    assert desk.seconds() > 300 + 30


def test_a_sync_that_is_always_busy_with_somebody_elses_run_ends_at_the_deadline(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule of theirs starts the next run as soon as one is over, so that the list never has none that goes on."""
    theirs = desk.workspace.trigger(desk.workspace.add(41, Plan(stuck=True)), full=False, reason="schedule")
    run = CensusAPI.run
    over = CensusRun(str(theirs.id), "completed", {})
    monkeypatch.setattr(CensusAPI, "run", lambda api, known: over if known == over.id else run(api, known))
    with pytest.raises(PermanentError, match="Census skips every run of customer_status"):
        desk.run(deadline_seconds=60, guard=lambda: desk.triggers < 50 or pytest.fail("without a pause, and without an end"))
    assert desk.triggers <= 31


def test_runs_that_are_skipped_for_ever_end_at_the_deadline(desk: Desk) -> None:
    desk.workspace.add(41, Plan(stuck=True))
    desk.workspace.trigger(desk.workspace.syncs[41], full=False, reason="schedule")
    with pytest.raises(PermanentError, match="did not end within 600 s"):
        desk.run(deadline_seconds=600)


@pytest.mark.parametrize("status", [0, 500, 502, 504, 200])
def test_a_lost_answer_is_looked_up_before_the_trigger_is_sent_again(desk: Desk, status: int) -> None:
    desk.stand_in.faults.append(Fault("POST", "/trigger$", status, "<html>Bad Gateway</html>", after=True))
    [result] = desk.run()
    assert (result.updated, desk.triggers, len(desk.workspace.runs)) == (12, 1, 1)


@pytest.mark.parametrize("status", [0, 502])
def test_a_trigger_that_never_arrived_is_sent_again(desk: Desk, status: int) -> None:
    desk.workspace.trigger(desk.workspace.syncs[41], full=False, reason="last night")
    desk.clock.sleep(3600)
    desk.stand_in.faults.append(Fault("POST", "/trigger$", status, times=2))
    assert desk.run()[0].updated == 12
    assert (desk.triggers, len(desk.workspace.runs)) == (3, 2)


def test_triggers_that_are_lost_for_ever_end_at_the_deadline(desk: Desk) -> None:
    desk.stand_in.faults.append(Fault("POST", "/trigger$", 502, times=10_000))
    with pytest.raises(TransientError, match="answers 502"):
        desk.run(deadline_seconds=120)
    assert desk.workspace.runs == []


def test_a_busy_service_is_waited_for_as_long_as_it_asks(desk: Desk) -> None:
    desk.stand_in.faults += [
        Fault("POST", "/trigger$", 429, '{"message": "slow down"}', {"Retry-After": "70"}),
        Fault("GET", r"/sync_runs/\d+$", 502, "<html>Bad Gateway</html>", times=2),
    ]
    assert desk.run()[0].updated == 12
    assert (len(desk.workspace.runs), desk.triggers) == (1, 2)
    assert desk.seconds() > 70 + 35


def test_the_whole_chain_survives_faults_at_every_call_with_one_run_at_census(desk: Desk) -> None:
    desk.workspace.add(41, replace(GOOD, failed=[("7", "no")]))
    desk.run()
    calls = len(desk.stand_in.calls)
    for number in range(calls):
        for after in (False, True):
            with running(desk.clock) as stand_in:
                stand_in.workspace.add(41, replace(GOOD, failed=[("7", "no")]))
                another = Desk(stand_in, desk.clock)
                at = iter(range(10_000))
                strike = Fault("", "", 0, after=after)
                stand_in.fault = lambda _m, _p, at=at, number=number, strike=strike: strike if next(at) == number else None  # type: ignore[method-assign]
                [result] = another.run()
            assert (result.updated, result.rejected, len(result.rejects)) == (12, 1, 1)
            assert len(stand_in.workspace.runs) == 1


@pytest.mark.parametrize(("version", "token"), [("v2", WORKSPACE_KEY), ("v1", PERSONAL_TOKEN), ("v2", "activations-pat-expired")])
def test_a_wrong_token_is_told_with_what_to_do_and_never_shown(
    desk: Desk, version: str, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigurationError, match="refuses with 401") as caught:
        desk.run(version=version, token=token)
    assert "NEOPULSE_CENSUS_TOKEN" in caught.value.next
    assert token not in str(caught.value) + repr(caught.value) + caplog.text
    assert desk.workspace.runs == []


def test_a_token_that_the_service_repeats_is_hidden_everywhere(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.workspace.add(
        41,
        replace(GOOD, failed=[("7", f"bad header {PERSONAL_TOKEN}")]),
        Plan(ends="failed", error_message=f"token {PERSONAL_TOKEN} has no right"),
    )
    [result] = desk.run()
    assert result.rejects[0].reason == "bad header ***"
    desk.memory.runs.clear()
    with pytest.raises(PermanentError, match=r"token \*\*\* has no right"):
        desk.run()
    assert PERSONAL_TOKEN not in caplog.text


def test_a_sync_of_somebody_else_is_named_by_its_setting(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="refuses with 404") as caught:
        desk.run(CensusSync("foreign", "999"))
    assert "NEOPULSE_CENSUS_SYNCS" in caught.value.next


@pytest.mark.parametrize("status", [404, 410])
def test_a_retired_v1_says_what_to_do(desk: Desk, status: int) -> None:
    desk.stand_in.v1_retired = status
    with pytest.raises(ConfigurationError, match=f"API v1 refuses with {status}") as caught:
        desk.run(version="v1")
    assert "set NEOPULSE_CENSUS_API=v2" in caught.value.next


def test_a_permission_that_lacks_is_told(desk: Desk) -> None:
    desk.stand_in.faults.append(Fault("POST", "/trigger$", 403, '{"message": "read only"}'))
    with pytest.raises(ConfigurationError, match="refuses with 403") as caught:
        desk.run()
    assert "the right to run" in caught.value.next


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        "",
        '{"data": {"sync_run_id": 5}}',
        '{"status": "error", "data": {"sync_run_id": 5}}',
        '{"status": "success"}',
        '{"status": "success", "data": {}}',
    ],
)
def test_an_answer_of_another_shape_is_no_success(desk: Desk, body: str) -> None:
    desk.stand_in.faults.append(Fault("POST", "/trigger$", 200, body))
    with pytest.raises(PermanentError, match="Census"):
        desk.run()


@pytest.mark.parametrize("body", ['{"status": "success", "data": {"id": 5}}', '{"status": "success", "data": []}'])
def test_a_run_of_another_shape_is_no_success(desk: Desk, body: str) -> None:
    desk.stand_in.faults.append(Fault("GET", r"/sync_runs/\d+$", 200, body))
    with pytest.raises(PermanentError, match="Census"):
        desk.run()


def test_many_refused_records_are_found_on_later_pages_and_the_first_are_told_with_the_run(desk: Desk) -> None:
    refused = [(str(number), "no") for number in range(150)]
    desk.workspace.add(41, Plan(source_records=400, updated=250, failed=refused))
    [result] = desk.run()
    assert (result.rejected, [reject.key for reject in result.rejects]) == (150, [str(number) for number in range(150)])
    assert [reject["key"] for reject in result.to_json()["rejects"]] == [str(number) for number in range(20)]
    assert desk.stand_in.called("GET", "/records$") == 4


def test_refused_records_that_cannot_be_fetched_do_not_undo_what_was_done(desk: Desk) -> None:
    desk.workspace.add(41, replace(GOOD, failed=[("7", "no")]))
    desk.stand_in.faults.append(Fault("GET", "/records$", 403, "not in your plan", times=9))
    [result] = desk.run()
    assert (result.updated, result.rejected, result.rejects) == (12, 1, ())
    assert "could not be fetched" in result.notes[1]


def test_a_run_that_is_to_end_cancels_what_it_triggered(desk: Desk) -> None:
    desk.workspace.add(41, replace(GOOD, working_seconds=1800))
    desk.stop_after_seconds = 200
    with pytest.raises(InterruptedRunError):
        desk.run()
    assert 200 <= desk.seconds() < 201
    assert desk.workspace.runs[0].to_json(desk.clock.now())["canceled"]


def test_a_cancel_that_fails_does_not_hide_the_wish_to_end(desk: Desk) -> None:
    desk.workspace.add(41, replace(GOOD, working_seconds=1800))
    desk.stand_in.faults.append(Fault("POST", "/cancel$", 404, "gone"))
    desk.stop_after_seconds = 20
    with pytest.raises(InterruptedRunError):
        desk.run()


def test_a_second_attempt_takes_up_the_run_of_the_first(desk: Desk) -> None:
    desk.stand_in.faults.append(Fault("GET", r"/sync_runs/\d+$", 502, times=1000))
    with pytest.raises(TransientError):
        desk.run()
    desk.stand_in.faults.clear()
    assert desk.run()[0].updated == 12
    assert (desk.triggers, len(desk.workspace.runs)) == (1, 1)
    assert desk.run()[0].updated == 12  # over in the meantime: its result is told, nothing is triggered
    assert desk.triggers == 1


@pytest.mark.parametrize("end", ["failed", "cancelled", "unknown there"])
def test_a_second_attempt_triggers_anew_where_the_first_came_to_nothing(desk: Desk, end: str) -> None:
    desk.workspace.add(41, Plan(ends="failed") if end == "failed" else Plan(stuck=True), GOOD)
    run = desk.workspace.trigger(desk.workspace.syncs[41], full=False)
    desk.memory.runs["customer_status"] = str(run.id)
    if end != "failed":
        desk.workspace.cancel(run)
    if end == "unknown there":
        desk.workspace.runs.clear()
    desk.clock.sleep(600)
    assert desk.run()[0].updated == 12


def test_a_service_that_cannot_be_reached_is_a_passing_failure() -> None:
    clock = FixedClock(NOW)
    with running(clock) as gone:
        pass
    api = CensusAPI("token", address=gone.url, clock=clock, patience=Patience(deadline_seconds=5))
    with pytest.raises(NeopulseError, match="cannot be reached") as caught:
        api.sync("41")
    assert isinstance(caught.value, TransientError)
