"""What a query reads: for each table the columns that reach the answer and the filters on each, from the resolved tree.

Columns that no later step needs are left out, as BigQuery leaves them out: `select *` in a CTE costs only what is used of it.
Filters by constants travel down through projections, joins, unions, grouping and CTEs to the tables.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf.message import Message
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_enums_pb2 as enums
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_pb2 as tree

from stand_ins.bigquery.columns import UTC, from_engine_type, read_value
from stand_ins.bigquery.google_sql import nodes

Evaluate = Callable[[tree.AnyResolvedExprProto], Any]

JOINS = enums.ResolvedJoinScanEnums
OUTER = {JOINS.LEFT: "LEFT", JOINS.RIGHT: "RIGHT", JOINS.FULL: "FULL"}


class NotConstantError(Exception):
    """An expression without columns whose value is not to be had before the query runs."""


COMPARISONS = {
    "$equal": "=",
    "$less": "<",
    "$less_or_equal": "<=",
    "$greater": ">",
    "$greater_or_equal": ">=",
}
MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Predicate:
    """A condition on one column by constants: a comparison, `in`, `null`, `not null`, or `any` or `all` of its parts."""

    operator: str
    values: tuple[Any, ...] = ()
    of_the_day: bool = False
    parts: tuple[Predicate, ...] = ()

    def may_hold(self, low: Any, high: Any) -> bool:
        """Whether some value from `low` to `high` can satisfy it; both None is the partition of NULL."""
        if self.operator in {"any", "all"}:
            held = (one.may_hold(low, high) for one in self.parts)
            return any(held) if self.operator == "any" else all(held)
        if low is None:
            return self.operator == "null"
        if self.operator in {"null", "not null"}:
            return self.operator == "not null"
        return any(self._compares(low, high, value) for value in self.values if value is not None)

    def _compares(self, low: Any, high: Any, value: Any) -> bool:
        if self.of_the_day:
            low, high = _day(low), _day(high)
        low, high, value = _comparable(low, value), _comparable(high, value), _comparable(value, low)
        if self.operator in {"=", "in"}:
            return bool(low <= value <= high)
        outcomes = {"<": low < value, "<=": low <= value, ">": high > value, ">=": high >= value}
        return bool(outcomes[self.operator])


def _day(value: Any) -> Any:
    return value.date() if isinstance(value, dt.datetime) else value


def _comparable(value: Any, other: Any) -> Any:
    """Dates and moments compared as moments in UTC; everything else as it is."""
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, dt.date) and isinstance(other, dt.datetime):
        return dt.datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


Filters = Mapping[int, tuple[Predicate, ...]]


@dataclass
class TableRead:
    """One reference to a table: the names of its needed columns and the predicates on its columns by name."""

    table: str
    columns: set[str] = field(default_factory=set)
    predicates: dict[str, tuple[Predicate, ...]] = field(default_factory=dict)


def reads_of_query(
    statement: tree.AnyResolvedStatementProto, evaluate: Evaluate, filters: Mapping[str, tuple[Predicate, ...]]
) -> list[TableRead]:
    """The reads of a SELECT; `filters` are outer conditions on its result's columns by lower-case name."""
    query = statement.resolved_query_stmt_node
    needed = {output.column.column_id for output in query.output_column_list}
    given = {
        output.column.column_id: filters[output.name.lower()]
        for output in query.output_column_list
        if output.name.lower() in filters
    }
    walk = _Walk(evaluate)
    walk.scan(query.query, needed, given)
    return walk.reads


def reads_of_expressions(expressions: Iterable[Message], evaluate: Evaluate) -> list[TableRead]:
    """The reads of the subqueries of expressions, and of scans, which count in full."""
    walk = _Walk(evaluate)
    for expression in expressions:
        if isinstance(expression, tree.AnyResolvedScanProto) and expression.ListFields():
            walk.scan(expression, _output_ids(expression), {})
        else:
            walk.expression(expression)
    return walk.reads


def predicates_by_column(conditions: Iterable[tree.AnyResolvedExprProto], evaluate: Evaluate) -> dict[int, tuple[Predicate, ...]]:
    """The predicates of conditions that all hold, by column id; conditions of other shapes say nothing."""
    found: dict[int, tuple[Predicate, ...]] = {}
    for condition in conditions:
        for column, predicate in _conjuncts(condition, evaluate):
            found[column] = (*found.get(column, ()), predicate)
    return found


def joins_that_cannot_be_run(statement: Message) -> list[str]:
    """Of the outer joins those without an equality of both sides, which the service refuses and the reference executor runs."""
    joins = [join for join in nodes(statement, tree.ResolvedJoinScanProto) if join.join_type in OUTER]
    return [
        OUTER[join.join_type] for join in joins if not any(_equates(join, condition) for condition in _all_of(join.join_expr))
    ]


