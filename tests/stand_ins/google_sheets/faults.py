"""What may go wrong on purpose, before or after a call took effect; quotas a minute; and a record of every call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stand_ins.google_sheets.errors import ApiError

CUT = 0
MESSAGES = {
    408: "Deadline expired before operation could complete.",
    429: "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute per user' of service "
    "'sheets.googleapis.com' for consumer 'project_number:104600000001'.",
    500: "Internal error encountered.",
    503: "The service is currently unavailable.",
}
HTML = "<!DOCTYPE html><html><title>Error 502 (Server Error)!!1</title><p>The server encountered a temporary error."


@dataclass(frozen=True)
class Call:
    """One API call: what it asked for (`get`, `batchUpdate`, `values.update` ...), its sub-requests, its size and its answer."""

    kind: str
    method: str
    path: str
    requests: tuple[str, ...]
    size: int
    status: int

    @property
    def is_write(self) -> bool:
        """Whether it counts as a write."""
        return self.method != "GET"


@dataclass
class Fault:
    """Fail the `at`-th call of a kind (any kind where none is named), `times` times in a row.

    `status` CUT cuts the connection, in the middle of the answer where `half` is set. `after` lets the call take effect first,
    so that the caller does not know.
    """

    status: int = 503
    at: int = 1
    times: int = 1
    after: bool = False
    kind: str = ""
    html: bool = False
    half: bool = False
    message: str = ""
    retry_after: str = ""
    hold_seconds: float = 0.0
    seen: int = 0

    def strikes(self, kind: str) -> bool:
        """Whether this call fails; counts it if it is of the kind."""
        if self.kind not in ("", kind):
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times


@dataclass
class Faults:
    """The script of faults and the calls so far."""

    script: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> Fault:
        """Put a fault into the script."""
        with self._lock:
            self.script.append(fault)
        return fault

    def strike(self, kind: str) -> Fault | None:
        """The fault that hits this call, if any."""
        with self._lock:
            hits = [fault for fault in self.script if fault.strikes(kind)]
        return hits[0] if hits else None

    def record(self, call: Call) -> None:
        """Remember a call."""
        with self._lock:
            self.calls.append(call)

    def clear(self) -> None:
        """Forget faults and calls."""
        with self._lock:
            self.script.clear()
            self.calls.clear()


class TornError(Exception):
    """The call fails by a fault: with an answer or with a cut."""

    def __init__(self, fault: Fault, answer: Any = None) -> None:
        super().__init__(fault.status)
        self.fault = fault
        self.answer = answer


@dataclass
class Quotas:
    """Reads and writes that one user, and all of them together, may make in any minute; None sets no limit."""

    clock: Callable[[], datetime]
    per_user: int | None = None
    per_project: int | None = 300
    _made: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)

    def spend(self, user: str, *, is_write: bool) -> None:
        """Count a call; raises 429 with Google's body where the minute is used up."""
        if self.per_user is None:
            return
        what, now = ("Write" if is_write else "Read"), self.clock()
        for whose, limit in ((user, self.per_user), ("", self.per_project)):
            made = self._made.setdefault((whose, what), [])
            made[:] = [moment for moment in made if (now - moment).total_seconds() < 60]
            if limit is not None and len(made) >= limit:
                raise self._exceeded(what, limit, " per user" if whose else "")
        for whose in (user, ""):
            self._made[(whose, what)].append(now)

    def _exceeded(self, what: str, limit: int, per_user: str) -> ApiError:
        name = f"{what}RequestsPerMinutePer{'User' if per_user else 'Project'}"
        message = (
            f"Quota exceeded for quota metric '{what} requests' and limit '{what} requests per minute{per_user}' of service "
            "'sheets.googleapis.com' for consumer 'project_number:104600000001'."
        )
        metadata: dict[str, Any] = {
            "consumer": "projects/104600000001",
            "quota_limit": name,
            "quota_limit_value": str(limit),
            "quota_metric": f"sheets.googleapis.com/{what.lower()}_requests",
            "service": "sheets.googleapis.com",
        }
        info = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "RATE_LIMIT_EXCEEDED",
            "domain": "googleapis.com",
            "metadata": metadata,
        }
        return ApiError(429, message, [info])
