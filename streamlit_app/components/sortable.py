"""Numbers in a table that a click on a column sorts: they stay numbers, and read as the page's language writes them.

Streamlit leaves their writing to the browser, which writes as its own language does. Only where the page's writes otherwise are
they written here: a table of 200 rows costs 20 ms of processor time more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import streamlit as st

from streamlit_app import formats, messages

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler
    from streamlit.elements.lib.column_types import ColumnConfig

SHORT = 10  # letters that the column of every table has room for
LETTER_PIXELS, MARGIN_PIXELS, WIDEST_PIXELS = 8, 24, 400

Write = Callable[[float], str]

count: Write = formats.number
percent: Write = partial(formats.share, digits=0)
tenth_of_a_percent: Write = formats.share


def rows(table: pa.Table, numbers: Mapping[str, Write]) -> pa.Table | Styler:
    """The rows for `st.dataframe`, the columns that are numbers written in the page's language."""
    return table if messages.browser_writes_alike() else table.to_pandas().style.format(numbers, na_rep=formats.NOTHING)


def counts(label: str | None = None) -> ColumnConfig:
    """The configuration of a column of counts."""
    return st.column_config.NumberColumn(label, format=_left_to_the_browser("localized"), step=1)


def shares(label: str | None = None) -> ColumnConfig:
    """The configuration of a column of shares."""
    return st.column_config.NumberColumn(label, format=_left_to_the_browser("percent"))


def identifiers(label: str, shown: Sequence[str]) -> ColumnConfig:
    """The configuration of a column of identifiers or names, wide enough for the longest of those shown, up to a limit."""
    longest = max(map(len, shown), default=0)
    width = min(longest * LETTER_PIXELS + MARGIN_PIXELS, WIDEST_PIXELS) if longest > SHORT else None
    return st.column_config.TextColumn(label, width=width)


def _left_to_the_browser(form: str) -> str | None:
    return form if messages.browser_writes_alike() else None
