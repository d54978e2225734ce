"""The course of a headline figure as a drawing of one line: it stands in the page as it is, and no engine has to start for it."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, MARGIN = 100, 24, 2  # units of the drawing; it is stretched to the width that there is


def svg(values: Sequence[float]) -> str:
    """Values from left to right, from their least at the bottom to their greatest on top; a level course stands in the middle.

    The colour is that of the text around it, so that it follows the theme. A screen reader passes it by: the figure beside it,
    its change and the period before are words.
    """
    least, span = min(values), max(values) - min(values)
    step = WIDTH / max(len(values) - 1, 1)
    heights = [(value - least) / span if span else 0.5 for value in values]
    points = [
        f"{place * step:.1f},{HEIGHT - MARGIN - height * (HEIGHT - 2 * MARGIN):.1f}" for place, height in enumerate(heights)
    ]
    line = " ".join(points)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" width="100%" height="32" aria-hidden="true">'
        f'<polygon points="0,{HEIGHT} {line} {WIDTH},{HEIGHT}" fill="currentColor" opacity="0.06"/>'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" opacity="0.65"'
        ' vector-effect="non-scaling-stroke"/></svg>'
    )
