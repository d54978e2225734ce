"""The figures of the app: where they stand, what they are compared with, and that a new measurement of the build leaves them."""

from __future__ import annotations

import json
from typing import Any

from benchmarks import figures, page
from benchmarks.app import figures as app
from benchmarks.app.measure import summary

MACHINE = {
    **{"cores": 2, "processor": "some", "memory_gb": 8, "system": "Linux", "versions": {"python": "3.11"}},
    **{"measured_at": "2026-11-26T00:00:00", "commit": "abc"},
}


def measured(p95: float) -> dict[str, Any]:
    moved = {"n": 20, "p50_ms": 100.0, "p95_ms": p95, "max_ms": 400.0}
    return {
        "machine": MACHINE,
        "screen": {"moved": moved, "slider on Churn": moved},
        "load": {"reruns_per_second": 120.0, "memory_mb": 360.0},
        "peer": {"moved": {"n": 20, "p50_ms": 400.0, "p95_ms": 500.0}, "reruns_per_second": 6.0},
    }


def test_a_figure_stands_under_its_size_beside_its_ratio_to_the_peer() -> None:
    kept = app.merged({"format": 1}, measured(240.0), transactions=10_000_000)
    assert kept["screen_change_p95_ms"] == {"10000000": 240.0}
    assert kept["screen_change_p95_ms_over_plain_streamlit"] == {"10000000": 0.48}
    assert kept["screen_reruns_per_second_over_plain_streamlit"] == {"10000000": 20.0}
    assert "screen_switch_p95_ms" not in kept


def test_a_part_that_was_left_out_keeps_its_last_figures() -> None:
    kept = app.merged({"format": 1}, measured(240.0), transactions=10_000_000)
    kept = app.merged(kept, {"machine": MACHINE, "load": {"memory_mb": 340.0}}, transactions=10_000_000)
    assert (kept["screen_change_p95_ms"], kept["screen_memory_mb"]) == ({"10000000": 240.0}, {"10000000": 340.0})


def test_the_table_says_what_holds_and_what_does_not() -> None:
    kept = app.merged({"format": 1}, measured(260.0), transactions=10_000_000)
    rows = {row[0]: row[1:] for row in app.table(kept)}
    assert rows["filter or slider to redrawn charts, median, ms"] == ["at most 150", "100 ✓", "0.25"]
    assert rows["the same, 95th percentile, ms"] == ["at most 250", "260 ✗", "0.52"]
    assert rows["reruns a second, sustained"] == ["at least 100", "120 ✓", "20"]
    assert rows["memory in all, 50 sessions, MB"] == ["at most 350", "360 ✗", ""]
    assert rows["page switch, 95th percentile, ms"] == ["at most 600", "", ""]


def test_the_kept_figures_are_those_of_the_kept_measurements_and_stand_on_the_page() -> None:
    kept = figures.read()
    assert app.with_app(kept, kept.get(app.SIZES, {})) == json.loads(json.dumps(kept))
    assert ("## The app" in page.page(kept)) == bool(kept.get(app.SIZES))


def test_the_95th_percentile_is_what_95_of_a_hundred_do_not_exceed() -> None:
    told = summary([float(value) for value in range(1, 101)])
    assert (told["n"], told["p50_ms"], told["p95_ms"], told["max_ms"]) == (100, 50.5, 95.0, 100.0)
