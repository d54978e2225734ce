"""A workbook of tabs that nobody but us has worked in, written at once: ten times as fast as cell by cell.

The same values as `spreadsheets.put` writes, with a bold frozen header. Reading it back gives what `storable` gave.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import to_excel

from pipeline.spreadsheets import FORMULA_STARTS, Storable, storable

COLUMN_WIDTH = 18
ROWS_AT_A_TIME = 5_000
KEPT_CELLS = 50_000  # a column's values repeat: what was written once is not made anew
_HEADER, _DATE, _MOMENT, _QUOTED = 1, 2, 3, 4  # places in cellXfs


@dataclass(frozen=True)
class PlainTab:
    """A tab: its name, its columns, and its rows, which are read once."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]


def write(path: Path, tabs: Sequence[PlainTab]) -> None:
    """Write the workbook to a path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, tab in enumerate(tabs, start=1):
            with archive.open(f"xl/worksheets/sheet{number}.xml", "w", force_zip64=True) as stream:
                for part in _sheet(tab):
                    stream.write(part.encode())
        for name, content in _frame([tab.name for tab in tabs]).items():
            archive.writestr(name, content)


def _sheet(tab: PlainTab) -> Iterator[str]:
    letters = [get_column_letter(place) for place in range(1, len(tab.columns) + 1)]
    header = "".join(_cell(letter, 1, _text(name, _HEADER)) for letter, name in zip(letters, tab.columns, strict=True))
    widths = f'<cols><col min="1" max="{len(letters)}" width="{COLUMN_WIDTH}" customWidth="1"/></cols>' if letters else ""
    yield f'{_XML}<worksheet xmlns="{_MAIN}">{_FROZEN}{widths}<sheetData><row r="1">{header}</row>'
    writers = [_writer(letter) for letter in letters]
    lines: list[str] = []
    for number, row in enumerate(tab.rows, start=2):
        cells = "".join([write(number, value) for write, value in zip(writers, row, strict=True)])
        lines.append(f'<row r="{number}">{cells}</row>')
        if len(lines) == ROWS_AT_A_TIME:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines) + "</sheetData></worksheet>"


def _writer(letter: str) -> Callable[[int, Any], str]:
    """What writes the cells of one column."""
    made: dict[Any, str] = {}

    def write(number: int, value: Any) -> str:
        kind = (value, value.__class__)
        content = made.get(kind)
        if content is None:
            if len(made) >= KEPT_CELLS:
                made.clear()
            content = made[kind] = _content(storable(value))
        return f'<c r="{letter}{number}"{content}' if content else ""

    return write


def _cell(letter: str, number: int, content: str) -> str:
    return f'<c r="{letter}{number}"{content}'


def _content(value: Storable) -> str:
    """A cell behind its place: style, type and value; nothing where it is empty."""
    match value:
        case None:
            return ""
        case bool():
            return f' t="b"><v>{int(value)}</v></c>'
        case str():
            return _text(value, _QUOTED if value.startswith(FORMULA_STARTS) else 0)
        case int() | float():
            return f"><v>{value!r}</v></c>"
        case date():
            style = _MOMENT if isinstance(value, datetime) else _DATE
            return f' s="{style}"><v>{to_excel(value)!r}</v></c>'  # type: ignore[no-untyped-call]


def _text(value: str, style: int) -> str:
    styled = f' s="{style}"' if style else ""
    return f'{styled} t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


def _frame(names: Sequence[str]) -> dict[str, str]:
    """Everything in the file that is no tab."""
    numbers = range(1, len(names) + 1)
    sheets = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, name in zip(numbers, names, strict=True)
    )
    parts = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{_CONTENT}.worksheet+xml"/>' for number in numbers
    )
    links = "".join(
        f'<Relationship Id="rId{number}" Type="{_LINK}/worksheet" Target="worksheets/sheet{number}.xml"/>' for number in numbers
    )
    styles = f'<Relationship Id="rId{len(names) + 1}" Type="{_LINK}/styles" Target="styles.xml"/>'
    return {
        "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">{_DEFAULTS}{parts}</Types>',
        "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{_ROOT}</Relationships>',
        "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_LINK}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{links}{styles}</Relationships>',
        "xl/styles.xml": _STYLES,
    }


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_ROOT = f'<Relationship Id="rId1" Type="{_LINK}/officeDocument" Target="xl/workbook.xml"/>'
_DEFAULTS = (
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_CONTENT}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_CONTENT}.styles+xml"/>'
)
_FROZEN = (
    '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    "</sheetView></sheetViews>"
)
_STYLES = (
    f'{_XML}<styleSheet xmlns="{_MAIN}"><numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ h:mm:ss"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="5"><xf fontId="0" xfId="0"/><xf fontId="1" xfId="0" applyFont="1"/>'
    '<xf numFmtId="164" xfId="0" applyNumberFormat="1"/><xf numFmtId="165" xfId="0" applyNumberFormat="1"/>'
    '<xf fontId="0" xfId="0" quotePrefix="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
