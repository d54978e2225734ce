"""What was published, what was held, and what is wrong at the moment: the memory of the guard and of the incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from pipeline.runs.database import Database, insert_once
from pipeline.runs.records import Request
from pipeline.runs.requests import open_request
from pipeline.runs.schema import requests, runs
from pipeline.runs.schema_guard import held_candidates, incidents, publications

HELD, APPROVED, REJECTED, REPLACED, PUBLISHED = "held", "approved", "rejected", "replaced", "published"
OPENED, CLOSED = "opened", "closed"  # how far the mails of an incident are
USUAL_PUBLICATIONS = 30  # of a source: what is usual is the median of the last so many
UNDECIDED = (HELD, APPROVED)  # an approved one waits as well, until a run has published it


@dataclass(frozen=True)
class Publication:
    """What is remembered of a version, also after it is pruned: its rows by relation, and whether an admin approved it."""

    version: str
    published_at: datetime
    run_id: int
    source: str
    as_of: date
    transactions: int
    rows: Mapping[str, int]
    approved: bool


@dataclass(frozen=True)
class Decision:
    """What became of a held candidate: `state` is held, approved, rejected, replaced or published."""

    run_id: int
    held_at: datetime
    state: str
    reasons: Sequence[Mapping[str, Any]]
    decided_by: str | None
    decided_at: datetime | None
    note: str
    outcome: str


@dataclass(frozen=True)
class Incident:
    """Something that is or was wrong for a while; `mailed` says how far its mails are: nothing, opened, closed."""

    id: int
    kind: str
    key: str
    opened_at: datetime
    closed_at: datetime | None
    what: Mapping[str, Any]
    mailed: str


class WatchStore(Database):
    """Remember publications, decisions and incidents."""

    def note_publications(self, versions: Sequence[Publication]) -> None:
        """Remember versions; one that is known already stays as it is."""
        with self._write() as connection:
            for version in versions:
                insert_once(connection, insert(publications).values(**{**vars(version), "rows": dict(version.rows)}))

    def publications(self, limit: int, *, source: str) -> list[Publication]:
        """The last publications of a source, newest first."""
        query = select(publications).where(publications.c.source == source)
        query = query.order_by(publications.c.published_at.desc()).limit(limit)
        with self._read() as connection:
            return [Publication(**row._mapping) for row in connection.execute(query)]

    def note_held(self, run_id: int, held_at: datetime, reasons: Sequence[Mapping[str, Any]]) -> None:
        """Remember that a candidate is held; one that is known already stays as it is."""
        with self._write() as connection:
            _note_held(connection, run_id, held_at, reasons)

    def decide(self, run_id: int, held_at: datetime, *, state: str, who: str, note: str, outcome: str = "") -> bool:
        """Write down what becomes of a held candidate; False where that was decided before.

        An approved one may be rejected as long as no run has published it; approving it once more changes nothing.
        """
        with self._write() as connection:
            return _decide(connection, self._clock.now(), (run_id, held_at), state=state, who=who, note=note, outcome=outcome)

    def approve(
        self, run_id: int, held_at: datetime, *, who: str, note: str, parameters: Mapping[str, Any]
    ) -> tuple[Request, bool] | None:
        """Approve a held candidate and ask for the run that publishes it, in one act; None where it was decided otherwise.

        While an equal request is waiting or running, that one is returned, with False.
        """
        now = self._clock.now()
        with self._write() as connection:
            if not _decide(connection, now, (run_id, held_at), state=APPROVED, who=who, note=note):
                return None
            newest_before = connection.execute(select(func.max(requests.c.id))).scalar_one() or 0
            request = open_request(connection, now, who, "approval", dict(parameters))
        return request, request.id > newest_before

    def decisions(self, limit: int = 50) -> list[Decision]:
        """The last held candidates and what became of them, newest first."""
        query = select(held_candidates).order_by(held_candidates.c.held_at.desc()).limit(limit)
        with self._read() as connection:
            return [Decision(**row._mapping) for row in connection.execute(query)]

    def decision(self, run_id: int) -> Decision | None:
        """What became of the candidate of a run, if it was held."""
        query = select(held_candidates).where(held_candidates.c.run_id == run_id).order_by(held_candidates.c.held_at.desc())
        with self._read() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        return None if row is None else Decision(**row._mapping)

    def first_run_at(self) -> datetime | None:
        """When the oldest run that is remembered began."""
        with self._read() as connection:
            return connection.execute(select(runs.c.started_at).order_by(runs.c.id).limit(1)).scalar_one_or_none()

    def open_incident(self, kind: str, key: str, what: Mapping[str, Any]) -> Incident:
        """Open an incident; the one that is open already is returned instead."""
        open_key = f"{kind} {key}"
        values = {"kind": kind, "key": key, "open_key": open_key, "opened_at": self._clock.now()}
        with self._write() as connection:
            insert_once(connection, insert(incidents).values(**values, what=dict(what), mailed=""))
            return _incident(connection.execute(select(incidents).where(incidents.c.open_key == open_key)).one())

    def close_incident(self, kind: str, key: str) -> Incident | None:
        """Close an incident; None where none is open."""
        with self._write() as connection:
            row = connection.execute(select(incidents.c.id).where(incidents.c.open_key == f"{kind} {key}")).one_or_none()
            if row is None:
                return None
            change = update(incidents).where(incidents.c.id == row.id)
            connection.execute(change.values(open_key=None, closed_at=self._clock.now()))
            return _incident(connection.execute(select(incidents).where(incidents.c.id == row.id)).one())

    def mailed(self, incident_id: int, how_far: str) -> None:
        """Write down that the mail of an incident's opening or of its end is on its way."""
        with self._write() as connection:
            connection.execute(update(incidents).where(incidents.c.id == incident_id).values(mailed=how_far))

    def incidents(self, limit: int = 50, *, kind: str | None = None) -> list[Incident]:
        """The last incidents, newest first, of one kind or of all."""
        query = select(incidents).order_by(incidents.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(incidents.c.kind == kind)
        with self._read() as connection:
            return [_incident(row) for row in connection.execute(query)]


def _note_held(connection: Connection, run_id: int, held_at: datetime, reasons: Sequence[Mapping[str, Any]]) -> None:
    values = {"run_id": run_id, "held_at": held_at, "reasons": [dict(reason) for reason in reasons]}
    insert_once(connection, insert(held_candidates).values(**values, state=HELD, note="", outcome=""))


def _decide(
    connection: Connection, now: datetime, which: tuple[int, datetime], *, state: str, who: str, note: str, outcome: str = ""
) -> bool:
    same = (held_candidates.c.run_id == which[0], held_candidates.c.held_at == which[1])
    before = connection.execute(select(held_candidates.c.state).where(*same).with_for_update()).scalar_one_or_none()
    if before not in UNDECIDED:
        return False
    if before == state:
        return True
    values: dict[str, Any] = {"state": state, "outcome": outcome}
    if state != PUBLISHED:  # who approved it stays
        values |= {"decided_by": who, "decided_at": now, "note": note}
    connection.execute(update(held_candidates).where(*same).values(**values))
    return True


def _incident(row: Row[Any]) -> Incident:
    return Incident(**{name: value for name, value in row._mapping.items() if name != "open_key"})
