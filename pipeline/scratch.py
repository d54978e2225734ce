"""This process' own folder in the system's temporary one, for what need not outlive it: what engines spill, customers among it.

A process that is killed cannot remove its own; the next one that needs such a folder does, for the system lets go of a lock.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "neopulse-process-"
NEW_SECONDS = 60  # between its making and its lock a folder looks like one that a dead process left

_own: Path | None = None


def folder() -> Path:
    """The folder, made where it is not there; it goes when the process ends. Those of killed processes go now."""
    global _own  # one a process
    if _own is None or not _own.is_dir():
        _remove_abandoned(Path(tempfile.gettempdir()))
        _own = Path(tempfile.mkdtemp(prefix=PREFIX))
        _lock(_own)  # kept open, so that the lock ends with the process; systemd-tmpfiles leaves it alone as well
        atexit.register(shutil.rmtree, _own, ignore_errors=True)
    return _own


def _remove_abandoned(place: Path) -> None:
    for path in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody's at work, or another user's
            about = path.lstat()
            if about.st_uid != os.getuid() or time.time() - about.st_mtime < NEW_SECONDS:
                continue
            descriptor = _lock(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)


def _lock(path: Path) -> int:
    """Lock a folder; raises BlockingIOError where a living process has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
