"""Whether the list of early warnings helps: those who were on it, held out and not, and how many of them fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import streamlit as st

from pipeline.statistics import difference_of_shares, wilson
from streamlit_app import charts, data, formats
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import chart
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

GROUPS = ("held_out", "to_be_called")


def show(window: int) -> None:
    """The section; nothing of a bank that holds nobody out, or in which nobody was on the list on a day that can be judged."""
    answer = data.answer(Question("silence_calibration", kind="hold_out"))
    rows = answer.rows()
    if {row["listed"] for row in rows} != set(GROUPS):
        return
    st.markdown(f"**{t('churn.hold_out.title')}**")
    st.caption(t("churn.hold_out.explained", window=formats.days(window)))
    st.markdown(in_words(rows, window))
    title, subtitle = t("churn.hold_out.chart"), t("churn.hold_out.chart_explained")
    chart.show(charts.SHARE_BY_SERIES, _by_series(answer), key="hold_out", title=title, subtitle=subtitle)


def in_words(rows: Sequence[dict[str, Any]], window: int) -> str:
    """Both shares over the judged days that do not overlap, their difference with its interval, and what it says."""
    days = apart([row["date"] for row in rows], window)
    counted = {name: [row for row in rows if row["listed"] == name and row["date"] in days] for name in GROUPS}
    n = [sum(row["n"] for row in counted[name]) for name in GROUPS]
    silent = [sum(row["silent"] for row in counted[name]) for name in GROUPS]
    points, low, high = difference_of_shares((silent[1], silent[0]), (n[1], n[0]))
    verdict = "thin" if min(n) < ENOUGH else "fewer" if high < 0 else "more" if low > 0 else "open"
    told = [
        t(
            "churn.hold_out.shares",
            days=formats.days(len(days)),
            held_out=_share(silent[0], n[0]),
            others=_share(silent[1], n[1]),
        )
    ]
    if min(n):
        ends = {name: formats.signed_points(end) for name, end in (("points", points), ("low", low), ("high", high))}
        told.append(t("churn.tiers.difference", **ends))
    return " ".join([*told, t(f"churn.hold_out.{verdict}")])


def apart(days: Sequence[date], window: int) -> set[date]:
    """The last of these days, the latest that lies `window` days before it, and so on: no silence is counted twice."""
    kept: list[date] = []
    for day in sorted(set(days), reverse=True):
        if not kept or day <= kept[-1] - timedelta(days=window):
            kept.append(day)
    return set(kept)


def _share(silent: int, n: int) -> str:
    if not n:
        return t("churn.hold_out.nobody")
    (low,), (high,) = wilson([silent], [n])
    return t("churn.tiers.rate", share=formats.share(silent / n), interval=formats.interval(low, high), n=formats.number(n))


def _by_series(answer: Answer) -> Answer:
    names = {name: t(f"churn.hold_out.series.{name}") for name in GROUPS}
    series = pa.array([names[listed] for listed in answer.table["listed"].to_pylist()], pa.string())
    return replace(answer, table=answer.table.drop_columns(["listed"]).append_column("series", series))
