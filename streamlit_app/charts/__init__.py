"""Each chart is one Vega-Lite spec a language, built once with Altair and never changed: the browser then redraws in place.

A chart names no data: the table comes beside it. Titles and captions stand outside, so that a filter changes data alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import altair as alt

from streamlit_app.charts.locale import LOCALES


class Text(Protocol):
    """Finds a text by key and language."""

    def __call__(self, key: str, language: str, /, **values: object) -> str: ...


@dataclass(frozen=True)
class Chart:
    """One kind of drawing: `build` gets a function from key to text and gives the Altair chart."""

    name: str
    build: Callable[[Callable[[str], str]], alt.TopLevelMixin]

    def spec(self, language: str, text: Text) -> Mapping[str, Any]:
        """The constant spec in one language."""
        return _spec(self, language, text)


@cache
def _spec(chart: Chart, language: str, text: Text) -> Mapping[str, Any]:
    built = chart.build(lambda key: text(key, language)).to_dict()
    for name in ("$schema", "data", "datasets"):
        built.pop(name, None)
    built["config"] = {"locale": LOCALES[language]}
    return built
