"""Where the figures reach people: dbt's exposures against what pages, tabs, syncs and mails really read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import page_kit
import pytest
import streamlit as st
import yaml

from pipeline.marts import reader
from pipeline.reverse_etl.registry import read_syncs
from pipeline.settings import load
from pipeline.sheets import layout
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Publications
from streamlit_app import auth, data

PROJECT = Path(__file__).resolve().parents[2]
VIEWS = sorted(path.stem for path in (PROJECT / "streamlit_app" / "views").glob("*.py") if path.stem != "__init__")

pytestmark = pytest.mark.xdist_group("the bank of the pages")


def exposures() -> dict[str, set[str]]:
    """Each exposure and the models that it says it reads."""
    content = yaml.safe_load((PROJECT / "dbt_project" / "models" / "exposures.yml").read_text(encoding="utf-8"))
    return {entry["name"]: {ref[5:-2] for ref in entry.get("depends_on", ())} for entry in content["exposures"]}


def of_kind(kind: str) -> dict[str, set[str]]:
    return {name.removeprefix(f"{kind}_"): models for name, models in exposures().items() if name.startswith(f"{kind}_")}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, pages_bank: Path) -> Iterator[set[str]]:
    """Every table that the statements name from here on, on the small demo bank."""
    tables: set[str] = set()
    query = ReadOnlyDuckDB.query

    def noting(self: ReadOnlyDuckDB, sql: str, parameters: Any = None) -> Any:
        tables.update(re.findall(r"\b(?:marts|warehouse)\.(\w+)", sql))
        return query(self, sql, parameters)

    monkeypatch.setattr(ReadOnlyDuckDB, "query", noting)
    monkeypatch.setenv("NEOPULSE_HOME", str(pages_bank))
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    for cached in (data.in_force, auth._in_force):
        cached.cache_clear()
    st.cache_data.clear()
    yield tables
    st.cache_data.clear()


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_page_reads_when_it_opens_is_in_its_exposure(view: str, asked: set[str]) -> None:
    page_kit.whole(view)
    assert asked <= of_kind("page").get(view, set())


def test_every_exposure_of_a_page_is_a_page() -> None:
    assert set(of_kind("page")) <= set(VIEWS)


def test_the_sheet_reads_what_its_tabs_say(asked: set[str]) -> None:
    version = Publications(load().home, keep=5).current()
    assert version is not None
    names = {tab.name for tab in layout.tabs(reader(version), language="en")}
    assert len(names) == len(of_kind("sheet"))
    assert asked == set().union(*of_kind("sheet").values())


def test_every_sync_reads_its_mart() -> None:
    found = {sync.name: {sync.source} for sync in read_syncs()}
    assert of_kind("sync") == found


def test_every_model_that_is_published_to_be_read_leads_to_somebody() -> None:
    marts = {path.stem for path in (PROJECT / "dbt_project" / "models" / "marts").glob("*.sql")}
    assert marts - set().union(*exposures().values()) == set()
