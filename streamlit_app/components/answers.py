"""A press and its answer: the button is off and says why where it cannot work; what came of it is told."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from streamlit_app import formats
from streamlit_app.actions import Outcome
from streamlit_app.components import states
from streamlit_app.messages import t

ANSWER = "answer_of_the_last_press"
ADDRESSES = ("addresses", "recipients")  # which are copied


def button(label: str, act: Callable[[], Outcome], *, key: str, obstacle: Outcome | None, icon: str) -> None:
    """A button that does `act`; off where there is an obstacle, and `reason` says which."""
    st.button(label, key=key, icon=icon, disabled=obstacle is not None, on_click=press, args=(act,))


def reason(obstacle: Outcome | None) -> None:
    """Why a button is off, where it is."""
    if obstacle is not None:
        st.caption(text(obstacle))


def press(act: Callable[[], Outcome | None], place: str = ANSWER) -> None:
    """Do what was pressed and keep its answer for `tell` at that place of the page; a failure is an answer too."""
    try:
        st.session_state[place] = act()
    except Exception as error:
        st.session_state[place] = error


def tell(place: str = ANSWER) -> None:
    """Say what the last press came to: once where it worked, until the next press where it did not."""
    answer = st.session_state.get(place)
    if isinstance(answer, Outcome):
        st.toast(text(answer), icon=":material/check:" if answer.accepted else ":material/info:", duration="long")
        del st.session_state[place]
    elif answer is not None:
        states.broken(answer)


def text(outcome: Outcome) -> str:
    """What a press came to, in the reader's language."""
    values = {name: _shown(name, value) if isinstance(value, str) else value for name, value in outcome.values.items()}
    return t(f"answers.press.{outcome.answer}", **values)


def _shown(name: str, value: str) -> str:
    return formats.literal(value) if name in ADDRESSES else formats.plain(value)
