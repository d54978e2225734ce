"""A source against what was sent and what the destination holds, by key, in DuckDB: which row needs which act.

The rows themselves stay in the Arrow table that the source is; the engine sees positions, keys and hashes, and only the
rows that are to be sent are ever made into Python values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from pipeline import scratch
from pipeline.reverse_etl.base import REJECTS_KEPT, Reject
from pipeline.reverse_etl.plan import ALL, CREATE, DELETE, INVALID, REJECT, SAME, SAMPLE_ROWS, SKIP, UPDATE, Plan, Scope, refused
from pipeline.reverse_etl.snapshots import UNKNOWN, Known
from pipeline.reverse_etl.syncs import Field, Mode, Sync, constants, fingerprint
from pipeline.settings import DEMO_BANK
from pipeline.spreadsheets import LONGEST_TEXT, MOST_ROWS

LONGEST_KEY = 200  # characters
MEMORY = "512MB"
_POSITION = "neopulse position"


@dataclass(frozen=True)
class Batch:
    """Some rows of the source: their keys, the hashes that the snapshot will know them by, and their values by column."""

    keys: Sequence[str]
    hashes: Sequence[int]
    rows: pa.Table


class Comparison:
    """One sync's source, in an engine of its own; close it when it has served."""

    def __init__(self, sync: Sync, source: pa.Table, scope: Scope = ALL) -> None:
        """Raises DataError where the source lacks a column that is sent, or cannot be a tab."""
        self.sync = sync
        self.fields = sync.fields_of(source.column_names)
        self._refuse_unfit(source)
        self.source = source
        self._spill = TemporaryDirectory(prefix="syncs-", dir=scratch.folder())
        self.connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(Path(self._spill.name))})
        self.connection.execute("set TimeZone = 'UTC'")
        self.known = Known(0, 0)
        self._scope = scope
        self._held = False
        self._read()

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with closing(self.connection):
            self._spill.cleanup()

    def hold(self, held: Mapping[str, bool]) -> None:
        """What the destination holds: each key, and whether its row equals the source's."""
        self._held = True
        table = pa.table({"key": pa.array(held, pa.string()), "is_same": pa.array(held.values(), pa.bool_())})
        self.connection.register("arriving", table)
        self.connection.execute("create or replace temp table held as select * from arriving")
        self.connection.unregister("arriving")

    def plan(self, *, bank: str = "") -> Plan:
        """Decide what each row needs; `sent` (see Snapshots.load) has to be there. `bank` is the one that is sent now.

        Raises DataError where one row is asked for that needs nothing, or nobody knows what was sent before it.
        """
        if self._scope.afresh:
            self.connection.execute(f"update sent set hash = {UNKNOWN}")
        self.connection.execute(f"create or replace temp table work as {_work(self.sync.mode, held=self._held)}")
        if self._scope.only:
            self._narrow(self._scope.only)
        found = self.connection.execute(_SUMMARY).fetchall()
        counts = {act: int(rows) for act, rows, _, _ in found}
        samples = {act: tuple(keys) for act, _, keys, _ in found if act in (CREATE, UPDATE, DELETE)}
        held = self._count("held" if self._held and self.sync.mode == "replace" else "sent")
        facts = [[act, int(rows), str(sign)] for act, rows, _, sign in sorted(found)]
        return Plan(
            self.sync,
            counts,
            samples,
            rejects=self._rejects(),
            held=held,
            digest=fingerprint([repr(self.sync), self._salt, facts, held, repr(self._scope)]),
            scope=self._scope,
            notes=(self.known.note,) if self.known.note else (),
            replaces_demo=self.known.bank.startswith(DEMO_BANK) and self.known.bank != bank,
            is_blind=self.known.is_lost and not self._held,
        )

    @property
    def retains(self) -> bool:
        """Whether the destination keeps a row that is no valid row of the source, so that the source alone cannot make it."""
        there = "select key from sent" + (" union select key from held" if self._held else "")
        [(rows,)] = self.connection.execute(
            f"select count(*) from ({there}) there where key not in (select key from work where act in {_MADE_OR_GONE})"
        ).fetchall()
        return bool(rows) or self.sync.mode in ("append", "create_only", "update_only")

    def batches(self, *acts: str, rows: int) -> Iterator[Batch]:
        """The source's rows that need one of these acts, in the order of the source."""
        found = self.connection.sql(
            f"select key, hash, position from work where act in ({', '.join(repr(act) for act in acts)}) order by position"
        ).to_arrow_table()
        for start in range(0, found.num_rows, rows):
            part = found.slice(start, rows)
            yield Batch(part["key"].to_pylist(), part["hash"].to_pylist(), self.source.take(part["position"]))

    def keys(self, act: str) -> list[str]:
        """The keys that need an act."""
        rows = self.connection.execute("select key from work where act = $1 order by position, key", [act]).fetchall()
        return [key for (key,) in rows]

    def positions(self) -> Mapping[str, int]:
        """Where each row that can be sent stands in the source."""
        rows = self.connection.execute("select key, position from outgoing where reason is null order by position").fetchall()
        return dict(rows)

    def settle(self) -> str:
        """Make the table of what was sent once everything was taken; returns its name."""
        forgets = "true" if self.sync.mode in ("mirror", "replace") and not self._scope.only else "false"
        self.connection.execute(_SETTLED.format(forgets=forgets))
        return "settled"

    def _narrow(self, key: str) -> None:
        """Leave every row but one as it is there."""
        again = f"neopulse syncs {self.sync.name} shows what would be done"
        if self.known.note or (self.sync.mode == "replace" and not self.known.generation):
            why = self.known.note or "what a replacement finds there has to be read whole first"
            raise refused(self.sync, f"one row alone cannot be tried: {why}", next=again)
        [(found,)] = self.connection.execute(
            "select coalesce(max(act), '') from work where key = $1 and position is not null", [key]
        ).fetchall()
        if found not in (CREATE, UPDATE):
            why = _WHY_NOT.get(found, "the source has no such row")
            raise refused(self.sync, f"the row {key} cannot be tried: {why}", next=again)
        self.connection.execute(f"update work set act = '{SKIP}' where key <> $1 and act in ('{CREATE}', '{UPDATE}')", [key])
        self.connection.execute(f"delete from work where act = '{DELETE}'")

    def _read(self) -> None:
        numbered = self.source.append_column(_POSITION, pa.array(np.arange(self.source.num_rows)))
        self.connection.register("source", numbered)
        self.connection.execute(_OUTGOING.format(**self._expressions()))
        self.connection.unregister("source")

    def _expressions(self) -> dict[str, str]:
        columns = [each.column for each in self.fields if each.column]
        content = ", ".join(f"{_name(f'c{place}')}: {_name(column)}" for place, column in enumerate(columns))
        texts = [column for column in columns if _is_text(self.source.schema.field(column).type)]
        longest = " or ".join(f"length({_name(column)}) > {LONGEST_TEXT}" for column in texts)
        is_tab = self.sync.destination.kind == "tab"
        return {
            "position": _name(_POSITION),
            "key": f"nullif(cast({_name(self.sync.key)} as varchar), '')",
            "hash": f"greatest(md5_number_lower('{self._salt}' || cast(to_json({{{content}}}) as varchar)), 1::ubigint)",
            "too_long": longest if is_tab and longest else "false",
            "key_name": self.sync.key.replace("'", "''"),
        }

    @property
    def _salt(self) -> str:
        """What a row's hash holds besides the row: the names of the fields and the constants, not the facts of the run."""
        names = [each.name for each in self.fields if not each.run]
        return fingerprint([names, json.dumps(constants(self.fields), sort_keys=True)])

    def _refuse_unfit(self, source: pa.Table) -> None:
        columns = source.column_names
        for wanted in (self.sync.key, *(each.column for each in self.fields if each.column)):
            if wanted not in columns:
                raise refused(self.sync, f"the source {self.sync.source} has no column {wanted}")
        if source.num_rows >= MOST_ROWS and self.sync.destination.kind == "tab":
            raise refused(self.sync, f"the source {self.sync.source} has {source.num_rows:,} rows, more than a tab can hold")
        kind = source.schema.field(self.sync.key).type
        # a spreadsheet gives a date back as a moment and a moment in its own spelling: no row would be found again by it
        is_spelt_in_many_ways = pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_temporal(kind)
        if is_spelt_in_many_ways or pa.types.is_nested(kind):
            raise refused(self.sync, f"the key {self.sync.key} is a {kind}; a key is a text or a whole number")

    def _rejects(self) -> tuple[Reject, ...]:
        rows = self.connection.execute(
            "select coalesce(key, ''), reason, position from outgoing where reason is not null "
            f"order by position limit {REJECTS_KEPT}"
        ).fetchall()
        columns = [each.column for each in self.fields if each.column]
        positions = pa.array([position for _, _, position in rows], pa.int64())
        told = self.source.select(list(dict.fromkeys(columns))).take(positions).to_pylist()
        return tuple(Reject(key, reason, row) for (key, reason, _), row in zip(rows, told, strict=True))

    @property
    def has_settled(self) -> bool:
        """Whether the table that `settle` made is what was known before."""
        signs = self.connection.execute(
            "select count(*), bit_xor(hash(key, hash)) from sent union all select count(*), bit_xor(hash(key, hash)) from settled"
        ).fetchall()
        return bool(signs[0] == signs[1])

    def _count(self, table: str) -> int:
        [(rows,)] = self.connection.execute(f"select count(*) from {table}").fetchall()
        return int(rows)


