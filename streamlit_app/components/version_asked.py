"""What a reader must know where the address asks for a version: whose figures these are, and the way to the latest ones."""

from __future__ import annotations

import streamlit as st

from streamlit_app import data, formats
from streamlit_app.components import states, url
from streamlit_app.data import Version
from streamlit_app.messages import t


def show(version: Version) -> None:
    """Say it above the page; nothing where the address asks for no version, or for the one that everybody sees."""
    asked, current = st.query_params.get(data.ASKED_VERSION), data.current_version()
    if asked is None or current is None:
        return
    if asked == current.name:
        url.keep(data.ASKED_VERSION, url.EVERY)  # this page says whose figures it has; the next ones have the latest
        return
    if version.name == asked:
        states.stale(t("views.older_version", version=version.name, day=formats.day(version.as_of), latest=current.name))
    else:
        states.stale(t("views.no_such_version", version=formats.literal(asked), latest=current.name))
    st.button(t("views.show_latest"), key="show_latest", icon=":material/update:", on_click=_show_latest)


def _show_latest() -> None:
    st.query_params.pop(data.ASKED_VERSION, None)
    url.keep(data.ASKED_VERSION, url.EVERY)
