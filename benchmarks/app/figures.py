"""The app's figures in latest.json: one value a size under `screen_...`, and under `app_sizes` what they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIZES = "app_sizes"
PREFIX = "screen_"

# Name in latest.json, the part it is from, the way to it, what it is, its goal in words, and the goal: at most, or at least.
FIGURES: tuple[tuple[str, tuple[str, ...], str, str, float], ...] = (
    ("change_p50_ms", ("screen", "moved", "p50_ms"), "filter or slider to redrawn charts, median, ms", "at most 150", 150),
    ("change_p95_ms", ("screen", "moved", "p95_ms"), "the same, 95th percentile, ms", "at most 250", 250),
    ("switch_p95_ms", ("screen", "switched", "p95_ms"), "page switch, 95th percentile, ms", "at most 600", 600),
    (
        "known_p95_ms",
        ("screen", "opened_again", "p95_ms"),
        "first page, browser that knows the app, 95th percentile, ms",
        "at most 800",
        800,
    ),
    ("new_p50_ms", ("screen", "opened_new", "p50_ms"), "first page, new browser, median, ms", "at most 1,500", 1500),
    ("thinking_p95_ms", ("load", "thinking", "p95_ms"), "50 sessions thinking 5 s: rerun, 95th percentile, ms", "at most 60", 60),
    (
        "thinking_first_p95_ms",
        ("load", "thinking_first", "p95_ms"),
        "the same where nothing was asked before, ms",
        "",
        float("inf"),
    ),
    ("reruns_per_second", ("load", "reruns_per_second"), "reruns a second, sustained", "at least 100", -100),
    ("memory_per_session_mb", ("load", "memory_per_session_mb"), "memory a session, MB", "under 0.5", 0.5),
    ("memory_mb", ("load", "memory_mb"), "memory in all, 50 sessions, MB", "at most 350", 350),
)
AT_THE_PEER: Mapping[str, tuple[str, ...]] = {
    "change_p50_ms": ("moved", "p50_ms"),
    "change_p95_ms": ("moved", "p95_ms"),
    "known_p95_ms": ("opened_again", "p95_ms"),
    "new_p50_ms": ("opened_new", "p50_ms"),
    "thinking_p95_ms": ("thinking", "p95_ms"),
    "thinking_first_p95_ms": ("thinking_first", "p95_ms"),
    "reruns_per_second": ("reruns_per_second",),
    "memory_per_session_mb": ("memory_per_session_mb",),
    "memory_mb": ("memory_mb",),
}


def merged(kept: Mapping[str, Any], found: Mapping[str, Any], *, transactions: int) -> dict[str, Any]:
    """What was kept, with the parts that were measured in the place of the last ones of this size."""
    of_size = {**kept.get(SIZES, {}).get(str(transactions), {}), **found}
    return with_app(kept, {**kept.get(SIZES, {}), str(transactions): of_size})


def with_app(content: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The content with these measurements of the app and their figures, and no others."""
    others = {name: value for name, value in content.items() if not name.startswith(PREFIX) and name != SIZES}
    if not sizes:
        return others
    ordered = {size: rounded(sizes[size]) for size in sorted(sizes, key=int)}
    told = {f"{PREFIX}{name}": _by_size(ordered, way) for name, way, *_ in FIGURES}
    ratios = {f"{PREFIX}{name}_over_plain_streamlit": _ratios(ordered, name) for name in AT_THE_PEER}
    tail = others.pop("sizes", None)
    return (
        others
        | {name: one for name, one in (told | ratios).items() if one}
        | {SIZES: ordered}
        | ({"sizes": tail} if tail else {})
    )


def at(found: Mapping[str, Any], way: tuple[str, ...]) -> float | None:
    """A figure by its way; None where its part was left out."""
    for name in way:
        if name not in found:
            return None
        found = found[name]
    return float(found)  # type: ignore[arg-type]


def _by_size(sizes: Mapping[str, Any], way: tuple[str, ...]) -> dict[str, float]:
    return {size: value for size, found in sizes.items() if (value := at(found, way)) is not None}


def _ratios(sizes: Mapping[str, Any], name: str) -> dict[str, float]:
    ours = next(way for figure, way, *_ in FIGURES if figure == name)
    pairs = {size: (at(found, ours), at(found, ("peer", *AT_THE_PEER[name]))) for size, found in sizes.items()}
    return {size: rounded(own / other) for size, (own, other) in pairs.items() if own is not None and other}


def rounded(value: Any) -> Any:
    """Every fraction to four digits."""
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {name: rounded(one) for name, one in value.items()}
        case list():
            return [rounded(one) for one in value]
    return value


def table(kept: Mapping[str, Any]) -> list[list[str]]:
    """The rows of the page's table: what, goal, and for each size the figure and the ratio to the peer."""
    sizes = kept.get(SIZES, {})
    return [
        [label, goal, *(cell for size in sizes for cell in _cells(kept, name, size, most))]
        for name, _, label, goal, most in FIGURES
    ]


def _cells(kept: Mapping[str, Any], name: str, size: str, most: float) -> list[str]:
    value = kept.get(PREFIX + name, {}).get(size)
    over = kept.get(f"{PREFIX}{name}_over_plain_streamlit", {}).get(size)
    holds = value is not None and (value >= -most if most < 0 else value <= most)
    mark = "" if most == float("inf") or value is None else " ✓" if holds else " ✗"
    return ["" if value is None else f"{number(value)}{mark}", "" if over is None else number(over)]


def number(value: float) -> str:
    """Three significant digits; whole numbers from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
