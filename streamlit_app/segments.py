"""The customers that a figure is about, as a page, a data file and the name of a file say them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.marts.question import Where, by_dimension
from streamlit_app import formats
from streamlit_app.messages import named, t

Countries = tuple[str, ...] | None
FEW = 3  # countries that a caption names one by one, values that the name of a file does


def in_words(where: Where, countries: Countries = None) -> str:
    """For readers: "Country: France or Spain, Plan: Metal"; nothing for everybody. `countries` are those that the reader sees."""
    parts = [named(t(f"common.dimensions.{name}"), values_in_words(name, values)) for name, values in by_dimension(where).items()]
    if confines(where, countries):
        names = [formats.country(country) for country in countries or ()]
        told = ", ".join(names) if len(names) <= FEW else t("common.countries_seen", n=formats.number(len(names)))
        parts.insert(0, named(t("common.dimensions.country"), told or formats.NOTHING))
    return ", ".join(parts)


def values_in_words(dimension: str, values: Sequence[str]) -> str:
    """Values of a dimension as alternatives: "France, Germany or Spain"."""
    return formats.either([formats.in_words(formats.dimension_value(dimension, value)) for value in values])


def values_alone(where: Where) -> str:
    """The same short, without the names of the dimensions: "France or Spain · Metal"; nothing for everybody."""
    return " · ".join(values_in_words(name, values) for name, values in by_dimension(where).items())


def as_drawn(where: Where) -> str:
    """The same for a chart, which reads every name as it stands."""
    chosen = by_dimension(where).items()
    return " · ".join(formats.either([formats.dimension_value(name, value) for value in values]) for name, values in chosen)


def in_an_address(where: Where) -> dict[str, str | list[str]]:
    """For an address, the audit log and a workbook's list of filters: the value of each dimension, or the list of several."""
    return {name: values[0] if len(values) == 1 else list(values) for name, values in by_dimension(where).items()}


def in_codes(where: Where, countries: Countries = None) -> str:
    """For data files: "country=ES|FR; plan=METAL", and "country=FR|GB" for who sees two; nothing for everybody."""
    seen = [f"country={'|'.join(countries or ())}"] if confines(where, countries) else []
    return "; ".join([*seen, *(f"{name}={'|'.join(values)}" for name, values in by_dimension(where).items())])


def in_a_name(where: Where) -> str:
    """For the name of a file: "-ES_FR-METAL", and "-12_country" of many values; nothing for everybody."""
    return "".join(f"-{_in_a_name(name, values)}" for name, values in by_dimension(where).items())


def _in_a_name(dimension: str, values: Sequence[str]) -> str:
    if len(values) > FEW:
        return f"{len(values)}_{dimension}"
    return "_".join(_plain(f"{dimension}_{value}" if value == "unknown" else value) for value in values)


def confines(where: Where, countries: Countries) -> bool:
    """Whether the reader's own countries are what bounds a figure, and no country was asked for."""
    return countries is not None and "country" not in dict(where)


def _plain(value: str) -> str:
    return re.sub(r"[^\w.-]+", "_", value)
