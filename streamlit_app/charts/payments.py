"""Bars: transactions and amounts by month and type, customers by active days; and shares with their interval by country."""

from __future__ import annotations

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate, Unit

MONTHLY_COLUMNS = ("date", "series", "rank", "value", "final_on", "provisional", marks.GRAIN)
ZERO_AS_ZERO = "datum.value === 0 ? '0' : datum.label"  # and not 0M
DAYS_COLUMNS = ("date", "active_days", "value", marks.LIST)
COUNTRY_COLUMNS = ("series", "value", "n", "low", "high", "unknown")


def _by_month_and_type(text: Translate, *, unit: Unit) -> alt.Chart:
    bars: alt.Chart = marks.explained(marks.drawn(), text, unit, columns=MONTHLY_COLUMNS).mark_bar()
    return bars.encode(
        x=alt.X("yearmonth(date):T", title=None, axis=marks.time_axis("month"), bandPosition=0.5),
        y=alt.Y(
            "value:Q",
            title=None,
            stack=True,
            axis=alt.Axis(format=marks.AXIS_FORMATS[unit], tickCount=5, labelExpr=ZERO_AS_ZERO),
        ),
        color=marks.by_series("square", columns=2),
        order=alt.Order("rank:Q"),
        opacity=alt.condition("datum.provisional", alt.value(marks.FADED), alt.value(1)),
        tooltip=marks.tooltip(text, first=[marks.day_tip(text), alt.Tooltip("series:N", title=text("charts.series"))], unit=unit),
    ).properties(height=marks.HEIGHT)


def _by_active_days(text: Translate) -> alt.Chart:
    base = marks.explained(marks.drawn(), text, "count", columns=DAYS_COLUMNS)
    listed = base.transform_calculate(**marks.list_of("date", period="active_days"))
    bars: alt.Chart = listed.mark_bar(cornerRadiusTopLeft=1, cornerRadiusTopRight=1, cursor=marks.CURSOR)
    return bars.encode(
        href=f"{marks.ADDRESS}:N",
        x=alt.X("active_days:O", title=text("charts.active_days"), axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=marks.value_axis("value", "count"),
        tooltip=marks.tooltip(
            text, first=[alt.Tooltip("active_days:O", title=text("charts.active_days"))], unit="count", state=False
        ),
    ).properties(height=marks.HEIGHT)


def _by_country(text: Translate) -> alt.LayerChart:
    base = marks.explained(marks.drawn(), text, "share", columns=COUNTRY_COLUMNS).encode(
        y=alt.Y("series:N", title=None, sort=None, axis=alt.Axis(labelLimit=160, domain=False)),
        x=alt.X(
            "value:Q",
            title=None,
            scale=alt.Scale(zero=False),
            axis=alt.Axis(format=marks.AXIS_FORMATS["share"], tickCount=5, grid=True),
        ),
        tooltip=[
            *marks.tooltip(text, first=[alt.Tooltip("series:N", title=text("charts.series"))], unit="share", state=False),
            alt.Tooltip("unknown:Q", title=text("charts.unknown"), format=","),
        ],
    )
    spread = base.encode(x="low:Q", x2="high:Q")
    return marks.layered(
        spread.transform_filter(marks.IS_SOLID).mark_rule(strokeWidth=3, opacity=0.35).encode(color=alt.value("primary")),
        base.transform_filter(marks.IS_SOLID).mark_point(filled=True, size=55, opacity=1),
        spread.transform_filter(marks.IS_THIN).mark_rule(strokeWidth=3, opacity=0.25).encode(color=alt.value("gray")),
        base.transform_filter(marks.IS_THIN).mark_point(filled=True, size=55, opacity=0.6).encode(color=alt.value("gray")),
    ).properties(height=alt.Step(22))


TRANSACTIONS_BY_TYPE = Chart("transactions_by_type", MONTHLY_COLUMNS, lambda text: _by_month_and_type(text, unit="count"))
AMOUNT_BY_TYPE = Chart("amount_by_type", MONTHLY_COLUMNS, lambda text: _by_month_and_type(text, unit="usd"))
CUSTOMERS_BY_ACTIVE_DAYS = Chart("customers_by_active_days", DAYS_COLUMNS, _by_active_days)
CARD_SHARE_BY_COUNTRY = Chart("card_share_by_country", COUNTRY_COLUMNS, _by_country)
