"""GET /healthz: whether the worker lives, for whoever watches it from outside; nothing secret and nobody's name in it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError
from pipeline.runs.records import RunState
from pipeline.runs.store import RunStore
from worker.health import Pulse

PATH = "/healthz"
ANSWER_SECONDS = 10.0  # to whoever asks and then says nothing
FRESH_SECONDS = 1.0  # however many ask, the run store is asked once a second

_log = logging.getLogger(__name__)

Health = tuple[bool, Mapping[str, Any]]


def health(store: RunStore, pulse: Pulse, name: str, now: datetime) -> Health:
    """Whether the worker of that name is well, and what it does, as plain JSON values."""
    told: dict[str, Any] = {"doing": pulse.doing, "next_run_at": _moment(pulse.next_run_at)}
    try:
        worker = next((worker for worker in store.workers() if worker.name == name), None)
        lease, latest = store.lease(), store.latest()
    except NeopulseError:
        return False, {"alive": False, "run_store": "does not answer", **told}
    alive = worker is not None and worker.is_alive(now)
    going_on = latest.id if latest is not None and latest.state is RunState.RUNNING else None
    return alive, {
        "alive": alive,
        "run_store": "answers",
        **told,
        "last_beat_at": _moment(worker.beat_at) if worker else None,
        "seconds_since_beat": (now - worker.beat_at).total_seconds() if worker else None,
        "run": going_on,
        "lease_until": _moment(lease.expires_at) if lease else None,
    }


class HealthServer:
    """Answers GET /healthz with 200 or 503 for the length of a `with` block; port 0 of the settings means not at all."""

    def __init__(self, store: RunStore, pulse: Pulse, *, clock: Clock, name: str, address: str, port: int | None) -> None:
        self._seen: tuple[float, Health] | None = None
        self._lock = threading.Lock()
        self._look: Callable[[], Health] = lambda: health(store, pulse, name, clock.now())
        self._clock = clock
        self._server = None if port is None else _listening(address, port, self._answer)

    @property
    def port(self) -> int:
        """The port that is listened on; 0 where none is."""
        return self._server.server_port if self._server else 0

    def __enter__(self) -> HealthServer:
        if self._server is not None:
            threading.Thread(target=self._server.serve_forever, name="healthz", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self) -> Health:
        with self._lock:
            passed = self._clock.passed()
            if self._seen is None or passed - self._seen[0] >= FRESH_SECONDS:
                self._seen = (passed, self._look())
            return self._seen[1]


def _listening(address: str, port: int, answer: Callable[[], Health]) -> ThreadingHTTPServer:
    class Handler(_Handler):
        ask = staticmethod(answer)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who asked has gone; the traceback that the library prints is nobody's business."""

    try:
        server = Server((address, port), Handler)
    except OSError as error:
        raise ConfigurationError(
            f"The worker cannot answer {PATH} at {address} port {port}: {error.strerror}",
            where="NEOPULSE_HEALTH_PORT",
            safe="Nothing was started",
            next="end what listens there, or set another port, or 0 for none",
        ) from error
    return server


class _Handler(BaseHTTPRequestHandler):
    timeout = ANSWER_SECONDS
    ask: ClassVar[Callable[[], Health]]

    def do_GET(self) -> None:
        if self.path.split("?")[0] != PATH:
            self._send(404, {"error": f"there is only {PATH}"})
            return
        is_well, told = type(self).ask()
        self._send(200 if is_well else 503, told)

    do_HEAD = do_GET

    def version_string(self) -> str:
        return "neopulse"

    def log_message(self, format: str, *arguments: Any) -> None:
        """A look every few seconds for months is not worth a line."""

    def _send(self, status: int, told: Mapping[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
