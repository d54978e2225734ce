"""kill -9 between any two acts on the disk: of the run store, of a publish, of a backup, of a restore, of a migration.

Each act is done by a child of this process, which a real SIGKILL ends at a chosen call; nothing of it cleans up after itself.
"""

from __future__ import annotations

import inspect
import os
import random
import signal
import sqlite3
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import old_stores
import pytest
from hand_made import facts
from sqlalchemy import Connection, func, insert, select, text

from pipeline import files
from pipeline.backups import archive, restoring
from pipeline.backups.making import make_backup
from pipeline.backups.restoring import restore
from pipeline.clock import FixedClock
from pipeline.runs import database, migrations, schema
from pipeline.runs.records import StepState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Candidate, Publications

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


def killed(act: Callable[[], object], owner: Any, name: str, *, call: int) -> bool:
    """Do it in a child that dies right before the call of that number; False where it came to its end first."""
    child = os.fork()
    if child == 0:
        _die_at(owner, name, call)
        code = 1
        try:
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _die_at(owner: Any, name: str, call: int) -> None:
    original, calls = getattr(owner, name), 0

    def doomed(*positional: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*positional, **named)

    setattr(owner, name, doomed)


def settings_of(home: Path) -> Settings:
    return Settings(_env_file=None, home=home)  # type: ignore[call-arg]


def candidate(home: Path, run_id: int) -> Candidate:
    folder = home / "candidates" / f"{run_id}-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    (folder / "published.duckdb").write_text(f"data of run {run_id}")
    return Candidate(folder, facts(run_id), lease_token=1000, started_at=MONDAY)


