"""Statements put through Google's analyzer alone, without a server and without rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from stand_ins.bigquery.binding import Names
from stand_ins.bigquery.columns import Column, from_rest
from stand_ins.bigquery.session import Session, ViewCache, output_columns
from stand_ins.bigquery.storage import Relation, TableId, Warehouse

SOME_TIME = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def analyze(sql: str, tables: Mapping[str, Sequence[Column] | Mapping[str, str]]) -> tuple[Column, ...]:
    """The result columns of a SELECT over tables `project.dataset.table`, each given by its columns or by name and type.

    A type is GoogleSQL's (`INT64`, `DATE`). Raises ApiError with the analyzer's text, or 404 where a table is not given.
    """
    warehouse = Warehouse(clock=lambda: SOME_TIME)
    try:
        for path, columns in tables.items():
            _create(warehouse, TableId(*path.rsplit(".", 2)), columns)
        session = Session(warehouse, Names(project="project"), ViewCache())
        return output_columns(session.analyze(session.bind(sql)))
    finally:
        warehouse.close()


def _create(warehouse: Warehouse, table: TableId, columns: Sequence[Column] | Mapping[str, str]) -> None:
    if table.dataset not in {dataset.name for dataset in warehouse.datasets(table.project)}:
        warehouse.create_dataset(table.project, table.dataset)
    if isinstance(columns, Mapping):
        columns = [from_rest({"name": name, "type": kind}) for name, kind in columns.items()]
    warehouse.create(Relation(table, "TABLE", tuple(columns), created=SOME_TIME, modified=SOME_TIME))
