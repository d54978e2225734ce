"""What published figures of past days and months were, what they are now, since which version, and why, as far as it is known.

Each kept version is compared with the one before it. What can be known: settings and models differ; the figure was
provisional; the bank's rows of a month are more, fewer or others than before. Where none of these holds, nothing is claimed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from pipeline.marts.question import Question
from pipeline.marts.reader import Countries, Reader
from pipeline.metrics import Metric
from pipeline.warehouse.publication import Version

BY_MONTH = (
    "new_customers",
    "resurrected_customers",
    "churned_customers",
    "monthly_churn_rate",
    "transactions",
    "transaction_amount",
)
AT_MONTH_ENDS = ("active_customers", "mau")
METRICS = ("active_customers", "mau", *BY_MONTH)
OF_PAYMENTS = ("transactions", "transaction_amount")
WITHOUT_WINDOW = (*OF_PAYMENTS, "mau")
CENT = 0.005


class Cause(StrEnum):
    """Why a published figure is another one now."""

    PROVISIONAL = "provisional"
    WINDOW = "window"
    RULE = "rule"
    TIMEZONE = "timezone"
    SOURCE = "source"
    MODELS = "models"
    MORE_ROWS = "more_rows"
    FEWER_ROWS = "fewer_rows"
    OTHER_ROWS = "other_rows"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reason:
    """One cause, with what fills its sentence: `was` and `now` of a setting, `rows` and `month` of rows, names of models."""

    cause: Cause
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """A figure as one version has it."""

    value: float | None
    provisional: bool


@dataclass(frozen=True)
class Restatement:
    """One published figure that a later version changed; `day` is the day or the first day of the month that it is of."""

    metric: Metric
    day: date
    is_month: bool
    was: Point
    now: Point
    before: Version
    since: Version
    reasons: tuple[Reason, ...]

    @property
    def difference(self) -> float | None:
        """How much the figure moved, in its own unit; None where one of the two is no figure."""
        return None if self.was.value is None or self.now.value is None else self.now.value - self.was.value


@dataclass(frozen=True)
class Told:
    """What one version tells of the past: figures by metric and day, and the bank's rows by month, whatever their state."""

    version: Version
    points: Mapping[tuple[str, date], Point]
    rows: Mapping[date, tuple[int, float]]
    registry: Mapping[str, Metric]
    models: Mapping[str, Mapping[str, Any]]


def told(version: Version, *, countries: Countries = None) -> Told:
    """Read a version's past, of some countries or of all; raises FileNotFoundError where it was pruned in the meantime."""
    reader = Reader(version)
    try:
        points = dict(_points(reader, countries))
        rows = dict(_rows(reader, countries))
        models = json.loads((version.folder / "models.json").read_text(encoding="utf-8"))
        return Told(version, points, rows, reader.registry, {model["name"]: model for model in models})
    finally:
        reader.close()


def restatements(versions: Sequence[Version], read: Callable[[Version], Told]) -> tuple[Restatement, ...]:
    """Every figure that a version changed against the version before it, the newest change first.

    `read` gives what a version tells (see `told`); a version that is gone by now is passed over.
    """
    known = []
    for version in sorted(versions, key=lambda version: version.number):
        try:
            known.append(read(version))
        except FileNotFoundError:
            continue
    found = [change for before, after in pairwise(known) for change in _changes(before, after)]
    return tuple(sorted(found, key=lambda one: (-one.since.number, METRICS.index(one.metric.name), one.day)))


def _points(reader: Reader, countries: Countries) -> Iterator[tuple[tuple[str, date], Point]]:
    """Each metric by month, or day by day."""
    for metric in METRICS:
        grain = "month" if metric in BY_MONTH else None
        for row in reader.answer(Question(metric, grain=grain, countries=countries)).rows():
            day = row["month"] if metric in BY_MONTH else row["date"]
            yield (metric, day), Point(row["value"], row["provisional"])


