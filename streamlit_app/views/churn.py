"""Churn: which share of the customers leaves each month, who they are, how long customers stay, and who is likely to go next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow.compute as pc
import streamlit as st

from streamlit_app import charts, data, figures, formats
from streamlit_app.components import (
    behind_figure,
    chart,
    early_warnings,
    filters,
    final_points,
    group_tests,
    metric_help,
    rates_table,
    states,
    survival_table,
)
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
    survival = data.answer(_survival(question))
    groups = figures.drawn_groups(answer) if question.by else []  # of both charts, so that a group has one colour
    shown = _shown_of(answer, groups)
    told = figures.known(answer, window=answer.window, first_day=data.bounds()[0])
    known = behind_figure.linked(told)
    rates, lives = _by_group(known, groups), _by_group(survival, groups)
    all_rates = _by_group(known, _all_of(known))  # a chart has room for a few groups, a table and a file for all
    group_tests.tiers(told)
    if missing := _why_no_rate(answer, rates):
        states.empty_card(t("churn.rate"), missing)
    else:
        subtitle = t(f"churn.rate_explained.{question.kind}") + shown
        chart.show(charts.SHARE_BY_SERIES, rates, key="churn", title=t("churn.rate"), subtitle=subtitle, filed=lambda: all_rates)
    of_all_days = " " + t("churn.all_days", day=formats.day(survival.as_of)) if filters.has_range(question) else ""
    _lives(survival, lives, more=of_all_days + shown)
    survival_table.show(lives)
    group_tests.survival(survival, groups, more=of_all_days)
    rates_table.show(all_rates, key="rates", title=t("churn.table"))


def _why_no_rate(answer: Answer, rates: Answer) -> str:
    """Why no month of the range has a rate; empty where one has, or where it is withheld."""
    if figures.has_values(rates):
        return ""
    if not figures.has_values(answer):
        return "" if answer.withheld else t("churn.nobody")
    window = formats.days(answer.window)
    if answer.question.kind == "effective":
        known = figures.first_known(pc.min(answer.table["date"]).as_py(), answer.window)
        return t("churn.no_rate.effective", window=window, day=formats.day(known))
    first = data.bounds()[0]
    lapse, month = figures.first_to_lapse(first, answer.window), figures.first_with_a_rate(first, answer.window)
    return t("churn.no_rate.recognised", window=window, day=formats.day(lapse), month=formats.month(month))


def _lives(survival: Answer, lives: Answer, *, more: str) -> None:
    """How long customers stay; in words where nobody is lost yet."""
    title = t("churn.survival")
    if figures.is_without_losses(lives):
        states.empty_card(title, _why_no_losses(survival))
        return
    chart.show(
        charts.SURVIVAL,
        figures.with_window(lives, survival.window),
        key="survival",
        title=title,
        subtitle=t("churn.survival_explained") + more,
        filed=lambda: figures.with_window(_by_group(survival, _all_of(survival)), survival.window),
    )


def _why_no_losses(survival: Answer) -> str:
    first = figures.first_to_lapse(data.bounds()[0], survival.window)
    if survival.as_of >= first:
        return t("churn.no_losses.none")
    return t("churn.no_losses.too_young", window=formats.days(survival.window), day=formats.day(first))


def _survival(question: Question) -> Question:
    return replace(question, metric="survival", start=None, end=None, kind=None)


def _by_group(answer: Answer, groups: Sequence[str]) -> Answer:
    """The answer under readable names: of these groups, or of everybody."""
    dimension = answer.question.by
    if dimension is None:
        return figures.as_one_group(answer, t("common.dimensions.all"))
    return figures.by_group(answer, lambda value: formats.dimension_value(dimension, value), groups=groups)


def _all_of(answer: Answer) -> list[str]:
    return figures.groups_of(answer) if answer.question.by else []


def _shown_of(answer: Answer, groups: Sequence[str]) -> str:
    """A sentence where not every group is shown."""
    total = len(figures.groups_of(answer)) if groups else 0
    return " " + t("common.shown_of", shown=len(groups), total=total) if total > len(groups) else ""
