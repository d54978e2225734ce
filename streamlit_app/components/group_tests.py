"""Whether groups really differ, in words: premium against standard, and the curves of the survival chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pipeline.marts.survival import ENOUGH, Compared
from pipeline.statistics import difference_of_shares
from streamlit_app import data, figures, formats
from streamlit_app.data import Answer
from streamlit_app.messages import t

TIERS = ("standard", "premium")
SMALLEST_SHOWN = 0.001


def tiers(answer: Answer) -> None:
    """Premium against standard in the last month that is final, where the answer is split by tier."""
    if answer.question.by == "plan_tier":
        text = tiers_in_words(answer)
        if text:
            st.markdown(text)


def tiers_in_words(answer: Answer) -> str:
    """Both rates, their difference and its interval; empty where a final month with both is not there, not known or withheld."""
    final = figures.final(answer.table)
    if not final.num_rows:
        return t("churn.tiers.no_month")
    months: dict[Any, dict[str, Any]] = {}
    for row in final.to_pylist():
        if row["n"] and row["value"] is not None:
            months.setdefault(row["date"], {})[row["plan_tier"]] = row
    both = [month for month, rows in months.items() if set(TIERS) <= rows.keys()]
    if not both:
        return ""
    standard, premium = (months[max(both)][tier] for tier in TIERS)
    points, low, high = difference_of_shares((premium["churned"], standard["churned"]), (premium["n"], standard["n"]))
    thin = min(standard["n"], premium["n"]) < ENOUGH
    verdict = "thin" if thin else "fewer" if high < 0 else "more" if low > 0 else "open"
    return " ".join(
        [
            t("churn.tiers.rates", month=formats.month(max(both)), premium=_rate(premium), standard=_rate(standard)),
            t(
                "churn.tiers.difference",
                points=formats.signed_points(points),
                low=formats.signed_points(low),
                high=formats.signed_points(high),
            ),
            t(f"churn.tiers.{verdict}"),
        ]
    )


def _rate(row: dict[str, Any]) -> str:
    return t(
        "churn.tiers.rate",
        share=formats.share(row["value"]),
        interval=formats.interval(row["low"], row["high"]),
        n=formats.number(row["n"]),
    )


def survival(answer: Answer, groups: Sequence[str], *, more: str = "") -> None:
    """The log-rank test between the groups that are drawn, where the answer is split, and what `more` is to be said of it."""
    dimension = answer.question.by
    if dimension is not None:
        st.caption(survival_in_words(data.survival_compared(answer.question, groups=tuple(groups)), dimension) + more)


def survival_in_words(compared: Compared, dimension: str) -> str:
    """What the test says, and of which groups."""
    left_out = (
        t("churn.log_rank.left_out", groups=_named(compared.left_out, dimension), least=ENOUGH) if compared.left_out else ""
    )
    if compared.too_young:
        left_out = f"{left_out} {t('churn.log_rank.too_young', groups=_named(compared.too_young, dimension))}".strip()
    test = compared.test
    if test is None:
        return f"{t('churn.log_rank.none')} {left_out}".strip()
    probability = (
        t("churn.log_rank.below", value=formats.decimal(SMALLEST_SHOWN, 3))
        if test.p_value < SMALLEST_SHOWN
        else t("churn.log_rank.equals", value=formats.decimal(test.p_value, 3))
    )
    verdict = t("churn.log_rank.differ" if test.p_value < 0.05 else "churn.log_rank.open")
    told = t(
        "churn.log_rank.told",
        groups=_named(compared.groups, dimension),
        statistic=formats.decimal(test.statistic, 1),
        degrees=test.degrees_of_freedom,
        probability=probability,
    )
    return f"{told} {verdict} {left_out}".strip()


def _named(groups: Sequence[str], dimension: str) -> str:
    return ", ".join(formats.in_words(formats.dimension_value(dimension, group)) for group in groups)
