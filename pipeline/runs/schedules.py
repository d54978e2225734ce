"""The schedule: its rows as people edit them, and its slots, each of which is served once or skipped with the reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from pipeline.errors import ConfigurationError, PermanentError
from pipeline.runs import calendar
from pipeline.runs.database import Database, insert_once
from pipeline.runs.leases import one_at_a_time
from pipeline.runs.records import RequestState, RunState, ScheduleKind, ScheduleRow, SkipReason, Slot, SlotOutcome
from pipeline.runs.requests import open_request
from pipeline.runs.schema import RUN_LEASE, leases, requests, runs, slots
from pipeline.runs.schema_schedule import schedules

LONGEST_NAME = 40
MOST_NOTED = (
    100  # of the moments that went by unserved the newest are written down: years of hours would hold the store for minutes
)
_TIMING = ("kind", "weekday", "hour", "minute", "timezone")


@dataclass(frozen=True)
class _Skip:
    """Why a moment is not served; the run that is in its way, where one is."""

    reason: SkipReason
    in_the_way: int | None = None


class ScheduleStore(Database):
    """Rows of the schedule and the moments that they stand for."""

    def schedules(self) -> list[ScheduleRow]:
        """Every row; those that do the most first, which is the order in which moments that coincide are served."""
        with self._read() as connection:
            rows = connection.execute(select(schedules).where(schedules.c.removed_at.is_(None)).order_by(schedules.c.name)).all()
        found = [_row(row) for row in rows]
        return sorted(found, key=lambda row: row.first_step != "extract")

    def schedule(self, name: str) -> ScheduleRow:
        """One row; raises PermanentError where there is none of that name."""
        with self._read() as connection:
            found = _find(connection, name)
        if found is None:
            raise _unknown(name)
        return found

    def seed_schedule(self, row: ScheduleRow) -> bool:
        """Add the first row ever; False where there is or was one, for an emptied schedule stays empty."""
        now = self._clock.now()
        with self._write() as connection:
            one_at_a_time(connection)
            if connection.execute(select(schedules.c.name).limit(1)).first() is not None:
                return False
            served = connection.execute(select(func.max(slots.c.due_at)).where(slots.c.job == row.name)).scalar_one()
            stamped = dataclasses.replace(_checked(row), since=served or now, changed_at=now)
            connection.execute(insert(schedules).values(**_values(stamped), removed_at=None))
        return True

    def add_schedule(self, row: ScheduleRow, who: str) -> ScheduleRow:
        """Add a row, which counts from now on; raises ConfigurationError where its name is taken or a value cannot be used."""
        now = self._clock.now()
        added = dataclasses.replace(_checked(row), since=now, changed_by=who, changed_at=now)
        with self._write() as connection:
            one_at_a_time(connection)
            if _find(connection, row.name) is not None:
                raise ConfigurationError(
                    f"The schedule already has a row {row.name}", safe="Nothing was changed", next="choose another name"
                )
            again = update(schedules).where(schedules.c.name == row.name).values(**_values(added), removed_at=None)
            if connection.execute(again).rowcount == 0:
                connection.execute(insert(schedules).values(**_values(added), removed_at=None))
        return added

    def change_schedule(self, row: ScheduleRow, who: str) -> tuple[ScheduleRow, ScheduleRow]:
        """Give the row of that name other values; returns it as it was and as it is.

        A row that was moved or switched on counts from now on: what its new values would have meant before is not made up for.
        """
        now = self._clock.now()
        with self._write() as connection:
            one_at_a_time(connection)
            before = _find(connection, row.name)
            if before is None:
                raise _unknown(row.name)
            is_new = any(getattr(row, field) != getattr(before, field) for field in _TIMING) or (row.enabled > before.enabled)
            after = dataclasses.replace(_checked(row), since=now if is_new else before.since, changed_by=who, changed_at=now)
            _let_go(connection, before, now)
            connection.execute(update(schedules).where(schedules.c.name == row.name).values(**_values(after)))
        return before, after

    def remove_schedule(self, name: str, who: str) -> ScheduleRow:
        """Take a row out of the schedule; returns it as it was. Its slots stay."""
        now = self._clock.now()
        with self._write() as connection:
            one_at_a_time(connection)
            before = _find(connection, name)
            if before is None:
                raise _unknown(name)
            _let_go(connection, before, now)
            gone = {"removed_at": now, "changed_at": now, "changed_by": who}
            connection.execute(update(schedules).where(schedules.c.name == name).values(**gone))
        return before

    def due(self, rows: Sequence[ScheduleRow]) -> list[ScheduleRow]:
        """Those of the rows of which a moment has come that nobody served; a look that writes nothing."""
        now = self._clock.now()
        with self._read() as connection:
            query = select(slots.c.job, func.max(slots.c.due_at)).where(_counts(now)).group_by(slots.c.job)
            served = connection.execute(query).all()
        latest = {row[0]: row[1] for row in served}
        return [row for row in rows if row.enabled and calendar.slots(row, after=_from(row, latest.get(row.name)), until=now)]

    def serve_slots(self, name: str) -> Slot | None:
        """Serve what is due of a row, as it stands at this moment: the latest moment becomes a request for a run, those before
        it are skipped as missed; the latest is skipped as well where a run was going on when it came. Of the missed ones the
        newest MOST_NOTED are written down.

        Returns the latest moment as it was served; None where nothing is due, whoever served it, or where nobody can tell yet
        whether the run whose lease's time is over goes on: the next look does.
        """
        now = self._clock.now()
        with self._write() as connection:
            one_at_a_time(connection)
            row = _find(connection, name)
            due = _due(connection, row, now) if row is not None and row.enabled else []
            if row is None or not due:
                return None
            lease = connection.execute(select(leases).where(leases.c.name == RUN_LEASE)).one()
            is_free = lease.holder is None or self._sightings.is_over(lease.token, lease.expires_at)
            if not is_free and lease.expires_at <= now:
                return None
            living = None if is_free else lease.run_id
            *missed, latest = due
            for moment in missed[-MOST_NOTED:]:
                _skip(connection, row, moment, now, _overlap(connection, moment, living) or _Skip(SkipReason.MISSED))
            if overlap := _overlap(connection, latest, living):
                _skip(connection, row, latest, now, overlap)
            else:
                request = open_request(connection, now, row.name, "schedule", _parameters(row))
                _take(connection, row, latest, now, outcome=SlotOutcome.ASKED, request_id=request.id)
        return self.slots(name, limit=1, until=latest)[0]

    def slots(self, name: str | None = None, *, limit: int = 50, until: datetime | None = None) -> list[Slot]:
        """The last moments that were served, of all rows or of one, up to a moment or all, newest first."""
        query = (
            select(slots, requests.c.run_id, requests.c.state.label("request_state"), requests.c.answer)
            .join(requests, requests.c.id == slots.c.request_id, isouter=True)
            .order_by(slots.c.due_at.desc(), slots.c.job)
            .limit(limit)
        )
        if name is not None:
            query = query.where(slots.c.job == name)
        if until is not None:
            query = query.where(slots.c.due_at <= until)
        with self._read() as connection:
            return [_slot(row) for row in connection.execute(query)]


def _find(connection: Connection, name: str) -> ScheduleRow | None:
    query = select(schedules).where(schedules.c.name == name, schedules.c.removed_at.is_(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else _row(row)


def _due(connection: Connection, row: ScheduleRow, now: datetime) -> list[datetime]:
    """The moments that are still to be served; what a clock that was ahead said of them is taken back."""
    query = select(func.max(slots.c.due_at)).where(slots.c.job == row.name, _counts(now))
    due = calendar.slots(row, after=_from(row, connection.execute(query).scalar_one()), until=now)
    if due:
        connection.execute(delete(slots).where(slots.c.job == row.name, _is_too_early(now)))
    return due


def _counts(now: datetime) -> ColumnElement[bool]:
    """Whether a moment has come and was dealt with."""
    return and_(slots.c.due_at <= now, ~_is_too_early(now))


def _is_too_early(now: datetime) -> ColumnElement[bool]:
    """Whether a moment was called missed at a time that is still to come: a clock that was ahead said so.

    What was asked for at such a time was run, and is not asked for again when the moment comes.
    """
    return and_(slots.c.taken_at > now, func.coalesce(slots.c.reason, "") == SkipReason.MISSED)


def _from(row: ScheduleRow, served: datetime | None) -> datetime:
    """The moment after which those of the row are still to be served."""
    return row.since if served is None else max(row.since, served)


def _let_go(connection: Connection, row: ScheduleRow, now: datetime) -> None:
    """Skip what the row, as it was, still had to serve: its new values do not know those moments."""
    for moment in _due(connection, row, now)[-MOST_NOTED:] if row.enabled else ():
        _skip(connection, row, moment, now, _Skip(SkipReason.CHANGED))


def _overlap(connection: Connection, moment: datetime, living: int | None) -> _Skip | None:
    """Which run was going on at that moment; None where none was that did its work or still may. `living` goes on now.

    One that began later is not in the way: the moment is served after it. Nor is one that was interrupted by itself: the
    moment is worth a run. One that a person cancelled is: nobody cancels a run to see the next begin.
    """
    state = runs.c.state.in_((RunState.SUCCEEDED, RunState.FAILED, RunState.HELD))
    ended = or_(state, runs.c.cancel_asked_by.is_not(None))
    was_there = or_(runs.c.id == living, and_(ended, runs.c.ended_at > moment))
    query = select(runs.c.id).where(runs.c.started_at <= moment, was_there).order_by(runs.c.id.desc()).limit(1)
    earlier = connection.execute(query).scalar()
    return None if earlier is None else _Skip(SkipReason.OVERLAP, earlier)


def _skip(connection: Connection, row: ScheduleRow, moment: datetime, now: datetime, skip: _Skip) -> None:
    _take(connection, row, moment, now, outcome=SlotOutcome.SKIPPED, reason=skip.reason, in_the_way=skip.in_the_way)


def _take(connection: Connection, row: ScheduleRow, moment: datetime, now: datetime, **told: Any) -> None:
    values = {"job": row.name, "due_at": moment, "taken_at": now, **told}
    if not insert_once(connection, insert(slots).values(**values)):
        raise PermanentError(f"The slot {moment.isoformat()} of {row.name} was served already", safe="Nothing was started twice")


def _parameters(row: ScheduleRow) -> dict[str, Any]:
    return {"first_step": row.first_step, "only_step": False, "full_refresh": False, "resumes": None}


def _checked(row: ScheduleRow) -> ScheduleRow:
    """The row without what its kind does not need; raises ConfigurationError that names the value that cannot be used."""
    for is_wrong, what in _complaints(row):
        if is_wrong:
            raise ConfigurationError(
                what, where=f"schedule {row.name}", safe="Nothing was changed", next="mend it and save again"
            )
    return dataclasses.replace(
        row,
        hour=None if row.kind is ScheduleKind.HOURLY else row.hour,
        weekday=row.weekday if row.kind is ScheduleKind.WEEKLY else None,
    )


def _complaints(row: ScheduleRow) -> Sequence[tuple[bool, str]]:
    name = row.name
    return (
        (not name.strip() or name != name.strip() or len(name) > LONGEST_NAME, f"A name has 1 to {LONGEST_NAME} characters"),
        (not name.isprintable(), "A name is one line of text"),
        (not 0 <= row.minute <= 59, "A minute is 0 to 59"),
        (row.kind is not ScheduleKind.HOURLY and not (row.hour is not None and 0 <= row.hour <= 23), "An hour is 0 to 23"),
        (
            row.kind is ScheduleKind.WEEKLY and not (row.weekday is not None and 0 <= row.weekday <= 6),
            "A weekday is 0 (Monday) to 6 (Sunday)",
        ),
        (not _is_zone(row.timezone), f"{row.timezone} is not a time zone of the IANA database, such as Europe/Paris"),
    )


def _is_zone(name: str) -> bool:
    try:
        offset = ZoneInfo(name).utcoffset(datetime(2000, 1, 1))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return offset is not None and abs(offset) < timedelta(days=1)


def _unknown(name: str) -> PermanentError:
    return PermanentError(
        f"The schedule has no row {name}", where="the run store", safe="Nothing was changed", next="load the page again"
    )


def _values(row: ScheduleRow) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}


def _row(row: Row[Any]) -> ScheduleRow:
    fields = {name: value for name, value in row._mapping.items() if name not in ("kind", "removed_at")}
    return ScheduleRow(**fields, kind=ScheduleKind(row.kind))


def _slot(row: Row[Any]) -> Slot:
    states = {
        "outcome": SlotOutcome(row.outcome) if row.outcome else None,
        "reason": SkipReason(row.reason) if row.reason else None,
        "request_state": RequestState(row.request_state) if row.request_state else None,
    }
    return Slot(**{**row._mapping, **states, "answer": row.answer or ""})
