"""What the page Versions reads: kept versions, the candidate that waits, and two of them side by side; for admins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import guard, settings
from pipeline.clock import SystemClock
from pipeline.marts import Headline, reader
from pipeline.runs.watching import Decision
from pipeline.warehouse import choice
from pipeline.warehouse.held import Held, HeldCandidates
from pipeline.warehouse.publication import Publications, Version
from streamlit_app import actions, auth, data
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role

__all__ = ["Decision", "Held"]

DECISIONS = 20


@dataclass(frozen=True)
class Side:
    """Two values of one thing; None where a side has none."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side: rows by relation, tests that ended otherwise or are in one only, and columns that differ."""

    before: Version
    after: Version
    rows: Sequence[Side]
    tests: Sequence[Side]
    columns: Sequence[Mapping[str, Any]]


def versions() -> list[Version]:
    """The kept versions, newest first."""
    return _publications().versions()


def held() -> Held | None:
    """The candidate that waits for approval."""
    return next(iter(HeldCandidates(_publications()).waiting()), None)


def decisions() -> list[Decision]:
    """The last candidates that were held, and what became of them."""
    auth.require(Role.ADMIN)
    return data.run_store().decisions(DECISIONS)


def why_no_approval() -> Outcome | None:
    """Why no candidate can be approved at this moment; None where one can."""
    auth.require(Role.ADMIN)
    return actions.why_no_run(data.run_store(), SystemClock().now())


def comparable() -> dict[str, Version]:
    """What can be compared, by name: the candidate that waits, then the kept versions, newest first."""
    waiting = held()
    candidates = [waiting.as_version()] if waiting is not None else []
    return {version.name: version for version in [*candidates, *versions()]}


def compare(before: Version, after: Version) -> Comparison:
    """What differs between two versions, and the rows of both."""
    auth.require(Role.ADMIN)
    relations = sorted({*before.rows, *after.rows})
    rows = [Side(name, before.rows.get(name), after.rows.get(name)) for name in relations]
    return Comparison(before, after, rows, _tests(before, after), _columns(before, after))


def headlines(before: Version, after: Version) -> list[tuple[Headline, Headline]]:
    """The headline figures of both, pair by pair."""
    auth.require_everywhere(Role.ADMIN)
    others = {figure.metric.name: figure for figure in reader(after).headline()}
    return [(figure, others[figure.metric.name]) for figure in reader(before).headline() if figure.metric.name in others]


def _tests(before: Version, after: Version) -> list[Side]:
    one, other = _statuses(before), _statuses(after)
    return [Side(name, one.get(name), other.get(name)) for name in sorted({*one, *other}) if one.get(name) != other.get(name)]


def _statuses(version: Version) -> dict[str, str]:
    return {test["name"]: test["status"] for test in json.loads((version.folder / "tests.json").read_text(encoding="utf-8"))}


def _columns(before: Version, after: Version) -> list[Mapping[str, Any]]:
    one, other = guard.columns_of(before.database), guard.columns_of(after.database)
    return [
        {"relation": relation, **change}
        for relation in sorted(set(one) & set(other))
        for change in guard.column_changes(one[relation], other[relation])
    ]


def _publications() -> Publications:
    auth.require(Role.ADMIN)
    return choice.publications(settings.load())
