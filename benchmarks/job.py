"""The job that every peer does: the activity stretches under N, from the bank's raw transaction files."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

PRIME = 2_147_483_647
OPEN = 0
"""Stands for the last day of a stretch that has not lapsed."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """The files, the activity rule and N; `threads` and `memory_limit` are the same for everybody who can be told."""

    files: tuple[str, ...]
    bank_timezone: str
    states: tuple[str, ...]
    excluded_types: tuple[str, ...]
    window_days: int
    threads: int
    memory_limit: str

    def as_text(self) -> str:
        """The job as an argument of a command."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Job:
        """The job that as_text wrote."""
        content: dict[str, Any] = json.loads(text)
        return cls(**content | {name: tuple(content[name]) for name in ("files", "states", "excluded_types")})


@dataclass(frozen=True)
class Stretches:
    """Customers, first and last active days of all stretches, each an array of int64; days are counted from 1970-01-01.

    A stretch that had not lapsed on the last day of the data has OPEN as its last day.
    """

    customers: Any
    first_days: Any
    last_days: Any

    def checksum(self) -> int:
        """The same for the same stretches in any order."""
        mixed = (self.customers * 2_654_435_761 % PRIME + self.first_days * 40_503 + self.last_days * 97) % PRIME
        return int((mixed * mixed % PRIME).sum())


def read_job() -> Job:
    """The job of this process, from its one argument."""
    return Job.from_text(sys.argv[1])


def carry_out(compute: Callable[[Job], Result], read: Callable[[Result], Stretches]) -> None:
    """Time `compute` from the files to the result in the engine's own form, then say how long it took and what came out."""
    job = read_job()
    began = time.perf_counter()
    result = compute(job)
    seconds = time.perf_counter() - began
    found = read(result)
    say(seconds=seconds, stretches=len(found.customers), checksum=found.checksum())


def say(**outcome: Any) -> None:
    """The outcome of this process, as the last line that it writes."""
    sys.stdout.write(json.dumps(outcome) + "\n")


def quoted(texts: Sequence[str]) -> str:
    """Texts as a list of SQL literals."""
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
