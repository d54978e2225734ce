"""The cohort heat map: one colour scale for all cells, the number in each; incomplete cells are hatched, thin ones grey."""

from __future__ import annotations

import json
from collections.abc import Mapping

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Grain, Translate

COLUMNS = ("cohort", "cohort_name", "period", "value", "n", "low", "high", "final_on", "provisional", marks.LIST)
HEIGHTS: Mapping[Grain, int] = {"month": 24, "week": 13}
FITTING = "bandwidth('x') < 13 ? 0 : bandwidth('x') < 22 ? 8 : 11"  # no number where it would run into the next
STROKES, STROKES_APART = 12, 6  # of the hatching of a cell: how many at most, and how many pixels apart at least
HATCHING = "hatching"
GREYED = "luminance(background) > 0.5 ? '#dfe2e3' : '#30373b'"  # what a grey cell looks like on the page


def _hatching() -> alt.Parameter:
    """A parameter: the strokes from corner to corner of a cell, as an SVG path in pixels about its middle.

    A stroke joins the points of the cell whose distances from its left and upper edge add up to a multiple of the step.
    """
    across, down = "bandwidth('x')", "bandwidth('y')"
    step = f"max({STROKES_APART}, ({across} + {down}) / {STROKES + 1})"
    strokes = []
    for place in range(1, STROKES + 1):
        along = f"min({place} * {step}, {across} + {down})"
        begin = f"(min({along}, {across}) - {across} / 2) + ',' + (max({along} - {across}, 0) - {down} / 2)"
        end = f"(max({along} - {down}, 0) - {across} / 2) + ',' + (min({along}, {down}) - {down} / 2)"
        strokes.append(f"'M' + {begin} + 'L' + {end}")
    return alt.param(name=HATCHING, expr=" + ".join(strokes))


def _build(text: Translate, *, grain: Grain) -> alt.LayerChart:
    cells, since = marks.drawn(), text(f"charts.since_the_first.{grain}")
    tips = [
        alt.Tooltip("cohort_name:N", title=text("charts.cohort")),
        alt.Tooltip("period:O", title=since),
        alt.Tooltip("shown:N", title=text("charts.value")),
        alt.Tooltip("customers:N", title=text("charts.customers")),
        alt.Tooltip("of:N", title="n"),
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
    solid, thin = cells.transform_filter(marks.IS_SOLID), cells.transform_filter(marks.IS_THIN)
    incomplete = cells.transform_filter(marks.IS_PROVISIONAL)
    hatched = incomplete.mark_point(
        shape=alt.expr(HATCHING),
        size=4,
        filled=False,
        strokeWidth=1,
        opacity=0.55,
        strokeCap="butt",
        cursor=marks.CURSOR,
    )
    size = alt.expr(FITTING)
    ink = f"{marks.IS_THIN} ? {marks.PAGE_INK} : {marks.CELL_INK}"
    plate = f"{marks.IS_THIN} ? {GREYED} : scale('color', datum.value)"
    layers = marks.layered(
        solid.mark_rect(cursor=marks.CURSOR).encode(color=colour),
        thin.mark_rect(opacity=marks.GREYED, cursor=marks.CURSOR).encode(color=alt.value("gray")),
        hatched.encode(stroke=alt.StrokeValue(alt.expr(ink))),
        # no stroke runs through the number of a hatched cell
        incomplete.mark_text(fontSize=size, cursor=marks.CURSOR, strokeWidth=4, filled=False).encode(
            text="label:N", stroke=alt.StrokeValue(alt.expr(plate))
        ),
        cells.mark_text(fontSize=size, cursor=marks.CURSOR, color=alt.expr(ink)).encode(text="label:N"),
    ).encode(
        href=f"{marks.ADDRESS}:N",
        tooltip=tips,  # also over the number and the hatching
        x=alt.X(
            "period:O",
            title=since,
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
    return (
        marks.explained(layers, text, "share", columns=COLUMNS)
        .transform_calculate(
            customers=_written("datum.value", "datum.value * datum.n"),
            of=_written("datum.n", "datum.n"),
            state=f"isValid(datum.value) ? datum.state : {json.dumps(text('common.withheld'))}",
            label="format(datum.value * 100, '.0f')",
            **marks.list_of("cohort", period="period"),
        )
        .add_params(_hatching())
        .properties(height=alt.Step(HEIGHTS[grain]))
    )


def _written(known: str, number: str) -> str:
    """A Vega expression: a count, or a dash where what it rests on is withheld."""
    return f"isValid({known}) ? format(round({number}), ',') : '–'"


def _chart(name: str, grain: Grain) -> Chart:
    return Chart(name, COLUMNS, lambda text: _build(text, grain=grain), provisional="hatched", thin="grey_cells")


RETENTION_COHORTS = _chart("retention_cohorts", "month")
RETENTION_COHORTS_BY_WEEK = _chart("retention_cohorts_by_week", "week")
