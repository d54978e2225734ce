"""Load jobs: CSV, newline-delimited JSON and Parquet into tables, with write dispositions."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stand_ins.bigquery.columns import Column, Row, from_rest, read_text
from stand_ins.bigquery.errors import ApiError, invalid, not_in_the_stand_in
from stand_ins.bigquery.storage import Partitioning, Relation, TableId, Warehouse


def load(warehouse: Warehouse, configuration: Mapping[str, Any], data: bytes) -> int:
    """Run a load job's configuration on the uploaded bytes; gives the number of rows. Raises ApiError and writes nothing."""
    table = table_id(configuration["destinationTable"])
    existing = warehouse.find(table)
    given = tuple(from_rest(field) for field in configuration.get("schema", {}).get("fields", ()))
    wanted = given or (existing.columns if existing is not None else ())
    columns, rows = _read(configuration, data, wanted)
    put(warehouse, table, columns, rows, configuration, default="WRITE_APPEND")
    return len(rows)


def table_id(reference: Mapping[str, str]) -> TableId:
    """The table of a REST reference."""
    return TableId(reference["projectId"], reference["datasetId"], reference["tableId"])


def put(
    warehouse: Warehouse,
    table: TableId,
    columns: Sequence[Column],
    rows: Sequence[Row],
    configuration: Mapping[str, Any],
    *,
    default: str,
) -> None:
    """Write rows to a job's destination as its dispositions say. Raises 404, 409 or 400."""
    existing = warehouse.find(table)
    disposition = configuration.get("writeDisposition", default)
    if existing is not None and not existing.columns:
        existing.columns = tuple(columns)
    if existing is None:
        if configuration.get("createDisposition") == "CREATE_NEVER":
            raise ApiError(404, "notFound", f"Not found: Table {table.colon_path}")
        warehouse.create(_new(warehouse, table, columns, configuration), rows)
        return
    if disposition == "WRITE_EMPTY" and warehouse.rows(existing):
        raise ApiError(409, "duplicate", f"Already Exists: Table {table.colon_path}")
    if disposition in {"WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA"}:
        _replace(warehouse, existing, columns, rows, configuration)
        return
    added = [_aligned(existing, columns, row) for row in rows]
    kept = list(warehouse.rows(existing))
    warehouse.write(existing, [*kept, *added], touched=set(existing.partition_ids(added)))


def _replace(
    warehouse: Warehouse, existing: Relation, columns: Sequence[Column], rows: Sequence[Row], configuration: Mapping[str, Any]
) -> None:
    fresh = _new(warehouse, existing.id, columns, configuration)
    fresh.created, fresh.description, fresh.labels = existing.created, existing.description, existing.labels
    fresh.partitioning = fresh.partitioning or existing.partitioning
    fresh.clustering = fresh.clustering or existing.clustering
    fresh.require_partition_filter = existing.require_partition_filter
    described = {column.name.lower(): column.description for column in existing.columns}
    fresh.columns = tuple(
        column if column.description else replace(column, description=described.get(column.name.lower())) for column in columns
    )
    warehouse.create(fresh, rows, replace=True)


def _new(warehouse: Warehouse, table: TableId, columns: Sequence[Column], configuration: Mapping[str, Any]) -> Relation:
    now = warehouse.clock()
    return Relation(
        table,
        "TABLE",
        tuple(columns),
        created=now,
        modified=now,
        partitioning=partitioning(configuration),
        clustering=tuple(configuration.get("clustering", {}).get("fields", ())),
    )


def partitioning(resource: Mapping[str, Any]) -> Partitioning | None:
    """The partitioning of a table resource or a job's configuration."""
    by_time, by_range = resource.get("timePartitioning"), resource.get("rangePartitioning")
    if by_range:
        bounds = {name: int(by_range["range"][name]) for name in ("start", "end", "interval")}
        return Partitioning("RANGE", by_range["field"], **bounds)
    if not by_time:
        return None
    if "field" not in by_time:
        raise not_in_the_stand_in("partitioning by time of ingestion")
    expiration = by_time.get("expirationMs")
    return Partitioning(by_time.get("type", "DAY"), by_time["field"], expiration and int(expiration))


