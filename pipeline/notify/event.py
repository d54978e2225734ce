"""What is told about a run, whoever carries the message: figures, sheet, syncs, or what went wrong and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Self

from pipeline.errors import NeopulseError
from pipeline.marts import Headline
from pipeline.warehouse.publication import Version

Status = Literal["success", "failure", "notice"]
LATER = ("notice", "report", "thin")  # a message that an older neopulse left waiting has none of them


@dataclass(frozen=True)
class Figure:
    """One headline figure with its interval; `before` is the same figure one period earlier."""

    label: Mapping[str, str]
    unit: str
    value: float | None
    before: float | None
    low: float | None
    high: float | None
    n: int | None
    period: str
    until: date
    provisional: bool

    @classmethod
    def of(cls, headline: Headline) -> Figure:
        """The figure as the read side gives it."""
        fields = {
            name: getattr(headline, name) for name in ("value", "before", "low", "high", "n", "period", "until", "provisional")
        }
        return cls(label=headline.metric.label, unit=headline.metric.unit, **fields)

    @property
    def change(self) -> float | None:
        """The difference to the period before, in the figure's own unit."""
        return None if self.value is None or self.before is None else self.value - self.before

    def to_json(self) -> dict[str, Any]:
        """The figure in plain JSON values, its change with it."""
        content: dict[str, Any] = _plain(dataclasses.asdict(self))
        return {**content, "change": self.change}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The figure out of its JSON values."""
        fields = {each.name: content[each.name] for each in dataclasses.fields(cls)}
        return cls(**{**fields, "until": date.fromisoformat(content["until"])})


@dataclass(frozen=True)
class Rows:
    """Rows that a run read from the bank, those of them that no figure uses, and rows that it wrote to the sheet."""

    read: int | None
    rejected: int | None
    written: int | None


@dataclass(frozen=True)
class SyncCounts:
    """What one sync of the run did, and what served it."""

    sync: str
    service: str
    created: int
    updated: int
    unchanged: int
    deleted: int
    rejected: int
    invalid: int = 0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> SyncCounts:
        """The counts out of a step's details, which may tell more."""
        return cls(**{each.name: told[each.name] for each in dataclasses.fields(cls) if each.name in told})


@dataclass(frozen=True)
class Failure:
    """Where a run stopped, and what a person can do."""

    step: str
    what: str
    where: str = ""
    safe: str = ""
    next: str = ""

    @classmethod
    def of(cls, step: str, error: NeopulseError) -> Failure:
        """The failure that an error tells."""
        return cls(step, error.what, error.where, error.safe, error.next)


@dataclass(frozen=True)
class Notice:
    """Something that is told apart from how a run ended: `kind` names its sentences, `values` and `reasons` fill them.

    `key` is the same however often it is told. `values` are plain JSON: days and moments as ISO text, shares as fractions.
    """

    kind: str
    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Event:
    """One message. `key` is the same however often the same thing is told, so that it is told once.

    `at` is the moment of the publication or of the failure, `seconds` how long the run took until then; `links` are
    addresses by name (`app`, `runs`). `thin` are the `first` and the `last` day, as ISO text, of those at the end of the data
    that hold far fewer active customers than usual, where figures are told that count some of them. A `report` is what stands in
    one, in plain JSON values; its key is its notice's.
    """

    run_id: int
    status: Status
    at: datetime
    source: str
    version: str | None = None
    as_of: date | None = None
    inactivity_days: int | None = None
    activity_rule: str = ""
    tests_passed: int | None = None
    tests_total: int | None = None
    headline: tuple[Figure, ...] = ()
    thin: Mapping[str, str] | None = None
    sheet: str = ""
    syncs: tuple[SyncCounts, ...] = ()
    rows: Rows | None = None
    seconds: float | None = None
    failure: Failure | None = None
    notice: Notice | None = None
    report: Mapping[str, Any] | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A published version is told once, by whatever run; a failure once a run and step; a notice as its key says."""
        if self.notice is not None:
            return self.notice.key
        if self.failure is not None:
            return f"run-{self.run_id}-failed-{self.failure.step}"
        return f"{self.version}-{self.at:%Y%m%dT%H%M%SZ}"

    def to_json(self) -> dict[str, Any]:
        """The event in plain JSON values: what the run store keeps and another service is handed."""
        content: dict[str, Any] = _plain(dataclasses.asdict(self))
        return {"key": self.key, **content, "headline": [figure.to_json() for figure in self.headline]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The event out of its JSON values; raises KeyError, ValueError or TypeError where they are not an event's."""
        fields = {each.name: content[each.name] for each in dataclasses.fields(cls) if each.name not in LATER}
        noticed = content.get("notice")
        fields["notice"] = noticed and Notice(**{**noticed, "reasons": tuple(noticed["reasons"])})
        fields |= {"report": content.get("report"), "thin": content.get("thin")}
        fields["at"] = datetime.fromisoformat(content["at"])
        fields["as_of"] = content["as_of"] and date.fromisoformat(content["as_of"])
        fields["headline"] = tuple(Figure.from_json(figure) for figure in content["headline"])
        fields["syncs"] = tuple(SyncCounts(**counts) for counts in content["syncs"])
        fields["rows"] = content["rows"] and Rows(**content["rows"])
        fields["failure"] = content["failure"] and Failure(**content["failure"])
        return cls(**fields)


def success(version: Version, figures: tuple[Headline, ...], *, run_id: int, **more: Any) -> Event:
    """A run that published `version` or sent it out; `more` are the sheet, the syncs, the rows, the seconds and the links."""
    return Event(
        run_id=run_id,
        status="success",
        at=version.published_at,
        source=version.source,
        version=version.name,
        as_of=version.as_of,
        inactivity_days=version.inactivity_days,
        activity_rule=version.activity_rule,
        tests_passed=version.tests.passed,
        tests_total=version.tests.total,
        headline=tuple(Figure.of(figure) for figure in figures),
        **more,
    )


def failure(
    step: str, error: NeopulseError, *, run_id: int, at: datetime, source: str, version: Version | None, **more: Any
) -> Event:
    """A run that stopped at `step`; `version` is what readers still see."""
    return Event(
        run_id=run_id,
        status="failure",
        at=at,
        source=source,
        version=version.name if version else None,
        as_of=version.as_of if version else None,
        failure=Failure.of(step, error),
        **more,
    )


def noticed(notice: Notice, *, at: datetime, source: str, version: Version | None, run_id: int = 0, **more: Any) -> Event:
    """A message of its own, with what readers see beside it; `run_id` is the run that it is about, if it is about one."""
    return Event(
        run_id=run_id,
        status="notice",
        at=at,
        source=source,
        version=version.name if version else None,
        as_of=version.as_of if version else None,
        notice=notice,
        **more,
    )


def reported(key: str, report: Mapping[str, Any], version: Version, *, at: datetime, **more: Any) -> Event:
    """A report of a week or a month, once for a key; it rests on a version."""
    return Event(
        run_id=version.run_id,
        status="notice",
        at=at,
        source=version.source,
        version=version.name,
        as_of=version.as_of,
        inactivity_days=version.inactivity_days,
        activity_rule=version.activity_rule,
        tests_passed=version.tests.passed,
        tests_total=version.tests.total,
        notice=Notice("report", key),
        report=report,
        **more,
    )


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _plain(entry) for name, entry in value.items()}
        case tuple() | list():
            return [_plain(entry) for entry in value]
        case date():
            return value.isoformat()
        case _:
            return value
