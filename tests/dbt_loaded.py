"""dbt with the project read once, for processes that are forked from the one that imports this."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner

from pipeline.warehouse.dbt_parsed import WRITTEN_BY_DBT

_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"


def _read_project(variables: Mapping[str, str]) -> tuple[Any, bytes]:
    before = dict(os.environ)
    os.environ.update(json.loads(os.environ["TESTS_OF_DBT"]))
    with tempfile.TemporaryDirectory() as folder:
        places = ["--project-dir", str(_PROJECT), "--profiles-dir", str(_PROJECT), "--target-path", folder, "--log-path", folder]
        quiet = ["--log-level-file", "none", "--no-send-anonymous-usage-stats", "--vars", json.dumps(variables)]
        result = dbtRunner().invoke(["--quiet", "parse", *places, *quiet])
        written = (Path(folder) / WRITTEN_BY_DBT).read_bytes() if result.success else b""
    os.environ.clear()
    os.environ.update(before)
    return result.result if result.success else None, written


# What a model reads may depend on whether the run builds on the last one, so the project is read for both.
_from_nothing = _read_project({})
_on_the_last_run = _read_project({"previous_as_of": "2020-01-01"})


def parsed(variables: Mapping[str, Any]) -> tuple[Any, bytes]:
    """The project as it was read for such an invocation, and the file that dbt wrote of it."""
    return _on_the_last_run if variables.get("previous_as_of") else _from_nothing
