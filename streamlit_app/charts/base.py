"""A chart: one constant spec a language, built once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

import altair as alt
from altair.utils.schemapi import debug_mode

from streamlit_app.charts.locale import LOCALES
from streamlit_app.charts.marks import DRAWN, Translate

PADDING = {"left": 0, "top": 4, "right": 6, "bottom": 2}
# Streamlit draws an SVG of one element a point, unless it can count the points, which it cannot where a spec computes columns.
DRAWN_BY = {"embedOptions": {"renderer": "canvas"}}
CONFIG: dict[str, Any] = {
    "axis": {"labelPadding": 6, "titlePadding": 8},
    "axisY": {"labelFlush": False},
    # no words for each point that only an SVG would carry: what is drawn is a picture, with the title as its name; and what a
    # mark tells under the pointer is what it says itself
    "mark": {"aria": False, "tooltip": False},
    "legend": {"labelFontSize": 12, "titleFontSize": 0, "titlePadding": 0},  # no legend has a title
}


class Text(Protocol):
    """Finds a text by key and language."""

    def __call__(self, key: str, language: str, /, **values: object) -> str: ...

    def __hash__(self) -> int: ...  # specs are kept by it


@dataclass(frozen=True)
class Chart:
    """One kind of drawing: `build` gets a function from key to text and gives the Altair chart.

    `columns` are those that the table must have; the spec names no others. `provisional` and `thin` say how points that may
    still change and points of fewer than 30 are drawn, where the columns tell of them: the caption names it. Where the
    vertical axis `is_of_solid`, a point of fewer than 30 above all others and their intervals is a triangle at its upper end.
    """

    name: str
    columns: tuple[str, ...]
    build: Callable[[Translate], alt.TopLevelMixin]
    provisional: Literal["dashed", "faded", "hatched"] = "faded"
    thin: Literal["grey", "grey_cells", "pale"] = "grey"
    is_of_solid: bool = False

    def spec(self, language: str, text: Text) -> Mapping[str, Any]:
        """The constant spec in one language."""
        return _spec(self, language, text)


@cache
def _spec(chart: Chart, language: str, text: Text) -> Mapping[str, Any]:
    with debug_mode(False):  # Altair's checks of itself take most of a second a chart; the tests build with them
        built: dict[str, Any] = chart.build(lambda key: text(key, language)).to_dict(validate=False)
    for name in ("$schema", "datasets"):
        built.pop(name, None)
    return _without_its_own_table(built) | {
        "usermeta": DRAWN_BY,
        "padding": PADDING,
        "config": CONFIG | {"locale": LOCALES[language]},
    }


def _without_its_own_table(part: dict[str, Any]) -> dict[str, Any]:
    """The drawn table is that of the whole chart: a layer that names it too would be looked for by name."""
    kept = {name: value for name, value in part.items() if (name, value) != ("data", {"name": DRAWN})}
    return kept | ({"layer": [_without_its_own_table(layer) for layer in part["layer"]]} if "layer" in part else {})
