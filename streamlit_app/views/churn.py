"""Churn: which share of the customers leaves each month, who they are, and how long customers stay."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from streamlit_app import charts, data, figures, formats
from streamlit_app.components import chart, filters, metric_help, rates_table, states
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t


@st.fragment
@states.guard
def show() -> None:
    """Draw the page; everything on it follows the filters."""
    st.header(t("churn.title"))
    question = filters.churn()
    answer = data.answer(question)
    if answer.empty:
        states.empty(t("churn.nobody"), next=t("common.widen"))
        return
    rates, shown = _by_group(answer)
    chart.show(charts.SHARE_BY_SERIES, rates, key="churn", title=t("churn.rate"), subtitle=t("churn.rate_explained") + shown)
    lives, shown = _by_group(data.answer(_survival(question)))
    chart.show(charts.SURVIVAL, lives, key="survival", title=t("churn.survival"), subtitle=t("churn.survival_explained") + shown)
    rates_table.show(rates, key="rates", title=t("churn.table"))
    metric_help.show("monthly_churn_rate", answer)
    metric_help.show("survival")


def _survival(question: Question) -> Question:
    return replace(question, metric="survival", start=None, end=None)


def _by_group(answer: Answer) -> tuple[Answer, str]:
    """The answer under readable group names, and a sentence where not every group is shown."""
    dimension = answer.question.by
    if dimension is None:
        return figures.as_one_group(answer, t("common.dimensions.all")), ""
    drawn, total = figures.by_group(answer, lambda value: formats.dimension_value(dimension, value))
    many = total > figures.MOST_SERIES
    return drawn, " " + t("common.shown_of", shown=figures.MOST_SERIES, total=total) if many else ""
