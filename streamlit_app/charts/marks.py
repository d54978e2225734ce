"""The shared strokes: axes, tooltips, intervals, and the one way in which a provisional or thin point differs.

Colours are words of the theme (primary, blue, orange, gray), which Streamlit turns into the light or the dark one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import altair as alt

Translate = Callable[[str], str]
Unit = Literal["count", "share", "ratio", "usd"]
Grain = Literal["month", "week"]
Drawing = TypeVar("Drawing", alt.Chart, alt.LayerChart)  # what is said of layers as a whole is sent once, and they inherit it

AXIS_FORMATS: Mapping[Unit, str] = {"count": ",~r", "share": "~%", "ratio": ".2~f", "usd": "~s"}
VALUE_FORMATS: Mapping[Unit, str] = {"count": ",.0f", "share": ".1%", "ratio": ".2f", "usd": ",.0f"}
DRAWN = "drawn"  # the name of the table that comes beside a spec
LIST, LISTS_PAGE = "list", "customers"  # what the rows of a list's address share, and the page that it opens
ADDRESS = "address"
GRAIN = "grain"  # `week` or `month` where a row is of one, and no column where it is of a day
CURSOR = alt.expr(f"datum.{LIST} ? 'pointer' : 'default'")
HEIGHT = 250
# Pixels: a plot on a telephone, what the mark of a legend's entry and the room beside it take, and its name.
NARROW, LEGEND_SYMBOL, SHORTEST_NAME, LONGEST_NAME = 400, 34, 60, 150
ENOUGH = 30  # below this n a proportion is greyed
DASH = (4, 3)
FADED = 0.4
PALE = 0.35  # the inside of a thin point
EDGE = 5  # pixels from the upper edge to the middle of a thin point that lies above it
BAND = 0.16
GREYED = 0.25  # a cell or tile of fewer than 30 customers
DAY_MS = 86_400_000
# The least between two ticks: longer than any week or month, for Vega takes one tick more than fit.
TICK_DAYS: Mapping[Grain | None, int] = {None: 1, "week": 8, "month": 32}

IS_PROVISIONAL = "datum.provisional"
IS_FINAL = "!datum.provisional"
IS_THIN = f"isValid(datum.n) && datum.n < {ENOUGH}"
IS_SOLID = f"!({IS_THIN})"
IS_ALONE = "datum.run_points === 1"
IS_ABOVE = "scale('y', datum.told) < -0.5"  # half a pixel, for rounding
AT_ITS_PLACE = f"({IS_ABOVE} ? {EDGE} : scale('y', datum.told)) - scale('y', datum.value)"
# Black or white, whichever stands out more: 4.5 at least on any ground (luminance 0.179 is where they are equal).
INK_ON = "luminance({ground}) > 0.179 ? 'black' : 'white'"
PAGE_INK = INK_ON.format(ground="background")
CELL_INK = INK_ON.format(ground="scale('color', datum.value)")


def drawn() -> alt.Chart:
    """A chart of the table that comes beside the spec."""
    return alt.Chart(alt.NamedData(DRAWN))


def layered(*layers: alt.Chart | alt.LayerChart) -> alt.LayerChart:
    """Layers on one plot. None has facets, of which `alt.layer` would make another kind of chart."""
    return alt.LayerChart(layer=layers)


def over_time(grain: Grain | None = None) -> alt.X:
    """The time axis; a year begins with its number, months have their short names."""
    return alt.X("date:T", title=None, axis=time_axis(grain, labelFlush=True, domain=True))


def time_axis(grain: Grain | None = None, **more: Any) -> alt.Axis:
    """An axis of days, or of weeks or months: none of them is divided.

    What stands at an hour of a day has no name; nor do the days between the months of a bank of three months. Vega's weeks begin
    on Sunday.
    """
    return alt.Axis(tickCount=8, tickMinStep=TICK_DAYS[grain] * DAY_MS, format={"hours": " "}, grid=False, **more)


def value_axis(field: str, unit: Unit, *, zero: bool = True, title: str | None = None) -> alt.Y:
    """The value axis: few ticks, light grid, no title where the card's title says it."""
    return alt.Y(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(zero=zero, nice=True),
        axis=alt.Axis(format=AXIS_FORMATS[unit], tickCount=4, tickMinStep=1 if unit == "count" else alt.Undefined),
    )


