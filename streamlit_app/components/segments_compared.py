"""A against B: the retention of two segments side by side, and whether chance could make the difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from pipeline.statistics import difference_of_shares
from streamlit_app import charts, data, figures, formats
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import chart, filters, states
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t


def show(question: Question, *, fixed: bool, periods: tuple[int, ...]) -> None:
    """Choose a dimension and two of its values, then both curves; nothing but the choice while no dimension is chosen."""
    st.subheader(t("retention.compare.title"))
    filtered = {dimension for dimension, _ in question.where}
    offered = [filters.EVERY, *(name for name in filters.SEGMENTS if name not in filtered)]
    what, one, other = st.columns(3, gap="small", vertical_alignment="bottom")
    with what:
        dimension = filters.select("between", offered, label=t("retention.compare.between"), name=_dimension)
    filters.tell_unheeded()
    if dimension == filters.EVERY:
        st.caption(t("retention.compare.choose"))
        return
    values = filters.values(dimension)
    if len(values) < 2:
        states.empty(t("retention.compare.too_few"))
        return
    with one:
        first = _value("a", values, dimension, default=values[0])
    with other:
        second = _value("b", values, dimension, default=values[1])
    filters.tell_unheeded()
    if first == second:
        states.empty(t("retention.compare.the_same"))
        return
    with states.guarded():
        _draw(question, dimension, (first, second), fixed=fixed, periods=periods)


def _dimension(name: str) -> str:
    return t("retention.compare.nobody") if name == filters.EVERY else t(f"common.dimensions.{name}")


def _value(key: str, values: list[str], dimension: str, *, default: str) -> str:
    named = t(f"retention.compare.{key}")
    return filters.select(key, values, label=named, name=lambda value: formats.dimension_value(dimension, value), default=default)


def _draw(question: Question, dimension: str, pair: tuple[str, str], *, fixed: bool, periods: tuple[int, ...]) -> None:
    curves = {
        formats.dimension_value(dimension, value): data.retention_curve(
            replace(question, where=(*question.where, (dimension, value))), fixed_cohorts=fixed
        )
        for value in pair
    }
    if all(curve.empty for curve in curves.values()):
        states.empty(t("retention.nobody"), next=t("common.widen"))
        return
    text = in_words(curves, periods=periods)
    if text:
        st.markdown(text)
    drawn = figures.together(curves)
    drawn = replace(drawn, question=replace(drawn.question, where=question.where))  # of both, and not of the first
    chart.show(charts.RETENTION_CURVES, drawn, key="compared", title=t("retention.compare.curves"))


def in_words(curves: dict[str, Answer], *, periods: tuple[int, ...]) -> str:
    """The two shares in the last of these periods that both have with 30 customers or more, their difference and its interval."""
    (first, one), (second, other) = (
        (name, {row["period"]: row for row in curve.rows() if (row["n"] or 0) >= ENOUGH}) for name, curve in curves.items()
    )
    both = [period for period in periods if period in one and period in other]
    if not both:
        return t("retention.compare.thin")
    left, right = one[both[-1]], other[both[-1]]
    points, low, high = difference_of_shares((left["retained"], right["retained"]), (left["n"], right["n"]))
    verdict = "open" if low <= 0 <= high else "differ"
    return t(
        f"retention.compare.{verdict}",
        period=both[-1],
        first=_share(first, left),
        second=_share(second, right),
        points=formats.signed_points(points),
        low=formats.signed_points(low),
        high=formats.signed_points(high),
    )


def _share(name: str, row: dict[str, Any]) -> str:
    sure = t("common.between", interval=formats.interval(row["low"], row["high"]), n=formats.number(row["n"]))
    return t("retention.compare.share", name=formats.in_words(name), share=formats.share(row["value"]), sure=sure)
