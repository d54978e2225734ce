"""Retention: of those who began together, how many are still there, period by period."""

from __future__ import annotations

import streamlit as st

from streamlit_app import charts, data, figures, formats
from streamlit_app.components import chart, filters, metric_help, states
from streamlit_app.messages import t


@st.fragment
@states.guard
def show() -> None:
    """Draw the page; everything on it follows the filters."""
    st.header(t("retention.title"))
    question = filters.retention()
    cells = data.answer(question)
    if cells.empty:
        states.empty(t("retention.nobody"), next=t("common.widen"))
        return
    by_week = question.grain == "week"
    chart.show(
        charts.RETENTION_COHORTS_BY_WEEK if by_week else charts.RETENTION_COHORTS,
        figures.with_cohort_names(cells, formats.day if by_week else formats.month),
        key="cohorts",
        title=t(f"retention.cohorts.{question.grain}"),
        subtitle=t(f"retention.explained.{question.kind}"),
    )
    fixed = filters.named_choice("cohorts", ("all", "fixed")) == "fixed"
    chart.show(
        charts.RETENTION_CURVE,
        data.retention_curve(question, fixed_cohorts=fixed),
        key="curve",
        title=t("retention.curve"),
        subtitle=t("retention.curve_explained.fixed" if fixed else "retention.curve_explained.all"),
    )
    metric_help.show("retention_cohort", cells)
