"""Rules on figures: what is looked at after a publication, over final points only, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pipeline.errors import NeopulseError
from pipeline.marts import METRICS, Question, Reader, family
from pipeline.marts.grid import period_of
from pipeline.marts.headline import PERIOD_DAYS
from pipeline.notify.event import Notice
from pipeline.runs.alerts import FAILED, FIRED, RECOVERED, AlertRow, AlertRule
from pipeline.runs.store import RunStore

COMPARISONS = ("below", "above", "change_below", "change_above")
RELATIVE = COMPARISONS[2:]
SPREAD = ("l28",)  # has many figures a day
WATCHABLE = tuple(name for name in METRICS if family(name).grains and not family(name).cohorts and name not in SPREAD)
TIME_KEYS = ("date", "week", "month")

Tell = Callable[[Notice, datetime], object]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """The newest final point of what a rule watches: its day, its figure, and the same one period before.

    `label` is the metric's by language, `unit` its unit, `grain` the length of one point; without a final point the first
    three are None.
    """

    point: date | None
    figure: float | None
    before: float | None
    label: dict[str, str]
    unit: str
    grain: str

    def breaks(self, rule: AlertRule) -> bool:
        """Whether the rule fires; what cannot be compared does not."""
        if self.figure is None:
            return False
        measured = self.figure
        if rule.comparison in RELATIVE:
            if not self.before:
                return False
            measured = self.figure / self.before - 1
        return measured < rule.threshold if rule.comparison.endswith("below") else measured > rule.threshold


def read(rule: AlertRule, reader: Reader) -> Reading:
    """The newest final point of a rule's figure in a version; raises ConfigurationError where it cannot be asked.

    A provisional point is never looked at, nor compared with. One period before a day is 28 days before it. Nothing is
    compared where nothing is known of the period before, such as the quick ratio of a month in which nobody left.
    """
    answer = reader.answer(Question(rule.metric, window=rule.window, where=rule.where, grain=rule.grain))
    key = next(name for name in TIME_KEYS if name in answer.table.column_names)
    final = {row[key]: row["value"] for row in answer.rows() if not row["provisional"] and row["value"] is not None}
    about = (dict(answer.metric.label), answer.metric.unit, answer.question.grain or "day")
    if not final:
        return Reading(None, None, None, *about)
    newest = max(final)
    earlier = final.get(_one_period_before(newest, answer.question.grain))
    return Reading(newest, float(final[newest]), None if earlier is None else float(earlier), *about)


def _one_period_before(point: date, grain: str | None) -> date:
    """Where the figure lies that a point is compared with; weeks and months are known by their first day."""
    if grain == "month":
        return (point - timedelta(days=1)).replace(day=1)
    return point - timedelta(days=7 if grain == "week" else PERIOD_DAYS)


def evaluate(store: RunStore, reader: Reader, tell: Tell) -> None:
    """Look at every rule for a publication, once each, and tell what fired or is right again.

    A rule that cannot be asked is written down as failed and keeps nobody else from being looked at. What a crash left
    untold is told.
    """
    version = reader.version
    for rule in store.alert_rules():
        if rule.enabled and (rule.looked_at is None or rule.looked_at < version.published_at):
            _look(store, rule, reader)
    for row in store.unsent_alerts():
        tell(_told(row), row.at)
        store.alert_sent(row.id)


def _look(store: RunStore, rule: AlertRule, reader: Reader) -> None:
    version = reader.version
    try:
        reading = read(rule, reader)
    except NeopulseError as error:
        _log.warning("The rule %s cannot be looked at: %s", rule.name, error.what)
        row = _row(FAILED, reader, rule, None) | {"rule": {**rule.content, "error": error.what}}
        store.note_look(rule, version.published_at, firing=rule.firing, row=row)
        return
    fires = reading.breaks(rule)
    state = FIRED if fires and not _was_told(store, rule, reading) else RECOVERED if rule.firing and not fires else None
    led_to = _row(state, reader, rule, reading) if state else None
    if store.note_look(rule, version.published_at, firing=fires, row=led_to) is not None:
        _log.info("The rule %s %s: %s at %s", rule.name, state, reading.figure, reading.point)


def _was_told(store: RunStore, rule: AlertRule, reading: Reading) -> bool:
    """Whether the rule fired for this very point already; a month's figure is the same in thirty publications."""
    last = store.last_fired(rule.id) if rule.firing else None
    return last is not None and last.point == reading.point


def _row(state: str | None, reader: Reader, rule: AlertRule, reading: Reading | None) -> dict[str, Any]:
    told = _about(reading) if reading is not None else {}
    return {
        "state": state,
        "version": reader.version.name,
        "point": reading.point if reading else None,
        "figure": reading.figure if reading else None,
        "before": reading.before if reading else None,
        "rule": {**rule.content, **told},
    }


def _told(row: AlertRow) -> Notice:
    return Notice(row.state, f"alert-{row.id}", _values(dict(row.rule), row.point, row.figure, row.before))


def trial(rule: AlertRule, reading: Reading, at: datetime) -> Notice:
    """A message that says itself that it is a test."""
    values = {**rule.content, **_about(reading)}
    told = _values(values, reading.point, reading.figure, reading.before)
    kind = "test" if reading.figure is not None else "test_empty"
    return Notice(kind, f"alert-test-{rule.id}-{at:%Y%m%dT%H%M%S%f}", told)


def thin_days(notice: Notice, reader: Reader) -> dict[str, str] | None:
    """The days at the end of the data that hold far fewer active customers than usual, where the figure counts some of them."""
    tail = reader.thin_tail() if notice.values["point"] else None
    if tail is None or period_of(date.fromisoformat(notice.values["point"]), notice.values["grain"])[1] < tail.first:
        return None
    return tail.to_json()


def segment_of(rule: Mapping[str, Any]) -> dict[str, list[str]]:
    """The values of each dimension that a noted rule is about; one from before had one value of one."""
    if "segment" in rule:
        return dict(rule["segment"])
    return {rule["dimension"]: [rule["value"]]} if rule.get("dimension") else {}


def _about(reading: Reading) -> dict[str, Any]:
    return {"label": reading.label, "unit": reading.unit, "grain": reading.grain}


def _values(rule: dict[str, Any], point: date | None, figure: float | None, before: float | None) -> dict[str, Any]:
    """What a message about a rule tells; where it is on a change, also what is compared and the change."""
    compared: dict[str, float] = {}
    if rule["comparison"] in RELATIVE and figure is not None and before:
        compared = {"before": before, "change": figure / before - 1}
    return {
        "name": rule["name"],
        "label": rule.get("label", rule["metric"]),
        "unit": rule.get("unit", ""),
        "where": segment_of(rule),
        "point": point.isoformat() if point else "",
        "grain": rule["grain"] or "day",
        "figure": "" if figure is None else figure,
        "comparison": rule["comparison"],
        "threshold": float(rule["threshold"]),
        "hours": rule["cooldown_hours"],
        **compared,
    }
