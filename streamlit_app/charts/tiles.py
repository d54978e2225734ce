"""A map of one tile a country: about where it lies, each as large as the other, so that a small country is seen as well.

Europe has places, laid out here by hand; every other country stands in rows below. Nothing has to be fetched to draw it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from streamlit_app.charts import marks
from streamlit_app.charts.base import Chart
from streamlit_app.charts.marks import Translate

COLUMNS = ("code", "series", "value", "n", "low", "high", "unknown", "column", "row")
TILE_HEIGHT = 30
ACROSS = 10  # tiles in a row
_EUROPE = (
    "ISL .   .   .   NOR SWE FIN .   .   .",
    ".   .   .   .   DNK .   EST RUS .   .",
    "IRL GBR .   NLD .   .   LVA BLR .   .",
    ".   .   BEL LUX DEU POL LTU .   .   .",
    ".   .   FRA CHE CZE SVK UKR .   .   .",
    ".   AND MCO LIE AUT HUN ROU MDA .   .",
    "PRT ESP .   ITA SVN HRV SRB BGR .   .",
    ".   GIB VAT SMR BIH MNE MKD .   GEO AZE",
    ".   .   .   MLT .   ALB GRC TUR ARM .",
    ".   .   .   .   .   .   .   CYP .   .",
)
PLACES: Mapping[str, tuple[int, int]] = {
    code: (column, row) for row, line in enumerate(_EUROPE) for column, code in enumerate(line.split()) if code != "."
}
FIRST_ROW_BELOW = len(_EUROPE)


def places(codes: Sequence[str]) -> list[tuple[int, int]]:
    """Column and row of each country, by its three letters: those without a place in the order in which they come."""
    below = [code for code in codes if code not in PLACES]
    rows = {code: (place % ACROSS, FIRST_ROW_BELOW + place // ACROSS) for place, code in enumerate(below)}
    return [PLACES.get(code) or rows[code] for code in codes]


def _build(text: Translate) -> alt.LayerChart:
    base = marks.explained(marks.drawn(), text, "share", columns=COLUMNS).encode(
        x=alt.X("column:O", axis=None, scale=alt.Scale(domain=list(range(ACROSS)), paddingInner=0.08)),
        y=alt.Y("row:O", axis=None, scale=alt.Scale(paddingInner=0.12)),
        tooltip=[
            *marks.tooltip(text, first=[alt.Tooltip("series:N", title=text("charts.series"))], unit="share", state=False),
            alt.Tooltip("unknown:Q", title=text("charts.unknown"), format=","),
        ],
    )
    colour = alt.Color(
        "value:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=True),
        legend=alt.Legend(orient="top", direction="horizontal", format=".0%", gradientLength=180, gradientThickness=8, offset=6),
    )
    named = base.encode(text="code:N")
    return marks.layered(
        base.transform_filter(marks.IS_SOLID).mark_rect(cornerRadius=2).encode(color=colour),
        base.transform_filter(marks.IS_THIN).mark_rect(cornerRadius=2, opacity=marks.GREYED).encode(color=alt.value("gray")),
        named.transform_filter(marks.IS_SOLID).mark_text(fontSize=10, color=alt.expr(marks.CELL_INK)),
        named.transform_filter(marks.IS_THIN).mark_text(fontSize=10, color=alt.expr(marks.PAGE_INK)),
    ).properties(height=alt.Step(TILE_HEIGHT))


CARD_SHARE_ON_A_MAP = Chart("card_share_on_a_map", COLUMNS, _build)
