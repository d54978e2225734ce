"""Retention: of those who began together, how many are still there, period by period, over the cohorts and between segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import streamlit as st

from streamlit_app import charts, data, figures, formats
from streamlit_app.components import (
    behind_figure,
    chart,
    filters,
    final_points,
    first_transaction,
    metric_help,
    segments_compared,
    states,
)
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

PERIODS: Mapping[str, tuple[int, ...]] = {"month": (1, 3, 6, 12), "week": (1, 4, 8, 12, 26)}


@st.fragment
@states.guard
def show() -> None:
    """Draw the page; everything on it follows the filters."""
    final_points.title(t("retention.title"))
    question = filters.retention()
    cells = data.answer(question)
    if cells.empty:
        states.empty(t("retention.nobody"), next=t("common.widen_segment"))
    else:
        _of_cohorts(question, cells)
    if not (cells.empty and first_transaction.is_about_nobody(question.where)):
        first_transaction.show(question.where)
    for metric in ("retention_cohort", "time_to_first_transaction"):
        metric_help.show(metric, cells)


def _of_cohorts(question: Question, cells: Answer) -> None:
    _cohorts(question, cells)
    _over_time(question, cells)
    fixed = filters.named_choice("cohorts", ("all", "fixed")) == "fixed"
    filters.tell_unheeded()
    chart.show(
        charts.RETENTION_CURVE_BY_WEEK if question.grain == "week" else charts.RETENTION_CURVE,
        data.retention_curve(question, fixed_cohorts=fixed),
        key="curve",
        title=t("retention.curve"),
        subtitle=t("retention.curve_explained.fixed" if fixed else "retention.curve_explained.all"),
    )
    segments_compared.show(question, fixed=fixed, periods=PERIODS[str(question.grain)])


def _cohorts(question: Question, cells: Answer) -> None:
    by_week = question.grain == "week"
    chart.show(
        charts.RETENTION_COHORTS_BY_WEEK if by_week else charts.RETENTION_COHORTS,
        figures.with_cohort_names(behind_figure.linked(cells), _named(formats.day if by_week else formats.month)),
        key="cohorts",
        title=t(f"retention.cohorts.{question.grain}"),
        subtitle=t(f"retention.explained.{question.kind}"),
    )


def _named(begins: Callable[[date], str]) -> Callable[[date, int | None], str]:
    """How a cohort is called: when it begins, and of how many customers it is."""
    return lambda day, size: begins(day) if size is None else f"{begins(day)} · {formats.number(size)}"


def _over_time(question: Question, cells: Answer) -> None:
    """How well each cohort did after 1, 3, 6 ... periods: whether newcomers stay longer than they used to."""
    names = {period: t(f"retention.over_time.{question.grain}", k=period) for period in PERIODS[str(question.grain)]}
    drawn = figures.over_cohorts(cells, names)
    if drawn.empty:
        return
    shown = [period for period, name in names.items() if name in drawn.table["series"].to_pylist()]
    told = shown[:2][-1]  # as far as the bank goes: M3 or, of a younger one, M1
    title, after = t("retention.over_time.title"), formats.length(told, str(question.grain))
    subtitle = t(f"retention.over_time.explained.{question.grain}", name=names[told], after=after)
    drawing = charts.SHARE_BY_SERIES_BY_WEEK if question.grain == "week" else charts.SHARE_BY_SERIES
    chart.show(drawing, drawn, key="over_time", title=title, subtitle=subtitle)
