"""Ten readers, in threads and in processes, read in a loop while versions are published, pruned and rolled back."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from hand_made import facts

from pipeline import files
from pipeline.clock import FixedClock
from pipeline.marts import reader
from pipeline.warehouse.publication import DATABASE, Candidate, Publications

VERSIONS = 20
KEPT = 2
CUSTOMERS = 2_000
RELATIONS = ("mart_customers", "sync_customer_status")


def test_ten_readers_never_fail_and_never_see_a_mixture_while_versions_come_and_go(tmp_path: Path) -> None:
    publish(tmp_path, run_id=1)
    spawning = multiprocessing.get_context("spawn")
    ended = spawning.Event()
    reads = [spawning.Value("i", 0) for _ in range(10)]
    failures = spawning.Queue()
    processes = [spawning.Process(target=read_until, args=(tmp_path, ended, count, failures)) for count in reads[:5]]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(5) as threads:
        for count in reads[5:]:
            threads.submit(read_until, tmp_path, ended, count, failures)
        try:
            publish_all(tmp_path, reads, is_well=failures.empty)
        finally:
            ended.set()
    for process in processes:
        process.join()
    assert [failures.get() for _ in iter(failures.empty, True)] == []
    assert [process.exitcode for process in processes] == [0] * 5


def publish_all(home: Path, reads: list[Any], *, is_well: Callable[[], bool]) -> None:
    """Publish as fast as possible, with a rollback now and then; every fifth time wait until each reader has read twice."""
    publications = Publications(home, keep=KEPT)
    for run_id in range(2, VERSIONS + 2):
        publish(home, run_id=run_id)
        if run_id % 3 == 0:
            publications.rollback(publications.versions()[-1].name)
        before = [count.value for count in reads]
        while run_id % 5 == 0 and is_well() and any(now.value < then + 2 for now, then in zip(reads, before, strict=True)):
            time.sleep(0.001)
    assert len(publications.versions()) == KEPT


def read_until(home: Path, ended: Any, count: Any, failures: Any) -> None:
    """What every reader of the product does, again and again; a failure or a mixture is told and ends it."""
    publications = Publications(home, keep=KEPT)
    while not ended.is_set():
        try:
            whole_version_is_read(publications)
        except Exception as failure:
            failures.put(repr(failure))
            return
        count.value += 1


def whole_version_is_read(publications: Publications) -> None:
    """Read two relations of the current version: each row and the facts must tell of one and the same run."""
    opened = publications.read_current(reader)
    assert opened is not None
    for name in RELATIONS:
        table = opened.relation(name)
        assert table.num_rows == CUSTOMERS
        assert set(table["run_id"].to_pylist()) == {opened.version.run_id}


def publish(home: Path, *, run_id: int) -> None:
    """Publish a version in which every row carries the number of the run that made it."""
    folder = files.make_folder(home / "candidates" / str(run_id))
    with duckdb.connect(folder / DATABASE) as connection:
        connection.execute("create schema marts")
        for name in RELATIONS:
            connection.execute(
                f"create table marts.{name} as select range as user_id, {run_id} as run_id from range({CUSTOMERS})"
            )
    files.write_json(folder / "metrics.json", [])
    now = datetime(2026, 3, 1, 6, run_id, tzinfo=UTC)
    candidate = Candidate(folder, facts(run_id, rows=dict.fromkeys(RELATIONS, CUSTOMERS)), lease_token=run_id, started_at=now)
    Publications(home, keep=KEPT).publish(candidate, clock=FixedClock(now), guard=lambda: None)
