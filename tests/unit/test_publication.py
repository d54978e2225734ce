"""Publishing: readers see one whole tested version, whatever happens in between."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import files
from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, InterruptedRunError, PermanentError
from pipeline.warehouse.publication import Candidate, Facts, Publications, TestSummary, UntestedError, Version

SIX_O_CLOCK = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
ALL_PASSED = TestSummary(passed=60, failed=0, warned=2, total=62)
ACTS_OF_A_PUBLISH = 14  # renames, deletions and flushes, where one old version goes


class PowerCut(BaseException):
    """The process is gone: no handler of the product may see it as an error."""


@dataclasses.dataclass
class Bank:
    """One home with versions in it, and the means to publish more."""

    home: Path
    clock: FixedClock
    publications: Publications

    def candidate(self, run_id: int, *, tests: TestSummary = ALL_PASSED, lease_token: int | None = None) -> Candidate:
        folder = self.home / "candidates" / str(run_id) / "version"
        folder.mkdir(parents=True)
        (folder / "published.duckdb").write_text(f"data of run {run_id}")
        facts = Facts(
            run_id=run_id,
            as_of=date(2019, 5, 15),
            source="demo bank",
            inactivity_days=90,
            activity_rule="COMPLETED transactions",
            bank_timezone="Europe/Paris",
            tests=tests,
            rows={"mart_customers": 19430},
        )
        return Candidate(folder, facts, lease_token=lease_token or run_id, started_at=self.clock.now())

    def publish(self, candidate: Candidate, guard: Callable[[], None] = lambda: None) -> Version:
        self.clock.sleep(60)
        return self.publications.publish(candidate, clock=self.clock, guard=guard)

    def publish_runs(self, *run_ids: int) -> list[Version]:
        return [self.publish(self.candidate(run_id)) for run_id in run_ids]

    def names(self) -> list[str]:
        return [version.name for version in self.publications.versions()]

    def on_disk(self) -> list[str]:
        return sorted(path.name for path in (self.home / "versions").iterdir() if path.is_dir())


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path, FixedClock(SIX_O_CLOCK), Publications(tmp_path, keep=3))


def test_nothing_is_current_before_the_first_publish(bank: Bank) -> None:
    assert bank.publications.current() is None
    assert bank.publications.versions() == []
    assert bank.publications.in_words() == "Nothing has been published yet"


def test_a_published_version_tells_what_it_is(bank: Bank) -> None:
    version = bank.publish(bank.candidate(7))
    assert bank.publications.current() == version
    assert version == Version(
        name="v0001",
        number=1,
        folder=bank.home / "versions" / "v0001",
        published_at=SIX_O_CLOCK + timedelta(seconds=60),
        run_id=7,
        as_of=date(2019, 5, 15),
        source="demo bank",
        inactivity_days=90,
        activity_rule="COMPLETED transactions",
        bank_timezone="Europe/Paris",
        tests=ALL_PASSED,
        rows={"mart_customers": 19430},
    )
    assert version.database.read_text() == "data of run 7"


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        (TestSummary(passed=60, failed=2, warned=0, total=62), "2 of 62 tests failed"),
        (TestSummary(passed=60, failed=0, warned=0, total=62), "2 of 62 tests did not run"),
        (TestSummary(passed=59, failed=1, warned=0, total=62), "1 of 62 tests failed and 2 of 62 tests did not run"),
        (TestSummary(passed=0, failed=0, warned=0, total=0), "it has no tests"),
    ],
)
def test_an_untested_candidate_is_refused_and_the_last_version_stays(bank: Bank, tests: TestSummary, words: str) -> None:
    [last] = bank.publish_runs(1)
    with pytest.raises(UntestedError) as refusal:
        bank.publish(bank.candidate(2, tests=tests))
    assert refusal.value.what == f"The candidate of run 2 is not published: {words}"
    assert refusal.value.safe == "Readers still see version v0001"
    assert bank.publications.current() == last


def test_the_last_versions_stay_and_older_ones_go(bank: Bank) -> None:
    bank.publish_runs(1, 2, 3, 4, 5)
    assert bank.names() == ["v0005", "v0004", "v0003"]
    assert bank.on_disk() == ["v0003", "v0004", "v0005"]


def test_a_rollback_makes_any_kept_version_current_and_changes_no_file_of_it(bank: Bank) -> None:
    versions = bank.publish_runs(1, 2, 3)
    assert bank.publications.rollback("v0001") == versions[0]
    assert bank.publications.current() == versions[0]
    assert bank.names() == ["v0003", "v0002", "v0001"]


def test_a_rollback_to_a_version_that_is_not_kept_names_those_that_are(bank: Bank) -> None:
    bank.publish_runs(1, 2, 3, 4)
    with pytest.raises(ConfigurationError) as refusal:
        bank.publications.rollback("v0001")
    assert refusal.value.what == "There is no version v0001; kept are v0004, v0003, v0002"
    assert bank.publications.current() is not None
    assert bank.publications.in_words() == "Readers still see version v0004"


def test_after_a_rollback_numbers_go_on_and_the_good_version_outlives_the_bad(bank: Bank) -> None:
    bank.publish_runs(1, 2, 3)
    bank.publications.rollback("v0001")
    [fourth] = bank.publish_runs(4)
    assert fourth.name == "v0004"
    assert bank.names() == ["v0004", "v0003", "v0001"]


def test_a_run_that_lost_its_lease_publishes_nothing(bank: Bank) -> None:
    def guard() -> None:
        raise InterruptedRunError("lost")

    [first] = bank.publish_runs(1)
    with pytest.raises(InterruptedRunError):
        bank.publish(bank.candidate(2), guard)
    assert bank.publications.current() == first
    assert bank.names() == ["v0001"]
    bank.publish_runs(3)
    assert bank.on_disk() == ["v0001", "v0002"]


def test_a_run_that_was_overtaken_by_a_later_lease_is_refused(bank: Bank) -> None:
    slow = bank.candidate(1, lease_token=1)
    bank.clock.sleep(60)
    fast = bank.publish(bank.candidate(2, lease_token=2))
    with pytest.raises(InterruptedRunError) as refusal:
        bank.publish(slow)
    assert refusal.value.what == "Run 1 was overtaken: v0001 has been published since it began"
    assert bank.publications.current() == fast


def test_a_rollback_does_not_let_an_overtaken_run_in(bank: Bank) -> None:
    bank.publish_runs(1)
    slow = bank.candidate(2)
    bank.publish_runs(3)
    bank.publications.rollback("v0001")
    with pytest.raises(InterruptedRunError):
        bank.publish(slow)


def test_a_new_run_store_whose_leases_count_from_one_again_may_publish(bank: Bank) -> None:
    bank.publish(bank.candidate(57, lease_token=57))
    bank.clock.sleep(60)
    assert bank.publish(bank.candidate(1, lease_token=1)).name == "v0002"


def test_a_crash_between_write_and_publish_leaves_the_last_version_current(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise PowerCut

    [first] = bank.publish_runs(1)
    with monkeypatch.context() as patch:
        patch.setattr(Publications, "_swap", cut)
        with pytest.raises(PowerCut):
            bank.publish(bank.candidate(2))
    assert bank.on_disk() == ["v0001", "v0002"]
    assert bank.publications.current() == first
    assert bank.names() == ["v0001"]
    [third] = bank.publish_runs(3)
    assert (third.name, third.database.read_text()) == ("v0002", "data of run 3")


@pytest.mark.parametrize("act", range(ACTS_OF_A_PUBLISH + 1))
def test_a_crash_before_any_single_act_on_the_disk_leaves_one_whole_version(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, act: int
) -> None:
    bank.publish_runs(1, 2, 3)
    fourth = bank.candidate(4)
    with monkeypatch.context() as patch, suppress(PowerCut):
        _cut_before(patch, act)
        bank.publish(fourth)
        assert act == ACTS_OF_A_PUBLISH, "a publish does fewer acts than this test says"
    current = bank.publications.current()
    assert current is not None
    assert current.name in ("v0003", "v0004")
    assert act < ACTS_OF_A_PUBLISH or current.name == "v0004", "a publish does more acts than this test says"
    assert current.database.read_text() == f"data of run {current.number}"
    [after] = bank.publish_runs(5)
    assert after.number == current.number + 1
    assert len(bank.on_disk()) == 3


def test_a_reading_whose_version_is_pruned_under_it_begins_again_with_the_next(bank: Bank) -> None:
    bank.publish_runs(1)

    def reading(version: Version) -> str:
        if version.name == "v0001":
            bank.publish_runs(2, 3, 4)
        return version.database.read_text()

    assert bank.publications.read_current(reading) == "data of run 4"


def test_a_file_that_the_current_version_lacks_is_told_and_not_looked_for_forever(bank: Bank) -> None:
    assert bank.publications.read_current(lambda version: version.name) is None
    bank.publish_runs(1)
    with pytest.raises(PermanentError) as damage:
        bank.publications.read_current(lambda version: (version.folder / "metrics.json").read_text())
    assert damage.value.what == "Version v0001 is damaged or gone"


def test_a_pointer_that_was_lost_by_hand_is_set_again_by_a_rollback(bank: Bank) -> None:
    bank.publish_runs(1, 2)
    (bank.home / "versions" / "current").write_text("v00")
    with pytest.raises(PermanentError) as damage:
        bank.publications.current()
    assert damage.value.next == "remove the file, then neopulse versions and neopulse rollback VERSION"
    (bank.home / "versions" / "current").unlink()
    assert bank.names() == ["v0002", "v0001"]
    assert bank.publications.rollback("v0001") == bank.publications.current()
    assert [version.name for version in bank.publish_runs(3)] == ["v0003"]


def test_a_current_version_that_somebody_deleted_is_named(bank: Bank) -> None:
    bank.publish_runs(1, 2)
    shutil.rmtree(bank.home / "versions" / "v0002")
    with pytest.raises(PermanentError) as damage:
        bank.publications.current()
    assert damage.value.what == "Version v0002 is damaged or gone"


def test_a_version_whose_facts_are_damaged_is_named(bank: Bank) -> None:
    [version] = bank.publish_runs(1)
    (version.folder / "version.json").write_text(json.dumps({"name": "v0001"}))
    with pytest.raises(PermanentError):
        bank.publications.current()


def test_what_a_newer_neopulse_tells_of_a_version_on_top_makes_it_not_damaged(bank: Bank) -> None:
    [version] = bank.publish_runs(1)
    path = version.folder / "version.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "edition": 3, "tests": {**told["tests"], "skipped": 0}}))
    assert bank.publications.current() == version


def _gone(version: Version) -> None:
    shutil.rmtree(version.folder)


def _cut_short(version: Version) -> None:
    (version.folder / "version.json").write_text('{"name": "v00')


@pytest.mark.parametrize("damage", [_gone, _cut_short])
def test_a_damaged_current_version_keeps_nobody_from_going_back_or_on(bank: Bank, damage: Callable[[Version], None]) -> None:
    one, two = bank.publish_runs(1, 2)
    damage(two)
    assert bank.names() == [one.name]
    assert bank.publications.readable_current() is None
    assert bank.publications.rollback(one.name) == one
    assert bank.publications.readable_current() == bank.publications.current() == one
    three = bank.publish(bank.candidate(3))
    assert (three.name, bank.publications.current()) == ("v0003", three)
    assert bank.names() == [three.name, one.name]


def test_an_older_version_that_is_damaged_holds_nothing_up_and_goes_in_its_time(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = bank.publish_runs(1, 2)
    _cut_short(one)
    assert bank.names() == [two.name]
    assert "Version v0001 is damaged or gone" in caplog.text
    assert bank.publications.current() == two
    bank.publish_runs(3, 4, 5)
    assert bank.names() == ["v0005", "v0004", "v0003"]
    assert bank.on_disk() == ["v0003", "v0004", "v0005"]


def _cut_before(monkeypatch: pytest.MonkeyPatch, act: int) -> None:
    """Let the power fail before the rename, deletion or flush number `act`."""
    done = itertools.count()

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def cut(*arguments: object, **options: object) -> object:
            if next(done) == act:
                raise PowerCut
            return real(*arguments, **options)

        return cut

    for owner, name in ((Path, "rename"), (os, "replace"), (files, "flush"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
