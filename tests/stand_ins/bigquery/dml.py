"""INSERT, UPDATE, DELETE, MERGE and TRUNCATE: the executor says which rows and which values, the result is written to storage.

Bytes: what is read of other tables, plus for UPDATE, DELETE and a MERGE that updates or deletes every column of the partitions
of the target that the filters leave (https://cloud.google.com/bigquery/docs/estimate-costs).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from zetasql.wasi._pb2.zetasql.parser import ast_enums_pb2
from zetasql.wasi._pb2.zetasql.parser import parse_tree_pb2 as parse_tree
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_enums_pb2 as tree_enums
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_pb2 as tree

from stand_ins.bigquery import google_sql
from stand_ins.bigquery.binding import Bound
from stand_ins.bigquery.columns import Column, Row
from stand_ins.bigquery.costs import partitions_left
from stand_ins.bigquery.errors import invalid, invalid_query, not_in_the_stand_in
from stand_ins.bigquery.google_sql import Result, Table
from stand_ins.bigquery.outcome import Outcome
from stand_ins.bigquery.reads import Predicate, predicates_by_column, reads_of_expressions
from stand_ins.bigquery.session import Session
from stand_ins.bigquery.storage import Relation
from stand_ins.bigquery.text import names, only, quoted, span

NUMBER = Column("_row_number", "INT64")
MATCH = ast_enums_pb2.ASTMergeWhenClauseEnums
ACTION = ast_enums_pb2.ASTMergeActionEnums


def _numbered(name: str, columns: Sequence[Column], rows: Iterable[tuple[int, Row]]) -> Table:
    """Rows with their numbers, as a table of the moment."""
    wide = (*columns, NUMBER)
    return Table(name, wide, google_sql.encode_rows(wide, [(*row, number) for number, row in rows]))


def _target(bound: Bound, path: Any) -> Relation:
    source = bound.sources[".".join(names(path))]
    if source.relation is None or source.relation.kind != "TABLE":
        kind = source.relation.kind if source.relation else "VIEW"
        raise invalid(f"{source.name} is not allowed for this operation because it is currently a {kind}.")
    return source.relation


def insert(session: Session, _node: Any, text: str) -> Outcome:
    """INSERT INTO ... SELECT or VALUES."""
    bound = session.bind(text)
    session.analyze(bound)
    node = bound.statement
    relation = _target(bound, node.target_path)
    named = [identifier.id_string for identifier in node.column_list.identifiers]
    columns = [relation.column(name) for name in named] or list(relation.columns)
    if node.HasField("query"):
        result = session.query(span(node.query).alone_in(bound.text))
    else:
        result = _values(session, bound, node, columns)
    rows = session.convert(result, columns)
    outcome = Outcome("INSERT", target=relation.id, cost=session.cost, inserted=len(rows))
    if not session.dry_run:
        added = [_placed(relation, columns, row) for row in rows]
        before = session.warehouse.rows(relation)
        session.warehouse.write(relation, [*before, *added], touched=set(relation.partition_ids(added)))
    return outcome


def _values(session: Session, bound: Bound, node: Any, columns: Sequence[Column]) -> Result:
    rows: list[Row] = []
    for row in node.rows.rows:
        values = [_assigned(span(value).of(bound.text), column) for value, column in zip(row.values, columns, strict=True)]
        rows.extend(session.query(f"select {', '.join(values)}").rows)
    return Result(tuple(columns), rows)


def _assigned(expression: str, column: Column) -> str:
    if expression.strip().lower() == "default":
        return f"cast(null as {column.sql_type})"
    return f"cast(({expression}) as {column.sql_type})"


def _placed(relation: Relation, columns: Sequence[Column], row: Row) -> Row:
    given = {column.name.lower(): value for column, value in zip(columns, row, strict=True)}
    return tuple(given.get(column.name.lower()) for column in relation.columns)


def truncate(session: Session, _node: Any, text: str) -> Outcome:
    """TRUNCATE TABLE."""
    bound = session.bind(text)
    session.analyze(bound)
    relation = _target(bound, bound.statement.target_path)
    outcome = Outcome("TRUNCATE_TABLE", target=relation.id, deleted=len(session.warehouse.rows(relation)))
    if not session.dry_run:
        session.warehouse.write(relation, [])
    return outcome


def delete(session: Session, _node: Any, text: str) -> Outcome:
    """DELETE FROM ... WHERE."""
    bound = session.bind(text)
    resolved = session.analyze(bound).resolved_delete_stmt_node
    node = bound.statement
    relation = _target(bound, node.target_path)
    _count(session, bound, relation, resolved.table_scan, [resolved.where_expr], [resolved.where_expr])
    if session.dry_run:
        return Outcome("DELETE", target=relation.id, cost=session.cost)
    rows = session.warehouse.rows(relation)
    query = f"select _row_number from _target as {_alias(node)} where ({span(node.where).of(bound.text)})"
    found = session.execute(query, bound.sources, [_numbered("_target", relation.columns, enumerate(rows))])
    gone = {row[0] for row in found.rows}
    kept = [row for number, row in enumerate(rows) if number not in gone]
    touched = set(relation.partition_ids([rows[number] for number in gone]))
    session.warehouse.write(relation, kept, touched=touched)
    return Outcome("DELETE", target=relation.id, cost=session.cost, deleted=len(gone))


def update(session: Session, _node: Any, text: str) -> Outcome:
    """UPDATE ... SET ... [FROM ...] WHERE."""
    bound = session.bind(text)
    resolved = session.analyze(bound).resolved_update_stmt_node
    node = bound.statement
    relation = _target(bound, node.target_path)
    _count(session, bound, relation, resolved.table_scan, [resolved.where_expr], [resolved.where_expr, resolved.from_scan])
    if session.dry_run:
        return Outcome("UPDATE", target=relation.id, cost=session.cost)
    places, values = _assignments(relation, node.update_item_list, bound.text)
    others = f", {span(node.from_clause.table_expression).of(bound.text)}" if node.HasField("from_clause") else ""
    query = (
        f"select {quoted(_name(node))}._row_number, {', '.join(values)} from _target as {_alias(node)}{others}"
        f" where ({span(node.where).of(bound.text)})"
    )
    rows = session.warehouse.rows(relation)
    found = session.execute(query, bound.sources, [_numbered("_target", relation.columns, enumerate(rows))])
    changes = _changes(found.rows, places)
    _write_changes(session, relation, changes, gone=set(), added=[])
    return Outcome("UPDATE", target=relation.id, cost=session.cost, updated=len(changes))


def _name(node: Any) -> str:
    return str(node.alias.identifier.id_string)


def _alias(node: Any) -> str:
    return quoted(_name(node))


def _assignments(relation: Relation, listed: Any, text: str) -> tuple[list[int], list[str]]:
    """The places of the columns that are set, and what to."""
    places, values = [], []
    for item in listed.update_items:
        path = only(item.set_value.path)
        if not isinstance(path, parse_tree.ASTPathExpressionProto):
            raise not_in_the_stand_in(f"setting {span(item.set_value.path).of(text)}")
        column = relation.column(path.names[-1].id_string)
        places.append(relation.position(column.name))
        values.append(_assigned(span(item.set_value.value).of(text), column))
    return places, values


Changes = dict[int, dict[int, Any]]


def _changes(rows: Sequence[Row], places: Sequence[int]) -> Changes:
    changes: Changes = {}
    for number, *values in rows:
        if number in changes:
            raise invalid_query("UPDATE/MERGE must match at most one source row for each target row")
        changes[number] = dict(zip(places, values, strict=True))
    return changes


def _write_changes(session: Session, relation: Relation, changes: Changes, *, gone: set[int], added: Sequence[Row]) -> None:
    before = session.warehouse.rows(relation)
    after, touched_rows = [], [before[number] for number in gone] + list(added)
    for number, row in enumerate(before):
        if number in gone:
            continue
        changed = changes.get(number)
        fresh = row if changed is None else tuple(changed.get(place, value) for place, value in enumerate(row))
        if changed is not None:
            touched_rows += [row, fresh]
        after.append(fresh)
    session.warehouse.write(relation, [*after, *added], touched=set(relation.partition_ids(touched_rows)))


def _count(
    session: Session,
    bound: Bound,
    relation: Relation,
    scan: tree.ResolvedTableScanProto,
    conditions: Sequence[tree.AnyResolvedExprProto],
    expressions: Sequence[Any],
) -> None:
    """Count the target's partitions that the conditions leave, and what the expressions read of other tables."""
    named = _target_predicates(session, bound, scan, conditions)
    session.cost.add(relation, [column.name for column in relation.columns], partitions_left(relation, named), session.warehouse)
    for read in reads_of_expressions(expressions, lambda expression: session.constant(expression, bound)):
        session.count_read(read, bound.sources[read.table])
    session.cost.refuse_above(session.maximum_bytes_billed)


