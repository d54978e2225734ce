"""What to look at next: one observation a page, in words, and the way there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from pipeline.marts import ConfinedError
from streamlit_app import data, figures, formats
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import links
from streamlit_app.data import Question
from streamlit_app.messages import t

MONTHS_LATER = 3


def show(question: Question) -> None:
    """The observations side by side, of the question's window and segment."""
    st.subheader(t("overview.next"))
    observations = {
        "churn": _churn(question),
        "retention": _retention(question),
        "activity": _activity(question),
        "payments": _payments(question),
    }
    grid = st.grid(4, min_column_width=190, gap="small", border=True)
    for page, sentence in observations.items():
        if sentence:
            with grid.cell():
                st.markdown(sentence)
                links.to(page, t(f"overview.to_{page}"))


def _churn(question: Question) -> str:
    answer = data.answer(replace(question, metric="monthly_churn_rate", by="plan_tier"))
    last = _last_final(figures.known(answer, window=answer.window, first_day=data.bounds()[0]).table)
    rates = {row["plan_tier"]: row for row in last}
    if not {"standard", "premium"} <= set(rates) or any(row["value"] is None for row in last):
        return ""
    return t(
        "overview.see_churn",
        month=formats.month(last[0]["date"]),
        standard=formats.share(rates["standard"]["value"]),
        premium=formats.share(rates["premium"]["value"]),
        standard_sure=sure(rates["standard"]),
        premium_sure=sure(rates["premium"]),
    )


def _retention(question: Question) -> str:
    cells = figures.final(data.answer(Question("retention_cohort", where=question.where)).table)
    cells = cells.filter(pc.and_(pc.equal(cells["period"], MONTHS_LATER), pc.greater_equal(cells["n"], ENOUGH)))
    if not cells.num_rows:
        return ""
    newest = max(cells.to_pylist(), key=lambda row: row["cohort"])
    return t(
        "overview.see_retention",
        cohort=formats.month(newest["cohort"]),
        share=formats.share(newest["value"], 0),
        months=MONTHS_LATER,
        n=formats.number(newest["n"]),
        interval=formats.interval(newest["low"], newest["high"], 0),
    )


def _activity(question: Question) -> str:
    read = data.headline(window=question.window, where=question.where)
    figures_read = {figure.metric.name: figure for figure in read}
    stickiness = figures_read["stickiness"]
    if stickiness.value is None:
        return ""
    return t("overview.see_activity", days=formats.decimal(stickiness.value * 28, 1), n=formats.number(stickiness.n))


def _payments(question: Question) -> str:
    if question.where:  # presence is known of all customers together
        return ""
    try:
        last = _last_final(data.answer(Question("card_not_present_share")).table)
    except ConfinedError:  # not known by country
        return ""
    if not last or last[0]["value"] is None:
        return ""
    return t(
        "overview.see_payments",
        month=formats.month(last[0]["date"]),
        share=formats.share(last[0]["value"]),
        unknown=formats.number(last[0]["unknown"]),
        sure=sure(last[0]),
    )


def sure(row: Mapping[str, Any]) -> str:
    """How sure a share is: its interval and n, and that n is small where it is."""
    told = t("common.between", interval=formats.interval(row["low"], row["high"]), n=formats.number(row["n"]))
    return f"{told}, {t('churn.thin')}" if row["n"] is not None and row["n"] < ENOUGH else told


def _last_final(table: pa.Table) -> list[dict[str, Any]]:
    kept = figures.final(table)
    if not kept.num_rows:
        return []
    return [row for row in kept.to_pylist() if row["date"] == pc.max(kept["date"]).as_py()]
