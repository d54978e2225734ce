"""The bench of the reverse ETL finds by the bare way what the product finds; it asserts no time."""

from __future__ import annotations

from pathlib import Path

from benchmarks import reverse_etl


def test_the_plan_counts_what_the_bare_anti_joins_count(tmp_path: Path) -> None:
    reverse_etl.make(tmp_path, 2000, 0.1)
    bare = reverse_etl.floor(tmp_path)
    assert reverse_etl.apply(tmp_path, "before")["rows"] == 2000
    counts = reverse_etl.plan(tmp_path)["counts"]
    assert (counts["create"] + counts["update"], counts["delete"]) == (bare["changed"], bare["gone"])
    assert bare["gone"] == 100
    applied = reverse_etl.apply(tmp_path)
    assert (applied["rows"], applied["unchanged"]) == (bare["changed"] + bare["gone"], 2000 - counts["create"] - counts["update"])
    assert reverse_etl.apply(tmp_path)["rows"] == 0
