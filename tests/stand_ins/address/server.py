"""A stand-in for an address that takes rows: the plain way and HubSpot's, with rows it refuses, faults and a record of all."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from stand_ins.serving import Handler, address, listening

Row = dict[str, Any]


@dataclass
class Destination:
    """What was taken, by key; how it shall fail. `refuse` gives a reason for a row that is not wanted.

    `strict` refuses a whole batch for one bad row, as most endpoints do; else the bad rows are listed in the answer. `fail`
    is asked before (False) and after (True) a batch is taken and gives a status, 0 for a cut connection, or None.
    """

    url: str
    rows: dict[str, Row] = field(default_factory=dict)
    appended: list[Row] = field(default_factory=list)
    refuse: Callable[[Row], str] = lambda _row: ""
    fail: Callable[[int, bool], int | None] = lambda _call, _after: None
    strict: bool = True
    token: str = ""
    answer: Any = None
    calls: list[tuple[str, Any]] = field(default_factory=list)
    keys_seen: set[str] = field(default_factory=set)

    @property
    def posts(self) -> list[Any]:
        """The bodies that came in."""
        return [body for method, body in self.calls if method == "POST"]


@contextlib.contextmanager
def running() -> Iterator[Destination]:
    """A stand-in on a free port of the loopback address."""
    with listening(_Handler) as server:
        server.destination = Destination(address(server))  # type: ignore[attr-defined]
        yield server.destination  # type: ignore[attr-defined]


class _Handler(Handler):
    def do_POST(self) -> None:
        there: Destination = self.server.destination  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        there.calls.append(("POST", body))
        if there.token and self.headers.get("Authorization") != f"Bearer {there.token}":
            self._send(401, {"message": f"not for {self.headers.get('Authorization')}"})
            return
        number = len(there.posts)
        status = there.fail(number, False)
        if status is None:
            status, answer = self._taken(there, body)
            after = there.fail(number, True)
            status = status if after is None else after
        else:
            answer = {"message": "a fault"}
        if status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(status, there.answer if there.answer is not None else answer)

    def do_HEAD(self) -> None:
        there: Destination = self.server.destination  # type: ignore[attr-defined]
        there.calls.append(("HEAD", None))
        is_known = not there.token or self.headers.get("Authorization") == f"Bearer {there.token}"
        self._send(405 if is_known else 401, None)

    def _taken(self, there: Destination, body: Any) -> tuple[int, Any]:
        if "inputs" in body:
            return _upserted(there, body["inputs"])
        key = body["key"]
        reasons = {str(row[key]): reason for row in body["records"] if (reason := there.refuse(row))}
        if reasons and there.strict:
            return 422, {"message": "; ".join(f"{name}: {reason}" for name, reason in reasons.items())}
        _apply(there, body, reasons, self.headers["Idempotency-Key"])
        if not reasons:
            return 204, None
        rejected = [{"key": name, "reason": reason} for name, reason in reasons.items()]
        return 200, {"accepted": len(body["records"]) - len(reasons), "rejected": rejected}

    def _send(self, status: int, content: Any) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)


def _apply(there: Destination, body: Any, reasons: dict[str, str], idempotency_key: str) -> None:
    key, operation = body["key"], body["operation"]
    is_new = idempotency_key not in there.keys_seen
    there.keys_seen.add(idempotency_key)
    for row in body["records"]:
        name = str(row[key])
        if name in reasons:
            continue
        if operation == "delete":
            there.rows.pop(name, None)
        else:
            there.rows[name] = row
        if operation == "append" and is_new:
            there.appended.append(row)


def _upserted(there: Destination, inputs: list[Any]) -> tuple[int, Any]:
    results, errors = [], []
    for each in inputs:
        if reason := there.refuse(each["properties"]):
            errors.append(
                {"status": "error", "category": "VALIDATION_ERROR", "message": reason, "context": {"ids": [each["id"]]}}
            )
        else:
            is_new = each["id"] not in there.rows
            there.rows[each["id"]] = each["properties"]
            results.append({"id": f"9{each['id']}", "properties": each["properties"], "new": is_new})
    if not errors:
        return 200, {"status": "COMPLETE", "results": results}
    return 207, {"status": "COMPLETE", "results": results, "numErrors": len(errors), "errors": errors}
