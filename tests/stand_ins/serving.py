"""How a stand-in listens on the loopback address: its server in a thread, for a `with` block or from start to stop."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"
POLL_SECONDS = 0.02  # how soon a server hears that it is to end


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with connections that are kept, and nothing printed: calls are recorded."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@contextlib.contextmanager
def listening(handler: type[BaseHTTPRequestHandler], *, port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """A server on a port, 0 for a free one; its handlers read what they need off `self.server`."""
    server = started(ThreadingHTTPServer((HOST, port), handler))
    try:
        yield server
    finally:
        stopped(server)


def address(server: ThreadingHTTPServer) -> str:
    """Where an HTTP server listens."""
    return f"http://{HOST}:{server.server_port}"


Server = ThreadingHTTPServer | socketserver.ThreadingTCPServer


def started(server: Server) -> Any:
    """The server, serving."""
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": POLL_SECONDS}, daemon=True).start()
    return server


def stopped(server: Server) -> None:
    """End it, and free its port."""
    server.shutdown()
    server.server_close()
