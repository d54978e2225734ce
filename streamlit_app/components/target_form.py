"""The form for targets: one for the segment and window on the screen, and the list of all that are set."""

from __future__ import annotations

import streamlit as st

from streamlit_app import actions_targets, auth, data, data_kept, formats, messages, targets
from streamlit_app.auth import Role
from streamlit_app.components import answers, target_words
from streamlit_app.data import Question
from streamlit_app.data_kept import Target
from streamlit_app.messages import t

ANSWER = "answer_about_targets"


def show(question: Question) -> None:
    """Draw it for admins who see every country; nothing for others, and where the run store does not answer."""
    user = auth.current_user()
    if not user.may(Role.ADMIN) or user.countries is not None:
        return
    try:
        kept = data_kept.targets()
    except data_kept.SILENT:
        return  # nothing could be saved either; the head of the page says why
    answers.tell(ANSWER)
    with st.popover(t("targets.set"), icon=":material/flag:", type="tertiary"):
        _form(question)
        for target in kept:
            _row(target)


def _form(question: Question) -> None:
    metric = st.selectbox(t("targets.metric"), targets.METRICS, key="target_metric", format_func=_label)
    is_share = data.registry()[metric].unit == "share"
    window = targets.window_of(metric, question.window or data.published().inactivity_days)
    target = Target(metric, 0.0, question.where, window)
    st.caption(t("targets.for_what_is_shown", segment=target_words.segment(target)))
    named = t("targets.value_percent" if is_share else "targets.value")
    written = st.number_input(named, min_value=0.0, value=None, key=f"target_value_{metric}", help=t(f"targets.help.{metric}"))
    st.button(
        t("targets.save"),
        key="target_save",
        icon=":material/check:",
        disabled=written is None,
        on_click=_save,
        args=(target, f"target_value_{metric}", is_share),
    )


def _save(target: Target, key: str, is_share: bool) -> None:
    """Save what stands in the field when the button is pressed."""
    written = st.session_state[key]
    if written is not None:
        value = round(written / 100, 6) if is_share else float(written)
        kept = Target(target.metric, value, target.where, target.window)
        answers.press(lambda: actions_targets.set_target(kept), ANSWER)


def _row(target: Target) -> None:
    wanted = target_words.wanted(target, data.registry()[target.metric].unit)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        who = t("targets.set_by", who=formats.plain(target.set_by), day=formats.day(target.set_at))
        st.caption(f"**{_label(target.metric)}**: {wanted} · {target_words.segment(target)} · {who}", width="stretch")
        st.button(
            t("targets.remove"),
            key=f"target_remove_{target.metric}_{target.where}_{target.window}",
            icon=":material/delete:",
            type="tertiary",
            on_click=answers.press,
            args=(lambda: actions_targets.remove_target(target), ANSWER),
        )


def _label(metric: str) -> str:
    return data.registry()[metric].label[messages.language()]