def values(fields: Sequence[Field], rows: pa.Table, stamps: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The rows as they are sent: columns, constants, and the facts of the run in `stamps`."""
    columns: list[Sequence[Any]] = []
    for each in fields:
        if each.column:
            columns.append(rows[each.column].to_pylist())
        else:
            columns.append([stamps[each.run] if each.run else each.constant] * rows.num_rows)
    return zip(*columns, strict=True)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


_WHY_NOT = {
    SAME: "the destination has it as it is",
    SKIP: "the mode of the sync leaves it as it is there",
    REJECT: "a tab cannot hold it",
    INVALID: "its key is not one of one row",
}
_MADE_OR_GONE = f"('{CREATE}', '{UPDATE}', '{SAME}', '{DELETE}')"
_OURS = f"('{CREATE}', '{UPDATE}', '{SAME}')"

# A row is known at the destination where it is held there; where nobody can look, where it was sent before.
_KNOWN = {True: "held.key is not null", False: "sent.key is not null"}
_EQUAL = {True: "held.is_same", False: "sent.hash = outgoing.hash"}


def _work(mode: Mode, *, held: bool) -> str:
    known, equal, was_sent = _KNOWN[held], _EQUAL[held], _EQUAL[False]
    acts = {
        "mirror": f"case when not ({known}) then '{CREATE}' when {equal} then '{SAME}' else '{UPDATE}' end",
        "create_only": f"case when not ({known}) then '{CREATE}' when {equal} then '{SAME}' else '{SKIP}' end",
        "append": f"case when not ({known}) and sent.key is null then '{CREATE}' when {was_sent} then '{SAME}' else '{SKIP}' end",
        "update_only": f"case when {equal} then '{SAME}' when {known if held else 'true'} then '{UPDATE}' else '{SKIP}' end",
    }
    joined = "left join held on held.key = outgoing.key" if held else ""
    return f"""
        select outgoing.key, outgoing.hash, outgoing.position,
            coalesce(outgoing.fault, {acts.get(mode, acts["mirror"])}) as act
        from outgoing
        left join sent on sent.key = outgoing.key
        {joined}
        union all
        {_deletes(mode, held=held)}
    """


def _deletes(mode: Mode, *, held: bool) -> str:
    """A mirror deletes what it sent and the source has no more, a replacement whatever else is there; never for a faulty row."""
    if mode == "replace" and held:
        doomed, also = "held", "true"
    elif mode in ("mirror", "replace"):
        doomed, also = "sent", "key in (select key from held)" if held else "true"
    else:
        doomed, also = "sent", "false"
    return f"""
        select key, null, null, '{DELETE}' from {doomed}
        where {also} and key not in (select key from outgoing where key is not null)
    """


_OUTGOING = f"""
    create or replace temp table outgoing as
    with keyed as (
        select {{position}} as position, {{key}} as key, {{hash}} as hash, {{too_long}} as too_long from source
    ),
    repeated as (select key, count(*) as times from keyed where key is not null group by key having count(*) > 1),
    judged as (
        select
            position, keyed.key, hash,
            case
                when keyed.key is null then '{{key_name}} is empty'
                when times > 1 then '{{key_name}} is there ' || times || ' times'
                when length(keyed.key) > {LONGEST_KEY} then '{{key_name}} has more than {LONGEST_KEY} characters'
                when regexp_matches(keyed.key, '[\\x00-\\x1f]') then '{{key_name}} has a control character'
            end as invalid,
            case when too_long then 'a text has more than {LONGEST_TEXT:,} characters' end as refused
        from keyed
        left join repeated on repeated.key = keyed.key
    )
    select
        position, key, hash,
        coalesce(invalid, refused) as reason,
        case when invalid is not null then '{INVALID}' when refused is not null then '{REJECT}' end as fault
    from judged
"""
_SUMMARY = f"""
    select act, count(*), min(key, {SAMPLE_ROWS}), bit_xor(hash(key, hash, position))
    from work
    group by act
"""
# A mirror forgets what the source has no more; the other modes leave it at the destination, and so in mind.
_SETTLED = f"""
    create or replace temp table settled as
    select key, hash from work where act in {_OURS}
    union all
    select key, hash from sent
    where key not in (select key from work where act in {_OURS})
        and (not {{forgets}} or key in (select key from outgoing))
"""
