"""A server that sends a byte every now and then and comes to no end."""

from __future__ import annotations

import socketserver
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from stand_ins.serving import HOST, started, stopped

LONGEST_SECONDS = 20.0  # a client that does not give up is to be seen, not waited for


class Dripping:
    """What it says first and then again and again, and how many have come."""

    def __init__(self, first: bytes, again: bytes) -> None:
        self.first, self.again = first, again
        self.port = self.visits = self.left = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@contextmanager
def dripping(first: bytes, again: bytes = b"x", *, hears: bool = True) -> Iterator[Dripping]:
    """Run it; `hears` waits for the request before the first word, as a mail server does not."""
    house = Dripping(first, again)

    class Session(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            house.visits += 1
            with suppress(OSError):
                if hears:
                    self.request.recv(65_536)
                self.request.sendall(house.first)
                end = time.monotonic() + LONGEST_SECONDS
                while time.monotonic() < end:
                    self.request.sendall(house.again)
                    time.sleep(0.02)
            house.left += 1

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    server: Any = started(Server((HOST, 0), Session))
    house.port = server.server_address[1]
    try:
        yield house
    finally:
        stopped(server)
