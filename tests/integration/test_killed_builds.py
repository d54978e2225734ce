"""Runs that are killed at random moments, while the bank's files go on changing: what is built in the end is whole.

PROOF_KILLS=40 kills more often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import builds
import ledger
import pytest
from chain import Published, publish
from ledger import Ledger, N, opening_bank
from test_incremental import assert_same_tables
from test_kill import current, last_run, processes_of, wait_until

from pipeline.marts import reader
from pipeline.runs.records import StepState

pytestmark = [pytest.mark.slow, pytest.mark.proof]

KILLS = int(os.environ.get("PROOF_KILLS", "10"))
BETWEEN = (
    ledger.a_day_passes,
    ledger.late_rows_come,
    ledger.a_row_is_corrected_where_it_stands,
    ledger.a_correction_comes_in_a_later_file,
    ledger.an_old_file_is_taken_back,
    ledger.what_was_taken_back_comes_again,
    ledger.a_customer_moves,
)


def surroundings(home: Path, raw: Path) -> dict[str, str]:
    own = {"NEOPULSE_HOME": str(home), "NEOPULSE_RAW": str(raw), "NEOPULSE_INACTIVITY_DAYS": str(N)}
    return {**os.environ, **own, "NEOPULSE_MEMORY_LIMIT": "1GB"}


def run(home: Path, raw: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run"],
        env=surroundings(home, raw),
        cwd=home,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def is_as_far(home: Path, share: float, *, after: int) -> bool:
    """Whether a run later than that one has built a share of its second step, or has already ended it."""
    last = last_run(home)
    if last is None or last.id <= after:
        return False
    transform = next(step for step in last.steps if step.name == "transform")
    running = transform.state is StepState.RUNNING and (transform.progress or 0.0) > share
    return running or transform.state is StepState.SUCCEEDED


def kill_at(home: Path, raw: Path, share: float) -> bool:
    """Begin a run and kill its process group once it is that far; returns whether it was still at it."""
    last = last_run(home)
    with run(home, raw) as running:
        reached = lambda: running.poll() is not None or is_as_far(home, share, after=last.id if last else 0)  # noqa: E731
        wait_until(reached, what=f"a build is {share:.0%} through")
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    wait_until(lambda: processes_of(home) == [], what="what the killed run started has ended")
    return running.returncode == -signal.SIGKILL


def assert_whole(bank: Ledger, home: Path, raw: Path, empty: Path, *, after: str) -> None:
    """A run to its end leaves the tables of a full refresh in an empty home."""
    with run(home, raw) as running:
        pass
    assert running.returncode == 0, (home / "logs").glob("*")
    version = current(home)
    with builds.building(builds.direct):
        wanted = publish(raw, empty, now=datetime.now(UTC), full_refresh=True, **bank.settings)
    assert_same_tables(Published(reader(version), version.as_of), wanted, after=after)


def test_killed_at_random_moments_and_resumed_it_ends_as_a_full_refresh(tmp_path: Path) -> None:
    bank, chance, killed = opening_bank(11), random.Random(KILLS), list[str]()
    home, raw = tmp_path / "home", bank.write(tmp_path / "raw")
    home.mkdir()
    for number in range(KILLS):
        share = chance.choice((-1.0, chance.random() * 0.9, chance.random() * 0.9, 0.899))
        if kill_at(home, raw, share):
            killed.append(f"{share:.2f}")
        if number % 2:
            assert_whole(bank, home, raw, tmp_path / f"empty-{number}", after=f"kills at {', '.join(killed)}")
        BETWEEN[number % len(BETWEEN)](bank)
        bank.write(raw)
    assert_whole(bank, home, raw, tmp_path / "empty", after=f"kills at {', '.join(killed)}")
    assert killed
