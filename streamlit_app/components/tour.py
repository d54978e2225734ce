"""The guided first visit: five questions of a manager and the pages that answer them; dismissed once, and back from the menu.

It is folded until somebody follows it, so that the figures come first, and stands on no page of the section Operations.
"""

from __future__ import annotations

import streamlit as st

from streamlit_app import actions_tour
from streamlit_app.components import links, url
from streamlit_app.data import Version
from streamlit_app.messages import t

# Each step and the page that answers it; every role may open these.
STEPS = {"how_many": "overview", "who_leaves": "churn", "better": "retention", "where": "overview", "how_sure": "definitions"}
STEP, DISMISSED, FOLLOWED = "_tour_step", "_tour_dismissed", "_tour_followed"
DEMO = "demo bank"
FIRST_PAGE = "overview"  # its address is the app's own
OPERATIONS = "ops_"  # how the names of its pages begin


def show(version: Version) -> None:
    """Draw the step that the reader is at; nothing for who has dismissed the tour, and on the pages of Operations."""
    if (st.session_state.get(url.PAGE) or FIRST_PAGE).startswith(OPERATIONS):
        return
    if DISMISSED not in st.session_state:
        dismissed, reached = actions_tour.so_far()
        st.session_state[DISMISSED], st.session_state[STEP] = dismissed, min(reached, len(STEPS) - 1)
    if st.session_state[DISMISSED]:
        return
    place = st.session_state[STEP]
    step = list(STEPS)[place]
    label = t("tour.folded", title=t(f"tour.steps.{step}.title"), place=place + 1, steps=len(STEPS))
    with st.expander(label, expanded=st.session_state.get(FOLLOWED, False), key="tour", icon=":material/explore:"):
        beginning = "" if place else t("tour.demo") if version.source == DEMO else t("tour.bank")
        st.markdown(f"{t(f'tour.steps.{step}.text')} {beginning}".strip())
        _buttons(place)


def _buttons(place: int) -> None:
    with st.container(horizontal=True, gap="small"):
        own = list(STEPS.values())[place]
        if (st.session_state.get(url.PAGE) or FIRST_PAGE) != own:
            _step(place, t("tour.show", page=t(f"common.pages.{own}")), "tour_show", "open_in_new")
        if place:
            _step(place - 1, t("tour.back"), "tour_back", "arrow_back")
        if place + 1 < len(STEPS):
            _step(place + 1, t("tour.next", title=t(f"tour.steps.{list(STEPS)[place + 1]}.title")), "tour_next", "arrow_forward")
        st.button(t("tour.dismiss"), key="tour_dismiss", icon=":material/close:", type="tertiary", on_click=_dismiss)


def _step(place: int, label: str, key: str, icon: str) -> None:
    """A step opens its page, with the filters that were chosen."""
    if st.button(label, key=key, icon=f":material/{icon}:"):
        st.session_state[STEP], st.session_state[FOLLOWED] = place, True
        actions_tour.reached(place)
        links.go(list(STEPS.values())[place], **url.heeded())


def _dismiss() -> None:
    st.session_state[DISMISSED] = True
    actions_tour.dismiss()


def again_button() -> None:
    """The way back to the tour: its beginning, on its first page."""
    if st.button(t("tour.again"), key="tour_again", icon=":material/explore:", type="tertiary"):
        st.session_state[DISMISSED], st.session_state[STEP], st.session_state[FOLLOWED] = False, 0, True
        links.go(FIRST_PAGE, **url.heeded())
