"""Google's own parser, analyzer and reference executor (PyPI `zetasql`, compiled to WebAssembly), as functions.

The package's own client compiles the module anew in every process (half a minute) and copies memory byte by byte; here the
compiled module is cached in a folder outside the checkout, and memory is copied in one piece.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from google._upb import _message as upb
from google.protobuf import empty_pb2
from google.protobuf.message import Message
from wasmtime import Config, Engine, Linker, Module, Store, Trap, WasiConfig
from zetasql.core.wasm_client import get_tzinfo_dir
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.parser import parse_tree_pb2
from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as public_options_pb2
from zetasql.wasi._pb2.zetasql.public import type_pb2
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_ast_pb2, resolved_node_kind_pb2

from stand_ins.bigquery.columns import Column, Row, from_engine_type, read_value, to_engine_type, write_value

Answer = TypeVar("Answer", bound=Message)

CACHE_VARIABLE = "BIGQUERY_STAND_IN_CACHE"

# The features that BigQuery has on, as Google's own zetasql-toolkit lists them (BigQueryLanguageOptions), plus those that
# BigQuery released after that list was written.
FEATURES = """
    ALLOW_MISSING_PATH_EXPRESSION_IN_ALTER_DDL ALTER_COLUMN_SET_DATA_TYPE ALTER_TABLE_RENAME_COLUMN ANALYTIC_FUNCTIONS
    BIGNUMERIC_TYPE CBRT_FUNCTIONS CREATE_MATERIALIZED_VIEW_CLUSTER_BY CREATE_MATERIALIZED_VIEW_PARTITION_BY CREATE_SNAPSHOT_TABLE
    CREATE_TABLE_AS_SELECT_COLUMN_LIST CREATE_TABLE_CLONE CREATE_TABLE_CLUSTER_BY CREATE_TABLE_COPY CREATE_TABLE_FIELD_ANNOTATIONS
    CREATE_TABLE_LIKE CREATE_TABLE_NOT_NULL CREATE_TABLE_PARTITION_BY CREATE_VIEW_WITH_COLUMN_LIST DML_UPDATE_WITH_JOIN
    FOREIGN_KEYS GROUP_BY_ROLLUP INTERVAL_TYPE INVERSE_TRIG_FUNCTIONS JSON_ARRAY_FUNCTIONS JSON_TYPE
    JSON_VALUE_EXTRACTION_FUNCTIONS
    NAMED_ARGUMENTS NUMERIC_TYPE PARAMETERIZED_TYPES ROUND_WITH_ROUNDING_MODE TABLESAMPLE TABLE_VALUED_FUNCTIONS
    TEMPLATE_FUNCTIONS TIME_BUCKET_FUNCTIONS UNENFORCED_PRIMARY_KEYS V_1_1_HAVING_IN_AGGREGATE V_1_1_LIMIT_IN_AGGREGATE
    V_1_1_NULL_HANDLING_MODIFIER_IN_AGGREGATE V_1_1_NULL_HANDLING_MODIFIER_IN_ANALYTIC V_1_1_ORDER_BY_IN_AGGREGATE
    V_1_1_SELECT_STAR_EXCEPT_REPLACE V_1_1_WITH_ON_SUBQUERY V_1_2_CIVIL_TIME V_1_2_SAFE_FUNCTION_CALL V_1_2_WEEK_WITH_WEEKDAY
    V_1_3_ADDITIONAL_STRING_FUNCTIONS V_1_3_ALLOW_DASHES_IN_TABLE_NAME V_1_3_ALLOW_REGEXP_EXTRACT_OPTIONALS V_1_3_CASE_STMT
    V_1_3_COLUMN_DEFAULT_VALUE V_1_3_CONCAT_MIXED_TYPES V_1_3_DATE_ARITHMETICS V_1_3_DATE_TIME_CONSTRUCTORS V_1_3_DECIMAL_ALIAS
    V_1_3_EXTENDED_DATE_TIME_SIGNATURES V_1_3_FORMAT_IN_CAST V_1_3_FOR_IN V_1_3_IS_DISTINCT V_1_3_LIKE_ANY_SOME_ALL
    V_1_3_NULLS_FIRST_LAST_IN_ORDER_BY V_1_3_OMIT_INSERT_COLUMN_LIST V_1_3_PIVOT V_1_3_QUALIFY V_1_3_REPEAT V_1_3_SCRIPT_LABEL
    V_1_3_UNNEST_AND_FLATTEN_ARRAYS V_1_3_UNPIVOT V_1_3_WITH_GROUP_ROWS V_1_3_WITH_RECURSIVE V_1_4_ARRAY_AGGREGATION_FUNCTIONS
    V_1_4_GROUPING_BUILTIN V_1_4_GROUPING_SETS V_1_4_GROUP_BY_ALL
    V_1_4_LIKE_ANY_SOME_ALL_ARRAY PIPES V_1_2_GROUP_BY_STRUCT V_1_2_GROUP_BY_ARRAY V_1_3_ALLOW_CONSECUTIVE_ON V_1_4_BY_NAME
    V_1_4_CORRESPONDING CREATE_VIEWS_WITH_COLUMN_OPTIONS
