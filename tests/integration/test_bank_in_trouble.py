"""A whole chain on a real bank: restored on an empty machine it says the same; on a full disk it fails clearly and goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_disk import Disk, mounted
from test_kill import builds, current, is_whole, wait_until

from pipeline.settings import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.proof]

TRANSACTIONS = 20_000
PATIENCE_SECONDS = 300
TELLING = ("no space left", "disk is full", "disk i/o", "cannot be written to", "make room", "free disk space")
QUESTIONS = (
    ("metric", "active_customers", "--format", "json"),
    ("metric", "monthly_churn_rate", "--by", "country", "--format", "csv"),
    ("metric", "retention_cohort", "--grain", "month", "--format", "json"),
    ("versions",),
)


def surroundings(home: Path) -> dict[str, str]:
    own = {"NEOPULSE_HOME": str(home), "NEOPULSE_DEMO_TRANSACTIONS": str(TRANSACTIONS), "NEOPULSE_MEMORY_LIMIT": "1GB"}
    return {**os.environ, **own, "PYTHONPATH": str(PROJECT)}


def neopulse(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        env=surroundings(home),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def done(home: Path, *arguments: str) -> str:
    ended = neopulse(home, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bank") / "var"
    done(home, "run")
    return home


def test_an_empty_machine_says_after_a_restore_what_the_bank_said(bank: Path, tmp_path: Path) -> None:
    said = {command: done(bank, *command) for command in (*QUESTIONS, ("status",))}
    done(bank, "backup", str(tmp_path / "b"))
    elsewhere = tmp_path / "elsewhere"
    assert "is current" in done(elsewhere, "restore", str(tmp_path / "b"))
    assert {command: done(elsewhere, *command) for command in said} == said
    version = json.loads(done(elsewhere, "status", "--json"))["version"]["name"]
    done(elsewhere, "run")  # from nothing but the backup, the bank is built anew
    assert json.loads(done(elsewhere, "status", "--json"))["version"]["name"] > version
    assert json.loads(done(elsewhere, *QUESTIONS[0]))["rows"] == json.loads(said[QUESTIONS[0]])["rows"]
    # Nobody has changed a row meanwhile: what the syncs had sent before the backup is not sent again.
    activate = next(
        step for step in json.loads(done(elsewhere, "status", "--json"))["run"]["steps"] if step["name"] == "activate"
    )
    assert [sync["created"] for sync in activate["detail"]["syncs"]] == [0] * len(activate["detail"]["syncs"])


def test_backups_while_a_run_goes_on_are_whole_at_every_moment(bank: Path, tmp_path: Path) -> None:
    before = current(bank)
    last = json.loads(done(bank, "status", "--json"))["run"]["id"]
    command = [sys.executable, "-m", "pipeline", "run", "--full-refresh"]
    made: list[Path] = []
    with subprocess.Popen(command, env=surroundings(bank), cwd=bank.parent, stdout=subprocess.DEVNULL) as running:
        wait_until(builds(bank, run=last + 1), what="dbt builds")
        while running.poll() is None:
            made.append(tmp_path / f"{len(made)}.backup")
            done(bank, "backup", str(made[-1]))
            time.sleep(1)
    assert running.returncode == 0
    assert current(bank).number == before.number + 1
    assert len(made) > 2
    for number, file in enumerate((made[0], made[len(made) // 2], made[-1])):
        elsewhere = tmp_path / f"elsewhere-{number}"
        done(elsewhere, "restore", str(file))
        version = current(elsewhere)
        assert version.name in (before.name, current(bank).name)
        assert is_whole(version)
        assert json.loads(done(elsewhere, "status", "--json"))["run"]["state"] in ("running", "interrupted", "succeeded")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path, megabytes=300) as small:
        yield small


def test_runs_on_a_disk_with_less_and_less_room_fail_clearly_and_the_version_stays(disk: Disk) -> None:
    home = disk.home
    done(home, "run")
    before, told = current(home), list[str]()
    for room in (0, 300_000, 2_000_000, 6_000_000, 12_000_000):
        disk.fill(but=room)
        ended = neopulse(home, "run", "--full-refresh")
        told.append(f"{room}: {ended.returncode} {ended.stderr.strip()[:300]}")
        assert "Traceback" not in ended.stderr, told
        assert is_whole(current(home)), told
        if ended.returncode:
            assert current(home) == before, told
            assert any(words in ended.stderr.lower() for words in TELLING), ended.stderr
        before = current(home)
        disk.free()
    done(home, "run")
    assert current(home).number > before.number
    assert sum(": 0 " not in line for line in told) >= 3, told
    mails = list((home / "outbox").glob("*.eml"))
    assert len({path.name for path in mails}) == len(mails)
