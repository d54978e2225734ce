"""The syncs and runs behind the API: a run is queued, works, ends as its plan says; a second one beside it is skipped."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """The current moment."""


@dataclass(frozen=True)
class Plan:
    """How a run goes: seconds in the queue, seconds of work, how it ends, and what it counted. `stuck` never ends.

    `working_as` is what the API calls the work; a word that no client knows can be put there.
    """

    queued_seconds: float = 5
    working_seconds: float = 30
    ends: str = "completed"
    working_as: str = "working"
    stuck: bool = False
    source_records: int = 0
    source_deletes: int = 0
    updated: int = 0
    failed: Sequence[tuple[str, str]] = ()
    """(identifier, reason) of each record that the destination refused."""
    invalid: Sequence[tuple[str, str]] = ()
    error_code: str | None = None
    error_message: str | None = None
    error_detail: str | None = None


@dataclass
class Run:
    """A run of a sync; what it says depends on the clock alone, unless it was cancelled."""

    id: int
    sync_id: int
    plan: Plan
    created_at: datetime
    full_sync: bool
    reason: str
    skipped: bool = False
    cancelled_at: datetime | None = None

    def age(self, now: datetime) -> float:
        """Seconds since it was created, or until it was cancelled."""
        return ((self.cancelled_at or now) - self.created_at).total_seconds()

    def status(self, now: datetime) -> str:
        """The word of the API."""
        if self.skipped:
            return "skipped"
        if self.cancelled_at is not None:
            return "failed"
        if self.age(now) < self.plan.queued_seconds:
            return "queued"
        if self.plan.stuck or self.age(now) < self.plan.queued_seconds + self.plan.working_seconds:
            return self.plan.working_as
        return self.plan.ends

    def is_going_on(self, now: datetime) -> bool:
        """Whether another run has to wait."""
        return self.status(now) in ("queued", self.plan.working_as) and self.status(now) != self.plan.ends

    def share(self, now: datetime) -> float:
        """How much of the work is done, from 0 to 1."""
        done = (self.age(now) - self.plan.queued_seconds) / max(self.plan.working_seconds, 0.001)
        return min(max(done, 0.0), 1.0)

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The run as both versions of the API show it."""
        plan, status = self.plan, self.status(now)
        is_over = not self.is_going_on(now)
        share = 0.0 if self.skipped else self.share(now)
        failed = status == "failed" and self.cancelled_at is None
        return {
            "id": self.id,
            "sync_id": self.sync_id,
            "status": status,
            "created_at": _moment(self.created_at),
            "updated_at": _moment(now),
            "completed_at": _moment(now) if is_over else None,
            "scheduled_execution_time": None,
            "source_record_count": plan.source_records if share else None,
            "source_record_updates": plan.updated if share else None,
            "source_record_deletes": plan.source_deletes if share else None,
            "source_record_invalids": len(plan.invalid) if share else None,
            "records_processed": int(plan.source_records * share),
            "records_updated": int(plan.updated * share),
            "records_failed": int(len(plan.failed) * share),
            "records_invalid": int(len(plan.invalid) * share),
            "error_code": plan.error_code if failed else None,
            "error_message": plan.error_message if failed else None,
            "error_detail": plan.error_detail if failed else None,
            "canceled": self.cancelled_at is not None,
            "full_sync": self.full_sync,
            "current_step": None if is_over else int(share * 5),
            "sync_trigger_reason": {"ui_tag": self.reason},
        }

    def records(self) -> list[dict[str, Any]]:
        """One entry a record: those that were taken, then the refused and the invalid ones."""
        taken = [_record(f"taken-{number}", "succeeded", "") for number in range(self.plan.updated)]
        refused = [_record(identifier, "failed", reason) for identifier, reason in self.plan.failed]
        return [*taken, *refused, *(_record(identifier, "invalid", reason) for identifier, reason in self.plan.invalid)]


@dataclass
class Sync:
    """A sync; each run takes the next of its plans, the last one again and again."""

    id: int
    label: str
    plans: list[Plan] = field(default_factory=lambda: [Plan()])
    paused: bool = False
    refuses_full: bool = False

    def next_plan(self) -> Plan:
        """The plan of the run that begins now."""
        return self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]

    def to_json(self) -> dict[str, Any]:
        """The sync as the API shows it."""
        return {"id": self.id, "label": self.label, "paused": self.paused, "operation": "mirror"}


class Workspace:
    """Every sync and every run, on one clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.syncs: dict[int, Sync] = {}
        self.runs: list[Run] = []
        self._numbers = itertools.count(1_234_567)

    def add(self, sync: int, *plans: Plan, label: str = "", **more: Any) -> Sync:
        """A sync with its plans."""
        self.syncs[sync] = Sync(sync, label or f"sync {sync}", list(plans) or [Plan()], **more)
        return self.syncs[sync]

    def trigger(self, sync: Sync, *, full: bool, reason: str = "API") -> Run:
        """A new run; skipped at once where one is going on."""
        now = self.clock.now()
        is_busy = any(run.is_going_on(now) for run in self.runs_of(sync.id))
        plan = Plan() if is_busy else sync.next_plan()
        self.runs.append(Run(next(self._numbers), sync.id, plan, now, full, reason, skipped=is_busy))
        return self.runs[-1]

    def runs_of(self, sync: int) -> list[Run]:
        """The sync's runs, the newest first."""
        return [run for run in reversed(self.runs) if run.sync_id == sync]

    def run(self, number: int) -> Run | None:
        """The run of that id."""
        return next((run for run in self.runs if run.id == number), None)

    def cancel(self, run: Run) -> None:
        """Stop a run that goes on; one that is over stays as it is."""
        if run.is_going_on(self.clock.now()):
            run.cancelled_at = self.clock.now()


def page_of(items: Sequence[Mapping[str, Any]], page: int, per_page: int) -> dict[str, Any]:
    """One page of a list with the numbers that lead to the others."""
    last = max((len(items) + per_page - 1) // per_page, 1)
    return {
        "status": "success",
        "data": items[(page - 1) * per_page : page * per_page],
        "pagination": {
            "total_records": len(items),
            "per_page": per_page,
            "prev_page": page - 1 if page > 1 else None,
            "page": page,
            "next_page": page + 1 if page < last else None,
            "last_page": last,
        },
    }


def _record(identifier: str, status: str, reason: str) -> dict[str, Any]:
    return {"identifier": identifier, "operation": "upsert", "status": status, "status_message": reason or None}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
