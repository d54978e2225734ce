"""The drawing of a headline figure's course, against places worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from streamlit_app.charts import sparkline


def places(values: Sequence[float]) -> list[tuple[float, float]]:
    """The corners of the drawn line, from left to right."""
    drawing = ElementTree.fromstring(sparkline.svg(values))
    (line,) = (part for part in drawing if part.tag.endswith("polyline"))
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", line.attrib["points"])]


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0, 5, 10], [(0, 22), (50, 12), (100, 2)]),  # 24 high, 2 of margin on top and below
        ([-3, -1, -3, -2], [(0, 22), (33.3, 2), (66.7, 22), (100, 12)]),
        ([7, 7], [(0, 12), (100, 12)]),
        ([7], [(0, 12)]),
    ],
)
def test_the_line_goes_from_least_to_greatest_over_the_whole_width(
    values: Sequence[float], drawn: list[tuple[float, float]]
) -> None:
    assert places(values) == drawn


def test_the_picture_carries_the_drawing_and_a_screen_reader_passes_it_by() -> None:
    picture = re.fullmatch(r'<img alt="" src="data:image/svg\+xml,([^"<>]+)" style="[^"]+">', sparkline.html([1, 2]))
    assert picture is not None
    assert unquote(picture[1]) == sparkline.svg([1, 2])
