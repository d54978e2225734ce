"""Keeping the lease while a run goes on: a thread renews it, and tells when it was lost or somebody cancels the run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from pipeline.errors import InterruptedRunError, NeopulseError
from pipeline.runs.holders import Holders, new_holder
from pipeline.runs.records import Lease
from pipeline.runs.store import RunStore

# A dead holder's run is closed within a minute even where nobody can see that it is dead: 40 seconds, and the next look.
LEASE_SECONDS = 40.0
RENEW_SECONDS = 10.0
LOOK_SECONDS = 1.0  # a cancelled run is to end within ten seconds, wherever it runs

_log = logging.getLogger(__name__)


class LeaseKeeper:
    """Holds the lease for the length of a `with` block; raises LeaseHeldError where another run is going on."""

    def __init__(
        self,
        store: RunStore,
        holder: str,
        *,
        seconds: float = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._store = store
        self._holder = holder
        self._seconds = seconds
        self._renew_seconds = renew_seconds
        self._look_seconds = look_seconds
        self._cancelled_by: str | None = None
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self.lease: Lease = self._store.take_lease(self._holder, seconds=self._seconds)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._store.release(self.lease)
        except NeopulseError as silent:
            _log.warning("The lease was not given back and will run out: %s", silent.what)

    @property
    def is_lost(self) -> bool:
        """Whether somebody else may be running by now."""
        return self._lost.is_set()

    def assert_held(self) -> None:
        """Raise InterruptedRunError where the lease was lost; asks the run store itself."""
        self._store.assert_held(self.lease)

    @property
    def cancelled_by(self) -> str | None:
        """Who wants the run to end, as far as the thread knows; `look` asks the run store itself."""
        return self._cancelled_by

    def look(self) -> None:
        """Find out whether somebody cancelled the run."""
        try:
            self._cancelled_by = self._store.cancelled_by(self.lease) or self._cancelled_by
        except NeopulseError as error:
            _log.warning("Nobody knows whether the run was cancelled: %s", error.what)

    def _keep(self) -> None:
        renewed_at = time.monotonic()
        while not self._ended.wait(min(self._look_seconds, self._renew_seconds)) and not self.is_lost:
            self.look()
            if time.monotonic() - renewed_at >= self._renew_seconds:
                renewed_at = time.monotonic()
                self._renew()

    def _renew(self) -> None:
        try:
            self._store.renew(self.lease, seconds=self._seconds)
        except InterruptedRunError:
            self._lost.set()
        except NeopulseError as error:
            # The store may answer again before the lease runs out; if not, `assert_held` stops the run.
            _log.warning("The lease could not be renewed: %s", error.what)


@contextmanager
def holding(store: RunStore, holders: Holders) -> Iterator[LeaseKeeper]:
    """Hold the lease as a new holder that counts as alive, for the length of a `with` block; what the dead left is closed first.

    Raises LeaseHeldError where another run is going on.
    """
    store.look_on(holders.is_dead)
    store.reap(holders.is_dead)
    holder = new_holder()
    with holders.alive(holder), LeaseKeeper(store, holder) as keeper:
        yield keeper
