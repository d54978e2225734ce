"""What stands around every page: the version in use, what is wrong with it, what people keep, and the language switch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import streamlit as st

from pipeline.clock import bank_day
from pipeline.errors import NeopulseError
from pipeline.runs.records import RunState
from streamlit_app import data, formats, messages
from streamlit_app.auth import AdmissionError, Role, User
from streamlit_app.components import (
    answers,
    filters,
    kept_menu,
    problems,
    run_store_now,
    sign_in,
    states,
    stylesheet,
    thin_days,
    toolbar,
    tour,
    version_asked,
)
from streamlit_app.data import Run, Version
from streamlit_app.messages import t

LOOK_AGAIN_SECONDS = 5
Read = TypeVar("Read")

DEMO = tour.DEMO  # ends in the past by design
DAYS_BEHIND = 2  # as_of is yesterday on a good day; two days behind the run that published it is old data


def show(user: User) -> None:
    """The header line, then whatever a reader must know before believing a figure."""
    toolbar.without_files()
    stylesheet.add()
    version = _readable(data.pin_version)
    store = run_store_now.look()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _facts(version.name if version else None)
        found = _readable(data.data_quality) if version else None
        if found is not None:
            problems.header(found.to_pylist())
        if store.answers:
            kept_menu.show(user, version)
        filters.language()
        sign_in.who(user)
    filters.tell_unheeded()
    if not user.may(Role.ADMIN):
        answers.tell()  # a press that came after the role was gone: its page is gone too
    if version is not None:
        version_asked.show(version)
        if store.answers:
            _warnings(version, store.latest)
        else:
            states.stale(t("common.no_run_store"))
        tail = _readable(data.thin_tail)
        if tail is not None:
            states.stale(thin_days.in_words(tail))
        if store.answers:
            tour.show(version)


def _readable(read: Callable[[], Read]) -> Read | None:
    """What is read, or None where the version is damaged: the page then tells, and Operations stays open to mend it."""
    with suppress(NeopulseError):
        return read()
    return None


@st.fragment(run_every=LOOK_AGAIN_SECONDS)
@states.guard
def _facts(shown: str | None) -> None:
    """One line of facts; looks for a newer version now and then, and then draws the page again."""
    try:
        version = data.current_version()
    except AdmissionError:
        st.rerun()  # the session is over, or the role is gone: the whole page says so
    except NeopulseError:
        st.caption(t("common.unreadable"))
        return
    if version is not None and data.ASKED_VERSION in st.query_params:
        version = data.published()
    elif version is not None and version.name != shown:
        st.toast(t("common.new_version", version=version.name), icon=":material/new_releases:")
        st.rerun()
    st.caption(facts_line(version) if version else t("common.no_version.title"))


def facts_line(version: Version) -> str:
    """Version, last day, tests and source, in one line."""
    return " · ".join(
        [
            f"**{version.name}**",
            t("common.as_of", day=formats.day(version.as_of)),
            t("common.tests_passed", passed=formats.number(version.tests.passed), total=formats.number(version.tests.total)),
            source(version),
        ]
    )


def source(version: Version) -> str:
    """Where the rows come from; synthetic data says so."""
    key = f"common.sources.{version.source.replace(' ', '_')}"
    return t(key) if messages.has(key) else version.source


def _warnings(version: Version, run: Run | None) -> None:
    if run is not None and run.state in (RunState.FAILED, RunState.INTERRUPTED, RunState.HELD):
        states.stale(_of_a_broken_run(run, version))
    elif version.source != DEMO and last_day_known(version) - version.as_of > timedelta(days=DAYS_BEHIND):
        states.stale(t("common.stale.old", day=formats.day(version.as_of), published=formats.day(last_day_known(version))))


def _of_a_broken_run(run: Run, version: Version) -> str:
    which = {"run": run.id, "started": formats.moment(run.started_at, version.bank_timezone)}
    if run.version == version.name:
        step = run.unfinished_step
        return t(f"common.stale.{run.state}_after_publishing", step=t(f"common.steps.{step}") if step else "", **which)
    return t(f"common.stale.{run.state}", **which)


def last_day_known(version: Version) -> date:
    """The bank day on which the version was made."""
    return bank_day(version.published_at, ZoneInfo(version.bank_timezone))
