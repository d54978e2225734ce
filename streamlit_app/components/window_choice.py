"""Which N to choose: what every N would make of the figures, a suggestion and its reason, and the pauses that N has to bridge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import streamlit as st

from pipeline.marts.churn import CAME_BACK_DAYS
from pipeline.marts.sensitivity import ENOUGH, WINDOWS, Suggestion, suggested_window
from pipeline.statistics import wilson
from streamlit_app import charts, data, figures, formats
from streamlit_app.charts.windows import IN_USE, MARKS, SUGGESTED
from streamlit_app.components import chart, filters, states
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

SHARES = ("10", "20", "30", "50")  # percent of the lapses that may come back
USUAL_SHARE = "30"
KINDS = {"active": charts.COUNT_BY_WINDOW, "churn": charts.SHARE_BY_WINDOW, "came_back": charts.SHARE_BY_WINDOW}


def show(question: Question) -> None:
    """The section, for the question's segment; the window of the question is marked in each chart."""
    st.subheader(t("activity.choice.title"))
    window = question.window or data.published().inactivity_days
    with states.guarded():
        _sensitivity(question, window)
    with states.guarded():
        _intervals(question, window)


def _sensitivity(question: Question, window: int) -> None:
    asked = replace(question, metric="window_sensitivity", window=None, grain=None, start=None, end=None)
    answers = {kind: data.answer(replace(asked, kind=kind)) for kind in KINDS}
    below, words = st.columns([2, 3], gap="medium", vertical_alignment="center")
    with below:
        share = int(filters.choice("back", SHARES, label=t("activity.choice.below"), name=_percent, default=USUAL_SHARE)) / 100
        filters.tell_unheeded()
    answers["churn"] = figures.known_by_window(answers["churn"], first_day=data.bounds()[0])
    found = suggested_window(answers["came_back"].table, below=share)
    with words:
        st.markdown(in_words(found, below=share, window=window))
    suggested = found.window_days if found is not None and found.is_sure else None
    if question.end is not None and question.end < answers["active"].as_of:
        st.caption(t("activity.choice.all_days", day=formats.day(answers["active"].as_of)))
    marked = {IN_USE: window, SUGGESTED: suggested}
    with chart.side_by_side(len(KINDS)):
        for kind, spec in KINDS.items():
            _card(kind, spec, answers[kind], marked)


def _percent(share: str) -> str:
    return formats.share(int(share) / 100, 0)


def _card(kind: str, spec: charts.Chart, answer: Answer, marked: Mapping[str, int | None]) -> None:
    key = f"by_window_{kind}"
    if answer.empty or not (answer.withheld or figures.has_values(answer)):
        states.empty_card(t(f"activity.choice.{kind}.title"), t("activity.choice.too_early"))
        return
    month = formats.month(months_end(answer)) if kind != "active" else ""
    explained = t(f"activity.choice.{kind}.explained", month=month, day=formats.day(answer.as_of))
    title, marks = t(f"activity.choice.{kind}.title"), figures.marks(marked, among=answer.table["window_days"])
    chart.show(spec, answer, key=key, title=title, subtitle=explained, beside={MARKS: marks})


def months_end(answer: Answer) -> date:
    """The last day of the month that a figure by window is about."""
    waiting = CAME_BACK_DAYS if answer.question.kind == "came_back" else 0
    last_day: date = answer.table["final_on"][0].as_py() - timedelta(days=waiting)
    return last_day


def in_words(found: Suggestion | None, *, below: float, window: int) -> str:
    """Which N is suggested and why, or why none can be."""
    if found is None:
        return t("activity.choice.nothing", least=ENOUGH)
    values = {
        "days": formats.days(found.window_days),
        "share": formats.share(found.share),
        "interval": formats.interval(found.low, found.high),
        "n": formats.number(found.n),
        "below": formats.share(below, 0),
        "window": formats.days(window),
        "longest": formats.days(WINDOWS[1]),
    }
    if not found.is_sure:
        return t(f"activity.choice.{'unsure' if found.is_settled else 'unsettled'}", **values)
    how = "same" if found.window_days == window else "shorter" if found.window_days < window else "longer"
    return t("activity.choice.suggested", **values) + " " + t(f"activity.choice.{how}", **values)


def _intervals(question: Question, window: int) -> None:
    answer = data.usage_intervals(replace(question, metric="window_sensitivity", window=None, grain=None))
    title = t("activity.intervals.title")
    if answer.empty:
        states.empty(t("activity.intervals.none"), next=t("common.widen"))
        return
    counted = answer.table["n"].drop_null()
    if not len(counted):
        states.empty(t("activity.intervals.withheld"), next=t("common.widen"))
        return
    everything = counted[0].as_py()
    explained, reached = t("activity.intervals.explained", count=everything, n=formats.number(everything)), ""
    within = figures.bridged(answer, window)
    if within is not None:
        low, high = (float(end) for end in wilson(within[1] * everything, everything))
        sure, share = formats.interval(low, high), formats.share(within[1])
        reached = t("activity.intervals.reached", days=formats.days(within[0]), share=share, interval=sure)
    drawn = figures.with_window(answer, window)
    chart.show(charts.USAGE_INTERVALS, drawn, key="intervals", title=title, subtitle=f"{explained} {reached}".strip())
