"""An answer of the read side as text: a table for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from pipeline.errors import without_controls
from pipeline.marts import Answer
from pipeline.safe_cells import safe_cell, without_point_zero

DECIMALS = {"share": 4, "ratio": 3, "days": 1, "usd": 2}


def as_table(answer: Answer, language: str) -> str:
    """What the figures mean and are made of, then the figures in columns."""
    head = [
        f"{answer.metric.label[language]}: {answer.metric.definition[language]}",
        f"as of {answer.as_of}, version {answer.version}, {answer.source}, window {answer.window} days, {answer.rule}",
    ]
    if answer.empty:
        return "\n".join([*head, "", "no rows"])
    rows = [{name: _cell(name, value, answer.metric.unit) for name, value in row.items()} for row in answer.rows()]
    return "\n".join([*head, "", *columns(rows)])


def as_csv(answer: Answer, _language: str) -> str:
    """The figures alone, with a header, as exact as they are."""
    text = io.StringIO()
    writer = csv.DictWriter(text, answer.table.column_names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: safe_cell(_exact(value)) for name, value in row.items()} for row in answer.rows())
    return text.getvalue().rstrip("\n")


def as_json(answer: Answer, language: str) -> str:
    """The figures with their meaning; dates are ISO, rates are fractions."""
    content = {
        "metric": answer.metric.name,
        "definition": answer.metric.definition[language],
        "as_of": answer.as_of.isoformat(),
        "version": answer.version,
        "window": answer.window,
        "rule": answer.rule,
        "rows": [{name: _plain(value) for name, value in row.items()} for row in answer.rows()],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2)


FORMATS: Mapping[str, Callable[[Answer, str], str]] = {"table": as_table, "csv": as_csv, "json": as_json}


def columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Rows of text as aligned lines under their names; figures stand to the right."""
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    right = {name for name in names if all(row[name][:1].isdigit() or row[name][:1] in ("", "-") for row in rows)}

    def line(cells: Mapping[str, str]) -> str:
        return "  ".join(
            cells[name].rjust(widths[name]) if name in right else cells[name].ljust(widths[name]) for name in names
        ).rstrip()

    return [line({name: name for name in names}), *(line(row) for row in rows)]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _exact(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else without_point_zero(_plain(value))


def _cell(name: str, value: Any, unit: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.{1 if name.endswith('_customers') else DECIMALS.get(unit, 0)}f}"
    return f"{value:,}" if isinstance(value, int) and name == "n" else without_controls(" ".join(str(value).splitlines()))
