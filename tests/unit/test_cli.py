"""The command line: exit codes, one clear message for whatever is wrong, and never a traceback."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from pipeline import answers, cli, demo, files, serving
from pipeline.clock import SystemClock
from pipeline.context import StepContext, StepResult
from pipeline.errors import ConfigurationError, DataError, NeopulseError
from pipeline.marts import Answer, Question
from pipeline.metrics import Metric
from pipeline.runs import sightings
from pipeline.runs.records import StepState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings, load
from pipeline.steps import STEPS
from pipeline.stop import Stop
from pipeline.terminal import Lines, TerminalReporter, counting

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder, and no `.env` in sight."""
    folder = tmp_path / "var"
    monkeypatch.setenv("NEOPULSE_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def neopulse(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def said(result: Result) -> str:
    """What a command said; it never shows a traceback."""
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def use_steps(monkeypatch: pytest.MonkeyPatch, act: dict[str, NeopulseError | Exception]) -> list[str]:
    """Let a run do nothing but note its steps, and raise where told to."""
    called: list[str] = []

    def arm(name: str) -> Callable[[StepContext], StepResult]:
        def do(_context: StepContext) -> StepResult:
            called.append(name)
            if name in act:
                raise act[name]
            return StepResult(service=name, rows_in=1, rows_out=1)

        return do

    monkeypatch.setattr("pipeline.steps._ARMS", {name: arm(name) for name in STEPS})
    return called


def test_help_names_every_command_of_the_contract() -> None:
    shown = said(neopulse("--help"))
    for command in ("demo", "run", "metric", "status", "versions", "rollback", "syncs", "worker", "app", "check", "generate"):
        assert f"\n  {command} " in shown


def test_help_does_not_wait_for_what_it_does_not_need() -> None:
    code = "import sys, pipeline.cli; print([m for m in ('duckdb', 'sqlalchemy', 'pyarrow', 'streamlit') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_run_ends_with_0_and_its_steps_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    called = use_steps(monkeypatch, {})
    result = neopulse("run")
    assert result.exit_code == 0
    assert called == list(STEPS)
    shown = said(result)
    assert "run 1 succeeded" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("  ")] == list(STEPS)


@pytest.mark.parametrize(
    ("arguments", "steps"), [(("--from", "activate"), ["activate", "notify"]), (("--only", "sheet"), ["sheet"])]
)
def test_from_and_only_choose_the_steps(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], steps: list[str]) -> None:
    called = use_steps(monkeypatch, {})
    assert neopulse("run", *arguments).exit_code == 0
    assert called == steps


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("users.csv has no column plan", where="users.csv", safe="All", next="mend it"), 1),
        (ConfigurationError("no such folder"), 2),
        (ZeroDivisionError("one by none"), 1),
    ],
)
def test_a_failed_run_ends_with_its_code_and_its_reason(monkeypatch: pytest.MonkeyPatch, error: Exception, code: int) -> None:
    use_steps(monkeypatch, {"extract": error})
    result = neopulse("run")
    assert result.exit_code == code
    assert str(error).splitlines()[0] in said(result)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--from", "nowhere"),
        ("run", "--from", "sheet", "--only", "sheet"),
        ("run", "--unknown"),
        ("metric",),
        ("metric", "dau", "--where", "country"),
        ("metric", "dau", "--from", "yesterday"),
        ("metric", "dau", "--format", "xml"),
        ("generate", "--transactions", "many", "--out", "bank"),
        ("generate", "--transactions", "10", "--out", "bank"),
        ("dance",),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    result = neopulse(*arguments)
    assert result.exit_code == 2
    assert "Error:" in said(result)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("NEOPULSE_INACTIVITY_DAY", "30", "NEOPULSE_INACTIVITY_DAY is not a setting; did you mean NEOPULSE_INACTIVITY_DAYS?"),
        ("NEOPULSE_INACTIVITY_DAYS", "many", "NEOPULSE_INACTIVITY_DAYS"),
        ("NEOPULSE_BANK_TIMEZONE", "Europe/Atlantis", "NEOPULSE_BANK_TIMEZONE"),
        ("NEOPULSE_RUN_STORE", "hunter2", "NEOPULSE_RUN_STORE is not an SQLAlchemy URL"),
        ("NEOPULSE_HOME", "/proc/neopulse", "The folder /proc/neopulse cannot be written to"),
    ],
)
@pytest.mark.parametrize("command", ["run", "status", "demo", "worker", "check"])
def test_a_wrong_setting_is_named_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, command: str, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("NEOPULSE_PORT", str(free_port()))
    result = neopulse(command)
    assert result.exit_code == 2
    assert expected in said(result)
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HOME", "", "is empty: name a folder"),
        ("HOME", "~nobody-of-that-name/var", "no such person here"),
        ("DAILY_AT", "8", "hour and minute"),
        ("DAILY_AT", "06:00Z", "hour and minute"),
        ("FRESH_BY", "28800", "hour and minute"),
        ("AS_OF", "1700000000", "takes a day"),
        ("FACTS_RATES_SINCE", "", "takes a day"),
        ("ACTIVITY_MINIMUM_AMOUNT", "nan", "finite"),
        ("GUARD_ROWS_GROWTH", "inf", "finite"),
        ("MAIL_TO", "ada@bank.example, nobody", "entry 2 is not a mail address"),
        ("MAIL_FROM", "", "this is not a mail address"),
        ("RUN_STORE", "sqlite://", "names no file"),
        ("RUN_STORE", "sqlite+pysqlite:///:memory:", "names no file"),
        ("RUN_STORE", "sqlite:///file:/srv/runs.db?uri=true", "takes the path of a file"),
        ("RUN_STORE", "sqlite://runs.db", "three slashes"),
        ("HEALTH_ADDRESS", "", "0.0.0.0 is every one"),
        ("ADDRESS", "", "0.0.0.0 is every one"),
        ("MEMORY_LIMIT", "4 GB", "such as 4GB"),
        ("MEMORY_LIMIT", "0GB", "such as 4GB"),
        ("BIGQUERY_PREFIX", "neo-pulse", "letters, digits and underscores"),
    ],
)
def test_a_value_that_would_mean_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"NEOPULSE_{name}", value)
    with pytest.raises(ConfigurationError, match=f"NEOPULSE_{name}: .*{told}"):
        load(None)


