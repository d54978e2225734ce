"""Who did what, and which worker is alive. Audit rows are only ever added: there is no way here to change one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update

from pipeline.runs.database import Database, insert_once
from pipeline.runs.records import AuditRow, Doing, WorkerRow
from pipeline.runs.schema import audit, workers


@dataclass(frozen=True)
class Acts:
    """Which rows of the audit log: of one person, of one act, from a moment on and before another one."""

    who: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERY = Acts()


class TrailStore(Database):
    """Audit rows and workers' signs of life."""

    def audit(self, who: str, action: str, what: str, *, before: Any = None, after: Any = None) -> None:
        """Note down an act: who, which act, on what, and the values before and after (JSON)."""
        with self._write() as connection:
            connection.execute(
                insert(audit).values(at=self._clock.now(), who=who, action=action, what=what, before=before, after=after)
            )

    def acts(self, asked: Acts = EVERY, *, limit: int = 100) -> list[AuditRow]:
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

    def beat(self, worker: str, *, started_at: datetime, doing: Doing, next_run_at: datetime | None = None) -> None:
        """Note down that a worker is alive, what it does, and when its schedule runs next."""
        values = {"started_at": started_at, "beat_at": self._clock.now(), "doing": doing, "next_run_at": next_run_at}
        with self._write() as connection:
            changed = connection.execute(update(workers).where(workers.c.name == worker).values(**values))
            if changed.rowcount == 0:
                insert_once(connection, insert(workers).values(name=worker, **values))  # a twin that was quicker has beaten, too

    def workers(self) -> list[WorkerRow]:
        """Every worker that ever beat, the liveliest first."""
        with self._read() as connection:
            rows = connection.execute(select(workers).order_by(workers.c.beat_at.desc())).all()
        return [WorkerRow(**row._mapping) for row in rows]


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
