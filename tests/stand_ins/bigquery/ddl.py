"""CREATE, DROP and ALTER of datasets, tables and views."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from zetasql.wasi._pb2.zetasql.parser import ast_enums_pb2
from zetasql.wasi._pb2.zetasql.parser import parse_tree_pb2 as parse_tree
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_pb2 as tree

from stand_ins.bigquery.binding import Bound
from stand_ins.bigquery.columns import Column, Row, from_engine_type
from stand_ins.bigquery.errors import invalid, invalid_query, not_found, not_in_the_stand_in
from stand_ins.bigquery.google_sql import Result, nodes
from stand_ins.bigquery.outcome import Outcome
from stand_ins.bigquery.session import Session, output_columns
from stand_ins.bigquery.storage import Partitioning, Relation, TableId
from stand_ins.bigquery.text import names, only, span

DAY_MILLISECONDS = 86_400_000
KINDS = {
    ast_enums_pb2.kTable: ("TABLE", "Table"),
    ast_enums_pb2.kView: ("VIEW", "Table"),
    ast_enums_pb2.kSnapshotTable: ("SNAPSHOT", "Table"),
}


def create_schema(session: Session, node: Any, text: str) -> Outcome:
    """CREATE SCHEMA [IF NOT EXISTS] with options."""
    project, name = _dataset(session, names(node.parent.name))
    known = {kept.name for kept in session.warehouse.datasets(project)}
    exists_quietly = name in known and node.parent.parent.is_if_not_exists
    if not session.dry_run and not exists_quietly:
        dataset = session.warehouse.create_dataset(project, name)
        _set_dataset_options(dataset, options(session, node.parent.options_list, text))
    operation = "SKIP" if exists_quietly else "CREATE"
    return Outcome("CREATE_SCHEMA", target_dataset=(project, name), ddl_operation=operation)


def _dataset(session: Session, path: tuple[str, ...]) -> tuple[str, str]:
    return (".".join(path[:-1]) or session.naming.project, path[-1])


def _set_dataset_options(dataset: Any, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name == "description":
            dataset.description = value
        elif name == "labels":
            dataset.labels = _labels(value)
        elif name == "location":
            dataset.location = value
        elif name == "default_table_expiration_days":
            dataset.default_expiration_milliseconds = None if value is None else round(value * DAY_MILLISECONDS)
        else:
            raise not_in_the_stand_in(f"the dataset option {name}")


def create_table(session: Session, node: Any, text: str) -> Outcome:
    """CREATE [OR REPLACE] [TEMP] TABLE, from columns, from a query, LIKE, CLONE or COPY."""
    base, create = node.parent, node.parent.parent
    table = _new_table(session, names(base.name), temporary=create.scope == ast_enums_pb2.ASTCreateStatementEnums.TEMPORARY)
    if node.HasField("clone_data_source") or node.HasField("copy_data_source"):
        source = node.clone_data_source if node.HasField("clone_data_source") else node.copy_data_source
        return _create_copy(session, table, source, create, options(session, base.options_list, text))
    bound = session.bind(text)
    resolved = session.analyze(bound)
    columns, result = _contents(session, node, resolved, bound)
    statement = "CREATE_TABLE_AS_SELECT" if node.HasField("query") else "CREATE_TABLE"
    relation = _new_relation(session, table, columns)
    relation.partitioning = _partitioning(node, text)
    relation.clustering = tuple(_clustering(node, text))
    set_table_options(relation, options(session, base.options_list, text))
    return _create(session, relation, create, statement, session.convert(result, columns))


def _contents(
    session: Session, node: Any, resolved: tree.AnyResolvedStatementProto, bound: Bound
) -> tuple[tuple[Column, ...], Result]:
    """The columns and the rows of a new table."""
    base = next(iter(nodes(resolved, tree.ResolvedCreateTableStmtBaseProto)))
    defined = tuple(_defined(definition) for definition in base.column_definition_list)
    if node.parent.HasField("like_table_name"):
        like = session.warehouse.relation(session.naming.complete(names(node.parent.like_table_name)))
        return like.columns, Result(like.columns, [])
    if not node.HasField("query"):
        return defined, Result(defined, [])
    result = session.query(span(bound.statement.query).alone_in(bound.text))
    return (defined if node.parent.HasField("table_element_list") else result.columns), result


def _defined(definition: tree.ResolvedColumnDefinitionProto) -> Column:
    column = from_engine_type(definition.name, definition.type)
    annotations = definition.annotations
    numeric = annotations.type_parameters.numeric_type_parameters
    text = annotations.type_parameters.string_type_parameters
    described = {option.name: option.value for option in annotations.option_list}
    if column.mode != "REPEATED" and annotations.not_null:
        column = replace(column, mode="REQUIRED")
    if numeric.precision:
        column = replace(column, precision=numeric.precision, scale=numeric.scale or None)
    if text.max_length:
        column = replace(column, max_length=text.max_length)
    if "description" in described:
        column = replace(column, description=_text_literal(described["description"]))
    return column


def _text_literal(expression: tree.AnyResolvedExprProto) -> str:
    return str(expression.resolved_literal_node.value.value.string_value)


def _new_table(session: Session, path: tuple[str, ...], *, temporary: bool) -> TableId:
    if temporary:
        table = TableId(session.naming.project, TEMPORARY_DATASET, f"{session.session_name}_{path[-1]}")
        if (session.naming.project, TEMPORARY_DATASET) not in {
            (kept.project, kept.name) for kept in session.warehouse.datasets(session.naming.project)
        }:
            session.warehouse.create_dataset(session.naming.project, TEMPORARY_DATASET)
        session.naming.temporary[path[-1]] = table
        return table
    return session.naming.complete(path)


TEMPORARY_DATASET = "_script"


def _new_relation(session: Session, table: TableId, columns: Sequence[Column]) -> Relation:
    now = session.warehouse.clock()
    return Relation(table, "TABLE", tuple(columns), created=now, modified=now)


def _create(session: Session, relation: Relation, create: Any, statement: str, rows: Sequence[Row]) -> Outcome:
    before = session.warehouse.find(relation.id)
    outcome = Outcome(statement, target=relation.id, cost=session.cost, columns=relation.columns)
    if before is not None and create.is_if_not_exists:
        outcome.ddl_operation = "SKIP"
        return outcome
    if before is not None and create.is_or_replace:
        _refuse_other_shape(before, relation)
    if not session.dry_run:
        session.warehouse.create(relation, rows, replace=create.is_or_replace)
    else:
        session.warehouse.dataset(relation.id.project, relation.id.dataset)
    outcome.ddl_operation = "REPLACE" if before is not None else "CREATE"
    return outcome


def _refuse_other_shape(before: Relation, after: Relation) -> None:
    """BigQuery replaces no view by a table, no table by a view, and no table by one partitioned or clustered otherwise."""
    if (before.kind == "VIEW") != (after.kind == "VIEW"):
        raise invalid(f"{before.id.colon_path} is not allowed for this operation because it is currently a {before.kind}.")
    if after.kind == "VIEW":
        return
    if _shape(before) != _shape(after):
        raise invalid_query(
            f"Cannot replace a table with a different partitioning spec. Instead, DROP the table, and then recreate it. "
            f"New partitioning spec is {_spec(after)} and existing spec is {_spec(before)}"
        )


def _shape(relation: Relation) -> Any:
    kept = relation.partitioning
    return kept and (kept.kind, kept.column.lower(), kept.start, kept.end, kept.interval)


def _spec(relation: Relation) -> str:
    return f"{relation.partitioning.kind} on {relation.partitioning.column}" if relation.partitioning else "none"


def _create_copy(session: Session, table: TableId, source: Any, create: Any, given: dict[str, Any]) -> Outcome:
    original = session.warehouse.relation(session.naming.complete(names(source.parent.path_expr)))
    if original.kind == "VIEW":
        raise invalid(f"{original.id.colon_path} is not allowed for this operation because it is currently a VIEW.")
    relation = copy_of(original, table, session.warehouse.clock())
    set_table_options(relation, given)
    return _create(session, relation, create, "CREATE_TABLE", session.warehouse.rows(original))


def copy_of(original: Relation, table: TableId, now: dt.datetime, *, kind: str = "TABLE") -> Relation:
    """A new table with the columns and settings of another, without its rows."""
    return replace(original, id=table, kind=kind, created=now, modified=now, expires=None, partitions_modified={})


def create_snapshot(session: Session, node: Any, text: str) -> Outcome:
    """CREATE SNAPSHOT TABLE ... CLONE."""
    original = session.warehouse.relation(session.naming.complete(names(node.clone_data_source.parent.path_expr)))
    relation = copy_of(original, session.naming.complete(names(node.name)), session.warehouse.clock(), kind="SNAPSHOT")
    set_table_options(relation, options(session, node.options_list, text))
    return _create(session, relation, node.parent, "CREATE_SNAPSHOT_TABLE", session.warehouse.rows(original))


def _partitioning(node: Any, text: str) -> Partitioning | None:
    if not node.HasField("partition_by"):
        return None
    expression = span(node.partition_by.partitioning_expressions[0]).of(text)
    return read_partitioning(expression)


def read_partitioning(expression: str) -> Partitioning:
    """The partitioning of a PARTITION BY expression."""
    bare = expression.replace("`", "").strip()
    by_range = re.fullmatch(
        r"range_bucket\(\s*(\w+)\s*,\s*generate_array\(\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(\d+)\s*\)\s*\)", bare, re.IGNORECASE
    )
    if by_range:
        column, start, end, step = by_range.groups()
        return Partitioning("RANGE", column, start=int(start), end=int(end), interval=int(step))
    truncated = re.fullmatch(r"(?:date|timestamp|datetime)_trunc\(\s*(\w+)\s*,\s*(\w+)\s*\)", bare, re.IGNORECASE)
    if truncated:
        return Partitioning(truncated[2].upper(), truncated[1])
    plain = re.fullmatch(r"(?:date\(\s*)?(\w+)(?:\s*\))?", bare, re.IGNORECASE)
    if plain is None or plain[1].upper().startswith("_PARTITION"):
        raise not_in_the_stand_in(f"partition by {expression}")
    return Partitioning("DAY", plain[1])


def _clustering(node: Any, text: str) -> list[str]:
    return [span(expression).of(text).strip("` ") for expression in node.cluster_by.clustering_expressions]


def create_view(session: Session, node: Any, text: str) -> Outcome:
    """CREATE [OR REPLACE] VIEW with column names or descriptions and options."""
    base = node.parent
    session.analyze(session.bind(text))
    query = span(base.query).of(text)
    columns = output_columns(session.analyze(session.bind(query)))
    given = base.column_with_options_list.column_with_options
    if given:
        columns, query = _named_columns(session, columns, query, given, text)
    relation = _new_relation(session, session.naming.complete(names(base.name)), columns)
    relation.kind, relation.query = "VIEW", query
    set_table_options(relation, options(session, base.options_list, text))
    return _create(session, relation, base.parent, "CREATE_VIEW", [])


def _named_columns(
    session: Session, columns: tuple[Column, ...], query: str, given: Sequence[Any], text: str
) -> tuple[tuple[Column, ...], str]:
    if len(given) != len(columns):
        raise invalid_query(f"CREATE VIEW column list has {len(given)} names but the query has {len(columns)} columns")
    renames = [f"`{column.name}` as `{entry.name.id_string}`" for column, entry in zip(columns, given, strict=True)]
    described = tuple(
        replace(
            column,
            name=entry.name.id_string,
            description=options(session, entry.options_list, text).get("description", column.description),
        )
        for column, entry in zip(columns, given, strict=True)
    )
    return described, f"select {', '.join(renames)} from (\n{query}\n)"


# --- options -------------------------------------------------------------------------------------------------------


def options(session: Session, listed: Any, text: str) -> dict[str, Any]:
    """The values of OPTIONS(...), by lower-case name."""
    return {
        entry.name.id_string.lower(): session.evaluate(f"({span(entry.value).of(text)})")[1] for entry in listed.options_entries
    }


def set_table_options(relation: Relation, given: dict[str, Any]) -> None:
    """Set the options of a table or view. An option the stand-in does not know is refused by name."""
    for name, value in given.items():
        if name == "description":
            relation.description = value
        elif name == "friendly_name":
            relation.friendly_name = value
        elif name == "labels":
            relation.labels = _labels(value)
        elif name == "require_partition_filter":
            _require_filter(relation, bool(value))
        elif name == "expiration_timestamp":
            relation.expires = value
        elif name == "partition_expiration_days" and relation.partitioning is not None:
            milliseconds = None if value is None else round(float(value) * DAY_MILLISECONDS)
            relation.partitioning = replace(relation.partitioning, expiration_milliseconds=milliseconds)
        else:
            raise not_in_the_stand_in(f"the option {name}")


def _require_filter(relation: Relation, value: bool) -> None:
    if value and relation.partitioning is None:
        raise invalid("require_partition_filter option is only supported for partitioned tables")
    relation.require_partition_filter = value


def _labels(value: list[Row] | None) -> dict[str, str]:
    return {str(key): str(label) for key, label in value or ()}


# --- drop and alter ------------------------------------------------------------------------------------------------


def drop(session: Session, node: Any, _text: str) -> Outcome:
    """DROP TABLE, VIEW or SCHEMA [IF EXISTS] [CASCADE]."""
    if node.schema_object_kind == ast_enums_pb2.kSchema:
        return _drop_schema(session, node)
    if node.schema_object_kind not in KINDS:
        raise not_in_the_stand_in(f"drop {ast_enums_pb2.SchemaObjectKind.Name(node.schema_object_kind)}")
    return _drop_relation(session, names(node.name), KINDS[node.schema_object_kind][0], quietly=node.is_if_exists)


def drop_snapshot(session: Session, node: Any, _text: str) -> Outcome:
    """DROP SNAPSHOT TABLE [IF EXISTS]."""
    return _drop_relation(session, names(node.name), "SNAPSHOT", quietly=node.is_if_exists)


def _drop_relation(session: Session, path: tuple[str, ...], kind: str, *, quietly: bool) -> Outcome:
    table = session.naming.complete(path)
    found = session.warehouse.find(table)
    outcome = Outcome(f"DROP_{kind}" if kind != "SNAPSHOT" else "DROP_SNAPSHOT_TABLE", target=table, ddl_operation="DROP")
    if found is None and quietly:
        outcome.ddl_operation = "SKIP"
        return outcome
    if found is None:
        raise not_found("Table", table.colon_path)
    if found.kind != kind:
        raise invalid(f"{table.colon_path} is not allowed for this operation because it is currently a {found.kind}.")
    if not session.dry_run:
        session.warehouse.drop(table)
    return outcome


def _drop_schema(session: Session, node: Any) -> Outcome:
    project, name = _dataset(session, names(node.name))
    outcome = Outcome("DROP_SCHEMA", target_dataset=(project, name), ddl_operation="DROP")
    if name not in {kept.name for kept in session.warehouse.datasets(project)} and node.is_if_exists:
        outcome.ddl_operation = "SKIP"
    elif not session.dry_run:
        cascade = node.drop_mode == ast_enums_pb2.ASTDropStatementEnums.CASCADE
        session.warehouse.drop_dataset(project, name, with_contents=cascade)
    return outcome


def alter_schema(session: Session, node: Any, text: str) -> Outcome:
    """ALTER SCHEMA SET OPTIONS."""
    project, name = _dataset(session, names(node.parent.path))
    dataset = session.warehouse.dataset(project, name)
    for action in map(only, node.parent.action_list.actions):
        if not isinstance(action, parse_tree.ASTSetOptionsActionProto):
            raise not_in_the_stand_in(f"alter schema with {type(action).__name__}")
        _set_dataset_options(dataset, options(session, action.options_list, text))
    return Outcome("ALTER_SCHEMA", target_dataset=(project, name), ddl_operation="ALTER")


def alter_table(session: Session, node: Any, text: str) -> Outcome:
    """ALTER TABLE or VIEW: options, columns added, dropped, renamed or described, a new name."""
    table = session.naming.complete(names(node.parent.path))
    relation = session.warehouse.find(table)
    kind = "VIEW" if isinstance(node, parse_tree.ASTAlterViewStatementProto) else "TABLE"
    outcome = Outcome(f"ALTER_{kind}", target=table, ddl_operation="ALTER")
    if relation is None and node.parent.is_if_exists:
        outcome.ddl_operation = "SKIP"
        return outcome
    if relation is None:
        raise not_found("Table", table.colon_path)
    for action in map(only, node.parent.action_list.actions):
        change = ALTERATIONS.get(type(action).__name__)
        if change is None:
            raise not_in_the_stand_in(f"alter {kind.lower()} with {type(action).__name__}")
        if not session.dry_run:
            change(session, relation, action, text)
            relation.modified = session.warehouse.clock()
    return outcome


def _set_options(session: Session, relation: Relation, action: Any, text: str) -> None:
    set_table_options(relation, options(session, action.options_list, text))


def _add_column(session: Session, relation: Relation, action: Any, text: str) -> None:
    name = action.column_definition.name.id_string
    if name.lower() in {column.name.lower() for column in relation.columns}:
        if action.is_if_not_exists:
            return
        raise invalid_query(f"Column already exists: {name}")
    definition = span(action.column_definition).of(text)
    bound = session.bind(f"create table stand_in.t ({definition})")
    base = next(iter(nodes(session.analyze(bound), tree.ResolvedCreateTableStmtBaseProto)))
    column = _defined(base.column_definition_list[0])
    rows = [(*row, None) for row in session.warehouse.rows(relation)]
    _rewrite(session, relation, (*relation.columns, column), rows)


def _drop_column(session: Session, relation: Relation, action: Any, _text: str) -> None:
    name = action.column_name.id_string
    if name.lower() not in {column.name.lower() for column in relation.columns} and action.is_if_exists:
        return
    place = relation.position(name)
    rows = [(*row[:place], *row[place + 1 :]) for row in session.warehouse.rows(relation)]
    _rewrite(session, relation, (*relation.columns[:place], *relation.columns[place + 1 :]), rows)


def _rename_column(session: Session, relation: Relation, action: Any, _text: str) -> None:
    place = relation.position(action.column_name.id_string)
    columns = list(relation.columns)
    columns[place] = replace(columns[place], name=action.new_column_name.id_string)
    _rewrite(session, relation, tuple(columns), session.warehouse.rows(relation))


def _describe_column(session: Session, relation: Relation, action: Any, text: str) -> None:
    place = relation.position(action.column_name.id_string)
    columns = list(relation.columns)
    given = options(session, action.options_list, text)
    columns[place] = replace(columns[place], description=given.get("description"))
    relation.columns = tuple(columns)


def _rename(session: Session, relation: Relation, action: Any, _text: str) -> None:
    path = names(action.new_name)
    target = replace(relation.id, table=path[-1])
    moved = replace(relation, id=target)
    rows = [] if relation.kind == "VIEW" else session.warehouse.rows(relation)
    session.warehouse.create(moved, rows)
    session.warehouse.drop(relation.id)


def _rewrite(session: Session, relation: Relation, columns: tuple[Column, ...], rows: Sequence[Row]) -> None:
    modified = relation.partitions_modified
    relation.columns = columns
    session.warehouse.write(relation, rows, touched=set())
    relation.partitions_modified = modified


ALTERATIONS = {
    "ASTSetOptionsActionProto": _set_options,
    "ASTAddColumnActionProto": _add_column,
    "ASTDropColumnActionProto": _drop_column,
    "ASTRenameColumnActionProto": _rename_column,
    "ASTAlterColumnOptionsActionProto": _describe_column,
    "ASTRenameToClauseProto": _rename,
}
