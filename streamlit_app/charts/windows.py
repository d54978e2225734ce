"""What the choice of N would change: a figure against every N, and the pauses between active days that N has to bridge."""

from __future__ import annotations

import json

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate, Unit

IN_USE, SUGGESTED = "in_use", "suggested"
MARKS = "marks"  # a table of its own: moving a mark leaves the curve as it is
WINDOW_COLUMNS = ("window_days", "value", "n", "low", "high")
INTERVAL_COLUMNS = (
    *("from_days", "to_days", "value", "n", "share", "low", "high", "reached", "reached_low", "reached_high", "window_days"),
)
HEIGHT = 200
PASSED = "datum.from_days > datum.window_days"


def _against_window(text: Translate, *, unit: Unit) -> alt.LayerChart:
    points = marks.drawn()
    across = alt.X("window_days:Q", title=text("charts.window"), axis=alt.Axis(grid=False, domain=True, tickCount=6, format=",d"))
    up = marks.value_axis("value", unit)
    tips = marks.tooltip(text, first=[alt.Tooltip("window_days:Q", title=text("charts.window"))], unit=unit, state=False)
    course: list[alt.Chart | alt.LayerChart] = [marks.solid_line(points), marks.lone_points(points)]
    if unit == "share":
        course.insert(0, marks.band(points))
    hover = marks.hover(points, tips, along="window_days").encode(x=across, y=up)
    return marks.layered(
        marks.layered(marks.in_runs(marks.layered(*course), along="window_days"), marks.thin_points(points)).encode(
            x=across, y=up
        ),
        *_marked(text, IN_USE, above=18),
        *_marked(text, SUGGESTED, above=5),
        marks.explained(hover, text, unit, columns=WINDOW_COLUMNS),
    ).properties(height=HEIGHT)


def _marked(text: Translate, mark: str, *, above: int) -> tuple[alt.Chart, alt.Chart]:
    """An upright line at one N, named so many pixels above the plot, where no curve is; on the side where there is room."""
    colour = alt.value("gray" if mark == IN_USE else "orange")
    marked = alt.Chart(alt.NamedData(MARKS)).transform_filter(f"datum.mark == '{mark}' || datum.mark == 'both'")
    base = marked.encode(x="window_days:Q")
    named = base.transform_calculate(named=f"{_quoted(text(f'charts.marked.{mark}'))} + ' ' + datum.window_days")
    left = "datum.side == 'left'"
    return (
        base.mark_rule(strokeWidth=1.5, strokeDash=list(marks.DASH) if mark == SUGGESTED else [1, 0]).encode(color=colour),
        named.mark_text(
            color=alt.expr(marks.PAGE_INK),
            align=alt.expr(f"{left} ? 'right' : 'left'"),
            dx=alt.expr(f"{left} ? -4 : 4"),
            baseline="bottom",
            fontSize=11,
        ).encode(y=alt.value(-above), text="named:N"),
    )


def _intervals(text: Translate) -> alt.LayerChart:
    drawn = marks.drawn()
    base = drawn.transform_calculate(
        begin="datum.from_days - 0.5",
        until="isValid(datum.to_days) ? datum.to_days + 0.2 : datum.from_days + 6.2",
        pause=f"isValid(datum.to_days) ? datum.from_days + '–' + datum.to_days : {_more(text)}",
        shown_share="format(datum.share, '.1%')",
        interval=marks.interval_text(),
        shown_reached="isValid(datum.to_days) && isValid(datum.reached) ? format(datum.reached, '.1%') : '–'",
        reached_interval=f"isValid(datum.to_days) ? {marks.interval_text('reached_low', 'reached_high')} : '–'",
        bridged=f"{PASSED} ? {_quoted(text('charts.longer_than_window'))} : {_quoted(text('charts.within_window'))}",
    )
    names = {text("charts.within_window"): "primary", text("charts.longer_than_window"): "orange"}
    bars = base.mark_bar().encode(
        x=alt.X(
            "begin:Q",
            title=text("charts.pause"),
            axis=alt.Axis(grid=False, tickCount=10, format=",d"),
            scale=alt.Scale(nice=False),
        ),
        x2="until:Q",
        y=alt.Y(
            "value:Q",
            title=text("charts.root_scale"),
            scale=alt.Scale(type="sqrt", nice=True),
            axis=alt.Axis(format=marks.AXIS_FORMATS["count"], tickCount=5),
        ),
        y2=alt.datum(0),
        color=marks.coloured("bridged", names, {name: name for name in names}),
        tooltip=[
            alt.Tooltip("pause:N", title=text("charts.pause")),
            alt.Tooltip("value:Q", title=text("charts.intervals"), format=","),
            alt.Tooltip("shown_share:N", title=text("charts.share")),
            alt.Tooltip("interval:N", title=text("charts.interval")),
            alt.Tooltip("shown_reached:N", title=text("charts.reached")),
            alt.Tooltip("reached_interval:N", title=text("charts.reached_interval")),
            alt.Tooltip("n:Q", title="n", format=","),
        ],
    )
    at_window = drawn.transform_filter("datum.from_days == 1").encode(x="window_days:Q", color=alt.value("gray"))
    return marks.layered(bars, at_window.mark_rule(strokeWidth=1.5)).properties(height=marks.HEIGHT)


def _more(text: Translate) -> str:
    return f"datum.from_days + ' ' + {_quoted(text('charts.or_more'))}"


def _quoted(words: str) -> str:
    return json.dumps(words)


COUNT_BY_WINDOW = Chart("count_by_window", WINDOW_COLUMNS, lambda text: _against_window(text, unit="count"), thin="pale")
SHARE_BY_WINDOW = Chart("share_by_window", WINDOW_COLUMNS, lambda text: _against_window(text, unit="share"), thin="pale")
USAGE_INTERVALS = Chart("usage_intervals", INTERVAL_COLUMNS, _intervals)
