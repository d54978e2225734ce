"""What a written sheet holds of the key figures: read back from the workbook, or out of the tabs that were verified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from pipeline.errors import DataError
from pipeline.marts.holding import CUSTOMERS, Holding
from pipeline.metrics import Metric
from pipeline.sheets.base import Figure, Tab
from pipeline.sheets.texts import TEXTS

Rows = Iterable[Sequence[Any]]
"""The rows of a tab from its header on."""


def of_tabs(tabs: Sequence[Tab], registry: Mapping[str, Metric]) -> Holding:
    """What tabs hold; for a spreadsheet whose cells were compared with them when it was written."""
    return _holding({tab.name: [tab.header, *(tuple(map(_plain, row)) for row in tab.rows)] for tab in tabs}, registry)


def of_workbook(path: Path, registry: Mapping[str, Metric]) -> Holding:
    """What the workbook holds at this moment, whoever has changed it.

    Raises FileNotFoundError where there is none, and DataError where it is not one that the sheet step writes.
    """
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever a file that is no workbook makes the reader say
        raise DataError(
            f"The workbook cannot be read: {type(error).__name__}",
            where=str(path),
            safe="The published version",
            next="close it where it is open, then neopulse run --from sheet",
        ) from error
    try:
        wanted = {
            name for language in TEXTS.values() for name in (language["headline"], language["countries"], language["update"])
        }
        tabs = {name: list(book[name].iter_rows(min_row=2, values_only=True)) for name in book.sheetnames if name in wanted}
        return _holding(tabs, registry)
    finally:
        book.close()


def _plain(given: Any) -> Any:
    return given.value if isinstance(given, Figure) else given


def _holding(tabs: Mapping[str, Rows], registry: Mapping[str, Metric]) -> Holding:
    for language, texts in TEXTS.items():
        if texts["headline"] in tabs and texts["update"] in tabs:
            facts = {str(row[0]): row[1] for row in list(tabs[texts["update"]])[1:] if row}
            figures = _headline(tabs[texts["headline"]], {metric.label[language]: name for name, metric in registry.items()})
            figures |= _customers(tabs.get(texts["countries"], ()), texts["customers"])
            return Holding(str(facts.get(texts["version"], "")), _day(facts.get(texts["as_of"])), figures)
    raise DataError(
        "The sheet has not the tabs that the sheet step writes",
        where=", ".join(tabs) or "no tab of that name",
        safe="The published version",
        next="neopulse run --from sheet writes them anew",
    )


def _headline(rows: Rows, names: Mapping[str, str]) -> dict[str, float | None]:
    """The value beside each label that a metric has in the sheet's language."""
    return {names[str(row[0])]: _number(row[1]) for row in list(rows)[1:] if row and str(row[0]) in names}


def _customers(rows: Rows, column: str) -> dict[str, float | None]:
    header, *countries = list(rows) or [()]
    if column not in header:
        return {}
    counts = [_number(row[list(header).index(column)]) for row in countries]
    return {CUSTOMERS: None if None in counts else float(sum(count or 0 for count in counts))}


def _number(value: Any) -> float | None:
    """A cell as a number; None where somebody wrote something else into it."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _day(value: Any) -> date | None:
    return value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None
