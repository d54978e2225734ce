"""The bank's raw tables in a dataset of BigQuery, whatever types their columns have there; never written to.

Transactions are taken by parts: a part is a UTC day of `created_date`, numbered by its days since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.bigquery import AGAIN, BigQuery
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, DataError
from pipeline.settings import PREFIX, Settings
from pipeline.sources.landing import UNTOUCHED, LandedTable, Landing
from pipeline.sources.schema import RAW_TABLES, RawTable

UNDATED = -1_000_000  # the part of the rows whose created_date nobody can read: before any day that BigQuery knows
EPOCH = date(1970, 1, 1)
_LAST_PART = (date.max - EPOCH).days
MOMENT = "created_date"
_CAST = "cast({column} as string)"
_PLAIN = (
    *("INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOLEAN", "BOOL"),
    *("TIMESTAMP", "DATETIME", "DATE", "TIME"),
)
_AS_TEXT = {"STRING": "{column}", "BYTES": "safe_convert_bytes_to_string({column})", **dict.fromkeys(_PLAIN, _CAST)}
# As the models read it (dbt_project/macros/engines.sql): read otherwise, a row would have a day that its part does not name.
MOMENT_OF_TEXT = (
    rf"datetime(safe_cast(regexp_replace(regexp_replace(trim({MOMENT}), r'([.][0-9]{{6}})[0-9]+', r'\1'), "
    r"r'^([0-9-]+[ Tt][0-9]+:[0-9]+)([^0-9:.]|$)', r'\1:00\2') as timestamp))"
)
_UTC_DAY = {
    "STRING": f"date({MOMENT_OF_TEXT})",
    "TIMESTAMP": f"date({MOMENT})",
    "DATETIME": f"date({MOMENT})",
    "DATE": MOMENT,
}
_LITERAL = {"TIMESTAMP": "timestamp '{day} 00:00:00+00'", "DATETIME": "datetime '{day} 00:00:00'", "DATE": "date '{day}'"}


@dataclass(frozen=True)
class BankTable:
    """One raw table where the bank keeps it: its place, the types of its columns, its rows and when it last changed.

    `rows` and `changed` are unknown for a view. `by_day` tells that BigQuery keeps it in partitions by day of created_date.
    `demanded` is a condition that every row meets, on the column on which the table demands one of each query.
    """

    contract: RawTable
    place: str
    types: Mapping[str, str]
    rows: int | None = None
    changed: str | None = None
    by_day: bool = False
    demanded: str = ""

    @property
    def name(self) -> str:
        """The name in the source contract."""
        return self.contract.name

    def as_text(self, parts: Iterable[int] | None = None, *, with_part: bool = False) -> str:
        """The query for the contract's columns, every one as text: of the rows of these parts, or of all rows."""
        texts = [f"{_AS_TEXT[self.types[column]].format(column=f'`{column}`')} as `{column}`" for column in self.contract.columns]
        selected = ", ".join([*texts, *([f"{self.part} as source_part"] if with_part else [])])
        condition = self.in_parts(parts) if with_part else self.demanded
        return f"select {selected} from `{self.place}`" + (f" where {condition}" if condition else "")

    @property
    def part(self) -> str:
        """The number of a row's part."""
        return f"coalesce(unix_date({_UTC_DAY[self.types[MOMENT]]}), {UNDATED})"

    def in_parts(self, parts: Iterable[int] | None) -> str:
        """The condition that takes the rows of these parts, or of all; BigQuery reads no other partition for it.

        It names the moment even where it takes all rows or none: some tables ask for that on each read.
        """
        condition = self._in_parts(parts)
        return f"({condition}) and {self.demanded}" if self.demanded and f"`{MOMENT}`" not in self.demanded else condition

    def _in_parts(self, parts: Iterable[int] | None) -> str:
        wanted = None if parts is None else sorted(set(parts))
        if self.types[MOMENT] == "STRING":
            if wanted:
                return f"{self.part} in ({', '.join(map(str, wanted))})"
            return "true" if wanted is None else "false"
        if wanted is None:
            return f"({self.since(date.min)} or {MOMENT} is null)"
        return " or ".join(self._spans(wanted)) or f"({self.since(date.max)} and {MOMENT} is null)"

    def since(self, first: date) -> str:
        """The condition that takes the rows from a UTC day on."""
        return f"{MOMENT} >= {_LITERAL[self.types[MOMENT]].format(day=first)}"

    def _spans(self, parts: list[int]) -> Iterator[str]:
        literal = _LITERAL[self.types[MOMENT]]
        for first, last in spans([part for part in parts if part != UNDATED]):
            end = f" and {MOMENT} < {literal.format(day=day(last + 1))}" if last < _LAST_PART else ""
            yield f"({MOMENT} >= {literal.format(day=day(first))}{end})"
        if UNDATED in parts:
            yield f"{MOMENT} is null"


