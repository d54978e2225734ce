"""Figures over time: solid where final, dashed and hollow where provisional, with the interval of final ones as a pale band."""

from __future__ import annotations

import json

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Grain, Translate, Unit

POINT_COLUMNS = ("date", "value", "n", "low", "high", "final_on", "provisional", marks.GRAIN)
CURVE_COLUMNS = ("period", "value", "n", "low", "high")
FIRST_COLUMNS = ("tenure_days", "series", "value", "n", "low", "high")
SURVIVAL_COLUMNS = (*FIRST_COLUMNS, "window_days")


def _over_time(text: Translate, *, unit: Unit, series: bool, grain: Grain | None) -> alt.LayerChart:
    points, groups = marks.drawn(), ["series"] if series else []
    first = [marks.day_tip(text)] + ([alt.Tooltip("series:N", title=text("charts.series"))] if series else [])
    tips = marks.tooltip(text, first=first, unit=unit)
    course, placed = [marks.line(points, groups=groups)], {} if unit == "count" else marks.at_its_place()
    if unit == "share":  # of what may still come, an interval of sampling knows nothing
        course.insert(0, marks.band(points.transform_filter(marks.IS_FINAL), groups=groups))
    layers = marks.layered(
        marks.in_runs(marks.layered(*course), along="date", groups=groups),
        marks.provisional_points(points),
        *([] if unit == "count" else [marks.thin_points(points, **placed)]),  # a count rests on itself
        marks.hover(points, tips, along="date", groups=groups, lists=unit == "count", **placed),
    ).encode(x=marks.over_time(grain), y=marks.value_axis("value", unit), color=marks.by_series() if series else alt.Undefined)
    explained = marks.explained(layers, text, unit, columns=POINT_COLUMNS)  # of what is told, so first
    placed_on = explained if unit == "count" else marks.on_the_axis_of_solid(explained)
    return placed_on.properties(height=marks.HEIGHT)


def _survival(text: Translate) -> alt.LayerChart:
    return marks.layered(*_nobody_before(text), _by_tenure(text, text("charts.tenure"), SURVIVAL_COLUMNS)).properties(height=300)


def _first_transaction(text: Translate) -> alt.LayerChart:
    return _by_tenure(text, text("charts.since_opening"), FIRST_COLUMNS).properties(height=marks.HEIGHT)


def _by_tenure(text: Translate, since: str, columns: tuple[str, ...]) -> alt.LayerChart:
    """One curve a group. Nearly every point waits for the youngest customers, so that dashes would tell nothing apart."""
    points = marks.drawn()
    tips = marks.tooltip(
        text,
        first=[
            alt.Tooltip("tenure_days:Q", title=since, format=","),
            alt.Tooltip("series:N", title=text("charts.series")),
        ],
        unit="share",
        state=False,
    )
    enough = points.transform_filter(marks.IS_SOLID)
    curves = marks.layered(
        enough.mark_area(opacity=marks.BAND, line=False, interpolate="step-after").encode(
            y=marks.value_axis("low", "share"), y2="high:Q"
        ),
        enough.mark_line(strokeWidth=2, interpolate="step-after"),
        marks.thin_points(points),
        marks.hover(points, tips, along="tenure_days", groups=["series"]),
    ).encode(
        x=alt.X("tenure_days:Q", title=since, axis=alt.Axis(grid=False, domain=True, tickCount=10, format=",d")),
        y=marks.value_axis("value", "share"),
        color=marks.by_series(),
    )
    return marks.explained(curves, text, "share", columns=columns)


def _nobody_before(text: Translate) -> tuple[alt.Chart, alt.Chart]:
    """An upright line on the first day on which anybody can be lost, and these words beside it."""
    once = marks.drawn().transform_aggregate(groupby=["window_days"]).encode(x=alt.X("window_days:Q"))
    words = f"{json.dumps(text('charts.nobody_before'))} + ' ' + datum.window_days"
    return (
        once.mark_rule(strokeWidth=1, strokeDash=[2, 3]).encode(color=alt.value("gray")),
        once.transform_calculate(words=words)
        .mark_text(align="left", baseline="bottom", dx=5, fontSize=11, color=alt.expr(marks.PAGE_INK))
        .encode(y=alt.value(alt.expr("height - 5")), text="words:N"),
    )


def _retention_curve(text: Translate, *, grain: Grain, series: bool = False) -> alt.LayerChart:
    points, groups = marks.drawn(), ["series"] if series else []
    first = [alt.Tooltip("period:Q", title=text(f"charts.since_the_first.{grain}"))]
    if series:
        first.append(alt.Tooltip("series:N", title=text("charts.series")))
    tips = marks.tooltip(text, first=first, unit="share", state=False)
    course = marks.layered(marks.band(points, groups=groups), marks.solid_line(points, point=alt.OverlayMarkDef(size=28)))
    layers = marks.layered(
        marks.in_runs(course, along="period", groups=groups),
        marks.thin_points(points),
        marks.hover(points, tips, along="period", groups=groups),
    ).encode(
        x=alt.X(
            "period:Q",
            title=text(f"charts.since_the_first.{grain}"),
            axis=alt.Axis(grid=False, domain=True, tickMinStep=1, format=",d"),
        ),
        y=marks.value_axis("value", "share"),
        color=marks.by_series() if series else alt.Undefined,
    )
    return marks.explained(layers, text, "share", columns=CURVE_COLUMNS).properties(height=marks.HEIGHT)


def _chart(name: str, unit: Unit, *, series: bool = False, grain: Grain | None = None) -> Chart:
    return Chart(
        name,
        (*POINT_COLUMNS, *(["series"] if series else []), *([marks.LIST] if unit == "count" else [])),
        lambda text: _over_time(text, unit=unit, series=series, grain=grain),
        provisional="dashed",
        thin="pale",
        is_of_solid=unit != "count",
    )


def _curve(name: str, grain: Grain, *, series: bool = False) -> Chart:
    columns = (*CURVE_COLUMNS, *(["series"] if series else []))
    return Chart(name, columns, lambda text: _retention_curve(text, grain=grain, series=series), thin="pale")


COUNT_OVER_TIME, COUNT_BY_SERIES = _chart("count_over_time", "count"), _chart("count_by_series", "count", series=True)
RATIO_OVER_TIME, RATIO_BY_SERIES = (
    _chart("ratio_over_time", "ratio"),
    _chart("ratio_by_series", "ratio", series=True, grain="month"),
)
SHARE_OVER_TIME = _chart("share_over_time", "share", grain="month")
SHARE_BY_SERIES = _chart("share_by_series", "share", series=True, grain="month")
SHARE_BY_SERIES_BY_WEEK = _chart("share_by_series_by_week", "share", series=True, grain="week")
RETENTION_CURVE, RETENTION_CURVE_BY_WEEK = _curve("retention_curve", "month"), _curve("retention_curve_by_week", "week")
RETENTION_CURVES = _curve("retention_curves", "month", series=True)
RETENTION_CURVES_BY_WEEK = _curve("retention_curves_by_week", "week", series=True)
FIRST_TRANSACTION = Chart("first_transaction", FIRST_COLUMNS, _first_transaction, thin="pale")
SURVIVAL = Chart("survival", SURVIVAL_COLUMNS, _survival, thin="pale")
