"""The alerts: rules on figures, what came of them, and incidents."""

from __future__ import annotations

import streamlit as st

from streamlit_app import auth, operations
from streamlit_app.auth import Role
from streamlit_app.components import alert_history, alert_rules, answers, filters, states
from streamlit_app.messages import t

SECTIONS = ("rules", "history", "incidents")


def show() -> None:
    """The page."""
    auth.require(Role.ADMIN)
    zone = operations.viewer_zone()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(t("ops_alerts.title"), width="content")
        st.caption(t("ops_runs.zone", zone=zone), width="content")
    answers.tell()
    label = t("ops_alerts.section")
    section = filters.choice("section", SECTIONS, label=label, name=lambda name: t(f"ops_alerts.sections.{name}"))
    with states.guarded():
        {"rules": alert_rules.show, "history": alert_history.history, "incidents": alert_history.incidents}[section](zone)
