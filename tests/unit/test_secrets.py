"""No secret is read by anybody: from environment or file it goes where it is needed, and everywhere else it is masked."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import cli, serving
from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.logs import log_to_terminal, logging_to, logging_to_store
from pipeline.masking import masked, remember
from pipeline.runs.records import StepState
from pipeline.runs.store import RunStore
from pipeline.settings import PREFIX, PROJECT, Settings, load

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
# A value of each secret setting's own form, and what of it nobody may read. A new secret setting is missed here by its test.
VALUES = {
    "run_store": ("postgresql://ada:hunter-2%2F3@db.bank.example/runs", ("hunter-2%2F3", "hunter-2/3")),
    "sync_tokens": ("crm=t0ken-of-crm,hubspot=t0ken-of-hubspot", ("t0ken-of-crm", "t0ken-of-hubspot")),
    "n8n_secret": ("n8n-secret-of-16-letters-or-more", ("n8n-secret-of-16-letters-or-more",)),
    "smtp_url": ("smtp://ada:p%40ssword-of-mail@mail.bank.example:587", ("p%40ssword-of-mail", "p@ssword-of-mail")),
}
DEFAULT = ("a-secret-of-some-other-service-0123456789", ("a-secret-of-some-other-service-0123456789",))
# What some secrets are of no use without, by the beginning of their names; the provider refuses the connection at once.
COMPANIONS = {
    "oidc_": {
        "oidc_metadata_url": "http://127.0.0.1:1/.well-known/openid-configuration",
        "oidc_client_id": "neopulse",
        "oidc_client_secret": "the-client-s-own-0123456789-0123456789",
        "oidc_cookie_secret": "the-cookie-s-own-0123456789-0123456789",
        "oidc_public_url": "http://127.0.0.1:8501",
        "role_admins": "ada@bank.example",
    }
}


def value_of(name: str) -> str:
    return VALUES.get(name, DEFAULT)[0]


def parts_of(name: str) -> tuple[str, ...]:
    return VALUES.get(name, DEFAULT)[1]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture(params=Settings.secret_names())
def secret(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each secret setting in its turn, set in the environment and read."""
    for beginning, companions in COMPANIONS.items():
        if request.param.startswith(beginning):
            for name, value in companions.items():
                monkeypatch.setenv(PREFIX + name.upper(), value)
    monkeypatch.setenv(PREFIX + request.param.upper(), value_of(request.param))
    load()
    return str(request.param)


def test_the_settings_that_are_called_secret_or_token_or_password_are_of_the_secret_kind() -> None:
    telling = ("secret", "token", "password", "_key", "smtp_url", "run_store")
    named = {name for name in Settings.model_fields if any(word in name for word in telling)}
    assert named == set(Settings.secret_names())


def test_a_secret_is_masked_in_messages_arguments_and_tracebacks_of_every_log(
    secret: str, tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = RunStore.open(f"sqlite:///{home / 'run_store.db'}", clock=FixedClock(MONDAY))
    lease = store.take_lease("worker", seconds=40)
    run = store.start_run(lease, trigger="cli", requested_by="ada", plan=[("notify", StepState.PENDING)], first_step="notify")
    log, words = logging.getLogger("pipeline.tests"), [value_of(secret), *parts_of(secret)]
    handlers = {name: list(logging.getLogger(name).handlers) for name in ("pipeline", "worker")}
    try:
        for form in ("text", "json"):
            log_to_terminal(form)  # type: ignore[arg-type]
        with logging_to(tmp_path / "run.log"), logging_to_store(store, run.id):
            for word in words:
                log.warning(f"the service said {word}")
                log.warning("the service said %s and %r", word, {"sent": word})
                try:
                    raise ValueError(f"cannot use {word}")
                except ValueError:
                    log.exception("it failed with %(word)s", {"word": word})
    finally:
        for name, before in handlers.items():
            logging.getLogger(name).handlers[:] = before
    written = "\n".join(
        ((tmp_path / "run.log").read_text(), capfd.readouterr().err, *(event.text for event in store.events(run.id)))
    )
    assert written.count("the service said ***") >= 4 * len(words)
    assert "cannot use ***" in written
    assert [word for word in words if word in written] == []


def test_a_secret_is_masked_in_every_error(secret: str) -> None:
    for word in (value_of(secret), *parts_of(secret)):
        error = PermanentError(f"the service refused {word}", where=f"https://service/{word}", safe=word, next=f"ask for {word}")
        assert word not in str(error) + repr(error) + error.what + error.where + error.safe + error.next
        assert error.what == "the service refused ***"


def test_check_says_of_a_secret_that_it_is_set_and_no_command_prints_it(secret: str) -> None:
    result = CliRunner().invoke(cli.main, ["check"])
    assert [word for word in (value_of(secret), *parts_of(secret)) if word in result.output] == []
    shown = "postgresql://ada:***@db.bank.example/runs" if secret == "run_store" else "set"
    assert f"{PREFIX}{secret.upper()}={shown}" in result.output


def test_the_settings_do_not_show_a_secret_in_any_form(secret: str) -> None:
    settings = load()
    told = "".join((repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())))
    assert [word for word in (value_of(secret), *parts_of(secret)) if word in told] == []


