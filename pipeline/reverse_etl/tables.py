"""Destinations that can be read back, row by row and by key: what the engine asks of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

Row = Sequence[Any]


class KeyedRows(Protocol):
    """Tabs in which our rows stand among those of other people, each known by the text of its key."""

    def read(self, tab: str, columns: Sequence[str], key: str) -> Mapping[str, Row]:
        """Every row of a tab that has a key: its values under these columns, None where the tab has no such column.

        A tab that is not there has no rows.
        """

    def computed(self, tab: str, columns: Sequence[str], key: str) -> Mapping[str, Row]:
        """The same, with what a formula comes to in its place. Raises DataError where it comes to nothing or to an error."""

    def write(self, tab: str, columns: Sequence[str], key: str, changed: Mapping[str, Row], deleted: Collection[str]) -> object:
        """Set the changed rows (a new one is appended) and delete the others; what is not ours stays.

        Each row is written whole or not at all; whoever cannot write all of them raises.
        """
