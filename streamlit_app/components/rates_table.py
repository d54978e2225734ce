"""The same figures as a table: month by month, with n, interval and what is not final yet."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import streamlit as st

from streamlit_app import formats
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import chart, final_points
from streamlit_app.data import Answer
from streamlit_app.messages import t

HEIGHT = 300
COUNTS = ("churned", "at_start")


def show(answer: Answer, *, key: str, title: str) -> None:
    """Monthly rates by group, the newest month first; rates and counts are numbers, which a click on their column sorts."""
    kept = final_points.kept(answer.table)
    rows = sorted(kept.to_pylist(), key=lambda row: (-row["date"].toordinal(), row["rank"]))
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{title}**")
        st.dataframe(
            [_row(row, answer) for row in rows],
            hide_index=True,
            height=HEIGHT,
            key=key,
            column_config=_columns(),
            placeholder=formats.NOTHING,
        )
        st.caption(chart.footnote(kept, chart.basis_of(answer), hidden=answer.table.num_rows - kept.num_rows))


def _columns() -> dict[str, object]:
    config: dict[str, object] = {
        t(f"churn.columns.{name}"): st.column_config.NumberColumn(format="localized", step=1) for name in COUNTS
    }
    config[t("churn.columns.month")] = st.column_config.DateColumn(format="MM/YYYY")
    config[t("churn.columns.rate")] = st.column_config.NumberColumn(format="percent")
    config[t("churn.columns.interval")] = st.column_config.TextColumn(alignment="right")
    config[t("churn.columns.status")] = st.column_config.TextColumn(width="medium")
    return config


def _row(row: dict[str, Any], answer: Answer) -> dict[str, str | float | date | None]:
    return {
        t("churn.columns.month"): row["date"],
        t("churn.columns.group"): row["series"],
        t("churn.columns.rate"): None if row["value"] is None else round(row["value"], 3),
        t("churn.columns.interval"): formats.NOTHING if row["provisional"] else formats.interval(row["low"], row["high"]),
        t("churn.columns.churned"): row["churned"],
        t("churn.columns.at_start"): row["n"],
        t("churn.columns.status"): _status(row, answer),
    }


def _status(row: dict[str, Any], answer: Answer) -> str:
    if row["value"] is None and row["n"] is not None:
        if answer.question.kind != "effective":
            return t("churn.too_early", window=answer.window)
        return t("churn.not_known_before", day=formats.day(row["date"] + timedelta(days=answer.window - 1)))
    if row["provisional"]:
        return t("churn.final_on", day=formats.day(row["final_on"]))
    if row["n"] is None:
        return t("common.withheld")
    return t("churn.thin") if row["n"] < ENOUGH else t("churn.final")
