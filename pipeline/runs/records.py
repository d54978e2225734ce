"""What the run store hands out: runs, steps, requests and the rest, as unchanging records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

WORKER_SILENT = timedelta(seconds=60)  # a worker beats every five seconds, also while it runs the chain


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


class ScheduleKind(StrEnum):
    """How often a row of the schedule runs."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"


class SlotOutcome(StrEnum):
    """What became of a moment of the schedule."""

    ASKED = "asked"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why a moment of the schedule was not served by a run."""

    MISSED = "missed"
    OVERLAP = "overlap"
    CHANGED = "changed"


@dataclass(frozen=True)
class Lease:
    """The right to run; `token` grows with each holder, so that a late one can be told from the present one.

    `taken_at` is told to others, who ask who has it.
    """

    holder: str
    token: int
    expires_at: datetime
    taken_at: datetime | None = field(default=None, compare=False)


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

    `notification_pending` is true while the message that the run made still waits to be delivered; `cancel_asked_by` is who
    wants or wanted it to end; `approves` is the run whose held candidate it publishes.
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
    cancel_asked_by: str | None = None
    cancel_asked_at: datetime | None = None

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
class ScheduleRow:
    """When the worker runs by itself: at a minute of each hour, a time of each day, or a time of one weekday (0 is Monday).

    `timezone` is whose clocks count, `first_step` the step to begin at, `resumes` whether a run of this row that was
    interrupted is taken up by itself. Moments up to `since` are not its own: the row was made, moved or switched on then.
    """

    name: str
    kind: ScheduleKind
    minute: int
    hour: int | None = None
    weekday: int | None = None
    timezone: str = "UTC"
    enabled: bool = True
    resumes: bool = True
    first_step: str = "extract"
    since: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    changed_by: str = ""
    changed_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Slot:
    """A moment of the schedule that was served: by a request and its run, or not, and then why.

    `outcome` is None where an older neopulse served it; `in_the_way` is the run that an overlap was with. `request_state` and
    `answer` are those of the request: None and nothing where there is none, or none any more.
    """

    job: str
    due_at: datetime
    taken_at: datetime
    outcome: SlotOutcome | None
    reason: SkipReason | None
    in_the_way: int | None
    request_id: int | None
    run_id: int | None
    request_state: RequestState | None = None
    answer: str = ""

    @property
    def standing(self) -> str:
        """What became of a moment that no run has served yet: `waiting`, `refused`, `forgotten` or `served_before`."""
        if self.outcome is not SlotOutcome.ASKED:
            return "served_before"
        if self.request_state is None:
            return "forgotten"
        return "waiting" if self.request_state in (RequestState.WAITING, RequestState.CLAIMED) else "refused"

    @property
    def why_skipped(self) -> str:
        """The reason in words; nothing where it was not skipped."""
        words = {
            SkipReason.MISSED: "no worker was there in time; the latest moment that was due is served for all of them",
            SkipReason.OVERLAP: f"run {self.in_the_way} was still going on",
            SkipReason.CHANGED: "the row was changed before this moment was served",
        }
        return "" if self.reason is None else words[self.reason]


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


class SyncState(StrEnum):
    """What became of a sync; a partial one was carried out, and the destination refused some of its rows."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True)
class SyncRun:
    """What one sync did once: in a run of the chain, or by somebody's hand (`run_id` is None).

    `scope` tells how much of it: `only` one row, `afresh` every row. `counts` are those of a SyncResult.
    """

    id: int
    sync: str
    state: SyncState
    service: str
    run_id: int | None
    who: str
    scope: Mapping[str, Any]
    started_at: datetime
    ended_at: datetime
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    link: str
    error: str | None


@dataclass(frozen=True)
class RejectedRow:
    """A row that was not taken: its key, why, and what was to be sent, as far as it is known."""

    key: str
    reason: str
    row: Mapping[str, Any]


class Doing(StrEnum):
    """What a worker does."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True)
class WorkerRow:
    """A worker's last sign of life; `doing` is in the words of the neopulse that wrote it."""

    name: str
    started_at: datetime
    beat_at: datetime
    doing: str
    next_run_at: datetime | None

    def is_alive(self, now: datetime) -> bool:
        """Whether the worker has beaten of late and has not said that it ends."""
        return self.doing != Doing.ENDED and now - self.beat_at < WORKER_SILENT