def day(part: int) -> date:
    """The day of a part."""
    return EPOCH + timedelta(days=part)


def part_of(day: date) -> int:
    """The part of a day."""
    return (day - EPOCH).days


def spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers, as first and last of each."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def find(connection: BigQuery, settings: Settings) -> dict[str, BankTable]:
    """Every raw table of the bank, by its name in the contract; an optional one may be missing.

    Raises ConfigurationError where a table is missing or may not be read, DataError where a column lacks or has a type that
    is no plain value.
    """
    project, _, dataset = settings.bigquery_source.rpartition(".")
    found = {}
    for name, contract in RAW_TABLES.items():
        place = f"{project or settings.bigquery_project}.{dataset}.{settings.bigquery_tables[name]}"
        known = connection.table(place)
        if known is not None:
            found[name] = _checked(contract, place, known)
        elif not contract.optional:
            raise ConfigurationError(
                f"The source dataset has no table {settings.bigquery_tables[name]}",
                where=place,
                safe=UNTOUCHED,
                next=f"mend {PREFIX}BIGQUERY_SOURCE or {PREFIX}BIGQUERY_{name.upper()}, {AGAIN}",
            )
    return found


def look(connection: BigQuery, settings: Settings, landing_folder: Path, *, clock: Clock) -> Landing:
    """Look at every raw table and write down what is there; the rows stay where they are."""
    tables = {
        name: LandedTable(name, (), table.rows or 0, table.contract.columns) for name, table in find(connection, settings).items()
    }
    landing = Landing(settings.source_name, clock.now(), tables)
    landing.write(files.make_folder(landing_folder))
    return landing


def _checked(contract: RawTable, place: str, known: Any) -> BankTable:
    fields = {field.name.lower(): field for field in known.schema}
    for column in contract.columns:
        field = fields.get(column)
        if field is None:
            raise _unfit(place, f"has no column {column}")
        if field.mode == "REPEATED" or field.field_type not in _AS_TEXT:
            raise _unfit(place, f"has lists or records in the column {column}, where one value is needed")
    types = {column: str(fields[column].field_type) for column in contract.columns}
    if MOMENT in types and contract.name == "transactions" and types[MOMENT] not in _UTC_DAY:
        raise _unfit(place, f"has the column {MOMENT} as {types[MOMENT]}, which is no moment")
    is_table = known.table_type == "TABLE"
    return BankTable(
        contract,
        place,
        types,
        rows=int(known.num_rows or 0) if is_table else None,
        changed=known.modified.isoformat() if is_table and known.modified else None,
        by_day=_is_by_day(known),
        demanded=_demanded(known),
    )


def _is_by_day(known: Any) -> bool:
    partitioning = known.time_partitioning
    return partitioning is not None and partitioning.type_ == "DAY" and str(partitioning.field or "").lower() == MOMENT


def _demanded(known: Any) -> str:
    """A condition that every row meets, on the column of the partitions, where the table demands one; else nothing."""
    if not known.require_partition_filter:
        return ""
    by_time = known.time_partitioning
    column = str((by_time.field if by_time else known.range_partitioning.field) or "_PARTITIONTIME")
    kinds = {field.name.lower(): field.field_type for field in known.schema}
    literal = _LITERAL.get(kinds.get(column.lower(), "TIMESTAMP"), str(-(2**63))).format(day=date.min)
    return f"(`{column}` >= {literal} or `{column}` is null)"


def refuse_another_clock(connection: BigQuery) -> None:
    """Raise ConfigurationError where the project has another time zone than UTC: a moment without a zone would be another one."""
    winter, summer = (f"timestamp '2020-{month}-01 00:00:00+00'" for month in ("01", "07"))
    shown = connection.rows(f"select string(moment) as shown from unnest([{winter}, {summer}]) as moment")
    if any(not row["shown"].endswith(" 00:00:00+00") for row in shown):
        raise ConfigurationError(
            "The project has a time zone of its own, and moments without a zone would be read in it",
            where=f"default_time_zone of {connection.project}",
            safe=UNTOUCHED,
            next=f"set the project's default_time_zone to UTC, or another {PREFIX}BIGQUERY_PROJECT, {AGAIN}",
        )


def _unfit(place: str, what: str) -> DataError:
    return DataError(
        f"A table of the bank {what}", where=place, safe=UNTOUCHED, next=f"mend the table or point to another, {AGAIN}"
    )