def publish(home: Path, run_id: int) -> None:
    Publications(home, keep=2).publish(candidate(home, run_id), clock=FixedClock(MONDAY), guard=lambda: None)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder with two versions, a run and some files; opened by nobody."""
    folder = tmp_path / "var"
    store = RunStore.open(settings_of(folder).run_store_url, clock=FixedClock(MONDAY))
    lease = store.take_lease("worker", seconds=40)
    store.start_run(lease, trigger="cli", requested_by="ada", plan=[("transform", StepState.PENDING)], first_step="transform")
    store.close()
    for run_id in (1, 2):
        publish(folder, run_id)
    for name in ("syncs/customer_status.parquet", "outbox/v0001.eml", "sheet/neopulse.xlsx"):
        (folder / name).parent.mkdir()
        (folder / name).write_text(name)
    return folder


def current(home: Path) -> tuple[str, str]:
    version = Publications(home, keep=2).current()
    assert version is not None
    return version.name, version.database.read_text()


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "rename"), (Path, "replace"), (files, "write_json")])
def test_a_publish_killed_before_any_flush_or_rename_leaves_a_whole_version_and_the_next_one_succeeds(
    home: Path, owner: Any, name: str
) -> None:
    call = 1
    while killed(lambda: publish(home, 10), owner, name, call=call):
        number, data = current(home)
        assert data.startswith("data of run ")
        publish(home, 100 + call)
        after, data = current(home)
        assert (data, after > number) == (f"data of run {100 + call}", True)
        call += 1
    assert call > 1
    assert not [path.name for path in (home / "versions").iterdir() if path.name.endswith(".gone")]


@pytest.mark.parametrize(
    ("owner", "name"), [(os, "fsync"), (Path, "replace"), (archive.Writer, "add"), (archive.Writer, "seal"), (sqlite3, "connect")]
)
def test_a_backup_killed_before_any_act_leaves_the_older_file_whole(home: Path, tmp_path: Path, owner: Any, name: str) -> None:
    target, settings = tmp_path / "b", settings_of(home)

    def back_up() -> None:
        make_backup(settings, Publications(home, keep=2), target, clock=FixedClock(MONDAY), with_logs=False)

    back_up()
    before, call = target.read_bytes(), 1
    publish(home, 3)
    while killed(back_up, owner, name, call=call):
        call += 1
        written = target.read_bytes()
        assert written == before or name == "fsync"  # the last flush is that of the folder, after the file is in its place
        elsewhere = settings_of(tmp_path / f"elsewhere-{call}")
        restore(elsewhere, target, force=False, clock=FixedClock(MONDAY))
        assert current(elsewhere.home)[0] in ("v0002", "v0003")
    assert call > 1
    assert current(home) == ("v0003", "data of run 3")
    back_up()
    restore(settings_of(tmp_path / "last"), target, force=False, clock=FixedClock(MONDAY))
    assert current(tmp_path / "last") == ("v0003", "data of run 3")


@pytest.mark.parametrize(("owner", "name"), [(restoring, "_move"), (restoring, "_put_in_place"), (os, "fsync")])
def test_a_restore_killed_before_any_act_loses_nothing_and_is_ended_by_the_same_command(
    home: Path, tmp_path: Path, owner: Any, name: str
) -> None:
    target, settings, clock = tmp_path / "b", settings_of(home), FixedClock(MONDAY)
    make_backup(settings, Publications(home, keep=2), target, clock=clock, with_logs=False)
    clock.sleep(60)
    publish(home, 3)
    publish(home, 4)
    (home / "outbox" / "only-here.eml").write_text("only here")
    call = 1
    while killed(lambda: restore(settings, target, force=True, clock=clock), owner, name, call=call):
        kept = [path.read_text() for path in home.rglob("only-here.eml")]
        assert kept == ["only here"], f"after call {call}"
        call += 1
        clock.sleep(60)
    assert call > 1
    clock.sleep(60)
    restore(settings, target, force=True, clock=clock)
    assert current(home) == ("v0002", "data of run 2")
    assert not (home / "outbox" / "only-here.eml").exists()
    assert [path.read_text() for path in home.glob(".before-restore-*/outbox/only-here.eml")] == ["only here"]
    store = RunStore.open(settings.run_store_url, clock=clock)
    assert [run.id for run in store.runs()] == [1]
    store.close()


def test_a_store_killed_at_random_moments_has_whole_acts_alone(tmp_path: Path) -> None:
    """Each act writes to two tables; WAL and a flush a commit leave both rows or none."""
    url, chance = f"sqlite:///{tmp_path / 'run_store.db'}", random.Random(5)
    RunStore.open(url, clock=FixedClock(MONDAY)).close()

    def write_on() -> None:
        store = RunStore.open(url, clock=FixedClock(MONDAY))
        while True:
            with store._write() as connection:
                number = connection.execute(select(func.count()).select_from(schema.audit)).scalar_one()
                connection.execute(insert(schema.audit).values(at=MONDAY, who="ada", action="a", what="w" * 3000))
                connection.execute(insert(schema.sent_rows).values(sync="s", key=str(number), hash="h"))

    counts = [0]
    for _ in range(8):
        child = os.fork()
        if child == 0:
            try:
                write_on()
            finally:
                os._exit(1)
        time.sleep(0.05 + chance.random() * 0.2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        store = RunStore.open(url, clock=FixedClock(MONDAY))
        assert len(store.sent_rows("s")) == len(store.acts(limit=10**6))
        counts.append(len(store.sent_rows("s")))
        store.close()
    with closing(sqlite3.connect(tmp_path / "run_store.db")) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_the_store_is_set_up_to_survive_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_set_up_sqlite", inspect.unwrap(database._set_up_sqlite))  # without what the tests do to it
    store = RunStore.open(f"sqlite:///{tmp_path / 'run_store.db'}", clock=FixedClock(MONDAY))
    with store._read() as connection:
        told = [
            connection.execute(text(f"pragma {name}")).scalar_one() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert told == ["wal", 2, 1]
    store.close()


def test_a_migration_killed_half_way_is_done_at_the_next_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = old_stores.in_folder(tmp_path)
    last = migrations.LATEST + 1

    def note(connection: Connection) -> None:
        connection.execute(text("alter table runs add column note text"))
        connection.execute(text("update runs set note = 'migrated'"))

    monkeypatch.setattr(migrations, "LATEST", last)
    monkeypatch.setattr(migrations, "MIGRATIONS", {**migrations.MIGRATIONS, last: note})

    def opened() -> None:
        RunStore.open(url, clock=FixedClock(MONDAY)).close()

    assert killed(opened, migrations, "_stamp", call=1 + len(range(2, last)))
    with closing(sqlite3.connect(tmp_path / "run_store.db")) as connection:
        assert connection.execute("select max(number) from migrations").fetchone() == (1,)
        assert "note" not in [row[1] for row in connection.execute("pragma table_info(runs)")]
    opened()
    with closing(sqlite3.connect(tmp_path / "run_store.db")) as connection:
        assert connection.execute("select id, note from runs").fetchall() == [(1, "migrated"), (2, "migrated")]


def test_every_file_that_is_put_in_place_is_flushed_before_and_its_folder_after(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename that reaches the disk before the content does would put an empty file in place after a power cut."""
    acts: list[tuple[str, str]] = []
    fsync, replace, rename = os.fsync, Path.replace, Path.rename

    def flushes(descriptor: int) -> None:
        acts.append(("flush", os.path.realpath(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def replaces(path: Path, target: Path) -> Path:
        acts.append(("put", f"{path} {target}"))
        return replace(path, target)

    def renames(path: Path, target: Path) -> Path:
        acts.append(("put", f"{path} {target}"))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", flushes)
    monkeypatch.setattr(Path, "replace", replaces)
    monkeypatch.setattr(Path, "rename", renames)
    publish(home, 3)
    make_backup(settings_of(home), Publications(home, keep=2), tmp_path / "b", clock=FixedClock(MONDAY), with_logs=False)
    put = [(number, *words.split(" ")) for number, (act, words) in enumerate(acts) if act == "put" and ".gone" not in words]
    assert len(put) == 4  # version.json, the version, the pointer, the backup
    for number, source, target in put:
        assert ("flush", source) in acts[:number], f"{source} was put in place before its content was on the disk"
        assert ("flush", str(Path(target).parent)) in acts[number:], f"the folder of {target} was not flushed afterwards"
