"""What may go wrong on purpose: answers that fail, connections that are cut, before or after the call took effect; and a record
of every call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stand_ins.bigquery.errors import ApiError

REASONS = {403: "accessDenied", 429: "rateLimitExceeded", 500: "internalError", 502: "backendError", 503: "backendError"}


@dataclass(frozen=True)
class Call:
    """One request that reached the stand-in, with the answer's status (0: cut)."""

    method: str
    path: str
    job_kind: str | None
    statement: str | None
    bytes_received: int
    status: int
    labels: dict[str, str] = field(default_factory=dict)
    bytes_processed: int = 0


Matches = Callable[[str, str, Any], bool]


def every_call(_method: str, _path: str, _body: Any) -> bool:
    """Any request."""
    return True


def job_inserts(method: str, path: str, _body: Any) -> bool:
    """Requests that start a job."""
    return method == "POST" and path.endswith(("/jobs", "/queries"))


@dataclass
class Fault:
    """Fail the `at`-th matching call (1 is the next), `times` times in a row.

    `status` 0 cuts the connection. `after` lets the call take effect first, so that the caller does not know.
    """

    status: int = 503
    at: int = 1
    times: int = 1
    after: bool = False
    matches: Matches = every_call
    message: str = "The stand-in was told to fail here"
    seen: int = 0

    def strikes(self, method: str, path: str, body: Any) -> bool:
        """Whether this call fails; counts it if it matches."""
        if not self.matches(method, path, body):
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times

    def as_error(self) -> ApiError:
        """The answer."""
        return ApiError(self.status, REASONS.get(self.status, "internalError"), self.message)


class CutError(Exception):
    """The connection is to be cut without an answer."""


@dataclass
class Faults:
    """The script of faults and the calls seen so far."""

    script: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> Fault:
        """Put a fault into the script."""
        with self._lock:
            self.script.append(fault)
        return fault

    def deny(self, path_part: str) -> None:
        """Answer 403 to every call whose path holds this text, such as `/datasets/secret`."""
        self.denied.add(path_part)

    def strike(self, method: str, path: str, body: Any) -> Fault | None:
        """The fault that hits this call, if any. Raises 403 where the path is denied."""
        for part in self.denied:
            if part in path:
                raise ApiError(403, "accessDenied", f"Access Denied: {path}: Permission denied (or it may not exist).")
        with self._lock:
            hits = [fault for fault in self.script if fault.strikes(method, path, body)]
        return hits[0] if hits else None

    def record(self, call: Call) -> None:
        """Remember a call."""
        with self._lock:
            self.calls.append(call)
