"""How right probabilities have been: the share that came true against the one that was told."""

from __future__ import annotations

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate

CALIBRATION_COLUMNS = ("bin", "expected", "value", "n", "low", "high", "final_on", "provisional")


def _build(text: Translate) -> alt.LayerChart:
    drawn = marks.drawn()
    base = marks.explained(drawn, text, "share", columns=CALIBRATION_COLUMNS).transform_calculate(
        told="format(datum.expected, '.1%')"
    )
    axis = alt.Axis(format=marks.AXIS_FORMATS["share"], tickCount=5)
    points = base.encode(
        x=alt.X("expected:Q", title=text("charts.told"), scale=alt.Scale(domain=[0, 1]), axis=axis),
        y=alt.Y("value:Q", title=text("charts.came_true"), scale=alt.Scale(domain=[0, 1]), axis=axis),
        size=alt.Size("n:Q", legend=None, scale=alt.Scale(range=[30, 250], zero=True)),
        opacity=alt.condition(marks.IS_PROVISIONAL, alt.value(marks.FADED), alt.value(1)),
        tooltip=marks.tooltip(text, first=[alt.Tooltip("told:N", title=text("charts.told"))], unit="share"),
    )
    spread = base.encode(x="expected:Q", y=alt.Y("low:Q"), y2="high:Q")
    diagonal = drawn.mark_rule(strokeDash=list(marks.DASH), strokeWidth=1).encode(
        x=alt.datum(0), y=alt.datum(0), x2=alt.datum(1), y2=alt.datum(1), color=alt.value("gray")
    )
    return marks.layered(
        diagonal,
        spread.transform_filter(marks.IS_SOLID).mark_rule(strokeWidth=2, opacity=0.35).encode(color=alt.value("primary")),
        spread.transform_filter(marks.IS_THIN).mark_rule(strokeWidth=2, opacity=0.25).encode(color=alt.value("gray")),
        points.transform_filter(marks.IS_SOLID).mark_point(filled=True),
        points.transform_filter(marks.IS_THIN).mark_point(filled=True).encode(color=alt.value("gray")),
    ).properties(height=marks.HEIGHT)


CALIBRATION = Chart("calibration", CALIBRATION_COLUMNS, _build)
