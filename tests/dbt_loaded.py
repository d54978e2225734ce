"""dbt with the project read once, for processes that are forked from the one that imports this."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner

_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"


def _read_project(variables: Mapping[str, str]) -> Any:
    before = dict(os.environ)
    os.environ.update(json.loads(os.environ["TESTS_OF_DBT"]))
    with tempfile.TemporaryDirectory() as folder:
        places = ["--project-dir", str(_PROJECT), "--profiles-dir", str(_PROJECT), "--target-path", folder, "--log-path", folder]
        quiet = ["--log-level-file", "none", "--no-send-anonymous-usage-stats", "--vars", json.dumps(variables)]
        result = dbtRunner().invoke(["--quiet", "parse", *places, *quiet])
    os.environ.clear()
    os.environ.update(before)
    return result.result if result.success else None


# What a model reads may depend on whether the run builds on the last one, so the project is read for both.
_from_nothing = _read_project({})
_on_the_last_run = _read_project({"previous_as_of": "2020-01-01"})


def runner(variables: Mapping[str, Any]) -> dbtRunner:
    """dbt on the project as it was read; the variables are those of the invocation."""
    return dbtRunner(manifest=_on_the_last_run if variables.get("previous_as_of") else _from_nothing)
