"""The reports by mail: who gets which figures, how often and of which countries, and what became of the last one."""

from __future__ import annotations

import re

import streamlit as st

from pipeline.runs.reports import FREQUENCIES, Subscription
from streamlit_app import actions_reports, formats, messages, operations_reports
from streamlit_app.actions import Outcome
from streamlit_app.components import answers, filters, page_head, states
from streamlit_app.messages import t
from streamlit_app.operations_reports import Listed

FORM = "answer_about_the_new_report"


def show() -> None:
    """The page."""
    page_head.show(t("ops_reports.title"))
    answers.tell()
    st.caption(t("ops_reports.explained"))
    with states.guarded():
        found = operations_reports.subscriptions()
        if not found:
            states.empty(t("ops_reports.none"))
        for listed in found:
            _one(listed)
        _add()


def _one(listed: Listed) -> None:
    one = listed.subscription
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(
                f"**{t(f'ops_reports.frequencies.{one.frequency}')}** · {_countries(one)} · {one.language}", width="content"
            )
            with st.container(horizontal=True, horizontal_alignment="right", width="content"):
                _buttons(one)
        st.markdown(_addresses(one))
        st.caption(_state(listed))


def _countries(one: Subscription) -> str:
    return ", ".join(map(formats.country, one.countries)) or t("ops_reports.every_country")


def _addresses(one: Subscription) -> str:
    return ", ".join(map(formats.literal, one.addresses))


def _buttons(one: Subscription) -> None:
    act = "off" if one.enabled else "on"
    st.button(
        t(f"ops_reports.switch.{act}"),
        key=f"{act}_report_{one.id}",
        type="tertiary",
        on_click=answers.press,
        args=(lambda: actions_reports.switch(one.id, enabled=not one.enabled),),
    )
    with st.popover(t("ops_reports.delete"), icon=":material/delete:", type="tertiary"):
        st.markdown(t("ops_reports.delete_means", addresses=_addresses(one)))
        label, key = t("ops_reports.delete_do"), f"delete_report_{one.id}"
        answers.button(label, lambda: actions_reports.delete(one.id), key=key, obstacle=None, icon=":material/delete:")


def _state(listed: Listed) -> str:
    if not listed.subscription.enabled:
        return t("ops_reports.is_off")
    if listed.period is None:
        return t("ops_reports.no_version")
    counts = {name: formats.number(getattr(listed, name)) for name in ("delivered", "waiting", "to_write")}
    said = t("ops_reports.state", last=formats.day(listed.period.last), **counts)
    if not listed.silent:
        return said
    return f"{said} {t('ops_reports.silent', addresses=', '.join(map(formats.literal, listed.silent)))}"


def _add() -> None:
    """The form of a new subscription."""
    with st.form("new_report", border=True):
        st.markdown(f"**{t('ops_reports.new')}**")
        addresses = st.text_area(t("ops_reports.addresses"), placeholder="ada@bank.example", help=t("ops_reports.addresses_help"))
        left, middle, right = st.columns(3)
        with left:
            frequency = st.selectbox(
                t("ops_reports.frequency"), FREQUENCIES, format_func=lambda name: t(f"ops_reports.frequencies.{name}")
            )
        with middle:
            language = st.selectbox(t("common.language"), messages.LANGUAGES)
        with right:
            countries = st.multiselect(
                t("common.dimensions.country"),
                _known_countries(),
                format_func=formats.country,
                placeholder=t("ops_reports.every_country"),
            )
        _tell()
        pressed = st.form_submit_button(t("ops_reports.add"), icon=":material/add:")
    if pressed:
        wanted = Subscription(_split(addresses), str(frequency), str(language), tuple(countries))
        answers.press(lambda: actions_reports.save(wanted), FORM)
        st.rerun()


def _tell() -> None:
    """What the form's last press came to; what is wrong in it stands there until it is pressed again."""
    answer = st.session_state.get(FORM)
    if isinstance(answer, Outcome) and not answer.accepted:
        st.error(answers.text(answer), icon=":material/error:")
    else:
        answers.tell(FORM)


def _known_countries() -> list[str]:
    try:
        return filters.values("country")
    except LookupError:  # nothing is published yet
        return []


def _split(addresses: str) -> tuple[str, ...]:
    """One address a line, or several with commas or semicolons; each once."""
    named = (part.strip() for line in addresses.splitlines() for part in re.split("[,;]", line))
    return tuple(dict.fromkeys(part for part in named if part))
