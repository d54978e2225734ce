"""The models' documentation as one file: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import builds
import pytest

from pipeline.errors import PermanentError
from pipeline.warehouse import dbt_site

PROFILE = """
tiny:
  target: duckdb
  outputs: {duckdb: {type: duckdb, path: "{{ env_var('DBT_WAREHOUSE_FILE') }}", schema: main}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A dbt project of one model that somebody reads."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: tiny\nversion: '1.0'\nprofile: tiny\n")
    (folder / "profiles.yml").write_text(PROFILE)
    (folder / "models" / "answers.sql").write_text("select 42 as the_answer_itself")
    (folder / "models" / "people.yml").write_text(
        "version: 2\nexposures:\n  - {name: page_of_answers, type: dashboard, owner: {name: ada}, depends_on: [ref('answers')]}\n"
    )
    with builds.quick_children():
        yield folder


def test_the_site_holds_statement_and_reader_in_one_file(project: Path, tmp_path: Path) -> None:
    site = tmp_path / "new folder" / "site.html"
    assert dbt_site.write(project, site) == site.stat().st_size
    text = site.read_text(encoding="utf-8")
    assert "select 42 as the_answer_itself" in text
    assert "exposure.tiny.page_of_answers" in text
    assert list(site.parent.iterdir()) == [site]


def test_what_dbt_cannot_read_leaves_the_old_site(project: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.html"
    site.write_text("the old one")
    (project / "models" / "answers.sql").write_text("select {{ nothing_of_that_name() }}")
    with pytest.raises(PermanentError, match="nothing_of_that_name"):
        dbt_site.write(project, site)
    assert site.read_text() == "the old one"
