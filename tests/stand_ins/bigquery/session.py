"""One job's conversation with the engine: its names, variables and parameters, its queries and what they cost."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_pb2 as tree

from stand_ins.bigquery import google_sql, information_schema
from stand_ins.bigquery.binding import Bound, Names, Source, bind
from stand_ins.bigquery.columns import Column, Row, UnsupportedTypeError, from_engine_type
from stand_ins.bigquery.costs import Cost, partitions_left
from stand_ins.bigquery.errors import invalid_query
from stand_ins.bigquery.google_sql import Result, Scope, SqlError, Table
from stand_ins.bigquery.reads import (
    NotConstantError,
    Predicate,
    TableRead,
    asks_for_no_rows,
    joins_that_cannot_be_run,
    literal_value,
    reads_of_query,
)
from stand_ins.bigquery.storage import Relation, Warehouse
from stand_ins.bigquery.text import quoted

UNREPEATABLE = re.compile(r"\b(current_(date|time|datetime|timestamp)|rand|generate_uuid|session_user)\b", re.IGNORECASE)

Predicates = Mapping[str, tuple[Predicate, ...]]


@dataclass
class ViewCache:
    """Rows of views in the engine's bytes, kept while nothing below them changes."""

    contents: dict[str, tuple[Any, bytes]] = field(default_factory=dict)