def _is_month_end(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def _rows(reader: Reader, countries: Countries) -> Iterator[tuple[date, tuple[int, float]]]:
    counts, amounts = (_by_month(reader, Question(metric, by="state", countries=countries)) for metric in OF_PAYMENTS)
    for month, count in counts.items():
        yield month, (int(count), amounts.get(month, 0.0))


def _by_month(reader: Reader, question: Question) -> dict[date, float]:
    sums: dict[date, float] = {}
    for row in reader.answer(question).rows():
        sums[row["month"]] = sums.get(row["month"], 0.0) + float(row["value"])
    return sums


def _changes(before: Told, after: Told) -> Iterator[Restatement]:
    late = tuple(_of_rows(before, after))
    for key, was in before.points.items():
        metric, day = key
        if metric in AT_MONTH_ENDS and not _is_month_end(day) and day != before.version.as_of:
            continue
        now = after.points.get(key) or Point(0.0 if metric != "monthly_churn_rate" else None, provisional=False)
        if day > after.version.as_of or _is_same(metric, was.value, now.value):
            continue
        reasons = (*_of_settings(metric, before.version, after.version), *_of_models(metric, before, after))
        if was.provisional:
            reasons = (Reason(Cause.PROVISIONAL, {"final": not now.provisional}), *reasons)
        reasons += tuple(reason for reason in late if reason.values["month"] <= day)[:1]
        registry = after.registry if metric in after.registry else before.registry
        yield Restatement(
            registry[metric],
            day,
            metric in BY_MONTH,
            was,
            now,
            before.version,
            after.version,
            reasons or (Reason(Cause.UNKNOWN),),
        )


def _is_same(metric: str, left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=CENT if metric == "transaction_amount" else 1e-12)


def _of_settings(metric: str, before: Version, after: Version) -> Iterator[Reason]:
    settings = {
        Cause.SOURCE: "source",
        Cause.TIMEZONE: "bank_timezone",
        **({} if metric in OF_PAYMENTS else {Cause.RULE: "activity_rule"}),
        **({} if metric in WITHOUT_WINDOW else {Cause.WINDOW: "inactivity_days"}),
    }
    for cause, name in settings.items():
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            yield Reason(cause, {"was": was, "now": now})


def _of_models(metric: str, before: Told, after: Told) -> Iterator[Reason]:
    """The models behind a figure that were written otherwise, where both versions say how they were."""
    behind = _behind(after.registry[metric].model, after.models) if metric in after.registry else []
    written = {name: (before.models.get(name, {}).get("written"), after.models[name].get("written")) for name in behind}
    if written and all(one and other for one, other in written.values()):
        changed = [name for name, (one, other) in written.items() if one != other]
        if changed:
            yield Reason(Cause.MODELS, {"models": changed})


def _behind(model: str, models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A model and all that it is made from, nearest first."""
    found, to_see = list[str](), [model]
    while to_see:
        name = to_see.pop(0)
        if name in models and name not in found:
            found.append(name)
            to_see += models[name]["depends_on"]
    return found


def _of_rows(before: Told, after: Told) -> Iterator[Reason]:
    """The months up to the older version's last one in which the bank's rows differ, the earliest first.

    Where the older version's last day cuts a month, that month has more rows by nature and is no reason.
    """
    whole = [month for month in before.rows if _last_day(month) <= before.version.as_of]
    for month in sorted({*whole, *(month for month in after.rows if _last_day(month) <= before.version.as_of)}):
        (was, amount_was), (now, amount_now) = before.rows.get(month, (0, 0.0)), after.rows.get(month, (0, 0.0))
        if was != now:
            yield Reason(Cause.MORE_ROWS if now > was else Cause.FEWER_ROWS, {"rows": abs(now - was), "month": month})
        elif abs(amount_was - amount_now) > CENT:
            yield Reason(Cause.OTHER_ROWS, {"rows": now, "month": month})


def _last_day(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
