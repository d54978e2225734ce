"""Overview: how many customers are active, who comes, who leaves, and where to look next."""

from __future__ import annotations

import streamlit as st

from streamlit_app import charts, data
from streamlit_app.components import chart, headline, kpi_row, metric_help, next_steps, states
from streamlit_app.data import Question
from streamlit_app.messages import t


def show() -> None:
    """Draw the page."""
    st.header(t("overview.title"))
    active = data.answer(Question("active_customers"))
    if active.empty:
        states.empty(t("overview.nobody"), next=t("overview.nobody_next"))
        return
    kpi_row.show(headline.kpis(Question("active_customers")))
    left, right = st.columns([3, 2], gap="small")
    with left:
        chart.show(
            charts.GROWTH,
            data.growth(Question("active_customers", grain="month")),
            key="growth",
            title=t("overview.growth"),
            subtitle=t("overview.growth_explained"),
        )
    with right:
        chart.show(
            charts.COUNT_OVER_TIME,
            active,
            key="active_customers",
            title=t("overview.active"),
            subtitle=t("overview.active_explained"),
        )
    next_steps.show()
    metric_help.show("active_customers", active)
