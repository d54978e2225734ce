"""The read side: a fixed list of random questions over every metric, each asked once of the published version.

Each question is asked with nothing kept from the ones before, so a figure here is what the first reader waits who asks it.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.job import say
from pipeline.kept import Value
from pipeline.marts import METRICS, Question, Reader, family
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Publications

SEED = 20_260_101
WINDOW_DAYS = (7, 180)
EACH = 8
FILTERS = ("none", "one filter", "by a dimension", "two filters")
VALUES_ASKED = 6
OF_THE_RUN_S_WINDOW = ("silence_risk", "silence_calibration")  # learned in the run, for its N alone


@dataclass(frozen=True)
class Asked:
    """A question, what kind of filter it has, and how long its answer took: on the clock, and of all processors."""

    question: Question
    filters: str
    milliseconds: float
    cpu_milliseconds: float


class Forgetful(ReadOnlyDuckDB):
    """A published version that keeps nothing: what was asked before makes nothing quicker."""

    def kept(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `make` makes, always worked out anew."""
        del key
        return make()


def questions(reader: Reader, each: int) -> Iterator[tuple[str, Question]]:
    """Every metric with every kind of filter it takes, so often with another N; the same for the same version."""
    draw = random.Random(SEED)
    values = {name: reader.dimension_values(name)[:VALUES_ASKED] for metric in METRICS for name in family(metric).dimensions}
    for metric in METRICS:
        for filters in FILTERS:
            if len(family(metric).dimensions) >= (2 if filters == "two filters" else 1) or filters == "none":
                for _ in range(each):
                    yield filters, _question(metric, filters, values, draw)


def _question(metric: str, filters: str, values: dict[str, list[str]], draw: random.Random) -> Question:
    allowed = family(metric)
    chosen = draw.sample(allowed.dimensions, k={"one filter": 1, "two filters": 2}.get(filters, 0))
    return Question(
        metric,
        window=None if metric in OF_THE_RUN_S_WINDOW else draw.randint(*WINDOW_DAYS),
        by=draw.choice(allowed.dimensions) if filters == "by a dimension" else None,
        where=tuple((name, draw.choice(values[name])) for name in chosen),
        grain=_any(allowed.grains, draw),
        kind=_any(allowed.kinds, draw),
        cohort=_any(allowed.cohorts, draw),
    )


def _any(choices: Sequence[str], draw: random.Random) -> str | None:
    return draw.choice(choices) if choices else None


def ask(reader: Reader, each: int) -> list[Asked]:
    """Ask everything once, in random order; what Python has to import is imported before, as the app does at its start."""
    reader.headline()
    listed = list(questions(reader, each))
    random.Random(SEED).shuffle(listed)
    return [Asked(question, filters, *_milliseconds(reader, question)) for filters, question in listed]


def _milliseconds(reader: Reader, question: Question) -> tuple[float, float]:
    began, cpu_before = time.perf_counter(), time.process_time()
    reader.answer(question)
    ended, cpu_after = time.perf_counter(), time.process_time()
    return (ended - began) * 1000, (cpu_after - cpu_before) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]


def summary(values: Sequence[float]) -> dict[str, float]:
    """How many, and the median, the 95th percentile and the longest."""
    return {"n": len(values), "p50_ms": percentile(values, 0.5), "p95_ms": percentile(values, 0.95), "max_ms": max(values)}


def main() -> None:
    """Ask the version that is current in the home that is the first argument; the second says how often."""
    version = Publications(Path(sys.argv[1]), keep=5).current()
    assert version is not None, "nothing was published"
    reader = Reader(version, Forgetful(version.database))
    asked = ask(reader, int(sys.argv[2]))
    by_metric = {name: summary([one.milliseconds for one in asked if one.question.metric == name]) for name in METRICS}
    by_filters = {name: summary([one.milliseconds for one in asked if one.filters == name]) for name in FILTERS}
    slowest = max(asked, key=lambda one: one.milliseconds)
    say(
        all=summary([one.milliseconds for one in asked]),
        all_cpu=summary([one.cpu_milliseconds for one in asked]),
        by_metric=by_metric,
        by_filters=by_filters,
        slowest=f"{slowest.question.metric}, N = {slowest.question.window}, {slowest.filters}",
    )


if __name__ == "__main__":
    main()
