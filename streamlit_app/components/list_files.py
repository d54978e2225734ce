"""The lists of the section Operations as files, for admins: the whole list, read when it is asked for.

Errors, notes and links, which other systems worded, stay on the page. Why a row was refused goes along, masked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from pipeline import masking
from pipeline.runs.records import Run, SyncRun
from streamlit_app import data, operations, operations_versions
from streamlit_app.auth import Role
from streamlit_app.components import chart_files
from streamlit_app.components.chart_files import Files
from streamlit_app.data import Version

MOST = 100_000
COUNTS = ("created", "updated", "unchanged", "deleted", "rejected", "invalid")
RUN = (
    *("run", "state", "trigger", "requested_by", "first_step", "only_step", "full_refresh", "started_at", "ended_at", "seconds"),
    *("version", "as_of", "resumes", "approves", "error_kind"),
)
SYNC = ("sync", "state", "service", "run", "who", "only", "afresh", "started_at", "ended_at", *COUNTS)
REFUSED = ("key", "reason", "row")
VERSION = (
    *("version", "is_current", "published_at", "run", "as_of", "window", "activity_rule", "source", "bank_timezone"),
    *("tests_passed", "tests_warned", "tests_failed", "tests", "rows"),
)


def head(title: str, menu: Callable[[str], None]) -> None:
    """The title of a list, and the menu of its files beside it."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader(title, width="content")
        menu(title)


def runs(title: str) -> None:
    """Every run, newest first."""
    _menu("runs", title, RUN, lambda: map(_run, operations.runs(MOST)))


def syncs(sync: str, title: str) -> None:
    """Whatever one sync did, newest first."""
    _menu("syncs", title, SYNC, lambda: map(_sync, operations.sync_runs(sync, MOST)), {"sync": sync})


def refused(done: SyncRun, key: str, title: str) -> None:
    """The rows that were not taken in one of those times, whose keys begin as asked; the first REJECTS_KEPT of them are kept."""

    def rows() -> Iterable[Sequence[Any]]:
        found, _ = operations.rejected_rows(done.id, key=key, limit=MOST)
        return ((row.key, masking.masked(row.reason), json.dumps(row.row, ensure_ascii=False)) for row in found)

    _menu("refused_rows", title, REFUSED, rows, {"sync": done.sync, "ended_at": done.ended_at.isoformat(), "key": key or None})


def versions(title: str) -> None:
    """The kept versions, newest first."""

    def rows() -> Iterable[Sequence[Any]]:
        current = data.current_version()
        return (_version(version, current) for version in operations_versions.versions())

    _menu("versions", title, VERSION, rows)


def _menu(
    key: str,
    title: str,
    header: Sequence[str],
    rows: Callable[[], Iterable[Sequence[Any]]],
    asked: Mapping[str, Any] | None = None,
) -> None:
    name = "-".join(["neopulse", key, *([asked["sync"]] if asked else [])])

    def content() -> tuple[list[str], list[list[Any]]]:
        return list(header), [list(row) for row in rows()]

    chart_files.menu(Files(key, name, content, lambda: asked or {}, title=title, needs=Role.ADMIN))


def _run(run: Run) -> Sequence[Any]:
    seconds = None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds()
    asked = (run.trigger, run.requested_by, run.first_step, run.only_step, run.full_refresh)
    times = (run.started_at, run.ended_at, seconds)
    return (run.id, run.standing, *asked, *times, run.version, run.as_of, run.resumes, run.approves, run.error_kind)


def _sync(done: SyncRun) -> Sequence[Any]:
    scope = (done.scope.get("only") or None, bool(done.scope.get("afresh")))
    counts = (done.counts.get(name) for name in COUNTS)
    told = (done.sync, str(done.state), done.service, done.run_id, done.who)
    return (*told, *scope, done.started_at, done.ended_at, *counts)


def _version(version: Version, current: Version | None) -> Sequence[Any]:
    tests = version.tests
    made = (version.run_id, version.as_of, version.inactivity_days, version.activity_rule, version.source, version.bank_timezone)
    held = (tests.passed, tests.warned, tests.failed, tests.total)
    is_current = current is not None and current.name == version.name
    return (version.name, is_current, version.published_at, *made, *held, sum(version.rows.values()))
