"""The same figures as a table: month by month, with n, interval and what is not final yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import streamlit as st

from streamlit_app import figures, formats
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import chart, final_points, sortable
from streamlit_app.data import Answer
from streamlit_app.messages import t

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

HEIGHT = 300
COLUMNS = {
    "month": pa.date32(),
    "group": pa.string(),
    "rate": pa.float64(),
    "interval": pa.string(),
    "churned": pa.int64(),
    "at_start": pa.int64(),
    "status": pa.string(),
}
COUNTS = ("churned", "at_start")


def show(answer: Answer, *, key: str, title: str) -> None:
    """Monthly rates by group, the newest month first; rates and counts are numbers, which a click on their column sorts."""
    kept = final_points.kept(answer.table)
    rows = sorted(kept.to_pylist(), key=lambda row: (-row["date"].toordinal(), row["rank"]))
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{title}**")
        st.dataframe(
            _table([_row(row, answer) for row in rows]),
            hide_index=True,
            height=HEIGHT,
            key=key,
            column_config=_columns([row["series"] for row in rows]),
            placeholder=formats.NOTHING,
        )
        st.caption(chart.footnote(kept, chart.basis_of(answer), hidden=answer.table.num_rows - kept.num_rows))


def _table(rows: list[dict[str, Any]]) -> Any:
    table = pa.table({_name(name): pa.array([row[name] for row in rows], type) for name, type in COLUMNS.items()})
    numbers = dict.fromkeys(map(_name, COUNTS), sortable.count) | {_name("rate"): sortable.tenth_of_a_percent}
    return sortable.rows(table, numbers)


def _name(column: str) -> str:
    return t(f"churn.columns.{column}")


def _columns(groups: Sequence[str]) -> dict[str, ColumnConfig]:
    return {_name(name): sortable.counts() for name in COUNTS} | {
        _name("group"): sortable.identifiers(_name("group"), groups),
        _name("month"): st.column_config.DateColumn(format="MM/YYYY"),
        _name("rate"): sortable.shares(),
        _name("interval"): st.column_config.TextColumn(alignment="right"),
        _name("status"): st.column_config.TextColumn(width="medium"),
    }


def _row(row: dict[str, Any], answer: Answer) -> dict[str, Any]:
    return {
        "month": row["date"],
        "group": row["series"],
        "rate": None if row["value"] is None else round(row["value"], 3),
        "interval": formats.NOTHING if row["provisional"] else formats.interval(row["low"], row["high"]),
        "churned": row["churned"],
        "at_start": row["n"],
        "status": _status(row, answer),
    }


def _status(row: dict[str, Any], answer: Answer) -> str:
    if row["value"] is None and row["n"] is not None:
        if answer.question.kind != "effective":
            return t("churn.too_early", window=formats.days(answer.window))
        return t("churn.not_known_before", day=formats.day(figures.first_known(row["date"], answer.window)))
    if row["provisional"]:
        return t("churn.final_on", day=formats.day(row["final_on"]))
    if row["n"] is None:
        return t("common.withheld")
    return t("churn.thin") if row["n"] < ENOUGH else t("churn.final")
