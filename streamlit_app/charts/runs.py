"""How long the last runs took, one bar a run, in the colour of how it ended."""

from __future__ import annotations

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate

RUN_COLUMNS = ("run", "date", "value", "outcome")
COLOURS = {"succeeded": "primary", "failed": "orange", "interrupted": "gray", "held": "blue"}


def _durations(text: Translate) -> alt.Chart:
    names = {outcome: text(f"charts.outcomes.{outcome}") for outcome in COLOURS}
    base = marks.drawn().transform_calculate(shown="format(datum.value, ',.1f')", ended=marks.name_of("outcome", names))
    bars: alt.Chart = base.mark_bar(cornerRadiusTopLeft=1, cornerRadiusTopRight=1)
    return bars.encode(
        x=alt.X("run:O", title=text("charts.run"), axis=alt.Axis(labelAngle=0, labelOverlap=True, grid=False)),
        y=alt.Y("value:Q", title=text("charts.minutes"), axis=alt.Axis(format="~r", tickCount=4)),
        color=marks.coloured("outcome", COLOURS, names),
        tooltip=[
            alt.Tooltip("run:O", title=text("charts.run")),
            alt.Tooltip("date:T", title=text("charts.began"), format="%-d %b %Y, %H:%M"),
            alt.Tooltip("shown:N", title=text("charts.minutes")),
            alt.Tooltip("ended:N", title=text("charts.state")),
        ],
    ).properties(height=160)


RUN_DURATIONS = Chart("run_durations", RUN_COLUMNS, _durations)
