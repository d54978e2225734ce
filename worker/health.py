"""Whether the worker is alive: a row that it renews, the probe that reads it, and the watchdog that ends a stuck one."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from pipeline.clock import Clock
from pipeline.errors import NeopulseError
from pipeline.runs.database import StoreMovedError
from pipeline.runs.holders import is_this_process
from pipeline.runs.records import Doing
from pipeline.runs.store import RunStore

BEAT_SECONDS = 5.0
STUCK_BEATS = 24  # two minutes without a turn of the loop, counted in beats: a machine that slept is not stuck

_log = logging.getLogger(__name__)


def worker_name() -> str:
    """One worker a machine or container, so its name is the machine's."""
    return socket.gethostname()


def is_healthy(store: RunStore, name: str, now: datetime) -> bool:
    """Whether the worker of that name has beaten of late."""
    return any(worker.name == name and worker.is_alive(now) for worker in store.workers())


class Pulse:
    """What the loop does, as seen from the thread that beats."""

    def __init__(self) -> None:
        self.turns = 0
        self.doing = Doing.WAITING
        self.next_run_at: datetime | None = None
        self._seen = 0
        self._still = 0

    def is_stuck(self, *, lease_is_ours: bool) -> bool:
        """Whether nothing has moved for STUCK_BEATS calls of this; a run may last for as long as its lease is kept."""
        moves = lease_is_ours if self.doing is Doing.RUNNING else self.turns != self._seen
        self._seen = self.turns
        self._still = 0 if moves else self._still + 1
        return self._still >= STUCK_BEATS


class Heart:
    """The thread that beats while the loop turns, and ends the process when the loop stands still.

    A container is started again when its process exits, never because it is called unhealthy.
    """

    def __init__(self, store: RunStore, pulse: Pulse, *, clock: Clock, die: Callable[[int], object] = os._exit) -> None:
        self._store = store
        self._pulse = pulse
        self._started_at = clock.now()
        self._die = die
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heart", daemon=True)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        self._pulse.doing, self._pulse.next_run_at = Doing.ENDED, None
        self._beat_safely()

    def beat(self) -> None:
        """Renew the worker's row, or end the process where the loop is stuck or its run store was taken away."""
        try:
            lease = self._store.lease()
            if self._pulse.is_stuck(lease_is_ours=lease is not None and is_this_process(lease.holder)):
                _log.critical("the worker has stood still for too long and ends itself")
                self._die(1)
            pulse = self._pulse
            self._store.beat(worker_name(), started_at=self._started_at, doing=pulse.doing, next_run_at=pulse.next_run_at)
        except (
            StoreMovedError
        ) as error:  # what it does from now on nobody would see; one that begins anew sees the file that lies there
            _log.critical("the worker ends itself: %s", error)
            self._die(1)
        except NeopulseError as error:
            _log.warning("no beat: %s", error.what)

    def _beat_on(self) -> None:
        self._beat_safely()
        while not self._ended.wait(BEAT_SECONDS):
            self._beat_safely()

    def _beat_safely(self) -> None:
        """A heart that stops for a fault in one beat would call a worker dead that lives."""
        try:
            self.beat()
        except Exception as error:
            _log.error("no beat: %s", type(error).__name__, exc_info=error)
