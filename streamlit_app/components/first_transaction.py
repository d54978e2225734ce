"""From the opening of an account to its first transaction that counts: how many have made one, by how many days."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from pipeline.errors import NeopulseError
from pipeline.marts.question import Where
from streamlit_app import charts, data, figures, formats
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import chart, filters, states, table
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

DAYS = (0, 7, 30, 90)
ROWS = 24  # two years of months of opening
SPLIT, NAMES = "first_by", "retention.first.columns"


def show(where: Where) -> None:
    """The section, for a segment: the first days as curves, and the shares by a few of them as a table."""
    with states.guarded():
        st.subheader(t("retention.first.title"))
        st.caption(t("retention.first.explained"))
        split, _ = st.columns([2, 5])
        with split:
            options = (filters.EVERY, *filters.splits(SPLIT))
            by = filters.select(SPLIT, options, label=t("common.split"), name=filters.dimension_name)
        filters.tell_unheeded()
        _draw(data.answer(replace(_everybody(where), by=None if by == filters.EVERY else by)))


def is_about_nobody(where: Where) -> bool:
    """Whether nobody of the segment has opened an account; False where that cannot be read."""
    with suppress(NeopulseError):
        return data.answer(_everybody(where)).empty
    return False


def _everybody(where: Where) -> Question:
    return Question("time_to_first_transaction", where=where)


def _draw(answer: Answer) -> None:
    if answer.empty:
        states.empty(t("retention.first.no_accounts"))
        return
    every = _groups(answer)
    drawn, listed = _chosen(answer, every, figures.MOST_SERIES), _chosen(answer, every, ROWS)
    subtitle = f"{t('retention.first.chart_explained')} {_shown_of(answer, drawn, every)}"
    chart.show(
        charts.FIRST_TRANSACTION,
        _first_days(answer, drawn),
        key="first_transaction",
        title=t("retention.first.chart", days=formats.number(DAYS[-1])),
        subtitle=subtitle.strip(),
        filed=lambda: _first_days(answer, every),
    )
    curves = figures.curves(_by_group(answer, listed).table)
    table.show((row(name, curve) for name, curve in curves), names=NAMES)
    if not_all := _shown_of(answer, listed, every):
        st.caption(not_all)


def _groups(answer: Answer) -> list[str]:
    """The groups of a split answer: months of opening in their order, others by how many opened an account, the most first."""
    if answer.question.by is None:
        return []
    at_opening = answer.table.filter(pc.equal(answer.table["tenure_days"], 0))
    groups = figures.groups_of(replace(answer, table=at_opening))
    return sorted(groups) if answer.question.by == figures.COHORT else groups


def _chosen(answer: Answer, every: Sequence[str], most: int) -> list[str]:
    """Of the groups as many as there is room for: the newest months of opening, else the largest."""
    return list(every[-most:] if answer.question.by == figures.COHORT else every[:most])


def _shown_of(answer: Answer, groups: Sequence[str], every: Sequence[str]) -> str:
    """A sentence where not every group is shown."""
    if len(groups) == len(every):
        return ""
    which = "retention.first.newest_of" if answer.question.by == figures.COHORT else "common.shown_of"
    return t(which, shown=len(groups), total=len(every))


def _first_days(answer: Answer, groups: Sequence[str]) -> Answer:
    drawn = _by_group(answer, groups)
    return replace(drawn, table=drawn.table.filter(pc.less_equal(drawn.table["tenure_days"], DAYS[-1])))


def _by_group(answer: Answer, groups: Sequence[str]) -> Answer:
    by = answer.question.by
    if by is None:
        return figures.as_one_group(answer, t("common.dimensions.all"))
    return figures.by_group(answer, lambda value: formats.dimension_value(by, value), groups=groups)


def row(name: str, curve: pa.Table) -> dict[str, str]:
    """Of one curve: the group, how many opened an account, and which share has made a first transaction by each of the days.

    All of it is grey where they are fewer than 30.
    """
    (opened,) = figures.at_risk(curve, [0]).values()
    cells = {
        "group": formats.in_words(name),
        "opened": t("retention.first.withheld") if opened is None else formats.number(opened),
    }
    cells |= {f"by_{day}": _share(point) for day, point in figures.by_days(curve, DAYS).items()}
    is_thin = opened is not None and opened < ENOUGH
    return {column: f":gray[{cell}]" if is_thin else cell for column, cell in cells.items()}


def _share(point: figures.Point | None) -> str:
    """The share with its interval; a dash where nobody is followed that long."""
    if point is None:
        return formats.NOTHING
    if point.value is None:
        return t("retention.first.withheld")
    interval = formats.interval(point.low, point.high)
    return formats.share(point.value) + ("" if interval == formats.NOTHING else f" ({interval})")
