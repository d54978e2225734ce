"""What people keep about the figures, drawn over a chart: the days that have a note, and the line of a target.

The layers read tables of their own (NOTES, TARGETS) beside the drawn one, and are there only where those have rows: a spec
without them is the chart's constant one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import altair as alt

from streamlit_app.charts.base import Chart, Text
from streamlit_app.charts.marks import PAGE_INK

NOTES, TARGETS = "notes", "targets"
NOTE_COLUMNS, TARGET_COLUMNS = ("day", "note"), ("value", "label")
# Every chart over calendar time, by name: the column of its table that says when.
OVER_TIME: Mapping[str, str] = {
    **dict.fromkeys(("growth", "count_over_time", "count_by_series", "ratio_over_time", "ratio_by_series"), "date"),
    **dict.fromkeys(("share_over_time", "share_by_series", "share_by_series_by_week"), "date"),
    **dict.fromkeys(("transactions_by_type", "amount_by_type"), "date"),
    "stretches": "starting_date",
}
OUTSIDE = ("padding", "config", "height", "params", "usermeta")  # what belongs to the whole drawing, not to a layer of it


@cache
def spec(chart: Chart, language: str, text: Text, *, notes: bool, target: bool) -> Mapping[str, Any]:
    """The chart's constant spec with the layers that are asked for on top of it."""
    whole = chart.spec(language, text)
    if not notes and not target:
        return whole
    more = [
        *(_target() if target else ()),
        *(_notes(text("charts.day", language), text("charts.note", language)) if notes else ()),
    ]
    layers = [layer.to_dict(validate=False) for layer in more]
    for layer in layers:
        for name in ("$schema", "config", "datasets"):
            layer.pop(name, None)
    own = {name: part for name, part in whole.items() if name not in OUTSIDE}
    return {**{name: whole[name] for name in OUTSIDE if name in whole}, "layer": [own, *layers]}


def _notes(day: str, note: str) -> tuple[alt.Chart, ...]:
    """An upright line on each day, with a mark on top that carries the words."""
    base = alt.Chart(alt.NamedData(NOTES)).encode(
        x=alt.X("day:T", title=None),
        color=alt.value("gray"),
        tooltip=[alt.Tooltip("day:T", title=day, format="%-d %b %Y"), alt.Tooltip("note:N", title=note)],
    )
    return (
        base.mark_rule(strokeWidth=1, strokeDash=[2, 3]),
        base.mark_point(shape="triangle-down", size=110, filled=True, opacity=1, yOffset=3).encode(y=alt.value(0)),
    )


def _target() -> tuple[alt.Chart, ...]:
    """A level line with its words at the left."""
    base = alt.Chart(alt.NamedData(TARGETS)).encode(y=alt.Y("value:Q", title=None))
    words = base.mark_text(align="left", baseline="bottom", dx=4, dy=-3, fontSize=11, color=alt.expr(PAGE_INK))
    return (
        base.mark_rule(strokeWidth=1.5, strokeDash=[8, 4]).encode(color=alt.value("blue")),
        words.encode(x=alt.value(0), text="label:N"),
    )
