"""Who signed in and out: a session that was signed out counts nowhere any more."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, insert, select, update

from pipeline.runs.database import Database, insert_once
from pipeline.runs.schema_access import sign_ins

KEPT = timedelta(days=60)  # no session lasts as long


class SignInStore(Database):
    """Sign-ins, by a hash of what the provider said."""

    def begin_session(self, session: str, who: str) -> bool:
        """Note down a sign-in; False where it is known already."""
        now = self._clock.now()
        with self._write() as connection:
            connection.execute(delete(sign_ins).where(sign_ins.c.began_at < now - KEPT))
            return insert_once(connection, insert(sign_ins).values(session=session, who=who[:200], began_at=now))

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
