"""How the drawn numbers and dates are written, a language: d3's locale definitions, with the names taken from Babel."""

from __future__ import annotations

from typing import Any

from babel import Locale


def _definition(name: str, *, number: dict[str, Any], formats: dict[str, str]) -> dict[str, Any]:
    locale = Locale.parse(name)
    months, days = locale.months["format"], locale.days["format"]
    week = (6, 0, 1, 2, 3, 4, 5)  # d3 begins on Sunday, Babel on Monday
    time = formats | {
        "periods": ["AM", "PM"],
        "days": [days["wide"][day] for day in week],
        "shortDays": [days["abbreviated"][day] for day in week],
        "months": [months["wide"][month] for month in range(1, 13)],
        "shortMonths": [months["abbreviated"][month] for month in range(1, 13)],
    }
    return {"number": number, "time": time}


LOCALES = {
    "en": _definition(
        "en_GB",
        number={"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["$", ""]},
        formats={"dateTime": "%a %e %b %Y %X", "date": "%d/%m/%Y", "time": "%H:%M:%S"},
    ),
    "fr": _definition(
        "fr_FR",
        number={"decimal": ",", "thousands": "\u202f", "grouping": [3], "currency": ["", "\u00a0$"], "percent": "\u202f%"},
        formats={"dateTime": "%A %e %B %Y à %X", "date": "%d/%m/%Y", "time": "%H:%M:%S"},
    ),
}
