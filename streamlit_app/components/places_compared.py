"""The same figure in the app, the sheet, the export for Power BI and what syncs sent: equal, other, or not there, by name."""

from __future__ import annotations

import streamlit as st

from streamlit_app import data, data_definitions, formats, messages
from streamlit_app.components import table
from streamlit_app.data_definitions import Cell, Line, Place, Reconciliation
from streamlit_app.messages import t

AREA, SYNC = "definitions.places", "sync:"
COLOURS = {"equal": "green", "differs": "red", "other_version": "orange", "not_delivered": "orange", "unknown": "orange"}


def show() -> None:
    """The section."""
    found = data_definitions.reconciled()
    st.caption(t(f"{AREA}.explained", version=found.version))
    st.markdown(_in_all(found))
    table.draw([_row(line, found) for line in found.lines])
    st.markdown(f"**{t(f'{AREA}.which')}**")
    table.show((_place(place) for place in found.places), names=f"{AREA}.columns")


def _in_all(found: Reconciliation) -> str:
    """How many of the figures that some place holds are equal, and how many are not."""
    verdicts = [str(cell.verdict) for line in found.lines for cell in line.cells.values() if cell.verdict != "not_held"]
    counts = {name: formats.number(verdicts.count(name)) for name in COLOURS}
    total = formats.number(len(verdicts))
    if set(verdicts) == {"equal"}:
        return t("definitions.places.in_all.all_equal", count=len(verdicts), total=total)
    return t("definitions.places.in_all.counted", total=total, **counts)


def _row(line: Line, found: Reconciliation) -> dict[str, str]:
    row = {
        t(f"{AREA}.columns.figure"): _figure_name(line.figure),
        t(f"{AREA}.columns.published"): _value(line.figure, line.published),
    }
    syncs = [place for place in found.places if place.name.startswith(SYNC)]
    row |= {_place_name(place): _cell(line.figure, line.cells[place.name], place) for place in found.places if place not in syncs}
    sent = [
        f"{_cell(line.figure, line.cells[place.name], place)} · {_sync_name(place)}" for place in syncs if _is_meant(line, place)
    ]
    return row | {t(f"{AREA}.columns.syncs"): "  \n".join(sent) or formats.NOTHING}


def _is_meant(line: Line, place: Place) -> bool:
    return str(line.cells[place.name].verdict) != "not_held"


def _sync_name(place: Place) -> str:
    return formats.in_words(place.name.removeprefix(SYNC))


def _cell(figure: str, cell: Cell, place: Place) -> str:
    verdict = str(cell.verdict)
    if verdict == "not_held":
        return formats.NOTHING
    said = t(f"{AREA}.verdicts.{verdict}", version=place.version)
    value = "" if cell.value is None else f"{_value(figure, cell.value)} "
    return f"{value}:{COLOURS[verdict]}[{said}]"


def _figure_name(figure: str) -> str:
    if figure.startswith("rows:"):
        return t(f"{AREA}.rows_of", mart=figure.removeprefix("rows:"))
    registry = data.registry()
    return registry[figure].label[messages.language()] if figure in registry else t(f"{AREA}.figures.{figure}")


def _value(figure: str, value: float | None) -> str:
    registry = data.registry()
    unit = registry[figure].unit if figure in registry else "customers"
    if unit == "share":
        return formats.share(value)
    if unit == "ratio":
        return formats.decimal(value)
    return formats.money(value) if unit == "usd" else formats.number(value)


def _place_name(place: Place) -> str:
    kind, _, sync = place.name.partition(":")
    return t(f"{AREA}.names.{kind}", sync=sync)


def _place(place: Place) -> dict[str, str]:
    zone = data.published().bank_timezone
    state = t(f"{AREA}.states.{place.state}", why=formats.literal(place.why) if place.why else "")
    return {
        "place": _place_name(place),
        "service": formats.service(place.service),
        "state": state,
        "version": place.version or formats.NOTHING,
        "at": formats.moment(place.at, zone),
    }
