"""kill -9 at the worst moments: readers keep a whole version, the run is resumed, and nobody gets a second mail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from pipeline.clock import SystemClock
from pipeline.marts import Question, Reader
from pipeline.runs.records import Run, RunState, StepState
from pipeline.runs.store import RunStore
from pipeline.warehouse.publication import Publications, Version

pytestmark = pytest.mark.slow

TRANSACTIONS = 20_000
PATIENCE_SECONDS = 240

# Runs the command line in a process that kills itself right before or right after one function is called.
DOOMED = """
import importlib, os, signal, sys
place, when, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
module, _, path = place.partition(":")
owner = importlib.import_module(module)
*parents, name = path.split(".")
for parent in parents:
    owner = getattr(owner, parent)
original = getattr(owner, name)

def doomed(*positional, **named):
    result = original(*positional, **named) if when == "after" else None
    os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, doomed)
from pipeline.cli import main
main(arguments)
"""


def surroundings(home: Path) -> dict[str, str]:
    own = {"NEOPULSE_HOME": str(home), "NEOPULSE_DEMO_TRANSACTIONS": str(TRANSACTIONS), "NEOPULSE_MEMORY_LIMIT": "1GB"}
    return {**os.environ, **own}


def neopulse(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(
        command, env=surroundings(home), cwd=home, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def die_at(home: Path, place: str, when: str, *arguments: str) -> None:
    command = [sys.executable, "-c", DOOMED, place, when, *arguments]
    ended = subprocess.run(
        command, env=surroundings(home), cwd=home, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr


def status(home: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(neopulse(home, "status", "--json").stdout)
    return content


def last_run(home: Path) -> Run | None:
    """The newest run, straight from the run store: asking through a command would take too long to hit a moment."""
    if not (home / "run_store.db").exists():
        return None
    store = RunStore.open(f"sqlite:///{home / 'run_store.db'}", clock=SystemClock())
    try:
        return store.latest()
    finally:
        store.close()


def builds(home: Path, *, run: int = 0, share: float = 0.0) -> Callable[[], bool]:
    """Whether dbt is further than that share, in a run of at least that number."""

    def reached() -> bool:
        last = last_run(home)
        if last is None or last.id < run:
            return False
        transform = next(step for step in last.steps if step.name == "transform")
        return transform.state is StepState.RUNNING and (transform.progress or 0.0) > share

    return reached


def current(home: Path) -> Version:
    version = Publications(home, keep=5).current()
    assert version is not None
    return version


def is_whole(version: Version) -> bool:
    """Whether every test of a version passed and it answers."""
    reader = Reader(version)
    try:
        return version.tests.all_passed and not reader.answer(Question("active_customers")).empty
    finally:
        reader.close()


def mails(home: Path) -> list[str]:
    """The message ids in the outbox; a second mail on the same thing would have the same."""
    return sorted(str(message_from_bytes(path.read_bytes())["Message-ID"]) for path in (home / "outbox").glob("*.eml"))


def keys_in_destination(home: Path) -> list[str]:
    sheet = load_workbook(home / "destinations" / "crm.xlsx", read_only=True).worksheets[0]
    return [str(row[0]) for row in sheet.iter_rows(min_row=2, max_col=1, values_only=True)]


def processes_of(home: Path) -> list[str]:
    """Command lines of living processes that work in this state folder: they name it there or in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            told = command + (entry / "environ").read_bytes()
        except OSError:
            continue
        found += [command.replace(b"\0", b" ").decode(errors="replace")] if os.fsencode(home) in told else []
    return found