def _all_of(condition: tree.AnyResolvedExprProto) -> list[Any]:
    node: Any = _only(condition) if condition.ListFields() else condition
    if isinstance(node, tree.ResolvedFunctionCallProto) and _function(node) == "$and":
        return [part for argument in node.parent.argument_list for part in _all_of(argument)]
    return [node]


def _equates(join: Any, condition: Any) -> bool:
    if not isinstance(condition, tree.ResolvedFunctionCallProto) or _function(condition) != "$equal":
        return False
    sides = [_output_ids(scan) for scan in (join.left_scan, join.right_scan)]
    named = [column_ids(argument) for argument in condition.parent.argument_list]
    return all(named) and any(named[0] <= one and named[1] <= other for one, other in (sides, sides[::-1]))


def subqueries(expression: Message) -> list[tree.ResolvedSubqueryExprProto]:
    """The outermost subqueries of an expression."""
    if isinstance(expression, tree.ResolvedSubqueryExprProto):
        return [expression]
    found = []
    for descriptor, value in expression.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else (value,):
                found.extend(subqueries(child))
    return found


def column_ids(expression: Message) -> set[int]:
    """The ids of every column that an expression names."""
    return {reference.column.column_id for reference in nodes(expression, tree.ResolvedColumnRefProto)}


def _only(message: Message) -> Message:
    """The node inside `Any...` wrappers."""
    while type(message).__name__.startswith("Any"):
        message = message.ListFields()[0][1]
    return message


class _Walk:
    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate
        self.reads: list[TableRead] = []
        self.ctes: dict[str, tree.AnyResolvedScanProto] = {}

    def scan(self, wrapped: tree.AnyResolvedScanProto, needed: set[int], filters: Filters) -> None:
        node = _only(wrapped)
        step = STEPS.get(type(node).__name__, _Walk._other)
        step(self, node, needed, filters)

    def expression(self, expression: Message) -> set[int]:
        """The columns an expression needs; its subqueries are read as well."""
        for subquery in subqueries(expression):
            self.scan(subquery.subquery, _output_ids(subquery.subquery), {})
        return column_ids(expression)

    def _table(self, node: Any, needed: set[int], filters: Filters) -> None:
        read = TableRead(node.table.name)
        for column in node.parent.column_list:
            if column.column_id in needed:
                read.columns.add(column.name)
            if column.column_id in filters:
                read.predicates[column.name.lower()] = filters[column.column_id]
        self.reads.append(read)

    def _project(self, node: Any, needed: set[int], filters: Filters) -> None:
        below, passed = set(needed), dict(filters)
        for computed in node.expr_list:
            if computed.column.column_id in needed or computed.column.column_id in filters:
                below |= self.expression(computed.expr)
                passed |= _through(computed, filters)
        self.scan(node.input_scan, below, passed)

    def _filter(self, node: Any, needed: set[int], filters: Filters) -> None:
        below = needed | self.expression(node.filter_expr)
        self.scan(node.input_scan, below, _both(filters, predicates_by_column([node.filter_expr], self.evaluate)))

    def _join(self, node: Any, needed: set[int], filters: Filters) -> None:
        below = needed | self.expression(node.join_expr)
        on = predicates_by_column([node.join_expr], self.evaluate)
        left = on if node.join_type in {JOINS.INNER, JOINS.RIGHT} else {}
        right = on if node.join_type in {JOINS.INNER, JOINS.LEFT} else {}
        self.scan(node.left_scan, below, _both(filters, left))
        self.scan(node.right_scan, below, _both(filters, right))

    def _aggregate(self, node: Any, needed: set[int], filters: Filters) -> None:
        base = node.parent
        below: set[int] = set()
        passed = dict(filters) if not base.grouping_set_list else {}
        for key in base.group_by_list:
            below |= self.expression(key.expr)
            passed |= _through(key, passed)
        for wrapped in base.aggregate_list:
            computed: Any = _only(wrapped)
            if computed.column.column_id in needed:
                below |= self.expression(computed.expr)
        self.scan(base.input_scan, below, passed)

    def _analytic(self, node: Any, needed: set[int], filters: Filters) -> None:
        below, partitioned = set(needed), []
        for group in node.function_group_list:
            used = [function for function in map(_only, group.analytic_function_list) if _column_id(function) in needed]
            if used:
                below |= column_ids(group.partition_by) | column_ids(group.order_by)
                below |= set().union(*(self.expression(function) for function in used))
            partitioned.append(column_ids(group.partition_by))
        shared = set.intersection(*partitioned) if partitioned else set()
        self.scan(node.input_scan, below, {column: kept for column, kept in filters.items() if column in shared})

    def _order(self, node: Any, needed: set[int], filters: Filters) -> None:
        below = set(needed)
        for item in node.order_by_item_list:
            below |= column_ids(item)
        self.scan(node.input_scan, below, filters)

    def _limit(self, node: Any, needed: set[int], _filters: Filters) -> None:
        self.scan(node.input_scan, needed, {})

    def _union(self, node: Any, needed: set[int], filters: Filters) -> None:
        outputs = [column.column_id for column in node.parent.column_list]
        every = node.op_type not in {enums.ResolvedSetOperationScanEnums.UNION_ALL}
        for item in node.input_item_list:
            inputs = [column.column_id for column in item.output_column_list]
            pairs = list(zip(outputs, inputs, strict=True))
            below = {inner for outer, inner in pairs if every or outer in needed or outer in filters}
            self.scan(item.scan, below, {inner: filters[outer] for outer, inner in pairs if outer in filters})

    def _with(self, node: Any, needed: set[int], filters: Filters) -> None:
        for entry in node.with_entry_list:
            self.ctes[entry.with_query_name] = entry.with_subquery
        self.scan(node.query, needed, filters)

    def _cte(self, node: Any, needed: set[int], filters: Filters) -> None:
        body = self.ctes[node.with_query_name]
        inner: Any = _only(body)
        pairs = [
            (outer.column_id, column.column_id) for outer, column in zip(node.parent.column_list, _columns(inner), strict=True)
        ]
        below = {column for outer, column in pairs if outer in needed or outer in filters}
        self.scan(body, below, {column: filters[outer] for outer, column in pairs if outer in filters})

    def _array(self, node: Any, needed: set[int], filters: Filters) -> None:
        below = set(needed)
        for expression in (*node.array_expr_list, node.join_expr):
            below |= self.expression(expression)
        if node.HasField("input_scan"):
            self.scan(node.input_scan, below, filters)

    def _other(self, node: Any, needed: set[int], _filters: Filters) -> None:
        """Steps without a rule: everything below is needed and nothing is filtered."""
        for child in _child_scans(node):
            self.scan(child, needed | column_ids(node) | _output_ids(child), {})


