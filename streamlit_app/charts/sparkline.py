"""The course of a headline figure as a picture of one line: it comes with the page, and no engine has to start for it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

WIDTH, HEIGHT, MARGIN = 100, 24, 2  # units of the drawing; it is stretched to the width that there is
PIXELS = 32
COLOUR = "#3c93af"  # between the measured blue of the light theme and that of the dark one: a picture does not know which is on


def html(values: Sequence[float]) -> str:
    """The picture as an element of a page; Streamlit lets no drawing through, but its pictures.

    A screen reader passes it by: the figure beside it, its change and the period before are words.
    """
    return f'<img alt="" src="data:image/svg+xml,{quote(svg(values))}" style="width:100%;height:{PIXELS}px;display:block">'


def svg(values: Sequence[float]) -> str:
    """Values from left to right, from their least at the bottom to their greatest on top; a level course stands in the middle.

    No area is filled: its height would be measured from a floor that is not zero.
    """
    least, span = min(values), max(values) - min(values)
    step = WIDTH / max(len(values) - 1, 1)
    heights = [(value - least) / span if span else 0.5 for value in values]
    corners = ((place * step, HEIGHT - MARGIN - height * (HEIGHT - 2 * MARGIN)) for place, height in enumerate(heights))
    line = " ".join(f"{across:.1f},{down:.1f}" for across, down in corners)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">'
        f'<polyline points="{line}" fill="none" stroke="{COLOUR}" stroke-width="1.5" stroke-linejoin="round"'
        ' vector-effect="non-scaling-stroke"/></svg>'
    )
