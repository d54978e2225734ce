"""What one statement did."""

from __future__ import annotations

from dataclasses import dataclass, field

from stand_ins.bigquery.columns import Column, Row
from stand_ins.bigquery.costs import Cost
from stand_ins.bigquery.storage import TableId


@dataclass
class Outcome:
    """The statement's type in BigQuery's words, its result, what it wrote to and what it cost."""

    statement_type: str
    columns: tuple[Column, ...] = ()
    rows: list[Row] = field(default_factory=list)
    target: TableId | None = None
    target_dataset: tuple[str, str] | None = None
    ddl_operation: str | None = None
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    cost: Cost = field(default_factory=Cost)

    @property
    def is_dml(self) -> bool:
        """Whether rows are counted as affected."""
        return self.statement_type in {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE_TABLE"}

    @property
    def affected(self) -> int:
        """Rows inserted, updated and deleted."""
        return self.inserted + self.updated + self.deleted
