"""A candidate that waits for an admin: whole, unchanged, published once or deleted, whatever is killed in between."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hand_made import House
from postgres_kit import plain_engine
from sqlalchemy import text

from pipeline import approval, files
from pipeline.context import StepContext, StepResult
from pipeline.errors import ConfigurationError, HeldError, InterruptedRunError, NeopulseError, PermanentError
from pipeline.guard import columns_of
from pipeline.runner import Order
from pipeline.runs import schema_guard
from pipeline.runs.records import RunState, StepState
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Publications, Version


class PowerCut(BaseException):
    """The process is gone: no handler of the product may see it as an error."""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A house with 1000 customers published, and one in which a candidate of 300 waits as well."""
    MADE["published"] = House.at(tmp_path_factory.mktemp("published"))
    MADE["published"].transform(1000)
    MADE["published"].clock.sleep(60)
    MADE["held"] = House.at(tmp_path_factory.mktemp("held"))
    MADE["held"].take_over(MADE["published"])
    with pytest.raises(HeldError):
        MADE["held"].transform(300)


MADE: dict[str, House] = {}
HELD_RUN = 2


def publish(house: House) -> None:
    """Let 1000 customers be published in a house that was empty."""
    house.take_over(MADE["published"])


def hold(house: House) -> int:
    """Let 1000 customers be published and a candidate of 300 wait; returns the run that made it."""
    house.take_over(MADE["held"])
    return HELD_RUN


def steps_of(calls: list[str] | None = None) -> Callable[[str, StepContext], StepResult]:
    """The real second step of an approving run; the others only note that they were called."""

    def run_step(name: str, context: StepContext) -> StepResult:
        if calls is not None:
            calls.append(name)
        return approval.publish(context) if name == "transform" else StepResult(name, 1, 1)

    return run_step


def approve(house: House, run_id: int) -> Any:
    calls: list[str] = []
    approval.approve(house.store, house.publications, run_id, who="grace", note="the branch in Lille closed")
    order = Order("approval", "grace", approves=run_id)
    house.clock.sleep(61)
    return house.runner(steps_of(calls)).execute(order, cancelled=lambda: False), calls


def customers_seen(house: House) -> int:
    version = house.publications.current()
    assert version is not None
    return customers_in(version.folder)


def customers_in(folder: Path) -> int:
    with duckdb.connect(folder / "published.duckdb", read_only=True) as connection:
        return len(connection.execute("select * from marts.mart_customers").fetchall())


def test_a_candidate_that_looks_unusual_is_kept_whole_and_readers_keep_their_version(house: House) -> None:
    run_id = hold(house)
    [held] = house.held.waiting()
    assert (held.run_id, held.facts.rows, customers_in(held.files)) == (run_id, {"mart_customers": 300}, 300)
    assert [reason["rule"] for reason in held.reasons] == ["rows_gone"]
    assert customers_seen(house) == 1000
    assert house.names() == ["v0001"]


def test_who_is_told_is_told_the_reason_what_is_safe_and_both_ways_out(house: House) -> None:
    publish(house)
    with pytest.raises(HeldError) as told:
        house.transform(300, as_of=date(2026, 2, 1))
    assert told.value.what == (
        "The candidate of run 2 waits for approval: the last day of the data is 2026-02-01; version v0001 already knew "
        "2026-02-28 (1 more: the page Versions has them)"
    )
    assert told.value.safe == "Readers still see version v0001; nothing was sent"
    assert told.value.next == "look at the page Versions, then neopulse approve 2 or neopulse reject 2"


def test_a_damaged_version_is_mended_by_the_next_run_and_its_rows_still_count(house: House) -> None:
    publish(house)
    (house.home / "versions" / "v0001" / "published.duckdb").write_text("these are no tables")
    with pytest.raises(HeldError):
        house.transform(300)
    house.clock.sleep(60)
    assert house.transform(990).name == "v0002"


def test_a_first_version_is_never_held(house: House) -> None:
    assert house.transform(3).name == "v0001"


def test_an_approval_publishes_what_was_held_and_goes_on_with_the_steps_behind_it(house: House) -> None:
    run_id = hold(house)
    run, calls = approve(house, run_id)
    assert run.state is RunState.SUCCEEDED, run.error
    assert calls == ["transform", "sheet", "activate", "notify"]
    assert [step.state for step in run.steps] == [StepState.SKIPPED, *[StepState.SUCCEEDED] * 4]
    assert (run.version, run.resumes, run.approves) == ("v0002", run_id, run_id)
    assert customers_seen(house) == 300
    assert house.held.waiting() == []
    assert list(house.held.folder.iterdir()) == []
    version = house.publications.current()
    assert version is not None
    assert (version.run_id, version.rows) == (run_id, {"mart_customers": 300})
    decision = house.store.decision(run_id)
    assert decision is not None
    assert (decision.state, decision.decided_by, decision.note) == ("published", "grace", "the branch in Lille closed")
    assert decision.outcome == "v0002"