def _target_predicates(
    session: Session, bound: Bound, scan: tree.ResolvedTableScanProto, conditions: Sequence[tree.AnyResolvedExprProto]
) -> dict[str, tuple[Predicate, ...]]:
    found = predicates_by_column(conditions, lambda expression: session.constant(expression, bound))
    of_target = {column.column_id: column.name.lower() for column in scan.parent.column_list}
    return {of_target[column]: kept for column, kept in found.items() if column in of_target}


# --- merge ---------------------------------------------------------------------------------------------------------


@dataclass
class _Merge:
    """A MERGE on its way: both sides with their row numbers, and what has been decided so far."""

    session: Session
    bound: Bound
    node: Any
    relation: Relation
    source: Result

    def __post_init__(self) -> None:
        self.target_rows = self.session.warehouse.rows(self.relation)
        self.changes: Changes = {}
        self.gone: set[int] = set()
        self.added: list[Row] = []
        self.pairs = self._matches()
        self.unmatched_targets = set(range(len(self.target_rows))) - {target for target, _ in self.pairs}
        self.unmatched_sources = set(range(len(self.source.rows))) - {source for _, source in self.pairs}

    def _text(self, node: Any) -> str:
        return span(node).of(self.bound.text)

    @property
    def _condition(self) -> str:
        return self._text(self.node.merge_condition)

    def _targets(self, numbers: Iterable[int] | None = None) -> Table:
        wanted = range(len(self.target_rows)) if numbers is None else sorted(numbers)
        return _numbered("_target", self.relation.columns, ((number, self.target_rows[number]) for number in wanted))

    def _sources(self, numbers: Iterable[int] | None = None) -> Table:
        wanted = range(len(self.source.rows)) if numbers is None else sorted(numbers)
        return _numbered("_source", self.source.columns, ((number, self.source.rows[number]) for number in wanted))

    @property
    def _from(self) -> tuple[str, str]:
        """The FROM items of both sides and the name of the source."""
        expression: Any = only(self.node.table_expression)
        name = expression.alias.identifier.id_string if expression.HasField("alias") else "_source"
        return f"_target as {_alias(self.node)}", name

    def _matches(self) -> list[tuple[int, int]]:
        condition: Any = only(self.node.merge_condition)
        if isinstance(condition, parse_tree.ASTBooleanLiteralProto) and not condition.value:
            return []
        target, source = self._from
        query = (
            f"select {_alias(self.node)}._row_number, {quoted(source)}._row_number from {target}"
            f" inner join _source as {quoted(source)} on ({self._condition})"
        )
        return [(row[0], row[1]) for row in self._run(query, [self._targets(), self._sources()]).rows]

    def _run(self, query: str, tables: Sequence[Table]) -> Result:
        return self.session.execute(query, self.bound.sources, tables)

    def apply(self, clause: Any) -> None:
        """Decide the rows of one WHEN clause; a row that an earlier clause took stays with it."""
        kind = {
            MATCH.MATCHED: self._when_matched,
            MATCH.NOT_MATCHED_BY_TARGET: self._when_not_matched,
            MATCH.NOT_MATCHED_BY_SOURCE: self._when_only_in_target,
        }
        kind[clause.match_type](clause)

    def _where(self, clause: Any) -> str:
        return f" where ({self._text(clause.search_condition)})" if clause.HasField("search_condition") else ""

    def _values(self, clause: Any) -> tuple[list[int], list[str]]:
        if clause.action.action_type == ACTION.DELETE:
            return [], []
        return _assignments(self.relation, clause.action.update_item_list, self.bound.text)

    def _when_matched(self, clause: Any) -> None:
        places, values = self._values(clause)
        target, source = self._from
        picked = ", ".join([f"{_alias(self.node)}._row_number", *values])
        query = (
            f"select {picked} from {target} inner join _source as {quoted(source)} on ({self._condition}){self._where(clause)}"
        )
        if self.pairs:
            self._take(self._run(query, [self._targets(), self._sources()]).rows, places, clause)

    def _when_only_in_target(self, clause: Any) -> None:
        places, values = self._values(clause)
        target, _ = self._from
        query = f"select {', '.join([f'{_alias(self.node)}._row_number', *values])} from {target}{self._where(clause)}"
        self._take(self._run(query, [self._targets(self.unmatched_targets)]).rows, places, clause)

    def _take(self, rows: Sequence[Row], places: Sequence[int], clause: Any) -> None:
        taken = set(self.changes) | self.gone
        fresh = _changes([row for row in rows if row[0] not in taken], places)
        if clause.action.action_type == ACTION.DELETE:
            self.gone |= set(fresh)
        else:
            self.changes |= fresh

    def _when_not_matched(self, clause: Any) -> None:
        columns, values = self._inserted(clause)
        _, source = self._from
        picked = ", ".join([f"{quoted(source)}._row_number", *values])
        query = f"select {picked} from _source as {quoted(source)}{self._where(clause)}"
        for number, *row in self._run(query, [self._sources(self.unmatched_sources)]).rows:
            self.unmatched_sources.discard(number)
            self.added.append(_placed(self.relation, columns, tuple(row)))

    def _inserted(self, clause: Any) -> tuple[list[Column], list[str]]:
        named = [identifier.id_string for identifier in clause.action.insert_column_list.identifiers]
        columns = [self.relation.column(name) for name in named] or list(self.relation.columns)
        given = clause.action.insert_row.values
        if not given:  # INSERT ROW
            return columns, [_assigned(f"{quoted(self._from[1])}.{quoted(column.name)}", column) for column in columns]
        return columns, [_assigned(self._text(value), column) for value, column in zip(given, columns, strict=True)]


