"""What may go wrong between the sheet and Google: readers see one version, and one clear message says what to do."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from google_sheets_kit import AT, World, hardly_changed, large, rows_of, tab, whole, with_small_parts, world
from stand_ins.google_sheets.faults import CUT, Fault

from pipeline.errors import ConfigurationError, InterruptedRunError, PermanentError, TransientError
from pipeline.http import Patience
from pipeline.sheets import google
from pipeline.sheets.base import Tab


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    with_small_parts(monkeypatch)


KILLED = [
    (large(1), large(2)),
    (tab(), tab(rows=[(date(2026, 11, 1), "DE", 0.07)])),
    (large(rows=100), hardly_changed()),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("old", "new"), KILLED, ids=["large", "small", "hardly changed"])
@pytest.mark.usefixtures("small_parts")
def test_a_run_killed_at_any_call_leaves_the_old_table_or_the_new_one_and_the_next_run_mends_it(
    here: World, old: Tab, new: Tab, after: bool
) -> None:
    here.write(old)
    here.stand_in.faults.clear()
    here.write(new)
    calls = len(here.kinds())
    seen = set()
    for at in range(1, calls + 1):
        here.write(old)
        here.stand_in.faults.clear()
        here.stand_in.faults.add(Fault(status=CUT, at=at, times=1_000, after=after))
        with pytest.raises(TransientError):
            here.write(new, patience=Patience(deadline_seconds=0))
        held = here.rows(new.name)
        assert held in (whole(old), whole(new)), f"call {at}"
        seen.add(held == whole(new))
        here.stand_in.faults.clear()
        here.write(new)
        assert here.rows(new.name) == whole(new)
        assert here.titles() == ["Sheet1", new.name]
    assert seen == ({False, True} if after else {False})


FAILURES = [
    *({"status": status, "after": after} for status in (CUT, 408, 429, 500, 503) for after in (False, True)),
    *({"status": 502, "html": True, "after": after} for after in (False, True)),
    {"status": CUT, "half": True, "after": True},
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
@pytest.mark.usefixtures("small_parts")
def test_one_failure_at_any_call_is_got_over_within_the_run(here: World, failure: dict[str, Any]) -> None:
    here.write(large(2), tab())
    calls = len(here.kinds())
    for at in range(1, calls + 1):
        here.write(large(1), tab(rows=()))
        here.stand_in.faults.clear()
        fault = here.stand_in.faults.add(Fault(at=at, **failure))
        here.write(large(2), tab())
        assert fault.seen >= at
        assert here.rows("Cohorts") == whole(large(2))
        assert here.rows("Monthly churn") == whole(tab())
        assert here.titles() == ["Sheet1", "Cohorts", "Monthly churn"]


POSSIBLE = [failure for failure in FAILURES if failure != {"status": 429, "after": True}]  # 429 says that nothing was done


@pytest.mark.parametrize("failure", POSSIBLE, ids=str)
@pytest.mark.usefixtures("small_parts")
def test_one_failure_at_any_call_of_a_small_change_neither_loses_nor_doubles_a_row(here: World, failure: dict[str, Any]) -> None:
    for at in (1, 2, 3):
        here.write(large(rows=100))
        here.stand_in.faults.clear()
        here.stand_in.faults.add(Fault(at=at, **failure))
        here.write(hardly_changed())
        assert here.kinds()[:3] == ["get", "values.batchGet", "batchUpdate"] or at < 3
        assert here.rows("Cohorts") == whole(hardly_changed())


class Unlucky(Fault):
    """Every fourth call fails, in whatever way."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)

    def strikes(self, kind: str) -> bool:
        del kind
        how = self.chance.choice(POSSIBLE)
        self.status, self.after = how["status"], how["after"]
        self.html, self.half = how.get("html", False), how.get("half", False)
        return self.chance.random() < 0.25


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.usefixtures("small_parts")
def test_whatever_fails_readers_see_one_version_and_the_last_run_leaves_the_last(here: World, seed: int) -> None:
    versions = [(large(1), tab()), (large(rows=100), tab(rows=())), (hardly_changed(), tab()), (large(2), tab(note="x"))]
    allowed = [[whole(content) for content in version] for version in versions]
    here.write(*versions[0])
    here.stand_in.faults.add(Unlucky(seed))
    for version in (versions[1], versions[2], versions[3], versions[2], versions[1]):
        with contextlib.suppress(TransientError):
            here.write(*version, patience=Patience(deadline_seconds=8))
        assert [here.rows("Cohorts"), here.rows("Monthly churn")] in allowed
    here.stand_in.faults.clear()
    here.write(*versions[2])
    assert [here.rows("Cohorts"), here.rows("Monthly churn")] == allowed[2]
    assert here.titles() == ["Sheet1", "Cohorts", "Monthly churn"]


