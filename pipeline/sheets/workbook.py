"""The sheet as an .xlsx workbook: written beside, counted, then put in place by one rename."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from pipeline import files, spreadsheets
from pipeline.errors import DataError, PermanentError
from pipeline.sheets.base import Figure, Format, SheetResult, Tab
from pipeline.spreadsheets import Storable, storable

SERVICE = "workbook"
NUMBER_FORMATS: dict[Format, str] = {
    "text": "General",
    "count": "#,##0",
    "share": "0.0%",
    "ratio": "0.00",
    "usd": "#,##0.00",
    "date": "yyyy-mm-dd",
    "moment": "yyyy-mm-dd hh:mm",
}
_NOTE = Font(italic=True, color="595959")
_HEADER = Font(bold=True)
_HEADER_FILL = PatternFill("solid", start_color="E7EDF3")
_ZIP_MOMENT = (1980, 1, 1, 0, 0, 0)
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(<)")


class WorkbookSheet:
    """A workbook at a path; the same tabs make the same file, byte by byte."""

    def __init__(self, path: Path, *, guard: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._guard = guard

    def write(self, tabs: Sequence[Tab], *, at: datetime) -> SheetResult:
        """Replace the workbook. Raises DataError where a tab does not fit into a sheet."""
        for tab in tabs:
            _refuse_unfit(tab)
        files.make_folder(self._path.parent)
        with files.beside(self._path) as beside:
            beside.write_bytes(_same_each_time(_workbook(tabs, at), at))
            _verify(beside, tabs)
            self._guard()
        return SheetResult(SERVICE, str(self._path), len(tabs), sum(len(tab.rows) for tab in tabs))


def _workbook(tabs: Sequence[Tab], at: datetime) -> Workbook:
    workbook = Workbook()
    workbook.remove(workbook.worksheets[0])
    workbook.properties.creator = "neopulse"
    workbook.properties.created = at.replace(tzinfo=None)
    for tab in tabs:
        _fill(workbook.create_sheet(tab.name), tab)
    return workbook


def _fill(sheet: Worksheet, tab: Tab) -> None:
    spreadsheets.put(sheet, 1, 1, storable(tab.note)).font = _NOTE
    for column, title in enumerate(tab.header, start=1):
        cell = spreadsheets.put(sheet, 2, column, storable(title))
        cell.font, cell.fill, cell.alignment = _HEADER, _HEADER_FILL, Alignment(wrap_text=True, vertical="top")
        sheet.column_dimensions[get_column_letter(column)].width = tab.widths[column - 1]
    for line, row in enumerate(tab.rows, start=tab.frozen_rows + 1):
        for column, (given, column_format) in enumerate(zip(row, tab.formats, strict=True), start=1):
            value, chosen = (given.value, given.format) if isinstance(given, Figure) else (given, column_format)
            spreadsheets.put(sheet, line, column, storable(value), number_format=NUMBER_FORMATS[chosen])
    sheet.freeze_panes = f"B{tab.frozen_rows + 1}"
    sheet.auto_filter.ref = f"A2:{get_column_letter(len(tab.header))}{len(tab.rows) + tab.frozen_rows}"


def _same_each_time(workbook: Workbook, at: datetime) -> bytes:
    """The file's bytes without the moments of writing that a workbook and a zip archive carry."""
    written, repacked = io.BytesIO(), io.BytesIO()
    workbook.save(written)
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(repacked, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "docProps/core.xml":
                content = _MODIFIED.sub(rb"\g<1>" + at.strftime("%Y-%m-%dT%H:%M:%SZ").encode() + rb"\2", content)
            target.writestr(zipfile.ZipInfo(entry.filename, _ZIP_MOMENT), content, zipfile.ZIP_DEFLATED)
    return repacked.getvalue()


def _refuse_unfit(tab: Tab) -> None:
    if len(tab.rows) + tab.frozen_rows > spreadsheets.MOST_ROWS:
        raise _unfit(tab, f"{len(tab.rows):,} rows, more than a sheet can hold")
    for row in tab.rows:
        for given in row:
            if len(_text(given)) > spreadsheets.LONGEST_TEXT:
                raise _unfit(tab, f"a text of {len(_text(given)):,} characters; a cell holds {spreadsheets.LONGEST_TEXT:,}")


def _text(given: Storable | Figure) -> str:
    value = given.value if isinstance(given, Figure) else given
    return value if isinstance(value, str) else ""


def _unfit(tab: Tab, what: str) -> DataError:
    return DataError(
        f"The tab {tab.name} has {what}",
        where=tab.name,
        safe="The workbook of the run before is untouched; the new version is published",
        next="read the figures with neopulse metric",
    )


def _verify(path: Path, tabs: Sequence[Tab]) -> None:
    expected = tuple(len(tab.rows) + tab.frozen_rows for tab in tabs)
    found = spreadsheets.row_counts(path)
    if found != expected:
        raise PermanentError(
            f"The workbook was not written whole: its tabs have {found} rows instead of {expected}",
            where=str(path.parent),
            safe="The workbook of the run before is untouched; the new version is published",
            next="see whether the disk is full, then neopulse run --from sheet",
        )
