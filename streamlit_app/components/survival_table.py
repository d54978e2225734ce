"""What the survival chart cannot say: by which day half of a group are lost, and how many are still followed later on."""

from __future__ import annotations

import pyarrow as pa
import streamlit as st

from streamlit_app import figures, formats
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import table
from streamlit_app.data import Answer
from streamlit_app.messages import t

FOLLOWED = (90, 180, 365, 730, 1460)  # days since the first active one


def show(answer: Answer) -> None:
    """One row a drawn group."""
    table.show((row(name, curve) for name, curve in figures.curves(answer.table)), names="churn.half")
    st.caption(t("churn.followed_means", days=", ".join(map(formats.number, FOLLOWED))))


def row(name: str, curve: pa.Table) -> dict[str, str]:
    """Of one curve: the group, its customers, the median with its interval, and how many are still followed later on.

    All of it is grey where they are fewer than 30.
    """
    median, low, high = figures.median_time(curve)
    (everyone,) = figures.at_risk(curve, [0]).values()
    followed = [t("churn.followed", day=day, n=formats.number(n)) for day, n in figures.at_risk(curve, FOLLOWED).items()]
    is_thin = everyone is not None and everyone < ENOUGH
    cells = {
        "group": formats.in_words(name),
        "customers": formats.number(everyone) + (f", {t('churn.thin')}" if is_thin else ""),
        "median": t("churn.not_reached") if median is None else _days(median),
        "interval": _interval(low, high),
        "followed": " · ".join(followed) or formats.NOTHING,
    }
    return {column: f":gray[{cell}]" if is_thin else cell for column, cell in cells.items()}


def _days(found: int | str) -> str:
    return t("common.withheld") if isinstance(found, str) else formats.days(found)


def _interval(low: int | str | None, high: int | str | None) -> str:
    if low is None:
        return formats.NOTHING
    if high is None:
        return t("churn.or_more", days=_days(low))
    if isinstance(low, str) or isinstance(high, str):
        return t("common.withheld")
    return f"{formats.number(low)}–{formats.days(high)}"
