"""What is released: one version, and a wheel that has everything the code opens."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from stand_ins.facts import FactsStandIn

from pipeline.cli import main
from pipeline.clock import SystemClock
from pipeline.extract import world_bank
from pipeline.settings import PROJECT

DECLARED: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IN_THE_WHEEL = ("pipeline", "worker", "streamlit_app", "dbt_project")
MADE_BY_RUNNING = {"__pycache__", "target", "logs", "secrets.toml", ".user.yml"}

# What setuptools would put into a wheel, by its own reading of pyproject.toml; nothing is built.
LISTING = """
from setuptools.dist import Distribution
distribution = Distribution({"script_name": "setup.py"})
distribution.parse_config_files()
built = distribution.get_command_obj("build_py")
built.finalize_options()
print(*{file for _, _, file in built.find_all_modules()}, sep="\\n")
print(*{f"{folder}/{name}" for _, folder, _, names in built.data_files for name in names}, sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel() -> set[str]:
    """The files of the checkout that the wheel holds, named as there."""
    listed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LISTING], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return {line.removeprefix("./") for line in listed.stdout.splitlines()}


def _files(folder: Path) -> set[str]:
    """Every file there but the pages for people."""
    found = (path.relative_to(PROJECT) for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    return {path.as_posix() for path in found if not MADE_BY_RUNNING & set(path.parts)}


@pytest.mark.parametrize("name", IN_THE_WHEEL)
def test_every_file_that_the_code_could_open_is_in_the_wheel(wheel: set[str], name: str) -> None:
    assert _files(PROJECT / name) - wheel == set()


def test_the_wheel_holds_what_the_code_is_known_to_open(wheel: set[str]) -> None:
    assert wheel >= {
        "dbt_project/dbt_project.yml",
        "dbt_project/profiles.yml",
        "dbt_project/tests/generic/unique_key.sql",
        "pipeline/extract/countries.csv",
        "pipeline/notify/templates/mail.html.j2",
        "pipeline/reverse_etl/syncs.yml",
        "streamlit_app/.streamlit/config.toml",
        "streamlit_app/locales/fr/common.yml",
        "streamlit_app/static/icon.png",
    }


def test_the_wheel_holds_no_test_no_state_and_nothing_that_a_run_made(wheel: set[str]) -> None:
    assert {file.split("/")[0] for file in wheel} == set(IN_THE_WHEEL)
    assert not [file for file in wheel if MADE_BY_RUNNING & set(Path(file).parts)]


def test_every_folder_that_the_code_finds_beside_itself_is_in_the_wheel() -> None:
    named = set()
    for path in (file for folder in IN_THE_WHEEL for file in (PROJECT / folder).rglob("*.py")):
        named |= set(re.findall(r'\bPROJECT / "([^"]+)"', path.read_text(encoding="utf-8")))
    named.discard("integrations")  # where a checkout keeps its Power BI project: written, never read
    assert named <= set(IN_THE_WHEEL)
    assert "dbt_project" in named


def test_the_version_stands_in_one_place() -> None:
    said = CliRunner().invoke(main, ["--version"], prog_name="neopulse").output
    assert said == f"neopulse, version {DECLARED['version']}\n", "pyproject.toml was changed: install again (make env)"
    elsewhere = [*PROJECT.glob("Dockerfile"), *PROJECT.glob("*.yml"), *(PROJECT / "pipeline").rglob("*.py")]
    assert not [path for path in elsewhere if re.search(r"neopulse[/:]v?\d", path.read_text(encoding="utf-8"))]


def test_a_service_is_told_the_version() -> None:
    with FactsStandIn() as service:
        world_bank.populations(f"http://127.0.0.1:{service.port}/v2", None, clock=SystemClock())
    assert {call.headers["User-Agent"] for call in service.calls} == {f"neopulse/{DECLARED['version']}"}


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (PROJECT / "LICENSE").read_text(encoding="utf-8")
    assert (DECLARED["license"], DECLARED["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert text.split()[:5] == ["Apache", "License", "Version", "2.0,", "January"]
    assert all(f"\n   {number}. " in text for number in range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in text
