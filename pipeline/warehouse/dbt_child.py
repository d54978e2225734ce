"""dbt as a child that ends with its parent: `python -m pipeline.warehouse.dbt_child build ...`.

The parent holds the other end of standard input open for as long as it lives, so a parent that was killed leaves no
orphan behind that goes on building for nobody.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.warehouse import dbt_parsed

if TYPE_CHECKING:
    from dbt.artifacts.schemas.run import RunResult
    from dbt.contracts.graph.manifest import Manifest

RESULTS = "built.json"  # in the target folder


def main() -> None:
    """Run dbt with the arguments of this process; a build on the project as the target folder has it parsed, where it has."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from dbt.cli.main import cli  # two seconds of imports, during which the parent may already have gone

    command, *arguments = sys.argv[1:]
    if command != "build":
        cli()
    parsed = dbt_parsed.read(_target(arguments) / dbt_parsed.WRITTEN_BY_DBT)
    sys.exit(not build(arguments, parsed))


def build(arguments: Sequence[str], parsed: Manifest | None) -> bool:
    """Let dbt build; how each node ended goes into RESULTS, and whether all ended well is returned.

    dbt's own artifacts hold all of its macros as well, and take seconds to write.
    """
    from dbt.cli.main import dbtRunner

    outcome = dbtRunner(manifest=parsed).invoke(["build", *arguments, "--no-write-json"])
    results = getattr(outcome.result, "results", None)
    if results is not None:
        (_target(arguments) / RESULTS).write_text(json.dumps([_told(result) for result in results]), encoding="utf-8")
    return outcome.success


def _target(arguments: Sequence[str]) -> Path:
    return Path(arguments[arguments.index("--target-path") + 1])


def _told(result: RunResult) -> dict[str, Any]:
    """One node's end, in the words of dbt's run_results.json, and what was made of its text."""
    timing = [part for part in result.timing if part.started_at and part.completed_at]
    return {
        "unique_id": result.node.unique_id,
        "status": str(result.status),
        "message": result.message,
        "failures": result.failures,
        "execution_time": result.execution_time,
        "timing": [{name: f"{getattr(part, name).isoformat()}Z" for name in ("started_at", "completed_at")} for part in timing],
        "compiled_code": getattr(result.node, "compiled_code", None),
        "compiled_path": getattr(result.node, "compiled_path", None),
    }


def _end_with_parent() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
