"""The notes and the target that belong on a drawn chart, and the notes in words beneath it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from pipeline.marts import Answer
from pipeline.marts.activity import FLOWS
from streamlit_app import data, data_kept, figures, formats, messages, targets
from streamlit_app.charts import Chart, marked, marks
from streamlit_app.components import target_words
from streamlit_app.data_kept import Annotation, Target

# What a chart is about where it draws more than the metric of its answer, by the key of its card.
ABOUT: Mapping[str, tuple[str, ...]] = {
    "growth": FLOWS,
    "rolling": ("mau", "wau", "dau"),
}


@dataclass(frozen=True)
class OnTheChart:
    """Notes within the drawn days, by day, and targets of the drawn metrics for the drawn segment.

    Those `beyond` would press the figures flat: they are said in words instead.
    """

    notes: tuple[Annotation, ...] = ()
    targets: tuple[Target, ...] = ()
    beyond: tuple[Target, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)

    def drawn(
        self, chart: Chart, table: pa.Table, beside: Mapping[str, pa.Table] | None = None
    ) -> tuple[pa.Table | None, Mapping[str, Any]]:
        """The table and the spec to draw: the chart's own two where there is no other table, else one spec that has each by name.

        Streamlit would put a table without a name in the place of the only one that has a name.
        """
        spec = marked.spec(chart, messages.language(), messages.text, notes=bool(self.notes), target=bool(self.targets))
        if not self.notes and not self.targets and not beside:
            return table, spec
        kept = {marked.NOTES: _notes(self.notes), marked.TARGETS: _targets(self)}
        tables = {marks.DRAWN: table, **(beside or {}), **{name: rows for name, rows in kept.items() if rows.num_rows}}
        return None, {**spec, "data": {"name": marks.DRAWN}, "datasets": tables}


NOTHING = OnTheChart()
FEW = 2  # notes that are read without unfolding
FAR = 3  # times the largest drawn figure: a target above it is not drawn


def of(chart: Chart | Mapping[str, Any], answer: Answer | pa.Table, table: pa.Table, *, key: str) -> OnTheChart:
    """What is kept about a chart over calendar time; nothing on any other one."""
    column = marked.OVER_TIME.get(chart.name) if isinstance(chart, Chart) else None
    if column is None or not table.num_rows:
        return NOTHING
    metrics = ABOUT.get(key) or ((answer.metric.name,) if isinstance(answer, Answer) else ())
    return OnTheChart(notes=within(_of(metrics), table[column]), **_reached_for(answer, metrics, table))


def _of(metrics: Sequence[str]) -> list[Annotation]:
    return [note for note in data_kept.beside_figures(data_kept.notes) if note.metric is None or note.metric in metrics]


def within(notes: Sequence[Annotation], days: pa.ChunkedArray) -> tuple[Annotation, ...]:
    """The notes of days that are drawn; the last point stands for days until the next one would come."""
    drawn = sorted(day for day in pc.unique(days).to_pylist() if day is not None)
    if not drawn:
        return ()
    step = drawn[-1] - drawn[-2] if len(drawn) > 1 else timedelta(days=1)
    return tuple(note for note in notes if drawn[0] <= note.day < drawn[-1] + step)


def _reached_for(answer: Answer | pa.Table, metrics: Sequence[str], table: pa.Table) -> dict[str, Any]:
    if not isinstance(answer, Answer) or not (kept := data_kept.beside_figures(data_kept.targets)):
        return {}
    published = data.published().inactivity_days
    found = targets.on_a_chart(kept, metrics, answer.question, published_window=published)
    largest = (figures.top_of_solid(table) or pc.max(table["value"]).as_py()) if found else None
    beyond = tuple(target for target in found if largest and target.value > FAR * largest)
    return {
        "targets": tuple(target for target in found if target not in beyond),
        "beyond": beyond,
        "units": {target.metric: data.registry()[target.metric].unit for target in found},
    }


def _notes(notes: Sequence[Annotation]) -> pa.Table:
    """One row a day, whatever stands about it in several notes."""
    by_day: dict[date, list[str]] = {}
    for note in notes:
        by_day.setdefault(note.day, []).append(formats.visible(f"{note.text} ({note.author})"))
    rows = [{"day": day, "note": " · ".join(texts)} for day, texts in by_day.items()]
    return pa.Table.from_pylist(rows, schema=pa.schema([("day", pa.date32()), ("note", pa.string())]))


def _targets(found: OnTheChart) -> pa.Table:
    rows = [{"value": target.value, "label": target_words.label(target, found.units[target.metric])} for target in found.targets]
    return pa.Table.from_pylist(rows, schema=pa.schema([("value", pa.float64()), ("label", pa.string())]))


def beneath(found: OnTheChart) -> None:
    """The targets that lie beyond the chart and the notes in words; many notes are folded."""
    if found.beyond:
        labels = [target_words.label(target, found.units[target.metric]) for target in found.beyond]
        st.caption(messages.t("targets.beyond", targets=" · ".join(labels)))
    lines = [f"{formats.day(note.day)} · {formats.plain(note.text)} · {formats.plain(note.author)}" for note in found.notes]
    if 0 < len(lines) <= FEW:
        st.caption("  \n".join(lines))
    elif lines:
        with st.expander(messages.t("notes.many", notes=len(lines)), icon=":material/push_pin:"):
            st.caption("  \n".join(lines))