def _aligned(relation: Relation, columns: Sequence[Column], row: Row) -> Row:
    given = {column.name.lower(): value for column, value in zip(columns, row, strict=True)}
    unknown = set(given) - {column.name.lower() for column in relation.columns}
    if unknown:
        raise invalid(f"Provided Schema does not match Table {relation.id.colon_path}. Cannot add fields (field: {min(unknown)})")
    return tuple(given.get(column.name.lower()) for column in relation.columns)


# --- formats -------------------------------------------------------------------------------------------------------


def _read(configuration: Mapping[str, Any], data: bytes, wanted: Sequence[Column]) -> tuple[Sequence[Column], list[Row]]:
    kind = configuration.get("sourceFormat", "CSV")
    if kind == "PARQUET":
        return _read_parquet(data, wanted)
    if kind not in {"CSV", "NEWLINE_DELIMITED_JSON"}:
        raise not_in_the_stand_in(f"loading {kind}")
    if kind == "CSV":
        return _read_csv(configuration, data.decode(), wanted)
    return _read_json(data.decode(), wanted)


def _read_csv(configuration: Mapping[str, Any], text: str, wanted: Sequence[Column]) -> tuple[Sequence[Column], list[Row]]:
    delimiter = {"\\t": "\t", "tab": "\t"}.get(configuration.get("fieldDelimiter", ","), configuration.get("fieldDelimiter", ","))
    records = list(_csv_records(text, delimiter or ",", configuration.get("quote", '"')))
    skipped = int(configuration.get("skipLeadingRows") or 0)
    if not wanted:
        if not configuration.get("autodetect"):
            raise invalid("No schema specified on job or table.")
        header, records, skipped = [text for text, _ in records[0]], records[1:], 0
        wanted = [Column(name, _detected([record[i][0] for record in records])) for i, name in enumerate(header)]
    null = configuration.get("nullMarker", "")
    return wanted, [_csv_row(wanted, record, null, line) for line, record in enumerate(records[skipped:], start=skipped + 1)]


def _csv_records(text: str, delimiter: str, quote: str) -> Iterator[list[tuple[str, bool]]]:
    """Records of (text, was quoted): an empty unquoted field is NULL, a quoted one is the empty text."""
    mark, comma = re.escape(quote or "\0"), re.escape(delimiter)
    field = re.compile(rf"(?:{mark}((?:[^{mark}]|{mark}{mark})*){mark}|([^{comma}\r\n]*))({comma}|\r?\n|\Z)")
    record: list[tuple[str, bool]] = []
    place = 0
    while place < len(text) or record:
        found = field.match(text, place)
        if found is None:
            raise invalid(f"Error while reading data, error message: Bad character after a quoted field near position {place}")
        quoted, plain, end = found.groups()
        record.append((quoted.replace(quote * 2, quote), True) if quoted is not None else (plain, False))
        place = found.end()
        if end != delimiter:
            if record != [("", False)]:
                yield record
            record = []


def _csv_row(columns: Sequence[Column], record: Sequence[tuple[str, bool]], null: str, line: int) -> Row:
    if len(record) > len(columns):
        raise invalid(f"Error while reading data, error message: Too many values in line. Row {line}; Col {len(columns)}.")
    cells = [*record, *[("", False)] * (len(columns) - len(record))]
    return tuple(_csv_value(column, text, quoted, null, line) for column, (text, quoted) in zip(columns, cells, strict=True))


def _csv_value(column: Column, text: str, quoted: bool, null: str, line: int) -> Any:
    if not quoted and text == null:
        return None
    if text == "" and column.type != "STRING":
        return None
    return _parsed(column, text, f"Row {line}")


def _parsed(column: Column, text: str, where: str) -> Any:
    try:
        return read_text(column.type, text)
    except (ValueError, ArithmeticError) as error:
        raise invalid(
            f"Error while reading data, error message: Could not parse '{text}' as {column.type} "
            f"for field {column.name} ({where})"
        ) from error


def _detected(values: Sequence[str]) -> str:
    for kind in ("INT64", "FLOAT64", "BOOL", "DATE", "TIMESTAMP"):
        if any(values) and all(_reads_as(kind, value) for value in values if value):
            return kind
    return "STRING"


