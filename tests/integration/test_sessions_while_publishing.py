"""Fifty readers' tabs in the real app while versions come and go: no page breaks, and each shows one version that was there."""

from __future__ import annotations

import dataclasses
import random
import re
import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import sessions
from pipeline import files
from pipeline.clock import SystemClock
from pipeline.warehouse.publication import Candidate, Facts, Publications

READERS = 50
VERSIONS = 12
KEPT = 3
DRAWN_BY_EACH = 6

pytestmark = pytest.mark.proof


def test_fifty_sessions_read_while_runs_publish(pages_bank: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(pages_bank, home)
    port, over = sessions.free_port(), threading.Event()
    with sessions.app(home, port), ThreadPoolExecutor(READERS) as readers:
        reading = [readers.submit(read_until, over, port, seed) for seed in range(READERS)]
        try:
            publish_all(home, reading)
        finally:
            over.set()
        shown = [reader.result() for reader in reading]
    published = {f"v{number:04}" for number in range(1, VERSIONS + 2)}
    assert all(len(pages) >= DRAWN_BY_EACH for pages in shown)
    assert {version for pages in shown for version in pages} <= published
    assert len({version for pages in shown for version in pages}) > 2  # they were really reading while it changed
    assert all(pages == sorted(pages) for pages in shown)  # nobody is led back to an older version


def read_until(over: threading.Event, port: int, seed: int) -> list[str]:
    """The version that each drawn page shows, in the order of drawing, until told to end and after enough of them."""
    draw, shown = random.Random(seed), []
    with sessions.tab(port) as connection:
        session = sessions.Session(connection)
        while not over.is_set() or len(shown) < DRAWN_BY_EACH:
            text = session.draw(draw.choice(sessions.PAGES), f"window={draw.randint(*sessions.WINDOW_DAYS)}")
            named = set(re.findall(r"\bv\d{4}\b", text))
            assert len(named) == 1, named
            shown += named
    return shown


def publish_all(home: Path, reading: list[Future[list[str]]]) -> None:
    """Publish the same figures again and again, as versions of their own, while the readers read."""
    publications = Publications(home, keep=KEPT)
    first = publications.current()
    assert first is not None
    kept = home.parent / "kept"
    shutil.copytree(first.folder, kept)
    facts = {field.name: getattr(first, field.name) for field in dataclasses.fields(Facts)}
    for number in range(2, VERSIONS + 2):
        folder = files.make_folder(home / "candidates" / str(number))
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        now = SystemClock()
        made = Facts(**{**facts, "run_id": number})
        publications.publish(Candidate(folder, made, lease_token=number, started_at=now.now()), clock=now, guard=lambda: None)
        for reader in reading:
            if reader.done():  # only one that failed ends before it is told to
                reader.result()
        threading.Event().wait(2)
