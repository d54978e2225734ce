"""What became of each sync, run by run and by hand, and the rows that were not taken, with what was to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select

from pipeline.runs.database import Database
from pipeline.runs.records import RejectedRow, SyncRun, SyncState
from pipeline.runs.schema_syncs import sync_rejects, sync_runs

RUNS_WITH_REJECTS = 20  # of one sync: a row that was refused is a customer's, and is not kept for longer than it serves
LONGEST_KEY = 200
ROWS_A_STATEMENT = 500


class SyncStore(Database):
    """Note down what a sync did, and find it again."""

    def record_sync(
        self,
        sync: str,
        *,
        state: SyncState,
        service: str,
        who: str,
        started_at: datetime,
        run_id: int | None = None,
        scope: Mapping[str, Any] | None = None,
        counts: Mapping[str, int] | None = None,
        notes: Sequence[str] = (),
        link: str = "",
        error: str | None = None,
        rejects: Sequence[tuple[str, str, Mapping[str, Any]]] = (),
    ) -> None:
        """Add what a sync did; `rejects` are (key, reason, row) with plain JSON values. Old rejects of the sync go."""
        values: dict[str, Any] = {
            "sync": sync,
            "state": state,
            "service": service,
            "who": who,
            "run_id": run_id,
            "scope": dict(scope or {}),
        }
        values |= {"counts": dict(counts or {}), "notes": list(notes), "link": link, "error": error}
        with self._write() as connection:
            row = insert(sync_runs).values(**values, started_at=started_at, ended_at=self._clock.now())
            added = connection.execute(row.returning(sync_runs.c.id)).scalar_one()
            if rejects:
                rows: list[dict[str, Any]] = [
                    {"sync_run_id": added, "key": key[:LONGEST_KEY], "reason": why, "row": row} for key, why, row in rejects
                ]
                connection.execute(insert(sync_rejects), rows)
            kept = select(sync_runs.c.id).where(sync_runs.c.sync == sync).order_by(sync_runs.c.id.desc()).limit(RUNS_WITH_REJECTS)
            own = select(sync_runs.c.id).where(sync_runs.c.sync == sync)
            connection.execute(
                delete(sync_rejects).where(sync_rejects.c.sync_run_id.in_(own), sync_rejects.c.sync_run_id.not_in(kept))
            )

    def prune_syncs(self, before: datetime) -> int:
        """Forget what syncs did before, with the rows that were not taken; the newest time of each sync stays."""
        newest = select(func.max(sync_runs.c.id)).group_by(sync_runs.c.sync)
        old = select(sync_runs.c.id).where(sync_runs.c.ended_at < before, sync_runs.c.id.not_in(newest))
        with self._write() as connection:
            gone = list(connection.execute(old).scalars())
            for start in range(0, len(gone), ROWS_A_STATEMENT):
                some = gone[start : start + ROWS_A_STATEMENT]
                connection.execute(delete(sync_rejects).where(sync_rejects.c.sync_run_id.in_(some)))
                connection.execute(delete(sync_runs).where(sync_runs.c.id.in_(some)))
        return len(gone)

    def sync_runs(self, sync: str, limit: int = 20) -> list[SyncRun]:
        """What the sync did, newest first."""
        query = select(sync_runs).where(sync_runs.c.sync == sync).order_by(sync_runs.c.id.desc()).limit(limit)
        with self._read() as connection:
            return [_sync_run(row) for row in connection.execute(query)]

    def rejected_rows(self, sync_run_id: int, *, key: str = "", limit: int = 200) -> tuple[list[RejectedRow], int]:
        """The rows of a sync run that were not taken, with how many there are; with `key`, those whose key begins so."""
        wanted = [sync_rejects.c.sync_run_id == sync_run_id]
        if key:
            wanted.append(sync_rejects.c.key.startswith(key, autoescape=True))
        with self._read() as connection:
            total = connection.execute(select(func.count()).select_from(sync_rejects).where(*wanted)).scalar_one()
            rows = connection.execute(select(sync_rejects).where(*wanted).order_by(sync_rejects.c.id).limit(limit)).all()
        return [RejectedRow(key=row.key, reason=row.reason, row=row.row) for row in rows], total


def _sync_run(row: Row[Any]) -> SyncRun:
    fields = {name: value for name, value in row._mapping.items() if name not in ("state", "notes")}
    return SyncRun(**fields, state=SyncState(row.state), notes=tuple(row.notes))