def test_an_approval_is_audited_with_what_was_there_before_and_after(house: House) -> None:
    run_id = hold(house)
    approve(house, run_id)
    published, approved = house.store.acts(limit=2)
    assert (approved.who, approved.action, approved.what) == ("grace", "approve", f"candidate of run {run_id}")
    assert (approved.before["state"], approved.before["readers_see"]) == ("held", "v0001")
    assert approved.before["reasons"] == ["rows of mart_customers: 300, 70% fewer than the usual 1,000 (median; publications: 1)"]
    assert approved.after == {"state": "approved", "note": "the branch in Lille closed"}
    assert (published.action, published.before, published.after) == ("publish_approved", "v0001", "v0002")


def test_what_was_approved_is_usual_from_then_on(house: House) -> None:
    approve(house, hold(house))
    house.clock.sleep(60)
    assert house.transform(290).name == "v0003"


def test_a_rejected_candidate_is_deleted_and_audited(house: House) -> None:
    run_id = hold(house)
    approval.reject(house.store, house.publications, run_id, who="grace", note="a file is missing")
    assert house.held.waiting() == []
    assert list(house.held.folder.iterdir()) == []
    assert customers_seen(house) == 1000
    [row] = house.store.acts(limit=1)
    assert (row.action, row.before["state"], row.after) == ("reject", "held", {"state": "rejected", "note": "a file is missing"})
    with pytest.raises(ConfigurationError, match=f"No candidate of run {run_id} waits"):
        approval.approve(house.store, house.publications, run_id, who="ada", note="")


def test_a_rejection_that_cannot_be_noted_down_deletes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> None:
        raise OSError("no store today")

    run_id = hold(house)
    monkeypatch.setattr(house.store, "note_held", fails)
    with pytest.raises(OSError, match="no store today"):
        approval.reject(house.store, house.publications, run_id, who="grace", note="")
    assert [held.run_id for held in house.held.waiting()] == [run_id]


def test_an_approval_of_what_was_decided_before_begins_no_run(house: House) -> None:
    run_id = hold(house)
    approve(house, run_id)
    runs = len(house.store.runs())
    with pytest.raises(ConfigurationError, match="No candidate"):
        house.runner(steps_of()).execute(Order("approval", "ada", approves=run_id), cancelled=lambda: False)
    assert len(house.store.runs()) == runs


def decide_elsewhere(house: House, run_id: int) -> None:
    """Let somebody else's word about a candidate come first, with its files still there."""
    [held] = house.held.waiting()
    house.store.note_held(held.run_id, held.held_at, held.reasons)
    assert house.store.decide(run_id, held.held_at, state="replaced", who="ada", note="", outcome="run 3")


def test_an_approval_that_comes_after_another_decision_is_refused_and_leaves_no_act(house: House) -> None:
    run_id = hold(house)
    decide_elsewhere(house, run_id)
    acts = house.store.acts()
    with pytest.raises(ConfigurationError, match=f"The candidate of run {run_id} was replaced by ada before: run 3"):
        approval.approve(house.store, house.publications, run_id, who="grace", note="")
    assert house.store.acts() == acts
    assert [held.run_id for held in house.held.waiting()] == [run_id]


def test_a_rejection_that_comes_after_another_decision_says_what_the_store_says(house: House) -> None:
    run_id = hold(house)
    decide_elsewhere(house, run_id)
    acts = house.store.acts()
    with pytest.raises(ConfigurationError, match=f"The candidate of run {run_id} was replaced by ada before: run 3"):
        approval.reject(house.store, house.publications, run_id, who="grace", note="")
    assert house.store.acts() == acts
    assert house.held.waiting() == []


