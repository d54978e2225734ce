"""The DAG in a real Airflow: its shape, a day, a step that fails and is resumed, a candidate that waits, a run beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import DAGS, NEOPULSE, Running, settings_folder

if TYPE_CHECKING:
    from airflow.sdk import DAG

STEPS = ["extract", "transform", "sheet", "activate", "notify"]
ALL_DONE = dict.fromkeys(STEPS, "success")


def neopulse(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NEOPULSE, *arguments], capture_output=True, text=True, check=False, timeout=300)


def status() -> Any:
    return json.loads(neopulse("status", "--json").stdout)


@pytest.fixture(scope="session")
def dag(surroundings: dict[str, str]) -> DAG:
    assert surroundings
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return bag.dags["neopulse_daily"]


def test_the_steps_are_those_of_the_command_line_in_their_order(dag: DAG) -> None:
    offered = re.search(r"--only \[([a-z|]+)\]", neopulse("run", "--help").stdout)
    assert offered is not None
    assert [task.task_id for task in dag.topological_sort()] == offered.group(1).split("|")


def test_each_task_only_calls_the_command_line_one_at_a_time(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert not dag.catchup
    for task in dag.tasks:
        assert task.pool == "neopulse"
        assert task.retries == 2
        assert task.bash_command.startswith(f"{os.environ['AIRFLOW_NEOPULSE_COMMAND']} run --only {task.task_id} --asked-by ")


def test_a_late_day_is_told_to_whoever_is_named(dag: DAG, surroundings: dict[str, str]) -> None:
    assert dag.deadline in (None, [])
    named = {"AIRFLOW_NEOPULSE_LATE_MAIL_TO": "ops@bank.example", "AIRFLOW_NEOPULSE_LATE_AFTER": "90"}
    read = f"from airflow.dag_processing.dagbag import DagBag; from pathlib import Path; b = DagBag(Path({str(DAGS)!r}))"
    show = "d = b.dags['neopulse_daily'].deadline; d = d[0] if isinstance(d, list) else d"
    told = "print(d.interval, d.callback.path, d.callback.kwargs['to'])"
    shown = subprocess.run(
        [sys.executable, "-c", f"{read}; {show}; {told}"], env=surroundings | named, capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines()[-1] == ("1:30:00 airflow.providers.smtp.notifications.smtp.SmtpNotifier ops@bank.example")


def test_a_day_goes_through_and_a_second_one_changes_nothing(airflow: Running, house: Path) -> None:
    airflow.trigger("first-day")
    assert airflow.end("first-day") == "success"
    assert airflow.states("first-day") == ALL_DONE
    told = status()
    assert (told["run"]["state"], told["version"]["name"]) == ("succeeded", "v0001")
    figures = json.loads(neopulse("metric", "active_customers", "--format", "json").stdout)
    assert figures["version"] == "v0001"
    assert figures["rows"]
    assert len(list((house / "outbox").glob("*.eml"))) == 1
    airflow.trigger("second-day", full_refresh=True)
    assert airflow.end("second-day") == "success"
    again = json.loads(neopulse("metric", "active_customers", "--format", "json").stdout)
    assert again["rows"] == figures["rows"]


def test_wrong_settings_fail_at_once_and_the_day_is_resumed_from_there(airflow: Running, house: Path) -> None:
    settings = settings_folder(house) / ".env"
    settings.write_text("NEOPULSE_NO_SUCH_SETTING=1\n")
    airflow.trigger("wrong-settings")
    assert airflow.end("wrong-settings") == "failed"
    assert airflow.states("wrong-settings") == {"extract": "failed"} | dict.fromkeys(STEPS[1:], "upstream_failed")
    assert airflow.tries("wrong-settings", "extract") == 1
    settings.unlink()
    airflow.clear("wrong-settings", "extract")
    assert airflow.end("wrong-settings") == "success"
    assert airflow.states("wrong-settings") == ALL_DONE


def test_a_step_that_fails_is_tried_again_later_and_what_is_done_is_not_done_again(airflow: Running, house: Path) -> None:
    workbook, aside = house / "sheet" / "neopulse.xlsx", house / "put-aside.xlsx"
    workbook.rename(aside)
    workbook.mkdir()  # a folder lies where the workbook should be
    airflow.trigger("bad-day")
    airflow.wait("bad-day", until=lambda _state, tasks: tasks["sheet"] == "up_for_retry")
    done = dict.fromkeys(STEPS[:2], "success")
    assert airflow.states("bad-day") == done | {"sheet": "up_for_retry", "activate": None, "notify": None}
    run = status()["run"]
    assert (run["state"], run["requested_by"]) == ("failed", "Airflow, bad-day")
    workbook.rmdir()
    aside.rename(workbook)
    airflow.clear("bad-day", "sheet")
    assert airflow.end("bad-day") == "success"
    assert [airflow.tries("bad-day", step) for step in STEPS] == [1, 1, 2, 1, 1]


def test_a_run_beside_it_is_waited_for(airflow: Running) -> None:
    beside = subprocess.Popen([NEOPULSE, "run", "--full-refresh"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while status()["run"]["state"] != "running":
            assert beside.poll() is None, "the other run ended before it was seen"
        beside.send_signal(signal.SIGSTOP)  # it holds the lease and does not get on
        airflow.trigger("two-at-once")
        airflow.wait("two-at-once", until=lambda _state, tasks: tasks["extract"] == "up_for_retry")
    finally:
        beside.send_signal(signal.SIGCONT)
    beside.wait(300)
    airflow.clear("two-at-once", "extract")
    assert airflow.end("two-at-once") == "success"


@pytest.mark.parametrize(("code", "error"), [(1, "AirflowException"), (2, "AirflowFailException"), (3, "AirflowFailException")])
def test_what_waits_for_a_person_is_not_tried_again(dag: DAG, code: int, error: str) -> None:
    step = type(dag.get_task("transform"))(
        task_id="ends", bash_command=f"exit {code}", skip_on_exit_code=dag.get_task("transform").skip_on_exit_code
    )
    step.get_env = lambda _context: dict(os.environ)
    with pytest.raises(Exception, match=r"(?i)exit code") as raised:
        step.execute({})
    assert type(raised.value).__name__ == error