def test_days_and_hours_and_the_home_folder_are_taken_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {"DAILY_AT": "8:30", "FRESH_BY": " 09:00", "AS_OF": "20260131", "RAW": "~/bank", "HOME": "~", "ROLE_FILE": ""}
    for name, value in {f"NEOPULSE_{name}": value for name, value in written.items()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/home/ada")
    found = load(None)
    assert (found.daily_at, found.fresh_by, found.as_of) == (time(8, 30), time(9), date(2026, 1, 31))
    assert (found.home, found.raw) == (Path("/home/ada"), Path("/home/ada/bank"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///runs.db", "sqlite:///{here}/runs.db"),
        ("sqlite+pysqlite:///a/../runs.db?timeout=5", "sqlite+pysqlite:///{here}/a/../runs.db?timeout=5"),
        ("sqlite:////srv/runs.db", "sqlite:////srv/runs.db"),
        ("postgresql://ada@db/runs", "postgresql://ada@db/runs"),
    ],
)
def test_a_run_store_is_the_same_file_wherever_a_process_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str, meant: str
) -> None:
    monkeypatch.setenv("NEOPULSE_RUN_STORE", written)
    assert load(None).run_store_url == meant.format(here=tmp_path)


def test_the_file_of_settings_is_read_as_it_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "export NEOPULSE_THREADS=3\nexport PATH\nOF_OTHERS\nNOTE='two lines,\nNEOPULSE_OF_NO_MEANING=1'\n#NEOPULSE_OLD=1\n"
    )
    assert load().threads == 3
    (tmp_path / ".env").write_text("export NEOPULSE_THREAD = 3\n")
    with pytest.raises(ConfigurationError, match="NEOPULSE_THREAD is not a setting; did you mean NEOPULSE_THREADS") as refused:
        load()
    assert refused.value.where == "the environment or .env"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"NEOPULSE_THREADS=3\n# caf\xe9\n", "no text in UTF-8"),
        ("NEOPULSE_THREADS=3\n".encode("utf-16"), "no text in UTF-8"),
        (b"NEOPULSE_THREADS=3\nNEOPULSE_SMTP_URL: smtp://ada:hunter2@mail\n", "Line 2 of .env is no setting"),
        (b'\n\nNEOPULSE_N8N_SECRET="hunter2\nNEOPULSE_THREADS=3\n', "Line 3 of .env is no setting"),
        (b"NEOPULSE_THREADS\n", "Line 1 of .env is no setting"),
        (b"neopulse_threads=3\n", "neopulse_threads is not a setting; did you mean NEOPULSE_THREADS?"),
        (None, "Is a directory"),
    ],
)
def test_a_file_of_settings_that_cannot_be_read_whole_is_not_read_in_part(
    tmp_path: Path, written: bytes | None, told: str
) -> None:
    (tmp_path / ".env").mkdir() if written is None else (tmp_path / ".env").write_bytes(written)
    for command in ("status", "check"):
        result = neopulse(command)
        assert result.exit_code == 2
        assert told in said(result)
        assert "hunter2" not in result.output


