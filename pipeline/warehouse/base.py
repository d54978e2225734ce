"""What the chain asks of a warehouse: a state that dbt builds on, a version copied out of it, and rows read back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from pipeline.errors import NeopulseError, PermanentError
from pipeline.kept import Value
from pipeline.sources.landing import Landing

IN_THE_FUTURE = 4  # the place of that word among rejection_reasons() in dbt_project/macros/activity.sql
THE_CLOCK_WENT_BACK = "a row that counted is dated after the current day: the clock has gone back"


@dataclass(frozen=True)
class Increment:
    """What a build has to do: everything, and why; or what changed since the last build, as variables for dbt."""

    full_refresh: bool
    reason: str
    variables: Mapping[str, Any]


class DamagedStateError(PermanentError):
    """The state cannot be read because it is damaged: it holds nothing that the landed files do not, and is built anew."""


class Warehouse(Protocol):
    """An engine that holds one state, which each run brings up to date and dbt tests before a version is copied out.

    A state is built on only where the last build of it was sealed under the same settings; else it is built anew. Any act on
    one that is damaged raises DamagedStateError; after `set_aside` there is none, and the next `prepare` begins a new one.
    """

    name: str

    def prepare(
        self, landing: Landing, *, external: Mapping[str, Path], variables: Mapping[str, Any], full_refresh: bool
    ) -> Increment:
        """Unseal the state and fill its schema `raw`: what of the bank's tables is to be read, as text, and external facts."""

    def environment(self) -> Mapping[str, str]:
        """What dbt_project/profiles.yml reads from the environment of the building process."""

    def abandon(self) -> None:
        """End what the building process has begun elsewhere, and remove what it left, after that process was ended."""

    def refusal(self, message: str) -> NeopulseError | None:
        """What the engine's words mean where a build failed and no model has to be mended; None where one has to."""

    def publication_facts(self) -> Mapping[str, Any]:
        """The one row of `warehouse.dim_publication` in the state that was built."""

    def seal(self) -> None:
        """Say that all of the state was built and tested; the next run may build on it."""

    def discard(self) -> None:
        """Give back the room that the state takes on this machine's disk; the next run builds it anew."""

    def set_aside(self) -> None:
        """Move a damaged state out of the way, so that it can be looked at; an earlier one that was moved goes."""

    def copy_readable(self, target: Path, *, orders: Mapping[str, str], types: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
        """Copy what readers may see into the folder `target`; returns the rows of each relation.

        `orders` has the order in which a relation is read best, `types` the types that the models declare for its columns.
        """

    def estimate(self) -> str:
        """What a full refresh would scan and cost, in words; nothing where it costs nothing."""


class ReadOnly(Protocol):
    """A version open for reading, by many threads at once."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The rows of one statement; values come in as parameters, never as text."""

    def kept(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `make` makes of the version's rows, kept for the next who asks; whoever gets it does not change it."""

    def close(self) -> None:
        """Let go of the version."""
