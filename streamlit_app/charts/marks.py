"""The shared strokes: axes, tooltips, intervals, and the one way in which a provisional or thin point differs.

Colours are words of the theme (primary, blue, orange, gray), which Streamlit turns into the light or the dark one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import altair as alt

Translate = Callable[[str], str]
Unit = Literal["count", "share", "ratio", "usd"]
Shape = Literal["linear", "step-after"]

AXIS_FORMATS: Mapping[Unit, str] = {"count": ",~r", "share": "~%", "ratio": ".1f", "usd": "~s"}
VALUE_FORMATS: Mapping[Unit, str] = {"count": ",.0f", "share": ".1%", "ratio": ".2f", "usd": ",.0f"}
DRAWN = "drawn"  # the name of the table that comes beside a spec
HEIGHT = 250
ENOUGH = 30  # below this n a proportion is greyed
DASH = (4, 3)
FADED = 0.4

IS_PROVISIONAL = "datum.provisional"
IS_FINAL = "!datum.provisional"
IS_THIN = f"isValid(datum.n) && datum.n < {ENOUGH}"
IS_SOLID = f"!({IS_THIN})"


def drawn() -> alt.Chart:
    """A chart of the table that comes beside the spec."""
    return alt.Chart(alt.NamedData(DRAWN))


def over_time() -> alt.X:
    """The time axis; a year begins with its number, months have their short names."""
    return alt.X("date:T", title=None, axis=alt.Axis(labelFlush=True, tickCount=8, grid=False, domain=True))


def value_axis(field: str, unit: Unit, *, zero: bool = True, title: str | None = None) -> alt.Y:
    """The value axis: few ticks, light grid, no title where the card's title says it."""
    return alt.Y(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(zero=zero, nice=True),
        axis=alt.Axis(format=AXIS_FORMATS[unit], tickCount=4),
    )


def by_series(symbol: Literal["stroke", "square"] = "stroke", *, columns: int = 3) -> alt.Color:
    """A colour a series, named on top."""
    return alt.Color("series:N", title=None, sort=None, legend=_on_top(symbol, columns=columns))


def _on_top(symbol: Literal["stroke", "square"], **more: Any) -> alt.Legend:
    return alt.Legend(
        orient="top",
        direction="horizontal",
        symbolType=symbol,
        symbolOpacity=1,
        symbolSize=90,
        labelLimit=150,
        offset=4,
        **more,
    )


def coloured(field: str, colours: Mapping[str, str], names: Mapping[str, str]) -> alt.Color:
    """Fixed codes with the theme's own words as colours and readable names in the legend."""
    return alt.Color(
        f"{field}:N",
        title=None,
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=_on_top("square", columns=3, labelExpr=f"{json.dumps(dict(names))}[datum.value]"),
    )


def name_of(field: str, names: Mapping[str, str]) -> str:
    """A Vega expression for the readable name of a code."""
    return f"{json.dumps(dict(names))}[datum.{field}]"


def explained(chart: alt.Chart, text: Translate, unit: Unit, *, columns: Sequence[str]) -> alt.Chart:
    """The texts that a tooltip shows, as far as the table has the columns: value, interval, from which day it is final."""
    texts = {"shown": f"isValid(datum.value) ? format(datum.value, '{VALUE_FORMATS[unit]}') : '–'"}
    if "low" in columns:
        texts["interval"] = interval_text()
    if "final_on" in columns:
        texts["state"] = state(text)
    return chart.transform_calculate(**texts)


def interval_text(low: str = "low", high: str = "high") -> str:
    """A Vega expression: the 95 % interval of a share, or a dash where there is none."""
    return f"isValid(datum.{low}) ? format(datum.{low} * 100, '.1f') + '–' + format(datum.{high}, '.1%') : '–'"


def state(text: Translate, *, provisional: str = "provisional") -> str:
    """A Vega expression: final, or provisional and until when."""
    until = f"{json.dumps(text('charts.final_on'))} + ' ' + timeFormat(datum.final_on, '%-d %b %Y')"
    return f"datum.{provisional} ? {until} : {json.dumps(text('charts.final'))}"


