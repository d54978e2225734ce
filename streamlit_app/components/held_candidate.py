"""The candidate that waits: why, what it holds, and the two ways out; and what became of earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import streamlit as st

from streamlit_app import actions_versions, data, formats, operations_versions
from streamlit_app.actions import Outcome
from streamlit_app.components import answers, frame, states, table
from streamlit_app.messages import t
from streamlit_app.operations_versions import Decision, Held

NOTE = "note"
LONGEST_NOTE = 500
ICONS = {"approve": ":material/check:", "reject": ":material/delete:"}
ACTS: Mapping[str, Callable[[int, str], Outcome]] = {"approve": actions_versions.approve, "reject": actions_versions.reject}


def show(held: Held, zone: str) -> None:
    """The card at the top of the page."""
    obstacle = operations_versions.why_no_approval()
    with st.container(border=True):
        st.subheader(t("ops_versions.waits", run=held.run_id))
        st.caption(t("ops_versions.waits_since", held=formats.moment(held.held_at, zone)))
        st.markdown(frame.facts_line(held.as_version()))
        st.markdown("\n".join(f"- {reason(told)}" for told in held.reasons))
        st.caption(t("ops_versions.waits_means", current=_current()))
        with st.container(horizontal=True):
            label = t("ops_versions.approve")
            if st.button(label, key="approve", icon=ICONS["approve"], type="primary", disabled=obstacle is not None):
                _decide("approve", held)
            if st.button(t("ops_versions.reject"), key="reject", icon=ICONS["reject"]):
                _decide("reject", held)
        answers.reason(obstacle)


def reason(told: Mapping[str, Any]) -> str:
    """One reason of the guard in the reader's language."""
    return t(f"ops_versions.reasons.{told['rule']}", **{name: _shown(name, value) for name, value in told.items()})


def _shown(name: str, value: Any) -> str:
    if name in ("share", "allowed"):
        return formats.share(value)
    if isinstance(value, int):
        return formats.number(value)
    try:
        return formats.day(date.fromisoformat(str(value))) if name in ("found", "before") else str(value)
    except ValueError:
        return str(value)


def _current() -> str:
    version = data.current_version()
    return version.name if version else formats.NOTHING


def _decide(what: str, held: Held) -> None:
    """Ask before it is done, and for the reason that the audit log keeps."""

    @st.dialog(t(f"ops_versions.{what}_title", run=held.run_id), icon=ICONS[what])
    def ask() -> None:
        st.markdown(t(f"ops_versions.{what}_means", run=held.run_id, current=_current(), day=formats.day(held.facts.as_of)))
        st.text_area(t("ops_versions.note"), key=NOTE, max_chars=LONGEST_NOTE)
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.button(t("ops_versions.cancel"), key="decide_cancel"):
                st.rerun()
            label = t(f"ops_versions.{what}_do")
            if st.button(label, key="decide_do", icon=ICONS[what], on_click=_press, args=(what, held.run_id)):
                st.rerun()

    ask()


def _press(what: str, run_id: int) -> None:
    note = str(st.session_state.get(NOTE, "")).strip()
    answers.press(lambda: ACTS[what](run_id, note))


def decisions(zone: str) -> None:
    """The last candidates that were held, newest first."""
    found = operations_versions.decisions()
    if not found:
        states.empty(t("ops_versions.never_held"))
        return
    table.show((_row(decision, zone) for decision in found), names="ops_versions.columns", most=operations_versions.DECISIONS)


def _row(decision: Decision, zone: str) -> dict[str, str]:
    return {
        "run": formats.number(decision.run_id),
        "held": formats.moment(decision.held_at, zone),
        "why": " ".join(reason(told) for told in decision.reasons),
        "state": t(f"ops_versions.states.{decision.state}", outcome=decision.outcome or formats.NOTHING),
        "by": formats.plain(decision.decided_by or ""),
        "when": formats.moment(decision.decided_at, zone),
        "note": formats.plain(decision.note or ""),
    }
