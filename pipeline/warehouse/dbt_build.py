"""`dbt build` in a child process: its events as they come, its results when it has ended."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PermanentError, TransientError
from pipeline.settings import PROJECT
from pipeline.warehouse import dbt_parsed

TICK_SECONDS = 0.25
_OUTCOMES = ("LogModelResult", "LogTestResult", "LogSeedResult", "SkippingDetails")
_BEGIN = "LogStartLine"
NOT_BUILT = ("unit_test", "exposure")  # those test the code, and `make test` runs them; these are documentation
_REFUSED = ("error", "fail")  # whoever asked for the build says what they are about
_ENDED_WELL = ("success", "pass", "warn")


@dataclass(frozen=True)
class Event:
    """One event of the build: a node began or ended (then `node` names it), or dbt has something to say."""

    level: str
    text: str
    node: str = ""
    kind: str = ""
    ended: bool = False
    total: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class NodeResult:
    """How one model or one test ended; `failures` counts what a test found wrong, the moments are UTC as dbt wrote them."""

    id: str
    kind: str
    name: str
    model: str
    column: str
    rule: str
    description: str
    status: str
    message: str
    failures: int
    seconds: float
    file: str
    compiled_file: str
    started_at: str = ""
    ended_at: str = ""


@dataclass(frozen=True)
class Build:
    """What dbt left behind: each node's result in the order of execution, and the manifest."""

    results: tuple[NodeResult, ...]
    manifest: Mapping[str, Any]

    @property
    def tests(self) -> tuple[NodeResult, ...]:
        """The results of the tests alone."""
        return tuple(result for result in self.results if result.kind == "test")


def build(
    project: Path,
    folder: Path,
    *,
    variables: Mapping[str, Any],
    environment: Mapping[str, str],
    watch: Callable[[Sequence[Event]], None],
    full_refresh: bool = False,
    left_out: Sequence[str] = NOT_BUILT,
) -> Build:
    """Build and test every model of a dbt project; dbt's own files go into `folder`. Both are absolute paths.

    `watch` is called with the new events, at least every TICK_SECONDS, also with none; what it raises ends the child at
    once. Raises PermanentError where dbt could not read the project, TransientError where something ended the child or dbt
    broke off: a build in which nothing failed has a good result of every model and every test.
    """
    last_words: list[str] = []
    command = _command(project, folder, variables=variables, full_refresh=full_refresh, left_out=left_out)
    parsed = dbt_parsed.path_of(project, variables=variables, environment=environment, full_refresh=full_refresh)
    dbt_parsed.lend(parsed, folder / "target")
    with child_process(command, environment) as child:
        for lines in _batches(child):
            events = [_event(line) for line in lines]
            last_words += [event.text for event in events if event.level == "error"]
            watch([event for event in events if event.text])
        code = child.wait()
    if code < 0:
        raise _ended_from_outside(-code)
    dbt_parsed.keep(folder / "target", parsed)
    built = _read(folder, "\n".join(last_words[-3:]))
    _refuse_what_was_broken_off(built, code, left_out=left_out, last_words=last_words[-1:])
    return built


def _refuse_what_was_broken_off(built: Build, code: int, *, left_out: Sequence[str], last_words: Sequence[str]) -> None:
    """Raise where nothing failed and yet something is missing: dbt that is interrupted writes the results it has by then."""
    if any(result.status in _REFUSED for result in built.results):
        return
    ended_well = {result.id for result in built.results if result.status in _ENDED_WELL}
    asked = {
        name for name, node in built.manifest["nodes"].items() if _is_executed(node) and node["resource_type"] not in left_out
    }
    if code or asked - ended_well or len(ended_well) < len(built.results):
        raise TransientError(
            f"dbt broke off with exit code {code}, {len(asked & ended_well)} of {len(asked)} models and tests done: "
            f"{''.join(last_words) or 'it gave no reason'}",
            where="dbt",
            next="neopulse run --from transform",
        )


def _is_executed(node: Mapping[str, Any]) -> bool:
    kind = node["resource_type"]
    return kind in ("test", "seed", "snapshot") or (kind == "model" and node["config"]["materialized"] != "ephemeral")