@pytest.mark.usefixtures("small_parts")
def test_a_lost_answer_to_the_commit_is_looked_up_and_nothing_is_sent_again(here: World) -> None:
    here.write(large(1))
    here.stand_in.faults.clear()
    here.stand_in.faults.add(Fault(status=CUT, at=2, after=True, kind="batchUpdate"))
    here.write(large(2))
    assert here.kinds()[-3:] == ["batchUpdate", "get", "get"]
    assert here.kinds().count("batchUpdate") == 2
    assert here.rows("Cohorts") == whole(large(2))


@pytest.mark.usefixtures("small_parts")
def test_a_commit_that_was_not_carried_out_is_sent_again_without_bringing_the_rows_again(here: World) -> None:
    here.write(large(1))
    here.stand_in.faults.clear()
    here.stand_in.faults.add(Fault(status=500, at=2, kind="batchUpdate"))
    here.write(large(2))
    assert here.kinds()[-3:] == ["batchUpdate", "get", "batchUpdate"]
    assert here.rows("Cohorts") == whole(large(2))


@pytest.mark.usefixtures("small_parts")
def test_a_small_change_that_was_killed_does_not_leave_a_stale_row(here: World) -> None:
    one, other = (
        large(rows=100),
        dataclasses.replace(
            large(rows=100), rows=(*large(rows=100).rows[:50], ("row 050", -1.0, "changed"), *large(rows=100).rows[51:])
        ),
    )
    here.write(one)
    here.stand_in.faults.add(Fault(status=CUT, times=1_000, after=True, kind="batchUpdate"))
    with pytest.raises(TransientError):
        here.write(other, patience=Patience(deadline_seconds=0))
    assert here.rows("Cohorts") == whole(other)
    here.stand_in.faults.clear()
    here.write(one)
    assert here.rows("Cohorts") == whole(one)


@pytest.mark.usefixtures("small_parts")
def test_a_concurrent_reader_never_sees_a_mix(here: World) -> None:
    versions = [[large(number, rows=40 + number), tab(note=f"version {number}")] for number in (1, 2, 3)]
    here.write(*versions[0])
    allowed = [[whole(content) for content in version] for version in versions]
    seen: list[Any] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with here.stand_in.service.lock:
                book = here.book
                seen.append([rows_of(book, "Cohorts"), rows_of(book, "Monthly churn")])
            time.sleep(0.002)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(3):
            for version in versions:
                here.write(*version)
    finally:
        done.set()
        reader.join()
    assert len(seen) > 20
    assert [content for content in seen if content not in allowed] == []


@pytest.mark.usefixtures("small_parts")
def test_clear_then_write_would_have_been_caught(here: World) -> None:
    """The check above is no tautology: the usual way to write is found out by it."""
    here.write(large(1))
    calls = here.calls()
    calls._http.values_clear(here.book_id, "'Cohorts'")
    assert here.rows("Cohorts") not in (whole(large(1)), whole(large(2)))


def test_the_quota_of_a_minute_is_waited_for_and_never_refused(tmp_path: Path) -> None:
    with world(tmp_path, writes_per_minute=60) as here:
        writer = here.sheet()
        for number in range(130):
            writer.write([tab(note=f"number {number}")], at=AT)
        assert [call.status for call in here.stand_in.calls if call.status != 200] == []
        assert here.clock.now() - AT >= timedelta(seconds=120)


def test_a_clock_that_is_set_back_lets_no_call_wait_longer_than_a_minute(here: World) -> None:
    writer = here.sheet()
    for number in range(60):
        writer.write([tab(note=f"number {number}")], at=AT)
    here.clock.set(here.clock.now() - timedelta(hours=1))
    before = here.clock.passed()
    writer.write([tab(note="the last")], at=AT)
    assert 0 < here.clock.passed() - before <= 60


def test_a_quota_that_somebody_else_used_up_is_waited_out(tmp_path: Path) -> None:
    with world(tmp_path, writes_per_minute=10) as here:
        for number in range(25):
            here.write(tab(note=f"number {number}"))
        assert 429 in [call.status for call in here.stand_in.calls]
        assert here.rows("Monthly churn")[0][0] == "number 24"


@pytest.mark.parametrize(("status", "kind"), [(429, "get"), (429, "batchUpdate"), (503, "get"), (503, "batchUpdate")])
def test_the_pause_that_the_service_asks_for_is_kept(here: World, status: int, kind: str) -> None:
    here.stand_in.faults.add(Fault(status=status, kind=kind, retry_after="37"))
    here.write(tab())
    assert here.clock.now() - AT == timedelta(seconds=37)


def test_an_end_is_made_of_trying_at_the_deadline(here: World) -> None:
    here.stand_in.faults.add(Fault(status=503, times=10_000))
    with pytest.raises(TransientError, match="answers 503: The service is currently unavailable"):
        here.write(tab(), patience=Patience(deadline_seconds=300))
    assert timedelta(seconds=150) < here.clock.now() - AT <= timedelta(seconds=300)


def test_a_service_that_never_answers_is_given_up(here: World) -> None:
    here.stand_in.faults.add(Fault(status=503, times=10, hold_seconds=0.4))
    with pytest.raises(TransientError, match="ReadTimeout"):
        here.write(tab(), patience=Patience(answer_seconds=0.05, deadline_seconds=0))


