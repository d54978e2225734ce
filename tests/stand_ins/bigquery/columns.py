"""Columns and values: BigQuery's types as its REST answers, Google's engine, Arrow and DuckDB each write them.

In between, a value is plain Python: int, float, bool, str, bytes, Decimal (NUMERIC, BIGNUMERIC), date, time, datetime (naive for
DATETIME, in UTC for TIMESTAMP), str (JSON), list (a repeated column) and tuple (STRUCT, whose fields may have no names). NULL is
None.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
from zetasql.wasi._pb2.zetasql.public import type_pb2, value_pb2

Row = tuple[Any, ...]

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = dt.date(1970, 1, 1)

# The REST answers use the names of legacy SQL, INFORMATION_SCHEMA and the engine those of GoogleSQL.
REST_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
SQL_NAMES = {rest: sql for sql, rest in REST_NAMES.items()} | {"DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC"}

KINDS = {
    "INT64": type_pb2.TYPE_INT64,
    "FLOAT64": type_pb2.TYPE_DOUBLE,
    "BOOL": type_pb2.TYPE_BOOL,
    "STRING": type_pb2.TYPE_STRING,
    "BYTES": type_pb2.TYPE_BYTES,
    "DATE": type_pb2.TYPE_DATE,
    "TIME": type_pb2.TYPE_TIME,
    "DATETIME": type_pb2.TYPE_DATETIME,
    "TIMESTAMP": type_pb2.TYPE_TIMESTAMP,
    "NUMERIC": type_pb2.TYPE_NUMERIC,
    "BIGNUMERIC": type_pb2.TYPE_BIGNUMERIC,
    "JSON": type_pb2.TYPE_JSON,
    "STRUCT": type_pb2.TYPE_STRUCT,
}
NAMES = {kind: name for name, kind in KINDS.items()}

ARROW_TYPES = {
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.string(),  # 76 digits: wider than DuckDB's decimals
    "JSON": pa.string(),
}

# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes
FIXED_SIZES = {
    "INT64": 8,
    "FLOAT64": 8,
    "BOOL": 1,
    "DATE": 8,
    "TIME": 8,
    "DATETIME": 8,
    "TIMESTAMP": 8,
    "NUMERIC": 16,
    "BIGNUMERIC": 32,
}


class UnsupportedTypeError(Exception):
    """A type that the stand-in does not store, by name."""


@dataclass(frozen=True)
class Column:
    """One field of a BigQuery schema; `type` has GoogleSQL's name, `mode` is NULLABLE, REQUIRED or REPEATED."""

    name: str
    type: str
    mode: str = "NULLABLE"
    fields: tuple[Column, ...] = ()
    description: str | None = None
    precision: int | None = None
    scale: int | None = None
    max_length: int | None = None
    policy_tags: tuple[str, ...] = ()

    @property
    def element(self) -> Column:
        """The column as one element of the repeated column is."""
        return replace(self, mode="NULLABLE")

    @property
    def sql_type(self) -> str:
        """The type as DDL writes it, such as NUMERIC(18, 4) or ARRAY<STRUCT<a INT64>>."""
        name = self.type
        if self.type == "STRUCT":
            name = f"STRUCT<{', '.join(f'{field.name} {field.sql_type}' for field in self.fields)}>"
        elif self.precision is not None:
            name += f"({self.precision}, {self.scale})" if self.scale else f"({self.precision})"
        elif self.max_length is not None:
            name += f"({self.max_length})"
        return f"ARRAY<{name}>" if self.mode == "REPEATED" else name


def from_rest(field: Mapping[str, Any]) -> Column:
    """A column from a TableFieldSchema."""
    given = str(field["type"]).upper()
    number = {key: int(field[name]) for key, name in PARAMETERS.items() if field.get(name) is not None}
    return Column(
        name=field["name"],
        type=SQL_NAMES.get(given, given),
        mode=str(field.get("mode") or "NULLABLE").upper(),
        fields=tuple(from_rest(child) for child in field.get("fields", ())),
        description=field.get("description"),
        policy_tags=tuple(field.get("policyTags", {}).get("names", ())),
        **number,
    )


PARAMETERS = {"precision": "precision", "scale": "scale", "max_length": "maxLength"}


