"""Backup and restore: one whole file while work goes on, and the same state from it elsewhere; a damaged file changes nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from hand_made import facts
from postgres_kit import PostgreSQL, plain_engine
from sqlalchemy import func, insert, select

from pipeline import cli
from pipeline.backups import making
from pipeline.backups.archive import DamagedBackupError
from pipeline.backups.making import make_backup
from pipeline.backups.restoring import restore
from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.runs import schema
from pipeline.runs.records import RunState, StepState
from pipeline.runs.store import RunStore
from pipeline.settings import PROJECT, Settings
from pipeline.warehouse.publication import Candidate, Publications, Version

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


def settings_of(home: Path, url: str = "") -> Settings:
    return Settings(_env_file=None, home=home, run_store=url)  # type: ignore[call-arg]


def publications(settings: Settings) -> Publications:
    return Publications(settings.home, keep=3)


def publish(settings: Settings, clock: FixedClock, run_id: int) -> Version:
    folder = settings.home / "candidates" / str(run_id)
    folder.mkdir(parents=True)
    (folder / "published.duckdb").write_bytes(f"data of run {run_id} ".encode() * 5000)
    candidate = Candidate(folder, facts(run_id, as_of=date(2026, 3, 1)), lease_token=run_id, started_at=clock.now())
    return publications(settings).publish(candidate, clock=clock, guard=lambda: None)


def live(settings: Settings, clock: FixedClock) -> RunStore:
    """A home after a week: two runs, two versions, a message, an act, snapshots, a sheet, and what a run makes again."""
    store = RunStore.open(settings.run_store_url, clock=clock)
    for number in (1, 2):
        lease = store.take_lease("worker", seconds=40)
        run = store.start_run(
            lease, trigger="schedule", requested_by="daily", plan=[("transform", StepState.PENDING)], first_step="transform",
            resumes=number - 1 or None,
        )  # fmt: skip
        store.add_event(run.id, level="info", step="transform", text=f"run {number} began")
        version = publish(settings, clock, run.id)
        store.set_version(lease, run.id, version=version.name, as_of=version.as_of)
        store.finish_step(lease, run.id, "transform", state=StepState.SUCCEEDED, detail={"rows": {"users": 3}})
        store.finish_run(lease, run.id, state=RunState.SUCCEEDED)
        store.release(lease)
    store.reserve("mail-v0002", "outbox", {"subject": "v0002"})
    store.audit("ada", "rollback", "version", before="v0002", after={"name": "v0001"})
    for name, content in {
        "syncs/customer_status.parquet": "keys",
        "sheet/neopulse.xlsx": "sheet",
        "destinations/crm.xlsx": "crm",
        "outbox/v0002.eml": "mail",
        "facts/rates.json": "rates",
        "logs/run-2.log": "a line",
        "landing/users.parquet": "landed",
        "warehouse/warehouse.duckdb": "state",
        ".env": "NEOPULSE_N8N_SECRET=never-in-a-backup",
    }.items():
        (settings.home / name).parent.mkdir(exist_ok=True)
        (settings.home / name).write_text(content)
    return store


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(MONDAY)


@pytest.fixture
def bank(tmp_path: Path, run_store_url: str, clock: FixedClock) -> Settings:
    """A state folder with history, whose run store is on either engine."""
    inside = f"sqlite:///{tmp_path / 'var' / 'run_store.db'}"
    settings = settings_of(tmp_path / "var", inside if run_store_url.startswith("sqlite") else run_store_url)
    live(settings, clock).close()
    return settings


@pytest.fixture
def small(tmp_path: Path, clock: FixedClock) -> Settings:
    """The same on SQLite alone, for what has nothing to do with the engine."""
    settings = settings_of(tmp_path / "var")
    live(settings, clock).close()
    return settings


def backed_up(settings: Settings, target: Path, clock: FixedClock, *, with_logs: bool = False) -> making.Made:
    return make_backup(settings, publications(settings), target, clock=clock, with_logs=with_logs)


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of a run store, as plain values."""
    engine = plain_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in schema.METADATA.sorted_tables
        }
    engine.dispose()
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names_in(target: Path) -> list[str]:
    with tarfile.open(fileobj=pa.CompressedInputStream(pa.OSFile(str(target)), "zstd"), mode="r|") as tar:
        return sorted(entry.name for entry in tar)