def test_a_stopped_run_ends_while_it_waits(here: World) -> None:
    here.stand_in.faults.add(Fault(status=503, times=10_000))

    def look() -> None:
        if here.clock.now() - AT >= timedelta(seconds=5):
            raise InterruptedRunError("stopped")

    sheet = google.GoogleSheet(here.calls(look=look), here.sheet()._snapshots)
    with pytest.raises(InterruptedRunError):
        sheet.write([tab()], at=AT)
    assert here.clock.now() - AT < timedelta(seconds=8)


@pytest.mark.usefixtures("small_parts")
def test_a_run_that_lost_its_lease_changes_nothing_that_readers_see(here: World) -> None:
    here.write(large(1))

    def lost() -> None:
        raise InterruptedRunError("lost")

    with pytest.raises(InterruptedRunError):
        here.write(large(2), guard=lost)
    assert here.rows("Cohorts") == whole(large(1))


def test_a_spreadsheet_that_is_not_shared_says_with_whom_to_share_it(here: World) -> None:
    other = here.stand_in.create("private", shared={})
    sheet = google.GoogleSheet(here.calls(spreadsheet_id=other.id), here.sheet()._snapshots)
    with pytest.raises(ConfigurationError) as caught:
        sheet.write([tab()], at=AT)
    assert "neopulse@bank-analytics.iam.gserviceaccount.com" in caught.value.next
    assert "as an editor" in caught.value.next


def test_a_spreadsheet_that_may_only_be_read_says_so_and_stays(here: World) -> None:
    other = here.stand_in.create("read only", shared={"neopulse@bank-analytics.iam.gserviceaccount.com": "reader"})
    with pytest.raises(ConfigurationError, match="may not use the spreadsheet"):
        google.GoogleSheet(here.calls(spreadsheet_id=other.id), here.sheet()._snapshots).write([tab()], at=AT)
    assert [sheet.title for sheet in here.stand_in.book(other.id).sheets] == ["Sheet1"]


def test_a_spreadsheet_that_is_not_there_says_which_setting_names_it(here: World) -> None:
    with pytest.raises(ConfigurationError, match="finds no such spreadsheet") as caught:
        google.GoogleSheet(here.calls(spreadsheet_id="1NoSuchSpreadsheet000"), here.sheet()._snapshots).write([tab()], at=AT)
    assert "NEOPULSE_GOOGLE_SHEETS_ID" in caught.value.next


def test_a_key_that_google_does_not_know_is_a_matter_of_configuration_and_never_shown(here: World) -> None:
    here.key_file.write_text(json.dumps(here.stand_in.key_file(number=2)), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="Invalid JWT Signature") as caught:
        here.write(tab())
    assert "PRIVATE KEY" not in str(caught.value)
    assert here.stand_in.calls == []


def test_an_account_that_is_gone_is_told_by_its_address(here: World) -> None:
    here.stand_in.tokens.accounts.clear()
    with pytest.raises(ConfigurationError, match=r"neopulse@bank-analytics\S+ sign in: invalid_grant"):
        here.write(tab())


@pytest.mark.parametrize("status", [200, 502, 503])
def test_a_page_in_the_place_of_a_token_is_waited_out(here: World, status: int) -> None:
    here.stand_in.tokens.faults = [status] * 5  # more than google-auth tries by itself
    here.write(tab(note="signed in at last"))
    assert here.rows("Monthly churn")[0][0] == "signed in at last"


def test_a_token_that_is_no_longer_taken_is_fetched_again(here: World) -> None:
    writer = here.sheet()
    writer.write([tab()], at=AT)
    here.stand_in.tokens.issued.clear()
    writer.write([tab(note="with another token")], at=AT)
    assert here.rows("Monthly churn")[0][0] == "with another token"


@pytest.mark.parametrize("after", [False, True])
def test_a_sign_in_page_in_place_of_an_answer_is_no_answer(here: World, after: bool) -> None:
    here.stand_in.faults.add(Fault(status=200, html=True, times=100, after=after))
    with pytest.raises(PermanentError, match=r"no JSON.*server encountered a temporary error"):
        here.write(tab())


def test_no_look_up_leaves_the_machine(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    resolve: Callable[..., Any] = socket.getaddrinfo

    def watched(host: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    started: list[Any] = []
    manager = "google.auth._regional_access_boundary_utils._RegionalAccessBoundaryManager"
    monkeypatch.setattr(f"{manager}.maybe_start_refresh", lambda *_: started.append("a look-up in a thread of its own"))
    here.write(tab())
    assert set(asked) == {"127.0.0.1"}
    assert started == []


def test_a_protected_range_says_whom_to_let_in(here: World) -> None:
    told = "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to remove protection."
    here.stand_in.faults.add(Fault(status=400, kind="batchUpdate", message=f"Invalid requests[0].updateCells: {told}"))
    with pytest.raises(ConfigurationError, match="a range that somebody has protected") as caught:
        here.write(tab())
    assert "add neopulse@bank-analytics.iam.gserviceaccount.com to the editors" in caught.value.next
