"""What a sync is and what it did, whoever carries it out: the embedded engine or a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

REJECTS_SHOWN = 20

ReadMart = Callable[[str], pa.Table]


@dataclass(frozen=True)
class Sync:
    """One feed: which mart goes to which tab, by which key. `mirror` makes the tab hold what the mart holds.

    `may_be_empty` is for lists that are now and then rightly empty; any other mart without a row is taken for a fault.
    """

    name: str
    mart: str
    key: str
    tab: str
    mode: str
    owner: str
    description: str
    may_be_empty: bool = False


@dataclass(frozen=True)
class Reject:
    """A row that was not sent, and why; the key is empty where the row has none."""

    key: str
    reason: str


@dataclass(frozen=True)
class SyncResult:
    """What one sync did: rows in = created + updated + unchanged + rejected, always; deleted rows come on top."""

    sync: str
    service: str
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    rejects: tuple[Reject, ...] = field(default=(), repr=False)

    @property
    def rows_in(self) -> int:
        """Rows of the mart."""
        return self.rows_out + self.rejected

    @property
    def rows_out(self) -> int:
        """Rows of the mart that the destination now holds."""
        return self.created + self.updated + self.unchanged

    def to_json(self) -> Mapping[str, Any]:
        """The counts and the first rejects, for the run store and the screen."""
        counts = {name: getattr(self, name) for name in ("created", "updated", "unchanged", "deleted", "rejected")}
        shown = [{"key": reject.key, "reason": reject.reason} for reject in self.rejects[:REJECTS_SHOWN]]
        return {"sync": self.sync, "service": self.service, **counts, "rejects": shown}


class ReverseETL(Protocol):
    """Something that brings marts to a system outside."""

    def run(self, syncs: Sequence[Sync], read: ReadMart) -> tuple[SyncResult, ...]:
        """Carry out the syncs, all or none; `read` gives the mart of a name."""
