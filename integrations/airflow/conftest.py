"""A home of Airflow's own in a temporary folder, and one that really runs, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).parent / "dags"
NEOPULSE = os.environ.get("COMMAND_FOR_TESTS") or shutil.which("neopulse") or ""
PATIENCE_SECONDS = 420.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where neopulse keeps its state while Airflow runs it."""
    return tmp_path_factory.mktemp("neopulse")


def settings_folder(house: Path) -> Path:
    """Where the command is called, so that a test can write `.env` there."""
    folder = house.parent / "settings"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory, house: Path) -> dict[str, str]:
    """The environment of every process of Airflow's, its database made."""
    assert NEOPULSE, "name the command: COMMAND_FOR_TESTS=/path/to/neopulse"
    port = free_port()
    settings = {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-these-tests-" * 4,
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW_NEOPULSE_COMMAND": f"env --chdir={settings_folder(house)} {NEOPULSE}",
        "AIRFLOW_NEOPULSE_SCHEDULE": "0 0 29 2 *",  # no run but those of the tests
        "NEOPULSE_HOME": str(house),
        "NEOPULSE_DEMO_TRANSACTIONS": "3000",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    os.environ.update(settings)  # before Airflow is imported, which reads them then
    for command in (["db", "migrate"], ["pools", "set", "neopulse", "1", "one run at a time"]):
        subprocess.run(["airflow", *command], check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    return dict(os.environ)


class Running:
    """An Airflow that runs, spoken to as a person's browser would: by its REST interface."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._token = self._send("GET", "/auth/token", None, token=None)["access_token"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self._send(method, f"/api/v2{path}", body, token=self._token)

    def trigger(self, run_id: str, **params: object) -> None:
        self.call("POST", "/dags/neopulse_daily/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": params})

    def states(self, run_id: str) -> dict[str, str | None]:
        """Each task's state, in the order of the steps."""
        listed = self.call("GET", f"/dags/neopulse_daily/dagRuns/{run_id}/taskInstances")["task_instances"]
        order = ("extract", "transform", "sheet", "activate", "notify")
        return {task["task_id"]: task["state"] for task in sorted(listed, key=lambda task: order.index(task["task_id"]))}

    def tries(self, run_id: str, task: str) -> int:
        return int(self.call("GET", f"/dags/neopulse_daily/dagRuns/{run_id}/taskInstances/{task}")["try_number"])

    def clear(self, run_id: str, task: str) -> None:
        """What the button "Clear" does to a run's task and those after it."""
        which = {"dag_run_id": run_id, "task_ids": [task], "include_downstream": True, "only_failed": False}
        self.call("POST", "/dags/neopulse_daily/clearTaskInstances", which | {"dry_run": False, "reset_dag_runs": True})

    def wait(self, run_id: str, *, until: Callable[[str, dict[str, str | None]], bool]) -> str:
        """The run's state, once it and its tasks' states are as asked; fails after the time that is allowed."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            state = str(self.call("GET", f"/dags/neopulse_daily/dagRuns/{run_id}")["state"])
            if until(state, self.states(run_id)):
                return state
            time.sleep(1)
        pytest.fail(f"{run_id} did not get there: {state}, {self.states(run_id)}")

    def end(self, run_id: str) -> str:
        return self.wait(run_id, until=lambda state, _tasks: state in {"success", "failed"})

    def _send(self, method: str, path: str, body: Any, *, token: str | None) -> Any:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(
            self._url + path, method=method, headers=headers, data=None if body is None else json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")


@pytest.fixture(scope="session")
def airflow(surroundings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Airflow as it is deployed small: an api server, a scheduler with local tasks, a reader of DAGs."""
    log = tmp_path_factory.mktemp("log") / "airflow.log"
    processes = []
    with log.open("wb") as out:
        for part in (["api-server"], ["dag-processor"], ["scheduler"]):
            processes.append(
                subprocess.Popen(["airflow", *part], env=surroundings, stdout=out, stderr=out, start_new_session=True)
            )
        try:
            running = _until_it_answers(surroundings["AIRFLOW__API__BASE_URL"], log)
            running.call("PATCH", "/dags/neopulse_daily", {"is_paused": False})
            yield running
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)


def _until_it_answers(url: str, log: Path) -> Running:
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        try:
            running = Running(url)
            running.call("GET", "/dags/neopulse_daily")
        except OSError:  # not there yet, or the DAG is not read yet (HTTP errors are of this kind too)
            time.sleep(2)
        else:
            return running
    pytest.fail(f"Airflow did not answer: {log.read_text()[-4000:]}")