def _reads_as(kind: str, value: str) -> bool:
    if kind == "BOOL":
        return value.lower() in {"true", "false"}
    try:
        read_text(kind, value)
    except ValueError:
        return False
    return True


def _read_json(text: str, wanted: Sequence[Column]) -> tuple[Sequence[Column], list[Row]]:
    records = [json.loads(line) for line in text.splitlines() if line.strip()]
    columns = wanted or [_detected_json(name, records) for name in dict.fromkeys(name for record in records for name in record)]
    return columns, [tuple(json_value(column, record.get(column.name)) for column in columns) for record in records]


def _detected_json(name: str, records: Sequence[Mapping[str, Any]]) -> Column:
    values = [record[name] for record in records if record.get(name) is not None]
    if any(isinstance(value, list | dict) for value in values):
        raise not_in_the_stand_in(f"detecting the type of the nested column {name}")
    kinds = {type(value) for value in values}
    by_kind = {frozenset({bool}): "BOOL", frozenset({int}): "INT64"}
    if kinds <= {int, float} and float in kinds:
        return Column(name, "FLOAT64")
    return Column(name, by_kind.get(frozenset(kinds)) or _detected([str(value) for value in values]))


def json_value(column: Column, value: Any) -> Any:
    """A value of a JSON record. Raises 400 where it does not fit the column."""
    if column.mode == "REPEATED":
        return [json_value(column.element, element) for element in value or ()]
    if value is None:
        return None
    if column.type == "STRUCT":
        return tuple(json_value(field, value.get(field.name)) for field in column.fields)
    if column.type == "JSON":
        return value if isinstance(value, str) else json.dumps(value)
    text = "true" if value is True else "false" if value is False else str(value)
    return _parsed(column, text, "JSON")


ARROW_KINDS = (
    (pa.types.is_integer, "INT64"),
    (pa.types.is_floating, "FLOAT64"),
    (pa.types.is_boolean, "BOOL"),
    (pa.types.is_string, "STRING"),
    (pa.types.is_large_string, "STRING"),
    (pa.types.is_binary, "BYTES"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (pa.types.is_decimal, "NUMERIC"),
    (pa.types.is_null, "STRING"),
)


def _read_parquet(data: bytes, wanted: Sequence[Column]) -> tuple[Sequence[Column], list[Row]]:
    table = pq.read_table(io.BytesIO(data))
    columns = [_parquet_column(field, wanted) for field in table.schema]
    lists = [_parquet_values(column, table.column(i)) for i, column in enumerate(columns)]
    return columns, list(zip(*lists, strict=True)) if lists else []


def _parquet_values(column: Column, values: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(values.type):
        zone = "UTC" if column.type == "TIMESTAMP" else None
        values = values.cast(pa.timestamp("us", tz=values.type.tz), safe=False).cast(pa.timestamp("us", tz=zone))
    return [_parquet_value(column, value) for value in values.to_pylist()]


def _parquet_value(column: Column, value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict) and column.type != "STRUCT":
        return [entry.get("item", entry.get("element")) for entry in value]
    if isinstance(value, dict) and "list" in value:  # the three-level lists that the client writes
        return [entry.get("item", entry.get("element")) for entry in value["list"] or ()]
    if isinstance(value, dict) and column.type == "STRUCT":
        return tuple(_parquet_value(field, value[field.name]) for field in column.fields)
    if value is not None and column.type == "FLOAT64" and column.mode != "REPEATED":
        return float(value)
    return value


def _parquet_column(field: pa.Field, wanted: Sequence[Column]) -> Column:
    for column in wanted:
        if column.name.lower() == field.name.lower():
            return column
    kind = field.type
    if pa.types.is_list(kind):
        return replace(_parquet_column(kind.value_field.with_name(field.name), ()), mode="REPEATED")
    if pa.types.is_struct(kind):
        return Column(field.name, "STRUCT", fields=tuple(_parquet_column(child, ()) for child in kind))
    if pa.types.is_timestamp(kind):
        return Column(field.name, "TIMESTAMP" if kind.tz else "DATETIME")
    for matches, name in ARROW_KINDS:
        if matches(kind):
            return Column(field.name, name)
    raise not_in_the_stand_in(f"loading the Parquet type {kind}")
