"""The customers that a figure is about, as a page, a data file and the name of a file say them."""

from __future__ import annotations

import re

from streamlit_app import formats
from streamlit_app.messages import t

Where = tuple[tuple[str, str], ...]
Countries = tuple[str, ...] | None
FEW = 3  # countries that a caption names one by one


def in_words(where: Where, countries: Countries = None) -> str:
    """For readers: "Country: France, Plan: Metal"; nothing for everybody. `countries` are those that the reader sees."""
    parts = [
        f"{t(f'common.dimensions.{name}')}: {formats.in_words(formats.dimension_value(name, value))}" for name, value in where
    ]
    if confines(where, countries):
        names = [formats.country(country) for country in countries or ()]
        told = ", ".join(names) if len(names) <= FEW else t("common.countries_seen", count=formats.number(len(names)))
        parts.insert(0, f"{t('common.dimensions.country')}: {told or formats.NOTHING}")
    return ", ".join(parts)


def in_codes(where: Where, countries: Countries = None) -> str:
    """For data files: "country=FR; plan=METAL", and "country=FR|GB" for who sees two; nothing for everybody."""
    seen = [f"country={'|'.join(countries or ())}"] if confines(where, countries) else []
    return "; ".join([*seen, *(f"{name}={value}" for name, value in where)])


def in_a_name(where: Where) -> str:
    """For the name of a file: "-FR-METAL"; nothing for everybody."""
    return "".join(f"-{_plain(f'{name}_{value}' if value == 'unknown' else value)}" for name, value in where)


def confines(where: Where, countries: Countries) -> bool:
    """Whether the reader's own countries are what bounds a figure, and no country was asked for."""
    return countries is not None and "country" not in dict(where)


def _plain(value: str) -> str:
    return re.sub(r"[^\w.-]+", "_", value)