"""

# What the executor does not run itself, and the analyzer turns into what it does.
REWRITES = """
    PIVOT UNPIVOT FLATTEN MULTIWAY_UNNEST LIKE_ANY_ALL GROUPING_SET TYPEOF_FUNCTION NULLIFERROR_FUNCTION BUILTIN_FUNCTION_INLINER
"""

STATEMENTS = """
    ALTER_SCHEMA ALTER_TABLE ALTER_VIEW ASSERT ASSIGNMENT CREATE_SCHEMA CREATE_SNAPSHOT_TABLE CREATE_TABLE_AS_SELECT CREATE_TABLE
    CREATE_VIEW DELETE DROP INSERT MERGE QUERY TRUNCATE UPDATE
"""

# Functions that BigQuery has and this release does not: naming them is better than "Function not found".
LACKING = {"MAX_BY", "MIN_BY", "CONTAINS_SUBSTR", "SEARCH", "VECTOR_SEARCH"}

TYPE_ALIASES = ("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT")


class SqlError(Exception):
    """What BigQuery answers as 400 `invalidQuery`; the text is Google's own."""


@dataclass(frozen=True)
class Table:
    """A table as one statement sees it: its flat name, its columns, and its rows already in the engine's bytes."""

    name: str
    columns: tuple[Column, ...]
    content: bytes = b""


@dataclass(frozen=True)
class Scope:
    """What a statement can name: tables, script variables and query parameters."""

    tables: tuple[Table, ...] = ()
    variables: Mapping[str, tuple[Column, Any]] = field(default_factory=dict)
    parameters: Mapping[str, tuple[Column, Any]] = field(default_factory=dict)
    positional: Sequence[tuple[Column, Any]] = ()


@dataclass(frozen=True)
class Result:
    """Columns and rows of an executed query."""

    columns: tuple[Column, ...]
    rows: list[Row]


def cache_folder() -> Path:
    """Where the compiled module is kept: the folder of BIGQUERY_STAND_IN_CACHE, or the user's cache folder."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "neopulse-tests"


class Machine:
    """One instance of the module, with its memory. Not safe for threads: callers hold the lock of `machine()`."""

    def __init__(self) -> None:
        config = Config()
        config.shared_memory = True
        engine = Engine(config)
        self.store = Store(engine)
        wasi = WasiConfig()
        wasi.inherit_stderr()
        wasi.preopen_dir(str(get_tzinfo_dir()), "/usr/share/zoneinfo")
        self.store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()
        self.exports = linker.instantiate(self.store, _compiled(engine)).exports(self.store)
        self._run("_initialize")
        self.memory: Any = self.exports["memory"]

    def call(self, method: str, request: bytes, answer: type[Answer]) -> Answer:
        """One call of Google's local service. Raises SqlError with its text."""
        start = self._run("wasm_malloc", len(request))
        size_at = self._run("wasm_malloc", 4)
        try:
            ctypes.memmove(self._address(start), request, len(request))
            answer_at = self._run(f"ZetaSqlLocalService_{method}", start, len(request), size_at)
            if answer_at == 0:
                raise SqlError(self._last_error())
            size = int.from_bytes(self._read(size_at, 4), "little")
            data = self._read(answer_at, size)
            self._run("wasm_free", answer_at)
        finally:
            self._run("wasm_free", start)
            self._run("wasm_free", size_at)
        made: Answer = answer()
        made.ParseFromString(data)
        return made

    def _run(self, name: str, *arguments: int) -> Any:
        function: Any = self.exports[name]
        return function(self.store, *arguments)

    def _address(self, offset: int) -> int:
        return ctypes.addressof(self.memory.data_ptr().contents) + offset

    def _read(self, offset: int, size: int) -> bytes:
        return ctypes.string_at(self._address(offset), size)

    def _last_error(self) -> str:
        text = self._read(self._run("wasm_get_last_error"), self._run("wasm_get_last_error_size")).decode()
        return _as_bigquery_says(text)


