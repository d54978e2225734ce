"""What came of the rules, and incidents: newest first, with whether a mail went out."""

from __future__ import annotations

import streamlit as st

from streamlit_app import formats, operations_alerts
from streamlit_app.components import alert_rules, states, table
from streamlit_app.messages import t
from streamlit_app.operations_alerts import AlertRow, Incident

NAMES = "ops_alerts.columns"


def history(zone: str) -> None:
    """Each time a rule fired, was right again, or could not be asked."""
    rows = operations_alerts.history()
    if not rows:
        states.empty(t("ops_alerts.no_history"))
        return
    table.show((_row(row, zone) for row in rows), names=NAMES, most=operations_alerts.ROWS)


def _row(row: AlertRow, zone: str) -> dict[str, str]:
    unit = str(row.rule.get("unit", ""))
    return {
        "when": formats.moment(row.at, zone),
        "rule": formats.plain(str(row.rule["name"])),
        "state": t(f"ops_alerts.states.{row.state}")
        + (f": {formats.literal(str(row.rule['error']))}" if "error" in row.rule else ""),
        "point": alert_rules.point(row.point, str(row.rule.get("grain"))),
        "figure": alert_rules.figure(row.figure, unit),
        "before": alert_rules.figure(row.before, unit),
        "version": row.version,
        "mail": t(f"ops_alerts.mails.{row.mail or 'unsent'}"),
    }


def incidents(zone: str) -> None:
    """What was wrong for a while."""
    agreed = operations_alerts.fresh_by()
    st.caption(t("ops_alerts.fresh_by", hour=agreed) if agreed else t("ops_alerts.fresh_by_nothing"))
    found = operations_alerts.incidents()
    if not found:
        states.empty(t("ops_alerts.no_incident"))
        return
    table.show((_incident(incident, zone) for incident in found), names=NAMES, most=operations_alerts.ROWS)


def _incident(incident: Incident, zone: str) -> dict[str, str]:
    return {
        "what": t(f"ops_alerts.kinds.{incident.kind}"),
        "opened": formats.moment(incident.opened_at, zone),
        "closed": formats.moment(incident.closed_at, zone) if incident.closed_at else t("ops_alerts.open"),
        "mail": t(f"ops_alerts.mailed.{incident.mailed or 'nothing'}"),
    }