def by_series(symbol: Literal["stroke", "square"] = "stroke", *, columns: int = 3) -> alt.Color:
    """A colour a series, named on top; on a telephone in two columns, so that no name reaches beyond the drawing."""
    fitting = alt.expr(f"width < {NARROW} ? {min(columns, 2)} : {columns}")
    limit = alt.expr(f"width < {NARROW} ? max(width / {min(columns, 2)} - {LEGEND_SYMBOL}, {SHORTEST_NAME}) : {LONGEST_NAME}")
    return alt.Color("series:N", title=None, sort=None, legend=_on_top(symbol, columns=fitting, labelLimit=limit))


def _on_top(symbol: Literal["stroke", "square"], *, labelLimit: Any = LONGEST_NAME, **more: Any) -> alt.Legend:  # noqa: N803
    return alt.Legend(
        orient="top",
        direction="horizontal",
        symbolType=symbol,
        symbolOpacity=1,
        symbolSize=90,
        offset=4,
        labelLimit=labelLimit,
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


def explained(chart: Drawing, text: Translate, unit: Unit, *, columns: Sequence[str]) -> Drawing:
    """The texts that a tooltip shows, as far as the table has the columns: value, interval, from which day it is final.

    A provisional share has no interval, which would know nothing of what may still come.
    """
    texts = {"shown": f"isValid(datum.value) ? format(datum.value, '{VALUE_FORMATS[unit]}') : '–'"}
    if "low" in columns and unit == "share":
        texts["interval"] = f"datum.provisional ? '–' : {interval_text()}" if "provisional" in columns else interval_text()
    if "final_on" in columns:
        texts["state"] = state(text)
    if GRAIN in columns:
        texts["when"] = when(text)
    return chart.transform_calculate(**texts)


def on_the_axis_of_solid(chart: Drawing) -> Drawing:
    """Thin points lengthen no axis: as `value` they have at most the largest of those with enough customers, bands included.

    What they have is `told`. Nothing changes where no point has enough customers.
    """
    reach = "max(datum.value, datum.provisional ? 0 : datum.high || 0)"  # what is provisional has no band
    return (
        chart.transform_calculate(told="datum.value", reach=f"isValid(datum.value) && {IS_SOLID} ? {reach} : null")
        .transform_joinaggregate(top="max(reach)")
        .transform_calculate(value=f"{IS_THIN} && datum.top > 0 && datum.told > datum.top ? datum.top : datum.told")
    )


def at_its_place() -> dict[str, Any]:
    """How a mark at such a `value` stands where it is told, or as a triangle at the upper edge where it is told above it."""
    return {"shape": alt.expr(f"{IS_ABOVE} ? 'triangle-up' : 'circle'"), "yOffset": alt.expr(AT_ITS_PLACE)}


def interval_text(low: str = "low", high: str = "high") -> str:
    """A Vega expression: the 95 % interval of a share, or a dash where there is none."""
    return f"isValid(datum.{low}) ? format(datum.{low} * 100, '.1f') + '–' + format(datum.{high}, '.1%') : '–'"


def state(text: Translate, *, provisional: str = "provisional") -> str:
    """A Vega expression: final, or provisional and until when."""
    until = f"{json.dumps(text('charts.final_on'))} + ' ' + timeFormat(datum.final_on, '%-d %b %Y')"
    return f"datum.{provisional} ? {until} : {json.dumps(text('charts.final'))}"


def tooltip(text: Translate, *, first: Sequence[alt.Tooltip], unit: Unit, state: bool = True) -> list[alt.Tooltip]:
    """What hovering shows, in one order everywhere: where, value, interval of a share, n of what is taken of some, finality."""
    lines = [*first, alt.Tooltip("shown:N", title=text("charts.value"))]
    if unit == "share":
        lines.append(alt.Tooltip("interval:N", title=text("charts.interval")))
    if unit in ("share", "ratio"):
        lines.append(alt.Tooltip("n:Q", title="n", format=","))
    return lines + ([alt.Tooltip("state:N", title=text("charts.state"))] if state else [])


def list_of(day: str, *, period: str | None = None) -> dict[str, str]:
    """A calculated column: the address of the customers behind a row, by the column of its day; null where the row has no list.

    A mark that encodes it as `href` opens the list at a click.
    """
    more = f" + '&period=' + datum.{period}" if period else ""
    written = f"'{LISTS_PAGE}?' + datum.{LIST} + '&on=' + timeFormat(datum.{day}, '%Y-%m-%d'){more}"
    return {ADDRESS: f"datum.{LIST} ? {written} : null"}


def when(text: Translate) -> str:
    """A Vega expression: the month, the week by its first day, or the day that a row is of."""
    day = "timeFormat(datum.date, '%-d %b %Y')"
    week = f"{json.dumps(text('charts.week_of'))} + ' ' + {day}"
    return f"datum.{GRAIN} === 'month' ? timeFormat(datum.date, '%b %Y') : datum.{GRAIN} === 'week' ? {week} : {day}"


def day_tip(text: Translate) -> alt.Tooltip:
    """When the row is of."""
    return alt.Tooltip("when:N", title=text("charts.date"))


def in_runs(base: Drawing, *, along: str, groups: Sequence[str] = ()) -> Drawing:
    """The points of enough customers, in runs of neighbours: a line ends where a point is missing or thin.

    Adds `run`, which tells the runs of a group apart, and `run_points`, how many each has. How far neighbours stand apart is
    read off all points, the thin ones among them; months are 28 to 31 days.
    """
    by_place: dict[str, Any] = {"groupby": list(groups), "sort": [alt.SortField(along)]}
    return (
        base.transform_window(before=f"lag({along})", **by_place)
        .transform_calculate(apart=f"isValid(datum.before) ? datum.{along} - datum.before : null")
        .transform_joinaggregate(nearest="min(apart)")
        .transform_filter(f"isValid(datum.value) && {IS_SOLID}")
        .transform_window(before=f"lag({along})", **by_place)
        .transform_calculate(begins=f"isValid(datum.before) && datum.{along} - datum.before < 1.7 * datum.nearest ? 0 : 1")
        .transform_window(run="sum(begins)", **by_place)
        .transform_joinaggregate(run_points="count()", groupby=[*groups, "run"])
    )


def line(runs: alt.Chart, *, along: str = "date", groups: Sequence[str] = ()) -> alt.LayerChart:
    """A line through each run that is solid where final and dashed where provisional; a final point alone is a point."""
    bridged = runs.transform_window(next_provisional="lead(provisional)", groupby=[*groups, "run"], sort=[alt.SortField(along)])
    dashed = bridged.transform_filter(f"{IS_PROVISIONAL} || datum.next_provisional").mark_line(
        strokeWidth=2, strokeDash=list(DASH), opacity=0.8
    )
    final = runs.transform_filter(IS_FINAL)
    return layered(solid_line(final), dashed.encode(detail="run:N"), lone_points(final))


def solid_line(runs: alt.Chart, **mark: Any) -> alt.Chart:
    """A line through each run."""
    drawn: alt.Chart = runs.mark_line(strokeWidth=2, **mark)
    return drawn.encode(detail="run:N")


def lone_points(runs: alt.Chart) -> alt.Chart:
    """A point without neighbours, through which no line goes."""
    points: alt.Chart = runs.transform_filter(IS_ALONE).mark_point(size=28, filled=True, opacity=1)
    return points


def hover(
    base: alt.Chart, tips: Sequence[alt.Tooltip], *, along: str, groups: Sequence[str] = (), lists: bool = False, **mark: Any
) -> alt.LayerChart:
    """A point that follows the pointer and carries the tooltip; `along` is the column of the horizontal axis.

    The plot is laid out in rectangles, one a point: around its place across, and with `groups` down to the middles between its
    line and the next ones there. So the nearest place is caught, and of its points the nearest, at half the cost of a diagram of
    all points. With `lists` a click opens the customers behind the point.
    """
    near = alt.selection_point("near", on="pointerover", fields=[along, *groups], clear="pointerout")
    is_near = " && ".join([f"+near.{along}[0] === +datum.{along}", *(f"near.{name}[0] === datum.{name}" for name in groups)])
    at_pointer = base.transform_filter(f"near.{along} && {is_near}")  # cheaper than the selection's own test
    laid_out = base.transform_filter("isValid(datum.value)")
    places = laid_out.transform_joinaggregate(first=f"min({along})", last=f"max({along})", places=f"distinct({along})")
    laid_out = places.transform_calculate(half="0.55 * (datum.last - datum.first) / max(datum.places - 1, 1)")  # months differ
    left, right = (  # within the plot: what reaches beyond it would press the plot together
        f"datum.half ? {inner}({edge}, scale('x', +datum.{along} {sign} datum.half)) : {edge}"
        for sign, inner, edge in (("-", "max", "0"), ("+", "min", "width"))
    )
    top, bottom = "0", "height"
    if groups:
        laid_out = laid_out.transform_window(
            under="lag(value)", over="lead(value)", groupby=[along], sort=[alt.SortField("value")]
        )
        top, bottom = _middle("over", else_="0"), _middle("under", else_="height")
    if lists:
        laid_out = laid_out.transform_calculate(**list_of(along)).encode(href=f"{ADDRESS}:N")
    caught = laid_out.mark_rect(opacity=0, strokeWidth=0, cursor=CURSOR if lists else alt.Undefined)
    return layered(
        at_pointer.mark_point(size=60, filled=True, strokeWidth=0, opacity=1, **mark),
        caught.encode(
            x=alt.value(alt.expr(left)),
            x2=alt.value(alt.expr(right)),
            y=alt.value(alt.expr(top)),
            y2=alt.value(alt.expr(bottom)),
            tooltip=list(tips),
        ).add_params(near),
    )


def _middle(other: str, *, else_: str) -> str:
    """A Vega expression: the pixel between a row's value and another one's, or the edge where there is no other."""
    return f"isValid(datum.{other}) ? scale('y', (datum.value + datum.{other}) / 2) : {else_}"


def provisional_points(base: alt.Chart) -> alt.Chart:
    """Hollow points where the period is not over."""
    provisional = base.transform_filter(f"{IS_PROVISIONAL} && {IS_SOLID}")
    points: alt.Chart = provisional.mark_point(size=45, filled=False, strokeWidth=1.8)
    return points


def thin_points(base: alt.Chart, **mark: Any) -> alt.Chart:
    """Points that rest on fewer than 30 customers: pale, in the colour of their series, with a grey edge."""
    thin = base.transform_filter(IS_THIN)
    points: alt.Chart = thin.mark_point(size=34, filled=True, opacity=1, fillOpacity=PALE, strokeWidth=1, **mark)
    return points.encode(stroke=alt.value("gray"))


def band(runs: alt.Chart, *, groups: Sequence[str] = ()) -> alt.LayerChart:
    """The 95 % interval as a pale band along each run, and as an upright stroke where a point stands alone."""
    known = runs.transform_filter("isValid(datum.low)").encode(y=value_axis("low", "share"), y2="high:Q")
    alone = known.transform_filter(IS_ALONE).mark_rule(strokeWidth=3, opacity=0.35)
    return layered(
        known.mark_area(opacity=BAND, line=False).encode(detail="run:N"),
        alone if groups else alone.encode(color=alt.value("primary")),
    )
