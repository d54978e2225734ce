"""What a step of a run is handed, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.clock import Clock
from pipeline.runs.records import Run
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Publications


@dataclass(frozen=True)
class StepContext:
    """Everything a step may use.

    `progress(fraction, text)` tells how far the step is (fraction 0 to 1, or None where nobody can tell).
    `cancelled()` is true once the run is to end; a step that waits or has a child process looks at it every second.
    `guard()` raises InterruptedRunError where the run was stopped or lost its lease: call it right before any act that
    others see (publish, write a sheet, deliver). `progress` calls the same check.
    """

    settings: Settings
    store: RunStore
    run: Run
    clock: Clock
    publications: Publications
    progress: Callable[[float | None, str], None]
    cancelled: Callable[[], bool]
    guard: Callable[[], None]


@dataclass(frozen=True)
class StepResult:
    """What a step did: which service served it, rows in and out, and details for the screen (plain JSON values)."""

    service: str
    rows_in: int | None = None
    rows_out: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
