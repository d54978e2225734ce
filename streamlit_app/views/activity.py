"""Activity: who is active, how often they come, and what changes with the inactivity window N."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow.compute as pc
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
    states,
    thin_days,
    window_choice,
)
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

COUNTS = ("active_customers", "new_customers", "resurrected_customers", "churned_customers")
ROLLING = ("mau", "wau", "dau")
CARDS_OF_THE_LAST_DAYS = ("rolling", "stickiness", "l28")  # they fall where loading is not finished


@st.fragment
@states.guard
def show() -> None:
    """Draw the page; everything on it follows the filters."""
    final_points.title(t("activity.title"))
    question = filters.activity()
    if data.answer(_daily(question, "mau")).empty:
        states.empty(t("activity.nobody"), next=t("common.widen"))
        return
    _by_window(question)
    with chart.side_by_side():
        card("rolling", charts.COUNT_BY_SERIES, _rolling(question))
        card("stickiness", charts.RATIO_OVER_TIME, behind_figure.linked(data.answer(_daily(question, "stickiness"))))
    _days_of_28(question)
    metric_help.show("active_customers")
    metric_help.show("window_sensitivity")


@st.fragment
@states.guard
def _by_window(segment: Question) -> None:
    """What follows N and the grain: a fragment of its own, so that moving the slider draws nothing that stays as it is."""
    asked = filters.window_and_grain(segment)
    question = replace(asked, by=None)
    active = data.answer(question)
    if active.empty:
        states.empty(t("activity.nobody"), next=t("common.widen"))
        return
    kpi_row.show(headline.kpis(question, only=COUNTS))
    with chart.side_by_side():
        if asked.by is None:
            card("active", charts.COUNT_OVER_TIME, behind_figure.linked(active))
        else:
            split = data.answer(asked)
            card("active", charts.COUNT_BY_SERIES, _by_group(split, asked.by), filed=lambda: _by_each_group(split))
        card("growth", charts.GROWTH, behind_figure.linked(data.growth(question), behind_figure.of_a_part))
    window_choice.show(question)


def _by_group(answer: Answer, dimension: str) -> Answer:
    """Active customers of the largest groups and of all others: together they are all."""
    names = {code: formats.dimension_value(dimension, code) for code in figures.groups_of(answer)}
    drawn = figures.with_rest(answer, names.__getitem__, rest=t("common.rest"), groups=list(names))
    codes = {name: {dimension: code} for code, name in names.items()}
    return behind_figure.linked(drawn, lambda row: codes.get(row["series"]))


def _by_each_group(answer: Answer) -> Answer:
    dimension = str(answer.question.by)
    return figures.by_group(answer, lambda code: formats.dimension_value(dimension, code), groups=figures.groups_of(answer))


def _days_of_28(question: Question) -> None:
    """L28 is counted to the end of each month and to the last loaded day: here to the last of these that the range reaches."""
    answer = data.answer(replace(_daily(question, "l28"), start=None))
    if answer.empty:
        states.empty_card(t("activity.cards.l28.title"), t("activity.no_month_end"), next=t("common.widen"))
        return
    day = answer.table["date"][0].as_py()
    if not (answer.withheld or pc.any(pc.greater(answer.table["value"], 0)).as_py()):
        states.empty_card(t("activity.cards.l28.title"), t("activity.cards.l28.nobody", day=formats.day(day)))
        return
    named = replace(answer, question=replace(answer.question, end=day))
    card("l28", charts.CUSTOMERS_BY_ACTIVE_DAYS, behind_figure.linked(named))


def card(key: str, spec: charts.Chart, answer: Answer, *, filed: Callable[[], Answer] | None = None) -> None:
    """One chart of this page, under the texts of its key."""
    few = thin_days.in_short(until=answer.question.end) if key in CARDS_OF_THE_LAST_DAYS else ""
    explained = f"{t(f'activity.cards.{key}.explained', day=formats.day(answer.question.end or answer.as_of))} {few}".strip()
    chart.show(spec, answer, key=key, title=t(f"activity.cards.{key}.title"), subtitle=explained, filed=filed)


def _rolling(question: Question) -> Answer:
    named = {t(f"activity.series.{metric}"): metric for metric in ROLLING}
    drawn = figures.together({name: data.answer(_daily(question, metric)) for name, metric in named.items()})
    return behind_figure.linked(drawn, lambda row: {behind_figure.METRIC: named[row["series"]]})


def _daily(question: Question, metric: str) -> Question:
    return replace(question, metric=metric, window=None, grain=None)
