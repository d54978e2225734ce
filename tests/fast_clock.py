"""A clock that moves only when told to and that the library `schedule` goes by as well."""

from __future__ import annotations

import datetime as real
from datetime import datetime
from types import SimpleNamespace

import pytest
import schedule

from pipeline.clock import FixedClock


def fast_clock(monkeypatch: pytest.MonkeyPatch, start: datetime) -> FixedClock:
    """A fixed clock from `start`; until the test ends `schedule` reads it too."""
    fixed = FixedClock(start)

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: real.tzinfo | None = None) -> datetime:  # type: ignore[override]
            return fixed.now().astimezone(tz) if tz else fixed.now().astimezone().replace(tzinfo=None)

    monkeypatch.setattr(schedule, "datetime", SimpleNamespace(**{**vars(real), "datetime": Datetime}))
    return fixed
