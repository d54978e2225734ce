"""The chain on a folder of raw files, and the same questions in one form to what it published and to the oracle."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import oracle

from pipeline.clock import FixedClock
from pipeline.marts import Question, Reader, reader
from pipeline.runner import Order, Reporter, Runner
from pipeline.runs.holders import Holders
from pipeline.runs.records import RunState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Publications

TIME_KEYS = ("date", "week", "month", "cohort", "period", "tenure_days", "active_days", "window_days")
LONG_AFTER = datetime(2026, 11, 23, 12, tzinfo=UTC)

Stretch = tuple[bool, date, date | None, date, bool]


@dataclass(frozen=True)
class Figure:
    """One figure of an answer; `counts` has what a metric adds to the common columns."""

    value: float | None
    n: int | None
    low: float | None
    high: float | None
    final_on: date
    provisional: bool
    counts: Mapping[str, int] = field(default_factory=dict)


class Asking:
    """What the tests ask; how the figures come about is the business of the two that answer."""

    as_of: date

    def figures(
        self,
        metric: str,
        *,
        window: int | None = None,
        grain: str | None = None,
        kind: str | None = None,
        cohort: str | None = None,
        by: str | None = None,
        start: date | None = None,
        end: date | None = None,
        **where: oracle.Values,
    ) -> dict[Any, Figure]:
        """The figures by time key; by value and time key where a dimension splits them."""
        raise NotImplementedError

    def stretches(self, number: int) -> list[Stretch]:
        """A customer's stretches in order: is_active, starting_date, ending_date, recognised_on, is_provisional."""
        raise NotImplementedError

    def values(self, metric: str, **question: Any) -> dict[Any, float]:
        """The values that are not 0, by key."""
        return {key: figure.value for key, figure in self.figures(metric, **question).items() if figure.value}

    def shares(self, metric: str, **question: Any) -> dict[Any, tuple[float | None, int]]:
        """The shares of something, with their denominators."""
        return {key: (figure.value, figure.n) for key, figure in self.figures(metric, **question).items() if figure.n}

    def curve(self, metric: str, **question: Any) -> Callable[[int], float | None]:
        """The value in force on a day of a step function."""
        steps = sorted(self.figures(metric, **question).items())
        return lambda day: steps[bisect_right(steps, day, key=lambda step: step[0]) - 1][1].value


class Replayed(Asking):
    """The oracle's answers."""

    def __init__(
        self,
        tables: Mapping[str, list[dict[str, str]]],
        *,
        window: int,
        now: datetime = LONG_AFTER,
        zone: str = "Europe/Paris",
        **reading: Any,
    ) -> None:
        self.bank = oracle.bank(tables, current_day=now.astimezone(ZoneInfo(zone)).date(), zone=zone, **reading)
        self.window = window
        self.as_of = self.bank.as_of

    def figures(
        self,
        metric: str,
        *,
        window: int | None = None,
        grain: str | None = None,
        kind: str | None = None,
        cohort: str | None = None,
        by: str | None = None,
        start: date | None = None,
        end: date | None = None,
        **where: oracle.Values,
    ) -> dict[Any, Figure]:
        asked = oracle.Asked(window or self.window, grain, kind, cohort)
        points = oracle.answer(self.bank, metric, asked, by=by, where=where)
        times = {key: key[1] if by else key for key in points}
        inside = {key for key, time in times.items() if _overlaps(metric, time, grain, start=start, end=end)}
        return {key: self._figure(point) for key, point in points.items() if key in inside}

    def _figure(self, point: oracle.Point) -> Figure:
        provisional = point.provisional(self.as_of)
        return Figure(point.value, point.n, point.low, point.high, point.final_on, provisional, point.counts)

    def stretches(self, number: int) -> list[Stretch]:
        customer = next((one for one in self.bank.customers if one.user_id == str(number)), None)
        found = oracle.stretches(customer, self.window, self.as_of) if customer else []
        return [(one.is_active, one.starting_date, one.ending_date, one.recognised_on, one.is_provisional) for one in found]


