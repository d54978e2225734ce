"""What a table of the star is made of, and its select with each mart where it lies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "whole", "decimal", "date", "yes_no"]
RELATION = re.compile(r"\{published\}\.(\w+)")


@dataclass(frozen=True)
class Column:
    """A column: its name in the exported file, and its name in Power BI, empty where readers only see measures of it."""

    source: str
    kind: Kind
    name: str = ""

    @property
    def shown(self) -> str:
        """Its name in the model."""
        return self.name or self.source


@dataclass(frozen=True)
class Table:
    """A table of the star: its name in Power BI, its file, the mart that documents it, its columns, and the select.

    `sql` is empty where the rows are not published but come from the run store.
    """

    name: str
    file: str
    mart: str
    columns: tuple[Column, ...]
    sql: str
    key: str = ""
    direct: bool = False
    """Whether it is queried where it lies instead of imported, on an engine that can be asked."""
    added: tuple[Column, ...] = ()
    """Columns that are in no file: Power BI adds them from its parameters."""

    def column(self, source: str) -> Column:
        """The column of that name in the file."""
        return next(column for column in self.columns if column.source == source)


@dataclass(frozen=True)
class Relationship:
    """Each row of `table` belongs to at most one row of `to_table`; both columns by their names in the file."""

    table: str
    column: str
    to_table: str
    to_column: str


def select(table: Table, place: Callable[[str], str]) -> str:
    """The select of a table, with each mart where `place` says that it lies."""
    return RELATION.sub(lambda found: place(found[1]), table.sql)


def relations(table: Table) -> tuple[str, ...]:
    """The marts that a table reads."""
    return tuple(dict.fromkeys(RELATION.findall(table.sql)))
