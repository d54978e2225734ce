"""What the run store forgets by rule, so that it does not grow for ever; the audit and the keys of what was sent never go.

What syncs did goes in pipeline/runs/syncs.py, sign-ins at the next sign-in (pipeline/runs/sign_ins.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, Text, cast, delete, exists, func, null, or_, select, tuple_, update

from pipeline.runs.alerts import UNSENT
from pipeline.runs.database import Database
from pipeline.runs.deliveries import DELIVERED
from pipeline.runs.records import RequestState, RunState
from pipeline.runs.schema import METADATA, deliveries, events, requests, runs, slots, steps, workers
from pipeline.runs.schema_guard import alert_history, held_candidates, incidents, publications
from pipeline.runs.watching import CLOSED, UNDECIDED

AT_ONCE = 200  # runs a transaction, so that nobody waits long
GOES_ALONG = (events, requests, steps)  # with the run that they are of


class PruningStore(Database):
    """Remove what is older than a moment; each answers how many rows that were."""

    def prune_runs(self, before: datetime, *, kept: Collection[int]) -> list[int]:
        """Remove the runs that ended before, with their steps, live log and request; answers their numbers.

        Those in `kept` stay, and so do the newest run and every run that a row of a table outside GOES_ALONG refers to by a
        foreign key, such as what a sync did. A run that resumed or approved one that is gone says so no more.
        """
        gone: list[int] = []
        while some := self._prune_some_runs(before, kept):
            gone += some
        return gone

    def prune_events(self, before: datetime) -> int:
        """Remove the live log of runs that ended before, also of those that stay; their log files go by a rule of their own."""
        ended = select(runs.c.id).where(runs.c.ended_at < before)
        with self._write() as connection:
            return connection.execute(delete(events).where(events.c.run_id.in_(ended))).rowcount

    def prune_payloads(self, before: datetime) -> int:
        """Empty the messages that were delivered before; that they were delivered stays known."""
        told = (deliveries.c.state == DELIVERED, deliveries.c.delivered_at < before, cast(deliveries.c.payload, Text) != "{}")
        with self._write() as connection:
            return connection.execute(update(deliveries).where(*told).values(payload={})).rowcount

    def prune_requests(self, before: datetime) -> int:
        """Remove the closed requests from before that belong to no run: the refused ones, and those for a sync."""
        closed = requests.c.state.in_((RequestState.DONE, RequestState.REFUSED))
        old = (closed, requests.c.run_id.is_(None), requests.c.requested_at < before)
        with self._write() as connection:
            _forget_requests(connection, *old)
            return connection.execute(delete(requests).where(*old)).rowcount

    def prune_slots(self, before: datetime) -> int:
        """Remove the moments of the schedule from before, once the request or the run that each tells of is gone.

        The latest moment of each row stays: those after it are worked out from it.
        """
        later = slots.alias()
        is_latest = ~exists().where(later.c.job == slots.c.job, later.c.due_at > slots.c.due_at)
        told = or_(exists().where(requests.c.id == slots.c.request_id), exists().where(runs.c.id == slots.c.in_the_way))
        with self._write() as connection:
            return connection.execute(delete(slots).where(slots.c.due_at < before, ~is_latest, ~told)).rowcount

    def prune_workers(self, before: datetime) -> int:
        """Remove workers that have not beaten since: each new container is a worker of another name."""
        with self._write() as connection:
            return connection.execute(delete(workers).where(workers.c.beat_at < before)).rowcount

    def prune_publications(self, before: datetime, *, kept: Collection[str], newest: int) -> int:
        """Remove what is remembered of versions from before; those in `kept` and the newest of each source stay."""
        number = func.row_number().over(partition_by=publications.c.source, order_by=publications.c.published_at.desc())
        numbered = select(publications.c.version, publications.c.published_at, number.label("number")).subquery()
        usual = select(numbered.c.version, numbered.c.published_at).where(numbered.c.number <= newest)
        key = tuple_(publications.c.version, publications.c.published_at)
        old = (publications.c.published_at < before, publications.c.version.not_in(list(kept)), key.not_in(usual))
        with self._write() as connection:
            return connection.execute(delete(publications).where(*old)).rowcount

    def prune_decisions(self, before: datetime) -> int:
        """Remove the candidates from before that were decided about and whose run is gone; the audit has who decided."""
        decided = (held_candidates.c.held_at < before, held_candidates.c.state.not_in(UNDECIDED))
        with self._write() as connection:
            return connection.execute(
                delete(held_candidates).where(*decided, ~exists().where(runs.c.id == held_candidates.c.run_id))
            ).rowcount

    def prune_incidents(self, before: datetime) -> int:
        """Remove the incidents that ended before and were told; the newest stays, as its number is in the key of its mail."""
        newest = select(func.max(incidents.c.id))
        old = (incidents.c.closed_at < before, incidents.c.mailed == CLOSED, incidents.c.id.not_in(newest))
        with self._write() as connection:
            return connection.execute(delete(incidents).where(*old)).rowcount

    def prune_alerts(self, before: datetime) -> int:
        """Remove what rules on figures found before; what is still to be told stays, and the last of each kind of each rule."""
        last = select(func.max(alert_history.c.id)).group_by(alert_history.c.rule_id, alert_history.c.state, alert_history.c.mail)
        old = (alert_history.c.at < before, alert_history.c.mail != UNSENT, alert_history.c.id.not_in(last))
        with self._write() as connection:
            return connection.execute(delete(alert_history).where(*old)).rowcount

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


def _forget_requests(connection: Connection, *gone: ColumnElement[bool]) -> None:
    """The moments of the schedule that these requests served name them no more: a later request may get the same number."""
    of_them = slots.c.request_id.in_(select(requests.c.id).where(*gone))
    connection.execute(update(slots).where(of_them).values(request_id=null()))


def _remove(connection: Connection, gone: Sequence[int]) -> None:
    _forget_requests(connection, requests.c.run_id.in_(gone))
    for table in GOES_ALONG:
        connection.execute(delete(table).where(table.c.run_id.in_(gone)))
    for reference in (runs.c.resumes, runs.c.approves):
        connection.execute(update(runs).where(reference.in_(gone)).values({reference.name: null()}))
    connection.execute(delete(runs).where(runs.c.id.in_(gone)))
