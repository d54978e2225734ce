"""Widgets bound to the URL by code, never by label: a link means the same in every language.

Streamlit's own `bind="query-params"` writes the label that the reader sees ("Royaume-Uni"), and a link made in French
would lose its filter in English. It also keeps its own copy of the URL, so the two ways cannot be mixed on one page.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TypeVar

import streamlit as st

Value = TypeVar("Value")


def bind(key: str, default: Value, *, read: Callable[[str], Value | None], draw: Callable[[Value], Value | None]) -> Value:
    """Draw the widget `key`, starting from the URL's value where that is a good one, and write what it holds back.

    `draw` gets the value to start from. What it cannot hold any more, or was emptied of, counts as the default.
    """
    written = st.query_params.get(key)
    found = None if written is None else read(written)
    drawn = draw(default if found is None else found)
    value = default if drawn is None else drawn
    remember(key, value, default)
    return value


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
