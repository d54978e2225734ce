"""The syncs of syncs.yml, checked as they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigurationError
from pipeline.reverse_etl.base import Sync

SYNCS = Path(__file__).with_name("syncs.yml")
MODES = ("mirror",)
LONGEST_TAB_NAME = 31
NOT_IN_TAB_NAMES = set(r"[]:*?/\'")


def read_syncs(path: Path = SYNCS) -> tuple[Sync, ...]:
    """Every sync, in the order of the file; raises ConfigurationError that names the sync and the entry to mend."""
    try:
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))["syncs"]
        syncs = tuple(_sync(name, entries) for name, entries in declared.items())
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise _wrong(path, f"cannot be read: {error}") from error
    except ValueError as error:
        raise _wrong(path, str(error)) from error
    tabs = Counter(sync.tab.casefold() for sync in syncs)
    if repeated := [sync.name for sync in syncs if tabs[sync.tab.casefold()] > 1]:
        raise _wrong(path, f"{' and '.join(repeated)} have the same tab")
    return syncs


def _sync(name: str, entries: Mapping[str, Any]) -> Sync:
    texts = {field.name for field in fields(Sync)} - {"name", "may_be_empty"}
    if unknown := set(entries) - texts - {"may_be_empty"}:
        known = ", ".join(sorted(texts | {"may_be_empty"}))
        raise ValueError(f"{name} has the entry {min(unknown)}, which means nothing; known are {known}")
    if lacking := [entry for entry in sorted(texts) if not isinstance(entries.get(entry), str) or not entries[entry].strip()]:
        raise ValueError(f"{name} lacks the entry {lacking[0]}")
    if not isinstance(entries.get("may_be_empty", False), bool):
        raise ValueError(f"{name} has an entry may_be_empty that is neither true nor false")
    return _checked(Sync(name=name, **entries))


def _checked(sync: Sync) -> Sync:
    if sync.mode not in MODES:
        raise ValueError(f"{sync.name} has the mode {sync.mode}; known are {', '.join(MODES)}")
    if len(sync.tab) > LONGEST_TAB_NAME or NOT_IN_TAB_NAMES & set(sync.tab):
        raise ValueError(f"{sync.name} has a tab name that a workbook cannot have: {sync.tab}")
    return sync


def _wrong(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path.name}: {what}",
        where=str(path),
        safe="Nothing was sent",
        next=f"mend {path.name}, then neopulse run --from activate",
    )
