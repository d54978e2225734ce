"""One customer's life: active and silent stretches along the days."""

from __future__ import annotations

import json

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate


def _build(text: Translate) -> alt.Chart:
    names = {"true": text("charts.active"), "false": text("charts.silent")}
    base = marks.drawn().transform_calculate(
        named=f"{json.dumps(names)}[datum.is_active]",
        until=f"toDate(+toDate(datum.ending_date) + {marks.DAY_MS})",
        state=marks.state(text, provisional="is_provisional"),
    )
    bars: alt.Chart = base.mark_bar(height=22)
    return bars.encode(
        x=alt.X("starting_date:T", title=None, axis=marks.time_axis()),
        x2="until:T",
        color=marks.coloured("named", {names["true"]: "primary", names["false"]: "gray"}, {v: v for v in names.values()}),
        opacity=alt.condition("datum.is_provisional", alt.value(marks.FADED), alt.value(1)),
        tooltip=[
            alt.Tooltip("named:N", title=text("charts.stretch")),
            alt.Tooltip("starting_date:T", title=text("common.from"), format="%-d %b %Y"),
            alt.Tooltip("ending_date:T", title=text("common.to"), format="%-d %b %Y"),
            alt.Tooltip("state:N", title=text("charts.state")),
        ],
    ).properties(height=110)


STRETCHES = Chart("stretches", ("starting_date", "ending_date", "is_active", "is_provisional", "final_on"), _build)