def tooltip(text: Translate, *, first: Sequence[alt.Tooltip], interval: bool, state: bool = True) -> list[alt.Tooltip]:
    """What hovering shows, in one order everywhere: where, value, interval, n, finality."""
    lines = [*first, alt.Tooltip("shown:N", title=text("charts.value"))]
    if interval:
        lines += [alt.Tooltip("interval:N", title=text("charts.interval")), alt.Tooltip("n:Q", title="n", format=",")]
    return lines + ([alt.Tooltip("state:N", title=text("charts.state"))] if state else [])


def day_tip(text: Translate) -> alt.Tooltip:
    """The period that a point stands for, by its first day."""
    return alt.Tooltip("date:T", title=text("charts.from_day"), format="%-d %b %Y")


def line(base: alt.Chart, *, along: str = "date", groups: Sequence[str] = (), shape: Shape = "linear") -> alt.LayerChart:
    """A line that is solid where final and dashed where provisional; thin points are left to `thin_points`."""
    bridged = base.transform_filter(IS_SOLID).transform_window(
        [alt.WindowFieldDef(op="lead", field="provisional", **{"as": "next_provisional"})],
        groupby=list(groups),
        sort=[alt.SortField(along)],
    )
    solid = base.transform_filter(f"{IS_FINAL} && {IS_SOLID}").mark_line(strokeWidth=2, interpolate=shape)
    dashed = bridged.transform_filter(f"{IS_PROVISIONAL} || datum.next_provisional").mark_line(
        strokeWidth=2, strokeDash=list(DASH), opacity=0.8, interpolate=shape
    )
    return alt.layer(solid, dashed)


def hover(base: alt.Chart, tips: Sequence[alt.Tooltip], *, along: str, groups: Sequence[str] = ()) -> alt.LayerChart:
    """A point that follows the pointer and carries the tooltip; `along` is the column of the horizontal axis.

    A single line is caught by upright strips, which cost the browser less than the nearest point of any line.
    """
    if groups:
        near = alt.selection_point(nearest=True, on="pointerover", fields=[along, *groups], empty=False, clear="pointerout")
        point = base.mark_point(size=60, filled=True, strokeWidth=0)
        return alt.layer(
            point.encode(opacity=alt.condition(near, alt.value(1), alt.value(0)), tooltip=list(tips)).add_params(near)
        )
    near = alt.selection_point(on="pointerover", fields=[along], empty=False, clear="pointerout")
    counted = base.transform_joinaggregate(points="count()")
    strips = counted.mark_rule(opacity=0.001, strokeWidth=alt.expr("max(2, 1.1 * width / max(datum.points - 1, 1))"))
    return alt.layer(
        base.transform_filter(near).mark_point(size=60, filled=True, strokeWidth=0, opacity=1),
        strips.encode(y=alt.value(0), y2=alt.value("height"), tooltip=list(tips)).add_params(near),
    )


def provisional_points(base: alt.Chart) -> alt.Chart:
    """Hollow points where the period is not over."""
    return base.transform_filter(f"{IS_PROVISIONAL} && {IS_SOLID}").mark_point(size=45, filled=False, strokeWidth=1.8)


def thin_points(base: alt.Chart) -> alt.Chart:
    """Grey points that rest on fewer than 30 customers."""
    return base.transform_filter(IS_THIN).mark_point(size=28, filled=True, opacity=0.6).encode(color=alt.value("gray"))


def band(base: alt.Chart, *, shape: Shape = "linear") -> alt.Chart:
    """The 95 % interval as a pale band."""
    return (
        base.transform_filter(f"isValid(datum.low) && {IS_SOLID}")
        .mark_area(opacity=0.16, line=False, interpolate=shape)
        .encode(y=value_axis("low", "share"), y2="high:Q")
    )
