"""Quicker ways to a build of a dbt project, for tests that build again and again.

`forked` is dbt itself, in a process that has loaded it and read the project already: a third of the time is left. `direct` lets
dbt compile the project once for each set of variables and runs the SQL of its models and tests in this process, on an empty
warehouse: a second is left. `quick_children` is for other projects, small ones: the product's own child process, of which only
the import of dbt is left out, which takes longer than such a build. Everything around the build is the product's own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from graphlib import TopologicalSorter
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb

from pipeline.warehouse import dbt_build, dbt_site
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
    said = dbt(command[command.index("build") :], environment, folder)
    watch([])
    return dbt_build._read(folder, said)


def dbt(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> str:
    """Run dbt on dbt_project in DuckDB, in a process of its own; returns what it said last, all of which `folder` has."""
    log = folder / "dbt.log"
    process = _forks.Process(target=_run_dbt, args=(list(arguments), dict(environment), str(log)))
    _start(process)
    process.join(PATIENCE_SECONDS)
    assert log.exists(), f"the process that dbt was to run in ended with {process.exitcode} before it began"
    if process.exitcode is None:
        process.kill()
    assert process.exitcode in (0, 1), f"dbt ended with {process.exitcode}: {log.read_text()[-2000:]}"
    return log.read_text()[-500:]


_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["dbt_loaded"])


def _start(process: ForkServerProcess) -> None:
    """Start it; the process that it is forked from finds its modules as this one does."""
    with _its_modules():
        process.start()


def _its_modules() -> AbstractContextManager[None]:
    return patch.dict(os.environ, PYTHONPATH=os.pathsep.join((str(Path(__file__).parent), str(PROJECT.parent))))


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


# --- the product's child process, forked from one that has loaded dbt -------------------------------------------------


@contextmanager
def quick_children() -> Iterator[None]:
    """Let each build have its child forked from a process that has dbt loaded; it does what the product's own does.

    That process begins here, if none has yet: with the surroundings that are now, whatever a test makes of them afterwards.
    """
    with _its_modules():
        ensure_running()
    with patch.object(dbt_build, "child_process", _child_process), patch.object(dbt_site, "child_process", _child_process):
        yield


class _Child:
    """What a build asks of its child process."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        asks, self._alive = _forks.Pipe(duplex=False)
        said, says = _forks.Pipe(duplex=False)
        surroundings = {**dbt_build._inherited(), **environment}
        self._process = _forks.Process(target=_be_child, args=(list(command), surroundings, asks, says))
        _start(self._process)
        asks.close()
        says.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.stdout = os.fdopen(os.dup(said.fileno()), encoding="utf-8", errors="replace")
        said.close()

    def wait(self) -> int:
        """How it ended: the number of a signal is below 0."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        """How it ended, or nothing so far."""
        return self._process.exitcode

    def end(self) -> None:
        """End it with all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._alive.close()  # where it had no group of its own yet
        self.wait()


@contextmanager
def _child_process(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[_Child]:
    child = _Child(command, environment)
    try:
        yield child
    finally:
        child.end()


def _be_child(command: list[str], surroundings: dict[str, str], asks: Connection, says: Connection) -> None:
    """Become what `python -m pipeline.warehouse.dbt_child` would be."""
    os.setsid()
    for number, place in enumerate((asks, says, says)):
        os.dup2(place.fileno(), number)
    asks.close()
    says.close()
    os.environ.clear()
    os.environ.update(surroundings)
    os.chdir(PROJECT.parent)
    sys.argv = command[command.index("-m") + 1 :]
    from pipeline.warehouse import dbt_child

    dbt_child.main()


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
    some_days = {name: day for name, day in _SOME_DAY.items() if variables.get(name)}
    asked = {**variables, **some_days, "changed_tables": []}
    key = json.dumps([asked, _database(environment).name], sort_keys=True)
    if key not in _compiled:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            elsewhere = {name: str(folder / Path(value).name) if "/" in value else value for name, value in environment.items()}
            command = dbt_build._command(PROJECT, folder, variables=asked, full_refresh=False, left_out=())
            dbt(["compile", *command[command.index("build") + 1 :], "--exclude", "resource_type:unit_test"], elsewhere, folder)
            _compiled[key] = (folder / "target" / "manifest.json").read_text()
    manifest = _compiled[key]
    for name, some_day in some_days.items():
        manifest = manifest.replace(some_day, variables[name])
    read: Mapping[str, Any] = json.loads(manifest)
    return read


# The models write these days as they are, so that what was compiled for some day serves for every other. Which tables have
# changed asks nobody who builds from nothing.
_SOME_DAY = {"current_bank_day": "1907-03-17", "as_of": "1907-03-16"}
_compiled: dict[str, str] = {}


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
