"""What changed since the period before: the change of the active customers, split so that the parts add up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import streamlit as st

from pipeline.marts.changes import PARTS
from pipeline.statistics import ratio_of_counts
from streamlit_app import charts, data, figures, formats
from streamlit_app.components import behind_figure, chart, filters, states, table, thin_days
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

NAMES = "overview.changes.columns"
# Whole weeks, so that the same days of the week stand on either side; the last one is of two days of one season.
SPANS = ("7", "28", "91", "364")
USUAL_SPAN, SPLIT = "28", "changed_by"
ALWAYS = ("7", USUAL_SPAN)  # the others where the bank is as old
MOST = 8
SPLIT_WIDTH = 280  # pixels


def answer(question: Question) -> None:
    """The page's answer in one sentence: what changed in 28 days, where most of it, and whether chance could make it."""
    with states.guarded():
        days, by = int(USUAL_SPAN), _usual_split()
        total, split = _changes(_undated(question), days=days, by=by)
        for whole in total.rows():  # none where nobody was ever active
            told = in_words(whole, _groups(split, by), days=days, until=formats.day(total.as_of))
            st.markdown(" ".join(filter(None, [told, thin_days.in_short() or _chance(whole)])))


def _chance(whole: dict[str, Any]) -> str:
    """Whether as many came as left, but for chance; nothing where a part is withheld or nobody moved."""
    came, left = (whole["new_customers"], whole["resurrected_customers"]), whole["churned_customers"]
    if None in (*came, left) or not whole["value"]:
        return ""
    _, low, high = ratio_of_counts(round(sum(came)), round(left))
    return t(f"overview.changes.{'could' if low <= 1 <= high else 'hardly'}")


def show(question: Question) -> None:
    """The section, for the question's window and segment; its sentence only where it is not the page's answer again."""
    st.subheader(t("overview.changes.title"))
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width="content"):
            span = filters.choice("span", _spans(), label=t("overview.changes.span"), name=_days, default=USUAL_SPAN)
        with st.container(width=SPLIT_WIDTH):
            usual = _usual_split()
            by = filters.select(SPLIT, filters.splits(SPLIT), label=t("common.split"), name=_dimension, default=usual)
    filters.tell_unheeded()
    with states.guarded():
        _draw(_undated(question), days=int(span), by=by)


def _usual_split() -> str:
    return filters.dimensions()[0]


def _undated(question: Question) -> Question:
    return replace(question, start=None, end=None, grain=None)


def _spans() -> tuple[str, ...]:
    first, last = data.bounds()
    known = (last - first).days
    return tuple(span for span in SPANS if span in ALWAYS or int(span) <= known)


def _days(span: str) -> str:
    return formats.days(int(span))


def _dimension(name: str) -> str:
    return t(f"common.dimensions.{name}")


def _changes(question: Question, *, days: int, by: str) -> tuple[Answer, Answer]:
    """What changed of everybody, and of each group."""
    return data.what_changed(question, days=days), data.what_changed(replace(question, by=by), days=days)


def _groups(split: Answer, by: str, *, most: int = MOST) -> pa.Table:
    return figures.changes(split, lambda value: formats.dimension_value(by, value), rest=t("common.rest"), most=most)


def _draw(question: Question, *, days: int, by: str) -> None:
    total, split = _changes(question, days=days, by=by)
    if total.empty:
        states.empty(t("overview.nobody_of_segment"), next=t("common.widen_segment"))
        return
    split = _dated(split, days=days)
    (whole,), rows = total.rows(), _groups(split, by)
    if (str(days), by) != (USUAL_SPAN, _usual_split()):
        st.markdown(in_words(whole, rows, days=days, until=formats.day(total.as_of)))
    parts = _linked(replace(split, table=figures.change_parts(rows)), by=by)
    shown = t("common.shown_of", shown=MOST - 1, total=split.table.num_rows) if split.table.num_rows > MOST else ""
    subtitle = f"{t('overview.changes.explained')} {shown}".strip()
    title = t("overview.changes.by", dimension=_dimension(by))

    def of_every_group() -> Answer:
        return replace(split, table=figures.change_parts(_groups(split, by, most=split.table.num_rows)))

    chart.show(charts.WHAT_CHANGED, parts, key="what_changed", title=title, subtitle=subtitle, filed=of_every_group)
    table.show([_row(row) for row in rows.to_pylist()] + [_row({"series": t("overview.changes.total"), **whole})], names=NAMES)


def _dated(answer: Answer, *, days: int) -> Answer:
    """The answer with the days that it is about as its range, which captions and files then say."""
    start = answer.as_of - timedelta(days=days - 1)
    return replace(answer, question=replace(answer.question, start=start, end=answer.as_of, grain=None))


def _linked(parts: Answer, *, by: str) -> Answer:
    """The parts with the lists of those who came, came back or left within the days; the rest of the groups has none."""
    codes = {formats.dimension_value(by, value): value for value in filters.values(by)}
    span = {behind_figure.ON: str(parts.question.start), behind_figure.UNTIL: str(parts.question.end)}

    def of(row: Mapping[str, Any]) -> Mapping[str, str] | None:
        part, code = behind_figure.of_a_part(row), codes.get(row["series"])
        return None if part is None or code is None else {**span, **part, by: code}

    return behind_figure.linked(parts, of)


def in_words(whole: dict[str, Any], rows: pa.Table, *, days: int, until: str) -> str:
    """The change in one sentence, and the group that weighs most in it."""
    values = {name: formats.number(whole[name]) for name in PARTS}
    told = t("overview.changes.told", days=formats.days(days), until=until, net=formats.signed_number(whole["value"]), **values)
    known = [row for row in rows.to_pylist() if row["value"] and row["series"] != t("common.rest")]
    if not known or rows.num_rows == 1 or not whole["value"]:  # one group alone is everybody again
        return told
    most = max(known, key=lambda row: abs(row["value"]))
    return (
        f"{told} {t('overview.changes.most', group=formats.in_words(most['series']), net=formats.signed_number(most['value']))}"
    )


def _row(row: dict[str, Any]) -> dict[str, str]:
    cells = {"group": formats.in_words(row["series"]), **{name: formats.number(row[name]) for name in PARTS[:-1]}}
    return cells | {"net": formats.signed_number(row["value"]), "now": formats.number(row["now"])}
