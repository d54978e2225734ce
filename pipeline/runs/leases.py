"""The lease: one run at a time, decided by the database; its token tells a late holder from the present one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from pipeline.errors import InterruptedRunError, PermanentError
from pipeline.runs.database import Database
from pipeline.runs.records import Lease
from pipeline.runs.schema import RUN_LEASE, leases

LOOK_SECONDS = 1.0
_ROW = select(leases).where(leases.c.name == RUN_LEASE)
_log = logging.getLogger(__name__)


class LeaseHeldError(PermanentError):
    """Another run is going on."""


class LeaseStore(Database):
    """Take, renew, release and check the lease."""

    def take_lease(self, holder: str, *, seconds: float) -> Lease:
        """Become the one who may run, for that many seconds unless renewed.

        Raises LeaseHeldError that names the present holder, since when, and its run.
        """
        now = self._clock.now()
        with self._write() as connection:
            row = connection.execute(_ROW.with_for_update()).one()
            if self._is_living(row):
                raise _held(row.holder, row.taken_at, row.run_id)
            lease = Lease(holder=holder, token=row.token + 1, expires_at=now + timedelta(seconds=seconds))
            values = {"holder": holder, "token": lease.token, "run_id": None, "taken_at": now, "expires_at": lease.expires_at}
            connection.execute(update(leases).where(leases.c.name == RUN_LEASE).values(**values))
        self._sightings.is_over(lease.token, lease.expires_at)
        return lease

    def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """Keep the lease for that many seconds from now; raises InterruptedRunError where it was lost."""
        expires_at = self._clock.now() + timedelta(seconds=seconds)
        with self._write() as connection:
            renewed = connection.execute(update(leases).where(*_is_held_by(lease)).values(expires_at=expires_at))
        if renewed.rowcount != 1:
            raise lost(lease)
        self._sightings.is_over(lease.token, expires_at)
        return Lease(holder=lease.holder, token=lease.token, expires_at=expires_at)

    def release(self, lease: Lease) -> None:
        """Let others run; does nothing where the lease was lost already."""
        with self._write() as connection:
            connection.execute(update(leases).where(*_is_held_by(lease)).values(holder=None, run_id=None, expires_at=None))

    def assert_held(self, lease: Lease) -> None:
        """Raise InterruptedRunError where somebody else holds the lease or it ran out."""
        with self._read() as connection:
            row = connection.execute(select(leases).where(*_is_held_by(lease))).one_or_none()
        if row is None or not self._is_living(row):
            raise lost(lease)

    def assert_free(self) -> None:
        """Raise LeaseHeldError where a run is going on; what the dead left is to be reaped before."""
        with self._read() as connection:
            row = connection.execute(_ROW).one()
        if self._is_living(row):
            raise _held(row.holder, row.taken_at, row.run_id)

    def lease(self) -> Lease | None:
        """Who holds the lease now, if anybody."""
        with self._read() as connection:
            row = connection.execute(_ROW).one()
        if not self._is_living(row):
            return None
        return Lease(holder=row.holder, token=row.token, expires_at=row.expires_at, taken_at=row.taken_at)

    def look_on(self, is_dead: Callable[[str], bool] = lambda _holder: False) -> None:
        """Where the lease's time is over by this clock, wait until it is renewed or it is known that nobody does.

        For a process that has just begun; one that goes on looks now and then anyway.
        """
        first: tuple[int, datetime] | None = None
        while True:
            with self._read() as connection:
                row = connection.execute(_ROW).one()
            if row.holder is None or row.expires_at > self._clock.now() or is_dead(row.holder) or not self._is_living(row):
                return
            if first is None:
                _log.warning("the time of the lease of %s is over; looking on for a moment whether it is renewed", row.holder)
                first = (row.token, row.expires_at)
            if first != (row.token, row.expires_at):
                return
            self._clock.sleep(LOOK_SECONDS)

    def _is_living(self, row: Row[Any]) -> bool:
        return row.holder is not None and not self._sightings.is_over(row.token, row.expires_at)


def one_at_a_time(connection: Connection) -> None:
    """Wait for whoever serves slots, takes up a run or begins one at this moment: all of them touch the row of the lease."""
    connection.execute(select(leases.c.name).where(leases.c.name == RUN_LEASE).with_for_update())


def take_away(connection: Connection, token: int) -> None:
    """End a dead holder's lease; what it still wants to write is refused."""
    connection.execute(
        update(leases)
        .where(leases.c.name == RUN_LEASE, leases.c.token == token)
        .values(holder=None, run_id=None, expires_at=None)
    )


def lost(lease: Lease) -> InterruptedRunError:
    """The error of a holder that is too late."""
    return InterruptedRunError(
        "The run lost its lease: it was silent for too long and may have been taken over",
        where=f"lease {lease.token} of {lease.holder}",
        safe="Nothing more is written by this run",
        next="neopulse status, then neopulse run",
    )


def _is_held_by(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (leases.c.name == RUN_LEASE, leases.c.token == lease.token, leases.c.holder == lease.holder)


def _held(holder: str, since: datetime, run_id: int | None) -> LeaseHeldError:
    run = f"Run {run_id}" if run_id is not None else "A run"
    return LeaseHeldError(
        f"{run} is going on",
        where=f"held by {holder} since {since:%Y-%m-%d %H:%M:%S} UTC",
        safe="The run that is going on is not disturbed, and nothing was changed",
        next="neopulse status shows how far it is; try again when it has ended",
    )