def test_a_missing_raw_folder_is_named_and_nothing_is_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEOPULSE_RAW", str(tmp_path / "nowhere"))
    result = neopulse("run")
    assert result.exit_code == 2
    assert str(tmp_path / "nowhere") in said(result)
    assert neopulse("versions").output.startswith("nothing has been published yet")


def test_a_missing_table_and_a_missing_column_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEOPULSE_RAW", str(tmp_path))
    (tmp_path / "users.csv").write_text("user_id,birth_year\nuser_1,1980\n")
    missing_table = neopulse("run")
    assert missing_table.exit_code == 1
    assert "The table devices is missing" in said(missing_table)

    (tmp_path / "devices.csv").write_text("string_field_0,string_field_1\nApple,user_1\n")
    (tmp_path / "transactions.csv").write_text("transaction_id\ntransaction_1\n")
    missing_column = neopulse("run")
    assert missing_column.exit_code == 1
    assert "users.csv has no column" in said(missing_column)


@pytest.mark.parametrize("command", [("metric", "dau"), ("rollback", "v0007"), ("run", "--from", "sheet")])
def test_what_needs_a_version_says_that_there_is_none(command: tuple[str, ...]) -> None:
    result = neopulse(*command)
    assert result.exit_code == 2
    assert "published yet" in said(result)


def test_a_fault_that_nobody_foresaw_is_one_line_and_its_traceback_a_file(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def broken(*_arguments: object) -> None:
        raise KeyError("plan")

    monkeypatch.setattr("pipeline.listings.status", broken)
    result = neopulse("status")
    assert result.exit_code == 1
    assert said(result).startswith("Error: KeyError: 'plan'")
    assert "Traceback" in (home / "logs" / "neopulse.log").read_text()


def test_a_dry_run_tells_the_steps_and_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = use_steps(monkeypatch, {})
    result = neopulse("run", "--from", "transform", "--dry-run")
    assert result.exit_code == 0
    assert [line.split()[0] for line in said(result).splitlines() if line.startswith("  ")] == list(STEPS[1:])
    assert called == []
    assert not home.exists()


def test_status_as_json_has_each_step_s_state_times_rows_attempts_and_error(monkeypatch: pytest.MonkeyPatch) -> None:
    use_steps(monkeypatch, {"sheet": DataError("the sheet is full", where="workbook")})
    neopulse("run")
    content = json.loads(neopulse("status", "--json").output)
    extract, _, sheet, activate, _ = content["run"]["steps"]
    assert content["version"] is None
    assert (content["run"]["state"], content["run"]["error_kind"]) == ("failed", "data")
    assert (extract["state"], extract["rows_in"], extract["rows_out"], extract["attempts"]) == ("succeeded", 1, 1, 1)
    assert datetime.fromisoformat(extract["started_at"]) <= datetime.fromisoformat(extract["ended_at"])
    assert (sheet["state"], sheet["error"]) == ("failed", "the sheet is full\n  where: workbook")
    assert (activate["state"], activate["started_at"]) == ("pending", None)


def test_a_run_that_another_program_asks_for_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    use_steps(monkeypatch, {})
    neopulse("run", "--only", "extract", "--asked-by", "Airflow, scheduled__2026-11-26T06:00:00+00:00")
    [run] = RunStore.open(load().run_store_url, clock=SystemClock()).runs(10)
    assert (run.requested_by, run.only_step) == ("Airflow, scheduled__2026-11-26T06:00:00+00:00", True)


def test_status_closes_what_a_killed_run_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "LOOK_ON_SECONDS", 0.1)
    store = RunStore.open(load().run_store_url, clock=SystemClock())
    lease = store.take_lease("killed", seconds=-1)
    store.start_run(lease, trigger="cli", requested_by="ada", plan=[("extract", StepState.PENDING)], first_step="extract")
    shown = said(neopulse("status"))
    assert "run 1 interrupted" in shown
    assert "neopulse run --from extract" in shown
    assert home.exists()


