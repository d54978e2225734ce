"""What the chain asks of a warehouse: a candidate to build in, a version copied out of it, and rows read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from pipeline.sources.landing import LandedTable


class Warehouse(Protocol):
    """An engine that dbt builds a candidate in; `folder` is the folder of that candidate."""

    name: str

    def prepare(self, folder: Path, landed: Mapping[str, LandedTable], *, external: Mapping[str, Path]) -> None:
        """Make the candidate with a schema `raw`: the bank's tables, every column a text, and external facts as typed."""

    def environment(self, folder: Path) -> Mapping[str, str]:
        """What dbt_project/profiles.yml reads from the environment of the building process."""

    def publication_facts(self, folder: Path) -> Mapping[str, Any]:
        """The one row of `warehouse.dim_publication` in the built candidate."""

    def copy_readable(self, folder: Path, target: Path) -> dict[str, int]:
        """Copy what readers may see into the folder `target`; returns the rows of each relation."""


class ReadOnly(Protocol):
    """A version open for reading, by many threads at once."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """The rows of one statement; values come in as parameters, never as text."""

    def close(self) -> None:
        """Let go of the version."""
