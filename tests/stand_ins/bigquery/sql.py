"""Running SQL text: Google's parser takes it apart into statements, each goes to the module that knows its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stand_ins.bigquery import ddl, dml, google_sql
from stand_ins.bigquery.costs import Cost
from stand_ins.bigquery.errors import invalid_query, not_in_the_stand_in
from stand_ins.bigquery.google_sql import Result, SqlError
from stand_ins.bigquery.outcome import Outcome
from stand_ins.bigquery.session import Session
from stand_ins.bigquery.text import only, span

Run = Callable[[Session, Any, str], Outcome]


def run(session: Session, text: str) -> list[Outcome]:
    """Run one statement or a script; one outcome for each statement. Raises ApiError and undoes an open transaction."""
    try:
        script = google_sql.parse_script(text)
    except SqlError as error:
        raise invalid_query(str(error)) from error
    statements = [only(statement) for statement in script.statement_list_node.statement_list]
    if not statements:
        raise invalid_query("Syntax error: Unexpected end of statement")
    transaction = _Transaction(session)
    try:
        return [_run_one(session, node, text, transaction, alone=len(statements) == 1) for node in statements]
    except Exception:
        transaction.roll_back()
        raise


class _Transaction:
    """BEGIN TRANSACTION ... COMMIT, by a snapshot of all tables."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._state: Any = None

    def begin(self) -> None:
        self._state = self._session.warehouse.snapshot()

    def commit(self) -> None:
        self._state = None

    def roll_back(self) -> None:
        if self._state is not None:
            self._session.warehouse.restore(self._state)
        self._state = None


def _run_one(session: Session, node: Any, text: str, transaction: _Transaction, *, alone: bool) -> Outcome:
    session.cost = Cost()
    kind = type(node).__name__
    if kind in TRANSACTIONS:
        TRANSACTIONS[kind](transaction)
        return Outcome(TRANSACTION_WORDS[kind])
    if kind not in STATEMENTS:
        raise not_in_the_stand_in(f"the statement {kind.removeprefix('AST').removesuffix('Proto')}")
    own = text if alone else span(node).alone_in(text)
    if not alone:
        node = _reparsed(own)
    return STATEMENTS[kind](session, node, own)


def _reparsed(text: str) -> Any:
    return only(google_sql.parse_script(text).statement_list_node.statement_list[0])


def _select(session: Session, _node: Any, text: str) -> Outcome:
    result = session.query(text.rstrip().rstrip(";"))
    return Outcome("SELECT", columns=result.columns, rows=result.rows, cost=session.cost)


def _declare(session: Session, node: Any, text: str) -> Outcome:
    names = [identifier.id_string for identifier in node.variable_list.identifier_list]
    expression = f"({span(node.default_value).of(text)})" if node.HasField("default_value") else "null"
    if node.HasField("type"):
        expression = f"cast({expression} as {span(node.type).of(text)})"
    column, value = session.evaluate(expression)
    for name in names:
        session.variables[name] = (replace(column, name=name), value)
    return Outcome("DECLARE", cost=session.cost)


def _set(session: Session, node: Any, text: str) -> Outcome:
    _assign(session, node.variable.id_string, *_evaluated(session, node.expression, text))
    return Outcome("SET", cost=session.cost)


def _set_from_struct(session: Session, node: Any, text: str) -> Outcome:
    names = [identifier.id_string for identifier in node.variables.identifier_list]
    column, value = _evaluated(session, node.struct_expression, text)
    if len(names) == 1 and column.type != "STRUCT":
        _assign(session, names[0], column, value)
        return Outcome("SET", cost=session.cost)
    if column.type != "STRUCT" or len(column.fields) != len(names):
        raise invalid_query(f"Number of variables in assignment ({len(names)}) does not match the STRUCT's fields")
    for place, (name, field) in enumerate(zip(names, column.fields, strict=True)):
        _assign(session, name, field, None if value is None else value[place])
    return Outcome("SET", cost=session.cost)


def _evaluated(session: Session, node: Any, text: str) -> Any:
    return session.evaluate(f"({span(node).of(text)})")


def _assign(session: Session, name: str, column: Any, value: Any) -> None:
    known = {kept.lower(): kept for kept in session.variables}
    if name.lower() not in known:
        raise invalid_query(f"Undeclared variable: {name}")
    target = session.variables[known[name.lower()]][0]
    converted = session.convert(Result((column,), [(value,)]), [target])
    session.variables[known[name.lower()]] = (target, converted[0][0])


STATEMENTS: dict[str, Run] = {
    "ASTQueryStatementProto": _select,
    "ASTVariableDeclarationProto": _declare,
    "ASTSingleAssignmentProto": _set,
    "ASTAssignmentFromStructProto": _set_from_struct,
    "ASTCreateSchemaStatementProto": ddl.create_schema,
    "ASTCreateTableStatementProto": ddl.create_table,
    "ASTCreateSnapshotTableStatementProto": ddl.create_snapshot,
    "ASTCreateViewStatementProto": ddl.create_view,
    "ASTDropStatementProto": ddl.drop,
    "ASTDropSnapshotTableStatementProto": ddl.drop_snapshot,
    "ASTAlterSchemaStatementProto": ddl.alter_schema,
    "ASTAlterTableStatementProto": ddl.alter_table,
    "ASTAlterViewStatementProto": ddl.alter_table,
    "ASTInsertStatementProto": dml.insert,
    "ASTUpdateStatementProto": dml.update,
    "ASTDeleteStatementProto": dml.delete,
    "ASTMergeStatementProto": dml.merge,
    "ASTTruncateStatementProto": dml.truncate,
}

TRANSACTIONS = {
    "ASTBeginStatementProto": _Transaction.begin,
    "ASTCommitStatementProto": _Transaction.commit,
    "ASTRollbackStatementProto": _Transaction.roll_back,
}
TRANSACTION_WORDS = {
    "ASTBeginStatementProto": "BEGIN_TRANSACTION",
    "ASTCommitStatementProto": "COMMIT_TRANSACTION",
    "ASTRollbackStatementProto": "ROLLBACK_TRANSACTION",
}
