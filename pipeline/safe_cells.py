"""How values stand in a CSV file of figures: no text that a spreadsheet runs as a formula, no decimal point in a count."""

from __future__ import annotations

import re
from typing import Any

EXACT = 2**53  # from here on a float leaves out whole numbers
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # a full-width sign counts in some countries
_BEFORE, _SIGN = r'((?:(?<=.)[;\t\r\n]|^;)[\s"]*)', r"(?=[=+\-@＝＋－＠])"
_WITHIN, _WITHIN_SAFE = (re.compile(f"{_BEFORE}{mark}{_SIGN}", re.DOTALL) for mark in ("", "'"))


def safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets a quotation mark before it; numbers and days stay what they are.

    Also within the text and behind quotation marks: a spreadsheet that separates by semicolons begins a cell after each.
    """
    if not isinstance(value, str):
        return value
    text = _WITHIN.sub(r"\1'", value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def without_point_zero(value: Any) -> Any:
    """A float that is a whole number as an integer: 839 of 839.0. What is too large to be exact stays as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def as_before(cell: str) -> str:
    """The text that `safe_cell` made this cell of."""
    text = cell[1:] if cell.startswith("'") and cell[1:].lstrip(" ").startswith(FORMULA_STARTS) else cell
    return _WITHIN_SAFE.sub(r"\1", text)