def test_a_run_while_another_goes_on_is_refused_and_says_which() -> None:
    store = RunStore.open(load().run_store_url, clock=SystemClock())
    lease = store.take_lease("elsewhere process 7", seconds=40)
    store.start_run(lease, trigger="cli", requested_by="ada", plan=[("extract", StepState.PENDING)], first_step="extract")
    result = neopulse("run")
    assert result.exit_code == 1
    assert "Run 1 is going on" in said(result)
    assert "elsewhere process 7" in result.output


@pytest.mark.parametrize("command", ["demo", "app"])
def test_a_port_in_use_is_said_before_any_work(
    monkeypatch: pytest.MonkeyPatch, home: Path, taken_port: int, command: str
) -> None:
    monkeypatch.setenv("NEOPULSE_PORT", str(taken_port))
    result = neopulse(command)
    assert result.exit_code == 2
    assert f"Port {taken_port} is in use" in said(result)
    assert not home.exists()


@pytest.mark.parametrize("command", ["demo", "app"])
def test_the_app_does_not_answer_to_other_machines_without_a_sign_in(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("NEOPULSE_ADDRESS", "0.0.0.0")
    result = neopulse(command)
    assert result.exit_code == 2
    assert "nobody has to sign in" in said(result)


def test_behind_a_loopback_port_a_wide_address_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_ADDRESS", "0.0.0.0")
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    monkeypatch.setenv("NEOPULSE_PORT", str(free_port()))
    serving.check_address(load())


def test_check_lists_every_setting_and_finds_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_PORT", str(free_port()))
    result = neopulse("check")
    assert result.exit_code == 0
    for name, field in Settings.model_fields.items():
        assert f"NEOPULSE_{name.upper()}=" in said(result)
        assert (field.description or "").split("\n")[0][:40] in result.output
    assert "wrong " not in result.output


def test_check_tells_every_fault_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taken_port: int) -> None:
    monkeypatch.setenv("NEOPULSE_PORT", str(taken_port))
    monkeypatch.setenv("NEOPULSE_RAW", str(tmp_path / "nowhere"))
    monkeypatch.setenv("NEOPULSE_AS_OF", "9999-12-31")
    assert "9999-12-31 is not over yet" in neopulse("check").output
    monkeypatch.delenv("NEOPULSE_AS_OF")
    result = neopulse("check")
    assert result.exit_code == 2
    assert "wrong  bank's tables" in said(result)
    assert "wrong  app's port" in result.output
    assert "fine   run store" in result.output


def test_check_tells_who_may_look_into_the_state_and_what_nobody_delivers(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("NEOPULSE_PORT", str(free_port()))
    store = RunStore.open(load().run_store_url, clock=SystemClock())
    for key, service in (("outbox-a", "outbox"), ("SMTP-a", "SMTP"), ("SMTP-b", "SMTP")):
        store.reserve(key, service, {})
    shown = said(neopulse("check"))
    assert f"fine   state folder: {home} can be written to\n" in shown
    assert "; 1 waiting, which the worker delivers; 2 waiting for SMTP, which is not set: nobody delivers them\n" in shown
    home.chmod(0o755)
    assert "everybody on this machine may look into it" in said(neopulse("check"))


def test_check_does_not_show_the_run_store_s_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_RUN_STORE", "postgresql://ada:hunter2@nowhere.invalid/runs")
    result = neopulse("check")
    assert "hunter2" not in said(result)
    assert "postgresql://ada:***@nowhere.invalid/runs" in result.output


def test_a_child_gets_exactly_the_settings_of_its_parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = Settings(  # type: ignore[call-arg]
        _env_file=None,
        home=Path("relative"),
        raw=Path("bank"),
        as_of=date(2019, 5, 12),
        activity_excluded_types=(),
        mail_to=("a@b", "c@d"),
        behind_loopback=True,
    )
    assert given.zone  # a run has looked at it by the time the demo serves; what is derived is no setting
    for name, value in serving.environment(given).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    assert load(None) == given
    assert (given.home, given.raw) == (tmp_path / "relative", tmp_path / "bank")


def test_the_app_is_sparing_with_memory_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(_env_file=None)  # type: ignore[call-arg]
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "mimalloc")
    child = serving.app_environment(given)
    assert (child["MALLOC_ARENA_MAX"], child["ARROW_DEFAULT_MEMORY_POOL"]) == ("2", "mimalloc")
    assert "MALLOC_ARENA_MAX" not in serving.environment(given)  # a build has threads that allocate much, beside each other
    assert child.items() >= serving.environment(given).items()


