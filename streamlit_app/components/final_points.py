"""The title of a page with charts, and beside it the switch that hides what may still change: it stands in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import streamlit as st

from streamlit_app import figures
from streamlit_app.charts import RETENTION_COHORTS, RETENTION_COHORTS_BY_WEEK, Chart
from streamlit_app.charts.marked import OVER_TIME
from streamlit_app.components import filters
from streamlit_app.messages import t

KEY = "only_final"
FOLLOWING = {*OVER_TIME, RETENTION_COHORTS.name, RETENTION_COHORTS_BY_WEEK.name}


def title(text: str) -> None:
    """Draw the title and the switch."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(text, width="content")
        filters.switch(KEY, label=t("common.only_final"), help=t("common.only_final_help"))


def is_on() -> bool:
    """Whether the reader wants to see only what cannot change any more."""
    return filters.SWITCHED.get(st.query_params.get(KEY, ""), False)


def drawn(chart: Chart | Mapping[str, Any], table: pa.Table) -> pa.Table:
    """The rows that a chart over time or of cohorts draws: without the provisional ones where the switch is on."""
    follows = isinstance(chart, Chart) and chart.name in FOLLOWING
    return kept(table) if follows else table


def kept(table: pa.Table) -> pa.Table:
    """The rows of a table that the switch leaves."""
    return figures.final(table) if is_on() and "provisional" in table.column_names else table
