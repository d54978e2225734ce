"""What a sync would do, before it does it: counts, samples, what stops it, and the digest that binds the doing to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import DataError
from pipeline.reverse_etl.base import Reject
from pipeline.reverse_etl.syncs import Sync

CREATE, UPDATE, DELETE = "create", "update", "delete"
SAME, SKIP, REJECT, INVALID = "same", "skip", "reject", "invalid"
SAMPLE_ROWS = 5


@dataclass(frozen=True)
class Scope:
    """How much of a sync: all that changed, one row (`only` is its key), or `afresh`, every row whatever was sent before."""

    only: str = ""
    afresh: bool = False


ALL = Scope()


@dataclass(frozen=True)
class Plan:
    """How many rows each act concerns, the first keys of each, and `held`: the rows at the destination that may be deleted.

    `digest` is that of everything the plan rests on: the sync, the source's rows, what was sent, what the destination holds.
    """

    sync: Sync
    counts: Mapping[str, int]
    samples: Mapping[str, tuple[str, ...]]
    rejects: tuple[Reject, ...]
    held: int
    digest: str
    scope: Scope
    notes: tuple[str, ...] = ()
    replaces_demo: bool = False
    """Whether what was sent before were the customers of a demo bank that is not the source any more: nobody misses them."""
    is_blind: bool = False
    """Whether nobody knows what the destination has: the snapshot is lost, and the destination cannot be read."""

    def count(self, act: str) -> int:
        """The rows that an act concerns."""
        return self.counts.get(act, 0)

    @property
    def is_idle(self) -> bool:
        """Whether the destination already holds it all."""
        return not (self.count(CREATE) or self.count(UPDATE) or self.count(DELETE))

    @property
    def tripped(self) -> tuple[str, ...]:
        """The guards that stop the plan, each in words."""
        guards, creates = self.sync.guards, self.count(CREATE)
        deletes = 0 if self.replaces_demo else self.count(DELETE)
        percent = 100 * deletes / self.held if self.held else 0.0
        told = []
        if guards.max_deletes is not None and deletes > guards.max_deletes:
            told.append(f"would delete {deletes:,} rows, more than max_deletes = {guards.max_deletes:,} allows")
        if guards.max_delete_percent is not None and percent > guards.max_delete_percent:
            limit = f"max_delete_percent = {guards.max_delete_percent:g}"
            told.append(f"would delete {deletes:,} of {self.held:,} rows ({percent:.1f} %), more than {limit} allows")
        if guards.max_creates is not None and creates > guards.max_creates:
            told.append(f"would create {creates:,} rows, more than max_creates = {guards.max_creates:,} allows")
        if self.is_blind and self.sync.mode == "append" and creates:
            told.append(f"would append {creates:,} rows that may be there already: what was sent is not known any more")
        return tuple(told)

    @property
    def empties(self) -> bool:
        """Whether a source that should not be empty has no row to send, so that only deletions are left."""
        sendable = self.count(CREATE) + self.count(UPDATE) + self.count(SAME) + self.count(SKIP)
        faulty = self.count(INVALID) + self.count(REJECT)
        return bool(self.count(DELETE)) and not sendable and not (self.sync.may_be_empty and not faulty)

    def to_json(self) -> Mapping[str, Any]:
        """The plan for a screen or a program."""
        return {
            "sync": self.sync.name,
            "destination": self.sync.place,
            "mode": self.sync.mode,
            "only": self.scope.only,
            "afresh": self.scope.afresh,
            "counts": {act: self.count(act) for act in ACTS},
            "samples": {act: list(keys) for act, keys in self.samples.items()},
            "rejects": [{"key": reject.key, "reason": reject.reason} for reject in self.rejects[:SAMPLE_ROWS]],
            "held": self.held,
            "stopped_by": list(self.tripped),
            "notes": list(self.notes),
            "digest": self.digest,
        }


ACTS = (CREATE, UPDATE, DELETE, SAME, SKIP, REJECT, INVALID)


def refuse(plan: Plan, *, approved: str | None = None) -> None:
    """Raise DataError where a plan must not be carried out; `approved` is the digest of the plan that a person has seen.

    A source without a row is refused whatever was approved.
    """
    sync = plan.sync
    if plan.empties:
        what = f"the source {sync.source} has no row to send, which would delete all {plan.count(DELETE):,} sent before"
        raise refused(sync, what)
    if approved is not None and approved != plan.digest:
        raise DataError(
            f"The plan of {sync.name} is not {approved} any more, it is {plan.digest}: the source or the destination changed",
            where=f"syncs.yml: {sync.name}",
            safe="Nothing was sent",
            next=f"neopulse syncs {sync.name} shows what would be done now",
        )
    if plan.tripped and approved is None:
        raise DataError(
            f"The sync {sync.name} was stopped: it {' and '.join(plan.tripped)}",
            where=f"syncs.yml: {sync.name}: guards",
            safe="Nothing was sent by any sync; the new version is published",
            next=f"neopulse syncs {sync.name} shows the plan; if it is right, neopulse syncs {sync.name} --apply {plan.digest}",
        )


def refused(sync: Sync, what: str, *, next: str = "mend the data or the model, then neopulse run") -> DataError:
    """A sync whose source cannot be used."""
    return DataError(
        f"The sync {sync.name} was stopped: {what}",
        where=f"syncs.yml: {sync.name}",
        safe="The destination is untouched; the new version is published",
        next=next,
    )
