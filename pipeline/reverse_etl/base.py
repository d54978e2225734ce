"""What a sync did, whoever carried it out: the embedded engine or a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.errors import NeopulseError, TransientError

REJECTS_SHOWN = 20
REJECTS_KEPT = 1000  # of one sync and run, with what was to be sent


@dataclass(frozen=True)
class Reject:
    """A row that was not taken, and why; the key is empty where the row has none, the row where nobody told it."""

    key: str
    reason: str
    row: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class SyncResult:
    """What one sync did: rows in = sent (created + updated) + unchanged + rejected + invalid, always.

    `invalid` rows of the source were not sent (no key, a key twice), `rejected` ones were refused by the destination and
    are tried again next time; `skipped` ones are those of the unchanged that the mode leaves as they are there. Rows
    `deleted` at the destination, and those that it would not delete (`undeleted`), come on top. `link` leads to the run at
    the service, `notes` are what a person should know although the sync was carried out.
    """

    sync: str
    service: str
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    invalid: int = 0
    skipped: int = 0
    undeleted: int = 0
    rejects: tuple[Reject, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    link: str = ""

    @property
    def sent(self) -> int:
        """Rows that the destination took in this run."""
        return self.created + self.updated

    @property
    def rows_in(self) -> int:
        """Rows of the source."""
        return self.sent + self.unchanged + self.rejected + self.invalid

    @property
    def rows_out(self) -> int:
        """Rows of the source that the destination now holds as they are."""
        return self.sent + self.unchanged - self.skipped

    @property
    def is_partial(self) -> bool:
        """Whether the destination refused something."""
        return self.rejected > 0 or self.undeleted > 0

    def to_json(self) -> Mapping[str, Any]:
        """The counts and the first rejects, for the run store and the screen."""
        shown = [{"key": reject.key, "reason": reject.reason} for reject in self.rejects[:REJECTS_SHOWN]]
        return {
            "sync": self.sync,
            "service": self.service,
            **{name: getattr(self, name) for name in COUNTS},
            "sent": self.sent,
            "partial": self.is_partial,
            "rejects": shown,
            "notes": list(self.notes),
            **({"link": self.link} if self.link else {}),
        }


COUNTS = ("created", "updated", "unchanged", "deleted", "rejected", "invalid", "skipped", "undeleted")


class Notes(Protocol):
    """Where what became of each sync is written down, one sync at a time."""

    def done(self, result: SyncResult) -> None:
        """A sync was carried out."""

    def failed(self, sync: str, error: NeopulseError) -> None:
        """A sync was not, or not wholly, carried out."""


class NoNotes:
    """Writes nothing down."""

    def done(self, result: SyncResult) -> None:
        """A sync was carried out."""

    def failed(self, sync: str, error: NeopulseError) -> None:
        """A sync was not, or not wholly, carried out."""


class ReverseETL(Protocol):
    """Something that brings marts to a system outside."""

    def run(self) -> tuple[SyncResult, ...]:
        """Carry out every sync; raises where one failed, and says what the others did."""


def joined(failures: Iterable[NeopulseError], done: Sequence[str]) -> NeopulseError:
    """One error for all syncs that failed: of the kind that trying again does not mend where one is; names those carried out."""
    errors = list(dict.fromkeys(failures))
    first = next((error for error in errors if not isinstance(error, TransientError)), errors[0])
    if not done and len(errors) == 1:
        return first
    safe = "; ".join(part for part in (first.safe, f"carried out: {', '.join(done)}" if done else "") if part)
    return type(first)("; ".join(error.what for error in errors), where=first.where, safe=safe, next=first.next)
