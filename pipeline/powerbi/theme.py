"""The colours of the app as a theme of Power BI: each one means the same in both."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "neopulse.json"


@dataclass(frozen=True)
class Palette:
    """The light theme of the app, by its own names."""

    primary: str
    background: str
    second_background: str
    text: str
    link: str
    border: str
    back: str
    leaves: str
    context: str
    bad: str
    good: str
    series: tuple[str, ...]
    scale: tuple[str, ...]


def palette(app_config: Path) -> Palette:
    """The colours that the app's configuration declares for the light theme."""
    light = tomllib.loads(app_config.read_text(encoding="utf-8"))["theme"]["light"]
    return Palette(
        primary=light["primaryColor"],
        background=light["backgroundColor"],
        second_background=light["secondaryBackgroundColor"],
        text=light["textColor"],
        link=light["linkColor"],
        border=light["borderColor"],
        back=light["blueColor"],
        leaves=light["orangeColor"],
        context=light["grayColor"],
        bad=light["redColor"],
        good=light["greenColor"],
        series=tuple(light["chartCategoricalColors"]),
        scale=tuple(light["chartSequentialColors"]),
    )


def theme(colours: Palette) -> dict[str, Any]:
    """The theme file."""
    return {
        "name": "neopulse",
        "dataColors": list(colours.series),
        "background": colours.background,
        "foreground": colours.text,
        "backgroundLight": colours.second_background,
        "backgroundNeutral": colours.border,
        "foregroundNeutralSecondary": colours.context,
        "tableAccent": colours.primary,
        "hyperlink": colours.link,
        "good": colours.good,
        "neutral": colours.context,
        "bad": colours.bad,
        "minimum": colours.scale[0],
        "center": colours.scale[len(colours.scale) // 2],
        "maximum": colours.scale[-1],
        "null": colours.border,
    }
