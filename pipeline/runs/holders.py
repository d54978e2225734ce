"""Which holders of the lease are dead: a lock on a file that the system itself lets go of when a process dies.

The lease alone would do, by running out; this only spares those on the same machine the wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from pipeline.files import make_folder

KEPT_SECONDS = 24 * 3600.0  # the lock of a dead process is what proves that it is dead


def new_holder() -> str:
    """A name for this process as holder of the lease, never used twice."""
    return f"{_process()} ({secrets.token_hex(3)})"


def is_this_process(holder: str) -> bool:
    """Whether this very process goes by that name."""
    return holder.startswith(f"{_process()} (")


def _process() -> str:
    return f"{socket.gethostname()} process {os.getpid()}"


class Holders:
    """The living holders that share one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, home: Path) -> Self:
        """Those that work on one home."""
        return cls(home / "holders")

    @contextmanager
    def alive(self, holder: str) -> Iterator[None]:
        """Count as alive until the block ends or the process dies, however it dies."""
        make_folder(self._folder, private=True)
        self._sweep()
        path = self._path(holder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def is_dead(self, holder: str) -> bool:
        """Whether the holder certainly is dead; a holder of another machine is never called so."""
        return _is_free(self._path(holder))

    def _sweep(self) -> None:
        """Take away what the dead left, once it is so old that no lease of theirs can still be running."""
        for path in self._folder.glob("*.lock"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > KEPT_SECONDS and _is_free(path):
                    path.unlink(missing_ok=True)

    def _path(self, holder: str) -> Path:
        return self._folder / (hashlib.sha256(holder.encode()).hexdigest()[:16] + ".lock")


def _is_free(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
