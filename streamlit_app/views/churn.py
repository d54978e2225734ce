"""Churn: which share of the customers leaves each month, who they are, how long customers stay, and who is likely to go next."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from streamlit_app import charts, data, figures, formats
from streamlit_app.components import chart, early_warnings, filters, final_points, group_tests, metric_help, rates_table, states
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t


@st.fragment
@states.guard
def show() -> None:
    """Draw the page; everything on it follows the filters."""
    final_points.title(t("churn.title"))
    question = filters.churn()
    answer = data.answer(question)
    if answer.empty:
        states.empty(t("churn.nobody"), next=t("common.widen"))
        return
    _rates(question, answer)
    early_warnings.show(question)
    for metric in ("monthly_churn_rate", "survival", "silence_risk", "silence_calibration"):
        metric_help.show(metric)


def _rates(question: Question, answer: Answer) -> None:
    rates, shown = _by_group(answer)
    group_tests.tiers(answer)
    explained = t(f"churn.rate_explained.{question.kind}")
    chart.show(charts.SHARE_BY_SERIES, rates, key="churn", title=t("churn.rate"), subtitle=explained + shown)
    survival = data.answer(_survival(question))
    lives, shown = _by_group(survival)
    chart.show(charts.SURVIVAL, lives, key="survival", title=t("churn.survival"), subtitle=t("churn.survival_explained") + shown)
    group_tests.survival(survival)
    rates_table.show(rates, key="rates", title=t("churn.table"))


def _survival(question: Question) -> Question:
    return replace(question, metric="survival", start=None, end=None, kind=None)


def _by_group(answer: Answer) -> tuple[Answer, str]:
    """The answer under readable group names, and a sentence where not every group is shown."""
    dimension = answer.question.by
    if dimension is None:
        return figures.as_one_group(answer, t("common.dimensions.all")), ""
    drawn, total = figures.by_group(answer, lambda value: formats.dimension_value(dimension, value))
    many = total > figures.MOST_SERIES
    return drawn, " " + t("common.shown_of", shown=figures.MOST_SERIES, total=total) if many else ""
