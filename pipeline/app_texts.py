"""The texts of the app's catalogues, for letters and reports that call things as the app does."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

RULE = re.compile(r"(?P<states>.+) transactions, (?:not (?P<types>[\w &+./,-]+?)|every type)(?:, at least (?P<least>\S+) USD)?")


def text(app: Path, area: str, name: str, language: str) -> str | None:
    """A text by the folder of the app, its catalogue and its key (`values.plan.METAL`); None where there is none."""
    found = _catalogue(app, area, language)
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return None if found is None or isinstance(found, dict) else str(found)


def activity_rule(text: str, *, say: Callable[..., str], either: str, number: Callable[[float], str]) -> str:
    """The activity rule in force, which the settings write in English, in a reader's language; other words as they are.

    `say` gives a text of the group `rule` of the catalogue `common`, with its values, `either` is what stands between
    alternatives, and `number` writes an amount.
    """
    found = RULE.fullmatch(text)
    if found is None:
        return text
    words = [say("states", states=found["states"].replace(" or ", either))]
    words.append(say("without", types=found["types"]) if found["types"] else say("every_type"))
    if found["least"]:
        words.append(say("least", amount=number(float(found["least"]))))
    return ", ".join(words)


@cache
def _catalogue(app: Path, area: str, language: str) -> Any:
    return read_yaml(app / "locales" / language / f"{area}.yml")


def read_yaml(path: Path) -> Any:
    """The content of a file; libyaml, where it is there, reads ten times as fast."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
