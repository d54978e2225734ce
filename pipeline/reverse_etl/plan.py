"""What a mirror would do: rows by key against what the destination holds and what was sent before."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.reverse_etl.base import Reject, Sync, SyncResult
from pipeline.spreadsheets import LONGEST_TEXT, MOST_ROWS, Storable, storable

LONGEST_KEY = 200  # characters; what the run store keeps
Row = tuple[Storable, ...]


@dataclass(frozen=True)
class Source:
    """The rows of a mart as they can be sent, by key, and those that cannot."""

    sync: Sync
    columns: tuple[str, ...]
    rows: Mapping[str, Row]
    rejects: tuple[Reject, ...]

    @cached_property
    def keys(self) -> frozenset[str]:
        """Every key of the mart, the rejected ones too: a faulty row is no reason to delete the one sent before."""
        return frozenset(self.rows) | {reject.key for reject in self.rejects}

    @cached_property
    def hashes(self) -> Mapping[str, str]:
        """What the run store remembers of each row."""
        return {key: _hash(self.columns, row) for key, row in self.rows.items()}


def read_source(sync: Sync, mart: pa.Table) -> Source:
    """The rows of a mart; raises DataError where the mart lacks the key or is too large for a tab."""
    columns = tuple(mart.column_names)
    if sync.key not in columns:
        raise _refused(sync, f"the mart {sync.mart} has no column {sync.key}")
    if mart.num_rows >= MOST_ROWS:
        raise _refused(sync, f"the mart {sync.mart} has {mart.num_rows:,} rows, more than a tab can hold")
    rows = [tuple(storable(value) for value in row) for row in zip(*(mart[name].to_pylist() for name in columns), strict=True)]
    keys = ["" if (key := row[columns.index(sync.key)]) is None else str(key) for row in rows]
    times = Counter(keys)
    rejects: list[Reject] = []
    sendable: dict[str, Row] = {}
    for key, row in zip(keys, rows, strict=True):
        if reason := _unfit(key, row, times[key], sync):
            rejects.append(Reject(key, reason))
        else:
            sendable[key] = row
    return Source(sync, columns, sendable, tuple(rejects))


def _unfit(key: str, row: Row, times: int, sync: Sync) -> str:
    if not key:
        return f"{sync.key} is empty"
    if times > 1:
        return f"{sync.key} is there {times} times"
    if len(key) > LONGEST_KEY:
        return f"{sync.key} has more than {LONGEST_KEY} characters"
    if any(isinstance(value, str) and len(value) > LONGEST_TEXT for value in row):
        return f"a text has more than {LONGEST_TEXT:,} characters"
    return ""


@dataclass(frozen=True)
class Plan:
    """What is to be done, by key, to make the destination hold the source's rows."""

    source: Source
    created: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    deleted: tuple[str, ...]

    @property
    def is_idle(self) -> bool:
        """Whether the destination already holds it all."""
        return not (self.created or self.updated or self.deleted)

    def result(self, service: str) -> SyncResult:
        """The counts of the plan, once it has been carried out."""
        return SyncResult(
            sync=self.source.sync.name,
            service=service,
            created=len(self.created),
            updated=len(self.updated),
            unchanged=len(self.unchanged),
            deleted=len(self.deleted),
            rejected=len(self.source.rejects),
            rejects=self.source.rejects,
        )


def refuse_emptying(plan: Plan) -> None:
    """Raise DataError where a mart that should not be empty has no row to send, which would delete what was sent before."""
    sync = plan.source.sync
    if plan.deleted and not plan.source.rows and not (sync.may_be_empty and not plan.source.rejects):
        raise _refused(sync, f"the mart {sync.mart} has no row to send, which would delete all {len(plan.deleted):,} sent before")


def mirror(source: Source, *, held: Mapping[str, bool], sent: Sequence[str] | Mapping[str, str]) -> Plan:
    """The plan of a mirror: `held` says of each key at the destination whether its row equals the source's.

    Only what was sent before is ever deleted.
    """
    return Plan(
        source,
        created=tuple(key for key in source.rows if key not in held),
        updated=tuple(key for key in source.rows if held.get(key) is False),
        unchanged=tuple(key for key in source.rows if held.get(key)),
        deleted=tuple(key for key in sent if key in held and key not in source.keys),
    )


def changes(source: Source, sent: Mapping[str, str]) -> dict[str, str | None]:
    """What the run store has to learn after the destination took the rows: new hashes, and keys that are gone."""
    learned: dict[str, str | None] = {key: value for key, value in source.hashes.items() if sent.get(key) != value}
    return learned | {key: None for key in sent if key not in source.keys}


def _hash(columns: Sequence[str], row: Row) -> str:
    return hashlib.sha256(repr((columns, row)).encode()).hexdigest()[:32]


def _refused(sync: Sync, what: str) -> DataError:
    return DataError(
        f"The sync {sync.name} was stopped: {what}",
        where=f"syncs.yml: {sync.name}",
        safe="The destination is untouched; the new version is published",
        next="mend the data or the model, then neopulse run",
    )