def merge(session: Session, _node: Any, text: str) -> Outcome:
    """MERGE INTO ... USING ... ON ... WHEN ..."""
    bound = session.bind(text)
    resolved = session.analyze(bound).resolved_merge_stmt_node
    node = bound.statement
    relation = _target(bound, node.target_path)
    _count_merge(session, bound, relation, resolved)
    source = session.query(f"select * from {span(node.table_expression).of(bound.text)}")
    if session.dry_run:
        return Outcome("MERGE", target=relation.id, cost=session.cost)
    going = _Merge(session, bound, node, relation, source)
    for clause in node.when_clauses.clause_list:
        going.apply(clause)
    _write_changes(session, relation, going.changes, gone=going.gone, added=going.added)
    return Outcome(
        "MERGE",
        target=relation.id,
        cost=session.cost,
        inserted=len(going.added),
        updated=len(going.changes),
        deleted=len(going.gone),
    )


def _count_merge(session: Session, bound: Bound, relation: Relation, resolved: tree.ResolvedMergeStmtProto) -> None:
    """Rows of the target are reached by the ON condition, or by a clause for rows that only the target has."""
    ways = [predicates for predicates in _ways_to_target(session, bound, resolved) if predicates is not None]
    if not ways:
        return
    left: set[str] = set()
    for predicates in ways:
        left |= set(partitions_left(relation, predicates))
    session.cost.add(relation, [column.name for column in relation.columns], left, session.warehouse)


def _ways_to_target(
    session: Session, bound: Bound, resolved: tree.ResolvedMergeStmtProto
) -> list[dict[str, tuple[Predicate, ...]] | None]:
    scan = resolved.table_scan
    ways: list[dict[str, tuple[Predicate, ...]] | None] = []
    if not _is_false(resolved.merge_expr):
        ways.append(_target_predicates(session, bound, scan, [resolved.merge_expr]))
    for when in resolved.when_clause_list:
        if when.match_type == tree_enums.ResolvedMergeWhenEnums.NOT_MATCHED_BY_SOURCE:
            ways.append(_target_predicates(session, bound, scan, [when.match_expr]))
    return ways


def _is_false(expression: tree.AnyResolvedExprProto) -> bool:
    literal = expression.resolved_literal_node.value.value
    return expression.HasField("resolved_literal_node") and literal.HasField("bool_value") and not literal.bool_value