def to_rest(column: Column) -> dict[str, Any]:
    """The TableFieldSchema of a column."""
    field: dict[str, Any] = {"name": column.name, "type": REST_NAMES.get(column.type, column.type), "mode": column.mode}
    if column.fields:
        field["fields"] = [to_rest(child) for child in column.fields]
    if column.description:
        field["description"] = column.description
    if column.policy_tags:
        field["policyTags"] = {"names": list(column.policy_tags)}
    return field | {name: str(getattr(column, key)) for key, name in PARAMETERS.items() if getattr(column, key) is not None}


# --- Google's engine -----------------------------------------------------------------------------------------------


def to_engine_type(column: Column) -> type_pb2.TypeProto:
    """The type as the engine's catalog holds it."""
    if column.mode == "REPEATED":
        array = type_pb2.TypeProto(type_kind=type_pb2.TYPE_ARRAY)
        array.array_type.element_type.CopyFrom(to_engine_type(column.element))
        return array
    if column.type not in KINDS:
        raise UnsupportedTypeError(f"The stand-in does not store {column.type}: column {column.name}")
    made = type_pb2.TypeProto(type_kind=KINDS[column.type])
    for field in column.fields:
        made.struct_type.field.add(field_name=field.name, field_type=to_engine_type(field))
    return made


def from_engine_type(name: str, made: type_pb2.TypeProto) -> Column:
    """The column of a result whose type the engine gives."""
    if made.type_kind == type_pb2.TYPE_ARRAY:
        return replace(from_engine_type(name, made.array_type.element_type), mode="REPEATED")
    if made.type_kind not in NAMES:
        raise UnsupportedTypeError(f"The stand-in does not carry {type_pb2.TypeKind.Name(made.type_kind)}: column {name}")
    fields = tuple(from_engine_type(field.field_name, field.field_type) for field in made.struct_type.field)
    return Column(name=name, type=NAMES[made.type_kind], fields=fields)


def write_value(column: Column, value: Any, into: value_pb2.ValueProto) -> None:
    """Set the engine's message to a Python value; an unset message is NULL."""
    if column.mode == "REPEATED":
        into.array_value.SetInParent()
        for element in value or ():
            write_value(column.element, element, into.array_value.element.add())
    elif value is not None:
        WRITERS[column.type](column, value, into)


def _write_struct(column: Column, value: Any, into: value_pb2.ValueProto) -> None:
    into.struct_value.SetInParent()
    for field, child in zip(column.fields, value, strict=True):
        write_value(field, child, into.struct_value.field.add())


def _write_timestamp(_column: Column, value: Any, into: value_pb2.ValueProto) -> None:
    microseconds = timestamp_microseconds(value)
    into.timestamp_value.seconds, rest = divmod(microseconds, 1_000_000)
    into.timestamp_value.nanos = rest * 1000


def _write_datetime(_column: Column, value: dt.datetime, into: value_pb2.ValueProto) -> None:
    into.datetime_value.bit_field_datetime_seconds = (
        value.year << 26 | value.month << 22 | value.day << 17 | value.hour << 12 | value.minute << 6 | value.second
    )
    into.datetime_value.nanos = value.microsecond * 1000


def _write_time(_column: Column, value: dt.time, into: value_pb2.ValueProto) -> None:
    into.time_value = (value.hour << 12 | value.minute << 6 | value.second) << 30 | value.microsecond * 1000


def _setter(attribute: str) -> Any:
    return lambda _column, value, into: setattr(into, attribute, value)


WRITERS: dict[str, Any] = {
    "INT64": _setter("int64_value"),
    "FLOAT64": _setter("double_value"),
    "BOOL": _setter("bool_value"),
    "STRING": _setter("string_value"),
    "BYTES": _setter("bytes_value"),
    "JSON": _setter("json_value"),
    "DATE": lambda _column, value, into: setattr(into, "date_value", (value - EPOCH_DAY).days),
    "NUMERIC": lambda _column, value, into: setattr(into, "numeric_value", _scaled_bytes(value, 9)),
    "BIGNUMERIC": lambda _column, value, into: setattr(into, "bignumeric_value", _scaled_bytes(value, 38)),
    "STRUCT": _write_struct,
    "TIMESTAMP": _write_timestamp,
    "DATETIME": _write_datetime,
    "TIME": _write_time,
}


