"""Headline figures side by side: value, change, what it rests on, and its course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from streamlit_app import formats
from streamlit_app.charts import sparkline

Tone = Literal["good", "bad", "neutral"]
Colour = Literal["primary", "orange", "gray"]
COLOURS: dict[Tone, Colour] = {"good": "primary", "bad": "orange", "neutral": "gray"}


@dataclass(frozen=True)
class Kpi:
    """One headline figure, ready to be read.

    `change` is a signed text ("+3.1%"), `tone` whether it is welcome; `course` holds the values of the sparkline; `note`
    says for which period, compared with what, and how sure (interval, n); `target` how it stands to its target. A figure of
    too few to be judged, which its note says, is grey (`is_thin`).
    """

    label: str
    value: str
    change: str | None = None
    tone: Tone = "neutral"
    note: str | None = None
    course: Sequence[float] | None = None
    help: str | None = None
    target: str | None = None
    is_thin: bool = False


def show(kpis: Sequence[Kpi]) -> None:
    """Draw the figures as a row that wraps on a narrow screen."""
    grid = st.grid(4, min_column_width=150, gap="small", border=True)
    for kpi in kpis:
        with grid.cell():
            st.metric(
                kpi.label,
                f":gray[{kpi.value}]" if kpi.is_thin else kpi.value,
                delta=kpi.change,
                delta_color=COLOURS[kpi.tone],
                delta_arrow=_arrow(kpi.change),
                help=kpi.help,
            )
            if kpi.course:
                st.html(sparkline.html(kpi.course))
            if kpi.note:
                st.markdown(f":gray[:small[{kpi.note}]]")  # a caption fades the link in it
            if kpi.target:
                st.caption(kpi.target)


def tone(change: float | None, *, good: Literal["up", "down", "neither"]) -> Tone:
    """Whether a change is welcome."""
    if not change or good == "neither":
        return "neutral"
    return "good" if (change > 0) == (good == "up") else "bad"


def _arrow(change: str | None) -> Literal["up", "down", "off"]:
    if change is None:
        return "off"
    return "up" if change.startswith("+") else "down" if change.startswith(formats.MINUS) else "off"
