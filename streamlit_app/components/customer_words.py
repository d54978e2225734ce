"""One customer in words: why the state is what it is, and the way there, stretch by stretch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median_low
from typing import Any, Literal

from streamlit_app import data, formats
from streamlit_app.data import Customer
from streamlit_app.messages import t

STRETCHES_TOLD, PAUSES_TOLD = 6, 5
SHORT_PAUSE = 7  # days: what no window calls a lapse, unless N itself is set below it


@dataclass(frozen=True)
class Pause:
    """The days from one active day to the next, or to the last loaded day where none has come.

    `meaning` is `lapse`, `bridged` (no longer than N) or `open` (may still become a lapse).
    """

    last: date
    returned: date | None
    days: int
    meaning: Literal["lapse", "bridged", "open"]


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


def rhythm(customer: Customer) -> str:
    """How far apart the customer's active days are, in words; empty where there are fewer than three or they are not known."""
    days = customer.active_days or ()
    if len(days) < 3:
        return ""
    pauses = _ended(days)
    longest = max(pauses, key=lambda pause: pause.days)
    values = {"days": formats.days(median_low(pause.days for pause in pauses)), "longest": formats.days(longest.days)}
    return t("customers.rhythm", start=formats.day(longest.last), end=formats.day(longest.returned), **values)


def longest_pauses(customer: Customer) -> list[Pause]:
    """The customer's longest pauses of more than a week, or lapses, the one that goes on among them; the longest first."""
    days, as_of = customer.active_days or (), customer.facts["as_of"]
    pauses = _ended(days)
    if days:
        silent = (as_of - days[-1]).days
        pauses.append(Pause(days[-1], None, silent, "open" if silent < data.published().inactivity_days else "lapse"))
    long = [pause for pause in pauses if pause.days > SHORT_PAUSE or pause.meaning == "lapse"]
    return sorted(long, key=lambda pause: (-pause.days, pause.last))[:PAUSES_TOLD]


def _ended(days: Sequence[date]) -> list[Pause]:
    window = data.published().inactivity_days
    apart = [(last, returned, (returned - last).days) for last, returned in pairwise(days)]
    return [Pause(last, returned, gap, "lapse" if gap > window else "bridged") for last, returned, gap in apart]


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
