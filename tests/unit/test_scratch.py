"""What a process keeps in the system's temporary folder goes with it, or with the next one where it was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hand_made import publish_customers

from pipeline import scratch
from pipeline.clock import FixedClock
from pipeline.warehouse.duckdb import ReadOnlyDuckDB

SPILLING = """
from pipeline import scratch
(scratch.folder() / "syncs").mkdir()
(scratch.folder() / "syncs" / "spilled").write_text("a customer")
print(scratch.folder(), flush=True)
input()
"""


def spilling(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has spilled something, and its folder, which looks as if it had been there for an hour."""
    process = subprocess.Popen(
        [sys.executable, "-c", SPILLING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    an_hour_ago = time.time() - 3600
    os.utime(folder, (an_hour_ago, an_hour_ago))
    return process, folder


def test_what_a_killed_process_left_goes_with_the_next_one_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    killed, left = spilling(tmp_path)
    killed.kill()
    killed.communicate()
    others = tmp_path / "neopulse-of-somebody-else"
    others.mkdir()
    os.utime(others, (0, 0))
    assert (left / "syncs" / "spilled").exists()

    living, kept = spilling(tmp_path)
    third, own = spilling(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted((kept, own, others))
    assert (kept / "syncs" / "spilled").read_text() == "a customer"
    for process in (living, third):
        process.communicate("end\n", timeout=30)
    assert list(tmp_path.iterdir()) == [others]


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_own", None)
    first = scratch.folder()
    assert scratch.folder() == first
    first.rmdir()
    assert scratch.folder() != first
    assert scratch.folder().stat().st_mode & 0o077 == 0


def test_what_readers_spill_lies_in_it(tmp_path: Path) -> None:
    version = publish_customers(tmp_path, 10, clock=FixedClock(datetime(2026, 11, 25, tzinfo=UTC)))
    reader = ReadOnlyDuckDB(version.database)
    spill = reader._connection.execute("select current_setting('temp_directory')").fetchone()
    reader.close()
    assert spill == (str(scratch.folder() / version.name),)
