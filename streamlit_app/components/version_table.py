"""The kept versions, and the way back to one of them."""

from __future__ import annotations

import streamlit as st

from streamlit_app import actions, data, formats, operations_versions
from streamlit_app.components import answers, frame, list_files, states
from streamlit_app.data import Version
from streamlit_app.messages import t


def show(zone: str) -> None:
    """One card a version, newest first, each with a button that makes it current."""
    current, versions = data.current_version(), operations_versions.versions()
    list_files.head(t("ops_versions.sections.kept"), list_files.versions)
    st.caption(t("ops_versions.kept_explained"))
    if current is None:
        states.empty(t("common.no_version.title"), next=t("ops_runs.no_run_next"))
    for version in versions:
        is_current = current is not None and version.name == current.name
        with st.container(border=True, gap="xsmall"):
            _one(version, zone, is_current=is_current)
            if not is_current and st.button(_label(version, current), key=f"show_{version.name}", icon=":material/history:"):
                _confirm(version, current)


def _one(version: Version, zone: str, *, is_current: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(frame.facts_line(version), width="content")
        if is_current:
            st.badge(t("ops_versions.current"), icon=":material/visibility:", color="primary")
    st.caption(
        t(
            "ops_versions.version_facts",
            published=formats.moment(version.published_at, zone),
            run=version.run_id,
            window=formats.days(version.inactivity_days),
            rows=formats.number(sum(version.rows.values())),
        )
    )


def _label(version: Version, current: Version | None) -> str:
    is_newer = current is not None and version.number > current.number
    return t("ops_versions.go_forward" if is_newer else "ops_versions.roll_back", version=version.name)


def _confirm(version: Version, current: Version | None) -> None:
    """Ask before every reader's figures change."""

    @st.dialog(_label(version, current), icon=":material/history:")
    def ask() -> None:
        st.markdown(
            t(
                "ops_versions.roll_back_means",
                version=version.name,
                day=formats.day(version.as_of),
                current=current.name if current else formats.NOTHING,
            )
        )
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button(t("ops_versions.cancel"), key="roll_back_cancel"):
                st.rerun()
            label, act = t("ops_versions.roll_back_do", version=version.name), lambda: actions.rollback(version.name)
            if st.button(label, key="roll_back_do", icon=":material/check:", on_click=answers.press, args=(act,)):
                st.rerun()

    ask()
