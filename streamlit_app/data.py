"""What the pages read: the published version's figures, cached by version, question and role.

A cached answer is shared between sessions and never changed; an error is never cached.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import streamlit as st

from pipeline import marts, metrics, settings
from pipeline.clock import SystemClock
from pipeline.marts import Answer, Customer, Page, Question
from pipeline.metrics import Metric
from pipeline.runs.store import Run, RunStore
from pipeline.warehouse.publication import Publications, Version
from streamlit_app import auth

__all__ = ["Answer", "Customer", "Page", "Question", "Run", "Version"]

LATER_TIME_KEYS = ("month", "week")  # the app calls the time key `date` whatever the grain: one spec draws each


def current_version() -> Version | None:
    """The version that every reader sees now; None before the first one."""
    in_force = settings.load()
    return Publications(in_force.home, keep=in_force.versions_kept).current()


def published() -> Version:
    """The current version, on a page that is shown only where there is one."""
    version = current_version()
    if version is None:
        raise LookupError("no version is published yet")
    return version


def answer(question: Question) -> Answer:
    """A metric's figures, with the time key named `date`."""
    return _read("answer", question=question)


def dimension_values(dimension: str) -> list[str]:
    """The values that a filter offers."""
    return _read("dimension_values", dimension=dimension)


def bounds() -> tuple[date, date]:
    """The first and the last bank day of the current version."""
    return relation("dim_publication")["first_day"][0].as_py(), published().as_of


def customers(*, search: str = "", is_active: bool | None = None, limit: int = 200) -> Page:
    """The customers that a search finds, with how many there are in all."""
    return _read("customers", search=search, is_active=is_active, limit=limit)


def customer(user_id: str) -> Customer | None:
    """One customer's facts and stretches; None where there is no such customer."""
    return _read("customer", user_id=user_id)


def data_quality() -> pa.Table:
    """Rows that could not be used as they came: counted by table, reason and disposition."""
    return _read("data_quality")


def relation(name: str) -> pa.Table:
    """A whole small mart of the current version."""
    return _read("relation", name=name)


def registry() -> Mapping[str, Metric]:
    """What each metric means, as published with the current version."""
    return _read("registry")


def test_results() -> Any:
    """The tests of the current version, as its `tests.json` has them."""
    return _read("test_results")


def latest_run() -> Run | None:
    """The newest run, going on or ended."""
    return run_store().latest()


def run_store() -> RunStore:
    """The run store in force, one a process."""
    return _run_store(settings.load().run_store_url)


def _read(name: str, **arguments: Any) -> Any:
    version = published()
    return _cached(version, str(version.folder), auth.current_user().role.name, name, arguments)


@st.cache_resource(max_entries=300, show_spinner=False)
def _cached(_version: Version, folder: str, role: str, name: str, arguments: dict[str, Any]) -> Any:  # noqa: ARG001
    """One read of one version; `folder` and `role` are in the key, so that no answer serves a reader it was not made for."""
    if name in FILES:
        return FILES[name](_version)
    found = getattr(marts.reader(_version), name)(**arguments)
    return _on_one_time_key(found) if name == "answer" else found


def _on_one_time_key(found: Answer) -> Answer:
    names = ["date" if name in LATER_TIME_KEYS else name for name in found.table.column_names]
    return replace(found, table=found.table.rename_columns(names))


def _read_registry(version: Version) -> Mapping[str, Metric]:
    return metrics.read(version.folder / "metrics.json")


def _read_test_results(version: Version) -> Any:
    return json.loads((version.folder / "tests.json").read_text(encoding="utf-8"))


FILES = {"registry": _read_registry, "test_results": _read_test_results}


@st.cache_resource(max_entries=2, show_spinner=False)
def _run_store(url: str) -> RunStore:
    return RunStore.open(url, clock=SystemClock())
