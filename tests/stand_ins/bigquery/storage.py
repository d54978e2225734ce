"""What the stand-in holds: datasets, tables and views with their metadata; rows are kept in DuckDB."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from stand_ins.bigquery import google_sql
from stand_ins.bigquery.columns import Column, Row, from_arrow, logical_bytes, to_arrow
from stand_ins.bigquery.errors import already_exists, invalid, invalid_query, not_found

Clock = Callable[[], dt.datetime]

PARTITION_FORMATS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}
NULL_PARTITION = "__NULL__"
UNPARTITIONED = "__UNPARTITIONED__"


@dataclass(frozen=True)
class TableId:
    """The three names of a table or view."""

    project: str
    dataset: str
    table: str

    @property
    def path(self) -> str:
        """As GoogleSQL writes it: project.dataset.table."""
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def colon_path(self) -> str:
        """As messages and `id` write it: project:dataset.table."""
        return f"{self.project}:{self.dataset}.{self.table}"

    def as_reference(self) -> dict[str, str]:
        """The `tableReference` of REST."""
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}


@dataclass(frozen=True)
class Partitioning:
    """By time (`kind` HOUR, DAY, MONTH, YEAR) or by integer range (`kind` RANGE) of one column."""

    kind: str
    column: str
    expiration_milliseconds: int | None = None
    start: int = 0
    end: int = 0
    interval: int = 1

    def partition_of(self, value: Any) -> str:
        """The partition id of a value of the column."""
        if value is None:
            return NULL_PARTITION
        if self.kind == "RANGE":
            inside = self.start <= value < self.end
            return str(value - (value - self.start) % self.interval) if inside else UNPARTITIONED
        return str(
            value.strftime(PARTITION_FORMATS[self.kind].replace("%Y", f"{value.year:04}"))
        )  # the C library writes year 1 as 1

    def as_rest(self) -> dict[str, Any]:
        """The `timePartitioning` or `rangePartitioning` entry of a table."""
        if self.kind == "RANGE":
            bounds = {"start": str(self.start), "end": str(self.end), "interval": str(self.interval)}
            return {"rangePartitioning": {"field": self.column, "range": bounds}}
        entry = {"type": self.kind, "field": self.column}
        if self.expiration_milliseconds is not None:
            entry["expirationMs"] = str(self.expiration_milliseconds)
        return {"timePartitioning": entry}


@dataclass
class Dataset:
    """A dataset and what the API keeps about it."""

    project: str
    name: str
    created: dt.datetime
    modified: dt.datetime
    location: str = "EU"
    description: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    default_expiration_milliseconds: int | None = None
    access: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Relation:
    """A table (kind TABLE or SNAPSHOT) or a view (kind VIEW, with its query)."""

    id: TableId
    kind: str
    columns: tuple[Column, ...]
    created: dt.datetime
    modified: dt.datetime
    query: str | None = None
    description: str | None = None
    friendly_name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    partitioning: Partitioning | None = None
    require_partition_filter: bool = False
    clustering: tuple[str, ...] = ()
    expires: dt.datetime | None = None
    version: int = 0
    partitions_modified: dict[str, dt.datetime] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        """The column of that name, whatever its case."""
        found = [column for column in self.columns if column.name.lower() == name.lower()]
        if not found:
            raise invalid_query(f"Unrecognized name: {name}")
        return found[0]

    def position(self, name: str) -> int:
        """The place of a column among the columns."""
        return self.columns.index(self.column(name))

    def partition_ids(self, rows: Iterable[Row]) -> list[str]:
        """The partition of each row; the empty id where the table has none."""
        if self.partitioning is None:
            return ["" for _ in rows]
        position = self.position(self.partitioning.column)
        return [self.partitioning.partition_of(row[position]) for row in rows]


class Warehouse:
    """Every dataset and table of every project; the rows are DuckDB's."""

    def __init__(self, *, database: str = ":memory:", clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self._duckdb = duckdb.connect(database)
        self._duckdb.execute("set TimeZone = 'UTC'")
        self._datasets: dict[tuple[str, str], Dataset] = {}
        self._relations: dict[TableId, Relation] = {}
        self._contents: dict[TableId, tuple[int, bytes]] = {}
        self._sizes: dict[TableId, tuple[int, dict[tuple[str, str], int]]] = {}
        self._rows: dict[TableId, tuple[int, list[Row]]] = {}
        self._versions = itertools.count(1)

    def close(self) -> None:
        """Let go of DuckDB."""
        with self.lock:
            self._duckdb.close()

    # datasets

    def dataset(self, project: str, name: str) -> Dataset:
        """The dataset. Raises 404."""
        if (project, name) not in self._datasets:
            raise not_found("Dataset", f"{project}:{name}")
        return self._datasets[project, name]

    def datasets(self, project: str) -> list[Dataset]:
        """The datasets of a project by name."""
        return sorted((kept for kept in self._datasets.values() if kept.project == project), key=lambda kept: kept.name)

    def create_dataset(self, project: str, name: str, **settings: Any) -> Dataset:
        """A new dataset. Raises 409 where it is there."""
        if (project, name) in self._datasets:
            raise already_exists("Dataset", f"{project}:{name}")
        made = Dataset(project, name, created=self.clock(), modified=self.clock(), **settings)
        self._datasets[project, name] = made
        return made

    def drop_dataset(self, project: str, name: str, *, with_contents: bool) -> None:
        """Remove a dataset. Raises 400 where it holds tables and they were not to go."""
        self.dataset(project, name)
        held = self.relations(project, name)
        if held and not with_contents:
            raise invalid(f"Dataset {project}:{name} is still in use")
        for relation in held:
            self.drop(relation.id)
        del self._datasets[project, name]

    # tables and views

    def relation(self, table: TableId) -> Relation:
        """The table or view. Raises 404, also for one that has expired."""
        found = self.find(table)
        if found is None:
            self.dataset(table.project, table.dataset)
            raise not_found("Table", table.colon_path)
        return found

    def find(self, table: TableId) -> Relation | None:
        """The table or view, or None."""
        found = self._relations.get(table)
        if found is not None and found.expires is not None and found.expires <= self.clock():
            self.drop(table)
            return None
        return found

    def relations(self, project: str, dataset: str) -> list[Relation]:
        """The tables and views of a dataset by name."""
        self.dataset(project, dataset)
        names = [table for table in self._relations if (table.project, table.dataset) == (project, dataset)]
        found = [self.find(table) for table in sorted(names, key=lambda table: table.table)]
        return [relation for relation in found if relation is not None]

    def create(self, relation: Relation, rows: Sequence[Row] = (), *, replace: bool = False) -> Relation:
        """A new table or view. Raises 409 where the name is taken and is not to be replaced."""
        dataset = self.dataset(relation.id.project, relation.id.dataset)
        before = self.find(relation.id)
        if before is not None and not replace:
            raise already_exists("Table", relation.id.colon_path)
        if before is not None:
            self.drop(relation.id)
        if relation.expires is None and relation.kind != "VIEW" and dataset.default_expiration_milliseconds:
            relation.expires = self.clock() + dt.timedelta(milliseconds=dataset.default_expiration_milliseconds)
        self._relations[relation.id] = relation
        if relation.kind == "VIEW":
            relation.version = next(self._versions)
        else:
            try:
                self.write(relation, rows)
            except Exception:
                del self._relations[relation.id]
                raise
        return relation

    def drop(self, table: TableId) -> None:
        """Remove a table or view that is there."""
        relation = self._relations.pop(table)
        for kept in (self._contents, self._sizes, self._rows):
            kept.pop(table, None)
        if relation.kind != "VIEW":
            self._duckdb.execute(f"drop table if exists {_quoted(table)}")

    # rows

    def rows(self, relation: Relation) -> list[Row]:
        """The rows of a table as Python values, in the order in which they were written."""
        if not relation.columns:
            return []
        kept = self._rows.get(relation.id)
        if kept is None or kept[0] != relation.version:
            table = self._duckdb.sql(f"select * from {_quoted(relation.id)}").to_arrow_table()
            kept = self._rows[relation.id] = (relation.version, from_arrow(relation.columns, table))
        return kept[1]

    def write(self, relation: Relation, rows: Sequence[Row], *, touched: set[str] | None = None) -> None:
        """Replace a table's rows; `touched` are the partitions written to, all where it is None."""
        _refuse_missing_values(relation, rows)
        if relation.columns:  # BigQuery knows tables without columns, DuckDB does not
            self._store(relation, rows)
        self._mark(relation, rows, touched)

    def _store(self, relation: Relation, rows: Sequence[Row]) -> None:
        table = to_arrow(relation.columns, rows)
        schema = f'"{relation.id.project}.{relation.id.dataset}"'
        self._duckdb.execute(f"create schema if not exists {schema}")
        self._duckdb.register("_incoming", table)
        try:
            self._duckdb.execute(f"create or replace table {_quoted(relation.id)} as select * from _incoming")
        finally:
            self._duckdb.unregister("_incoming")

    def _mark(self, relation: Relation, rows: Sequence[Row], touched: set[str] | None) -> None:
        now = self.clock()
        relation.version = next(self._versions)
        relation.modified = now
        there = set(relation.partition_ids(rows))
        before = relation.partitions_modified
        relation.partitions_modified = {
            partition: now if touched is None or partition in touched else before.get(partition, now) for partition in there
        }

    def content(self, relation: Relation) -> bytes:
        """The rows in the bytes of Google's engine."""
        kept = self._contents.get(relation.id)
        if kept is None or kept[0] != relation.version:
            kept = (relation.version, google_sql.encode_rows(relation.columns, self.rows(relation)))
            self._contents[relation.id] = kept
        return kept[1]

    def sizes(self, relation: Relation) -> dict[tuple[str, str], int]:
        """Logical bytes by partition and column name."""
        kept = self._sizes.get(relation.id)
        if kept is None or kept[0] != relation.version:
            kept = self._sizes[relation.id] = (relation.version, self._measure(relation))
        return kept[1]

    def _measure(self, relation: Relation) -> dict[tuple[str, str], int]:
        rows = self.rows(relation)
        by_partition: dict[str, list[Row]] = defaultdict(list)
        for partition, row in zip(relation.partition_ids(rows), rows, strict=True):
            by_partition[partition].append(row)
        return {
            (partition, column.name): logical_bytes(column, (row[position] for row in held))
            for partition, held in by_partition.items()
            for position, column in enumerate(relation.columns)
        }

    def row_counts(self, relation: Relation) -> dict[str, int]:
        """Rows by partition."""
        counts: dict[str, int] = defaultdict(int)
        for partition in relation.partition_ids(self.rows(relation)):
            counts[partition] += 1
        return dict(counts)

    # transactions

    def snapshot(self) -> dict[TableId, tuple[dict[str, Any], list[Row]]]:
        """The state of every table, for a rollback."""
        return {
            relation.id: (dict(vars(relation)), [] if relation.kind == "VIEW" else list(self.rows(relation)))
            for relation in list(self._relations.values())
        }

    def restore(self, state: dict[TableId, tuple[dict[str, Any], list[Row]]]) -> None:
        """Bring the tables back to a snapshot."""
        for table in list(self._relations):
            if table not in state:
                self.drop(table)
        for table, (settings, rows) in state.items():
            relation = self._relations.get(table)
            if relation is not None and relation.version == settings["version"]:
                vars(relation).update(settings)
                continue
            self.create(Relation(**settings), rows, replace=True)
            self._relations[table].partitions_modified = settings["partitions_modified"]


def _quoted(table: TableId) -> str:
    return f'"{table.project}.{table.dataset}"."{table.table}"'


def _refuse_missing_values(relation: Relation, rows: Sequence[Row]) -> None:
    for position, column in enumerate(relation.columns):
        if column.mode == "REQUIRED" and any(row[position] is None for row in rows):
            raise invalid(f"Required field {column.name} cannot be null")
