"""Each chart is one Vega-Lite spec a language, built once with Altair and never changed: the browser redraws in place.

A spec names no data: the table comes beside it. Titles and captions stand outside, so that a filter changes data alone.
"""

from __future__ import annotations

from streamlit_app.charts.base import Chart, Text
from streamlit_app.charts.calibration import CALIBRATION
from streamlit_app.charts.changes import WHAT_CHANGED
from streamlit_app.charts.cohorts import RETENTION_COHORTS, RETENTION_COHORTS_BY_WEEK
from streamlit_app.charts.growth import GROWTH
from streamlit_app.charts.lines import (
    COUNT_BY_SERIES,
    COUNT_OVER_TIME,
    FIRST_TRANSACTION,
    RATIO_BY_SERIES,
    RATIO_OVER_TIME,
    RETENTION_CURVE,
    RETENTION_CURVE_BY_WEEK,
    RETENTION_CURVES,
    RETENTION_CURVES_BY_WEEK,
    SHARE_BY_SERIES,
    SHARE_BY_SERIES_BY_WEEK,
    SHARE_OVER_TIME,
    SURVIVAL,
)
from streamlit_app.charts.payments import AMOUNT_BY_TYPE, CARD_SHARE_BY_COUNTRY, CUSTOMERS_BY_ACTIVE_DAYS, TRANSACTIONS_BY_TYPE
from streamlit_app.charts.runs import RUN_DURATIONS
from streamlit_app.charts.stretches import STRETCHES
from streamlit_app.charts.tiles import CARD_SHARE_ON_A_MAP
from streamlit_app.charts.windows import COUNT_BY_WINDOW, SHARE_BY_WINDOW, USAGE_INTERVALS

ALL = (
    GROWTH,
    COUNT_OVER_TIME,
    COUNT_BY_SERIES,
    RATIO_BY_SERIES,
    RATIO_OVER_TIME,
    SHARE_OVER_TIME,
    SHARE_BY_SERIES,
    SHARE_BY_SERIES_BY_WEEK,
    RETENTION_COHORTS,
    RETENTION_COHORTS_BY_WEEK,
    RETENTION_CURVE,
    RETENTION_CURVE_BY_WEEK,
    RETENTION_CURVES,
    RETENTION_CURVES_BY_WEEK,
    SURVIVAL,
    FIRST_TRANSACTION,
    CUSTOMERS_BY_ACTIVE_DAYS,
    TRANSACTIONS_BY_TYPE,
    AMOUNT_BY_TYPE,
    CARD_SHARE_BY_COUNTRY,
    CARD_SHARE_ON_A_MAP,
    STRETCHES,
    COUNT_BY_WINDOW,
    SHARE_BY_WINDOW,
    USAGE_INTERVALS,
    CALIBRATION,
    WHAT_CHANGED,
    RUN_DURATIONS,
)

__all__ = [
    "ALL",
    "AMOUNT_BY_TYPE",
    "CALIBRATION",
    "CARD_SHARE_BY_COUNTRY",
    "CARD_SHARE_ON_A_MAP",
    "COUNT_BY_SERIES",
    "COUNT_BY_WINDOW",
    "COUNT_OVER_TIME",
    "CUSTOMERS_BY_ACTIVE_DAYS",
    "FIRST_TRANSACTION",
    "GROWTH",
    "RATIO_BY_SERIES",
    "RATIO_OVER_TIME",
    "RETENTION_COHORTS",
    "RETENTION_COHORTS_BY_WEEK",
    "RETENTION_CURVE",
    "RETENTION_CURVES",
    "RETENTION_CURVES_BY_WEEK",
    "RETENTION_CURVE_BY_WEEK",
    "RUN_DURATIONS",
    "SHARE_BY_SERIES",
    "SHARE_BY_SERIES_BY_WEEK",
    "SHARE_BY_WINDOW",
    "SHARE_OVER_TIME",
    "STRETCHES",
    "SURVIVAL",
    "TRANSACTIONS_BY_TYPE",
    "USAGE_INTERVALS",
    "WHAT_CHANGED",
    "Chart",
    "Text",
]
