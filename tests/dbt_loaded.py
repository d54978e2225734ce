"""dbt with the project read once, for processes that are forked from the one that imports this."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner

_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"


def _read_project() -> Any:
    before = dict(os.environ)
    os.environ.update(json.loads(os.environ["TESTS_OF_DBT"]))
    with tempfile.TemporaryDirectory() as folder:
        places = ["--project-dir", str(_PROJECT), "--profiles-dir", str(_PROJECT), "--target-path", folder, "--log-path", folder]
        result = dbtRunner().invoke(["--quiet", "parse", *places, "--log-level-file", "none", "--no-send-anonymous-usage-stats"])
    os.environ.clear()
    os.environ.update(before)
    return result.result if result.success else None


_manifest = _read_project()


def runner() -> dbtRunner:
    """dbt on the project as it was read; variables are those of the invocation."""
    return dbtRunner(manifest=_manifest)