def test_the_default_state_folder_is_the_one_beside_which_the_command_was_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """dbt works in another folder, and so does the app: to them a relative path would name another place."""
    monkeypatch.delenv("NEOPULSE_HOME")
    settings = load()
    monkeypatch.chdir("/")
    assert settings.home == tmp_path / "var"


def test_a_state_folder_is_made_for_its_owner_and_their_group_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_steps(monkeypatch, {})
    before = os.umask(0o022)
    try:
        neopulse("run")
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o750


def test_a_state_folder_that_is_there_stays_as_it_is_and_so_does_what_comes_into_it(home: Path) -> None:
    before = os.umask(0o022)
    try:
        home.mkdir()
        version = files.make_folder(home / "candidates" / "12")
    finally:
        os.umask(before)
    assert [folder.stat().st_mode & 0o005 for folder in (home, version)] == [0o005, 0o005]


def test_signals_become_a_wish_and_a_second_ctrl_c_ends_at_once() -> None:
    with Stop() as stop:
        assert not stop.is_wanted()
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_wanted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_child_ends_when_its_parent_does(tmp_path: Path) -> None:
    """However the parent dies: its end of the pipe closes."""
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline.tied", "sleeper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{tmp_path}"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    child.stdin.close()
    assert child.wait(10) == -signal.SIGTERM
    child.stdout.close()


