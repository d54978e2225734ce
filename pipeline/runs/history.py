"""Runs, their steps and their live log; what is written under a lost lease is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import date
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from pipeline.errors import PermanentError
from pipeline.runs.database import Database
from pipeline.runs.deliveries import WAITING
from pipeline.runs.leases import lost, take_away
from pipeline.runs.records import Event, Lease, RequestState, Run, RunState, Step, StepState
from pipeline.runs.schema import RUN_LEASE, deliveries, events, leases, requests, runs, steps

DELIVERY_KEY = "delivery"  # in a step's detail: the key of the delivery that it made or left waiting
UNFINISHED = (StepState.PENDING, StepState.RUNNING)


class HistoryStore(Database):
    """Record runs and read them back."""

    def start_run(
        self,
        lease: Lease,
        *,
        trigger: str,
        requested_by: str,
        plan: Sequence[tuple[str, StepState]],
        first_step: str,
        only_step: bool = False,
        full_refresh: bool = False,
        resumes: int | None = None,
        request_id: int | None = None,
        approves: int | None = None,
    ) -> Run:
        """Record that a run began, with all its steps; claims its request in the same act.

        `plan` is each step with PENDING or SKIPPED. Raises PermanentError where the request was served already.
        """
        now = self._clock.now()
        with self._write() as connection:
            values = {"trigger": trigger, "requested_by": requested_by, "first_step": first_step, "only_step": only_step}
            values |= {"full_refresh": full_refresh, "resumes": resumes, "lease_token": lease.token, "approves": approves}
            row = insert(runs).values(state=RunState.RUNNING, started_at=now, **values).returning(runs.c.id)
            run_id = connection.execute(row).scalar_one()
            held = connection.execute(
                update(leases).where(leases.c.name == RUN_LEASE, leases.c.token == lease.token).values(run_id=run_id)
            )
            if held.rowcount != 1:
                raise lost(lease)
            connection.execute(insert(steps), [_new_step(run_id, place, *planned) for place, planned in enumerate(plan)])
            if request_id is not None:
                _claim(connection, request_id, run_id)
        return self.run(run_id)

    def start_step(self, lease: Lease, run_id: int, step: str, *, attempt: int) -> None:
        """Record that a step began, or began again."""
        values = {"state": StepState.RUNNING, "attempts": attempt, "error": None, "progress": None, "progress_text": ""}
        if attempt == 1:
            values["started_at"] = self._clock.now()
        self._change_step(lease, run_id, step, values)

    def progress(self, lease: Lease, run_id: int, step: str, *, fraction: float | None, text: str) -> None:
        """Record how far a step is."""
        self._change_step(lease, run_id, step, {"progress": fraction, "progress_text": text})

    def finish_step(
        self,
        lease: Lease,
        run_id: int,
        step: str,
        *,
        state: StepState,
        service: str = "",
        rows_in: int | None = None,
        rows_out: int | None = None,
        detail: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Record how a step ended, and which service served it."""
        values: dict[str, Any] = {
            "state": state,
            "service": service,
            "rows_in": rows_in,
            "rows_out": rows_out,
            "detail": dict(detail or {}),
        }
        values |= {"error": error, "ended_at": self._clock.now()}
        if state is StepState.SUCCEEDED:
            values["progress"] = 1.0
        self._change_step(lease, run_id, step, values)

    def set_version(self, lease: Lease, run_id: int, *, version: str, as_of: date) -> None:
        """Record the published version that the run made or works from."""
        with self._write() as connection:
            changed = connection.execute(update(runs).where(*_under(lease, run_id)).values(version=version, as_of=as_of))
        if changed.rowcount != 1:
            raise lost(lease)

    def finish_run(
        self, lease: Lease, run_id: int, *, state: RunState, error_kind: str | None = None, error: str | None = None
    ) -> Run:
        """Record how a run ended and answer its request. What a reaper closed before stays as the reaper left it."""
        with self._write() as connection:
            changed = connection.execute(
                update(runs)
                .where(*_under(lease, run_id))
                .values(state=state, ended_at=self._clock.now(), error_kind=error_kind, error=error)
            )
            if changed.rowcount == 1:
                _answer_request(connection, run_id, state)
        return self.run(run_id)

    def reap(self, is_dead: Callable[[str], bool] = lambda _holder: False) -> list[Run]:
        """Close as interrupted every run whose holder is gone: lease lost, run out, or `is_dead` knows better.

        A lease that this store sees for the first time has not run out yet: see `look_on`.
        """
        now = self._clock.now()
        with self._write() as connection:
            lease = connection.execute(select(leases).where(leases.c.name == RUN_LEASE).with_for_update()).one()
            if lease.holder is not None and (self._sightings.is_over(lease.token, lease.expires_at) or is_dead(lease.holder)):
                take_away(connection, lease.token)
                living = None
            else:
                living = lease.run_id
            gone = select(runs.c.id).where(runs.c.state == RunState.RUNNING, runs.c.id != (living or 0))
            # Run before step, as every writer takes them: a late holder's word comes before this act or is refused after it.
            reaped = list(connection.execute(gone.order_by(runs.c.id).with_for_update()).scalars())
            for run_id in reaped:
                _interrupt(connection, run_id, now)
            if living is None and not _is_held(connection):
                _answer_orphans(connection)
        return [self.run(run_id) for run_id in reaped]

    def run(self, run_id: int) -> Run:
        """One run with its steps; raises PermanentError where there is none of that number."""
        with self._read() as connection:
            return _load_run(connection, run_id)

    def runs(self, limit: int = 20, *, before: int | None = None) -> list[Run]:
        """The last runs, newest first; with `before`, those older than that run."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(runs.c.id < before)
        with self._read() as connection:
            return load_runs(connection, connection.execute(query).all())

    def chain(self, run: Run) -> list[Run]:
        """The run, the one that it resumes, and so on back to the first; raises PermanentError where one is not there."""
        with self._read() as connection:
            return list(load_chain(connection, run))

    def latest(self) -> Run | None:
        """The newest run, if there was any."""
        return next(iter(self.runs(1)), None)

    def add_event(self, run_id: int, *, level: str, step: str, text: str) -> None:
        """Add a line to a run's live log; `level` is info, warning or error."""
        with self._write() as connection:
            connection.execute(insert(events).values(run_id=run_id, at=self._clock.now(), level=level, step=step, text=text))

    def events(self, run_id: int, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """The lines of a run's live log after the one with that id, oldest first."""
        query = select(events).where(events.c.run_id == run_id, events.c.id > after).order_by(events.c.id).limit(limit)
        with self._read() as connection:
            rows = connection.execute(query).all()
        return [Event(id=row.id, at=row.at, level=row.level, step=row.step, text=row.text) for row in rows]

    def _change_step(self, lease: Lease, run_id: int, step: str, values: Mapping[str, Any]) -> None:
        still_ours = select(runs.c.id).where(*_under(lease, run_id)).with_for_update(read=True)
        with self._write() as connection:
            if connection.execute(still_ours).first() is None:
                raise lost(lease)
            changed = connection.execute(update(steps).where(steps.c.run_id == run_id, steps.c.name == step).values(**values))
        if changed.rowcount != 1:
            raise lost(lease)


def _under(lease: Lease, run_id: int) -> tuple[Any, ...]:
    return (runs.c.id == run_id, runs.c.lease_token == lease.token, runs.c.state == RunState.RUNNING)


def _new_step(run_id: int, position: int, name: str, state: StepState) -> dict[str, Any]:
    empty = {"attempts": 0, "service": "", "detail": {}, "progress_text": ""}
    return {"run_id": run_id, "position": position, "name": name, "state": state, **empty}


def _claim(connection: Connection, request_id: int, run_id: int) -> None:
    claimed = connection.execute(
        update(requests)
        .where(requests.c.id == request_id, requests.c.state == RequestState.WAITING)
        .values(state=RequestState.CLAIMED, run_id=run_id)
    )
    if claimed.rowcount != 1:
        raise PermanentError(f"Request {request_id} was served already", where="the run store", safe="Nothing was started twice")


def _answer_request(connection: Connection, run_id: int, state: RunState) -> None:
    connection.execute(
        update(requests)
        .where(requests.c.run_id == run_id, requests.c.state == RequestState.CLAIMED)
        .values(state=RequestState.DONE, open_key=None, answer=f"Run {run_id} {state}")
    )


def _is_held(connection: Connection) -> bool:
    holder = connection.execute(select(leases.c.holder).where(leases.c.name == RUN_LEASE)).scalar_one()
    return holder is not None


def _answer_orphans(connection: Connection) -> None:
    """Close what was claimed without a run by a process that is gone: it could never be asked for again."""
    connection.execute(
        update(requests)
        .where(requests.c.run_id.is_(None), requests.c.state == RequestState.CLAIMED)
        .values(state=RequestState.DONE, open_key=None, answer="The process that carried it out ended before it was done")
    )


def _interrupt(connection: Connection, run_id: int, now: Any) -> None:
    """Close a run that nobody does any more: as succeeded where all its work was done, and only its end was not recorded."""
    undone = steps.c.state.not_in((StepState.SUCCEEDED, StepState.SKIPPED))
    if connection.execute(select(steps.c.name).where(steps.c.run_id == run_id, undone).limit(1)).first() is None:
        connection.execute(update(runs).where(runs.c.id == run_id).values(state=RunState.SUCCEEDED, ended_at=now))
        _answer_request(connection, run_id, RunState.SUCCEEDED)
        return
    step = connection.execute(
        select(steps.c.name).where(steps.c.run_id == run_id, steps.c.state.in_(UNFINISHED)).order_by(steps.c.position).limit(1)
    ).scalar_one_or_none()
    cancelled_by = connection.execute(select(runs.c.cancel_asked_by).where(runs.c.id == run_id)).scalar_one()
    error = "\n".join(
        (
            "The process that ran this run ended without closing it" + (f"; cancelled by {cancelled_by}" if cancelled_by else ""),
            f"  where: step {step or 'after the last'}",
            "  safe: The published version is the one before or the whole new one",
            f"  next: neopulse run --from {step or 'notify'}",
        )
    )
    connection.execute(
        update(steps)
        .where(steps.c.run_id == run_id, steps.c.state == StepState.RUNNING)
        .values(state=StepState.INTERRUPTED, ended_at=now, error=error)
    )
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(state=RunState.INTERRUPTED, ended_at=now, error_kind="interrupted", error=error)
    )
    connection.execute(insert(events).values(run_id=run_id, at=now, level="warning", step=step or "", text=error.splitlines()[0]))
    _answer_request(connection, run_id, RunState.INTERRUPTED)


