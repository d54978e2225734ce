"""The lease: one run at a time, decided by the database; its token tells a late holder from the present one."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, or_, select, update

from pipeline.errors import InterruptedRunError, PermanentError
from pipeline.runs.database import Database
from pipeline.runs.records import Lease
from pipeline.runs.schema import RUN_LEASE, leases


class LeaseHeldError(PermanentError):
    """Another run is going on."""


class LeaseStore(Database):
    """Take, renew, release and check the lease."""

    def take_lease(self, holder: str, *, seconds: float) -> Lease:
        """Become the one who may run, for that many seconds unless renewed.

        Raises LeaseHeldError that names the present holder, since when, and its run.
        """
        now = self._clock.now()
        expires_at = now + timedelta(seconds=seconds)
        free = or_(leases.c.holder.is_(None), leases.c.expires_at <= now)
        with self._write() as connection:
            taken = connection.execute(
                update(leases)
                .where(leases.c.name == RUN_LEASE, free)
                .values(holder=holder, token=leases.c.token + 1, run_id=None, taken_at=now, expires_at=expires_at)
            )
            row = connection.execute(select(leases).where(leases.c.name == RUN_LEASE)).one()
        if taken.rowcount != 1:
            raise _held(row.holder, row.taken_at, row.run_id)
        return Lease(holder=holder, token=row.token, expires_at=expires_at)

    def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """Keep the lease for that many seconds from now; raises InterruptedRunError where it was lost."""
        expires_at = self._clock.now() + timedelta(seconds=seconds)
        with self._write() as connection:
            renewed = connection.execute(update(leases).where(*_is_held_by(lease)).values(expires_at=expires_at))
        if renewed.rowcount != 1:
            raise lost(lease)
        return Lease(holder=lease.holder, token=lease.token, expires_at=expires_at)

    def release(self, lease: Lease) -> None:
        """Let others run; does nothing where the lease was lost already."""
        with self._write() as connection:
            connection.execute(update(leases).where(*_is_held_by(lease)).values(holder=None, run_id=None, expires_at=None))

    def assert_held(self, lease: Lease) -> None:
        """Raise InterruptedRunError where somebody else holds the lease or it ran out."""
        with self._read() as connection:
            row = connection.execute(select(leases.c.expires_at).where(*_is_held_by(lease))).one_or_none()
        if row is None or row.expires_at <= self._clock.now():
            raise lost(lease)

    def assert_free(self) -> None:
        """Raise LeaseHeldError where a run is going on; what the dead left is to be reaped before."""
        with self._read() as connection:
            row = connection.execute(select(leases).where(leases.c.name == RUN_LEASE)).one()
        if row.holder is not None and row.expires_at > self._clock.now():
            raise _held(row.holder, row.taken_at, row.run_id)

    def lease(self) -> Lease | None:
        """Who holds the lease now, if anybody."""
        with self._read() as connection:
            row = connection.execute(select(leases).where(leases.c.name == RUN_LEASE)).one()
        if row.holder is None or row.expires_at <= self._clock.now():
            return None
        return Lease(holder=row.holder, token=row.token, expires_at=row.expires_at, taken_at=row.taken_at)


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
