"""A chart as a PNG: the spec and rows of the page, in the light theme's colours, with what it rests on below its title."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import PermanentError
from pipeline.powerbi.theme import Palette, palette
from streamlit_app.charts.marks import DRAWN

CHILD = Path(__file__).with_name("picture_child.py")
THEME = Path(__file__).parent / ".streamlit" / "config.toml"
WIDTH, SECONDS = 860, 60
TITLE_LETTERS, LINE_LETTERS = 90, 140  # that have room above the chart: a longer line would widen the picture
PADDING = 16


def png(drawing: Mapping[str, Any]) -> bytes:
    """Draw what `whole` gives; raises PermanentError where it cannot be drawn on this machine."""
    try:
        drawn = subprocess.run(
            [sys.executable, "-I", str(CHILD)],
            input=json.dumps(drawing).encode(),
            capture_output=True,
            env={"TZ": "UTC"},  # days are drawn as days
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _undrawn(type(error).__name__) from error
    if drawn.returncode or not drawn.stdout:
        raise _undrawn((drawn.stderr.decode(errors="replace").strip().splitlines() or ["no picture came back"])[-1][:300])
    return drawn.stdout


def _undrawn(why: str) -> PermanentError:
    return PermanentError(
        f"The picture could not be drawn: {why}",
        safe="The figures on the page",
        next="take the CSV or the Excel file of the chart",
    )


def whole(
    spec: Mapping[str, Any],
    table: pa.Table,
    *,
    title: str,
    lines: Sequence[str],
    beside: Mapping[str, pa.Table] | None = None,
) -> dict[str, Any]:
    """A chart's spec with the rows of its table and of those beside it, its title, and colours instead of the theme's words."""
    colours = _palette()
    heading = {
        "text": textwrap.wrap(title, TITLE_LETTERS),
        "subtitle": [row for line in lines for row in textwrap.wrap(line, LINE_LETTERS)],
        "anchor": "start",
        "offset": 12,
        "fontSize": 16,
        "subtitleFontSize": 11,
    }
    drawn: dict[str, Any] = _coloured(dict(spec), _words(colours))
    tables = {DRAWN: table, **(beside or {})}
    drawn |= {
        "data": {"name": DRAWN},
        "datasets": {name: [_plain(row) for row in rows.to_pylist()] for name, rows in tables.items()},
    }
    drawn |= {"title": heading, "padding": PADDING}
    drawn["config"] = drawn.get("config", {}) | {
        "background": colours.background,
        "range": _ranges(colours),
        "font": "sans-serif",
    }
    drawn["config"] |= {"view": {"stroke": None}, "mark": {"color": colours.primary}}
    return {"width": WIDTH, **{name: value for name, value in drawn.items() if (name, value) != ("width", "container")}}


@cache
def _palette() -> Palette:
    return palette(THEME)


def _words(colours: Palette) -> dict[str, str]:
    """The theme's own words for colours, which Streamlit turns into the light or the dark one."""
    return {
        "primary": colours.primary,
        "blue": colours.back,
        "orange": colours.leaves,
        "gray": colours.context,
        "red": colours.bad,
        "green": colours.good,
    }


def _ranges(colours: Palette) -> dict[str, list[str]]:
    scale = list(colours.scale)
    return {"category": list(colours.series), "ramp": scale, "heatmap": scale, "ordinal": scale}


def _coloured(value: Any, words: Mapping[str, str]) -> Any:
    match value:
        case Mapping():
            return {name: _coloured(entry, words) for name, entry in value.items()}
        case list() | tuple():
            return [_coloured(entry, words) for entry in value]
        case str():
            return words.get(value, value)
        case _:
            return value


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date | datetime) else value for name, value in row.items()}
