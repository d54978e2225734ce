"""The English and the French README say the same: commands, links, tables and pictures, in the same order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import shown_commands

from pipeline.settings import PROJECT

ENGLISH, FRENCH = (PROJECT / name for name in ("README.md", "README.fr.md"))
PICTURES = ("overview.png", "activity.png", "retention.png", "churn.png", "architecture.svg")


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _without_comment(line: str) -> str:
    return re.sub(r"\s+#\s.*", "", line)


def _links(page: Path) -> list[str]:
    """Where its links and pictures lead; the one to the other language is each page's own."""
    return [target for target in re.findall(r"\]\(([^)]+)\)", _text(page)) if not target.startswith("README")]


def _tables(page: Path) -> list[list[int]]:
    """The number of cells of each row, table by table."""
    runs = re.findall(r"(?:^\|.*\n)+", _text(page), re.MULTILINE)
    return [[row.count("|") - 1 for row in run.splitlines()] for run in runs]


def test_both_show_the_same_commands() -> None:
    shown = [[_without_comment(line) for _, line in shown_commands.typed(_text(page))] for page in (ENGLISH, FRENCH)]
    assert shown[0] == shown[1]
    assert shown[0][:2] == ["make demo", "make test"]


@pytest.mark.parametrize("program", ["neopulse", "make", "docker"])
def test_both_name_the_same_commands_in_their_sentences(program: str) -> None:
    named = [sorted(shown_commands.spans(_text(page), program)) for page in (ENGLISH, FRENCH)]
    assert named[0] == named[1]


def test_both_link_to_the_same_pages_in_the_same_order() -> None:
    assert _links(ENGLISH) == _links(FRENCH)
    assert "(README.fr.md)" in _text(ENGLISH)
    assert "(README.md)" in _text(FRENCH)


def test_both_have_the_same_tables() -> None:
    assert _tables(ENGLISH) == _tables(FRENCH)


def test_both_have_the_same_headings_and_lists() -> None:
    for beginning in ("# ", "## ", "- "):
        assert len(re.findall(rf"^{beginning}", _text(ENGLISH), re.M)) == len(re.findall(rf"^{beginning}", _text(FRENCH), re.M))


def test_both_name_the_same_files_settings_and_services() -> None:
    coded = [sorted(re.findall(r"`([^`\n]+)`", _text(page))) for page in (ENGLISH, FRENCH)]
    assert coded[0] == coded[1]


def test_the_pictures_are_those_that_the_script_takes_and_the_one_that_is_drawn() -> None:
    shown = [Path(target).name for target in _links(ENGLISH) if target.startswith("docs/pictures/")]
    assert sorted(shown) == sorted(PICTURES)
    script = (PROJECT / "scripts" / "take_pictures.py").read_text(encoding="utf-8")
    assert all(f'"{Path(name).stem}": "/' in script for name in PICTURES if name.endswith(".png"))


def test_the_drawing_can_be_read_in_light_and_dark_and_by_ear() -> None:
    drawing = (PROJECT / "docs" / "pictures" / "architecture.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in drawing
    assert "<title" in drawing
    assert "<desc" in drawing
    for step in ("1 extract", "2 transform", "3 sheet", "4 activate", "5 notify"):
        assert f">{step}<" in drawing