def test_what_was_backed_up_is_back_in_an_empty_folder_row_by_row_and_byte_by_byte(
    bank: Settings, tmp_path: Path, clock: FixedClock
) -> None:
    target = tmp_path / "monday.backup"
    made = backed_up(bank, target, clock)
    assert (made.version, made.syncs_are_whole) == (publications(bank).current(), True)

    elsewhere = settings_of(tmp_path / "elsewhere")
    restored = restore(elsewhere, target, force=False, clock=clock)
    assert restored.made_at == MONDAY.isoformat()
    assert rows(elsewhere.run_store_url) == rows(bank.run_store_url)
    assert [version.name for version in publications(elsewhere).versions()] == ["v0002", "v0001"]
    current = publications(elsewhere).current()
    assert current is not None
    assert current.database.read_bytes() == b"data of run 2 " * 5000
    kept = ("versions/v", "versions/current", "syncs", "sheet", "destinations", "outbox", "facts")
    before = {name: content for name, content in contents(bank.home).items() if name.startswith(kept)}
    assert {name: content for name, content in contents(elsewhere.home).items() if name.startswith(kept)} == before


def test_neither_secrets_nor_what_a_run_makes_again_is_in_it_and_logs_where_they_are_asked_for(
    small: Settings, tmp_path: Path, clock: FixedClock
) -> None:
    target = tmp_path / "b"
    backed_up(small, target, clock)
    folders = {name.split("/")[0] for name in names_in(target)}
    assert folders == {
        "run_store.db", "versions", "syncs", "sheet", "destinations", "outbox", "facts", "manifest.json", "manifest.sha256"
    }  # fmt: skip
    backed_up(small, target, clock, with_logs=True)
    assert "logs/run-2.log" in names_in(target)
    assert b"never-in-a-backup" not in pa.CompressedInputStream(pa.OSFile(str(target)), "zstd").read()
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in small.home.iterdir() if path.name.endswith(".part")] == []


def test_a_store_moves_from_either_engine_to_postgresql_and_its_numbers_go_on(
    bank: Settings, postgresql: PostgreSQL, tmp_path: Path, clock: FixedClock
) -> None:
    target = tmp_path / "b"
    backed_up(bank, target, clock)
    moved = settings_of(tmp_path / "moved", postgresql.url())
    restore(moved, target, force=False, clock=clock)
    assert rows(moved.run_store_url) == rows(bank.run_store_url)
    assert not (moved.home / "run_store.db").exists()
    store = RunStore.open(moved.run_store_url, clock=clock)
    lease = store.take_lease("worker", seconds=40)
    assert lease.token == 3
    assert (
        store.start_run(lease, trigger="cli", requested_by="ada", plan=[("sheet", StepState.PENDING)], first_step="sheet").id == 3
    )
    store.close()


def test_a_postgresql_store_with_history_is_replaced_by_force_alone_and_kept_aside(
    small: Settings, postgresql: PostgreSQL, tmp_path: Path, clock: FixedClock
) -> None:
    target = tmp_path / "b"
    backed_up(small, target, clock)
    other = settings_of(tmp_path / "other", postgresql.url())
    store = RunStore.open(other.run_store_url, clock=clock)
    store.audit("grace", "rollback", "version")
    before = rows(other.run_store_url)
    with pytest.raises(ConfigurationError, match="a state already"):
        restore(other, target, force=False, clock=clock)
    assert rows(other.run_store_url) == before
    store.close()
    restored = restore(other, target, force=True, clock=clock)
    assert rows(other.run_store_url) == rows(small.run_store_url)
    assert restored.aside is not None
    assert rows(f"sqlite:///{restored.aside / 'run_store.db'}") == before


def test_a_backup_while_a_writer_goes_on_is_one_moment_of_the_store(bank: Settings, tmp_path: Path, clock: FixedClock) -> None:
    """Each act writes to two tables at once: a copy with one and not the other would be of two moments."""
    store, ended, errors = RunStore.open(bank.run_store_url, clock=clock), threading.Event(), list[Exception]()

    def write() -> None:
        while not ended.is_set():
            try:
                with store._write() as connection:
                    number = connection.execute(select(func.count()).select_from(schema.audit)).scalar_one()
                    values = {"at": clock.now(), "who": "writer", "action": "a", "what": "w"}
                    connection.execute(insert(schema.audit).values(**values))
                    connection.execute(insert(schema.sent_rows).values(sync="writer", key=str(number), hash="h"))
            except Exception as error:
                errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            backed_up(bank, tmp_path / f"{number}", clock)
    finally:
        ended.set()
        writer.join()
        store.close()
    assert errors == []
    counts = []
    for number in range(4):
        elsewhere = settings_of(tmp_path / f"elsewhere-{number}")
        restore(elsewhere, tmp_path / f"{number}", force=False, clock=clock)
        found = rows(elsewhere.run_store_url)
        counts.append(len(found["sent_rows"]))
        assert len(found["audit"]) == len(found["sent_rows"]) + 1
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]  # the writer did go on


