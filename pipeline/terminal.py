"""How long work looks in a terminal: one line a step, with how far it is and how fast it went."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from pipeline.context import StepResult
from pipeline.errors import NeopulseError
from pipeline.runner import Reporter
from pipeline.runs.records import Run

CHANGE_EVERY_SECONDS = 0.1
LINE_EVERY_SECONDS = 10.0
WIDTH = 100
WORTH_A_SPEED = 1000  # rows


class Lines:
    """Lines that stay, and one that changes: on a terminal in place, into a file or a pipe as a new line now and then."""

    def __init__(self, stream: TextIO, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._stream = stream
        self._in_place = stream.isatty()
        self._every_seconds = CHANGE_EVERY_SECONDS if self._in_place else LINE_EVERY_SECONDS
        self._last_at = seconds()

    def stay(self, line: str) -> None:
        """Write a line for good."""
        self._last_at = self.seconds()
        self._write(f"\r\033[K{line}\n" if self._in_place else f"{line}\n")

    def change(self, line: str) -> None:
        """Write how things are at this moment, unless that was done a moment ago."""
        if self.seconds() - self._last_at < self._every_seconds:
            return
        self._last_at = self.seconds()
        self._write(f"\r\033[K{line[:WIDTH]}" if self._in_place else f"{line[:WIDTH]}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


REMARKS = {
    "nobody_active": "nobody was ever active: no transaction meets the rule of NEOPULSE_ACTIVITY_*, or NEOPULSE_AS_OF lies "
    "before it; neopulse check lists them",
}
ENDS = {"interrupted": "interrupted", "held": "done, and held for approval"}


class TerminalReporter(Reporter):
    """Tells a run step by step."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def run_started(self, run: Run) -> None:
        self._lines.stay(f"run {run.id}" + (f", resumes run {run.resumes}" if run.resumes is not None else ""))

    def step_progressed(self, step: str, fraction: float | None, text: str) -> None:
        share = "    " if fraction is None else f"{fraction:4.0%}"
        self._lines.change(f"  {step:<10} {share}  {text}")

    def step_ended(self, step: str, result: StepResult, seconds: float) -> None:
        self._lines.stay(f"  {step:<10} done in {seconds:6.1f} s  {result.service}{_rows(result, seconds)}")
        for detail in sorted(REMARKS.keys() & result.detail):
            self._lines.stay(f"  {'':<10} {REMARKS[detail]}")

    def step_failed(self, step: str, error: NeopulseError, again_in_seconds: float | None) -> None:
        if again_in_seconds is not None:
            self._lines.stay(f"  {step:<10} {error.what}; again in {again_in_seconds:.0f} s")
        else:
            self._lines.stay(f"  {step:<10} {ENDS.get(error.kind, 'failed')}")


def counting(lines: Lines, unit: str) -> Callable[[int, int], None]:
    """What tells how many of how many are done, and how many a second."""
    began_at = lines.seconds()

    def progress(done: int, total: int) -> None:
        speed = done / max(lines.seconds() - began_at, 0.001)
        lines.change(f"  {done / max(total, 1):4.0%}  {done:,} of {total:,} {unit}, {speed:,.0f} a second")

    return progress


def _rows(result: StepResult, seconds: float) -> str:
    if result.rows_in is None:
        return ""
    speed = f" ({result.rows_in / seconds:,.0f} a second)" if seconds >= 1 and result.rows_in >= WORTH_A_SPEED else ""
    out = "" if result.rows_out is None else f", {result.rows_out:,} rows out"
    return f", {result.rows_in:,} rows in{speed}{out}"
