"""Requests for a run: rows, so that fifty equal presses count once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from pipeline.runs.database import Database, insert_once
from pipeline.runs.records import Request, RequestState
from pipeline.runs.schema import requests

RUN, SYNC = "run", "sync"  # what a request can be for


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
            return open_request(connection, self._clock.now(), requested_by, trigger, parameters)

    def request_sync(self, requested_by: str, *, sync: str, scope: Mapping[str, Any], digest: str) -> Request:
        """Ask the worker to carry out the plan of one sync; while an equal request is open, that one is returned instead."""
        parameters = {"sync": sync, "scope": dict(scope), "digest": digest}
        with self._write() as connection:
            return open_request(connection, self._clock.now(), requested_by, "request", parameters, kind=SYNC)

    def claim(self, request_id: int) -> bool:
        """Take a waiting request that is served without a run; False where it was taken before."""
        with self._write() as connection:
            claimed = connection.execute(
                update(requests)
                .where(requests.c.id == request_id, requests.c.state == RequestState.WAITING)
                .values(state=RequestState.CLAIMED)
            )
        return claimed.rowcount == 1

    def answer(self, request_id: int, answer: str) -> None:
        """Close a claimed request, with what came of it."""
        with self._write() as connection:
            connection.execute(
                update(requests)
                .where(requests.c.id == request_id, requests.c.state == RequestState.CLAIMED)
                .values(state=RequestState.DONE, open_key=None, answer=answer)
            )

    def request(self, request_id: int) -> Request | None:
        """The request of that number."""
        with self._read() as connection:
            row = connection.execute(select(requests).where(requests.c.id == request_id)).one_or_none()
        return None if row is None else _request(row)

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


def open_request(
    connection: Connection, now: datetime, requested_by: str, trigger: str, parameters: Mapping[str, Any], *, kind: str = RUN
) -> Request:
    """Write a request; while an equal one is waiting or running, that one is returned instead."""
    open_key = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
    values: dict[str, Any] = {
        "kind": kind,
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


def _request(row: Row[Any]) -> Request:
    fields = {name: value for name, value in row._mapping.items() if name not in ("state", "open_key")}
    return Request(**fields, state=RequestState(row.state))
