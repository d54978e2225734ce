"""Targets in words: what is to be reached, whether it is, and by how much."""

from __future__ import annotations

from pipeline.marts.question import by_dimension
from streamlit_app import formats, segments, targets
from streamlit_app.data_kept import Target
from streamlit_app.messages import t


def label(target: Target, unit: str) -> str:
    """What is to be reached, short, for a line on a chart."""
    return t("targets.label", target=wanted(target, unit))


def wanted(target: Target, unit: str) -> str:
    """A value and its direction: 18,000 or more."""
    return t("targets.at_most" if target.metric in targets.LESS_IS_GOOD else "targets.at_least", value=_value(unit, target.value))


def against(target: Target, unit: str, value: float | None) -> str:
    """How a figure stands to its target; only the target where the figure is not known."""
    if value is None:
        return t("targets.open", target=wanted(target, unit))
    found = targets.standing(target, value)
    told = "targets.reached" if found.reached else "targets.missed"
    return t(told, target=wanted(target, unit), distance=_distance(unit, found.distance))


def segment(target: Target) -> str:
    """Whom a target is for, and under which N."""
    values = [segments.values_in_words(name, values) for name, values in by_dimension(target.where).items()]
    whom = ", ".join(values) or t("common.dimensions.all")
    return whom if target.window is None else f"{whom} · {t('common.window_of', window=formats.days(target.window))}"


def _value(unit: str, value: float) -> str:
    return formats.share(value) if unit == "share" else formats.decimal(value) if unit == "ratio" else formats.number(value)


def _distance(unit: str, distance: float) -> str:
    return t("common.points", value=formats.decimal(distance * 100, 1)) if unit == "share" else _value(unit, distance)
