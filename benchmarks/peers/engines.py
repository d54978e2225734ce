"""Which peers there are, and how each is run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from benchmarks.job import Job
from benchmarks.processes import PROJECT, Watched, watch

ENVIRONMENT = PROJECT / ".venv-bench"
BREAKS = "breaks"
PANDAS_LIMIT = 20_000_000
TIMEOUT_SECONDS = 3600


@dataclass(frozen=True)
class Peer:
    """One way to the same stretches; `up_to` is the largest bank that it is asked to do."""

    name: str
    label: str
    module: str
    package: str
    way: str = ""
    up_to: int | None = None

    def run(self, job: Job, python: str) -> Watched:
        """Do the job once in a process of its own; its `outcome` has seconds, stretches and checksum."""
        environment = {"POLARS_MAX_THREADS": str(job.threads), "OMP_NUM_THREADS": str(job.threads)}
        arguments = [job.as_text(), *([self.way] if self.way else [])]
        return watch(
            [python, "-m", f"benchmarks.peers.{self.module}", *arguments], environment=environment, seconds=TIMEOUT_SECONDS
        )

    def takes(self, transactions: int) -> bool:
        """Whether a bank of this size is within what this way can hold."""
        return self.up_to is None or transactions <= self.up_to


PEERS = (
    Peer(BREAKS, "DuckDB, breaks only: neopulse's way as one bare statement", "duckdb_sql", "duckdb", way=BREAKS),
    Peer("running_sum", "DuckDB, running sum over all days", "duckdb_sql", "duckdb", way="running_sum"),
    Peer("self_join", "DuckDB, self-join of days", "duckdb_sql", "duckdb", way="self_join"),
    Peer("polars", "Polars, streaming", "polars_frame", "polars"),
    Peer("pandas", "pandas", "pandas_frame", "pandas", up_to=PANDAS_LIMIT),
    Peer("clickhouse", "ClickHouse local (chdb)", "clickhouse_local", "chdb"),
)


def python() -> str:
    """The interpreter that has the peers' engines: the environment of their own, else this one, which lacks some."""
    own = ENVIRONMENT / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def version_of(peer: Peer, interpreter: str) -> str | None:
    """The installed version of a peer's engine; None where it is not there."""
    asked = [interpreter, "-c", f"from importlib.metadata import version; print(version('{peer.package}'))"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    return told.stdout.strip() if told.returncode == 0 else None
