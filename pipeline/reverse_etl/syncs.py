"""What a sync of the embedded engine is: a source, a destination, a key, the fields, a mode, and what stops it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import pyarrow as pa

Mode = Literal["mirror", "upsert", "update_only", "create_only", "append", "replace"]
Kind = Literal["tab", "csv", "http", "upsert"]
RUN_FACTS = ("run_id", "version", "as_of", "published_at")

ReadMart = Callable[[str], pa.Table]


@dataclass(frozen=True)
class Field:
    """A field at the destination: a column of the source, a constant, or a fact of the run that sends the row.

    A fact of the run is no reason to send a row again: it is stamped when the row is sent for another one.
    """

    name: str
    column: str = ""
    constant: str | int | float | bool | None = None
    run: str = ""


@dataclass(frozen=True)
class Guards:
    """What stops a plan before anything is sent; None sets no limit."""

    max_deletes: int | None = None
    max_delete_percent: float | None = None
    max_creates: int | None = None


@dataclass(frozen=True)
class Destination:
    """Where rows go: a tab, a CSV file, an address that takes batches, or one that takes them the way HubSpot does."""

    kind: Kind
    name: str
    batch_rows: int = 100
    token: str = ""

    @property
    def is_table(self) -> bool:
        """Whether it can be read back."""
        return self.kind in ("tab", "csv")


@dataclass(frozen=True, kw_only=True)
class Sync:
    """One feed. The source is a mart, or with `from_tab` a tab of the sheet that people keep.

    Without `fields` every column goes under its own name. `may_be_empty` is for lists that are now and then rightly empty;
    any other source without a row is taken for a fault.
    """

    name: str
    source: str
    key: str
    destination: Destination
    mode: Mode
    owner: str
    description: str
    from_tab: bool = False
    fields: tuple[Field, ...] = ()
    guards: Guards = field(default_factory=Guards)
    may_be_empty: bool = False

    def fields_of(self, columns: list[str]) -> tuple[Field, ...]:
        """The fields to send from a source with these columns."""
        return self.fields or tuple(Field(name, column=name) for name in columns)

    @property
    def place(self) -> str:
        """The destination as the snapshot knows it: a sync that is sent elsewhere begins anew there."""
        return f"{self.destination.kind}:{self.destination.name}"


@dataclass(frozen=True)
class RunFacts:
    """What a field may tell of the run that sends a row."""

    run_id: int
    version: str
    as_of: date
    published_at: datetime


def key_field(fields: tuple[Field, ...], key: str) -> str:
    """The name that the key has at the destination."""
    return next(each.name for each in fields if each.column == key)


def fingerprint(content: Any) -> str:
    """A short sign that two plain contents are equal."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def constants(fields: tuple[Field, ...]) -> Mapping[str, Any]:
    """The fields whose value is the same in every row and a reason to send a row again when it changes."""
    return {each.name: each.constant for each in fields if not each.column and not each.run}
