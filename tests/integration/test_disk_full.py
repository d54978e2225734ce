"""A disk that is full at any boundary of a run: what stood stands, the reason is told, and with room again all goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hand_made import facts
from small_disk import Disk, mounted

from pipeline import files
from pipeline.backups.making import make_backup
from pipeline.backups.restoring import restore
from pipeline.clock import FixedClock
from pipeline.context import StepContext, StepResult
from pipeline.errors import NeopulseError, PermanentError, TransientError
from pipeline.runner import Order, Runner
from pipeline.runs.holders import Holders
from pipeline.runs.records import Run, RunState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.sources.files import land
from pipeline.sources.landing import read_landing
from pipeline.sources.schema import RAW_TABLES
from pipeline.warehouse.publication import Candidate, Publications

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
AT = "2018-12-05 10:28:02 UTC"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path, megabytes=4) as small:
        yield small


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


def settings_of(home: Path) -> Settings:
    return Settings(_env_file=None, home=home, step_attempts=2)  # type: ignore[call-arg]


def candidate(disk: Disk, run_id: int, clock: FixedClock, *, size: int = 1000) -> Candidate:
    folder = disk.home / "candidates" / str(run_id)
    folder.mkdir(parents=True)
    (folder / "published.duckdb").write_bytes(f"run {run_id} ".encode() * (size // 6))
    return Candidate(folder, facts(run_id), lease_token=run_id, started_at=clock.now())


def test_a_publish_without_room_leaves_the_current_version_and_the_next_one_succeeds(disk: Disk, clock: FixedClock) -> None:
    publications = Publications(disk.home, keep=3)
    first = publications.publish(candidate(disk, 1, clock), clock=clock, guard=lambda: None)
    second = candidate(disk, 2, clock)
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        publications.publish(second, clock=clock, guard=lambda: None)
    assert publications.current() == first
    assert [version.name for version in publications.versions()] == ["v0001"]
    disk.free()
    third = publications.publish(second, clock=clock, guard=lambda: None)
    assert (publications.current(), third.name) == (third, "v0002")


def test_a_pointer_without_room_stays_on_the_whole_version_of_before(disk: Disk, clock: FixedClock) -> None:
    """The version is in place, and the disk is full when the pointer is to be swapped."""
    publications = Publications(disk.home, keep=3)
    first = publications.publish(candidate(disk, 1, clock), clock=clock, guard=lambda: None)
    with pytest.raises(OSError, match="No space left"):
        publications.publish(candidate(disk, 2, clock), clock=clock, guard=disk.fill)
    assert publications.current() == first
    assert (disk.home / "versions" / "v0002").exists()  # in place, and never current
    disk.free()
    assert publications.publish(candidate(disk, 3, clock), clock=clock, guard=lambda: None).name == "v0002"
    assert publications.current() == publications.versions()[0]
    assert not list((disk.home / "versions").glob("*.part"))


def test_a_store_without_room_refuses_whole_acts_and_reads_go_on(disk: Disk, clock: FixedClock) -> None:
    store = RunStore.open(f"sqlite:///{disk.home / 'run_store.db'}", clock=clock)
    store.audit("ada", "rollback", "version")
    disk.fill()
    refused: list[TransientError] = []
    for number in range(50):
        try:
            store.reserve(f"mail-{number}", "outbox", {"body": "x" * 20_000})
        except TransientError as error:
            refused.append(error)
    assert {error.what for error in refused} == {"The run store did not answer: database or disk is full"}
    assert refused[0].next.startswith("free disk space")
    kept = len(store.waiting())
    assert kept == 50 - len(refused)
    assert [row.action for row in store.acts()] == ["rollback"]
    store.close()
    disk.free()
    again = RunStore.open(f"sqlite:///{disk.home / 'run_store.db'}", clock=clock)
    assert len(again.waiting()) == kept
    assert again.reserve("mail-49", "outbox", {})
    again.close()
    with closing(sqlite3.connect(disk.home / "run_store.db")) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


def bank(folder: Path, *, transactions: int) -> Path:
    folder.mkdir()
    for name, rows in {
        "users": ["user_1,1984,GB,Ayr,2018-12-04 10:28:02 UTC,0,STANDARD,,,0,0,0"],
        "devices": ["Apple,user_1"],
        "transactions": [
            f"transaction_{n},CARD_PAYMENT,GBP,8.95,COMPLETED,TRUE,5812.0,{os.urandom(8).hex()},GBR,OUTBOUND,user_1,{AT}"
            for n in range(transactions)
        ],
    }.items():
        (folder / f"{name}.csv").write_text("\n".join([",".join(RAW_TABLES[name].columns), *rows]) + "\n")
    return folder


def test_landing_without_room_leaves_what_was_landed_before(disk: Disk, tmp_path: Path, clock: FixedClock) -> None:
    def quietly(_fraction: float | None, _text: str) -> None:
        return None

    landed_before = land(bank(tmp_path / "small", transactions=3), disk.home / "landing", clock=clock, progress=quietly)
    before = {path.name: path.read_bytes() for path in (disk.home / "landing").rglob("*") if path.is_file()}
    large = bank(tmp_path / "large", transactions=30_000)
    disk.fill(but=100_000)
    with pytest.raises((OSError, NeopulseError)) as refused:
        land(large, disk.home / "landing", clock=clock, progress=quietly)
    assert files.is_disk_full(refused.value)
    assert read_landing(disk.home / "landing") == landed_before
    after = {path.name: path.read_bytes() for path in (disk.home / "landing").rglob("*") if path.is_file()}
    assert before.items() <= after.items()  # what was converted whole before the disk was full is there for the next time
    assert not [name for name in after if name.endswith(".part")]
    disk.free()
    assert land(large, disk.home / "landing", clock=clock, progress=quietly).tables["transactions"].rows == 30_000


def test_a_backup_without_room_leaves_the_older_one_and_no_litter(disk: Disk, tmp_path: Path, clock: FixedClock) -> None:
    settings = settings_of(disk.home)
    RunStore.open(settings.run_store_url, clock=clock).close()
    publications = Publications(disk.home, keep=3)
    publications.publish(candidate(disk, 1, clock), clock=clock, guard=lambda: None)
    target = disk.folder / "monday.backup"
    make_backup(settings, publications, target, clock=clock, with_logs=False)
    before = target.read_bytes()
    (disk.home / "outbox").mkdir()
    (disk.home / "outbox" / "large.eml").write_bytes(os.urandom(600_000))
    for room in (0, 150_000, 400_000):  # for not even the copy of the store; for that alone; for half of the file
        disk.fill(but=room)
        with pytest.raises(NeopulseError, match=r"No space left|run store could not be copied"):
            make_backup(settings, publications, target, clock=clock, with_logs=False)
        disk.free()
    assert target.read_bytes() == before
    assert sorted(path.name for path in disk.folder.iterdir()) == ["monday.backup", "var"]
    assert not list(disk.home.glob(".*"))
    elsewhere = settings_of(tmp_path / "elsewhere")
    restore(elsewhere, target, force=False, clock=clock)
    assert Publications(elsewhere.home, keep=3).current() is not None


def test_a_restore_without_room_changes_nothing(disk: Disk, tmp_path: Path, clock: FixedClock) -> None:
    full = settings_of(tmp_path / "full")
    RunStore.open(full.run_store_url, clock=clock).close()
    (full.home / "outbox").mkdir()
    (full.home / "outbox" / "large.eml").write_bytes(os.urandom(1_000_000))
    target = tmp_path / "b"
    make_backup(full, Publications(full.home, keep=3), target, clock=clock, with_logs=False)
    here = settings_of(disk.home)
    publications = Publications(disk.home, keep=3)
    first = publications.publish(candidate(disk, 1, clock), clock=clock, guard=lambda: None)
    RunStore.open(here.run_store_url, clock=clock).close()
    before = sorted(path.name for path in disk.home.iterdir() if not path.name.endswith(("-shm", "-wal")))
    disk.fill(but=500_000)
    with pytest.raises(PermanentError, match="No space left"):
        restore(here, target, force=True, clock=clock)
    assert sorted(path.name for path in disk.home.iterdir() if not path.name.endswith(("-shm", "-wal"))) == before
    assert publications.current() == first
    disk.free()
    restore(here, target, force=True, clock=clock)
    assert (disk.home / "outbox" / "large.eml").stat().st_size == 1_000_000


@pytest.mark.parametrize("at", ["extract", "transform", "sheet", "activate", "notify"])
def test_a_run_whose_disk_fills_in_a_step_is_told_and_resumed_from_there(disk: Disk, clock: FixedClock, at: str) -> None:
    """Steps that write a file each; the disk is full in one of them, and for the store as well."""
    settings = settings_of(disk.home)
    store = RunStore.open(settings.run_store_url, clock=clock)
    done: list[str] = []
    fills = [True]

    def step(name: str, _context: StepContext) -> StepResult:
        if name == at and fills[0]:
            disk.fill()
        files.write_text(disk.home / f"{name}.txt", "written " * 1000)
        if name == "extract":
            files.write_json(files.make_folder(disk.home / "landing") / "manifest.json", {})  # without it all begins anew
        done.append(name)
        return StepResult(service="a service")

    runner = Runner(
        settings=settings,
        store=store,
        publications=Publications(disk.home, keep=3),
        clock=clock,
        holders=Holders(disk.home / "holders"),
        run_step=step,
        announce_failure=lambda *_: None,
    )
    ended = _executed(runner, Order("cli", "ada"))
    assert at not in done
    assert ended is None or (ended.state is RunState.FAILED and "The disk is full" in (ended.error or ""))
    disk.free()
    fills[0] = False
    clock.sleep(60)  # a store that was full as well could not even note down that the lease was given back
    store.reap()
    (left,) = store.runs()
    assert left.state in (RunState.FAILED, RunState.INTERRUPTED)
    assert left.unfinished_step == at
    resumed = _executed(runner, Order("resume", "ada", resumes=left.id))
    assert resumed is not None
    assert resumed.state is RunState.SUCCEEDED
    assert sorted(done) == ["activate", "extract", "notify", "sheet", "transform"]
    store.close()


def _executed(runner: Runner, order: Order) -> Run | None:
    never: Callable[[], bool] = lambda: False  # noqa: E731
    try:
        return runner.execute(order, cancelled=never)
    except TransientError:  # the store had no room either, not even for the run's end
        return None
