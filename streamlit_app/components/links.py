"""Ways from one page to another; the app says which pages the reader may open."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from streamlit_app.components import url

OPEN = "_pages"


def remember(pages: Mapping[str, object]) -> None:
    """The pages of this reader, by name."""
    st.session_state[OPEN] = dict(pages)


def go(name: str, **parameters: str | list[str]) -> None:
    """Open a page at once, with these parameters in its address, where the reader may open it."""
    page = st.session_state.get(OPEN, {}).get(name)
    if page is not None:
        url.note_leaving(page.url_path, parameters)
        st.switch_page(page, query_params=parameters)


def is_open(name: str) -> bool:
    """Whether the reader may open a page."""
    return name in st.session_state.get(OPEN, {})


def to(name: str, label: str) -> None:
    """A link to a page, where the reader may open it."""
    page = st.session_state.get(OPEN, {}).get(name)
    if page is not None:
        st.page_link(page, label=label)
