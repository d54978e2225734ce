"""Bytes processed and billed, and the partition filter that a table can require.

Sizes: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes. A table is counted once however
often a query names it. Billed: whole MiB, at least 10 MiB for each table read, nothing where nothing is read.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from stand_ins.bigquery.columns import UTC
from stand_ins.bigquery.errors import ApiError, invalid_query
from stand_ins.bigquery.reads import Predicate
from stand_ins.bigquery.storage import NULL_PARTITION, PARTITION_FORMATS, UNPARTITIONED, Relation, TableId, Warehouse

MEBIBYTE = 1 << 20
MINIMUM_BILLED = 10 * MEBIBYTE
METADATA_BYTES = 10 * MEBIBYTE  # what a query of INFORMATION_SCHEMA costs at least


@dataclass
class Cost:
    """What one statement reads."""

    parts: dict[TableId, dict[tuple[str, str], int]] = field(default_factory=dict)
    metadata: set[str] = field(default_factory=set)

    def add(self, relation: Relation, columns: Iterable[str], partitions: Iterable[str], warehouse: Warehouse) -> None:
        """Count columns of partitions of a table, each once."""
        sizes = warehouse.sizes(relation)
        wanted = {name.lower() for name in columns}
        counted = self.parts.setdefault(relation.id, {})
        kept = set(partitions)
        counted.update({key: size for key, size in sizes.items() if key[0] in kept and key[1].lower() in wanted})

    def merge(self, other: Cost) -> None:
        """Count what another statement read as well."""
        for table, counted in other.parts.items():
            self.parts.setdefault(table, {}).update(counted)
        self.metadata |= other.metadata

    @property
    def processed(self) -> int:
        """Bytes processed."""
        return sum(self._by_table().values()) + METADATA_BYTES * bool(self.metadata)

    @property
    def billed(self) -> int:
        """Bytes billed."""
        tables = [max(MINIMUM_BILLED, -(-size // MEBIBYTE) * MEBIBYTE) for size in self._by_table().values() if size]
        return sum(tables) + METADATA_BYTES * bool(self.metadata)

    def _by_table(self) -> dict[TableId, int]:
        return {table: sum(counted.values()) for table, counted in self.parts.items()}

    def refuse_above(self, limit: int | None) -> None:
        """Raise 400 bytesBilledLimitExceeded where more would be billed than the job allows."""
        if limit is not None and self.billed > limit:
            message = f"Query exceeded limit for bytes billed: {limit}. {self.billed} or higher required."
            raise ApiError(400, "bytesBilledLimitExceeded", message)


def partitions_left(relation: Relation, predicates: dict[str, tuple[Predicate, ...]]) -> list[str]:
    """The partitions that constant filters leave; every one where the table is not partitioned.

    Raises 400 where the table requires a filter on its partition column and there is none.
    """
    present = list(relation.partitions_modified)
    if relation.partitioning is None:
        return present
    column = relation.partitioning.column
    found = predicates.get(column.lower(), ())
    if relation.require_partition_filter and not found:
        raise invalid_query(
            f"Cannot query over table '{relation.id.path}' without a filter over column(s) '{column}' "
            "that can be used for partition elimination"
        )
    return [partition for partition in present if all(one.may_hold(*bounds(relation, partition)) for one in found)]


def bounds(relation: Relation, partition: str) -> tuple[Any, Any]:
    """The least and the greatest value of the partition column in a partition; None twice for the partition of NULL."""
    assert relation.partitioning is not None
    if partition in {NULL_PARTITION, UNPARTITIONED}:
        return None, None
    if relation.partitioning.kind == "RANGE":
        return int(partition), int(partition) + relation.partitioning.interval - 1
    start = dt.datetime.strptime(partition, PARTITION_FORMATS[relation.partitioning.kind]).replace(tzinfo=UTC)
    end = _end(start, relation.partitioning.kind)
    if relation.column(relation.partitioning.column).type == "DATE":
        return start.date(), end.date()
    return start, end


def _end(start: dt.datetime, kind: str) -> dt.datetime:
    """The last microsecond of a partition; there is no next one after the last of the calendar."""
    if kind == "HOUR":
        return start.replace(minute=59, second=59, microsecond=999999)
    if kind == "DAY":
        return dt.datetime.combine(start, dt.time.max, UTC)
    month = start.month if kind == "MONTH" else 12
    return dt.datetime.combine(start.replace(month=month, day=calendar.monthrange(start.year, month)[1]), dt.time.max, UTC)