@pytest.mark.parametrize(("told_by", "exit_code"), [((), -signal.SIGTERM), (("pipeline.orderly",), 0)])
def test_an_app_that_is_told_to_end_ends_well(tmp_path: Path, told_by: tuple[str, ...], exit_code: int) -> None:
    """What serves the app ends in order and then by the signal, which a supervisor takes for a crash."""
    (tmp_path / "small_app.py").write_text(
        "import uvicorn\n"
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'lifespan'\n"
        "    for act in ('startup', 'shutdown'):\n"
        "        await receive()\n"
        "        print(act, flush=True)\n"
        "        await send({'type': f'lifespan.{act}.complete'})\n"
        "uvicorn.run(app, port=0, log_level='critical')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-m", *told_by, "small_app"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{tmp_path}"},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"startup\n"
    child.terminate()
    assert (child.wait(10), child.stdout.read()) == (exit_code, b"shutdown\n")
    child.stdout.close()


def test_the_app_is_served_so_that_it_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("pipeline.serving.check_address", lambda _settings: None)
    monkeypatch.setattr("os.chdir", lambda _folder: None)
    monkeypatch.setattr("os.execve", lambda _path, line, _environment: became.append(line))
    assert CliRunner().invoke(cli.main, ["app"]).exit_code == 0
    assert became[0][1:5] == ["-m", "pipeline.orderly", "streamlit", "run"]


def test_the_demo_takes_its_own_bank_whatever_folder_is_set(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, raw=tmp_path, demo_seed=4)  # type: ignore[call-arg]
    used = demo.settings_for(settings, transactions=5000, seed=None)
    assert (used.raw, used.demo_transactions, used.demo_seed) == (None, 5000, 4)


def an_answer() -> Answer:
    metric = Metric(
        name="monthly_churn_rate",
        label={"en": "Monthly churn", "fr": "Attrition"},
        definition={"en": "Who left.", "fr": "Les départs."},
        unit="share",
        model="mart_monthly_churn_rate",
        column="churn_rate",
    )
    table = pa.table(
        {
            "month": [date(2019, 4, 1), date(2019, 5, 1)],
            "plan": ["METAL", None],
            "value": [0.125, None],
            "n": [1234, 0],
            "final_on": [date(2019, 4, 30), date(2019, 5, 31)],
            "provisional": [False, True],
        }
    )
    return Answer(Question("monthly_churn_rate"), metric, date(2019, 5, 12), "v0001", "demo bank", 90, "COMPLETED", table)


def test_json_of_an_answer_is_the_contract_s() -> None:
    assert json.loads(answers.as_json(an_answer(), "fr")) == {
        "metric": "monthly_churn_rate",
        "definition": "Les départs.",
        "as_of": "2019-05-12",
        "version": "v0001",
        "window": 90,
        "rule": "COMPLETED",
        "rows": [
            {"month": "2019-04-01", "plan": "METAL", "value": 0.125, "n": 1234, "final_on": "2019-04-30", "provisional": False},
            {"month": "2019-05-01", "plan": None, "value": None, "n": 0, "final_on": "2019-05-31", "provisional": True},
        ],
    }


def test_csv_of_an_answer_is_exact() -> None:
    assert answers.as_csv(an_answer(), "en").splitlines() == [
        "month,plan,value,n,final_on,provisional",
        "2019-04-01,METAL,0.125,1234,2019-04-30,false",
        "2019-05-01,,,0,2019-05-31,true",
    ]


def test_a_table_of_an_answer_says_what_the_figures_mean_and_lines_them_up() -> None:
    assert answers.as_table(an_answer(), "en").splitlines() == [
        "Monthly churn: Who left.",
        "as of 2019-05-12, version v0001, demo bank, window 90 days, COMPLETED",
        "",
        "     month  plan    value      n    final_on  provisional",
        "2019-04-01  METAL  0.1250  1,234  2019-04-30  no",
        "2019-05-01                     0  2019-05-31  yes",
    ]


def test_words_of_the_banks_files_give_a_terminal_no_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = "\x1b]0;pwned\x07\x9b31m"
    use_steps(
        monkeypatch, {"extract": DataError(f"users.csv has {orders}plan", where=f"a\r{orders}", safe="all", next="mend it")}
    )
    assert not set(said(neopulse("run"))) & set("\x1b\x07\x9b\r")
    assert not set(said(neopulse("status"))) & set("\x1b\x07\x9b\r")
    found = an_answer()
    table = found.table.set_column(1, "plan", pa.array([f"ME{orders}TAL\nx", None]))
    told = answers.as_table(replace(found, table=table), "en")
    assert not set(told) & set("\x1b\x07\x9b")
    assert len(told.splitlines()) == 6


def test_a_file_whose_name_is_not_utf_8_fails_a_run_and_is_told(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    named = os.fsdecode(b"transactions_caf\xe9.csv")

    def refuse(_context: StepContext) -> StepResult:
        logging.getLogger("pipeline").warning("looks at %s", named)
        raise DataError(f"{named} has no column user_id", where=named, safe="all", next=f"mend {named}")

    monkeypatch.setattr("pipeline.steps._ARMS", {"extract": refuse})
    assert "transactions_caf\ufffd.csv has no column" in said(neopulse("run"))
    assert "run 1 failed" in said(neopulse("status"))
    assert (home / "outbox" / "outbox-run-1-failed-extract.eml").is_file()


class Terminal(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def test_a_pipe_gets_whole_lines_and_not_too_many() -> None:
    now = [0.0]
    stream = Terminal(is_terminal=False)
    reporter = TerminalReporter(Lines(stream, seconds=lambda: now[0]))
    for number in range(25):
        now[0] = float(number)
        reporter.step_progressed("transform", number / 25, f"{number} of 25 models")
    reporter.step_ended("transform", StepResult("duckdb", 50_000, 7), 25.0)
    assert stream.getvalue().splitlines() == [
        "  transform   40%  10 of 25 models",
        "  transform   80%  20 of 25 models",
        "  transform  done in   25.0 s  duckdb, 50,000 rows in (2,000 a second), 7 rows out",
    ]


def test_a_run_that_finds_nobody_active_says_so_beneath_its_step() -> None:
    stream = Terminal(is_terminal=False)
    reporter = TerminalReporter(Lines(stream, seconds=lambda: 0.0))
    reporter.step_ended("transform", StepResult("duckdb", 3, 0, {"models": 70, "nobody_active": True}), 2.0)
    done, remark = stream.getvalue().splitlines()
    assert done == "  transform  done in    2.0 s  duckdb, 3 rows in, 0 rows out"
    assert "nobody was ever active" in remark


def test_a_terminal_gets_one_line_that_changes() -> None:
    now = [0.0]
    stream = Terminal(is_terminal=True)
    tell = counting(Lines(stream, seconds=lambda: now[0]), "transactions")
    now[0] = 2.0
    tell(1000, 4000)
    assert stream.getvalue() == "\r\033[K   25%  1,000 of 4,000 transactions, 500 a second"
