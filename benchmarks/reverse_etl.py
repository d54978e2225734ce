"""`python -m benchmarks.reverse_etl`: the diff of the embedded reverse ETL, against the bare anti-join of the same two files.

A million customers, of whom one in a hundred changed since the night before. *floor* is what DuckDB needs to read both files
and join them on key and hash; *plan* is all that the product does before it sends: read the mart, find invalid keys, hash,
compare, count, sample and sign; *apply* is the plan, the rows handed to the destination in batches of a thousand (an
address on this machine that takes them), and the new snapshot. Each is a process of its own, watched from outside.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import duckdb
import pyarrow.parquet as pq

from benchmarks.processes import Watched, watch
from pipeline.http import Answer
from pipeline.reverse_etl.embedded import EmbeddedReverseETL, Surroundings
from pipeline.reverse_etl.syncs import Destination, RunFacts, Sync

FACTS = RunFacts(1, "v0001", date(2019, 5, 16), datetime(2019, 5, 17, tzinfo=UTC))
SYNC = Sync(
    name="customers",
    source="mart",
    key="user_id",
    destination=Destination("http", "http://127.0.0.1/rows", batch_rows=1000),
    mode="mirror",
    owner="bench",
    description="bench",
)


class Notes:
    """A run store's notes in a file, for one process after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}

    def sent_rows(self, sync: str) -> dict[str, str]:
        """What is kept under a name."""
        return dict(self._kept.get(sync, {}))

    def replace_sent_rows(self, sync: str, changes: Mapping[str, str | None]) -> None:
        """Keep more, or drop some."""
        after = self.sent_rows(sync) | changes
        self._kept[sync] = {key: value for key, value in after.items() if value is not None}
        self._path.write_text(json.dumps(self._kept))


class Taking:
    """An address that takes everything."""

    place = "this process"
    rows = 0

    def call(self, method: str, path: str, *, content: Any, headers: Mapping[str, str], is_repeatable: bool) -> Answer:
        """Take a batch."""
        del method, path, headers, is_repeatable
        json.dumps(content)
        self.rows += len(content["records"])
        return Answer(204, None, {})


def make(folder: Path, customers: int, changed: float) -> None:
    """Two nights of a mart like sync_customer_status, as Parquet."""
    night = """
        select lpad(i::varchar, 9, '0') as user_id, 'C' || (i % 40) as country,
            ['STANDARD', 'METAL', 'PREMIUM'][i % 3 + 1] as plan, i % 5 > 0 as is_active,
            date '2018-01-01' + (i % 500)::integer as state_since,
            date '2019-05-01' - ((i % 90) + {shift})::integer as last_active_day, i % 4 as lapses
        from range({first}, {last}) as customers(i)
    """
    half = int(customers * changed / 2)
    with duckdb.connect() as connection:
        nights = [("before", 0, "0"), ("after", half, f"(i % {int(1 / changed)} = 7)::integer")]
        for name, first, changes in nights:
            rows = night.format(first=first, last=customers + first, shift=changes)
            connection.execute(f"copy ({rows}) to '{folder / name}.parquet' (format parquet)")


def engine(folder: Path, night: str, taking: Taking) -> EmbeddedReverseETL:
    """The product on one night's mart."""
    return EmbeddedReverseETL(
        (SYNC,),
        Surroundings(
            read=lambda _mart: pq.read_table(folder / f"{night}.parquet"),
            folder=folder / "destinations",
            snapshots=folder / "syncs",
            store=Notes(folder / "notes.json"),
            facts=FACTS,
            caller=lambda _sync: (taking, "/"),
        ),
    )


def floor(folder: Path) -> dict[str, Any]:
    """The bare anti-joins both ways."""
    began = time.perf_counter()
    with duckdb.connect() as connection:
        content = "hash(user_id, country, plan, is_active, state_since, last_active_day, lapses) as content"
        old, new = (f"(select user_id, {content} from '{folder / name}.parquet')" for name in ("before", "after"))
        changed = _one(connection, f"select count(*) from {new} new anti join {old} old using (user_id, content)")
        gone = _one(connection, f"select count(*) from {old} old anti join {new} new using (user_id)")
    return {"seconds": time.perf_counter() - began, "changed": changed, "gone": gone}


def _one(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    [(value,)] = connection.execute(statement).fetchall()
    return int(value)


def plan(folder: Path) -> dict[str, Any]:
    """The product's plan of the second night."""
    began = time.perf_counter()
    [found] = engine(folder, "after", Taking()).plans()
    return {"seconds": time.perf_counter() - began, "counts": dict(found.counts)}


def apply(folder: Path, night: str = "after") -> dict[str, Any]:
    """The product's whole sync of a night."""
    taking = Taking()
    began = time.perf_counter()
    [result] = engine(folder, night, taking).run()
    return {"seconds": time.perf_counter() - began, "rows": taking.rows, "unchanged": result.unchanged}


PARTS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "floor": floor,
    "first": lambda folder: apply(folder, "before"),
    "plan": plan,
    "apply": apply,
    "unchanged": apply,
}


def measured(part: str, folder: Path) -> Watched:
    """One part in a process of its own."""
    return watch([sys.executable, "-m", "benchmarks.reverse_etl", "--part", part, "--folder", str(folder)])


@click.command()
@click.option("--customers", type=click.IntRange(min=1000), default=1_000_000, show_default=True)
@click.option("--changed", type=click.FloatRange(0.0001, 0.5), default=0.01, show_default=True)
@click.option("--part", type=click.Choice(tuple(PARTS)), hidden=True)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(customers: int, changed: float, part: str | None, folder: Path | None) -> None:
    """Measure the diff; the machine should have nothing else to do."""
    if part is not None and folder is not None:
        click.echo(json.dumps(PARTS[part](folder)))
        return
    with tempfile.TemporaryDirectory(prefix="neopulse-bench-") as scratch:
        place = Path(scratch)
        make(place, customers, changed)
        bare = 0.0
        for name in PARTS:
            found = measured(name, place)
            seconds = found.outcome["seconds"]
            bare = bare or seconds
            ratio, cpu, peak = seconds / bare, found.cpu_seconds, found.peak_mb
            click.echo(
                f"{name:<10} {seconds:6.2f} s  {ratio:5.1f} x floor  cpu {cpu:.1f} s  peak {peak:,.0f} MB  {found.outcome}"
            )


if __name__ == "__main__":
    main()
