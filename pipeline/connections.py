"""Connections that can be ended from outside.

The time limit of a socket is for each piece of an answer: a service that sends a byte every now and then is never too late for
it, whatever it never comes to an end with (a head, a chunk, a reply of many lines). So somebody else watches the clock.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

LOOK_EVERY_SECONDS = 1.0


class _HasSocket(Protocol):
    sock: Any


class Connections:
    """The open connections of one session, which one thread uses; another one may end them.

    Each is known by a second handle on it: the first may be wrapped for encryption, or be read from at the moment.
    """

    def __init__(self) -> None:
        self._handles: list[tuple[_HasSocket, socket.socket]] = []
        self._changing = threading.Lock()

    def note(self, owner: _HasSocket, connection: socket.socket) -> None:
        """A connection was made; `owner.sock` is None once it is closed."""
        handle = socket.socket(fileno=os.dup(connection.fileno()))
        with self._changing:
            self._handles.append((owner, handle))

    def end(self) -> None:
        """End them all, in both directions: who waits for an answer hears that there is none."""
        with self._changing:
            for _, handle in self._handles:
                with suppress(OSError):  # it has ended already
                    handle.shutdown(socket.SHUT_RDWR)

    def tidy(self) -> None:
        """Let go of those that were closed."""
        with self._changing:
            closed = [handle for owner, handle in self._handles if owner.sock is None]
            self._handles = [(owner, handle) for owner, handle in self._handles if owner.sock is not None]
        for handle in closed:
            handle.close()

    @contextmanager
    def while_there_is_time(self, is_late: Callable[[], bool], look: Callable[[], None]) -> Iterator[threading.Event]:
        """Within it the connections are ended once it `is_late` or `look` raises; what goes wrong then is what that raised.

        Both are asked every second, by another thread. What is yielded is set once they were ended: what was read by then need
        not be whole, though nothing went wrong.
        """
        is_done, was_ended, wishes = threading.Event(), threading.Event(), list[Exception]()

        def is_over() -> bool:
            try:
                look()
            except Exception as wish:
                wishes.append(wish)
            return bool(wishes) or is_late()

        def watch() -> None:
            while not is_done.wait(LOOK_EVERY_SECONDS):
                if is_over():
                    was_ended.set()
                    self.end()

        watching = threading.Thread(target=watch, name="watches a connection", daemon=True)
        watching.start()
        try:
            yield was_ended
        except Exception:
            if wishes:
                raise wishes[0] from None
            raise
        finally:
            is_done.set()
            watching.join()
            self.tidy()


class Adapter(HTTPAdapter):
    """Makes the connections of a session of requests so that `connections` knows them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        """The pools of connections without a proxy."""
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connections)

    def proxy_manager_for(self, *arguments: Any, **more: Any) -> Any:
        """Those through a proxy."""
        manager = super().proxy_manager_for(*arguments, **more)
        manager.pool_classes_by_scheme = _pools(self._connections)
        return manager


def _pools(connections: Connections) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            connections.note(self, made)
            return made

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            connections.note(self, made)
            return made

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}
