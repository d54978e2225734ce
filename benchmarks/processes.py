"""Runs a command and watches it: wall time, processor time, and the peak memory of it and all its children together."""

from __future__ import annotations

import bisect
import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.05
_PAGE, _TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
_RESIDENT_PAGES, _TICKS_USED = 21, (11, 12, 13, 14)  # places behind the name in /proc/PID/stat, see proc(5)
_PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Watched:
    """A command that ended well; `outcome` is the JSON of its last line, where that is one."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str
    cpu_at: Sequence[tuple[float, float]] = ()

    def cpu_within(self, spans: Iterable[tuple[float, float]]) -> float:
        """The processor time that was used within these spans of the clock, as far as the samples tell."""
        return sum(self._cpu_until(end) - self._cpu_until(begin) for begin, end in spans)

    def _cpu_until(self, moment: float) -> float:
        place = bisect.bisect_left(self.cpu_at, (moment,))
        if place in (0, len(self.cpu_at)):
            return 0.0 if place == 0 else self.cpu_at[-1][1]
        (before, used), (after, used_after) = self.cpu_at[place - 1], self.cpu_at[place]
        return used + (used_after - used) * (moment - before) / (after - before)

    @property
    def outcome(self) -> dict[str, Any]:
        """What the command said last."""
        content: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return content


class FailedError(Exception):
    """A command that did not end well, with what it said last."""


def watch(command: Sequence[str], *, environment: Mapping[str, str] | None = None, seconds: float = 7200) -> Watched:
    """Run a command in the project's folder to its end; raises FailedError where it fails or takes longer than `seconds`."""
    cpu_before, began = _cpu_of_ended_children(), time.perf_counter()
    child = subprocess.Popen(
        command,
        cwd=PROJECT,
        env=bare_environment() | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with TreeWatch(child.pid) as tree:
        output, errors = _ended(child, seconds)
    if child.returncode != 0:
        raise FailedError(f"{' '.join(command[:3])} ended with {child.returncode}: {(errors or output).strip()[-600:]}")
    return Watched(time.perf_counter() - began, _cpu_of_ended_children() - cpu_before, tree.peak_mb, output, tree.cpu_at)


def bare_environment() -> dict[str, str]:
    """The environment without the product's settings: every measurement is of the defaults, unless it says otherwise."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NEOPULSE_")}


def _ended(child: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    try:
        return child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        raise FailedError(f"took longer than {seconds:,.0f} s") from None
    except BaseException:
        child.terminate()  # the product's own children end with it
        child.wait()
        raise


def _cpu_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class TreeWatch:
    """Looks many times a second at a process and all its descendants.

    `peak_mb` is the highest sum of their resident memory in MB of 2**20 bytes; memory that two of them share counts twice,
    so it is an upper bound. `cpu_at` has the processor time they had used together by a moment of the clock. Where there is
    no /proc, nothing is seen.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_mb = 0.0
        self.cpu_at: list[tuple[float, float]] = []

    def __enter__(self) -> TreeWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            memory_mb, cpu_seconds = usage(self._process)
            self.peak_mb = max(self.peak_mb, memory_mb)
            self.cpu_at.append((time.time(), max(cpu_seconds, self.cpu_at[-1][1] if self.cpu_at else 0.0)))


def usage(process: int) -> tuple[float, float]:
    """The resident memory in MB and the processor time in seconds of a process, its descendants, and those it outlived."""
    folder = _PROCESSES / str(process)
    try:
        figures = (folder / "stat").read_text().rpartition(")")[2].split()
        children = [int(child) for task in (folder / "task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return 0.0, 0.0
    below = [usage(child) for child in children]
    memory_mb = int(figures[_RESIDENT_PAGES]) * _PAGE / 2**20
    cpu_seconds = sum(int(figures[place]) for place in _TICKS_USED) / _TICKS
    return memory_mb + sum(memory for memory, _ in below), cpu_seconds + sum(cpu for _, cpu in below)
