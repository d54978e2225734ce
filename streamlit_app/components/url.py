"""Widgets bound to the URL by code, never by label: a link means the same in every language.

Streamlit's own `bind="query-params"` writes the label that the reader sees ("Royaume-Uni"), and a link made in French
would lose its filter in English. It also keeps its own copy of the URL, so the two ways cannot be mixed on one page.

What several pages ask for in the same words (SHARED) goes along from page to page: a page begins with it in its URL, also where
the page has no widget for it, so that the next one has it again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TypeVar

import streamlit as st

Value = TypeVar("Value")

SHARED = (
    "country",
    "plan",
    "plan_tier",
    "os",
    "age_band",
    "signup_cohort",
    "from",
    "to",
    "grain",
    "window",
    "version",
    "only_final",
)
EVERY = "all"
KEPT, PAGE, FRESH = "_kept_filters", "_page_of_the_filters", "_begun_afresh"


def bind(key: str, default: Value, *, read: Callable[[str], Value | None], draw: Callable[[Value], Value | None]) -> Value:
    """Draw the widget `key`, starting from the URL's value where that is a good one, and write what it holds back.

    `draw` gets the value to start from. What it cannot hold any more, or was emptied of, counts as the default.
    """
    written = st.query_params.get(key)
    found = None if written is None else read(written)
    start = default if found is None else found
    _begin_afresh(key, start)
    drawn = draw(start)
    value = default if drawn is None else drawn
    remember(key, value, default)
    if value != start:
        keep(key, value)
    return value


def begin_afresh() -> None:
    """Let what opens next begin as a link does in a new tab: with what its address says, and nothing that was chosen before."""
    st.session_state[KEPT] = {}
    st.session_state[PAGE] = None
    st.session_state[FRESH] = set()


def _begin_afresh(key: str, start: object) -> None:
    """A widget that is on the screen already would hold on to what it shows: once after `begin_afresh` it is set."""
    begun: set[str] | None = st.session_state.get(FRESH)
    if begun is not None and key not in begun:
        begun.add(key)
        if key in st.session_state:
            st.session_state[key] = start


def enter(page: str) -> None:
    """Begin a page with the filters of the page before; what its own link says counts more, and is kept for the next."""
    if st.session_state.get(PAGE) == page:
        return
    st.session_state[PAGE] = page
    kept: dict[str, str] = st.session_state.setdefault(KEPT, {})
    kept.update({key: st.query_params[key] for key in SHARED if key in st.query_params})
    for key, value in kept.items():
        if key not in st.query_params and value != EVERY:
            st.query_params[key] = value


def keep(key: str, value: object) -> None:
    """What a reader chose goes along to the next page; every page has its own default, so that also one of those counts."""
    if key in SHARED:
        st.session_state.setdefault(KEPT, {})[key] = str(value)


def remember(key: str, value: object, default: object) -> None:
    """Let the URL say what differs from the default, and nothing else."""
    if value == default:
        if key in st.query_params:
            del st.query_params[key]
    elif st.query_params.get(key) != str(value):
        st.query_params[key] = str(value)


def one_of(options: list[str]) -> Callable[[str], str | None]:
    """Reads a code that must be among the options."""
    return lambda written: written if written in options else None


def whole_number(low: int, high: int) -> Callable[[str], int | None]:
    """Reads a whole number within limits."""
    return lambda written: int(written) if written.isascii() and written.isdigit() and low <= int(written) <= high else None


def day(low: date, high: date) -> Callable[[str], date | None]:
    """Reads an ISO date within limits."""

    def read(written: str) -> date | None:
        try:
            found = date.fromisoformat(written)
        except ValueError:
            return None
        return found if low <= found <= high else None

    return read
