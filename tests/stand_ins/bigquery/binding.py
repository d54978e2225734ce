"""Binding: the tables that a statement names are found, and its text is rewritten to the flat names the engine holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from zetasql.wasi._pb2.zetasql.parser import parse_tree_pb2 as parse_tree

from stand_ins.bigquery import google_sql
from stand_ins.bigquery.columns import Column, Row
from stand_ins.bigquery.errors import invalid, not_found
from stand_ins.bigquery.storage import Relation, TableId, Warehouse
from stand_ins.bigquery.text import Edit, edited, names, only, quoted, span


@dataclass(frozen=True)
class Source:
    """A table as a statement reads it: stored, a view, or made on the spot (INFORMATION_SCHEMA)."""

    name: str
    columns: tuple[Column, ...]
    relation: Relation | None = None
    rows: Sequence[Row] = ()


@dataclass(frozen=True)
class Bound:
    """A statement whose tables have flat names, with those tables."""

    text: str
    sources: Mapping[str, Source]
    statement: Any


Catalog = Callable[[tuple[str, ...], "Names"], Source | None]


@dataclass
class Names:
    """How names without a project or a dataset are completed."""

    project: str
    dataset: tuple[str, str] | None = None
    temporary: dict[str, TableId] = field(default_factory=dict)

    def complete(self, path: tuple[str, ...]) -> TableId:
        """The table of a path of one, two or three names. Raises 400 where a dataset is missing."""
        if len(path) == 1 and path[0] in self.temporary:
            return self.temporary[path[0]]
        if len(path) == 1 and self.dataset is not None:
            return TableId(self.dataset[0], self.dataset[1], path[0])
        if len(path) == 1:
            raise invalid(f'Table "{path[0]}" must be qualified with a dataset (e.g. dataset.table).')
        if len(path) == 2:
            return TableId(self.project, *path)
        return TableId(".".join(path[:-2]), *path[-2:])


def bind(text: str, *, warehouse: Warehouse, naming: Names, catalog: Catalog) -> Bound:
    """Find the tables of one statement and give them flat names in its text. Raises 404 for a table that is not there."""
    written = google_sql.table_paths(text)
    statement = single_statement(text)
    sources: dict[str, Source] = {}
    edits = []
    for node, path_node, takes_alias in _table_nodes(statement):
        path = tuple(name.id_string for name in only(path_node).names)
        if path not in written:
            continue
        source = _source(names(path_node), warehouse, naming, catalog)
        sources[source.name] = source
        alias = f" as {quoted(names(path_node)[-1])}" if takes_alias and not _has_alias(node, text) else ""
        edits.append(Edit(span(path_node), quoted(source.name) + alias))
    rewritten = edited(text, edits)
    return Bound(rewritten, sources, single_statement(rewritten))


def single_statement(text: str) -> Any:
    """The parse node of a text that holds one statement."""
    statements = google_sql.parse_script(text).statement_list_node.statement_list
    return only(statements[0])


def _source(path: tuple[str, ...], warehouse: Warehouse, naming: Names, catalog: Catalog) -> Source:
    made = catalog(path, naming)
    if made is not None:
        return made
    table = naming.complete(path)
    relation = warehouse.find(table)
    if relation is None:
        warehouse.dataset(table.project, table.dataset)
        raise not_found("Table", table.colon_path)
    return Source(table.path, relation.columns, relation)


DML_TARGETS = (
    parse_tree.ASTMergeStatementProto,
    parse_tree.ASTUpdateStatementProto,
    parse_tree.ASTDeleteStatementProto,
    parse_tree.ASTInsertStatementProto,
    parse_tree.ASTTruncateStatementProto,
)


def _table_nodes(statement: Message) -> list[tuple[Any, Any, bool]]:
    """Every place of a table's path: its node, the path, and whether an alias may follow it."""
    found: list[tuple[Any, Any, bool]] = [
        (node, node.path_expr, True)
        for node in google_sql.nodes(statement, parse_tree.ASTTablePathExpressionProto)
        if node.HasField("path_expr")
    ]
    if isinstance(statement, DML_TARGETS):
        with_alias = not isinstance(statement, DML_TARGETS[3:])
        found.append((statement, statement.target_path, with_alias))
    return found


def _has_alias(node: Any, text: str) -> bool:
    if node.HasField("alias"):
        return True
    path = node.path_expr if isinstance(node, parse_tree.ASTTablePathExpressionProto) else node.target_path
    following = text.encode()[span(path).end :].decode().lstrip().lower()
    return following.startswith(("pivot", "unpivot"))
