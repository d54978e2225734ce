"""The HTTP side: one thread a connection, bearer tokens, uploads in one or several parts, faults, and the record of calls."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import itertools
import json
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from stand_ins.bigquery.errors import ApiError, invalid
from stand_ins.bigquery.faults import Call, CutError, Fault, Faults
from stand_ins.bigquery.protocol import Protocol, Request
from stand_ins.bigquery.storage import Warehouse
from stand_ins.serving import Handler, address, listening

PREFIX = "/bigquery/v2"
UPLOAD = "/upload/bigquery/v2"


def utc_now() -> dt.datetime:
    """The machine's clock."""
    return dt.datetime.now(dt.UTC)


@dataclass
class StandIn:
    """A running stand-in: where it listens, what it holds, what it was asked, and how it shall fail."""

    url: str
    warehouse: Warehouse
    protocol: Protocol
    faults: Faults
    uploads: dict[str, tuple[Request, bytearray]] = field(default_factory=dict)
    upload_names: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def calls(self) -> list[Call]:
        """Every call so far."""
        return self.faults.calls


@contextlib.contextmanager
def running(*, database: str = ":memory:", clock: Callable[[], dt.datetime] = utc_now, port: int = 0) -> Iterator[StandIn]:
    """A stand-in on a free port of the loopback address, for the length of a `with` block."""
    warehouse = Warehouse(database=database, clock=clock)
    try:
        with listening(_Handler, port=port) as server:
            server.stand_in = StandIn(address(server), warehouse, Protocol(warehouse), Faults())  # type: ignore[attr-defined]
            yield server.stand_in  # type: ignore[attr-defined]
    finally:
        warehouse.close()


class _Handler(Handler):
    _request: Request | None = None

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    @property
    def _stand_in(self) -> StandIn:
        made: StandIn = self.server.stand_in  # type: ignore[attr-defined]
        return made

    def _serve(self) -> None:
        raw = self._read()
        headers: dict[str, str] = {}
        status, request, answer = 500, None, None
        try:
            request, answer, headers = self._answered(raw)
            status = 200 if answer is not None or headers else 204
        except IncompleteError as error:
            status, headers = error.status, error.headers
        except ApiError as error:
            status, answer = error.status, error.as_body()
        except CutError:
            status = 0
        except Exception as error:  # never 5xx: the clients would try again for ten minutes
            traceback.print_exc()
            status, answer = 400, invalid(f"The BigQuery stand-in itself is broken: {error!r}").as_body()
        self._record(request, raw, status, answer)
        if status == 0:
            self.close_connection = True
            return
        self._send(status, answer, headers)

    def _answered(self, raw: bytes) -> tuple[Request, Any, dict[str, str]]:
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            raise ApiError(
                401, "required", "Request is missing required authentication credential. Expected OAuth 2 access token."
            )
        split = urlsplit(self.path)
        query = dict(parse_qsl(split.query))
        path = unquote(split.path)
        body = None if path.startswith(UPLOAD) else _json(raw)
        revision = self.headers.get("If-Match", "")
        self._request = request = Request(self.command, path.removeprefix(PREFIX), query, body, revision=revision)
        fault = self._stand_in.faults.strike(self.command, path, body)
        if fault is not None and not fault.after:
            _fail(fault)
        if path.startswith(UPLOAD):
            answer, headers = self._upload(Request(self.command, path.removeprefix(UPLOAD), query), raw)
        else:
            answer, headers = self._stand_in.protocol.answer(request), {}
        if fault is not None:
            _fail(fault)
        return request, answer, headers

    def _upload(self, request: Request, raw: bytes) -> tuple[Any, dict[str, str]]:
        if request.query.get("uploadType") == "multipart":
            resource, data = _parts(self.headers.get("Content-Type", ""), raw)
            return self._start(request, resource, data), {}
        if self.command == "POST":
            name = str(next(self._stand_in.upload_names))
            started = Request("POST", request.path, request.query, _json(raw))
            self._stand_in.uploads[name] = (started, bytearray())
            return None, {"Location": f"{self._stand_in.url}{UPLOAD}{request.path}?uploadType=resumable&upload_id={name}"}
        return self._continue(request, raw)

    def _continue(self, request: Request, raw: bytes) -> tuple[Any, dict[str, str]]:
        """A PUT of a resumable upload: 308 until the range that was announced is there."""
        name = request.query.get("upload_id", "")
        if name not in self._stand_in.uploads:
            raise ApiError(404, "notFound", f"Not found: upload {name}")
        started, received = self._stand_in.uploads[name]
        sent, _, total = self.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if sent and sent != "*":
            first = int(sent.split("-")[0])
            received[first:] = raw
        elif raw:
            received[:] = raw
        if total == "*" or (total and len(received) < int(total)):
            reached = {"Range": f"bytes=0-{len(received) - 1}"} if received else {}
            raise IncompleteError(reached)
        del self._stand_in.uploads[name]
        return self._start(started, started.body, bytes(received)), {}

    def _start(self, request: Request, resource: Any, data: bytes) -> Any:
        self._request = made = Request("POST", request.path, request.query, resource, data)
        return self._stand_in.protocol.answer(made)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(data)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        data = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data)

    def _record(self, request: Request | None, raw: bytes, status: int, answer: Any) -> None:
        body: Any = self._request or request
        body = body.body if body is not None and isinstance(body.body, dict) else {}
        configuration = body.get("configuration", {})
        kind = next((name for name in ("query", "load", "copy", "extract") if name in configuration), None)
        statement = configuration.get("query", {}).get("query") if kind == "query" else body.get("query")
        statistics = answer.get("statistics", answer) if isinstance(answer, dict) else {}
        self._stand_in.faults.record(
            Call(
                method=self.command,
                path=urlsplit(self.path).path,
                job_kind=kind or ("query" if statement else None),
                statement=statement if isinstance(statement, str) else None,
                bytes_received=len(raw),
                status=status,
                labels=configuration.get("labels", body.get("labels")) or {},
                bytes_processed=int(statistics.get("totalBytesProcessed", 0)),
            )
        )
        self._request = None


class IncompleteError(ApiError):
    """308: more of a resumable upload is awaited."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(308, "resume", "Resume Incomplete")
        self.headers = headers


def _fail(fault: Fault) -> None:
    if fault.status == 0:
        raise CutError
    raise fault.as_error()


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError as error:
        raise invalid(f"Parse error in the request's JSON: {error}") from error


def _parts(content_type: str, raw: bytes) -> tuple[Any, bytes]:
    """The two parts of multipart/related: the resource and the media."""
    boundary = content_type.split("boundary=")[1].split(";")[0].strip("\"' ").encode()
    parts = raw.split(b"--" + boundary)[1:-1]
    bodies = [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in parts]
    return json.loads(bodies[0]), bodies[1]
