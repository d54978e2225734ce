"""What the run store hands out: runs, steps, requests and the rest, as unchanging records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """Where a run stands: a held one is over, and its candidate waits for an admin."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    HELD = "held"


class StepState(StrEnum):
    """Where a step of a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    HELD = "held"


class RequestState(StrEnum):
    """Where a request stands: `claimed` means that its run is going on."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True)
class Lease:
    """The right to run; `token` grows with each holder, so that a late one can be told from the present one."""

    holder: str
    token: int
    expires_at: datetime


@dataclass(frozen=True)
class Step:
    """One step of a run; `progress` runs from 0 to 1 where the step can tell."""

    name: str
    state: StepState
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    service: str
    rows_in: int | None
    rows_out: int | None
    detail: Mapping[str, Any]
    error: str | None
    progress: float | None
    progress_text: str


@dataclass(frozen=True)
class Run:
    """One run of the chain; `version` is the published version that it made or used, `lease_token` its fencing token.

    `notification_pending` is true while the message that the run made still waits to be delivered; `approves` is the run
    whose held candidate it publishes.
    """

    id: int
    state: RunState
    trigger: str
    requested_by: str
    first_step: str
    only_step: bool
    full_refresh: bool
    started_at: datetime
    ended_at: datetime | None
    version: str | None
    as_of: date | None
    resumes: int | None
    error_kind: str | None
    error: str | None
    lease_token: int
    steps: tuple[Step, ...]
    approves: int | None = None
    notification_pending: bool = False

    @property
    def standing(self) -> str:
        """The state in words; a run whose work is done and whose message waits says so."""
        if self.state is RunState.SUCCEEDED and self.notification_pending:
            return "completed, notification pending"
        return str(self.state)

    @property
    def is_resumable(self) -> bool:
        """Whether the run ended before its work was done."""
        return self.state in (RunState.FAILED, RunState.INTERRUPTED)

    @property
    def unfinished_step(self) -> str | None:
        """The step to resume from: the first that was to be done and was not."""
        undone = (step.name for step in self.steps if step.state not in (StepState.SUCCEEDED, StepState.SKIPPED))
        return next(undone, None)


@dataclass(frozen=True)
class Event:
    """One line of a run's live log."""

    id: int
    at: datetime
    level: str
    step: str
    text: str


@dataclass(frozen=True)
class Request:
    """A wish for a run, written as a row; the worker claims it and answers."""

    id: int
    kind: str
    trigger: str
    parameters: Mapping[str, Any]
    requested_by: str
    requested_at: datetime
    state: RequestState
    run_id: int | None
    answer: str


@dataclass(frozen=True)
class Delivery:
    """Something to be delivered once, by its idempotency key."""

    key: str
    target: str
    payload: Any
    delivered: bool
    reserved_at: datetime
    delivered_at: datetime | None
    location: str


@dataclass(frozen=True)
class AuditRow:
    """Who did what, when, and what was there before and after."""

    id: int
    at: datetime
    who: str
    action: str
    what: str
    before: Any
    after: Any


@dataclass(frozen=True)
class WorkerRow:
    """A worker's last sign of life."""

    name: str
    started_at: datetime
    beat_at: datetime
    doing: str
    next_run_at: datetime | None
