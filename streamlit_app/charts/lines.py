"""Figures over time: solid where final, dashed and hollow where provisional, with the interval as a pale band."""

from __future__ import annotations

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate, Unit

POINT_COLUMNS = ("date", "value", "n", "low", "high", "final_on", "provisional")
CURVE_COLUMNS = ("period", "value", "n", "low", "high")


def _over_time(text: Translate, *, unit: Unit, series: bool) -> alt.LayerChart:
    base = marks.explained(marks.drawn(), text, unit, columns=POINT_COLUMNS).encode(
        x=marks.over_time(), y=marks.value_axis("value", unit)
    )
    if series:
        base = base.encode(color=marks.by_series())
    first = [marks.day_tip(text)] + ([alt.Tooltip("series:N", title=text("charts.series"))] if series else [])
    tips = marks.tooltip(text, first=first, interval=unit == "share")
    layers = [marks.line(base, groups=["series"] if series else []), marks.provisional_points(base), marks.thin_points(base)]
    if unit == "share":
        layers.insert(0, marks.band(base))
    layers.append(marks.hover(base, tips, along="date", groups=["series"] if series else []))
    return alt.layer(*layers).properties(height=marks.HEIGHT)


def _survival(text: Translate) -> alt.LayerChart:
    base = marks.explained(marks.drawn(), text, "share", columns=POINT_COLUMNS).encode(
        x=alt.X("tenure_days:Q", title=text("charts.tenure"), axis=alt.Axis(grid=False, domain=True, tickCount=10, format=",d")),
        y=marks.value_axis("value", "share"),
        color=marks.by_series(),
    )
    tips = marks.tooltip(
        text,
        first=[
            alt.Tooltip("tenure_days:Q", title=text("charts.tenure"), format=","),
            alt.Tooltip("series:N", title=text("charts.series")),
        ],
        interval=True,
    )
    return alt.layer(
        marks.band(base, shape="step-after"),
        marks.line(base, along="tenure_days", groups=["series"], shape="step-after"),
        marks.thin_points(base),
        marks.hover(base, tips, along="tenure_days", groups=["series"]),
    ).properties(height=300)


def _retention_curve(text: Translate, *, series: bool = False) -> alt.LayerChart:
    base = marks.explained(marks.drawn(), text, "share", columns=CURVE_COLUMNS).encode(
        x=alt.X("period:Q", title=text("charts.period"), axis=alt.Axis(grid=False, domain=True, tickMinStep=1)),
        y=marks.value_axis("value", "share"),
    )
    first = [alt.Tooltip("period:Q", title=text("charts.period"))]
    if series:
        base = base.encode(color=marks.by_series())
        first.append(alt.Tooltip("series:N", title=text("charts.series")))
    tips = marks.tooltip(text, first=first, interval=True, state=False)
    return alt.layer(
        marks.band(base),
        base.transform_filter(marks.IS_SOLID).mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28)),
        marks.thin_points(base),
        marks.hover(base, tips, along="period", groups=["series"] if series else []),
    ).properties(height=marks.HEIGHT)


COUNT_OVER_TIME = Chart("count_over_time", POINT_COLUMNS, lambda text: _over_time(text, unit="count", series=False))
COUNT_BY_SERIES = Chart("count_by_series", (*POINT_COLUMNS, "series"), lambda text: _over_time(text, unit="count", series=True))
RATIO_OVER_TIME = Chart("ratio_over_time", POINT_COLUMNS, lambda text: _over_time(text, unit="ratio", series=False))
RATIO_BY_SERIES = Chart("ratio_by_series", (*POINT_COLUMNS, "series"), lambda text: _over_time(text, unit="ratio", series=True))
SHARE_OVER_TIME = Chart("share_over_time", POINT_COLUMNS, lambda text: _over_time(text, unit="share", series=False))
SHARE_BY_SERIES = Chart("share_by_series", (*POINT_COLUMNS, "series"), lambda text: _over_time(text, unit="share", series=True))
RETENTION_CURVE = Chart("retention_curve", CURVE_COLUMNS, _retention_curve)
RETENTION_CURVES = Chart("retention_curves", (*CURVE_COLUMNS, "series"), lambda text: _retention_curve(text, series=True))
SURVIVAL = Chart("survival", ("tenure_days", "series", *POINT_COLUMNS[1:]), _survival)
