"""Overview: how many customers are active, who comes, who leaves, what changed, and where to look next."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from streamlit_app import charts, data, figures, formats
from streamlit_app.components import (
    behind_figure,
    chart,
    filters,
    final_points,
    headline,
    kpi_row,
    metric_help,
    next_steps,
    problems,
    states,
    target_form,
    what_changed,
)
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t


@st.fragment
@states.guard
def show() -> None:
    """Draw the page; everything on it follows the filters."""
    final_points.title(t("overview.title"))
    problems.banner()
    answer = st.container()  # above the filters that it follows
    question = filters.overview()
    if filters.carries_range():
        st.caption(t("overview.all_days", day=formats.day(data.published().as_of)))
    active = data.answer(question)
    if active.empty:
        _nobody(is_of_a_segment=bool(question.where))
        return
    with answer:
        what_changed.answer(question)
    kpi_row.show(headline.kpis(question))
    target_form.show(question)
    _growth(question, active)
    what_changed.show(question)
    next_steps.show(question)
    metric_help.show("active_customers", active)
    metric_help.show("quick_ratio")


def _nobody(*, is_of_a_segment: bool) -> None:
    """Of everybody it is the rule that is to be looked at, of a segment its filters."""
    if is_of_a_segment:
        states.empty(t("overview.nobody_of_segment"), next=t("common.widen_segment"))
    else:
        states.empty(t("overview.nobody"), next=t("overview.nobody_next"))


def _growth(question: Question, active: Answer) -> None:
    by_month = replace(question, grain="month")
    _card("growth", charts.GROWTH, behind_figure.linked(data.growth(by_month), behind_figure.of_a_part))
    with chart.side_by_side():
        _quick_ratio(data.answer(replace(by_month, metric="quick_ratio")))
        _card("active", charts.COUNT_OVER_TIME, behind_figure.linked(active), key="active_customers")


def _quick_ratio(answer: Answer) -> None:
    """The ratio over time; in words where no period has one, for it is over those who left."""
    if answer.empty or answer.withheld or figures.has_values(answer):
        _card("quick_ratio", charts.RATIO_OVER_TIME, answer)
        return
    states.empty_card(t("overview.cards.quick_ratio.title"), t("overview.cards.quick_ratio.nobody_left"))


def _card(name: str, spec: charts.Chart, answer: Answer, *, key: str | None = None) -> None:
    chart.show(
        spec, answer, key=key or name, title=t(f"overview.cards.{name}.title"), subtitle=t(f"overview.cards.{name}.explained")
    )