def load_chain(connection: Connection, run: Run) -> Iterator[Run]:
    """The run, the one that it resumes, and so on back to the first, each read when it is asked for."""
    yield run
    while run.resumes is not None:
        run = _load_run(connection, run.resumes)
        yield run


def _load_run(connection: Connection, run_id: int) -> Run:
    found = load_runs(connection, connection.execute(select(runs).where(runs.c.id == run_id)).all())
    if not found:
        raise PermanentError(f"There is no run {run_id}", where="the run store", next="neopulse status lists the last runs")
    return found[0]


def load_runs(connection: Connection, rows: Sequence[Row[Any]]) -> list[Run]:
    """Runs with their steps and whether their message waits, in three queries however many there are."""
    ids = [row.id for row in rows]
    found = connection.execute(select(steps).where(steps.c.run_id.in_(ids)).order_by(steps.c.run_id, steps.c.position)).all()
    steps_by_run = {run_id: tuple(_step(row) for row in own) for run_id, own in groupby(found, key=lambda row: row.run_id)}
    waiting = set(connection.execute(select(deliveries.c.key).where(deliveries.c.state == WAITING)).scalars())
    return [_run(row, steps_by_run.get(row.id, ()), waiting) for row in rows]


def _run(row: Row[Any], own_steps: Sequence[Step], waiting: Set[str]) -> Run:
    fields = {name: value for name, value in row._mapping.items() if name != "state"}
    pending = any(step.detail.get(DELIVERY_KEY) in waiting for step in own_steps)
    return Run(**fields, state=RunState(row.state), steps=tuple(own_steps), notification_pending=pending)


def _step(row: Row[Any]) -> Step:
    fields = {name: value for name, value in row._mapping.items() if name not in ("state", "run_id", "position")}
    return Step(**fields, state=StepState(row.state))
