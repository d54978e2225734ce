"""What changed since the period before: the change of the active customers, split so that the parts add up to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import streamlit as st

from pipeline.marts.changes import PARTS
from streamlit_app import charts, data, figures, formats
from streamlit_app.components import chart, filters, states, table
from streamlit_app.data import Question
from streamlit_app.messages import t

NAMES = "overview.changes.columns"
SPANS = ("7", "28", "91")  # whole weeks, so that the same days of the week stand on either side
USUAL_SPAN = "28"
MOST = 8


def show(question: Question) -> None:
    """The section, for the question's window and segment."""
    st.subheader(t("overview.changes.title"))
    since, split, _ = st.columns([2, 2, 3], gap="medium", vertical_alignment="bottom")
    with since:
        span = filters.choice("span", SPANS, label=t("overview.changes.span"), name=_days, default=USUAL_SPAN)
    with split:
        by = filters.select("changed_by", filters.SEGMENTS, label=t("common.split"), name=_dimension)
    filters.tell_unheeded()
    with states.guarded():
        _draw(replace(question, start=None, end=None, grain=None), days=int(span), by=by)


def _days(span: str) -> str:
    return formats.days(int(span))


def _dimension(name: str) -> str:
    return t(f"common.dimensions.{name}")


def _draw(question: Question, *, days: int, by: str) -> None:
    total = data.what_changed(question, days=days)
    split = data.what_changed(replace(question, by=by), days=days)
    if total.empty:
        states.empty(t("overview.nobody"), next=t("common.widen"))
        return
    (whole,) = total.rows()
    rows = figures.changes(split, lambda value: formats.dimension_value(by, value), rest=t("overview.changes.rest"), most=MOST)
    st.markdown(in_words(whole, rows, days=days, until=formats.day(total.as_of)))
    parts = replace(split, table=figures.change_parts(rows))
    shown = t("common.shown_of", shown=MOST - 1, total=split.table.num_rows) if split.table.num_rows > MOST else ""
    subtitle = f"{t('overview.changes.explained')} {shown}".strip()
    title = t("overview.changes.by", dimension=_dimension(by))
    chart.show(charts.WHAT_CHANGED, parts, key="what_changed", title=title, subtitle=subtitle)
    table.show([_row(row) for row in rows.to_pylist()] + [_row({"series": t("overview.changes.total"), **whole})], names=NAMES)


def in_words(whole: dict[str, Any], rows: pa.Table, *, days: int, until: str) -> str:
    """The change in one sentence, and the group that weighs most in it."""
    values = {name: formats.number(whole[name]) for name in PARTS}
    told = t("overview.changes.told", days=formats.days(days), until=until, net=formats.signed_number(whole["value"]), **values)
    known = [row for row in rows.to_pylist() if row["value"] and row["series"] != t("overview.changes.rest")]
    if not known or not whole["value"]:
        return told
    most = max(known, key=lambda row: abs(row["value"]))
    return (
        f"{told} {t('overview.changes.most', group=formats.in_words(most['series']), net=formats.signed_number(most['value']))}"
    )


def _row(row: dict[str, Any]) -> dict[str, str]:
    cells = {"group": row["series"], **{name: formats.number(row[name]) for name in PARTS[:-1]}}
    return cells | {"net": formats.signed_number(row["value"]), "now": formats.number(row["now"])}
