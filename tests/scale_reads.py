"""Which columns of the large tables each compiled model reads, found by Google's analyzer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from stand_ins.bigquery import google_sql
from stand_ins.bigquery.columns import Column
from stand_ins.bigquery.reads import NotConstantError, literal_value, reads_of_query
from stand_ins.bigquery.session import output_columns

from pipeline.extract.exchange_rates import COLUMNS as RATES
from pipeline.sources.schema import RAW_TABLES

QUALIFIED = re.compile(r"`[^`]+`\.`[^`]+`\.`([^`]+)`")  # relations have one name each, whatever their dataset
Columns = tuple[Column, ...]
Reads = dict[str, dict[str, dict[str, Any]]]


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

    def reads(self, sql: str) -> Iterator[tuple[str, set[str], set[str]]]:
        """Each table that a statement reads, through views: its columns, and those of them that constants restrict."""
        yield from self._reads(sql, {})

    def _reads(self, sql: str, filters: Any) -> Iterator[tuple[str, set[str], set[str]]]:
        for read in reads_of_query(self._resolved(sql), lambda expression: _constant(expression, sql), filters):
            if read.table in self._views:
                wanted = {name.lower() for name in read.columns} | set(read.predicates)
                columns = [column.name for column in self.tables[read.table] if column.name.lower() in wanted]
                yield from self._reads(f"select {', '.join(columns) or '1'} from ({self._views[read.table]})", read.predicates)
            else:
                yield read.table, set(read.columns), set(read.predicates)

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
    models: Sequence[Mapping[str, Any]], analyst: Analyst, *, partition_columns: Mapping[str, str], views: Sequence[str]
) -> Reads:
    """For each model the large tables it reads: their columns, and whether it reads some days of them only.

    `partition_columns` names the large tables, and by which column each of them is kept; empty where it is kept in one piece.
    """
    found: Reads = {}
    for model in in_order(models):
        sql = QUALIFIED.sub(r"\1", model["sql"])
        for table, columns, restricted in [] if model["name"] in views else analyst.reads(sql):
            if table in partition_columns and columns:
                read = found.setdefault(model["name"], {}).setdefault(table, {"columns": [], "some_days": True})
                read["columns"] = sorted({*read["columns"], *columns})
                read["some_days"] = read["some_days"] and partition_columns[table] in restricted
        analyst.add(model["name"], sql, is_view=model["name"] in views)
    return found
