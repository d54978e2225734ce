"""The syncs of syncs.yml, checked as they are read: an error names the sync and the entry to mend."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import yaml

from pipeline import written_yaml
from pipeline.addresses import is_loopback_host
from pipeline.errors import ConfigurationError
from pipeline.reverse_etl.syncs import RUN_FACTS, Destination, Field, Guards, Kind, Mode, Sync

SYNCS = Path(__file__).with_name("syncs.yml")
MODES: tuple[str, ...] = get_args(Mode)
KINDS: tuple[str, ...] = get_args(Kind)
MODES_OF: Mapping[str, tuple[str, ...]] = {
    "tab": MODES,
    "csv": MODES,
    "http": tuple(mode for mode in MODES if mode != "replace"),
    "upsert": ("upsert",),
}
GUARDED_PERCENT = 50.0  # what a sync may delete of what it sent where it says nothing else
MOST_BATCH_ROWS = 10_000
LONGEST_TAB_NAME = 31
NOT_IN_TAB_NAMES = set(r"[]:*?/\'")
_TEXTS = ("key", "mode", "owner", "description")
_SOURCES = ("mart", "sheet_tab")
_KNOWN = (*_SOURCES, *_TEXTS, *KINDS, "fields", "guards", "may_be_empty")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w .-]{0,99}\.csv")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def read_syncs(path: Path = SYNCS) -> tuple[Sync, ...]:
    """Every sync, in the order of the file; raises ConfigurationError that names the sync and the entry to mend."""
    try:
        declared = written_yaml.read(path)["syncs"]
        syncs = tuple(_sync(name, entries) for name, entries in declared.items())
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise _wrong(path, f"cannot be read: {error}") from error
    except ValueError as error:
        raise _wrong(path, str(error)) from error
    places = Counter(sync.place.casefold() for sync in syncs)
    if repeated := [sync for sync in syncs if places[sync.place.casefold()] > 1]:
        names = " and ".join(sync.name for sync in repeated)
        raise _wrong(path, f"{names} have the same destination, {repeated[0].destination.kind} {repeated[0].destination.name}")
    return syncs


def _sync(name: Any, entries: Any) -> Sync:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name} is not a name for a sync: small letters, digits and underscores, a letter first")
    if not isinstance(entries, Mapping):
        raise ValueError(f"{name} has no entries")
    if unknown := [str(entry) for entry in entries if entry not in _KNOWN]:
        raise ValueError(f"{name} has the entry {min(unknown)}, which means nothing; known are {', '.join(sorted(_KNOWN))}")
    for entry in _TEXTS:
        _text(name, entry, entries.get(entry))
    if not isinstance(entries.get("may_be_empty", False), bool):
        raise ValueError(f"{name} has an entry may_be_empty that is neither true nor false")
    source, kind = _one_of(name, entries, _SOURCES), _one_of(name, entries, KINDS)
    return _checked(
        Sync(
            name=name,
            source=_text(name, source, entries[source]),
            from_tab=source == "sheet_tab",
            key=entries["key"],
            destination=_destination(name, kind, entries[kind]),
            mode=entries["mode"],
            owner=entries["owner"],
            description=entries["description"],
            fields=_fields(name, entries.get("fields", {})),
            guards=_guards(name, entries.get("guards", {})),
            may_be_empty=entries.get("may_be_empty", False),
        )
    )


def _one_of(name: str, entries: Mapping[str, Any], choices: tuple[str, ...]) -> str:
    given = [choice for choice in choices if choice in entries]
    if not given:
        raise ValueError(f"{name} lacks the entry {' or '.join(choices)}")
    if len(given) > 1:
        raise ValueError(f"{name} has {' and '.join(given)}, of which there can be one")
    return given[0]


def _text(name: str, entry: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} lacks the entry {entry}" if value is None else f"{name} has an entry {entry} that is no text")
    return value


def _destination(name: str, kind: Any, given: Any) -> Destination:
    if kind in ("tab", "csv"):
        return Destination(kind, _text(name, kind, given))
    entries = given if isinstance(given, Mapping) else {"address": given}
    _refuse_unknown(name, kind, entries, ("address", "batch_rows", "token"))
    address = _text(name, f"{kind}.address", entries.get("address"))
    token = _text(name, f"{kind}.token", entries["token"]) if "token" in entries else ""
    rows = _number(name, f"{kind}.batch_rows", entries.get("batch_rows", 100), least=1, most=MOST_BATCH_ROWS, whole=True)
    return Destination(kind, address, int(rows), token)


def _fields(name: str, given: Any) -> tuple[Field, ...]:
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} has an entry fields that is no list of names with what stands behind each")
    return tuple(_field(name, str(field), what) for field, what in given.items())


def _field(name: str, field: str, what: Any) -> Field:
    where = f"fields.{field}"
    if isinstance(what, str):
        return Field(field, column=_text(name, where, what))
    if not isinstance(what, Mapping) or len(what) != 1:
        raise ValueError(f"{name} has an entry {where} that is neither a column nor one of constant and run")
    _refuse_unknown(name, where, what, ("column", "constant", "run"))
    [(kind, value)] = what.items()
    if kind == "constant":
        if not isinstance(value, str | int | float | bool):
            raise ValueError(f"{name} has an entry {where} whose constant is neither a text, a number, true nor false")
        return Field(field, constant=value)
    if kind == "run" and value not in RUN_FACTS:
        raise ValueError(f"{name} has an entry {where} with the run's {value}; known are {', '.join(RUN_FACTS)}")
    return Field(field, **{kind: _text(name, where, value)})


def _guards(name: str, given: Any) -> Guards:
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} has an entry guards that is no list of limits")
    _refuse_unknown(name, "guards", given, ("max_deletes", "max_delete_percent", "max_creates"))
    limits = {"max_delete_percent": GUARDED_PERCENT, **given}
    for entry, value in limits.items():
        is_percent = entry == "max_delete_percent"
        _number(name, f"guards.{entry}", value, least=0, most=100 if is_percent else 10**12, whole=not is_percent)
    return Guards(**limits)


def _number(name: str, entry: str, value: Any, *, least: float, most: float, whole: bool) -> float:
    is_number = isinstance(value, int) or (isinstance(value, float) and not whole)
    if isinstance(value, bool) or not is_number or not least <= float(value) <= most:
        what = "whole number" if whole else "number"
        raise ValueError(f"{name} has an entry {entry} that is no {what} from {least:g} to {most:,.0f}: {value}")
    return float(value)


def _refuse_unknown(name: str, entry: str, given: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    if unknown := [str(each) for each in given if each not in known]:
        raise ValueError(f"{name} has the entry {entry}.{min(unknown)}, which means nothing; known are {', '.join(known)}")


def _checked(sync: Sync) -> Sync:
    for check in _CHECKS:
        if wrong := check(sync):
            raise ValueError(f"{sync.name} {wrong}")
    return sync


def _mode(sync: Sync) -> str:
    if sync.mode not in MODES:
        return f"has the mode {sync.mode}; known are {', '.join(MODES)}"
    possible = MODES_OF[sync.destination.kind]
    if sync.mode not in possible:
        return f"has the mode {sync.mode}, which a destination {sync.destination.kind} cannot do; it can {', '.join(possible)}"
    return ""


def _place(sync: Sync) -> str:
    kind, name = sync.destination.kind, sync.destination.name
    if kind == "tab" and (len(name) > LONGEST_TAB_NAME or NOT_IN_TAB_NAMES & set(name) or _CONTROL.search(name)):
        return f"has a tab name that a workbook cannot have: {name}"
    if kind == "csv" and not _FILE_NAME.fullmatch(name):
        return f"has a csv that is no plain file name such as customers.csv: {name}"
    if kind in ("http", "upsert"):
        parts = urlsplit(name)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return f"has an entry {kind}.address that is no address such as https://crm.bank/customers"
        if parts.username or parts.password:
            return f"has a password in {kind}.address; name a token of NEOPULSE_SYNC_TOKENS in {kind}.token instead"
        if parts.scheme == "http" and not is_loopback_host(parts.hostname):
            return f"has an entry {kind}.address that has to be https:// beyond this machine"
    return ""


def _key_is_sent(sync: Sync) -> str:
    if sync.fields and all(each.column != sync.key for each in sync.fields):
        return f"sends no field from its key {sync.key}; add it to fields"
    if sync.from_tab and not sync.fields:
        return "reads a sheet_tab and needs fields, which say what columns of it are sent"
    return ""


_CHECKS: tuple[Callable[[Sync], str], ...] = (_mode, _place, _key_is_sent)


def _wrong(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path.name}: {what}",
        where=str(path),
        safe="Nothing was sent",
        next=f"mend {path.name}, then neopulse run --from activate",
    )
