"""The state of a BigQuery warehouse: what dbt builds on, and the memory of which days of the bank are in it.

    <prefix>_raw         views over the bank's tables as text, and what is known of each part (a UTC day)
    <prefix>_staging, <prefix>_warehouse, <prefix>_marts    made by dbt

The last days are compared by content. An older day is compared by the time at which BigQuery last changed its partition
where the bank's table has one for each day, else by content too, which reads the whole table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from pipeline import scratch
from pipeline.bigquery import BigQuery
from pipeline.sources.bigquery import UNDATED, BankTable, day, part_of
from pipeline.sources.schema import RAW_TABLES
from pipeline.warehouse.base import IN_THE_FUTURE, THE_CLOCK_WENT_BACK, Increment

TRANSACTIONS = "transactions"
OTHER_TABLES = tuple(name for name in RAW_TABLES if name != TRANSACTIONS)
LARGEST_SHARE = 0.5  # of the bank's rows that an increment may read; more of them, and a full build costs no more
NEEDED = {"typed_transactions", "customer_accounts", "dim_publication"}  # of the last build, to know what has changed
BUILT = ("staging", "warehouse", "marts")
_PARTS = pa.schema(
    [("source_part", pa.int64()), ("rows_landed", pa.int64()), ("fingerprint", pa.string()), ("partition_mark", pa.string())]
)
_CHANGED_PARTS = pa.schema([("source_part", pa.int64())])
_TABLES = pa.schema([("table_name", pa.string()), ("marks", pa.string())])


@dataclass(frozen=True)
class Part:
    """A day of transactions: its rows, its content in short, and what BigQuery says of its partition; None is not known."""

    number: int
    rows: int
    fingerprint: str | None = None
    partition_mark: str | None = None


@dataclass(frozen=True)
class Change:
    """What of the bank is not in the state as it is now: parts to read (None: all), and parts whose rows, if any, go first."""

    parts: tuple[Part, ...]
    read: frozenset[int] | None
    gone: frozenset[int]
    tables: tuple[str, ...]


class State:
    """The datasets of one prefix, and the bank that they are made from; `today` is the bank's day that is not over."""

    def __init__(
        self, connection: BigQuery, bank: Mapping[str, BankTable], *, prefix: str, today: date, look_back_days: int
    ) -> None:
        self._connection = connection
        self._bank = bank
        self._transactions = bank[TRANSACTIONS]
        self._prefix = prefix
        self._today = today
        self._recent_from = part_of(today) - look_back_days

    def begin(self, *, signature: str, full_refresh: bool, before_a_full_one: Callable[[], None]) -> Increment:
        """Unseal the state and make its dataset `raw` ready for a build on it, or for one from nothing.

        `before_a_full_one` is called before what was built goes.
        """
        self._connection.make_dataset(self._dataset("raw"), description="What neopulse reads of the bank, and what it has read.")
        why_full = "asked for" if full_refresh else self._why_full(signature)
        previous_as_of = "" if why_full else self._previous_as_of()
        change = self._everything() if why_full else self._change(previous_as_of)
        if not why_full and _share(change) > LARGEST_SHARE:
            why_full, change, previous_as_of = "most of the bank's rows have changed", self._everything(), ""
        self._connection.execute(
            f"create or replace table {self._raw('state')} as select false as is_sealed, '{signature}' as signature"
        )
        if why_full:
            before_a_full_one()
            for name in BUILT:
                self._connection.drop_dataset(self._dataset(name))
        self._write(change)
        return Increment(bool(why_full), why_full, {"previous_as_of": previous_as_of, "changed_tables": list(change.tables)})

    def seal(self) -> None:
        """Say that the build was whole and its tests held."""
        self._connection.execute(f"update {self._raw('state')} set is_sealed = true where true")

    def _why_full(self, signature: str) -> str:
        """Why the state cannot be built on; nothing where it can."""
        if self._connection.table(f"{self._dataset('raw')}.state") is None:
            return "nothing was built before"
        found = self._connection.rows(f"select is_sealed, signature from {self._raw('state')}")
        if not found or not found[0]["is_sealed"]:
            return "the last build did not end well"
        if found[0]["signature"] != signature:
            return "settings or models have changed"
        if not NEEDED.issubset(self._connection.tables(self._dataset("warehouse"))):
            return "what was built is not there any more"
        if self._counts_what_is_to_come():
            return THE_CLOCK_WENT_BACK
        return ""

    def _counts_what_is_to_come(self) -> bool:
        """Whether a row that the last build took is dated after today: today it would be rejected for that."""
        found = self._connection.rows(
            f"""
            select
                exists (
                    select 1 from {self._name("warehouse", "typed_transactions")}
                    where rejection_code is null and transaction_date > date '{self._today}'
                ) as transactions,
                exists (
                    select 1 from {self._name("warehouse", "customer_accounts")}
                    where opening_date > date '{self._today}'
                        and (rejection_reason is null or rejection_reason like '%_duplicate')
                ) as accounts
            """
        )
        return bool(found[0]["transactions"] or found[0]["accounts"])

    def _previous_as_of(self) -> str:
        found = self._connection.rows(f"select as_of from {self._name('warehouse', 'dim_publication')}")
        return found[0]["as_of"].isoformat() if found else ""

    def _everything(self) -> Change:
        known = self._listed()
        rows = self._counted(None)
        parts = tuple(_with_rows(known.get(number), number, count) for number, count in sorted(rows.items()))
        return Change(parts, None, frozenset(), OTHER_TABLES)

    def _change(self, previous_as_of: str) -> Change:
        before, now = self._known_parts(), self._listed()
        differing = {number for number, part in now.items() if not self._is_as_before(part, before.get(number))}
        read = differing | (self._parts_with_rows_that_waited(previous_as_of) & now.keys())
        rows = self._counted(read)
        parts = [
            _with_rows(part, number, rows.get(number, 0) if number in read else before[number].rows)
            for number, part in now.items()
        ]
        gone = read | (before.keys() - now.keys())  # with the new ones: the models look for what has changed in these parts
        return Change(
            tuple(sorted(parts, key=lambda part: part.number)), frozenset(read), frozenset(gone), self._changed_tables()
        )

    def _is_as_before(self, now: Part, before: Part | None) -> bool:
        if before is None:
            return False
        if now.fingerprint is not None:
            return now.fingerprint == before.fingerprint
        return now.partition_mark is not None and now.partition_mark == before.partition_mark

    def _known_parts(self) -> dict[int, Part]:
        found = self._connection.rows(f"select * from {self._raw('parts')}")
        return {
            row["source_part"]: Part(row["source_part"], row["rows_landed"], row["fingerprint"], row["partition_mark"])
            for row in found
        }

    def _listed(self) -> dict[int, Part]:
        """Every part there is now, the last ones by their content, older ones by their partition where there is one."""
        if not self._transactions.by_day:
            return self._by_content(self._transactions.in_parts(None))
        marked = self._by_partition()
        recent = self._by_content(self._transactions.since(day(self._recent_from)))
        older = {number: part for number, part in marked.items() if number < self._recent_from}
        return older | {
            number: Part(number, part.rows, part.fingerprint, marked[number].partition_mark if number in marked else None)
            for number, part in recent.items()
        }

    def _by_content(self, condition: str) -> dict[int, Part]:
        table = self._transactions
        columns = ", ".join(f"`{column}`" for column in table.contract.columns)
        found = self._connection.rows(
            f"""
            select
                source_part,
                count(*) as rows_landed,
                concat(cast(bit_xor(mark) as string), ' ', cast(sum(mod(mark, 4294967296)) as string)) as fingerprint
            from (
                select {table.part} as source_part, farm_fingerprint(to_json_string(struct({columns}))) as mark
                from `{table.place}`
                where {condition}
            )
            group by source_part
            """
        )
        return {row["source_part"]: Part(row["source_part"], row["rows_landed"], row["fingerprint"]) for row in found}

    def _by_partition(self) -> dict[int, Part]:
        project, dataset, name = self._transactions.place.rsplit(".", 2)
        found = self._connection.rows(
            f"""
            select partition_id, sum(total_rows) as total_rows, string(max(last_modified_time)) as changed
            from `{project}.{dataset}`.INFORMATION_SCHEMA.PARTITIONS
            where table_name = '{name}'
            group by partition_id
            """
        )
        parts = {}
        for row in found:
            number = _part_of_partition(row["partition_id"])
            if number is not None and row["total_rows"]:
                parts[number] = Part(number, row["total_rows"], None, f"{row['total_rows']} {row['changed']}")
        return parts

    def _counted(self, parts: Iterable[int] | None) -> dict[int, int]:
        """The rows of these parts, or of all, as a query finds them: what is still being streamed in counts as well."""
        table = self._transactions
        found = self._connection.rows(
            f"""
            select {table.part} as source_part, count(*) as rows_landed
            from `{table.place}`
            where {table.in_parts(parts)}
            group by source_part
            """
        )
        return {row["source_part"]: row["rows_landed"] for row in found}

    def _parts_with_rows_that_waited(self, previous_as_of: str) -> set[int]:
        """Parts with rows that were in the future when they were read and are not any more; such are later than as_of was."""
        found = self._connection.rows(
            f"""
            select distinct source_part from {self._name("warehouse", "typed_transactions")}
            where rejection_code = {IN_THE_FUTURE}
                and transaction_date > date '{previous_as_of}' and transaction_date <= date '{self._today}'
            """
        )
        return {row["source_part"] for row in found}

    def _changed_tables(self) -> tuple[str, ...]:
        found = self._connection.rows(f"select table_name, marks from {self._raw('tables')}")
        before = {row["table_name"]: row["marks"] for row in found}
        accounts = self._name("warehouse", "customer_accounts")
        waiting = self._connection.rows(f"select count(*) as accounts from {accounts} where rejection_reason = 'in_the_future'")
        changed = {name for name, marks in self._marks().items() if marks is None or before.get(name) != marks}
        return tuple(sorted(changed | ({"users"} if waiting[0]["accounts"] else set())))

    def _marks(self) -> dict[str, str | None]:
        """What says that a table is as it was; None where nothing does: a view."""
        marks: dict[str, str | None] = {}
        for name in OTHER_TABLES:
            table = self._bank.get(name)
            marks[name] = "missing" if table is None else table.changed and f"{table.place} {table.rows} {table.changed}"
        return marks

    def _write(self, change: Change) -> None:
        parts = [
            {
                "source_part": part.number,
                "rows_landed": part.rows,
                "fingerprint": part.fingerprint,
                "partition_mark": part.partition_mark,
            }
            for part in change.parts
        ]
        marks = [{"table_name": name, "marks": marks} for name, marks in self._marks().items()]
        self._load("parts", pa.Table.from_pylist(parts, schema=_PARTS))
        self._load(
            "changed_parts",
            pa.Table.from_pylist([{"source_part": number} for number in sorted(change.gone)], schema=_CHANGED_PARTS),
        )
        self._load("tables", pa.Table.from_pylist(marks, schema=_TABLES))
        for name in OTHER_TABLES:
            self._make_view(name, self._bank[name].as_text() if name in self._bank else _empty(name))
        self._make_view(TRANSACTIONS, self._transactions.as_text(change.read, with_part=True))

    def _make_view(self, name: str, query: str) -> None:
        self._connection.execute(f"create or replace view {self._raw(name)} as {query}")

    def _load(self, name: str, table: pa.Table) -> None:
        with tempfile.TemporaryDirectory(dir=scratch.folder()) as folder:
            path = Path(folder) / f"{name}.parquet"
            pa.parquet.write_table(table, path)
            self._connection.load_parquet(path, f"{self._dataset('raw')}.{name}")

    def _dataset(self, name: str) -> str:
        return f"{self._prefix}_{name}"

    def _raw(self, name: str) -> str:
        return self._name("raw", name)

    def _name(self, schema: str, name: str) -> str:
        return f"`{self._connection.project}.{self._dataset(schema)}.{name}`"


def _with_rows(part: Part | None, number: int, rows: int) -> Part:
    return Part(number, rows, part.fingerprint if part else None, part.partition_mark if part else None)


def _share(change: Change) -> float:
    """The rows that an increment would read, over all rows of the bank."""
    read = sum(part.rows for part in change.parts if change.read is None or part.number in change.read)
    return read / max(sum(part.rows for part in change.parts), 1)


def _part_of_partition(partition: str | None) -> int | None:
    """The part of a daily partition; None for what is still being streamed in."""
    if partition == "__NULL__":
        return UNDATED
    if partition is None or not partition.isdigit():
        return None
    return part_of(date(int(partition[:4]), int(partition[4:6]), int(partition[6:8])))


def _empty(table: str) -> str:
    columns = ", ".join(f"cast(null as string) as `{column}`" for column in RAW_TABLES[table].columns)
    return f"select {columns} from unnest([0]) where false"


def facts(connection: BigQuery, prefix: str) -> list[dict[str, Any]]:
    """The rows of `dim_publication`, of which there should be one."""
    return connection.rows(f"select * from `{connection.project}.{prefix}_warehouse.dim_publication`")
