"""The files of a chart or a list behind one button: CSV, Excel with the question it answers, and a picture of a chart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import pyarrow as pa
import streamlit as st

from streamlit_app import auth, exports, pictures
from streamlit_app.auth import Role
from streamlit_app.components import behind_figure
from streamlit_app.components.download import button
from streamlit_app.messages import t


@dataclass(frozen=True)
class Files:
    """What can be taken along: rows under a header, and for a chart its spec, its table, its title and the lines below it.

    `content` makes header and rows, when a file is asked for and not each time the chart is drawn. `asked` tells the question
    (filters, version, window, rule and last day, as they stand in the audit log and in the workbook) and `lines` what stands
    below a picture's title, both when the menu is unfolded. `needs` is the role of whoever takes it along.
    """

    key: str
    name: str
    content: Callable[[], tuple[list[str], list[list[Any]]]]
    asked: Callable[[], Mapping[str, Any]]
    _: KW_ONLY
    title: str = ""
    spec: Mapping[str, Any] | None = None
    table: pa.Table | None = None
    beside: Mapping[str, pa.Table] = field(default_factory=dict)
    lines: Callable[[], list[str]] = list
    needs: Role = Role.VIEWER


def menu(files: Files) -> None:
    """The button that unfolds; each file is made when it is pressed, for rights no lower than those it was drawn for.

    Most readers of a page unfold none, so that nothing of it is sent before: unfolding draws it.
    """
    folded = st.popover(
        t("common.files.title"),
        type="tertiary",
        icon=":material/download:",
        help=files.title or None,
        key=f"files_{files.key}",
        on_change="rerun",
    )
    if folded.open:
        with folded:
            buttons(files, auth.current_user())
            if files.table is not None:
                behind_figure.choose(files.table, key=files.key)


def buttons(files: Files, drawn_for: auth.User) -> None:
    """One button a form of file."""
    asked, lines = files.asked(), files.lines()  # as this page has them, not the moment of the press

    def table(form: exports.Form) -> Callable[[], bytes]:
        return lambda: exports.table(
            files.key, *files.content(), form=form, needs=files.needs, drawn_for=drawn_for, filters=asked
        )

    makes: dict[str, Callable[[], bytes]] = {"csv": table("csv"), "xlsx": table("xlsx")}
    if files.spec is not None and files.table is not None:
        makes["png"] = lambda: exports.picture(
            files.key, lambda: _drawn(files, lines), needs=files.needs, drawn_for=drawn_for, filters=asked
        )
    for form, make in makes.items():
        name = t(f"common.files.{form}")
        about = t("common.files.of", form=name, title=files.title) if files.title else None
        button(name, make, file_name=f"{files.name}.{form}", key=f"{form}_{files.key}", help=about, tertiary=True)


def _drawn(files: Files, lines: list[str]) -> bytes:
    drawing = pictures.whole(files.spec or {}, files.table, beside=files.beside, title=files.title, lines=lines)
    return pictures.png(drawing)
