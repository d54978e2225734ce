"""The texts of the app's catalogues, for letters and reports that call things as the app does."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml


def text(app: Path, area: str, name: str, language: str) -> str | None:
    """A text by the folder of the app, its catalogue and its key (`values.plan.METAL`); None where there is none."""
    found = _catalogue(app, area, language)
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return None if found is None or isinstance(found, dict) else str(found)


@cache
def _catalogue(app: Path, area: str, language: str) -> Any:
    return read_yaml(app / "locales" / language / f"{area}.yml")


def read_yaml(path: Path) -> Any:
    """The content of a file; libyaml, where it is there, reads ten times as fast."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
