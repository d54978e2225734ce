"""Runs a command and watches it: wall time, processor time, and the peak memory of it and all its children together."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Watched:
    """A command that ended well; `outcome` is the JSON of its last line, where that is one."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str

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
    with MemoryWatch(child.pid) as memory:
        output, errors = _ended(child, seconds)
    if child.returncode != 0:
        raise FailedError(f"{' '.join(command[:4])}: {(errors or output).strip()[-600:]}")
    return Watched(time.perf_counter() - began, _cpu_of_ended_children() - cpu_before, memory.peak_mb, output)


def bare_environment() -> dict[str, str]:
    """The environment without the product's settings: every measurement is of the defaults, unless it says otherwise."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NEOPULSE_")}


def _ended(child: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    try:
        return child.communicate(timeout=seconds)
    except BaseException:
        child.terminate()  # the product's own children end with it
        child.wait()
        raise


def _cpu_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class MemoryWatch:
    """Looks many times a second at the resident memory of a process and all its descendants; `peak_mb` is the highest sum.

    Memory that two of them share counts twice, so it is an upper bound. Where there is no /proc, nothing is seen: 0.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_mb = 0.0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, resident_mb(self._process))


def resident_mb(process: int) -> float:
    """The resident memory of a process and its descendants at this moment, in MB of 2**20 bytes."""
    try:
        pages = int((_PROCESSES / str(process) / "statm").read_text().split()[1])
        children = [
            child for task in (_PROCESSES / str(process) / "task").iterdir() for child in (task / "children").read_text().split()
        ]
    except (OSError, IndexError):
        return 0.0
    return pages * _PAGE / 2**20 + sum(resident_mb(int(child)) for child in children)
