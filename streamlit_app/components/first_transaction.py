"""From the opening of an account to its first transaction that counts: how many have made one, by how many days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from streamlit_app import charts, data, figures, formats, segments
from streamlit_app.components import chart, filters, states, table
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

DAYS = (0, 7, 30, 90)
ROWS = 24  # two years of months of opening
SPLIT, NAMES = "first_by", "retention.first.columns"


def show(where: segments.Where) -> None:
    """The section, for a segment: the first days as curves, and the shares by a few of them as a table."""
    st.subheader(t("retention.first.title"))
    st.caption(t("retention.first.explained"))
    options = (filters.EVERY, *filters.SEGMENTS)
    split, _ = st.columns([2, 5])
    with split:
        by = filters.select(SPLIT, options, label=t("common.split"), name=lambda name: t(f"common.dimensions.{name}"))
    filters.tell_unheeded()
    with states.guarded():
        question = Question("time_to_first_transaction", where=where, by=None if by == filters.EVERY else by)
        _draw(data.answer(question))


def _draw(answer: Answer) -> None:
    if answer.empty:
        states.empty(t("retention.nobody"), next=t("common.widen"))
        return
    at_opening = replace(answer, table=answer.table.filter(pc.equal(answer.table["tenure_days"], 0)))
    every = figures.groups_of(at_opening) if answer.question.by else []
    few = figures.drawn_groups(at_opening) if answer.question.by else []
    drawn = _by_group(answer, few)
    first = replace(drawn, table=drawn.table.filter(pc.less_equal(drawn.table["tenure_days"], DAYS[-1])))
    chart.show(
        charts.FIRST_TRANSACTION,
        first,
        key="first_transaction",
        title=t("retention.first.chart", days=formats.number(DAYS[-1])),
        subtitle=f"{t('retention.first.chart_explained')} {_shown_of(few, every)}".strip(),
        filed=lambda: _by_group(answer, every),
    )
    more = figures.drawn_groups(at_opening, most=ROWS) if answer.question.by else []
    listed = _by_group(answer, more).table
    names = dict.fromkeys(listed["series"].to_pylist())
    table.show((row(name, listed.filter(pc.equal(listed["series"], name))) for name in names), names=NAMES)
    if not_all := _shown_of(more, every):
        st.caption(not_all)


def _shown_of(groups: Sequence[str], every: Sequence[str]) -> str:
    """A sentence where not every group is shown."""
    return t("common.shown_of", shown=len(groups), total=len(every)) if len(every) > len(groups) else ""


def _by_group(answer: Answer, groups: Sequence[str]) -> Answer:
    by = answer.question.by
    if by is None:
        return figures.as_one_group(answer, t("common.dimensions.all"))
    return figures.by_group(answer, lambda value: formats.dimension_value(by, value), groups=groups)


def row(name: str, curve: pa.Table) -> dict[str, str]:
    """Of one curve: the group, how many opened an account, and which share has made a first transaction by each of the days."""
    (opened,) = figures.at_risk(curve, [0]).values()
    by_day = figures.by_days(curve, DAYS)
    shares = {f"by_{day}": _share(point) for day, point in by_day.items()}
    return {"group": formats.in_words(name), "opened": formats.number(opened), **shares}


def _share(point: figures.Point | None) -> str:
    """The share with its interval; a dash where nobody is followed that long, as far as the curve says."""
    if point is None:
        return formats.NOTHING
    if point.value is None:
        return t("common.withheld")
    interval = formats.interval(point.low, point.high)
    return formats.share(point.value) + ("" if interval == formats.NOTHING else f" ({interval})")
