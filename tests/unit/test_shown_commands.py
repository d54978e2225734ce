"""Whatever the documentation tells people to type can be typed: it is run on a small bank, or it is known why not."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import shown_commands
import yaml
from click.testing import CliRunner
from shown_commands import Block, Command

from pipeline.cli import main
from pipeline.settings import PREFIX, PROJECT, Settings

pytestmark = pytest.mark.xdist_group("the bank of the pages")

PAGES = sorted(
    page
    for page in (*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "integrations").rglob("*.md"))
    if page.name not in ("commands.md", "CHANGELOG.md")
)
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

RUN = {"backup", "check", "export", "generate", "metric", "restore", "rollback", "status", "syncs", "versions"}
# Read by the command line's own parser, which knows every option, and not run here.
NOT_RUN = {
    "app": "serves until it is ended: tests/e2e",
    "approve": "needs a candidate that waits: tests/unit/test_cli_approval.py",
    "cancel": "needs a run that goes on: tests/unit/test_cancel.py",
    "docs": "has dbt read the whole project: tests/unit/test_dbt_site.py",
    "demo": "builds with dbt, which takes long: make test-release, tests/unit/test_cli.py",
    "powerbi": "writes into the checkout unless told otherwise: tests/unit/test_powerbi_project.py",
    "reject": "needs a candidate that waits: tests/unit/test_cli_approval.py",
    "run": "builds with dbt, which takes long: tests/integration; with --dry-run it is run",
    "worker": "runs until it is ended: tests/unit/test_worker.py",
}
IN_THE_SHELL = {"cat", "chmod", "cp", "echo", "ls", "mkdir", "mv", "rm"}  # as they stand, in an empty folder
NEEDS_MORE = {
    "airflow": "is not installed here: make test-airflow",
    "cd": "leads to a folder of the reader's",
    "gcloud": "needs an account",
    "git": "needs the network",
    "n8n": "is in n8n's container; the files it is given are looked for",
    "psql": "needs a server: tests/unit/test_run_store.py runs on one",
    "sleep": "only takes time",
    "systemctl": "is the reader's machine",
}
PLACEHOLDERS = {"NAME": "active_customers", "RUN": "12", "STEP": "sheet", "FILE": "file", "FOLDER": "folder", "DIR": "folder"}


@pytest.fixture
def typing(pages_bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typing:
    """A checkout's folder with a small bank published in its `var`, and the folders that the pages name as examples."""
    for name in ("pipeline", "integrations"):
        (tmp_path / name).symlink_to(PROJECT / name)
    shutil.copytree(pages_bank, tmp_path / "var", symlinks=True)
    shutil.copytree(pages_bank.parent / "raw", tmp_path / "folder")
    for name in ("backups", "airflow/dags"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEOPULSE_PORT", str(_free_port()))
    return Typing(tmp_path)


class Typing:
    """Does what a line says, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._examples = {
            "/path/to/folder": str(folder / "folder"),
            "/backups/": f"{folder}/backups/",
            "neopulse-$(date +%F)": "neopulse-2026-11-26",
            "v0003": "v0001",
        }

    def line(self, line: str) -> None:
        for example, there in self._examples.items():
            line = line.replace(example, there)
        called = list(shown_commands.commands(line))
        if {command.program for command in called} <= IN_THE_SHELL:
            subprocess.run(["bash", "-ec", line], check=True, stdin=subprocess.DEVNULL)
            self._take_away_settings()
            return
        for command in called:
            self._command(command)

    def _take_away_settings(self) -> None:
        """They are of services that are not here: the commands below go without."""
        if (path := Path(".env")).exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                _looks_like_settings(Command(dict([line.split("=", 1)]), ()))
            path.write_text("", encoding="utf-8")

    def _command(self, command: Command) -> None:
        programs: dict[str, Callable[[Command], None]] = {
            "": _looks_like_settings,
            "neopulse": self._neopulse,
            "make": _is_a_target,
            "docker": _is_of_the_compose_file,
            "pip": _installs_from_the_checkout,
        }
        if command.program in NEEDS_MORE:
            _names_files_that_are_there(command)
        else:
            assert command.program in programs, f"{command.program}: nobody knows how to try this"
            programs[command.program](command)

    def _neopulse(self, command: Command) -> None:
        name, *_ = words = _parsed(command.words[1:])
        if command.given.get("NEOPULSE_RUN_STORE") or not (name in RUN or "--dry-run" in words):
            assert name in NOT_RUN or name == "restore"  # a run store elsewhere: tests/unit/test_backups.py
            return
        given = {"NEOPULSE_HOME": "elsewhere"} if name == "restore" else {}  # where a state is it refuses, as the pages say
        done = CliRunner().invoke(main, words, env=given | command.given)
        assert done.exit_code == 0, f"neopulse {' '.join(words)}: {done.output}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parsed(words: Sequence[str]) -> list[str]:
    """The words, once the parser of the command line has taken them; words in capitals stand for something."""
    told = [PLACEHOLDERS.get(word, word) for word in words]
    name, *arguments = told
    with click.Context(main, info_name="neopulse") as context:
        if not name.startswith("--"):
            _parse(main.commands[name], name, arguments, context)
    return told


def _parse(command: click.Command, name: str, arguments: list[str], context: click.Context) -> None:
    if isinstance(command, click.Group):
        for inner in arguments[:1]:
            _parse(command.commands[inner], f"{name} {inner}", arguments[1:], context)
    else:
        command.make_context(name, list(arguments), parent=context)


def _looks_like_settings(command: Command) -> None:
    of_the_containers = set(re.findall(r"\$\{([A-Z_0-9]+)", (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")))
    for name in command.given:
        assert name in (Settings.variables() if name.startswith(PREFIX) else of_the_containers), name


def _is_a_target(command: Command) -> None:
    targets = [word for word in command.words[1:] if "=" not in word]
    assert all(re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE) for target in targets), targets


def _is_of_the_compose_file(command: Command) -> None:
    words = list(command.words[1:])
    if words[0] != "compose":
        return
    profiles = {profile for service in COMPOSE["services"].values() for profile in service.get("profiles", ())}
    assert {words[at + 1] for at, word in enumerate(words) if word == "--profile"} <= profiles
    if "neopulse" in words:
        begin = words.index("neopulse")
        assert words[begin - 1] in COMPOSE["services"]
        _parsed(words[begin + 1 :])
    elif words[1] in ("stop", "restart", "logs"):
        assert {word for word in words[2:] if not word.startswith("-")} <= set(COMPOSE["services"])


def _installs_from_the_checkout(command: Command) -> None:
    """Never by name from an index, where the name is nobody's: from this folder, or a wheel that `make release` made."""
    named = [word for word in command.words if re.search(r"^\.|neopulse|dist/", word) and word != command.words[0]]
    for word in named:
        assert word.startswith((".[", "dist/")) or word == ".", f"{word} would come from a package index"
        assert set(",".join(re.findall(r"\[(.*)\]", word)).split(",")) - {""} <= set(EXTRAS)


def _names_files_that_are_there(command: Command) -> None:
    for word in command.words:
        if given := re.fullmatch(r"--input=(\S+\.json)", word):
            name = given[1].replace("credentials.json", "credentials.template.json")  # that one is filled in first
            assert (PROJECT / "integrations" / "n8n" / name).exists(), word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_line_that_a_page_shows_can_be_typed(page: Path, typing: Typing) -> None:
    for number, line in shown_commands.typed(page.read_text(encoding="utf-8")):
        try:
            typing.line(line)
        except (AssertionError, click.ClickException, KeyError, ValueError, subprocess.CalledProcessError) as error:
            raise AssertionError(f"{page.name}, block of line {number}: {line}\n{error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_named_in_a_sentence_has_the_options_that_are_named(page: Path) -> None:
    for span in shown_commands.spans(page.read_text(encoding="utf-8"), "neopulse"):
        (command,) = shown_commands.commands(span)
        try:
            with contextlib.suppress(click.MissingParameter, click.BadOptionUsage):  # a sentence may name a part of a command
                _parsed(command.words[1:])
        except (click.ClickException, KeyError) as error:
            raise AssertionError(f"{page.name}: {span}\n{error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_make_target_named_in_a_sentence_exists(page: Path) -> None:
    for span in shown_commands.spans(page.read_text(encoding="utf-8"), "make"):
        _is_a_target(next(shown_commands.commands(span)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_no_page_has_customers_rows_written_where_git_takes_them(page: Path) -> None:
    left_out = [f"{line.strip('/')}/" for line in (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()]
    for _, line in shown_commands.typed(page.read_text(encoding="utf-8")):
        for command in shown_commands.commands(line):
            if command.program == "neopulse" and command.words[1:2] == ("export",):
                assert all(target.startswith(("/", *left_out)) for target in command.words[3:]), line


def test_every_command_is_explained_on_a_page_that_somebody_wrote() -> None:
    written = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.name not in ("commands.md", "settings.md"))
    assert [name for name in main.commands if not re.search(rf"neopulse {name}\b", written)] == []


def test_of_every_command_it_is_known_whether_it_is_run() -> None:
    assert set(main.commands) <= RUN | set(NOT_RUN)
    assert not RUN & set(NOT_RUN)


# --- the pages that connect a service ---------------------------------------------------------------------------------

CONNECTING = ("bigquery", "google-sheets", "census", "reverse-etl", "n8n", "external-facts", "sign-in")


@pytest.mark.parametrize("name", CONNECTING)
def test_a_page_that_connects_something_ends_with_a_check(name: str) -> None:
    text = (PROJECT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    lines = list(shown_commands.typed(text))
    assert lines[-1][1] == "neopulse check"
    assert text.rindex("\n## ") == text.index("\n## Is it right?")
    assert [line for _, line in lines if line.startswith(PREFIX)], "no setting to copy"


# --- the finder itself ------------------------------------------------------------------------------------------------


def test_blocks_are_found_fenced_and_indented_also_in_lists() -> None:
    text = """Words.

    make demo     # all of it
    make test

1. First

       A=1

```yaml
a: 1
```

Say `.venv/bin/neopulse status --json` or `make bench`.
    not a block
```
neopulse check && neopulse run --from sheet > out; ls
```
"""
    assert list(shown_commands.blocks(text)) == [
        Block(3, "", ("make demo     # all of it", "make test")),
        Block(8, "", ("A=1",)),
        Block(10, "yaml", ("a: 1",)),
        Block(16, "", ("neopulse check && neopulse run --from sheet > out; ls",)),
    ]
    assert list(shown_commands.spans(text, "neopulse")) == [".venv/bin/neopulse status --json"]
    assert list(shown_commands.commands("A=1 neopulse check && neopulse run --from sheet > out; ls  # x")) == [
        Command({"A": "1"}, ("neopulse", "check")),
        Command({}, ("neopulse", "run", "--from", "sheet"), ("out",)),
        Command({}, ("ls",)),
    ]


def test_a_line_that_cannot_be_typed_is_told(typing: Typing) -> None:
    for line in (
        "neopulse metric active_customers --windows 7",
        "neopulse statut",
        "NEOPULSE_HOMES=var",
        "make no-such-target",
        "docker compose --profile mysql up",
        "docker compose exec worker neopulse statut",
        "pip install 'neopulse[bigquery]'",
        "no-such-program --now",
        "cp pipeline/no-such-file .",
        "neopulse metric no_such_metric",
    ):
        with pytest.raises((AssertionError, click.ClickException, KeyError, subprocess.CalledProcessError)):
            typing.line(line)