def test_a_child_gets_the_secret_itself_or_the_name_of_its_file(
    secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = PREFIX + secret.upper()
    assert serving.environment(load())[variable] == value_of(secret)
    monkeypatch.delenv(variable)
    (tmp_path / "mounted").write_text(value_of(secret) + "\n")
    monkeypatch.setenv(variable + "_FILE", "mounted")
    child = serving.environment(load())
    assert (child[variable], child[variable + "_FILE"]) == ("", str(tmp_path / "mounted"))
    assert value_of(secret) not in child.values()
    for name, value in child.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    assert getattr(load(), secret).get_secret_value() == value_of(secret)


def test_a_secret_is_read_from_its_file_without_the_end_of_the_line(
    secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = PREFIX + secret.upper()
    monkeypatch.delenv(variable)
    (tmp_path / "mounted").write_bytes(value_of(secret).encode() + b"\r\n")
    (tmp_path / ".env").write_text(f'{variable}_FILE="{tmp_path / "mounted"}"\n')
    assert getattr(load(), secret).get_secret_value() == value_of(secret)
    assert masked(value_of(secret)) == "***"
    shown = CliRunner().invoke(cli.main, ["check"]).output
    assert f"{variable}=set, from {tmp_path / 'mounted'}" in shown or secret == "run_store"


def test_a_secret_that_is_given_twice_is_refused_without_showing_either(
    secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounted").write_text("another value of the secret")
    monkeypatch.setenv(f"{PREFIX}{secret.upper()}_FILE", str(tmp_path / "mounted"))
    with pytest.raises(ConfigurationError, match="are both set") as refused:
        load()
    assert value_of(secret) not in str(refused.value)
    assert "another value" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "it holds nothing"),
        (b"\n", "it holds nothing"),
        (b"one\ntwo\n", "no single line"),
        (b"\xff\xfe", "no text"),
    ],
)
def test_a_file_that_holds_no_secret_is_named_and_its_content_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "mounted").write_bytes(content)
    monkeypatch.setenv("NEOPULSE_N8N_SECRET_FILE", str(tmp_path / "mounted"))
    with pytest.raises(ConfigurationError, match=reason) as refused:
        load()
    assert f"NEOPULSE_N8N_SECRET_FILE={tmp_path / 'mounted'}" in str(refused.value)
    assert "two" not in str(refused.value)


def test_only_secrets_may_be_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_LANGUAGE_FILE", "/run/secrets/language")
    with pytest.raises(ConfigurationError, match="NEOPULSE_LANGUAGE_FILE is not a setting"):
        load()


@pytest.mark.parametrize("text", ["a-secret", 'it\'s a "secret"', "señal-sécrète", "a/b+c=d?e&f"])
def test_a_secret_is_known_in_the_forms_in_which_it_may_be_quoted(text: str) -> None:
    from urllib.parse import quote

    remember([text])
    for form in (text, quote(text, safe=""), json.dumps(text), repr(text)):
        assert "***" in masked(form)
        assert text not in masked(form)


def test_a_very_short_secret_does_not_tear_every_word_apart() -> None:
    remember(["ab", "", " "])
    assert masked("about ab: absent") == "about ***: absent"


def test_a_json_log_has_one_object_a_line_with_run_and_step(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = RunStore.open(f"sqlite:///{home / 'run_store.db'}", clock=FixedClock(MONDAY))
    lease = store.take_lease("worker", seconds=40)
    run = store.start_run(lease, trigger="cli", requested_by="ada", plan=[("notify", StepState.PENDING)], first_step="notify")
    log, before = (
        logging.getLogger("worker.tests"),
        {name: list(logging.getLogger(name).handlers) for name in ("pipeline", "worker")},
    )
    try:
        log_to_terminal("json")
        log.info("the worker began: %s", "every day\nat six")
        with logging_to_store(store, run.id) as live:
            live.step = "notify"
            try:
                raise ValueError("cannot")
            except ValueError:
                log.exception("it failed")
        log.info("the worker ends")
    finally:
        for name, handlers in before.items():
            logging.getLogger(name).handlers[:] = handlers
    began, failed, ends = map(json.loads, capfd.readouterr().err.splitlines())
    assert {**began, "time": ""} == {
        "time": "", "level": "info", "logger": "worker.tests", "message": "the worker began: every day\nat six"
    }  # fmt: skip
    assert datetime.fromisoformat(began["time"]).tzinfo is not None
    assert (failed["run"], failed["step"], failed["level"]) == (run.id, "notify", "error")
    assert failed["traceback"].splitlines()[-1] == "ValueError: cannot"
    assert "run" not in ends


def test_the_log_of_faults_begins_anew_at_its_size_and_keeps_three(tmp_path: Path) -> None:
    with logging_to(tmp_path / "faults.log", level=logging.ERROR, largest_bytes=2000):
        for number in range(200):
            logging.getLogger("worker.tests").error("fault %d", number)
    assert sorted(path.name for path in tmp_path.glob("faults*")) == ["faults.log", *(f"faults.log.{n}" for n in (1, 2, 3))]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.glob("faults*"))
    assert "fault 199" in (tmp_path / "faults.log").read_text()


def test_a_worker_whose_settings_are_wrong_does_not_print_the_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NEOPULSE_N8N_SECRET=short-s3cret\nNEOPULSE_RUN_STORE=nonsense-s3cret\n")
    ended = subprocess.run(
        [sys.executable, "-m", "worker"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "s3cret" not in ended.stdout + ended.stderr
    assert "NEOPULSE_N8N_SECRET" in ended.stderr