STEPS: dict[str, Callable[[_Walk, Any, set[int], Filters], None]] = {
    "ResolvedTableScanProto": _Walk._table,
    "ResolvedProjectScanProto": _Walk._project,
    "ResolvedFilterScanProto": _Walk._filter,
    "ResolvedJoinScanProto": _Walk._join,
    "ResolvedAggregateScanProto": _Walk._aggregate,
    "ResolvedAnalyticScanProto": _Walk._analytic,
    "ResolvedOrderByScanProto": _Walk._order,
    "ResolvedLimitOffsetScanProto": _Walk._limit,
    "ResolvedSetOperationScanProto": _Walk._union,
    "ResolvedWithScanProto": _Walk._with,
    "ResolvedWithRefScanProto": _Walk._cte,
    "ResolvedArrayScanProto": _Walk._array,
}


def _child_scans(message: Message) -> list[tree.AnyResolvedScanProto]:
    found: list[tree.AnyResolvedScanProto] = []
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else (value,):
                found.extend([child] if isinstance(child, tree.AnyResolvedScanProto) else _child_scans(child))
    return found


def _columns(node: Any) -> list[Any]:
    """The output columns of a scan, however deep its base message is."""
    while not isinstance(node, tree.ResolvedScanProto):
        node = node.parent
    return list(node.column_list)


def _output_ids(wrapped: tree.AnyResolvedScanProto) -> set[int]:
    return {column.column_id for column in _columns(_only(wrapped))}


def _column_id(computed: Any) -> int:
    return int(computed.column.column_id)


def _both(filters: Filters, more: Filters) -> dict[int, tuple[Predicate, ...]]:
    return {column: (*filters.get(column, ()), *more.get(column, ())) for column in {*filters, *more}}


def _through(computed: Any, filters: Filters) -> dict[int, tuple[Predicate, ...]]:
    """Filters on a computed column that is a plain column, or the day of one, as filters on that column."""
    predicates = filters.get(computed.column.column_id)
    source = _column_of(computed.expr)
    if predicates is None or source is None:
        return {}
    column, of_the_day = source
    moved = tuple(replace(predicate, of_the_day=predicate.of_the_day or of_the_day) for predicate in predicates)
    return {column: (*filters.get(column, ()), *moved)}


