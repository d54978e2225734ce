"""dbt with the project read once for all processes that run tests, for those that are forked from one that imports this."""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner

from pipeline.warehouse import dbt_parsed

with contextlib.suppress(ImportError):  # not all have the packages; importing them takes longer than a small build
    import dbt.adapters.bigquery  # noqa: F401

_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
_A_DAY_BEFORE = {"previous_as_of": "2020-01-01"}


def _read_project(variables: Mapping[str, str]) -> Any:
    """The project for DuckDB, as whoever was the first to need it has read it; None where dbt cannot read it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"DBT_WAREHOUSE_FILE": f"{folder}/state.duckdb", "DBT_THREADS": "1", "DBT_MEMORY_LIMIT": "1GB"}
        environment["DBT_TEMP_FOLDER"] = folder
        kept = dbt_parsed.path_of(_PROJECT, variables=variables, environment=environment, full_refresh=False)
        with _alone(kept.stem):
            dbt_parsed.lend(kept, Path(folder))
            if not (Path(folder) / dbt_parsed.WRITTEN_BY_DBT).exists():
                _apart(_parse, folder, variables, environment)
                dbt_parsed.keep(Path(folder), kept)
        return dbt_parsed.read(Path(folder))


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one process after the other do what the second has no need to."""
    with (Path(tempfile.gettempdir()) / f"neopulse-tests-{os.getuid()}-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apart(work: Callable[..., None], *words: object) -> None:
    """Do it in a fork: reading starts threads, and who is forked from a process with threads waits for them for ever."""
    process = multiprocessing.get_context("fork").Process(target=work, args=words)
    process.start()
    process.join()


def _parse(folder: str, variables: Mapping[str, str], environment: Mapping[str, str]) -> None:
    places = ["--project-dir", str(_PROJECT), "--profiles-dir", str(_PROJECT), "--target-path", folder, "--log-path", folder]
    quiet = ["--log-level-file", "none", "--no-send-anonymous-usage-stats", "--vars", json.dumps(variables)]
    os.environ.update(environment)
    dbtRunner().invoke(["--quiet", "parse", *places, *quiet])


_from_nothing = _read_project({})


def runner(variables: Mapping[str, Any]) -> dbtRunner:
    """dbt on the project as it was read; the variables are those of the invocation."""
    # What a model reads may depend on whether the run builds on the last one; few tests build on one.
    return dbtRunner(manifest=_read_project(_A_DAY_BEFORE) if variables.get("previous_as_of") else _from_nothing)
