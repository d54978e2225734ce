"""One customer in words: why the state is what it is, and the way there, stretch by stretch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from streamlit_app import data, formats
from streamlit_app.data import Customer
from streamlit_app.messages import t

STRETCHES_TOLD = 6


def why(customer: Customer) -> str:
    """Why the customer's state is what it is, in words."""
    facts, version = customer.facts, data.published()
    last, days = facts["last_active_day"], version.inactivity_days
    values = {
        "as_of": formats.day(facts["as_of"]),
        "window": formats.days(days),
        "silent": formats.days(facts["days_silent"]),
        "opened": formats.day(facts["opening_date"]),
        "last": formats.day(last),
    }
    if last is None:
        return t("customers.why_never", **values)
    recognised = formats.day(last + timedelta(days=days))
    sentence = t("customers.why_active" if facts["is_active"] else "customers.why_inactive", recognised=recognised, **values)
    times = facts["lapses"] - (not facts["is_active"])
    returned = t("customers.returned", times=times, first=formats.day(facts["first_active_day"])) if times else ""
    return f"{sentence} {returned}"


def way(customer: Customer) -> list[str]:
    """The customer's stretches in words, oldest first; of many the first and the last ones, and how many lie between."""
    told = [_stretch(stretch) for stretch in customer.stretches.to_pylist()]
    if len(told) <= STRETCHES_TOLD:
        return told
    half = STRETCHES_TOLD // 2
    return [*told[:half], t("customers.way.between", n=formats.number(len(told) - 2 * half)), *told[-half:]]


def _stretch(stretch: Mapping[str, Any]) -> str:
    kind = "active" if stretch["is_active"] else "silent"
    start, end = stretch["starting_date"], stretch["ending_date"]
    if end is None:
        return t(f"customers.way.{kind}_open", start=formats.day(start))
    days = formats.days((end - start).days + 1)
    return t(f"customers.way.{kind}", start=formats.day(start), end=formats.day(end), days=days)
