"""Growth accounting: who came above the line, who left below it, and the net as a line."""

from __future__ import annotations

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate

COLOURS = {"new": "primary", "resurrected": "blue", "churned": "orange"}
NET = "net"
HEIGHT = 272  # as tall as a chart without a legend
BAR_SHARE = 0.82  # of the period's width


def _build(text: Translate) -> alt.LayerChart:
    names = {part: text(f"charts.parts.{part}") for part in (*COLOURS, NET)}
    rows = marks.drawn()
    tips = [
        marks.day_tip(text),
        alt.Tooltip("named:N", title=text("charts.part")),
        alt.Tooltip("customers:Q", title=text("charts.customers"), format=",.0f"),
        alt.Tooltip("state:N", title=text("charts.state")),
    ]
    axis = alt.Axis(
        format=",~r", tickCount=5, tickMinStep=1, gridWidth=alt.condition("datum.value === 0", alt.value(2), alt.value(1))
    )
    bars = (
        rows.transform_filter(f"datum.part != '{NET}'")
        .transform_stack(
            stack="customers", groupby=["date"], sort=[alt.SortField("part", order="descending")], as_=["foot", "top"]
        )
        .transform_calculate(**marks.list_of("date"))
        .mark_bar(cursor=marks.CURSOR)
        .encode(
            href=f"{marks.ADDRESS}:N",
            x=alt.X("begin:T", title=None, axis=marks.time_axis()),
            x2="until:T",
            y=alt.Y("foot:Q", title=None, axis=axis),
            y2="top:Q",
            color=marks.coloured("part", COLOURS, names),
            opacity=alt.condition("datum.provisional", alt.value(marks.FADED), alt.value(1)),
            tooltip=tips,
        )
    )
    net = rows.transform_filter(f"datum.part == '{NET}'").encode(x="middle:T", y=alt.Y("customers:Q"), tooltip=tips)
    layers = marks.layered(
        bars,
        net.mark_line(strokeWidth=3.5, color=alt.expr("background")),  # so that the line stands off the bars
        net.mark_line(strokeWidth=1.5).encode(color=alt.value("gray")),
        net.mark_point(size=80, filled=True, opacity=0).encode(color=alt.value("gray")),
    )
    return (
        layers.transform_window(following="lead(date)", preceding="lag(date)", groupby=["part"], sort=[alt.SortField("date")])
        .transform_calculate(
            begin="toDate(datum.date)",
            span="(datum.following ? datum.following - datum.date : datum.preceding ? datum.date - datum.preceding : "
            f"{marks.DAY_MS})",
        )
        .transform_calculate(
            until=f"toDate(+datum.begin + datum.span * {BAR_SHARE})",
            middle=f"toDate(+datum.begin + datum.span * {BAR_SHARE / 2})",
            named=marks.name_of("part", names),
            state=marks.state(text),
            when=marks.when(text),
        )
        .properties(height=HEIGHT)
    )


GROWTH = Chart("growth", ("date", "part", "customers", "final_on", "provisional", marks.GRAIN, marks.LIST), _build)