def _column_of(expression: tree.AnyResolvedExprProto) -> tuple[int, bool] | None:
    """The column of a bare column, or of its date: `d`, `date(t)`, `cast(t as date)`."""
    node: Any = _only(expression)
    if isinstance(node, tree.ResolvedColumnRefProto):
        return node.column.column_id, False
    if isinstance(node, tree.ResolvedCastProto):
        inner: Any = _only(node.expr)
        to_date = from_engine_type("", node.parent.type).type in {"DATE", "TIMESTAMP", "DATETIME"}
        if to_date and isinstance(inner, tree.ResolvedColumnRefProto):
            return inner.column.column_id, from_engine_type("", node.parent.type).type == "DATE"
    if isinstance(node, tree.ResolvedFunctionCallProto) and _function(node) == "date" and len(node.parent.argument_list) == 1:
        inner = _only(node.parent.argument_list[0])
        if isinstance(inner, tree.ResolvedColumnRefProto):
            return inner.column.column_id, True
    return None


def _function(node: tree.ResolvedFunctionCallProto) -> str:
    return str(node.parent.function.name).removeprefix("ZetaSQL:")


def _conjuncts(expression: tree.AnyResolvedExprProto, evaluate: Evaluate) -> list[tuple[int, Predicate]]:
    if not expression.ListFields():
        return []
    try:
        return _read_conjuncts(_only(expression), evaluate)
    except NotConstantError:
        return []


def _read_conjuncts(node: Any, evaluate: Evaluate) -> list[tuple[int, Predicate]]:
    if not isinstance(node, tree.ResolvedFunctionCallProto):
        return []
    name, arguments = _function(node), list(node.parent.argument_list)
    if name == "$and":
        return [found for argument in arguments for found in _conjuncts(argument, evaluate)]
    if name == "$or":
        return _alternatives(arguments, evaluate)
    if name == "$between":
        column, low, high = arguments
        return _comparison(column, ">=", low, evaluate) + _comparison(column, "<=", high, evaluate)
    if name in COMPARISONS:
        left, right = arguments
        operator = COMPARISONS[name]
        return _comparison(left, operator, right, evaluate) or _comparison(right, MIRRORED[operator], left, evaluate)
    if name in {"$in", "$in_array"}:
        return _membership(arguments, evaluate, unpack=name == "$in_array")
    if name == "$is_null":
        return _null_test(arguments[0], "null")
    if name == "$not" and isinstance(_only(arguments[0]), tree.ResolvedFunctionCallProto):
        inner: Any = _only(arguments[0])
        return _null_test(inner.parent.argument_list[0], "not null") if _function(inner) == "$is_null" else []
    return []


def _alternatives(arguments: list[Any], evaluate: Evaluate) -> list[tuple[int, Predicate]]:
    choices = [_conjuncts(argument, evaluate) for argument in arguments]
    columns = {column for choice in choices for column, _ in choice}
    if not all(choices) or len(columns) != 1:
        return []
    parts = tuple(Predicate("all", parts=tuple(predicate for _, predicate in choice)) for choice in choices)
    return [(columns.pop(), Predicate("any", parts=parts))]


def _comparison(column: Any, operator: str, constant: Any, evaluate: Evaluate) -> list[tuple[int, Predicate]]:
    source = _column_of(column)
    if source is None or not _is_constant(constant):
        return []
    return [(source[0], Predicate(operator, (evaluate(constant),), of_the_day=source[1]))]


def _membership(arguments: list[Any], evaluate: Evaluate, *, unpack: bool) -> list[tuple[int, Predicate]]:
    source = _column_of(arguments[0])
    if source is None or not all(_is_constant(argument) for argument in arguments[1:]):
        return []
    values = [evaluate(argument) for argument in arguments[1:]]
    members = tuple(values[0] or ()) if unpack else tuple(values)
    return [(source[0], Predicate("in", members, of_the_day=source[1]))]


def _null_test(argument: Any, operator: str) -> list[tuple[int, Predicate]]:
    source = _column_of(argument)
    return [] if source is None else [(source[0], Predicate(operator))]


def _is_constant(expression: tree.AnyResolvedExprProto) -> bool:
    return not column_ids(expression) and not subqueries(expression)


def asks_for_no_rows(statement: tree.AnyResolvedStatementProto) -> bool:
    """Whether a SELECT ends in `limit 0`."""
    node: Any = _only(statement.resolved_query_stmt_node.query)
    return isinstance(node, tree.ResolvedLimitOffsetScanProto) and literal_value(node.limit) == (True, 0)


def literal_value(expression: tree.AnyResolvedExprProto) -> tuple[bool, Any]:
    """Whether an expression is a literal, and its value."""
    node: Any = _only(expression)
    if not isinstance(node, tree.ResolvedLiteralProto):
        return False, None
    return True, read_value(from_engine_type("", node.value.type), node.value.value)
