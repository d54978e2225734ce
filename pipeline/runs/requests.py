"""Requests for a run and the schedule's slots: both are rows, so that a press or a slot counts once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from pipeline.runs.database import Database, insert_once
from pipeline.runs.records import Request, RequestState
from pipeline.runs.schema import requests, slots


class RequestStore(Database):
    """Write requests, hand them out in their order, answer them."""

    def request_run(
        self,
        requested_by: str,
        *,
        trigger: str = "request",
        first_step: str = "extract",
        only_step: bool = False,
        full_refresh: bool = False,
        resumes: int | None = None,
    ) -> Request:
        """Ask the worker for a run. While an equal request is waiting or running, that one is returned instead."""
        parameters = {"first_step": first_step, "only_step": only_step, "full_refresh": full_refresh, "resumes": resumes}
        with self._write() as connection:
            return _open(connection, self._clock.now(), requested_by, trigger, parameters)

    def request_slot(self, job: str, due_at: datetime) -> Request | None:
        """Turn a moment of the schedule into a request for a full run, once; None where it was served before."""
        parameters = {"first_step": "extract", "only_step": False, "full_refresh": False, "resumes": None}
        now = self._clock.now()
        with self._write() as connection:
            if not _take_slot(connection, now, job, due_at):
                return None
            return _open(connection, now, job, "schedule", parameters)

    def skip_slot(self, job: str, due_at: datetime) -> bool:
        """Mark a moment of the schedule as served without a run; False where it was served before."""
        with self._write() as connection:
            return _take_slot(connection, self._clock.now(), job, due_at)

    def has_slots(self, job: str) -> bool:
        """Whether the schedule ever served a moment of this job."""
        with self._read() as connection:
            return connection.execute(select(slots.c.due_at).where(slots.c.job == job).limit(1)).first() is not None

    def next_request(self) -> Request | None:
        """The request that has waited longest."""
        query = select(requests).where(requests.c.state == RequestState.WAITING).order_by(requests.c.id).limit(1)
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _request(row)

    def requests(self, limit: int = 20) -> list[Request]:
        """The last requests, newest first."""
        with self._read() as connection:
            return [_request(row) for row in connection.execute(select(requests).order_by(requests.c.id.desc()).limit(limit))]

    def refuse(self, request_id: int, answer: str) -> None:
        """Close a waiting request that cannot be served, with the reason."""
        with self._write() as connection:
            connection.execute(
                update(requests)
                .where(requests.c.id == request_id, requests.c.state == RequestState.WAITING)
                .values(state=RequestState.REFUSED, open_key=None, answer=answer)
            )


def _open(connection: Connection, now: datetime, requested_by: str, trigger: str, parameters: Mapping[str, Any]) -> Request:
    open_key = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
    values: dict[str, Any] = {
        "kind": "run",
        "trigger": trigger,
        "parameters": dict(parameters),
        "open_key": open_key,
        "answer": "",
    }
    values |= {"requested_by": requested_by, "requested_at": now, "state": RequestState.WAITING}
    while True:
        insert_once(connection, insert(requests).values(**values))
        found = connection.execute(select(requests).where(requests.c.open_key == open_key)).one_or_none()
        if found is not None:  # else the equal request was answered between the two, and this one is a new one
            return _request(found)


def _take_slot(connection: Connection, now: datetime, job: str, due_at: datetime) -> bool:
    return insert_once(connection, insert(slots).values(job=job, due_at=due_at, taken_at=now))


def _request(row: Row[Any]) -> Request:
    fields = {name: value for name, value in row._mapping.items() if name not in ("state", "open_key")}
    return Request(**fields, state=RequestState(row.state))