def _scaled_bytes(value: Decimal, scale: int) -> bytes:
    number = int(value.scaleb(scale))
    length = max(1, (number if number >= 0 else ~number).bit_length() // 8 + 1)
    return number.to_bytes(length, "little", signed=True)


def _unscaled(data: bytes, scale: int) -> Decimal:
    sign, digits, _ = Decimal(int.from_bytes(data, "little", signed=True)).as_tuple()
    return Decimal((sign, digits, -scale))


def read_value(column: Column, value: value_pb2.ValueProto) -> Any:
    """The Python value of an engine's message."""
    if value.WhichOneof("value") is None:
        return None
    if column.mode == "REPEATED":
        return [read_value(column.element, element) for element in value.array_value.element]
    return READERS[column.type](column, value)


def _read_struct(column: Column, value: value_pb2.ValueProto) -> Row:
    pairs = zip(column.fields, value.struct_value.field, strict=True)
    return tuple(read_value(field, child) for field, child in pairs)


def _read_datetime(_column: Column, value: value_pb2.ValueProto) -> dt.datetime:
    bits = value.datetime_value.bit_field_datetime_seconds
    parts = (bits >> 26, bits >> 22 & 15, bits >> 17 & 31, bits >> 12 & 31, bits >> 6 & 63, bits & 63)
    return dt.datetime(*parts, value.datetime_value.nanos // 1000)


def _read_time(_column: Column, value: value_pb2.ValueProto) -> dt.time:
    bits = value.time_value >> 30
    return dt.time(bits >> 12 & 31, bits >> 6 & 63, bits & 63, (value.time_value & (1 << 30) - 1) // 1000)


READERS: dict[str, Any] = {
    "INT64": lambda _column, value: value.int64_value,
    "FLOAT64": lambda _column, value: value.double_value,
    "BOOL": lambda _column, value: value.bool_value,
    "STRING": lambda _column, value: value.string_value,
    "BYTES": lambda _column, value: value.bytes_value,
    "JSON": lambda _column, value: value.json_value,
    "DATE": lambda _column, value: EPOCH_DAY + dt.timedelta(days=value.date_value),
    "NUMERIC": lambda _column, value: _unscaled(value.numeric_value, 9),
    "BIGNUMERIC": lambda _column, value: _unscaled(value.bignumeric_value, 38),
    "STRUCT": _read_struct,
    "TIMESTAMP": lambda _column, value: (
        EPOCH + dt.timedelta(seconds=value.timestamp_value.seconds, microseconds=value.timestamp_value.nanos // 1000)
    ),
    "DATETIME": _read_datetime,
    "TIME": _read_time,
}


# --- REST ----------------------------------------------------------------------------------------------------------


def rest_row(columns: Sequence[Column], row: Row, *, int64_timestamps: bool) -> dict[str, Any]:
    """One row as tabledata.list and getQueryResults write it."""
    cells = zip(columns, row, strict=True)
    return {"f": [{"v": rest_value(column, value, int64_timestamps)} for column, value in cells]}


def rest_value(column: Column, value: Any, int64_timestamps: bool) -> Any:
    """One cell as REST writes it: text, or nested `f` and `v`."""
    if column.mode == "REPEATED":
        return [{"v": rest_value(column.element, element, int64_timestamps)} for element in value or ()]
    if value is None:
        return None
    if column.type == "STRUCT":
        return rest_row(column.fields, value, int64_timestamps=int64_timestamps)
    if column.type == "TIMESTAMP":
        microseconds = timestamp_microseconds(value)
        return str(microseconds) if int64_timestamps else repr(microseconds / 1e6)
    return rest_text(column.type, value)


def rest_text(kind: str, value: Any) -> str:
    """A scalar's text in REST."""
    if kind == "BOOL":
        return "true" if value else "false"
    if kind == "FLOAT64":
        return _float_text(value)
    if kind in {"NUMERIC", "BIGNUMERIC"}:
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if kind == "BYTES":
        return base64.b64encode(value).decode()
    if kind in {"DATE", "TIME", "DATETIME"}:
        return str(value.isoformat())
    return str(value)


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def timestamp_microseconds(value: dt.datetime) -> int:
    """Microseconds since 1970, in UTC."""
    return (value - EPOCH) // dt.timedelta(microseconds=1)


def rest_parameter(column: Column, value: Mapping[str, Any]) -> Any:
    """The Python value of a queryParameter's `parameterValue`."""
    if column.mode == "REPEATED":
        return [rest_parameter(column.element, element) for element in value.get("arrayValues", ())]
    if column.type == "STRUCT":
        given = value.get("structValues", {})
        return tuple(rest_parameter(field, given.get(field.name, {})) for field in column.fields)
    text = value.get("value")
    return None if text is None else read_text(column.type, text)


def read_text(kind: str, text: str) -> Any:
    """A scalar from the text of a parameter or a loaded file. Raises ValueError where it is none."""
    return TEXT_READERS[kind](text)


def _read_bool_text(text: str) -> bool:
    words = {"true": True, "t": True, "1": True, "yes": True, "y": True}
    words |= {"false": False, "f": False, "0": False, "no": False, "n": False}
    if text.strip().lower() not in words:
        raise ValueError(f"Unable to parse '{text}' as BOOL")
    return words[text.strip().lower()]


def read_timestamp_text(text: str) -> dt.datetime:
    """A moment from ISO text with `Z`, `UTC`, an offset, or none, which is UTC; or from seconds since 1970."""
    bare = text.strip().removesuffix("UTC").removesuffix("Z").strip()
    try:
        moment = dt.datetime.fromisoformat(bare)
    except ValueError:
        return EPOCH + dt.timedelta(microseconds=round(float(bare) * 1e6))
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


TEXT_READERS: dict[str, Any] = {
    "INT64": lambda text: int(text),
    "FLOAT64": lambda text: float(text),
    "BOOL": _read_bool_text,
    "STRING": lambda text: text,
    "BYTES": lambda text: base64.b64decode(text),
    "JSON": lambda text: text,
    "DATE": lambda text: dt.date.fromisoformat(text.strip()),
    "TIME": lambda text: dt.time.fromisoformat(text.strip()),
    "DATETIME": lambda text: dt.datetime.fromisoformat(text.strip()).replace(tzinfo=None),
    "TIMESTAMP": read_timestamp_text,
    "NUMERIC": lambda text: Decimal(text.strip()),
    "BIGNUMERIC": lambda text: Decimal(text.strip()),
}


# --- Arrow and DuckDB ----------------------------------------------------------------------------------------------


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type in which DuckDB keeps the column."""
    if column.mode == "REPEATED":
        return pa.list_(arrow_type(column.element))
    if column.type == "STRUCT":
        return pa.struct([pa.field(field.name, arrow_type(field)) for field in column.fields])
    if column.type not in ARROW_TYPES:
        raise UnsupportedTypeError(f"The stand-in does not store {column.type}: column {column.name}")
    return ARROW_TYPES[column.type]


def to_arrow(columns: Sequence[Column], rows: Sequence[Row]) -> pa.Table:
    """Rows as an Arrow table of the stored types."""
    arrays = []
    for position, column in enumerate(columns):
        values = [stored(column, row[position]) for row in rows]
        arrays.append(pa.array(values, type=arrow_type(column)))
    return pa.table(arrays, schema=pa.schema([pa.field(column.name, arrow_type(column)) for column in columns]))


def from_arrow(columns: Sequence[Column], table: pa.Table) -> list[Row]:
    """Stored rows as Python values."""
    lists = [[_loaded(column, value) for value in table.column(i).to_pylist()] for i, column in enumerate(columns)]
    return list(zip(*lists, strict=True)) if lists else [()] * table.num_rows


def stored(column: Column, value: Any) -> Any:
    """A value as it is kept: no NULL array (BigQuery keeps it empty), BIGNUMERIC as text."""
    if column.mode == "REPEATED":
        return [stored(column.element, element) for element in value or ()]
    if value is None:
        return None
    if column.type == "STRUCT":
        return {field.name: stored(field, child) for field, child in zip(column.fields, value, strict=True)}
    if column.type == "BIGNUMERIC":
        return rest_text("BIGNUMERIC", value)
    return value


def _loaded(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.mode == "REPEATED":
        return [_loaded(column.element, element) for element in value]
    if column.type == "STRUCT":
        return tuple(_loaded(field, value[field.name]) for field in column.fields)
    if column.type == "BIGNUMERIC":
        return Decimal(value)
    if column.type == "TIMESTAMP":
        return value.astimezone(UTC)
    return value


# --- sizes ---------------------------------------------------------------------------------------------------------


def logical_bytes(column: Column, values: Iterable[Any]) -> int:
    """The documented size of a column's values; NULL is 0 bytes."""
    return sum(_size(column, value) for value in values)


def _size(column: Column, value: Any) -> int:
    if value is None:
        return 0
    if column.mode == "REPEATED":
        return sum(_size(column.element, element) for element in value)
    if column.type == "STRUCT":
        return sum(_size(field, child) for field, child in zip(column.fields, value, strict=True))
    if column.type in FIXED_SIZES:
        return FIXED_SIZES[column.type]
    return 2 + len(value if isinstance(value, bytes) else value.encode())