@dataclass
class Session:
    """The state of one query job while it runs."""

    warehouse: Warehouse
    naming: Names
    views: ViewCache
    parameters: Mapping[str, tuple[Column, Any]] = field(default_factory=dict)
    positional: Sequence[tuple[Column, Any]] = ()
    variables: dict[str, tuple[Column, Any]] = field(default_factory=dict)
    maximum_bytes_billed: int | None = None
    dry_run: bool = False
    session_name: str = "session"
    cost: Cost = field(default_factory=Cost)

    def bind(self, text: str) -> Bound:
        """The statement with its tables. Raises 400 on a syntax error, 404 where a table is missing."""
        try:
            return bind(text, warehouse=self.warehouse, naming=self.naming, catalog=self._made_on_the_spot)
        except SqlError as error:
            raise invalid_query(str(error)) from error

    def _made_on_the_spot(self, path: tuple[str, ...], naming: Names) -> Source | None:
        return information_schema.source(path, naming, self.warehouse)

    def analyze(self, bound: Bound) -> tree.AnyResolvedStatementProto:
        """The resolved statement. Raises 400 with the analyzer's text."""
        try:
            resolved = google_sql.analyze(bound.text, self._scope(bound.sources))
        except (SqlError, UnsupportedTypeError) as error:
            raise invalid_query(str(error)) from error
        for kind in joins_that_cannot_be_run(resolved):
            needed = "a condition that is an equality of fields from both sides of the join"
            raise invalid_query(f"{kind} OUTER JOIN cannot be used without {needed}.")
        return resolved

    def query(self, text: str) -> Result:
        """Check, count and run a SELECT; without rows in a dry run, and for `limit 0`, by which dbt asks for columns alone."""
        bound = self.bind(text)
        resolved = self.analyze(bound)
        self.count(resolved, bound, {})
        self.cost.refuse_above(self.maximum_bytes_billed)
        if self.dry_run or asks_for_no_rows(resolved):
            return Result(_named(output_columns(resolved)), [])
        result = self.execute(bound.text, bound.sources)
        return replace(result, columns=_named(result.columns))

    def execute(self, text: str, sources: Mapping[str, Source], extra: Sequence[Table] = ()) -> Result:
        """Run a bound SELECT; `extra` are tables of the moment."""
        scope = self._scope(sources, with_rows=True)
        try:
            return google_sql.execute(text, replace(scope, tables=(*scope.tables, *extra)))
        except (SqlError, UnsupportedTypeError) as error:
            raise invalid_query(str(error)) from error

    def evaluate(self, expression: str) -> tuple[Column, Any]:
        """The value of an expression in SQL, which may read tables."""
        result = self.query(f"select {expression}")
        return result.columns[0], result.rows[0][0] if result.rows else None

    def convert(self, result: Result, targets: Sequence[Column]) -> list[Row]:
        """Rows in the types of other columns, by position, as an assignment converts them."""
        if [_bare(column) for column in result.columns] == [_bare(column) for column in targets] or not result.rows:
            return result.rows
        given = tuple(replace(column, name=f"c{i}") for i, column in enumerate(result.columns))
        casts = ", ".join(f"cast(c{i} as {column.sql_type})" for i, column in enumerate(targets))
        table = Table("_given", given, google_sql.encode_rows(given, result.rows))
        return self.execute(f"select {casts} from _given", {}, [table]).rows

    # counting

    def count(self, resolved: tree.AnyResolvedStatementProto, bound: Bound, filters: Predicates) -> None:
        """Add what a resolved SELECT reads to the cost; `filters` are conditions on its result from outside."""
        for read in reads_of_query(resolved, lambda expression: self.constant(expression, bound), filters):
            self.count_read(read, bound.sources[read.table])

    def count_read(self, read: TableRead, source: Source) -> None:
        """Add one reference to a table, or to the tables below a view."""
        relation = source.relation
        if relation is None:
            self.cost.metadata.add(source.name)
        elif relation.kind == "VIEW":
            self._count_view(relation, read)
        else:
            self.cost.add(relation, read.columns, partitions_left(relation, read.predicates), self.warehouse)

    def _count_view(self, relation: Relation, read: TableRead) -> None:
        wanted = {name.lower() for name in read.columns} | set(read.predicates)
        columns = [quoted(column.name) for column in relation.columns if column.name.lower() in wanted]
        bound = self.bind(f"select {', '.join(columns) or '1'} from (\n{relation.query}\n)")
        self.count(self.analyze(bound), bound, read.predicates)

    def constant(self, expression: tree.AnyResolvedExprProto, bound: Bound) -> Any:
        """The value of a resolved expression without columns. Raises NotConstantError where its text is not known."""
        is_literal, value = literal_value(expression)
        if is_literal:
            return value
        text = google_sql.written(expression, bound.text)
        if text is None:
            raise NotConstantError
        return google_sql.execute(f"select ({text})", replace(self._scope({}), tables=())).rows[0][0]

    # contents

    def _scope(self, sources: Mapping[str, Source], *, with_rows: bool = False) -> Scope:
        tables = tuple(
            Table(source.name, source.columns, self.content(source) if with_rows else b"") for source in sources.values()
        )
        return Scope(tables, self.variables, self.parameters, self.positional)

    def content(self, source: Source) -> bytes:
        """The rows of a source in the engine's bytes."""
        if source.relation is None:
            return google_sql.encode_rows(source.columns, source.rows)
        if source.relation.kind != "VIEW":
            return self.warehouse.content(source.relation)
        return self._view_content(source.relation)

    def _view_content(self, relation: Relation) -> bytes:
        state = self._state(relation)
        kept = self.views.contents.get(relation.id.path)
        if kept is None or kept[0] != state or UNREPEATABLE.search(relation.query or ""):
            bound = self.bind(relation.query or "")
            result = self.execute(bound.text, bound.sources)
            kept = (state, google_sql.encode_rows(relation.columns, self.convert(result, relation.columns)))
            self.views.contents[relation.id.path] = kept
        return kept[1]

    def _state(self, relation: Relation) -> Any:
        """What a view's rows depend on: the versions of everything below it."""
        if relation.kind != "VIEW":
            return (relation.id, relation.version)
        sources = self.bind(relation.query or "").sources.values()
        below = [self._state(source.relation) for source in sources if source.relation is not None]
        return (relation.id, relation.version, tuple(below))


def _named(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Columns without a name are f0_, f1_ and so on; a name that stands twice is refused, as BigQuery refuses it."""
    anonymous = itertools.count()
    named = tuple(
        replace(column, name=f"f{next(anonymous)}_") if not column.name or column.name.startswith("$") else column
        for column in columns
    )
    counts = Counter(column.name.lower() for column in named)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise invalid_query(f"Duplicate column names in the result are not supported. Found duplicate(s): {', '.join(twice)}")
    return named


def _bare(column: Column) -> Any:
    fields = tuple((field.name, _bare(field)) for field in column.fields)
    return (column.type, column.mode == "REPEATED", fields, column.precision, column.scale, column.max_length)


def output_columns(resolved: tree.AnyResolvedStatementProto) -> tuple[Column, ...]:
    """The columns of a resolved SELECT."""
    outputs = resolved.resolved_query_stmt_node.output_column_list
    return tuple(from_engine_type(output.name, output.column.type) for output in outputs)