def test_two_approvals_at_once_publish_once(house: House) -> None:
    run_id = hold(house)
    [held] = house.held.waiting()
    both = threading.Barrier(2)
    ends: list[object] = []

    def publish(number: int) -> None:
        both.wait()
        try:
            made = house.held.publish(
                held,
                house.home / "candidates" / str(number),
                lease_token=7,  # the same for both: it is not the lease that tells them apart here
                started_at=house.clock.now(),
                clock=house.clock,
                guard=lambda: None,
            )
            ends.append(made.name)
        except NeopulseError as error:
            ends.append(error)

    threads = [threading.Thread(target=publish, args=(number,)) for number in (7, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [end for end in ends if isinstance(end, str)] == ["v0002"]
    [refused] = [end for end in ends if not isinstance(end, str)]
    assert isinstance(refused, ConfigurationError), refused
    assert house.names() == ["v0002", "v0001"]
    assert house.publications.version("v0002").run_id == run_id


def test_an_approval_under_a_lost_lease_publishes_nothing_and_the_candidate_waits_on(house: House) -> None:
    run_id = hold(house)
    approval.approve(house.store, house.publications, run_id, who="grace", note="")
    late = house.context(house.lease(), resumes=run_id, approves=run_id)
    house.lease()  # somebody else runs by now
    with pytest.raises(InterruptedRunError, match="lost its lease"):
        approval.publish(late)
    assert customers_seen(house) == 1000
    assert [held.run_id for held in house.held.waiting()] == [run_id]


def test_a_candidate_is_not_held_under_a_lost_lease(house: House) -> None:
    publish(house)
    late = house.context(house.lease())
    house.lease()
    with pytest.raises(InterruptedRunError):
        house.transform(300, context=late)
    assert house.held.waiting() == []


def test_a_newer_candidate_replaces_the_one_that_waits_and_says_so(house: House, caplog: pytest.LogCaptureFixture) -> None:
    first = hold(house)
    house.clock.sleep(60)
    with pytest.raises(HeldError) as told:
        house.transform(200)
    assert told.value.safe.endswith(f"it replaces the candidate of run {first}")
    [held] = house.held.waiting()
    assert held.run_id == first + 1
    decision = house.store.decision(first)
    assert decision is not None
    assert (decision.state, decision.outcome) == ("replaced", f"run {first + 1}")
    assert f"The candidate of run {first}, which waited for approval, is replaced by run {first + 1}" in caplog.text


def test_a_version_that_is_published_replaces_the_candidate_that_waits(house: House) -> None:
    run_id = hold(house)
    house.clock.sleep(60)
    house.transform(990)
    assert house.held.waiting() == []
    decision = house.store.decision(run_id)
    assert decision is not None
    assert (decision.state, decision.outcome) == ("replaced", "v0002")


def test_a_candidate_that_somebody_touched_is_not_published(house: House) -> None:
    run_id = hold(house)
    [held] = house.held.waiting()
    (held.files / "tests.json").write_text("[]")
    approval.approve(house.store, house.publications, run_id, who="grace", note="")
    with pytest.raises(PermanentError, match="was changed since it was held"):
        approval.publish(house.context(house.lease(), approves=run_id))
    assert customers_seen(house) == 1000


def test_where_files_cannot_be_linked_they_are_copied(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError("no links here")

    run_id = hold(house)
    monkeypatch.setattr(os, "link", no_links)
    run, _ = approve(house, run_id)
    assert run.state is RunState.SUCCEEDED, run.error
    assert customers_seen(house) == 300


ACTS_OF_AN_APPROVAL = 60  # more than there are; the test ends with the first that is not cut


EACH = [7, pytest.param(1, marks=pytest.mark.proof)]  # daily every seventh act


@pytest.mark.parametrize("stride", EACH)
def test_a_crash_before_any_act_of_an_approval_leaves_the_candidate_waiting_or_published_once(
    tmp_path: Path, stride: int
) -> None:
    for act in range(0, ACTS_OF_AN_APPROVAL, stride):
        house = House.at(files.make_folder(tmp_path / str(act)))
        run_id = hold(house)
        approval.approve(house.store, house.publications, run_id, who="grace", note="")
        with pytest.MonkeyPatch.context() as patch:
            cut = _cut_before(patch, act)
            with contextlib.suppress(PowerCut):
                approval.publish(house.context(house.lease(), resumes=run_id, approves=run_id))
        assert customers_seen(house) in (300, 1000)
        house.store.reap()
        approval.publish(house.context(house.lease(), resumes=run_id, approves=run_id))
        assert (customers_seen(house), house.names()) == (300, ["v0002", "v0001"])
        assert house.held.waiting() == []
        house.store.close()
        if not cut.happened:
            return
    raise AssertionError("an approval does more acts than this test says")


@pytest.mark.parametrize("stride", EACH)
def test_a_crash_before_any_act_of_holding_leaves_readers_their_version_and_the_next_run_holds(
    tmp_path: Path, stride: int
) -> None:
    for act in range(0, ACTS_OF_AN_APPROVAL, stride):
        house = House.at(files.make_folder(tmp_path / str(act)))
        publish(house)
        with pytest.MonkeyPatch.context() as patch:
            cut = _cut_before(patch, act)
            with contextlib.suppress(PowerCut, HeldError):
                house.transform(300)
        assert customers_seen(house) == 1000
        assert all(customers_in(held.files) == 300 for held in house.held.waiting())
        house.clock.sleep(60)
        with pytest.raises(HeldError):
            house.transform(200)
        assert [customers_in(held.files) for held in house.held.waiting()] == [200]
        assert len(list(house.held.folder.iterdir())) == 1
        house.store.close()
        if not cut.happened:
            return
    raise AssertionError("holding does more acts than this test says")


CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from hand_made import House
from pipeline import approval
from pipeline.errors import HeldError

house = House.at(Path({home!r}), address={address!r})
house.transform(1000)
house.clock.sleep(60)
try:
    house.transform(300)
except HeldError:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_held_candidate_survives_a_killed_process_and_a_restart(tmp_path: Path) -> None:
    house = House.at(tmp_path)
    house.store.close()
    script = CHILD.format(tests=str(Path(__file__).parent.parent), home=str(tmp_path), address=house.address)
    child = subprocess.run([sys.executable, "-c", script], check=False, cwd=Path(__file__).parent.parent.parent)
    assert child.returncode == -signal.SIGKILL
    house.clock.sleep(3600)
    [reaped] = house.store.reap()[-1:]
    assert reaped.state is RunState.INTERRUPTED
    [held] = house.held.waiting()
    assert (held.run_id, customers_in(held.files)) == (2, 300)
    run, _ = approve(house, 2)
    assert run.state is RunState.SUCCEEDED, run.error
    assert customers_seen(house) == 300


class Cut:
    happened = False


def _cut_before(monkeypatch: pytest.MonkeyPatch, act: int) -> Cut:
    """Let the power fail before the rename, link, deletion or flush number `act`."""
    done, cut = itertools.count(), Cut()

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def fail(*arguments: object, **options: object) -> object:
            if next(done) == act:
                cut.happened = True
                raise PowerCut
            return real(*arguments, **options)

        return fail

    for owner, name in ((Path, "rename"), (os, "replace"), (os, "link"), (files, "flush"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    return cut


def test_a_version_that_was_published_by_hand_of_a_crash_is_remembered_by_the_next_run(house: House) -> None:
    house.publications.publish(
        house.candidate(1, {"marts.mart_customers": "select 1 as user_id"}), clock=house.clock, guard=lambda: None
    )
    assert house.store.publications(30, source="files") == []
    approval.remember(house.store, house.publications)
    [remembered] = house.store.publications(30, source="files")
    assert (remembered.version, remembered.rows, remembered.approved) == ("v0001", {"mart_customers": 1}, False)


def test_the_columns_of_a_version_are_read_beside_a_reader_that_has_it_open(house: House) -> None:
    version = house.transform(10)
    reader = ReadOnlyDuckDB(version.database)
    assert columns_of(version.database) == {"mart_customers": {"user_id": "BIGINT", "country": "VARCHAR"}}
    assert reader.query("select count(*) as n from marts.mart_customers")["n"].to_pylist() == [10]


def test_what_is_remembered_outlives_the_version(house: House) -> None:
    versions: list[Version] = []
    for _ in range(5):
        versions.append(house.transform(1000))
        house.clock.sleep(60)
    assert house.names() == ["v0005", "v0004", "v0003"]
    assert [known.version for known in house.store.publications(30, source="files")] == [
        *("v0005", "v0004", "v0003", "v0002", "v0001")
    ]
    assert house.store.publications(2, source="files")[-1].version == "v0004"
    assert isinstance(house.publications, Publications)


def test_an_older_store_gets_the_tables_and_the_column_and_a_second_time_changes_nothing(house: House) -> None:
    house.store.close()
    engine = plain_engine(house.address)
    with engine.begin() as connection:
        for table in reversed(schema_guard.TABLES):
            table.drop(connection)
        connection.execute(text("alter table runs drop column approves"))
    for _ in range(2):
        with engine.begin() as connection:
            schema_guard.add(connection)
    again = House.at(house.home)
    again.transform(10)
    assert again.run(1).approves is None
    assert [known.version for known in again.store.publications(30, source="files")] == ["v0001"]