def _compiled(engine: Engine) -> Module:
    source = Path(get_wasm_path())
    versions = "-".join(importlib.metadata.version(name) for name in ("zetasql", "wasmtime"))
    mark = hashlib.sha256(f"{versions}-{source.stat().st_size}-{os.uname().machine}".encode()).hexdigest()[:12]
    cached = cache_folder() / f"zetasql-{versions}-{mark}.cwasm"
    if cached.exists():
        return Module.deserialize_file(engine, str(cached))
    module = Module.from_file(engine, str(source))
    cached.parent.mkdir(parents=True, exist_ok=True)
    fresh = cached.with_suffix(f".{os.getpid()}.tmp")
    fresh.write_bytes(module.serialize())
    fresh.replace(cached)
    return module


def _as_bigquery_says(text: str) -> str:
    bare = re.sub(r"^Code: \d+, Message: ", "", text.strip(), flags=re.DOTALL)
    bare = re.sub(r"\s*\[at (\d+:\d+)\]", r" at [\1]", bare)
    unsupported = re.match(r"Unsupported built-in function: (\w+)", bare)
    if unsupported:
        return f"The stand-in cannot run {unsupported[1].upper()}: Google's reference executor does not have it"
    lacking = re.search(r"Function not found: (\w+)", bare)
    if lacking and (lacking[1].upper() in LACKING or lacking[1].upper().startswith("APPROX_")):
        return f"The stand-in cannot run {lacking[1].upper()}: zetasql 0.1.5 does not have it ({bare})"
    return bare


_lock = threading.RLock()
_machines: list[Machine] = []


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """The process's one machine, for one caller at a time; a new one after it has trapped."""
    with _lock:
        if not _machines:
            # Deep trees (long unions, many joins) pass the parser's default depth of 100 messages.
            upb.SetAllowOversizeProtos(True)
            _machines.append(Machine())
        try:
            yield _machines[0]
        except Trap as trap:
            _machines.clear()
            raise SqlError(f"Google's executor stopped: {str(trap).splitlines()[-1].strip()}") from trap


@functools.cache
def language() -> options_pb2.LanguageOptionsProto:
    """BigQuery's dialect of GoogleSQL."""
    made = options_pb2.LanguageOptionsProto(product_mode=public_options_pb2.PRODUCT_EXTERNAL)
    features = public_options_pb2.LanguageFeature
    made.enabled_language_features.extend(features.Value(f"FEATURE_{name}") for name in FEATURES.split())
    kinds = resolved_node_kind_pb2.ResolvedNodeKind
    made.supported_statement_kinds.extend(kinds.Value(f"RESOLVED_{name}_STMT") for name in STATEMENTS.split())
    made.reserved_keywords.append("QUALIFY")
    return made


def _options(scope: Scope) -> options_pb2.AnalyzerOptionsProto:
    made = options_pb2.AnalyzerOptionsProto(
        default_timezone="UTC",
        prune_unused_columns=True,
        parse_location_record_type=public_options_pb2.PARSE_LOCATION_RECORD_FULL_NODE_SCOPE,
        error_message_mode=public_options_pb2.ERROR_MESSAGE_ONE_LINE,
    )
    made.language_options.CopyFrom(language())
    made.enabled_rewrites.extend(_rewrites())
    for name, (column, _) in scope.parameters.items():
        made.query_parameters.add(name=name, type=to_engine_type(column))
    if scope.positional:
        made.parameter_mode = public_options_pb2.PARAMETER_POSITIONAL
        made.positional_query_parameters.extend(to_engine_type(column) for column, _ in scope.positional)
    return made


def _rewrites() -> list[int]:
    rewrites = public_options_pb2.ResolvedASTRewrite
    return [rewrites.Value(f"REWRITE_{name}") for name in REWRITES.split()]


@functools.cache
def _builtin_catalog() -> simple_catalog_pb2.SimpleCatalogProto:
    made = simple_catalog_pb2.SimpleCatalogProto(name="bigquery")
    made.builtin_function_options.language_options.CopyFrom(language())
    for alias in TYPE_ALIASES:
        made.named_type.add(name=alias).type.type_kind = type_pb2.TYPE_INT64
    return made


def _catalog(scope: Scope) -> simple_catalog_pb2.SimpleCatalogProto:
    made = simple_catalog_pb2.SimpleCatalogProto()
    made.CopyFrom(_builtin_catalog())
    for number, table in enumerate(scope.tables, start=1):
        entry = made.table.add(name=table.name, serialization_id=number)
        for column in table.columns:
            entry.column.add(name=column.name, type=to_engine_type(column), is_writable_column=True)
    for name, (column, value) in scope.variables.items():
        constant = made.constant.add(name_path=[name], type=to_engine_type(column))
        write_value(column, value, constant.value)
    return made


