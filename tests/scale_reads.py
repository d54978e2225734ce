"""Which columns and days of the large tables each compiled model reads, found by Google's analyzer."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from stand_ins.bigquery import google_sql
from stand_ins.bigquery.columns import Column
from stand_ins.bigquery.reads import NotConstantError, Predicate, literal_value, reads_of_query
from stand_ins.bigquery.session import output_columns

from pipeline.extract.exchange_rates import COLUMNS as RATES
from pipeline.sources.schema import RAW_TABLES

QUALIFIED = re.compile(r"`[^`]+`\.`[^`]+`\.`([^`]+)`")  # relations have one name each, whatever their dataset
Columns = tuple[Column, ...]
Reads = dict[str, dict[str, list[dict[str, Any]]]]
Range = tuple[dt.date, dt.date]  # the first and the last day
ONE = dt.timedelta(days=1)
EVERY_DAY = (dt.date.min, dt.date.max)
FIRST_DAY = dt.date(1990, 1, 1)  # no figure has an earlier one


def raw_tables(facts: Path) -> dict[str, Columns]:
    """What the dataset `raw` holds when dbt begins; `facts` is the Parquet file of the landed country facts."""
    tables = {name: tuple(Column(column, "STRING") for column in table.columns) for name, table in RAW_TABLES.items()}
    tables["transactions"] += (Column("source_part", "INT64"),)
    tables["parts"] = (Column("source_part", "INT64"), Column("rows_landed", "INT64"))
    tables["changed_parts"] = (Column("source_part", "INT64"),)
    kinds = {"int64": "INT64", "double": "FLOAT64", "date32[day]": "DATE"}
    for name, schema in (("external_countries", pq.read_schema(facts)), ("external_exchange_rates", RATES)):
        tables[name] = tuple(Column(field.name, kinds.get(str(field.type), "STRING")) for field in schema)
    return tables


def remembered(tables: Mapping[str, Columns]) -> dict[str, Columns]:
    """What the models keep of the last build in the dataset `raw`, to compare with."""

    def some(table: str, *names: str) -> Columns:
        return tuple(column for column in tables[table] if column.name in names)

    return {
        "repeated_transactions_before": some(
            "repeated_transactions", "transaction_key", "transaction_date", "copy_number", "source_part"
        ),
        "customers_before": some("dim_customers", "customer_key", "segment_id", "opening_date", "last_active_day"),
        "volumes_before": tables["fct_customer_volumes"],
        "breaks_before": tables["fct_breaks"],
        "days_before": (Column("transaction_date", "DATE"), Column("transactions", "INT64"), Column("fingerprint", "INT64")),
    }


def in_order(models: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Models as a version's models.json lists them, each after what it is made from."""
    by_name, told = {model["name"]: model for model in models}, set()

    def tell(name: str) -> Iterator[Mapping[str, Any]]:
        if name in by_name and name not in told:
            told.add(name)
            for parent in by_name[name]["depends_on"]:
                yield from tell(parent.split(".")[-1])
            yield by_name[name]

    for name in by_name:
        yield from tell(name)


class Analyst:
    """Google's analyzer over tables and views that are added as they come."""

    def __init__(self, tables: Mapping[str, Columns]) -> None:
        self.tables = dict(tables)
        self._views: dict[str, str] = {}

    def add(self, name: str, sql: str, *, is_view: bool) -> None:
        """Let later statements read a model."""
        self.tables[name] = output_columns(self._resolved(sql))
        if is_view:
            self._views[name] = sql

    def reads(self, sql: str) -> Iterator[tuple[str, set[str], dict[str, tuple[Predicate, ...]]]]:
        """Each table that a statement reads, through views: its columns, and the constants that restrict them."""
        yield from self._reads(sql, {})

    def _reads(self, sql: str, filters: Any) -> Iterator[tuple[str, set[str], dict[str, tuple[Predicate, ...]]]]:
        for read in reads_of_query(self._resolved(sql), lambda expression: _constant(expression, sql), filters):
            if read.table in self._views:
                wanted = {name.lower() for name in read.columns} | set(read.predicates)
                columns = [column.name for column in self.tables[read.table] if column.name.lower() in wanted]
                yield from self._reads(f"select {', '.join(columns) or '1'} from ({self._views[read.table]})", read.predicates)
            else:
                yield read.table, set(read.columns), read.predicates

    def _resolved(self, sql: str) -> Any:
        tables = tuple(google_sql.Table(name, columns) for name, columns in self.tables.items())
        return google_sql.analyze(sql, google_sql.Scope(tables))