def wait_until(reached: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with one published version of a small demo bank."""
    folder = tmp_path_factory.mktemp("home")
    first = neopulse(folder, "run")
    assert first.returncode == 0, first.stdout + first.stderr
    return folder


def assert_interrupted(home: Path, step: str) -> None:
    """What was killed is told as interrupted, in the step that it was in."""
    killed = status(home)["run"]
    assert killed["state"] == "interrupted"
    assert next(told["state"] for told in killed["steps"] if told["name"] == step) == "interrupted"


def assert_recovers(home: Path, step: str) -> None:
    """The run is resumed from that step and leaves nothing behind: one version, one mail on it, each row once."""
    resumed = neopulse(home, "run", "--from", step)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    version = current(home)
    assert is_whole(version)
    assert status(home)["run"]["version"] == version.name
    assert len(set(mails(home))) == len(mails(home))
    assert len(list((home / "outbox").glob(f"*{version.name}*.eml"))) == 1
    keys = keys_in_destination(home)
    assert len(keys) == len(set(keys)) == version.rows["sync_customer_status"]
    assert list((home / "candidates").glob("*")) == []
    assert processes_of(home) == []


@pytest.mark.proof
def test_killed_again_and_again_on_the_way_to_a_version(home: Path) -> None:
    before = current(home)
    die_at(home, "pipeline.sources.files:land", "after", "run")
    assert_interrupted(home, "extract")

    command = [sys.executable, "-m", "pipeline", "run"]
    with subprocess.Popen(command, env=surroundings(home), cwd=home, stdout=subprocess.DEVNULL) as running:
        wait_until(builds(home, share=0.3), what="dbt is a third through")
        second = neopulse(home, "run")
        assert second.returncode == 1
        assert "is going on" in second.stderr
        running.kill()
    wait_until(lambda: processes_of(home) == [], what="the killed run's dbt has ended")
    assert_interrupted(home, "transform")

    die_at(home, "pipeline.warehouse.publication:Publications._swap", "before", "run", "--from", "transform")
    assert_interrupted(home, "transform")
    assert current(home) == before
    assert is_whole(before)

    die_at(home, "pipeline.warehouse.publication:Publications._swap", "after", "run", "--from", "transform")
    assert_interrupted(home, "transform")
    assert current(home).number == before.number + 1
    assert is_whole(current(home))

    assert_recovers(home, "transform")


@pytest.mark.parametrize(
    ("step", "place", "when"),
    [
        pytest.param("sheet", "pipeline.sheets.workbook:_verify", "before", marks=pytest.mark.proof),
        ("sheet", "pipeline.sheets.workbook:WorkbookSheet.write", "after"),
        ("activate", "pipeline.reverse_etl.embedded:EmbeddedReverseETL._took_all", "before"),
        pytest.param("activate", "pipeline.reverse_etl.embedded:EmbeddedReverseETL._took_all", "after", marks=pytest.mark.proof),
        pytest.param("notify", "pipeline.runs.store:RunStore.reserve", "after", marks=pytest.mark.proof),
        ("notify", "pipeline.runs.store:RunStore.delivered", "before"),
        pytest.param("notify", "pipeline.runs.store:RunStore.delivered", "after", marks=pytest.mark.proof),
    ],
)
def test_killed_while_sending_sends_nothing_twice(home: Path, step: str, place: str, when: str) -> None:
    before = current(home)
    forget_the_mail(home, before)
    die_at(home, place, when, "run", "--from", step)
    assert current(home) == before
    assert_interrupted(home, step)
    assert_recovers(home, step)


def forget_the_mail(home: Path, version: Version) -> None:
    """Make the current version one that nobody was told about yet."""
    from sqlalchemy import create_engine, delete

    from pipeline.runs.schema import deliveries

    engine = create_engine(f"sqlite:///{home / 'run_store.db'}")
    with engine.begin() as connection:
        connection.execute(delete(deliveries).where(deliveries.c.key.contains(version.name)))
    for path in (home / "outbox").glob(f"*{version.name}*.eml"):
        path.unlink()


@contextmanager
def worker(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "worker"], env=surroundings(home), cwd=home, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.proof
def test_a_worker_that_is_ended_or_killed_in_a_run_begins_again(tmp_path: Path) -> None:
    with worker(tmp_path) as ended:  # nothing was published yet: it runs at once
        wait_until(builds(tmp_path), what="the first run builds")
        ended.send_signal(signal.SIGTERM)
        assert ended.wait(15) == 0
    assert last_state(tmp_path) is RunState.INTERRUPTED
    assert processes_of(tmp_path) == []

    with worker(tmp_path) as killed:
        wait_until(builds(tmp_path, run=2), what="the second run builds")
        killed.kill()
    assert last_state(tmp_path) is RunState.RUNNING  # nobody was left to say otherwise

    with worker(tmp_path) as lasting:
        wait_until(builds(tmp_path, run=3), what="the third run builds")
        wait_until(lambda: last_state(tmp_path) is not RunState.RUNNING, what="the third run ends")
        probe = [sys.executable, "-m", "worker", "--healthy"]
        assert subprocess.run(probe, env=surroundings(tmp_path), check=False).returncode == 0
        lasting.send_signal(signal.SIGTERM)
        assert lasting.wait(15) == 0
    content = status(tmp_path)
    assert [run["state"] for run in content["runs"]] == ["succeeded", "interrupted", "interrupted"]
    assert is_whole(current(tmp_path))
    assert len(mails(tmp_path)) == 1


def last_state(home: Path) -> RunState | None:
    """How the newest run stands."""
    last = last_run(home)
    return last.state if last else None
