"""What stands around every page: the version in use, what is wrong with it, and the language switch."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from pipeline.runs.records import RunState
from streamlit_app import data, formats, messages
from streamlit_app.components import filters, states
from streamlit_app.data import Version
from streamlit_app.messages import t

LOOK_AGAIN_SECONDS = 5
DAYS_BEHIND = 2  # as_of is yesterday on a good day; two days behind the run that published it is old data


def show(version: Version | None) -> None:
    """The header line, then whatever a reader must know before believing a figure."""
    line = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small")
    with line:
        _facts(version.name if version else None)
        filters.language()
    if version is not None:
        _warnings(version)


@st.fragment(run_every=LOOK_AGAIN_SECONDS)
@states.guard
def _facts(shown: str | None) -> None:
    """One line of facts; looks for a newer version now and then, and then draws the page again."""
    version = data.current_version()
    if version is not None and version.name != shown:
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


def _warnings(version: Version) -> None:
    run = data.latest_run()
    if run is not None and run.state in (RunState.FAILED, RunState.INTERRUPTED):
        states.stale(t(f"common.stale.{run.state}", run=run.id, started=formats.moment(run.started_at, version.bank_timezone)))
    elif version.source != "demo bank" and version.published_at.date() - version.as_of > timedelta(days=DAYS_BEHIND):
        states.stale(t("common.stale.old", day=formats.day(version.as_of), published=formats.day(version.published_at.date())))
