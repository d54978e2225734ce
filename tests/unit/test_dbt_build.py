"""What a build is taken for by what dbt leaves behind: done only where every model and every test has a good result."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import TransientError
from pipeline.warehouse import dbt_build

NODES = {"model.bank.a": "table", "model.bank.b": "view", "model.bank.within": "ephemeral", "test.bank.a_is_unique": "test"}
DBT = """
import pathlib, sys
code, folder, results, manifest = sys.argv[1:]
target = pathlib.Path(folder, "target")
target.mkdir(exist_ok=True)
target.joinpath("run_results.json").write_text(results)
target.joinpath("manifest.json").write_text(manifest)
sys.exit(int(code))
"""


def node(name: str, materialized: str) -> dict[str, Any]:
    return {
        "resource_type": name.partition(".")[0],
        "name": name.rpartition(".")[2],
        "config": {"materialized": materialized},
        "depends_on": {"nodes": ["model.bank.a"] if name.startswith("test") else []},
        "original_file_path": "",
    }


def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: Sequence[tuple[str, str]], *, code: int) -> dbt_build.Build:
    """A build by a dbt that has these results, and ends with this code."""
    results = [
        {"unique_id": name, "status": status, "message": "", "failures": 0, "execution_time": 0.1, "timing": []}
        for name, status in done
    ]
    manifest = {"nodes": {name: node(name, kind) for name, kind in NODES.items()}}
    said = [str(code), str(tmp_path), json.dumps({"results": results}), json.dumps(manifest)]
    monkeypatch.setattr(dbt_build, "_command", lambda *_, **__: [sys.executable, "-c", DBT, *said])
    return dbt_build.build(tmp_path, tmp_path, variables={}, environment={}, watch=lambda _events: None)


ALL = (("model.bank.a", "success"), ("model.bank.b", "success"), ("test.bank.a_is_unique", "pass"))


def test_a_build_with_a_good_result_of_everything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build(tmp_path, monkeypatch, ALL, code=0)
    assert [result.status for result in built.results] == ["success", "success", "pass"]
    warned = build(tmp_path, monkeypatch, (*ALL[:2], (ALL[2][0], "warn")), code=0)
    assert [test.status for test in warned.tests] == ["warn"]


@pytest.mark.parametrize(
    ("done", "code"),
    [
        pytest.param(ALL[:2], 1, id="interrupted before the test"),
        pytest.param(ALL[:2], 0, id="a test without a result"),
        pytest.param(ALL[1:], 0, id="a model without a result"),
        pytest.param((), 0, id="nothing selected"),
        pytest.param(ALL, 2, id="an unknown end"),
        pytest.param((*ALL[:2], (ALL[2][0], "skipped")), 0, id="a test that was skipped"),
        pytest.param((*ALL[:2], (ALL[2][0], "a word of tomorrow")), 0, id="an unknown status"),
    ],
)
def test_a_build_that_was_broken_off_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: Sequence[tuple[str, str]], code: int
) -> None:
    with pytest.raises(TransientError, match=f"dbt broke off with exit code {code}, . of 3 models and tests done"):
        build(tmp_path, monkeypatch, done, code=code)


@pytest.mark.parametrize("status", ["fail", "error"])
def test_what_failed_is_left_to_whoever_asked_for_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    built = build(tmp_path, monkeypatch, (ALL[0], (ALL[2][0], status)), code=1)
    assert [result.status for result in built.results] == ["success", status]
