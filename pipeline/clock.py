"""Time as an argument: who needs the time is handed a clock, so that no test sleeps."""

from __future__ import annotations

import math
import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """What tells the time and waits."""

    def now(self) -> datetime:
        """The current moment, with zone UTC."""

    def passed(self) -> float:
        """The seconds since some moment of this process, for limits and pauses: nobody who sets the clock moves it."""

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def passed(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FixedClock:
    """A clock that moves only when told to; waiting moves it."""

    def __init__(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)
        self._passed = timedelta()

    def now(self) -> datetime:
        return self._now

    def passed(self) -> float:
        return self._passed.total_seconds()

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._passed += timedelta(seconds=seconds)

    def set(self, now: datetime) -> None:
        """Set it to another time, as somebody sets the clock of a machine: no time passes."""
        self._now = now.astimezone(UTC)


def bank_day(moment: datetime, zone: ZoneInfo) -> date:
    """The local date of a moment in the bank's time zone."""
    return moment.astimezone(zone).date()


def offset_bounds(zone: ZoneInfo) -> tuple[int, int]:
    """The least and the greatest distance from UTC, in minutes rounded outwards, that a zone's clocks have from 1970 to 2100."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    offsets = [(start + timedelta(days=day)).astimezone(zone).utcoffset() for day in range(47_847)]
    minutes = [offset.total_seconds() / 60 for offset in offsets if offset is not None]
    return math.floor(min(minutes)), math.ceil(max(minutes))