def _constant(expression: Any, sql: str) -> Any:
    """The value of an expression without columns."""
    is_literal, value = literal_value(expression)
    text = None if is_literal else google_sql.written(expression, sql)
    if text is not None:
        return google_sql.execute(f"select ({text})", google_sql.Scope()).rows[0][0]
    if not is_literal:
        raise NotConstantError
    return value


def of_models(
    models: Sequence[Mapping[str, Any]],
    analyst: Analyst,
    *,
    partition_columns: Mapping[str, str],
    views: Sequence[str],
    last_day: dt.date,
) -> Reads:
    """For each model the large tables it reads: their columns, and the days that it reads of them.

    `partition_columns` names the large tables, and by which column each of them is kept; empty where it is kept in one piece.
    """
    found: Reads = {}
    for model in in_order(models):
        sql = QUALIFIED.sub(r"\1", model["sql"])
        days: dict[str, dict[str, list[Range]]] = {}
        for table, columns, predicates in [] if model["name"] in views else analyst.reads(sql):
            if table in partition_columns:
                for column in columns:
                    read = ranges_of(predicates.get(partition_columns[table], ()))
                    before = days.setdefault(table, {}).get(column, [])
                    days[table][column] = merged([*before, *read])
        if days:
            found[model["name"]] = {table: _by_days(columns, last_day) for table, columns in sorted(days.items())}
        analyst.add(model["name"], sql, is_view=model["name"] in views)
    return found


def ranges_of(predicates: Sequence[Predicate]) -> list[Range]:
    """The days on which all conditions on a column of days or moments may hold; a row without a day is on none."""
    found = [EVERY_DAY]
    for predicate in predicates:
        found = _common(found, _ranges(predicate))
    return found


def _ranges(predicate: Predicate) -> list[Range]:
    if predicate.operator == "all":
        return ranges_of(predicate.parts)
    if predicate.operator == "any":
        return merged([days for one in predicate.parts for days in _ranges(one)])
    if predicate.operator in {"null", "not null"}:
        return [EVERY_DAY] if predicate.operator == "not null" else []
    return merged([_compared(predicate.operator, value) for value in predicate.values if value is not None])


def _compared(operator: str, value: dt.date) -> Range:
    day = value.date() if isinstance(value, dt.datetime) else value
    is_midnight = not isinstance(value, dt.datetime) or value.time() == dt.time()
    if operator in {"<", "<="}:
        return dt.date.min, day - ONE if operator == "<" and is_midnight else day
    if operator in {">", ">="}:
        return day + ONE if operator == ">" and not isinstance(value, dt.datetime) else day, dt.date.max
    return day, day


def _common(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    both = [(max(one[0], other[0]), min(one[1], other[1])) for one in some for other in others]
    return merged([(first, last) for first, last in both if first <= last])


def merged(ranges: Sequence[Range]) -> list[Range]:
    """The same days in as few ranges as there can be."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and (found[-1][1] == dt.date.max or first <= found[-1][1] + ONE):
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _by_days(columns: Mapping[str, Sequence[Range]], last_day: dt.date) -> list[dict[str, Any]]:
    """Columns of which the same days are read, together."""
    together: dict[tuple[Range, ...], list[str]] = {}
    for column, ranges in sorted(columns.items()):
        together.setdefault(tuple(ranges), []).append(column)

    return [{"columns": names, "days": [told(days, last_day) for days in ranges]} for ranges, names in together.items()]


def told(days: Range, last_day: dt.date) -> list[int | None]:
    """A range by how many days its ends are before the last day; None is an open end."""
    first, last = days
    return [None if first < FIRST_DAY else (last_day - first).days, None if last == dt.date.max else (last_day - last).days]


def written(reads: Mapping[str, Reads]) -> str:
    """As JSON, a line for each model."""
    kinds = []
    for kind, models in reads.items():
        lines = [f"  {json.dumps(model)}: {json.dumps(models[model])}" for model in sorted(models)]
        kinds.append(f" {json.dumps(kind)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(kinds) + "\n}\n"
