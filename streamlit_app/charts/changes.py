"""What changed by group: who came to the right, who left to the left, and the net as a point."""

from __future__ import annotations

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.growth import COLOURS, NET
from streamlit_app.charts.marks import Translate

CHANGE_COLUMNS = ("series", "rank", "part", "customers", marks.LIST)


def _build(text: Translate) -> alt.LayerChart:
    names = {part: text(f"charts.parts.{part}") for part in (*COLOURS, NET)}
    base = marks.drawn().transform_calculate(named=marks.name_of("part", names))
    tips = [
        alt.Tooltip("series:N", title=text("charts.series")),
        alt.Tooltip("named:N", title=text("charts.part")),
        alt.Tooltip("customers:Q", title=text("charts.customers"), format="+,.0f"),
    ]
    rows = alt.Y(
        "series:N",
        title=None,
        sort=None,  # as the table has them: the largest first
        axis=alt.Axis(labelLimit=150, domain=False, ticks=False),
    )
    axis = alt.Axis(
        format=",~r", tickCount=6, tickMinStep=1, gridWidth=alt.condition("datum.value === 0", alt.value(2), alt.value(1))
    )
    bars = (
        base.transform_filter(f"datum.part != '{NET}' && isValid(datum.customers)")
        .transform_calculate(address=f"datum.{marks.LIST} ? '{marks.LISTS_PAGE}?' + datum.{marks.LIST} : null")
        .mark_bar(cursor=marks.CURSOR)
        .encode(
            href=f"{marks.ADDRESS}:N",
            y=rows,
            x=alt.X("customers:Q", title=None, axis=axis, stack=True),
            color=marks.coloured("part", COLOURS, names),
            order=alt.Order("part:N", sort="descending"),
            tooltip=tips,
        )
    )
    net = base.transform_filter(f"datum.part == '{NET}' && isValid(datum.customers)").encode(
        y=rows, x="customers:Q", tooltip=tips
    )
    return marks.layered(
        bars,
        net.mark_point(filled=True, size=110, opacity=1, color=alt.expr("background")),
        net.mark_point(filled=True, size=50, opacity=1).encode(color=alt.value("gray")),
    ).properties(height=alt.Step(26))


WHAT_CHANGED = Chart("what_changed", CHANGE_COLUMNS, _build)