@functools.lru_cache(maxsize=1024)
def parse_script(text: str) -> parse_tree_pb2.ASTScriptProto:
    """The parse tree of one or more statements, with byte positions. Raises SqlError on a syntax error."""
    request = service.ParseRequest(sql_statement=text, options=language(), allow_script=True)
    with machine() as engine:
        return engine.call("Parse", request.SerializeToString(), service.ParseResponse).parsed_script


@functools.lru_cache(maxsize=1024)
def table_paths(statement: str) -> frozenset[tuple[str, ...]]:
    """The paths of the tables that one statement names, as written; names of its own CTEs are left out."""
    request = service.ExtractTableNamesFromStatementRequest(sql_statement=statement, options=language())
    with machine() as engine:
        answer = engine.call(
            "ExtractTableNamesFromStatement",
            request.SerializeToString(),
            service.ExtractTableNamesFromStatementResponse,
        )
    return frozenset(tuple(name.table_name_segment) for name in answer.table_name)


def analyze(statement: str, scope: Scope) -> resolved_ast_pb2.AnyResolvedStatementProto:
    """The resolved tree of one statement whose tables have flat names. Raises SqlError with the analyzer's text."""
    request = service.AnalyzeRequest(options=_options(scope), simple_catalog=_catalog(scope), sql_statement=statement)
    return _analyzed(request.SerializeToString(deterministic=True))


@functools.lru_cache(maxsize=512)
def _analyzed(request: bytes) -> resolved_ast_pb2.AnyResolvedStatementProto:
    """The same views and models are analyzed again and again; nothing changes a resolved tree."""
    with machine() as engine:
        return engine.call("Analyze", request, service.AnalyzeResponse).resolved_statement


def execute(query: str, scope: Scope) -> Result:
    """Run one SELECT whose tables have flat names in the reference executor. Raises SqlError."""
    request = service.PrepareQueryRequest(sql=query, options=_options(scope), simple_catalog=_catalog(scope))
    data = request.SerializeToString() + b"".join(_content_entry(table) for table in scope.tables)
    with machine() as engine:
        prepared = engine.call("PrepareQuery", data, service.PrepareQueryResponse).prepared
        try:
            answer = engine.call("EvaluateQuery", _evaluation(prepared.prepared_query_id, scope), service.EvaluateQueryResponse)
        finally:
            release = service.UnprepareQueryRequest(prepared_query_id=prepared.prepared_query_id)
            with contextlib.suppress(SqlError):
                engine.call("UnprepareQuery", release.SerializeToString(), empty_pb2.Empty)
    columns = tuple(from_engine_type(column.name, column.type) for column in prepared.columns)
    rows = [
        tuple(read_value(column, cell) for column, cell in zip(columns, row.cell, strict=True))
        for row in answer.content.table_data.row
    ]
    return Result(columns, rows)


def _evaluation(prepared: int, scope: Scope) -> bytes:
    request = service.EvaluateQueryRequest(prepared_query_id=prepared)
    named = list(scope.parameters.items()) or [("", given) for given in scope.positional]
    for name, (column, value) in named:
        write_value(column, value, request.params.add(name=name).value)
    return bytes(request.SerializeToString())


def encode_rows(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    """Rows in the engine's bytes, made once for a table and used for every statement that reads it."""
    content = service.TableContent()
    content.table_data.SetInParent()
    for row in rows:
        cells = content.table_data.row.add().cell
        for column, value in zip(columns, row, strict=True):
            write_value(column, value, cells.add())
    return bytes(content.SerializeToString())


def _content_entry(table: Table) -> bytes:
    """A map entry of PrepareQueryRequest.table_content: messages of one type may be joined as bytes."""
    name = table.name.encode()
    entry = b"\x0a" + _varint(len(name)) + name + b"\x12" + _varint(len(table.content)) + table.content
    tag = service.PrepareQueryRequest.TABLE_CONTENT_FIELD_NUMBER << 3 | 2
    return _varint(tag) + _varint(len(entry)) + entry


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def written(expression: resolved_ast_pb2.AnyResolvedExprProto, text: str) -> str | None:
    """The text of a resolved expression where the analyzer recorded its place."""
    node: Any = expression
    while type(node).__name__.startswith("Any"):
        node = node.ListFields()[0][1]
    while not hasattr(node, "parse_location_range"):
        node = node.parent
    if not node.HasField("parse_location_range"):
        return None
    place = node.parse_location_range
    return text.encode()[place.start : place.end].decode()


def nodes(message: Message, kind: type[Answer]) -> Iterator[Answer]:
    """Every message of one type inside another, itself included, in the order of the tree."""
    if isinstance(message, kind):
        yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        children = value if descriptor.is_repeated else (value,)
        for child in children:
            yield from nodes(child, kind)
