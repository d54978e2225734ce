"""One customer's life along the days: active and silent stretches, and beneath them the active days that they are made of."""

from __future__ import annotations

import json

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate

STRETCH, DAY = "stretch", "day"  # what a row is of
BAR, MARK, CAUGHT = 22, 1.5, 7  # pixels: a bar's height, a mark's width, and that within which the pointer finds it


def _build(text: Translate) -> alt.LayerChart:
    rows = {STRETCH: text("charts.stretches"), DAY: text("charts.days")}
    named = marks.drawn().transform_calculate(row=marks.name_of("of", rows))
    place = alt.Y("row:N", title=None, sort=list(rows.values()), axis=alt.Axis(grid=False, ticks=False, domain=False))
    return marks.layered(_stretches(named, text).encode(y=place), _days(named, text).encode(y=place)).properties(height=110)


def _stretches(base: alt.Chart, text: Translate) -> alt.Chart:
    names = {"true": text("charts.active"), "false": text("charts.silent")}
    bars: alt.Chart = (
        base.transform_filter(f"datum.of === '{STRETCH}'")
        .transform_calculate(
            named=f"{json.dumps(names)}[datum.is_active]",
            until=f"toDate(+toDate(datum.ending_date) + {marks.DAY_MS})",
            state=marks.state(text, provisional="is_provisional"),
        )
        .mark_bar(height=BAR)
    )
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
    )


def _days(base: alt.Chart, text: Translate) -> alt.LayerChart:
    """A mark at the middle of each active day."""
    days = base.transform_filter(f"datum.of === '{DAY}'").transform_calculate(
        noon=f"toDate(+toDate(datum.starting_date) + {marks.DAY_MS // 2})",
        since=f"isValid(datum.pause) ? format(datum.pause, '{marks.VALUE_FORMATS['count']}') : '–'",
    )
    tips = [
        alt.Tooltip("starting_date:T", title=text("charts.active_day"), format="%-d %b %Y"),
        alt.Tooltip("since:N", title=text("charts.since_the_day_before")),
    ]
    drawn: alt.Chart = days.mark_tick(thickness=MARK, height=BAR)
    caught: alt.Chart = days.mark_tick(thickness=CAUGHT, height=BAR, opacity=0)
    return marks.layered(drawn.encode(color=alt.value("primary")), caught.encode(tooltip=tips)).encode(
        x=alt.X("noon:T", title=None, axis=marks.time_axis())
    )


STRETCHES = Chart("stretches", ("of", "starting_date", "ending_date", "is_active", "is_provisional", "final_on", "pause"), _build)
