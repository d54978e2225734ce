"""The one way in which rows leave the app as a file: the role is checked, no cell can become a formula, and it is noted down.

A file is made when its button is pressed, by whoever presses it at that moment.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from pipeline.safe_cells import FORMULA_STARTS, safe_cell, without_point_zero
from pipeline.spreadsheets import storable
from streamlit_app import auth, data, stores
from streamlit_app.auth import Role, User

Form = Literal["csv", "xlsx"]
FORMS: tuple[Form, ...] = ("csv", "xlsx")
MIME = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "log": "text/plain",
    "png": "image/png",
}


def table(
    what: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    form: Form = "csv",
    needs: Role = Role.VIEWER,
    drawn_for: User | None = None,
    filters: Mapping[str, Any] | None = None,
) -> bytes:
    """A table as a file for whoever asks at this moment and has the role; raises RoleError else.

    `what` names it in the audit log, `filters` say which rows it holds: a value each, or a list of alternatives. Rows that were
    read when the page was drawn come with the person `drawn_for`, whose rights the one who asks must still have; raises
    StaleError else.
    """
    user = auth.require(needs)
    if drawn_for is not None:
        auth.require_rights_of(drawn_for)
    kept = [tuple(row) for row in rows]
    asked = _codes(filters or {})
    written = csv_text(header, kept) if form == "csv" else workbook(header, kept, {"file": what, **asked})
    _note(user.name, what, {"form": form, "rows": len(kept), "filters": asked})
    return written


def picture(
    what: str, draw: Callable[[], bytes], *, drawn_for: User, filters: Mapping[str, Any], needs: Role = Role.VIEWER
) -> bytes:
    """A chart as a picture, for somebody who still may see what was drawn; raises RoleError or StaleError else."""
    user = auth.require(needs)
    auth.require_rights_of(drawn_for)
    drawn = draw()
    _note(user.name, what, {"form": "png", "filters": _codes(filters)})
    return drawn


def text(what: str, read: Callable[[], str], *, needs: Role) -> bytes:
    """A text as a file, such as a log; raises RoleError where the role is not there."""
    user = auth.require(needs)
    written = read()
    _note(user.name, what, {"form": "text", "rows": written.count("\n")})
    return written.encode("utf-8")


def _codes(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "|".join(value) if isinstance(value, list) else value for name, value in filters.items()}


def _note(who: str, what: str, after: Mapping[str, Any]) -> None:
    stores.run_store(data.in_force().run_store_url).audit(who, "export", what[:200], after=dict(after))


def csv_text(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """The rows as CSV in UTF-8."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([safe_cell(name) for name in header])
    writer.writerows([safe_cell(without_point_zero(value)) for value in row] for row in rows)
    return written.getvalue().encode("utf-8")


def workbook(header: Sequence[str], rows: Sequence[Sequence[Any]], asked: Mapping[str, Any] | None = None) -> bytes:
    """The rows as a workbook; a cell of text is text by its type, whatever it begins with.

    A second tab holds the question that the rows answer, one item a line: filters, version, window.
    """
    book = Workbook(write_only=True)
    _fill(book.create_sheet("neopulse"), (header, *rows))
    if asked:
        _fill(book.create_sheet("question"), [(name, value) for name, value in asked.items() if value is not None])
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _fill(sheet: Any, rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        sheet.append([_cell(sheet, value) for value in row])


def _cell(sheet: Any, value: Any) -> Any:
    kept = storable(value)
    if not isinstance(kept, str):
        return kept
    cell = WriteOnlyCell(sheet, kept)
    cell.data_type = "s"
    if kept.lstrip(" ").startswith(FORMULA_STARTS):
        cell.quotePrefix = True  # stays text also when a person edits the cell later
    return cell
