"""The HTTP side of the stand-in: both versions, the two kinds of token, pages, faults before and after an act, and the calls."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stand_ins.census.machine import Clock, Run, Sync, Workspace, page_of
from stand_ins.serving import Handler, address, listening

PERSONAL_TOKEN = "activations-pat-0123456789abcdef"
WORKSPACE_KEY = "secret-token:0123456789abcdef"
_ROUTE = re.compile(r"/api/(v1|v2)(/.*)")


@dataclass
class Fault:
    """What goes wrong for the next `times` calls whose method and path match; `after` lets the act happen first.

    Without a status the connection is cut.
    """

    method: str
    path: str
    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: bool = False
    times: int = 1


@dataclass
class Call:
    """A request that came in."""

    method: str
    path: str
    query: Mapping[str, str]
    status: int


@dataclass
class Census:
    """A running stand-in. `v1_retired` is the status with which v1 is refused once it is gone; 0 while it is there."""

    url: str
    workspace: Workspace
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    v1_retired: int = 0

    def called(self, method: str, path: str) -> int:
        """How often a path was asked for."""
        return sum(call.method == method and re.search(path, call.path) is not None for call in self.calls)

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this call, if any."""
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None


@contextlib.contextmanager
def running(clock: Clock, *, port: int = 0) -> Iterator[Census]:
    """A stand-in on a free port of the loopback address, for the length of a `with` block."""
    with listening(_Handler, port=port) as server:
        server.census = Census(address(server), Workspace(clock))  # type: ignore[attr-defined]
        yield server.census  # type: ignore[attr-defined]


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"status": {401: "unauthorized", 404: "not_found"}.get(status, "error"), "message": message}


class _Handler(Handler):
    def do_GET(self) -> None:
        census: Census = self.server.census  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        split = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        fault = census.fault(self.command, split.path)
        status, body, headers = self._struck(fault) if fault and not fault.after else self._served(census, split.path, query)
        if fault and fault.after:
            status, body, headers = self._struck(fault)
        census.calls.append(Call(self.command, split.path, query, status))
        if status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(status, body, headers)

    do_POST = do_GET

    def _struck(self, fault: Fault) -> tuple[int, str, Mapping[str, str]]:
        return fault.status, fault.body, fault.headers

    def _served(self, census: Census, path: str, query: Mapping[str, str]) -> tuple[int, str, Mapping[str, str]]:
        try:
            return 200, json.dumps(self._answer(census, path, query)), {"Content-Type": "application/json"}
        except _RefusedError as error:
            return error.status, json.dumps(error.body), {"Content-Type": "application/json"}

    def _send(self, status: int, body: str, headers: Mapping[str, str]) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, census: Census, path: str, query: Mapping[str, str]) -> Any:
        route = _ROUTE.fullmatch(path)
        if route is None:
            raise _RefusedError(404, "No such route")
        version, rest = route.groups()
        if version == "v1" and census.v1_retired:
            raise _RefusedError(census.v1_retired, "This API version has been retired")
        expected = PERSONAL_TOKEN if version == "v2" else WORKSPACE_KEY
        if self.headers.get("Authorization") != f"Bearer {expected}":
            raise _RefusedError(401, "Access denied")
        return self._routed(census.workspace, rest, query)

    def _routed(self, workspace: Workspace, rest: str, query: Mapping[str, str]) -> Any:
        kind, number, *act = rest.strip("/").split("/")
        match (self.command, kind, *act):
            case ("GET", "syncs"):
                return {"status": "success", "data": _sync(workspace, number).to_json()}
            case ("POST", "syncs", "trigger"):
                return _triggered(workspace, _sync(workspace, number), query)
            case ("GET", "syncs", "sync_runs"):
                runs = workspace.runs_of(_sync(workspace, number).id)
                if query.get("order", "desc") == "asc":
                    runs.reverse()
                return _page([run.to_json(workspace.clock.now()) for run in runs], query)
            case ("GET", "sync_runs"):
                return {"status": "success", "data": _run(workspace, number).to_json(workspace.clock.now())}
            case ("GET", "sync_runs", "records"):
                return _page(_run(workspace, number).records(), query)
            case ("POST", "sync_runs", "cancel"):
                workspace.cancel(_run(workspace, number))
                return {"status": "cancelled"}
            case _:
                raise _RefusedError(404, "No such route")


def _triggered(workspace: Workspace, sync: Sync, query: Mapping[str, str]) -> Any:
    full = query.get("force_full_sync") == "true"
    if full and sync.refuses_full:
        raise _RefusedError(422, "Full sync is not supported for append syncs")
    return {"status": "success", "data": {"sync_run_id": workspace.trigger(sync, full=full).id}}


def _page(items: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    per_page = int(query.get("per_page", 25))
    if not 1 <= per_page <= 100:
        raise _RefusedError(400, "per_page has to be between 1 and 100")
    return page_of(items, int(query.get("page", 1)), per_page)


def _sync(workspace: Workspace, number: str) -> Sync:
    if not number.isdigit() or int(number) not in workspace.syncs:
        raise _RefusedError(404, "Sync not found")
    return workspace.syncs[int(number)]


def _run(workspace: Workspace, number: str) -> Run:
    run = workspace.run(int(number)) if number.isdigit() else None
    if run is None:
        raise _RefusedError(404, "Sync run not found")
    return run
