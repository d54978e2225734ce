"""Two quicker ways to a build of the same dbt project, for tests that build again and again.

`forked` is dbt itself, in a process that has read the project already: a third of the time is left. `direct` lets dbt
compile the project once for each set of variables and runs the SQL of its models and tests in this process, on an empty
warehouse: a second is left. Everything around the build is the product's own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb

from pipeline.warehouse import dbt_build
from pipeline.warehouse.dbt_build import Build, Event, NodeResult

PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
PATIENCE_SECONDS = 240
Watch = Callable[[Sequence[Event]], None]

# --- dbt, forked from a process that has loaded it --------------------------------------------------------------------


def forked(
    project: Path,
    folder: Path,
    *,
    variables: Mapping[str, Any],
    environment: Mapping[str, str],
    watch: Watch,
    full_refresh: bool = False,
) -> Build:
    """Like `pipeline.warehouse.dbt_build.build`, without dbt's start-up."""
    command = dbt_build._command(project, folder, variables=variables, full_refresh=full_refresh)
    said = _dbt(command[command.index("build") :], environment, folder)
    watch([])
    return dbt_build._read(folder, said)


def _dbt(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> str:
    """Run dbt in a process of its own; returns what it said last."""
    log = folder / "dbt.log"
    process = _forks.Process(target=_run_dbt, args=(list(arguments), dict(environment), str(log)))
    # What the first of them is started with, all that are forked later read the project with; only the database's name counts.
    known = {"PYTHONPATH": str(Path(__file__).parent), "TESTS_OF_DBT": json.dumps(dict(environment))}
    with patch.dict(os.environ, known):
        process.start()
    process.join(PATIENCE_SECONDS)
    assert log.exists(), f"the process that dbt was to run in ended with {process.exitcode} before it began"
    if process.exitcode is None:
        process.kill()
    assert process.exitcode in (0, 1), f"dbt ended with {process.exitcode}: {log.read_text()[-2000:]}"
    return log.read_text()[-500:]


_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["dbt_loaded"])


def _run_dbt(arguments: list[str], environment: Mapping[str, str], log: str) -> None:
    os.setpgid(0, 0)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)  # first of all: what goes wrong here is to be read there
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    import dbt_loaded

    os.environ.update(environment)
    variables = json.loads(arguments[arguments.index("--vars") + 1])
    result = dbt_loaded.runner(variables).invoke(arguments)
    print(result.exception or "", flush=True)  # noqa: T201 - into the log
    os._exit(0 if result.success else 1 if result.exception is None else 2)


# --- the compiled SQL, run here ---------------------------------------------------------------------------------------


def direct(
    project: Path,
    folder: Path,
    *,
    variables: Mapping[str, Any],
    environment: Mapping[str, str],
    watch: Watch,
    full_refresh: bool = False,
) -> Build:
    """Like `pipeline.warehouse.dbt_build.build` on an empty warehouse, by the SQL that dbt compiles for one."""
    del project, full_refresh
    manifest = compiled(variables, environment)
    with duckdb.connect(_database(environment), config={"preserve_insertion_order": False}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        results = [_result(connection, manifest["nodes"][name], manifest) for name in _in_order(manifest)]
    watch([])
    (folder / "target").mkdir(exist_ok=True)
    return Build(tuple(results), manifest)


def _database(environment: Mapping[str, str]) -> Path:
    """The file that the profile names."""
    return next(Path(value) for value in environment.values() if value.endswith(".duckdb"))


def compiled(variables: Mapping[str, Any], environment: Mapping[str, str]) -> Mapping[str, Any]:
    """The manifest of the project as dbt compiles it for these variables before anything was built."""
    key = json.dumps([variables, _database(environment).name], sort_keys=True)
    if key not in _compiled:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            elsewhere = {name: str(folder / Path(value).name) if "/" in value else value for name, value in environment.items()}
            command = dbt_build._command(PROJECT, folder, variables=variables, full_refresh=False, left_out=())
            _dbt(["compile", *command[command.index("build") + 1 :], "--exclude", "resource_type:unit_test"], elsewhere, folder)
            _compiled[key] = json.loads((folder / "target" / "manifest.json").read_text())
    return _compiled[key]


_compiled: dict[str, Mapping[str, Any]] = {}


def _in_order(manifest: Mapping[str, Any]) -> list[str]:
    """The models and tests, each after what it reads."""
    kinds = {name: node["resource_type"] for name, node in manifest["nodes"].items()}
    graph = {name: manifest["nodes"][name]["depends_on"]["nodes"] for name, kind in kinds.items() if kind in ("model", "test")}
    order = [name for name in TopologicalSorter(graph).static_order() if name in graph]
    return sorted(order, key=lambda name: kinds[name] == "test")


def _result(connection: duckdb.DuckDBPyConnection, node: Mapping[str, Any], manifest: Mapping[str, Any]) -> NodeResult:
    failures, message = 0, ""
    try:
        if node["resource_type"] == "test":
            failures = _failures(connection, node)
        else:
            _make(connection, node)
        status = "fail" if failures else "pass" if node["resource_type"] == "test" else "success"
    except duckdb.Error as error:
        status, message = "error", str(error)
    row = {
        "unique_id": node["unique_id"],
        "status": status,
        "message": message,
        "failures": failures,
        "execution_time": 0.0,
        "timing": [],
    }
    return dbt_build._node_result(row, manifest)


def _failures(connection: duckdb.DuckDBPyConnection, node: Mapping[str, Any]) -> int:
    found = connection.execute(f"select {node['config']['fail_calc']} from ({node['compiled_code']}) as failures").fetchone()
    return int(found[0] or 0) if found else 0


def _make(connection: duckdb.DuckDBPyConnection, node: Mapping[str, Any]) -> None:
    """Create a model's table or view as dbt-duckdb does: under a contract with its columns first, then filled."""
    kind, name, sql = node["config"]["materialized"], node["relation_name"], node["compiled_code"]
    connection.execute(f'create schema if not exists "{node["schema"]}"')
    if kind == "view":
        connection.execute(f"create view {name} as ({sql})")
    elif kind in ("table", "incremental"):
        columns = [(column["name"], column["data_type"]) for column in node["columns"].values()]
        if (node["config"].get("contract") or {}).get("enforced"):
            names = ", ".join(f'"{column}"' for column, _ in columns)
            declared = ", ".join(f'"{column}" {type}' for column, type in columns)
            connection.execute(f"create table {name} ({declared})")
            connection.execute(f"insert into {name} ({names}) select {names} from ({sql}) as filling")
        else:
            connection.execute(f"create table {name} as ({sql})")
    else:
        assert kind == "ephemeral", f"{name} is materialized as {kind}, which this way of building does not know"


# --- in place of the product's own ------------------------------------------------------------------------------------


@contextmanager
def building(build: Callable[..., Build] | None) -> Iterator[None]:
    """Let the second step build in one of these ways; None leaves the product's own."""
    if build is None:
        yield
        return
    with patch("pipeline.transform.build", build):
        yield
