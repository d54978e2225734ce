"""The HTTP side: one thread a connection, tokens, quotas, faults, and the record of calls."""

from __future__ import annotations

import contextlib
import json
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from stand_ins.google_sheets import fields, tokens
from stand_ins.google_sheets.errors import ApiError, invalid
from stand_ins.google_sheets.faults import CUT, HTML, MESSAGES, Call, Fault, Faults, Quotas, TornError
from stand_ins.google_sheets.grid import Book
from stand_ins.google_sheets.service import Request, Service
from stand_ins.google_sheets.tokens import RefusedError, Tokens
from stand_ins.serving import Handler, address, listening

ACCOUNT = "neopulse@bank-analytics.iam.gserviceaccount.com"
TOKEN_PATH = "/token"


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


@dataclass
class StandIn:
    """A running stand-in: where it listens, what it holds, what it was asked, and how it shall fail."""

    url: str
    service: Service
    tokens: Tokens
    faults: Faults
    quotas: Quotas

    @property
    def calls(self) -> list[Call]:
        """Every API call so far; tokens do not count."""
        return self.faults.calls

    def key_file(self, email: str = ACCOUNT, *, number: int = 1) -> dict[str, str]:
        """A service account's key file that signs in here."""
        return tokens.key_file(email, self.tokens.url, number=number)

    def create(self, title: str = "Bank KPIs", *, shared: dict[str, str] | None = None, book_id: str = "") -> Book:
        """A spreadsheet of a person's, shared with the service account as an editor unless said otherwise."""
        book = self.service.create(title, "person@bank.example", book_id=book_id)
        book.shared |= {ACCOUNT: "writer"} if shared is None else shared
        return book

    def book(self, book_id: str) -> Book:
        """The spreadsheet as it is now."""
        with self.service.lock:
            return self.service.books[book_id]


@contextlib.contextmanager
def running(*, clock: Callable[[], datetime] = utc_now, writes_per_minute: int | None = None, port: int = 0) -> Iterator[StandIn]:
    """A stand-in on a free port of the loopback address, for the length of a `with` block."""
    with listening(_Handler, port=port) as server:
        url = address(server)
        known = Tokens(utc_now, url + TOKEN_PATH)  # google-auth signs by the machine's clock
        known.know(ACCOUNT)
        server.stand_in = StandIn(url, Service(clock), known, Faults(), Quotas(clock, per_user=writes_per_minute))  # type: ignore[attr-defined]
        yield server.stand_in  # type: ignore[attr-defined]


class _Handler(Handler):
    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    @property
    def _stand_in(self) -> StandIn:
        made: StandIn = self.server.stand_in  # type: ignore[attr-defined]
        return made

    def _serve(self) -> None:
        split = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if split.path == TOKEN_PATH:
            self._token(raw)
            return
        request = Request(self.command, unquote(split.path), parse_qs(split.query), self._body(raw), "")
        headers: dict[str, str] = {}
        try:
            answer = self._answered(request)
            status = 204 if answer is None else 200
        except TornError as torn:
            if torn.fault.half:
                self._record(request, len(raw), CUT)
                self._send_half(torn.answer)
                return
            status, answer, headers = _as_answer(torn.fault)
        except ApiError as error:
            status, answer = error.status, error.as_body()
        except Exception as error:
            traceback.print_exc()
            status, answer = 400, invalid(f"The Google Sheets stand-in itself is broken: {error!r}").as_body()
        self._record(request, len(raw), status)
        if status == CUT:
            self.close_connection = True
            return
        self._send(status, answer, headers)

    def _answered(self, request: Request) -> Any:
        stand_in, kind = self._stand_in, self._stand_in.service.kind(request)
        user = stand_in.tokens.user(self.headers.get("Authorization", ""))
        fault = stand_in.faults.strike(kind)
        if fault is not None and not fault.after:
            time.sleep(fault.hold_seconds)
            raise TornError(fault)
        with stand_in.service.lock:
            stand_in.quotas.spend(user, is_write=request.method != "GET")
        answer = stand_in.service.answer(Request(request.method, request.path, request.query, request.body, user))
        if fault is not None:
            time.sleep(fault.hold_seconds)
            raise TornError(fault, answer)
        mask = request.one("fields")
        is_masked_here = mask and kind not in ("get", "drive") and isinstance(answer, dict)
        return fields.kept(answer, fields.parse(mask)) if is_masked_here else answer

    def _body(self, raw: bytes) -> Any:
        if "/upload/" in self.path:
            return raw
        try:
            return json.loads(raw) if raw else None
        except ValueError:
            return None

    def _token(self, raw: bytes) -> None:
        if self._stand_in.tokens.faults:
            self._send(self._stand_in.tokens.faults.pop(0), HTML, {})
            return
        form = {name: given[0] for name, given in parse_qs(raw.decode()).items()}
        try:
            status, answer = 200, self._stand_in.tokens.issue(form)
        except RefusedError as refused:
            status, answer = 400, refused.body
        self._send(status, answer, {})

    def _record(self, request: Request, size: int, status: int) -> None:
        body = request.body if isinstance(request.body, dict) else {}
        kinds = tuple(next(iter(each), "") for each in body.get("requests", []) if isinstance(each, dict))
        kind = self._stand_in.service.kind(request)
        self._stand_in.faults.record(Call(kind, request.method, request.path, kinds, size, status))

    def _send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        is_html = isinstance(answer, str)
        data = (
            answer.encode() if isinstance(answer, str) else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        )
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Type", "text/html" if is_html else "application/json; charset=UTF-8")
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if status != 204:
                self.wfile.write(data)

    def _send_half(self, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True


def _as_answer(fault: Fault) -> tuple[int, Any, dict[str, str]]:
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    if fault.html:
        return fault.status, HTML, headers
    return (
        fault.status,
        ApiError(fault.status, fault.message or MESSAGES.get(fault.status, "Told to fail here.")).as_body(),
        headers,
    )