class Published(Asking):
    """The answers of a published version."""

    def __init__(self, reader: Reader, as_of: date) -> None:
        self.reader = reader
        self.as_of = as_of

    def figures(
        self,
        metric: str,
        *,
        window: int | None = None,
        grain: str | None = None,
        kind: str | None = None,
        cohort: str | None = None,
        by: str | None = None,
        start: date | None = None,
        end: date | None = None,
        **where: oracle.Values,
    ) -> dict[Any, Figure]:
        question = Question(
            metric,
            window=window,
            start=start,
            end=end,
            by=by,
            where=pairs(where),
            grain=grain,
            kind=kind,
            cohort=cohort,
        )
        rows = self.reader.answer(question).rows()
        found = {_key(row, by): _figure(row) for row in rows}
        assert len(found) == len(rows), f"{metric} answers twice for one key"
        return found

    def stretches(self, number: int) -> list[Stretch]:
        rows = [row for row in self.rows("mart_user_is_active") if row["user_id"] == str(number)]
        names = ("is_active", "starting_date", "ending_date", "recognised_on", "is_provisional")
        return sorted((tuple(row[name] for name in names) for row in rows), key=lambda stretch: stretch[1])

    def rows(self, relation: str) -> list[dict[str, Any]]:
        """A whole published relation."""
        rows: list[dict[str, Any]] = self.reader.relation(relation).to_pylist()
        return rows


def pairs(where: Mapping[str, oracle.Values]) -> tuple[tuple[str, str], ...]:
    """Filters by dimension as a question has them."""
    values = {name: (given,) if isinstance(given, str) else given for name, given in where.items()}
    return tuple((name, value) for name in sorted(values) for value in values[name])


def _overlaps(metric: str, time: Any, grain: str | None, *, start: date | None, end: date | None) -> bool:
    """Whether a figure is of a day, week or month that has a day in the range."""
    if start is None and end is None:
        return True
    by_day = (
        "active_customers",
        "new_customers",
        "resurrected_customers",
        "churned_customers",
        "dau",
        "wau",
        "mau",
        "stickiness",
    )
    time = time[0] if isinstance(time, tuple) else time  # of a cohort's cell, when the cohort began
    last = oracle.period_end(time, grain or ("day" if metric in by_day else "month"))
    return (start is None or last >= start) and (end is None or time <= end)


def _key(row: Mapping[str, Any], by: str | None) -> Any:
    times = tuple(row[name] for name in TIME_KEYS if name in row)
    time = times[0] if len(times) == 1 else times
    return time if by is None else (row[by], time)


def _figure(row: Mapping[str, Any]) -> Figure:
    counts = {name: row[name] for name in ("churned", "came_back", "unknown", "younger") if name in row}
    return Figure(row["value"], row["n"], row["low"], row["high"], row["final_on"], row["provisional"], counts)


def publish(folder: Path, home: Path, *, now: datetime = LONG_AFTER, full_refresh: bool = False, **settings: Any) -> Published:
    """Run extract and transform on a folder of raw files in a NEOPULSE_HOME, empty or not, at noon of some day."""
    # banks of the tests lose whatever the tests want them to lose
    in_force = Settings(_env_file=None, raw=folder, home=home, **{"largest_shrink": 1, "guard_rows_growth": 0, **settings})
    clock = FixedClock(now)
    publications = Publications(home, keep=in_force.versions_kept)
    store = RunStore.open(in_force.run_store_url, clock=clock)
    runner = Runner(in_force, store, publications, clock, Holders(home / "holders"), Reporter())
    try:
        for step in ("extract", "transform"):
            order = Order("cli", "the tests", first_step=step, only_step=True, full_refresh=full_refresh)
            run = runner.execute(order, cancelled=lambda: False)
            assert run.state is RunState.SUCCEEDED, run.error
    finally:
        store.close()
    version = publications.current()
    assert version is not None
    return Published(reader(version), version.as_of)
