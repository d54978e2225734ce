"""A plain table that reads well aloud and on a narrow screen: rows of texts under names from the catalogues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import streamlit as st

from streamlit_app.messages import t


def show(rows: Iterable[Mapping[str, str]], *, names: str, most: int | None = None) -> None:
    """Draw the rows; the column `code` is called what the text `<names>.code` says.

    Where no more than `most` were read and so many came, older ones may be left out: that is said.
    """
    named = [{t(f"{names}.{column}"): cell for column, cell in row.items()} for row in rows]
    draw(named)
    if most is not None and len(named) >= most:
        st.caption(t("common.last_rows", shown=len(named)))


def draw(rows: Sequence[Mapping[str, str]]) -> None:
    """Draw rows whose columns have their names already, such as those of moments or places; a cell that a row lacks is empty."""
    columns = dict.fromkeys(column for row in rows for column in row)
    texts = pa.table({column: pa.array([row.get(column) for row in rows], pa.string()) for column in columns})
    st.table(texts, border="horizontal", hide_index=True)  # a list would go through pandas