def test_a_version_that_is_published_while_the_backup_is_written_does_not_disturb_it(
    small: Settings, tmp_path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = making.writing

    def publishes_first(stream: object) -> object:
        for run_id in (3, 4, 5):  # v0001 and v0002 are pruned
            publish(small, clock, run_id)
        return real(stream)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "writing", publishes_first)
    backed_up(small, tmp_path / "b", clock)
    elsewhere = settings_of(tmp_path / "elsewhere")
    restored = restore(elsewhere, tmp_path / "b", force=False, clock=clock)
    assert restored.version is not None
    assert (restored.version.name, restored.version.database.read_bytes()) == ("v0002", b"data of run 2 " * 5000)
    assert [version.name for version in publications(small).versions()] == ["v0005", "v0004", "v0003"]


def test_a_sync_that_ends_meanwhile_is_copied_again_with_the_store_that_knows_of_it(
    small: Settings, tmp_path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, moves, real = RunStore.open(small.run_store_url, clock=clock), iter((1, 2)), making.copy_store

    def copy_and_then_sync(url: str, to: Path) -> None:
        real(url, to)
        for generation in moves:
            store.replace_sent_rows("pointer", {"customer_status": str(generation)})
            (small.home / "syncs" / "customer_status.parquet").write_text(f"generation {generation}")
            break

    monkeypatch.setattr(making, "copy_store", copy_and_then_sync)
    assert backed_up(small, tmp_path / "b", clock).syncs_are_whole
    elsewhere = settings_of(tmp_path / "elsewhere")
    restore(elsewhere, tmp_path / "b", force=False, clock=clock)
    restored = RunStore.open(elsewhere.run_store_url, clock=clock)
    assert restored.sent_rows("pointer") == {"customer_status": "2"}
    assert (elsewhere.home / "syncs" / "customer_status.parquet").read_text() == "generation 2"


def damages() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "its end is missing": lambda whole: whole[: len(whole) // 2],
        "its last part is missing": lambda whole: whole[: -len(whole) // 10],
        "it is empty": lambda _whole: b"",
        "it is not a backup": lambda _whole: b"user_id,amount\n1,2\n" * 100,
        "a byte of it differs": lambda whole: bytes(
            [*whole[: len(whole) // 2], whole[len(whole) // 2] ^ 1, *whole[len(whole) // 2 + 1 :]]
        ),
    }


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_file_is_refused_and_everything_is_as_it_was(
    small: Settings, tmp_path: Path, clock: FixedClock, damage: str
) -> None:
    target = tmp_path / "b"
    backed_up(small, target, clock)
    target.write_bytes(damages()[damage](target.read_bytes()))
    clock.sleep(60)
    before = contents(small.home)
    with pytest.raises(DamagedBackupError) as refused:
        restore(small, target, force=True, clock=clock)
    assert str(target) in str(refused.value)
    assert refused.value.safe == "Nothing was changed"
    assert {name: content for name, content in contents(small.home).items() if not name.endswith(("-wal", "-shm"))} == before
    with pytest.raises(DamagedBackupError):
        restore(settings_of(tmp_path / "nowhere"), target, force=False, clock=clock)
    assert not (tmp_path / "nowhere").exists()


def written(
    target: Path,
    entries: dict[str, bytes],
    *,
    kind: bytes = tarfile.REGTYPE,
    sums_of: dict[str, bytes] | None = None,
    **facts: object,
) -> None:
    """A backup with any content, whose sums agree with it or with something else."""
    import hashlib
    import io

    told = entries if sums_of is None else sums_of
    sums = {name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in told.items()}
    manifest = json.dumps({"format": 1, "made_at": MONDAY.isoformat(), "files": sums, **facts}).encode()
    last = {"manifest.json": manifest, "manifest.sha256": hashlib.sha256(manifest).hexdigest().encode()}
    with pa.CompressedOutputStream(pa.OSFile(str(target), "w"), "zstd") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for name, content in (entries | last).items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.type = len(content), tarfile.REGTYPE if name in last else kind
            if kind == tarfile.SYMTYPE and name not in last:
                entry.size, entry.linkname = 0, "/etc/passwd"
            tar.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(
    ("entries", "kind", "reason"),
    [
        ({"../outside": b"x"}, tarfile.REGTYPE, "no file of a state folder"),
        ({"/etc/outside": b"x"}, tarfile.REGTYPE, "no file of a state folder"),
        ({"versions/current": b""}, tarfile.SYMTYPE, "no file of a state folder"),
        ({"outbox/v0001.eml": b"x"}, tarfile.REGTYPE, "holds no run store"),
    ],
)
def test_a_file_that_would_write_elsewhere_or_is_of_something_else_is_refused(
    tmp_path: Path, clock: FixedClock, entries: dict[str, bytes], kind: bytes, reason: str
) -> None:
    target = tmp_path / "b"
    written(target, entries, kind=kind)
    with pytest.raises(DamagedBackupError, match=reason):
        restore(settings_of(tmp_path / "home"), target, force=False, clock=clock)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


@pytest.mark.parametrize(
    "entries",
    [{"outbox/a.eml": b"Dear Ada", "outbox/b.eml": b"Dear Bob"}, {"outbox/a.eml": b"Dear Ada"}, {"outbox/a.eml": b"Dear Adam"}],
)
def test_a_file_that_is_not_byte_for_byte_what_was_backed_up_is_named(
    tmp_path: Path, clock: FixedClock, entries: dict[str, bytes]
) -> None:
    """The archive itself is in order; one file was changed, left out or added."""
    told = {"outbox/a.eml": b"Dear Eve", "outbox/b.eml": b"Dear Bob"}
    written(tmp_path / "b", entries, sums_of=told)
    with pytest.raises(DamagedBackupError, match=r"outbox/[ab]\.eml is not what was backed up"):
        restore(settings_of(tmp_path / "home"), tmp_path / "b", force=False, clock=clock)


def test_a_backup_of_a_newer_neopulse_is_refused(small: Settings, tmp_path: Path, clock: FixedClock) -> None:
    with closing(sqlite3.connect(small.home / "run_store.db")) as connection, connection:
        connection.execute("insert into migrations values (99, '2030-01-01 00:00:00.000000')")
    target = tmp_path / "b"
    with closing(sqlite3.connect(small.home / "run_store.db")) as source, closing(sqlite3.connect(tmp_path / "s")) as copy:
        source.backup(copy)
    written(target, {"run_store.db": (tmp_path / "s").read_bytes()})
    with pytest.raises(PermanentError, match="layout 99"):
        restore(settings_of(tmp_path / "home"), target, force=False, clock=clock)
    assert not (tmp_path / "home").exists()


def test_a_folder_with_a_state_is_replaced_by_force_alone_and_the_state_is_kept_aside(
    small: Settings, tmp_path: Path, clock: FixedClock
) -> None:
    target = tmp_path / "b"
    backed_up(small, target, clock)
    publish(small, clock, 3)
    before = {name: content for name, content in contents(small.home).items() if not name.startswith("run_store.db")}
    with pytest.raises(ConfigurationError, match="a state already") as refused:
        restore(small, target, force=False, clock=clock)
    assert "--force" in refused.value.next
    restored = restore(small, target, force=True, clock=clock)
    assert restored.aside == small.home / ".before-restore-20260302T060000Z"
    aside = contents(restored.aside)
    assert {name: content for name, content in aside.items() if not name.startswith("run_store.db")} == before
    current = publications(small).current()
    assert current is not None
    assert current.name == "v0002"
    assert not (small.home / "landing").exists()


def test_nothing_is_restored_under_a_living_worker_or_a_run(small: Settings, tmp_path: Path, clock: FixedClock) -> None:
    target = tmp_path / "b"
    backed_up(small, target, clock)
    store = RunStore.open(small.run_store_url, clock=clock)
    store.beat("the worker's machine", started_at=MONDAY, doing="waiting")
    with pytest.raises(ConfigurationError, match="The worker the worker's machine is alive"):
        restore(small, target, force=True, clock=clock)
    clock.sleep(59)
    with pytest.raises(ConfigurationError, match="is alive"):
        restore(small, target, force=True, clock=clock)
    clock.sleep(2)
    lease = store.take_lease("cli", seconds=40)
    with pytest.raises(ConfigurationError, match="A run is going on"):
        restore(small, target, force=True, clock=clock)
    store.release(lease)
    store.close()
    restore(small, target, force=True, clock=clock)


def test_a_store_that_is_newer_or_locked_is_not_replaced_for_nobody_can_tell_who_works_on_it(
    small: Settings, tmp_path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b"
    backed_up(small, target, clock)
    monkeypatch.setattr("pipeline.runs.database.LOCK_WAIT_SECONDS", 0)
    before = contents(small.home)
    with closing(sqlite3.connect(small.home / "run_store.db", isolation_level=None)) as another:
        another.execute("pragma locking_mode=exclusive")
        another.execute("insert into migrations values (99, '2030-01-01 00:00:00.000000')")
        with pytest.raises(ConfigurationError, match=r"Nobody can tell .* locked") as refused:
            restore(small, target, force=True, clock=clock)
    assert refused.value.safe == "Nothing was changed"
    with pytest.raises(ConfigurationError, match=r"Nobody can tell .* layout 99"):
        restore(small, target, force=True, clock=clock)
    kept = {name: content for name, content in contents(small.home).items() if not name.startswith("run_store.db")}
    assert kept == {name: content for name, content in before.items() if not name.startswith("run_store.db")}


@pytest.mark.parametrize("damage", ["no store at all", "cut", "a table is missing"])
def test_a_damaged_store_is_replaced(small: Settings, tmp_path: Path, clock: FixedClock, damage: str) -> None:
    target, path = tmp_path / "b", small.home / "run_store.db"
    backed_up(small, target, clock)
    if damage == "a table is missing":
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("drop table workers")
    else:
        path.write_bytes(path.read_bytes()[:8192] if damage == "cut" else b"something else, and not short at all " * 100)
    assert restore(small, target, force=True, clock=clock).aside is not None
    restored = RunStore.open(small.run_store_url, clock=clock)
    assert [run.id for run in restored.runs()] == [2, 1]


def test_a_run_that_was_going_on_is_told_as_interrupted_after_a_restore(
    small: Settings, tmp_path: Path, clock: FixedClock
) -> None:
    store = RunStore.open(small.run_store_url, clock=clock)
    lease = store.take_lease("gone", seconds=40)
    run = store.start_run(lease, trigger="cli", requested_by="ada", plan=[("sheet", StepState.PENDING)], first_step="sheet")
    backed_up(small, tmp_path / "b", clock)
    elsewhere = settings_of(tmp_path / "elsewhere")
    restore(elsewhere, tmp_path / "b", force=False, clock=clock)
    clock.sleep(41)
    restored = RunStore.open(elsewhere.run_store_url, clock=clock)
    restored.look_on()  # as every command does that may take the lease
    assert [(reaped.id, reaped.state) for reaped in restored.reap()] == [(run.id, RunState.INTERRUPTED)]


def test_a_backup_that_finds_no_room_leaves_the_older_one_and_says_so(
    small: Settings, tmp_path: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b"
    backed_up(small, target, clock)
    before = target.read_bytes()

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.backups.archive.Writer.add", full)
    with pytest.raises(PermanentError, match="No space left on device"):
        backed_up(small, target, clock)
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "var"]
    assert not list(small.home.glob("*.part"))


def neopulse(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setenv("NEOPULSE_HOME", str(home))
    monkeypatch.chdir(home.parent)
    return CliRunner().invoke(cli.main, arguments)


def test_the_commands_say_what_they_did_and_status_and_versions_are_the_same_afterwards(
    small: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = neopulse(small.home, monkeypatch, "backup", str(tmp_path / "b"))
    assert made.exit_code == 0, made.output
    assert "version v0002, as of 2026-03-01. It holds customers' data" in made.output
    elsewhere = tmp_path / "elsewhere"
    back = neopulse(elsewhere, monkeypatch, "restore", str(tmp_path / "b"))
    assert back.exit_code == 0, back.output
    assert "version v0002, as of 2026-03-01, is current" in back.output
    for command in (("status",), ("versions",)):
        assert neopulse(elsewhere, monkeypatch, *command).output == neopulse(small.home, monkeypatch, *command).output
    again = neopulse(elsewhere, monkeypatch, "restore", str(tmp_path / "b"))
    assert (again.exit_code, "a state already" in again.output) == (2, True)
    store = RunStore.open(settings_of(elsewhere).run_store_url, clock=FixedClock(MONDAY))
    assert [row.action for row in store.acts()] == ["restore", "rollback"]


def test_a_backup_goes_through_a_pipe(small: Settings, tmp_path: Path) -> None:
    environment = {**os.environ, "NEOPULSE_HOME": str(small.home), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "pipeline"]
    made = subprocess.run([*command, "backup", "-"], env=environment, cwd=small.home.parent, capture_output=True, check=True)
    elsewhere = {**environment, "NEOPULSE_HOME": str(tmp_path / "elsewhere")}
    subprocess.run([*command, "restore", "-"], env=elsewhere, cwd=tmp_path, input=made.stdout, capture_output=True, check=True)
    current = Publications(tmp_path / "elsewhere", keep=3).current()
    assert current is not None
    assert current.name == "v0002"
