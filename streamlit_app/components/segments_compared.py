"""A against B: the retention of two segments side by side, and whether chance could make the difference.

A is any set of filters within the page's own. B is everybody else, everybody, or another set, of whom those who are in A count
for A alone: the interval of a difference supposes different customers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from pipeline.marts.question import Where, meeting
from pipeline.statistics import difference_of_shares
from streamlit_app import charts, data, figures, formats, messages, segments
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import chart, filters, states, url
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

OTHERS, EVERYBODY, SET = "others", "everybody", "set"
AGAINST = "against"
ONCE = ("between", "a", "b")  # what an address said when one value of a dimension was compared with another


@dataclass(frozen=True)
class Side:
    """One of the two segments: whom it is of, less those of `without`, and its name as a chart and a sentence say it."""

    where: Where
    drawn: str
    told: str
    without: Where = ()

    def curve(self, question: Question, other: Side | None = None, *, fixed: bool = False) -> Answer:
        """Its retention, all cohorts together; beside the other one of those that both have."""
        asked = replace(question, where=self.where)
        beside = None if other is None else (other.where, other.without)
        return data.retention_curve(asked, fixed_cohorts=fixed, without=self.without, beside=beside)


def show(question: Question, *, fixed: bool, periods: tuple[int, ...]) -> None:
    """Choose both, then both curves; nothing but the choice while nobody is in A."""
    st.subheader(t("retention.compare.title"))
    _as_said_today()
    of_a, of_b = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    with of_a, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        nobody = t("retention.compare.nobody")
        chosen = filters.segment_menu(t("retention.compare.a"), nothing=nobody, side="a", within=question.where)
    _tell_no_dimension(chosen, shown=nobody)
    with of_b:
        against = filters.named_choice(AGAINST, (OTHERS, EVERYBODY, SET))
        also = _set_of_b(question.where) if against == SET else _no_set_of_b()
    filters.tell_unheeded()
    if not chosen:
        st.caption(t("retention.compare.choose"))
        return
    sides = _sides(question.where, chosen, also, against)
    if against == EVERYBODY:
        st.caption(t("retention.compare.part"))
    elif also and meeting(chosen, also) is not None:
        st.caption(t("retention.compare.left_out"))
    with states.guarded():
        _draw(question, sides, fixed=fixed, periods=periods, judged=against != EVERYBODY)


def _set_of_b(within: Where) -> Where:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        nothing = t(f"common.choices.{AGAINST}.{OTHERS}")
        return filters.segment_menu(t("retention.compare.b"), nothing=nothing, side="b", within=within)


def _no_set_of_b() -> Where:
    url.replace([key for key in url.SEVERAL if key.startswith("b_")], {})
    return ()


def _sides(within: Where, chosen: Where, also: Where, against: str) -> tuple[Side, Side]:
    one = meeting(within, chosen) or ()
    first = Side(one, segments.as_drawn(chosen), segments.values_alone(chosen))
    if also:
        names = segments.as_drawn(also), segments.values_alone(also)
        if meeting(chosen, also) is not None:
            names = t("retention.compare.less_a", name=names[0]), t("retention.compare.less_a", name=names[1])
        return first, Side(meeting(within, also) or (), *names, without=one)
    name = t(f"common.choices.{AGAINST}.{EVERYBODY if against == EVERYBODY else OTHERS}")
    return first, Side(within, name, name, without=() if against == EVERYBODY else one)


def _as_said_today() -> None:
    """An older address compares one value of a dimension with another, which are the first two where it names none."""
    dimension = st.query_params.get(ONCE[0])
    if dimension not in filters.SEGMENTS:
        return
    values = [*filters.values(dimension)[:2], "", ""]
    said = {side: st.query_params.get(side, values[place]) for place, side in enumerate(url.SIDES)}
    url.replace(ONCE, {AGAINST: SET, **{f"{side}_{dimension}": value for side, value in said.items() if value}})


def _tell_no_dimension(chosen: Where, *, shown: str) -> None:
    """An older address that compares by what is no dimension (any more) is told so until somebody is in A."""
    asked = st.query_params.get(ONCE[0])
    if asked is None or asked in ("", filters.EVERY, *filters.SEGMENTS):
        return
    if chosen:
        url.replace(ONCE, {})
    else:
        told = {"filter": t("retention.compare.title"), "asked": filters.as_asked(asked), "shown": shown}
        states.unheeded([t("common.unheeded", **told)])


def _draw(question: Question, sides: tuple[Side, Side], *, fixed: bool, periods: tuple[int, ...], judged: bool) -> None:
    one, other = sides
    first, second = one.curve(question, other, fixed=fixed), other.curve(question, one, fixed=fixed)
    if first.empty or second.empty:
        why = "nobody_in_a" if one.curve(question).empty else "nobody_in_b" if other.curve(question).empty else "no_common"
        states.empty(t(f"retention.compare.{why}"), next=t("common.widen_segment"))
        return
    pair = list(zip(map(str.upper, url.SIDES), sides, (first, second), strict=True))
    told = {f"{letter} ({side.told})": curve for letter, side, curve in pair}
    st.markdown(in_words(told, grain=str(question.grain), periods=periods, judged=judged))
    drawn = figures.together({messages.named(letter, side.drawn): curve for letter, side, curve in pair})
    drawn = replace(drawn, question=replace(drawn.question, where=question.where))  # of both, and not of the first
    both = " — ".join(messages.named(letter, side.told) for letter, side, _ in pair)  # whole, also in a picture: a legend cuts it
    curves = charts.RETENTION_CURVES_BY_WEEK if question.grain == "week" else charts.RETENTION_CURVES
    st.caption(t("retention.compare.common"))
    chart.show(curves, drawn, key="compared", title=t("retention.compare.curves"), subtitle=both)


def in_words(curves: Mapping[str, Answer], *, grain: str, periods: tuple[int, ...], judged: bool = True) -> str:
    """The two shares in the last of these weeks or months that both have with 30 customers or more, and their difference.

    With its interval where it is `judged`, which supposes different customers.
    """
    (first, one), (second, other) = (
        (name, {row["period"]: row for row in curve.rows() if (row["n"] or 0) >= ENOUGH}) for name, curve in curves.items()
    )
    both = [period for period in periods if period in one and period in other]
    if not both:
        return t("retention.compare.thin")
    left, right = one[both[-1]], other[both[-1]]
    points, low, high = difference_of_shares((left["retained"], right["retained"]), (left["n"], right["n"]))
    verdict = "overlap" if not judged else "open" if low <= 0 <= high else "differ"
    return t(
        f"retention.compare.{verdict}",
        after=formats.length(both[-1], grain),
        first=_share(first, left),
        second=_share(second, right),
        points=formats.signed_points(points),
        low=formats.signed_points(low),
        high=formats.signed_points(high),
    )


def _share(name: str, row: dict[str, Any]) -> str:
    sure = t("common.between", interval=formats.interval(row["low"], row["high"]), n=formats.number(row["n"]))
    return t("retention.compare.share", name=name, share=formats.share(row["value"]), sure=sure)
