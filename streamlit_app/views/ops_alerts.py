"""The alerts: rules on figures, what came of them, and incidents."""

from __future__ import annotations

from streamlit_app.components import alert_history, alert_rules, answers, filters, page_head, states
from streamlit_app.messages import t

SECTIONS = ("rules", "history", "incidents")


def show() -> None:
    """The page."""
    zone = page_head.show(t("ops_alerts.title"))
    answers.tell()
    label = t("ops_alerts.section")
    section = filters.choice("section", SECTIONS, label=label, name=lambda name: t(f"ops_alerts.sections.{name}"))
    filters.tell_unheeded()
    with states.guarded():
        {"rules": alert_rules.show, "history": alert_history.history, "incidents": alert_history.incidents}[section](zone)
