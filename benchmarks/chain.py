"""A run of neopulse as a process of its own, and what its time went into."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import spans
from benchmarks.job import OPEN, Job, Stretches
from benchmarks.processes import Watched, watch
from benchmarks.spans import Span

STRETCHES = "mart_user_is_active"
_STRETCHES = f"""
    select
        cast(user_id as bigint) as customer,
        cast(starting_date - date '1970-01-01' as bigint) as first_day,
        coalesce(cast(ending_date - date '1970-01-01' as bigint), {OPEN}) as last_day,
    from marts.{STRETCHES}
    where is_active
"""


@dataclass(frozen=True)
class Node:
    """A model or a test and when it was worked on, in seconds of the clock."""

    name: str
    is_test: bool
    span: Span


@dataclass(frozen=True)
class Timings:
    """The nodes of one build.

    dbt works on several nodes at once, so time is taken from the clock and not added up: time counts as a test's only
    while no model is worked on. A model that a test slowed down is charged for it.
    """

    nodes: tuple[Node, ...]

    @property
    def model_spans(self) -> list[Span]:
        """From the first model's begin to the last one's end, without the time in which there were only tests."""
        window = (self.first_model_at, max(end for _, end in self._models))
        return spans.without([window], self.test_spans)

    @property
    def test_spans(self) -> list[Span]:
        """The time in which there were only tests."""
        return spans.without(self._tests, self._models)

    @property
    def first_model_at(self) -> float:
        """When the first model began."""
        return min(begin for begin, _ in self._models)

    def seconds_of(self, names: Collection[str]) -> float:
        """The time in which any of these models was worked on."""
        return spans.length(node.span for node in self.nodes if node.name in names and not node.is_test)

    def by_model(self) -> dict[str, float]:
        """The seconds of each model, the longest first."""
        taken = {node.name: node.span[1] - node.span[0] for node in self.nodes if not node.is_test}
        return dict(sorted(taken.items(), key=lambda item: -item[1]))

    @property
    def _models(self) -> list[Span]:
        return [node.span for node in self.nodes if not node.is_test]

    @property
    def _tests(self) -> list[Span]:
        return [node.span for node in self.nodes if node.is_test]


@dataclass(frozen=True)
class Chain:
    """One successful `neopulse run`: the process, its five steps, and the build inside the second of them."""

    process: Watched
    steps: Mapping[str, float]
    timings: Timings
    dbt_start_seconds: float
    version: Path
    build: Mapping[str, Any]

    @property
    def seconds_without_tests(self) -> float:
        """From the command's begin to its end, without the time in which there were only tests."""
        return self.process.seconds - spans.length(self.timings.test_spans)

    @property
    def seconds_to_stretches(self) -> float:
        """The time in which any model was worked on that the stretches are made from, or they themselves."""
        return self.timings.seconds_of(_ancestors(STRETCHES, json.loads((self.version / "models.json").read_text())))

    def stretches(self) -> Stretches:
        """The active stretches that were published."""
        with duckdb.connect(self.version / "published.duckdb", read_only=True) as connection:
            columns = connection.execute(_STRETCHES).fetchnumpy()
        return Stretches(*(columns[name].astype("int64") for name in ("customer", "first_day", "last_day")))


def run(raw: Path, home: Path, job: Job, *arguments: str) -> Chain:
    """`neopulse run` on a folder of raw files; raises FailedError where it does not succeed."""
    settings = environment(home, job) | {"NEOPULSE_RAW": str(raw)}
    process = watch([sys.executable, "-m", "pipeline", "run", *arguments], environment=settings)
    status = json.loads(watch([sys.executable, "-m", "pipeline", "status", "--json"], environment=settings).output)
    return _read(process, status, home)


def environment(home: Path, job: Job) -> dict[str, str]:
    """The settings of a home and of what everybody who is measured may use."""
    return {"NEOPULSE_HOME": str(home), "NEOPULSE_THREADS": str(job.threads), "NEOPULSE_MEMORY_LIMIT": job.memory_limit}


def _read(process: Watched, status: Mapping[str, Any], home: Path) -> Chain:
    run_record = status["run"]
    steps = {step["name"]: step for step in run_record["steps"]}
    version = home / "versions" / run_record["version"]
    timings = read_timings(json.loads((version / "timings.json").read_text(encoding="utf-8")))
    return Chain(
        process=process,
        steps={name: _moment(step["ended_at"]) - _moment(step["started_at"]) for name, step in steps.items()},
        timings=timings,
        dbt_start_seconds=timings.first_model_at - _moment(steps["transform"]["started_at"]),
        version=version,
        build=steps["transform"]["detail"],
    )


def read_timings(nodes: Sequence[Mapping[str, str]]) -> Timings:
    """The timings as a version keeps them; nodes that were skipped have none."""
    timed = [node for node in nodes if node["started_at"]]
    return Timings(
        tuple(
            Node(node["name"], node["kind"] == "test", (_moment(node["started_at"]), _moment(node["ended_at"]))) for node in timed
        )
    )


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _ancestors(name: str, models: Sequence[Mapping[str, Any]]) -> set[str]:
    parents = {model["name"]: model["depends_on"] for model in models}
    found, waiting = set(), [name]
    while waiting:
        model = waiting.pop()
        if model in parents and model not in found:
            found.add(model)
            waiting += parents[model]
    return found
