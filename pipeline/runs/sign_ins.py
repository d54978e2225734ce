"""Who signed in and out, and what was done since: the audit log read by person, act and day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.runs.database import Database
from pipeline.runs.records import AuditRow
from pipeline.runs.schema import audit
from pipeline.runs.schema_access import sign_ins

KEPT = timedelta(days=60)  # no session lasts as long


@dataclass(frozen=True)
class Acts:
    """Which rows of the audit log: of one person, of one act, from a moment on and before another one."""

    who: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class SignInStore(Database):
    """Sign-ins, and the audit log as a page reads it. There is no way here to change or remove an act."""

    def begin_session(self, session: str, who: str) -> bool:
        """Note down a sign-in; False where it is known already."""
        now = self._clock.now()
        with self._write() as connection:
            connection.execute(delete(sign_ins).where(sign_ins.c.began_at < now - KEPT))
            try:
                with connection.begin_nested():
                    connection.execute(insert(sign_ins).values(session=session, who=who[:200], began_at=now))
            except IntegrityError:
                return False
        return True

    def end_session(self, session: str, who: str) -> None:
        """Sign out: the session counts no more, wherever it is still open."""
        self.begin_session(session, who)
        with self._write() as connection:
            connection.execute(update(sign_ins).where(sign_ins.c.session == session).values(ended_at=self._clock.now()))

    def ended_sessions(self) -> frozenset[str]:
        """The sign-ins that were signed out."""
        with self._read() as connection:
            rows = connection.execute(select(sign_ins.c.session).where(sign_ins.c.ended_at.is_not(None)))
            return frozenset(row.session for row in rows)

    def acts(self, asked: Acts, *, limit: int) -> list[AuditRow]:
        """The last acts of those asked for, newest first."""
        with self._read() as connection:
            rows = connection.execute(_of(select(audit), asked).order_by(audit.c.id.desc()).limit(limit)).all()
        return [AuditRow(**row._mapping) for row in rows]

    def actors(self) -> list[str]:
        """Everybody who has a row in the audit log."""
        with self._read() as connection:
            return [row.who for row in connection.execute(select(audit.c.who).distinct().order_by(audit.c.who))]

    def kinds_of_acts(self) -> list[str]:
        """Every kind of act in the audit log."""
        with self._read() as connection:
            return [row.action for row in connection.execute(select(audit.c.action).distinct().order_by(audit.c.action))]


def _of(rows: Select[tuple[object, ...]], asked: Acts) -> Select[tuple[object, ...]]:
    if asked.who is not None:
        rows = rows.where(audit.c.who == asked.who)
    if asked.action is not None:
        rows = rows.where(audit.c.action == asked.action)
    if asked.since is not None:
        rows = rows.where(audit.c.at >= asked.since)
    if asked.until is not None:
        rows = rows.where(audit.c.at < asked.until)
    return rows
