"""The parsed project that is kept from build to build: what it is found by, and that no build depends on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import builds
import duckdb
import pytest

from pipeline.warehouse import dbt_parsed
from pipeline.warehouse.dbt_build import Build, build

PROJECT_FILE = """
name: neopulse
version: "1.0.0"
profile: neopulse
vars: {previous_as_of: ""}
models: {neopulse: {+materialized: table}}
"""
PROFILES = """
neopulse:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: "{{ env_var('DBT_WAREHOUSE_FILE') }}", threads: 1}
"""
# What is read depends on whether there is a day before, and what is said on which day it is.
DAYS = """
select '{{ var("current_bank_day") }}' as today, '{{ var("previous_as_of") }}' as before
{% if var("previous_as_of") %}from {{ ref("one") }}{% endif %}
"""
FIRST = {"current_bank_day": "2019-05-17", "previous_as_of": "", "inactivity_days": 90}
SECOND = {**FIRST, "current_bank_day": "2019-05-18", "previous_as_of": "2019-05-16"}
THIRD = {**FIRST, "current_bank_day": "2019-05-19", "previous_as_of": "2019-05-17"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = tmp_path / "project"
    (made / "models").mkdir(parents=True)
    for name, content in {
        "dbt_project.yml": PROJECT_FILE,
        "profiles.yml": PROFILES,
        "models/one.sql": "select 1 as one",
        "models/days.sql": DAYS,
    }.items():
        (made / name).write_text(content)
    with builds.quick_children():
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield made


def built(project: Path, variables: dict[str, Any], number: int) -> tuple[Build, tuple[str, str]]:
    """One build in a folder of its own, and what its model says of the days."""
    folder = project.parent / f"build-{number}"
    folder.mkdir()
    database = project.parent / "state.duckdb"
    ended = build(project, folder, variables=variables, environment={"DBT_WAREHOUSE_FILE": str(database)}, watch=list)
    with duckdb.connect(database, read_only=True) as connection:
        row = connection.execute("select today, before from days").fetchone()
    assert row is not None
    return ended, row


def kept() -> list[Path]:
    return sorted(dbt_parsed.folder().glob("*"))


def named(project: Path, variables: dict[str, Any], *, database: str = "/state.duckdb", full_refresh: bool = False) -> str:
    environment = {"DBT_WAREHOUSE_FILE": database}
    path = dbt_parsed.path_of(project, variables=variables, environment=environment, full_refresh=full_refresh)
    return path.name


def test_each_day_says_its_own_day_by_a_project_that_was_parsed_on_another(project: Path) -> None:
    _, said = built(project, FIRST, 1)
    assert said == ("2019-05-17", "")
    second, said = built(project, SECOND, 2)
    assert said == ("2019-05-18", "2019-05-16")
    assert len(kept()) == 2  # with a day before, and without
    times = [path.stat().st_ino for path in kept()]
    third, said = built(project, THIRD, 3)
    assert said == ("2019-05-19", "2019-05-17")
    assert [path.stat().st_ino for path in kept()] == times  # nothing was parsed, nothing written
    assert [result.name for result in third.results] == [result.name for result in second.results] == ["one", "days"]
    assert "2019-05-19" in third.manifest["nodes"]["model.neopulse.days"]["compiled_code"]


def test_another_text_another_meaning_and_another_database_are_parsed_anew(project: Path) -> None:
    first = named(project, FIRST)
    assert named(project, {**FIRST, "current_bank_day": "2019-05-18"}) == first
    assert named(project, FIRST, database="/elsewhere/state.duckdb") == first
    assert named(project, SECOND) == named(project, THIRD) != first
    others = [
        named(project, {**FIRST, "inactivity_days": 30}),
        named(project, FIRST, database="/other.duckdb"),
        named(project, FIRST, full_refresh=True),
    ]
    (project / "models" / "one.sql").write_text("select 2 as one")
    others.append(named(project, FIRST))
    assert len({first, *others}) == 5


def test_an_adapter_that_is_not_installed_is_no_obstacle(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = named(project, FIRST)
    monkeypatch.setattr(dbt_parsed, "PACKAGES", ("dbt-core", "dbt-duckdb", "an-adapter-that-nobody-has"))
    assert named(project, FIRST) != with_it


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"\x81"), lambda path: os.truncate(path, 5000)])
def test_a_kept_project_that_cannot_be_read_is_parsed_anew_and_mended(project: Path, spoil: Callable[[Path], Any]) -> None:
    built(project, FIRST, 1)
    [path] = kept()
    whole = path.stat().st_size
    spoil(path)
    _, said = built(project, FIRST, 2)
    assert said == ("2019-05-17", "")
    assert path.stat().st_size == pytest.approx(whole, rel=0.05)


def test_nobody_needs_the_cache(project: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    _, said = built(project, FIRST, 1)
    assert said == ("2019-05-17", "")


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(dbt_parsed, "MOST_BYTES", 250)
    target = tmp_path / "target"
    target.mkdir()

    def keep(names: Sequence[str]) -> None:
        for age, name in enumerate(names):
            (target / dbt_parsed.WRITTEN_BY_DBT).write_bytes(name.encode() * 100)
            path = dbt_parsed.folder() / f"{name}.msgpack"
            dbt_parsed.keep(target, path)
            os.utime(path, (1000 + age, 1000 + age))

    keep("ab")
    dbt_parsed.lend(dbt_parsed.folder() / "a.msgpack", target)  # used again: now b is the oldest
    keep("c")
    assert [path.name for path in kept()] == ["a.msgpack", "c.msgpack"]
