"""The models of a full build and nothing else: `python -m benchmarks.models HOME`.

`neopulse run` tests each model as soon as it stands, beside the models that come after it, so its time holds both. Here
dbt builds the same files once more into a warehouse of its own, with the product's own preparation, without a test.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.chain import read_timings
from benchmarks.job import say
from pipeline.settings import Settings
from pipeline.sources.landing import read_landing
from pipeline.transform import DBT_PROJECT, external_tables, run_variables
from pipeline.warehouse.dbt_build import NOT_BUILT, build
from pipeline.warehouse.duckdb import DuckDBWarehouse


def main() -> None:
    """Build what was landed in a home, beside it."""
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    landing_folder = settings.home / "landing"
    landing = read_landing(landing_folder)
    with tempfile.TemporaryDirectory(dir=settings.home) as name:
        folder = Path(name)
        warehouse = DuckDBWarehouse(folder, project=DBT_PROJECT, memory_limit=settings.memory_limit, threads=settings.threads)
        variables = run_variables(settings, landing, now=datetime.now(UTC))
        external = external_tables(landing_folder)
        increment = warehouse.prepare(landing, external=external, variables=variables, full_refresh=True)
        built = build(
            DBT_PROJECT,
            folder,
            variables={**variables, **increment.variables},
            environment=warehouse.environment(),
            watch=lambda _events: None,
            full_refresh=True,
            left_out=(*NOT_BUILT, "test"),
        )
    failed = [result.name for result in built.results if result.status != "success"]
    if failed:
        sys.exit(f"models failed: {', '.join(failed)}")
    timings = read_timings(
        [
            {"name": result.name, "kind": result.kind, "started_at": result.started_at, "ended_at": result.ended_at}
            for result in built.results
        ]
    )
    say(spans=timings.model_spans, models=timings.by_model())


if __name__ == "__main__":
    main()
