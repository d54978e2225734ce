"""A button that makes a file when it is pressed, for the person of this session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import PurePath

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context_attr import SCRIPT_RUN_CONTEXT_ATTR_NAME

from streamlit_app.exports import MIME


def button(
    label: str, make: Callable[[], bytes], *, file_name: str, key: str, help: str | None = None, tertiary: bool = False
) -> None:
    """Draw the button; `make` writes the file and checks who asks for it."""
    st.download_button(
        label,
        in_this_session(make),
        file_name=file_name,
        mime=MIME[PurePath(file_name).suffix.removeprefix(".")],
        key=key,
        help=help,
        on_click="ignore",
        type="tertiary" if tertiary else "secondary",
        icon=":material/download:",
    )


def in_this_session(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """The same, done as the person of this session.

    Streamlit makes the file in a thread that knows of no session, where everybody would be nobody.
    """
    session = get_script_run_ctx(suppress_warning=True)

    def made() -> bytes:
        thread = threading.current_thread()
        before = getattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, None)
        setattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, session)
        try:
            return make()
        finally:
            setattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, before)

    return made
