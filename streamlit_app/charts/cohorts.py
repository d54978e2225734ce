"""The cohort heat map: one colour scale for all cells, the number in each, incomplete cells faded and outlined."""

from __future__ import annotations

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate

COLUMNS = ("cohort", "cohort_name", "period", "value", "n", "low", "high", "final_on", "provisional")
MONTH_HEIGHT, WEEK_HEIGHT = 24, 13
FITTING = "bandwidth('x') < 13 ? 0 : bandwidth('x') < 22 ? 8 : 11"  # no number where it would run into the next
# Legible in either theme: on its own cell, and on a faded cell that lets the page shine through.
INK = "luminance(scale('color', datum.value)) > 0.18 ? '#11181b' : '#f6fafb'"
FADED_INK = "luminance(background) > 0.5 ? '#3d484d' : '#c9d2d6'"


def _build(text: Translate, *, row_height: int) -> alt.LayerChart:
    base = marks.explained(marks.drawn(), text, "share", columns=COLUMNS).transform_calculate(
        customers="round(datum.value * datum.n)",
        label="format(datum.value * 100, '.0f')",
    )
    cells = base.encode(
        x=alt.X(
            "period:O",
            title=text("charts.period"),
            axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False, labelOverlap=True),
            scale=alt.Scale(paddingInner=0.06),
        ),
        y=alt.Y(
            "cohort_name:O",
            title=None,
            sort=alt.EncodingSortField("cohort", order="ascending"),
            axis=alt.Axis(domain=False, ticks=False, labelLimit=140),
            scale=alt.Scale(paddingInner=0.06),
        ),
    )
    tips = [
        alt.Tooltip("cohort_name:N", title=text("charts.cohort")),
        alt.Tooltip("period:O", title=text("charts.period")),
        alt.Tooltip("shown:N", title=text("charts.value")),
        alt.Tooltip("customers:Q", title=text("charts.customers"), format=","),
        alt.Tooltip("n:Q", title="n", format=","),
        alt.Tooltip("interval:N", title=text("charts.interval")),
        alt.Tooltip("state:N", title=text("charts.state")),
    ]
    scale = alt.Scale(domain=[0, 1], clamp=True)
    colour = alt.Color(
        "value:Q",
        scale=scale,
        title=None,
        legend=alt.Legend(
            orient="top",
            direction="horizontal",
            format=".0%",
            gradientLength=180,
            gradientThickness=8,
            gradientOpacity=1,
            offset=6,
        ),
    )
    return alt.layer(
        cells.transform_filter(f"{marks.IS_FINAL} && {marks.IS_SOLID}").mark_rect().encode(color=colour, tooltip=tips),
        cells.transform_filter(f"{marks.IS_PROVISIONAL} && {marks.IS_SOLID}")
        .mark_rect(opacity=marks.FADED)
        .encode(color=colour, tooltip=tips),
        cells.transform_filter(f"{marks.IS_PROVISIONAL} && {marks.IS_SOLID}")
        .mark_rect(fillOpacity=0, strokeWidth=1, strokeDash=[3, 2], filled=False, tooltip=None)
        .encode(color=alt.value("gray")),
        cells.transform_filter(marks.IS_THIN).mark_rect(opacity=0.18).encode(color=alt.value("gray"), tooltip=tips),
        cells.transform_filter(f"{marks.IS_FINAL} && {marks.IS_SOLID}")
        .mark_text(fontSize=alt.expr(FITTING), tooltip=None, color=alt.expr(INK))
        .encode(text="label:N"),
        cells.transform_filter(f"{marks.IS_PROVISIONAL} || ({marks.IS_THIN})")
        .mark_text(fontSize=alt.expr(FITTING), tooltip=None, color=alt.expr(FADED_INK))
        .encode(text="label:N"),
    ).properties(height=alt.Step(row_height))


RETENTION_COHORTS = Chart("retention_cohorts", COLUMNS, lambda text: _build(text, row_height=MONTH_HEIGHT))
RETENTION_COHORTS_BY_WEEK = Chart("retention_cohorts_by_week", COLUMNS, lambda text: _build(text, row_height=WEEK_HEIGHT))
