"""The documentation says what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import click
import pytest

from pipeline.cli import main

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = (".", "docs", "benchmarks", "pipeline/extract")
PAGES = sorted(page for folder in FOLDERS for page in (PROJECT / folder).glob("*.md"))


@pytest.mark.parametrize("name", ["settings.md", "commands.md"])
def test_the_reference_is_what_the_script_would_write(name: str) -> None:
    written = runpy.run_path(str(PROJECT / "scripts" / "write_reference.py"))["PAGES"][name]()
    assert (PROJECT / "docs" / name).read_text(encoding="utf-8") == written, "run: python scripts/write_reference.py"


def test_every_command_and_option_has_help() -> None:
    for name, command in main.commands.items():
        assert command.help, name
        silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
        assert not silent or silent == ["form"], f"{name}: {silent}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_neopulse_command_named_in_the_docs_exists(page: Path) -> None:
    assert commands(page.read_text(encoding="utf-8")) <= set(main.commands)


def commands(text: str) -> set[str]:
    """Every `neopulse COMMAND` that a page tells to type: within a line, or in a block, after whatever stands before it there."""
    blocks = "\n".join(re.findall(r"^```.*?^```|^ {4}.*?$", text, re.MULTILINE | re.DOTALL))
    code = re.sub(r"\s#\s.*", "", blocks)  # what a block says beside a command is prose
    return set(re.findall(r"(?:`|bin/)neopulse ([a-z]+)", text)) | set(re.findall(r"\bneopulse ([a-z]+)", code))


def test_commands_are_found_in_lines_and_in_both_kinds_of_blocks() -> None:
    text = """Type `neopulse one`: neopulse says so.

    NEOPULSE_HOME=/new neopulse two && .venv/bin/neopulse three    # neopulse prose

```
neopulse four
docker compose exec worker neopulse five
```
"""
    assert commands(text) == {"one", "two", "three", "four", "five"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_named_in_the_docs_exists(page: Path) -> None:
    from pipeline.settings import PREFIX, Settings

    of_the_live_test = {f"{PREFIX}BQ_LIVE_PROJECT", f"{PREFIX}BQ_LIVE_LOCATION"}
    known = Settings.variables() | of_the_live_test | {f"{PREFIX}X_FILE"}  # X stands for any secret
    # What only Airflow's own processes read is called AIRFLOW_NEOPULSE_...
    named = set(re.findall(rf"(?<![A-Z_]){PREFIX}[A-Z0-9_]*[A-Z0-9](?:_\*)?", page.read_text(encoding="utf-8")))
    families = {name.removesuffix("*") for name in named if name.endswith("*")}
    assert {name for name in named if not name.endswith("*")} <= known
    assert all(any(name.startswith(family) for name in known) for family in families), families


def test_every_variable_of_the_dag_is_explained() -> None:
    dag = (PROJECT / "integrations" / "airflow" / "dags" / "neopulse_daily.py").read_text(encoding="utf-8")
    page = (PROJECT / "docs" / "airflow.md").read_text(encoding="utf-8")
    read = set(re.findall(r'environ.get\("([A-Z_]+)"', dag))
    assert set(re.findall(r"AIRFLOW_NEOPULSE_[A-Z_]+", page)) == read
    assert all(f"`{name}`" in page for name in read)
