"""What the run store forgets by rule, so that it does not grow for ever; the audit and the keys of what was sent never go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, Text, cast, delete, exists, null, select, update

from pipeline.runs.database import Database
from pipeline.runs.deliveries import DELIVERED
from pipeline.runs.records import RequestState, RunState
from pipeline.runs.schema import METADATA, deliveries, events, requests, runs, steps, workers

AT_ONCE = 200  # runs a transaction, so that nobody waits long
GOES_ALONG = (events, requests, steps)  # with the run that they are of


class PruningStore(Database):
    """Remove what is older than a moment; each answers how many rows that were."""

    def prune_runs(self, before: datetime, *, kept: Collection[int]) -> list[int]:
        """Remove the runs that ended before, with their steps, live log and request; answers their numbers.

        Those in `kept` stay, and so does the newest run, and every run that something else in the store speaks of.
        """
        gone: list[int] = []
        while some := self._prune_some_runs(before, kept):
            gone += some
        return gone

    def prune_events(self, before: datetime) -> int:
        """Remove the live log of runs that ended before; the log file may still have it."""
        ended = select(runs.c.id).where(runs.c.ended_at < before)
        with self._write() as connection:
            return connection.execute(delete(events).where(events.c.run_id.in_(ended))).rowcount

    def prune_payloads(self, before: datetime) -> int:
        """Empty the messages that were delivered before; that they were delivered stays known."""
        told = (deliveries.c.state == DELIVERED, deliveries.c.delivered_at < before, cast(deliveries.c.payload, Text) != "{}")
        with self._write() as connection:
            return connection.execute(update(deliveries).where(*told).values(payload={})).rowcount

    def prune_requests(self, before: datetime) -> int:
        """Remove requests from before that were refused or answered and belong to no run."""
        closed = requests.c.state.in_((RequestState.DONE, RequestState.REFUSED))
        with self._write() as connection:
            return connection.execute(
                delete(requests).where(closed, requests.c.run_id.is_(None), requests.c.requested_at < before)
            ).rowcount

    def prune_workers(self, before: datetime) -> int:
        """Remove workers that have not beaten since: each new container is a worker of another name."""
        with self._write() as connection:
            return connection.execute(delete(workers).where(workers.c.beat_at < before)).rowcount

    def _prune_some_runs(self, before: datetime, kept: Collection[int]) -> list[int]:
        with self._write() as connection:
            gone = list(connection.execute(_old_runs(before, kept)).scalars())
            if gone:
                _remove(connection, gone)
        return gone


def _old_runs(before: datetime, kept: Collection[int]) -> Select[tuple[int]]:
    newest = select(runs.c.id).order_by(runs.c.id.desc()).limit(1).scalar_subquery()
    old = (runs.c.state != RunState.RUNNING, runs.c.ended_at < before, runs.c.id != newest, runs.c.id.not_in(list(kept)))
    return select(runs.c.id).where(*old, *_not_spoken_of()).order_by(runs.c.id).limit(AT_ONCE)


def _not_spoken_of() -> list[ColumnElement[bool]]:
    """No row of another subject refers to the run, whatever subjects there are."""
    others = [table for table in METADATA.sorted_tables if table not in (runs, *GOES_ALONG)]
    keys = [key.parent for table in others for key in table.foreign_keys if key.column is runs.c.id]
    return [~exists().where(key == runs.c.id) for key in keys]


def _remove(connection: Connection, gone: Sequence[int]) -> None:
    for table in GOES_ALONG:
        connection.execute(delete(table).where(table.c.run_id.in_(gone)))
    connection.execute(update(runs).where(runs.c.resumes.in_(gone)).values(resumes=null()))
    connection.execute(delete(runs).where(runs.c.id.in_(gone)))
