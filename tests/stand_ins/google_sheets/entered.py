"""What becomes of an input: RAW keeps it, USER_ENTERED reads it as a person's typing; and how a value is shown."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from stand_ins.google_sheets.errors import invalid
from stand_ins.google_sheets.grid import Cell, Entered, Formula, text_checked

EPOCH = datetime(1899, 12, 30)
_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+")
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def raw(value: Any) -> Entered:
    """An input as it is: text stays text, whatever it looks like."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return text_checked(value if value != "" else None)
    raise invalid(f"Invalid values: expected a bool, number or text, got {type(value).__name__}")


def typed(value: Any, number_format: Any = None) -> tuple[Entered, Any]:
    """An input as if a person typed it, and the number format that it brings along (None: the cell keeps its own)."""
    if not isinstance(value, str) or value == "":
        return raw(value), None
    if value.startswith("'"):
        return value[1:], None
    if (number_format or {}).get("type") == "TEXT":
        return value, None
    if value.startswith("=") and len(value) > 1:
        return Formula(text_checked(value)), None  # type: ignore[arg-type]
    return _read(text_checked(value))


def _read(value: Any) -> tuple[Entered, Any]:
    text = value.strip()
    if text.upper() in ("TRUE", "FALSE"):
        return text.upper() == "TRUE", None
    if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", text):
        year, month, day = map(int, text.split("-"))
        try:
            return serial(date(year, month, day)), {"type": "DATE", "pattern": "yyyy-mm-dd"}
        except ValueError:
            return value, None
    if text.endswith("%") and _NUMBER.fullmatch(text[:-1]):
        return float(text[:-1].replace(",", "")) / 100, {"type": "PERCENT", "pattern": "0%"}
    if _NUMBER.fullmatch(text):
        number = float(text.replace(",", ""))
        shown = {"type": "NUMBER", "pattern": "#,##0.00" if "." in text else "#,##0"} if "," in text else None
        return (int(number) if number.is_integer() and "." not in text and abs(number) < 2**53 else number), shown
    return value, None


def serial(moment: date) -> int | float:
    """Days since 30 December 1899."""
    if isinstance(moment, datetime):
        return (moment - EPOCH) / timedelta(days=1)
    return (datetime(moment.year, moment.month, moment.day) - EPOCH).days


def effective(value: Entered) -> str | int | float | bool | ast.AST | None:
    """What a cell comes to; an ast.AST stands for an error. Formulas are arithmetic on literals, nothing else."""
    if not isinstance(value, Formula):
        return value
    try:
        return _computed(ast.parse(value.text[1:].strip(), mode="eval").body)
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError):
        return ast.Constant(None)


def _computed(node: ast.AST) -> Any:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_computed(node.left), _computed(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_computed(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
        return node.value
    raise ValueError


def shown(cell: Cell) -> str:
    """The text that a person sees."""
    value = effective(cell.value)
    match value:
        case None:
            return ""
        case ast.AST():
            return "#ERROR!"
        case bool():
            return "TRUE" if value else "FALSE"
        case str():
            return value
        case _:
            return _number(value, (cell.format or {}).get("numberFormat") or {})


def _number(value: int | float, number_format: Mapping[str, str]) -> str:
    pattern = number_format.get("pattern", "")
    if number_format.get("type") in ("DATE", "DATE_TIME", "TIME"):
        moment = EPOCH + timedelta(days=value)
        codes = {"yyyy": "%Y", "mm": "%m", "dd": "%d", "hh": "%H", "MM": "%M", "ss": "%S"}
        minutes = pattern.replace("hh:mm", "hh:MM")
        return moment.strftime(re.sub("yyyy|mm|dd|hh|MM|ss", lambda code: codes[code.group()], minutes))
    decimals = len(pattern.partition(".")[2].rstrip("%"))
    if pattern.endswith("%"):
        return f"{value:.{decimals}%}"
    if pattern:
        return f"{value:,.{decimals}f}" if "," in pattern else f"{value:.{decimals}f}"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.15g}"


def rendered(cell: Cell, render: str, moments: str) -> Any:
    """A cell in an answer of `values`, by valueRenderOption and dateTimeRenderOption."""
    if render == "FORMULA" and isinstance(cell.value, Formula):
        return cell.value.text
    if render in ("UNFORMATTED_VALUE", "FORMULA"):
        value = effective(cell.value)
        is_moment = ((cell.format or {}).get("numberFormat") or {}).get("type") in ("DATE", "DATE_TIME")
        if isinstance(value, ast.AST) or (is_moment and moments == "FORMATTED_STRING"):
            return shown(cell)
        return "" if value is None else value
    return shown(cell)