def _command(
    project: Path, folder: Path, *, variables: Mapping[str, Any], full_refresh: bool, left_out: Sequence[str] = NOT_BUILT
) -> list[str]:
    return [
        *(sys.executable, "-m", "pipeline.warehouse.dbt_child", "build"),
        *("--project-dir", str(project), "--profiles-dir", str(project)),
        *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
        *("--log-format", "json", "--log-level-file", "none", "--no-use-colors", "--no-version-check"),
        "--no-send-anonymous-usage-stats",
        *(word for kind in left_out for word in ("--exclude-resource-type", kind)),
        *("--vars", json.dumps(dict(variables))),
        *(["--full-refresh"] if full_refresh else []),
    ]


@contextmanager
def child_process(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A child in a process group of its own, none of which outlives the block."""
    child = subprocess.Popen(
        command,
        cwd=PROJECT,  # where `-m` looks first: a folder of the caller's that is called pipeline is none of ours
        stdin=subprocess.PIPE,  # never written to: dbt_child ends when it closes
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**_inherited(), **environment},
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    with child:
        try:
            yield child
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _inherited() -> dict[str, str]:
    """The environment without what would steer dbt, and without the product's own settings and secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "NEOPULSE_"))}


def _batches(child: subprocess.Popen[str]) -> Iterator[list[str]]:
    """What the child has written since the last look, at least every TICK_SECONDS, until it closes its output."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pass_on, args=(child, lines), daemon=True).start()
    batch: list[str] = []
    line: str | None = ""
    while line is not None:
        with suppress(queue.Empty):
            line = lines.get(timeout=0 if batch else TICK_SECONDS)
            batch += [line] if line else []
            continue
        yield batch
        batch = []
    yield batch


def _pass_on(child: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    with suppress(ValueError):  # the pipe was closed under us: the child is being ended
        for line in child.stdout or ():
            lines.put(line)
    lines.put(None)


def _event(line: str) -> Event:
    try:
        parsed = json.loads(line)
        info, data = parsed["info"], parsed["data"]
    except (ValueError, KeyError, TypeError):
        return Event("error", line.strip())  # not dbt's own log: a traceback or a message of the interpreter
    if info["name"] not in (_BEGIN, *_OUTCOMES):
        return Event(info["level"], _words(info["msg"]))
    node = data.get("node_info", {})
    return Event(
        level=info["level"],
        text=_words(info["msg"]),
        node=node.get("node_name", ""),
        kind=node.get("resource_type", ""),
        ended=info["name"] != _BEGIN,
        total=int(data.get("total") or data.get("num_models") or 0),
        seconds=float(data.get("execution_time") or 0.0),
    )


def _words(message: str) -> str:
    """What an event says; of a traceback its last line, which is the error."""
    return message.strip().splitlines()[-1] if "Traceback (most recent" in message else message.strip()


def _read(folder: Path, last_words: str) -> Build:
    try:
        results = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
        manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PermanentError(
            f"dbt ended without a result: {last_words or 'it gave no reason'}",
            where="dbt_project",
            next="mend the project or the installation, then neopulse run --from transform",
        ) from None
    return Build(tuple(_node_result(result, manifest) for result in results), manifest)


def _node_result(result: Mapping[str, Any], manifest: Mapping[str, Any]) -> NodeResult:
    node = manifest["nodes"][result["unique_id"]]
    tested = node.get("attached_node") or next(iter(node["depends_on"].get("nodes", ())), "")
    return NodeResult(
        id=result["unique_id"],
        kind=node["resource_type"],
        name=node["name"],
        model=tested.split(".")[-1] if node["resource_type"] == "test" else node["name"],
        column=node.get("column_name") or "",
        rule=(node.get("test_metadata") or {}).get("name", ""),
        description=node.get("description", ""),
        status=result["status"],
        message=result["message"] or "",
        failures=result["failures"] or 0,
        seconds=result["execution_time"],
        file=node["original_file_path"],
        compiled_file=node.get("compiled_path") or "",
        started_at=min((part["started_at"] for part in result["timing"]), default=""),
        ended_at=max((part["completed_at"] for part in result["timing"]), default=""),
    )


def _ended_from_outside(number: int) -> TransientError:
    return TransientError(
        f"The building process was ended by {signal.Signals(number).name}; often the system ran out of memory",
        where="dbt",
        next="free memory or lower NEOPULSE_MEMORY_LIMIT, then neopulse run --from transform",
    )
