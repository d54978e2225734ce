"""The banks that are measured: generated once, kept outside the checkout, and cut into one file a day."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.job import quoted
from benchmarks.processes import watch

PLACE = "BENCH_HOME"
SEED = 1
OTHER_TABLES = ("users", "devices", "notifications")


@dataclass(frozen=True)
class Bank:
    """A generated bank: `whole` has one file of transactions, `by_day` one for each day of their timestamps."""

    transactions: int
    folder: Path

    @property
    def whole(self) -> Path:
        """The bank as `neopulse generate` wrote it."""
        return self.folder / "whole"

    @property
    def by_day(self) -> Path:
        """The same rows, landed day by day."""
        return self.folder / "by_day"

    @property
    def transaction_file(self) -> Path:
        """All transactions in one file."""
        return self.whole / "transactions.parquet"


def place() -> Path:
    """Where banks and builds are kept: BENCH_HOME, else a folder in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get(PLACE) or cache / "neopulse-bench").absolute()


def bank(transactions: int) -> Bank:
    """The bank of that size, generated where it is not there yet."""
    made = Bank(transactions, place() / f"bank-{transactions}-{SEED}")
    if not _is_there(made):
        made.whole.mkdir(parents=True, exist_ok=True)
        asked = ("--transactions", str(transactions), "--seed", str(SEED), "--out", str(made.whole))
        watch([sys.executable, "-m", "pipeline", "generate", *asked])
    return made


def _is_there(made: Bank) -> bool:
    from pipeline.sources.demo import FORMAT

    try:
        manifest = json.loads((made.whole / "demo.json").read_text(encoding="utf-8"))
    except OSError:
        return False
    return (manifest["format"], manifest["transactions"], manifest["seed"]) == (FORMAT, made.transactions, SEED)


def cut_by_day(made: Bank) -> list[Path]:
    """The day files of a bank, oldest first; cut once, and again where the bank is newer."""
    folder, done = made.by_day / "transactions", made.by_day / ".done"
    if not done.exists() or done.stat().st_mtime < made.transaction_file.stat().st_mtime:
        shutil.rmtree(made.by_day, ignore_errors=True)
        folder.mkdir(parents=True)
        _cut(made.transaction_file, folder)
        for table in OTHER_TABLES:
            shutil.copyfile(made.whole / f"{table}.parquet", made.by_day / f"{table}.parquet")
        done.touch()
    return sorted(folder.glob("*.parquet"))


def _cut(source: Path, folder: Path) -> None:
    """One file a day of the timestamps' text; the generator writes in that order, so most row groups are never opened."""
    with duckdb.connect() as connection:
        written = 0
        for day, condition in _days(connection, source):
            target = folder / f"{day}.parquet"
            rows = f"select * from read_parquet({quoted([str(source)])}) where {condition}"
            copied = connection.execute(f"copy ({rows}) to {quoted([str(target)])} (format parquet, compression zstd)").fetchone()
            written += copied[0] if copied else 0
        known = connection.execute(f"select count(*) from read_parquet({quoted([str(source)])})").fetchone()
    if not known or written != known[0]:
        raise ValueError(f"{written} rows were cut of {known}")


def _days(connection: duckdb.DuckDBPyConnection, source: Path) -> Iterator[tuple[str, str]]:
    statement = f"select distinct substr(created_date, 1, 10) as day from read_parquet({quoted([str(source)])}) order by day"
    days = [day for (day,) in connection.execute(statement).fetchall()]
    for day, following in zip(days, [*days[1:], "9999"], strict=True):
        yield day, f"created_date >= '{day}' and created_date < '{following}'"


def linked(source: Path, folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """A folder of links to the files of a bank cut by day, without some of its days."""
    (folder / "transactions").mkdir(parents=True)
    for path in [*source.glob("*.parquet"), *(source / "transactions").glob("*.parquet")]:
        if path.name not in without:
            link(path, folder / path.relative_to(source))
    return folder


def link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system cannot."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
