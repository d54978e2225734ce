"""Which moments a row of the schedule means: worked out from the clocks of its zone, each exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipeline.runs.records import ScheduleKind, ScheduleRow

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def slots(row: ScheduleRow, *, after: datetime, until: datetime) -> list[datetime]:
    """The moments of a row after one moment up to and including another, in UTC and in their order.

    A time of day that the zone's clocks skip is served later by as much as they skipped; one that they show twice, the first
    time. An hourly row counts real hours: it is served in both of the hours that have one name.
    """
    zone = ZoneInfo(row.timezone)
    found = _hourly(row.minute, zone, after, until) if row.kind is ScheduleKind.HOURLY else _daily(row, zone, after, until)
    return sorted({moment for moment in found if after < moment <= until})


def next_slots(row: ScheduleRow, now: datetime, count: int = 1) -> list[datetime]:
    """The next moments of a row after `now`; none where it is off."""
    if not row.enabled:
        return []
    period = {ScheduleKind.HOURLY: HOUR, ScheduleKind.DAILY: DAY, ScheduleKind.WEEKLY: 7 * DAY}[row.kind]
    after = max(now, row.since)
    return slots(row, after=after, until=after + period * (count + 1) + DAY)[:count]


def _daily(row: ScheduleRow, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    at = time(row.hour or 0, row.minute)
    # a day more on either side: the zone's dates are not those of UTC
    for day in _days(after.astimezone(zone).date() - DAY, until.astimezone(zone).date() + DAY):
        if row.kind is ScheduleKind.DAILY or day.weekday() == row.weekday:
            # without a fold: the first of two; in a gap by the clock before it, which is later by the length of the gap
            yield datetime.combine(day, at, zone).astimezone(UTC)


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _hourly(minute: int, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    hour = after.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour <= until:
        # zones are whole minutes from UTC; where one changes its distance within the hour, either may be the right one
        for ahead in {_minutes_ahead(hour, zone), _minutes_ahead(hour + HOUR, zone)}:
            moment = hour + timedelta(minutes=(minute - ahead) % 60)
            if moment.astimezone(zone).minute == minute:
                yield moment
        hour += HOUR


def _minutes_ahead(moment: datetime, zone: ZoneInfo) -> int:
    offset = moment.astimezone(zone).utcoffset() or timedelta(0)
    return int(offset.total_seconds() // 60)
