"""The figures that are kept: `latest.json`, one value for each size, and under `sizes` all they were made from."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.app import figures as app

LATEST = Path(__file__).with_name("latest.json")
FORMAT = 1
SIGNIFICANT_DIGITS = 4


def figures(found: Mapping[str, Any]) -> dict[str, float]:
    """The headline figures of one measurement, as far as it went; the floor is the median of all its passes."""
    names = ("seconds", "plain_seconds", "cpu_seconds")
    floor, plain, floor_cpu = (statistics.median(one[name] for one in found["floors"]) for name in names)
    build = found["build"]
    return {
        "full_build_over_floor": build["models_alone"]["seconds"] / floor,
        "run_over_floor": build["run_seconds_without_tests"] / floor,
        "full_build_over_plain_floor": build["models_alone"]["seconds"] / plain,
        "run_over_plain_floor": build["run_seconds_without_tests"] / plain,
        "full_build_cpu_over_floor_cpu": build["models_alone"]["cpu_seconds"] / floor_cpu,
        "run_cpu_over_floor_cpu": build["cpu_seconds_without_tests"] / floor_cpu,
        "peak_memory_mb": build["peak_mb"],
        **_parts(found),
    }


def _parts(found: Mapping[str, Any]) -> dict[str, float]:
    """The figures of the parts that were measured."""
    told: dict[str, float] = {}
    if increment := found.get("increment"):
        told["increment_over_full_build"] = increment["after"]["model_seconds"] / increment["before"]["model_seconds"]
    if reads := found.get("reads"):
        told["metric_p95_ms"] = reads["all"]["p95_ms"]
    if app := found.get("app"):
        told["app_memory_mb"] = app["peak_mb"]
    return told | (_peers(found) if "peers" in found else {})


def _peers(found: Mapping[str, Any]) -> dict[str, float]:
    timed = {name: peer["seconds"] for name, peer in found["peers"].items() if "seconds" in peer}
    bare = timed.pop("breaks", None)
    over_ours = {f"{name}_over_ours": seconds / found["ours"]["seconds"] for name, seconds in timed.items()}
    over_bare = {f"{name}_over_bare_statement": seconds / bare for name, seconds in timed.items() if bare}
    return over_ours | over_bare


def merged(kept: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """What was kept, with this measurement in the place of the last one of its size."""
    sizes = {**kept.get("sizes", {}), str(found["transactions"]): _rounded(found)}
    ordered = dict(sorted(sizes.items(), key=lambda size: int(size[0])))
    by_size = {size: figures(one) for size, one in ordered.items()}
    names = dict.fromkeys(name for one in by_size.values() for name in one)
    headline = {name: {size: _rounded(one[name]) for size, one in by_size.items() if name in one} for name in names}
    processors = {size: one["machine"]["processor"] for size, one in ordered.items()}
    content = {"format": FORMAT, **headline, "metric_p95_growth": _growth(by_size, processors), "sizes": ordered}
    return app.with_app(content, kept.get(app.SIZES, {}))


def _growth(by_size: Mapping[str, Mapping[str, float]], processors: Mapping[str, str]) -> dict[str, float]:
    """From each size to the next on the same processor: how many times longer the 95th percentile of the questions is."""
    asked = [size for size, one in by_size.items() if "metric_p95_ms" in one]
    alike = [[size for size in asked if processors[size] == processor] for processor in dict.fromkeys(processors.values())]
    return {
        f"{small} to {large}": _rounded(by_size[large]["metric_p95_ms"] / by_size[small]["metric_p95_ms"])
        for small, large in itertools.chain.from_iterable(map(itertools.pairwise, alike))
    }


def _rounded(value: Any) -> Any:
    """Every fraction to a few digits: more would pretend to a precision that no clock has."""
    match value:
        case float():
            return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        case dict():
            return {name: _rounded(one) for name, one in value.items()}
        case list():
            return [_rounded(one) for one in value]
    return value


def read() -> dict[str, Any]:
    """What is kept; nothing where nothing was measured yet."""
    try:
        content: dict[str, Any] = json.loads(LATEST.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content


def write(content: Mapping[str, Any]) -> None:
    """Keep the figures."""
    LATEST.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
