"""Where the figures reach people: dbt's exposures against what pages, tabs, syncs and mails really read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import page_kit
import pytest
import streamlit as st
import yaml

from pipeline import steps
from pipeline.clock import SystemClock
from pipeline.context import StepContext
from pipeline.kept import Kept
from pipeline.marts import METRICS, Question, Reader, family, reader
from pipeline.marts.withholding import for_viewers
from pipeline.notify.delivery import Delivered
from pipeline.notify.event import Event
from pipeline.reverse_etl.registry import read_syncs
from pipeline.runs.store import RunStore
from pipeline.settings import load
from pipeline.sheets import layout
from pipeline.sheets.base import Tab
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Publications, Version
from streamlit_app import auth, data

PROJECT = Path(__file__).resolve().parents[2]
CALLED = {"warnings": "early_warnings", "update": "last_update"}  # what exposures call tabs that the layout calls otherwise
VIEWS = sorted(path.stem for path in (PROJECT / "streamlit_app" / "views").glob("*.py") if path.stem != "__init__")

pytestmark = pytest.mark.xdist_group("the bank of the pages")


def exposures() -> dict[str, set[str]]:
    """Each exposure and the models that it says it reads."""
    content = yaml.safe_load((PROJECT / "dbt_project" / "models" / "exposures.yml").read_text(encoding="utf-8"))
    return {entry["name"]: {ref[5:-2] for ref in entry.get("depends_on", ())} for entry in content["exposures"]}


def of_kind(kind: str) -> dict[str, set[str]]:
    return {name.removeprefix(f"{kind}_"): models for name, models in exposures().items() if name.startswith(f"{kind}_")}


OF_A_SHORT_WINDOW = {"mart_month_lapses"}  # asked only where N is no longer than a month, and the bank's is 90


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, pages_bank: Path) -> Iterator[set[str]]:
    """Every table that the statements name from here on, on the small demo bank."""
    tables: set[str] = set()
    query = ReadOnlyDuckDB.query

    def noting(self: ReadOnlyDuckDB, sql: str, parameters: Any = None) -> Any:
        tables.update(re.findall(r"\b(?:marts|warehouse)\.(\w+)", sql))
        return query(self, sql, parameters)

    monkeypatch.setattr(ReadOnlyDuckDB, "query", noting)
    monkeypatch.setattr(Kept, "get", lambda _, __, make: make())  # what is kept would not be asked again
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


def test_each_tab_of_the_sheet_reads_what_its_exposure_says(asked: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, set[str]] = {}
    make = layout._Book._tab

    def noting(self: Any, name: str, *arguments: Any, **more: Any) -> Tab:
        """A tab is made right after its rows were read: what was asked since the tab before is its own."""
        read[CALLED.get(name, name)] = set(asked)
        asked.clear()
        return make(self, name, *arguments, **more)

    monkeypatch.setattr(layout._Book, "_tab", noting)
    assert len(layout.tabs(reader(current()), language="en")) == len(read)
    read["headline"] |= OF_A_SHORT_WINDOW
    assert read == of_kind("sheet")


def test_the_mail_of_a_version_reads_what_its_exposure_says(
    asked: set[str], pages_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    monkeypatch.setattr(steps, "_deliver", lambda _, event: told.append(event) or Delivered("", "", "", 1, is_new=True))
    store = RunStore.open(f"sqlite:///{pages_bank / 'run_store.db'}", clock=SystemClock())
    try:
        last = of_the_last_run(store)
        extracted = replace(last.run.steps[0], name="extract", rows_in=20_000)
        monkeypatch.setattr(steps, "_steps_done", lambda _: {"extract": extracted})
        steps.run_step("notify", last)
    finally:
        store.close()
    [event] = told
    assert event.headline
    assert event.rows is not None
    assert event.rows.read == 20_000  # a run that read the bank tells also what no figure uses
    assert asked | OF_A_SHORT_WINDOW == exposures()["mail_version"]


def test_a_window_no_longer_than_a_month_reads_one_table_more(asked: set[str]) -> None:
    published = reader(current())
    published.headline()
    of_the_bank_s_window = set(asked)
    published.headline(window=30)
    assert asked - of_the_bank_s_window == OF_A_SHORT_WINDOW


def test_the_command_reads_what_its_exposure_says(asked: set[str]) -> None:
    published = reader(current())
    for question in questions(published):
        for_viewers(published, published.answer(question))
    assert asked == exposures()["tool_metric"]


def questions(published: Reader) -> Iterator[Question]:
    """Every metric in each of its kinds and cohorts, split by the first and last of its dimensions, and with a filter."""
    for name in METRICS:
        may = family(name)
        for kind, cohort in product(may.kinds or (None,), may.cohorts or (None,)):
            yield Question(name, kind=kind, cohort=cohort)
        for by in {*may.dimensions[:1], *may.dimensions[-1:]}:
            yield Question(name, by=by)
        for dimension in may.dimensions[1:2]:
            value = published.dimension_values(dimension)[0]
            yield Question(name, by=may.dimensions[0], where=((dimension, value),))


def current() -> Version:
    version = Publications(load().home, keep=5).current()
    assert version is not None
    return version


def of_the_last_run(store: RunStore) -> StepContext:
    """What the last run hands a step."""
    return StepContext(
        settings=load(),
        store=store,
        run=store.runs(1)[0],
        clock=SystemClock(),
        publications=Publications(load().home, keep=5),
        progress=lambda _fraction, _text: None,
        cancelled=lambda: False,
        guard=lambda: None,
    )


def test_every_sync_reads_its_mart() -> None:
    found = {sync.name: {sync.source} for sync in read_syncs()}
    assert of_kind("sync") == found


def test_every_model_that_is_published_to_be_read_leads_to_somebody() -> None:
    marts = {path.stem for path in (PROJECT / "dbt_project" / "models" / "marts").glob("*.sql")}
    assert marts - set().union(*exposures().values()) == set()
