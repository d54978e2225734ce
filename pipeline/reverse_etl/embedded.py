"""The embedded reverse ETL: plans every sync, refuses what should not be done, then brings rows to tabs, files and addresses.

What was sent is noted down only after the destination took it, so that a kill at any moment costs a comparison, not a row.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigurationError, InterruptedRunError, NeopulseError
from pipeline.reverse_etl import csv_file, http_batches
from pipeline.reverse_etl.base import NoNotes, Notes, Reject, SyncResult, joined
from pipeline.reverse_etl.comparison import Comparison, values
from pipeline.reverse_etl.http_batches import Batches, Caller
from pipeline.reverse_etl.plain_workbook import PlainTab
from pipeline.reverse_etl.plan import ALL, CREATE, DELETE, INVALID, REJECT, SAME, SKIP, UPDATE, Plan, Scope, refuse, refused
from pipeline.reverse_etl.snapshots import SentRows, Snapshots
from pipeline.reverse_etl.syncs import ReadMart, RunFacts, Sync, key_field
from pipeline.reverse_etl.tables import KeyedRows, Row
from pipeline.reverse_etl.workbook import WorkbookRows
from pipeline.spreadsheets import same, storable

SERVICE = "embedded reverse ETL"
WORKBOOK = "crm.xlsx"
ROWS_AT_A_TIME = 20_000
KNOWN_BY_SNAPSHOT = ("mirror", "upsert", "replace")  # the other modes heed rows that somebody else put there

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What the engine works with: where marts come from, where files and snapshots lie, who carries requests, whom it asks.

    `tabs` are those of a spreadsheet service; without it tabs are those of a workbook in `folder`. `caller` gives, for a
    sync, what carries requests to its address, and the path behind it. `bank` names the bank whose customers are sent, `scope`
    is how much of each sync. What became of each sync is told to `notes` at once.
    `guard` is asked right before anything is changed and before each batch that leaves, `look` while rows are read; both raise
    InterruptedRunError once the run is to end.
    """

    read: ReadMart
    folder: Path
    snapshots: Path
    store: SentRows
    facts: RunFacts
    caller: Callable[[Sync], tuple[Caller, str]]
    bank: str = ""
    scope: Scope = ALL
    tabs: KeyedRows | None = None
    notes: Notes = field(default_factory=NoNotes)
    guard: Callable[[], None] = lambda: None
    look: Callable[[], None] = lambda: None
    progress: Callable[[float | None, str], None] = lambda _fraction, _text: None


@dataclass
class _Work:
    """One sync on its way: its comparison, its plan, and what became of its rows so far."""

    sync: Sync
    comparison: Comparison
    plan: Plan
    created: int = 0
    updated: int = 0
    deleted: int = 0
    rejects: list[Reject] = field(default_factory=list)
    undeleted: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        return [each.name for each in self.comparison.fields]

    @property
    def key(self) -> str:
        return key_field(self.comparison.fields, self.sync.key)

    def result(self) -> SyncResult:
        """What became of the rows."""
        refused = self.plan.count(REJECT) + len(self.rejects)
        notes = self.plan.notes
        if refused or self.undeleted:
            told = f"partial: the destination refused {refused:,} rows" + (
                f" and to delete {len(self.undeleted):,}" if self.undeleted else ""
            )
            notes = (told, *notes)
        return SyncResult(
            sync=self.sync.name,
            service=SERVICE,
            created=self.created,
            updated=self.updated,
            unchanged=self.plan.count(SAME) + self.plan.count(SKIP),
            deleted=self.deleted,
            rejected=refused,
            invalid=self.plan.count(INVALID),
            skipped=self.plan.count(SKIP),
            undeleted=len(self.undeleted),
            rejects=(*self.plan.rejects, *self.rejects),
            notes=notes,
        )


class EmbeddedReverseETL:
    """Carries out syncs: all are planned before the first is sent, and a plan that a guard stops keeps all of them back."""

    def __init__(self, syncs: Sequence[Sync], surroundings: Surroundings) -> None:
        self._syncs = syncs
        self._around = surroundings
        self._snapshots = Snapshots(surroundings.snapshots, surroundings.store)

    def plans(self) -> tuple[Plan, ...]:
        """What a run would do now; nothing is changed."""
        with self._planned() as (work, _):
            return tuple(each.plan for each in work)

    def run(self, *, approved: str | None = None) -> tuple[SyncResult, ...]:
        """Carry out every sync; `approved` is the digest of the one plan that a person has seen.

        Raises DataError where a source, a file or a guard forbids it: nothing was sent then. Where a destination fails the
        other syncs are carried out all the same, and its error is raised at the end.
        """
        with self._planned() as (work, workbook):
            for each in work:
                self._refuse(each, approved)
            failures = self._carry_out(work, workbook)
            if failures:
                raise joined(failures.values(), [each.sync.name for each in work if each.sync.name not in failures])
            return tuple(each.result() for each in work)

    def _refuse(self, work: _Work, approved: str | None) -> None:
        try:
            refuse(work.plan, approved=approved)
        except NeopulseError as error:
            self._around.notes.failed(work.sync.name, error)
            raise

    @contextlib.contextmanager
    def _planned(self) -> Iterator[tuple[list[_Work], WorkbookRows]]:
        around = self._around
        workbook = WorkbookRows(around.folder / WORKBOOK, around.store, guard=around.guard)
        with contextlib.ExitStack() as stack:
            work = [self._plan(stack, sync, workbook) for sync in self._syncs]
            yield work, workbook

    def _plan(self, stack: contextlib.ExitStack, sync: Sync, workbook: WorkbookRows) -> _Work:
        self._around.look()
        comparison = stack.enter_context(Comparison(sync, self._source(sync, workbook), self._around.scope))
        comparison.known = self._snapshots.load(comparison.connection, sync.name, sync.place)
        table, is_as_left = self._table(sync, workbook)
        knows = comparison.known.is_whole and sync.mode in KNOWN_BY_SNAPSHOT and not self._around.scope.afresh
        if table is not None and not (is_as_left and knows):
            comparison.hold(_held(comparison, table, self._stamps()))
        return _Work(sync, comparison, comparison.plan(bank=self._around.bank))

    def _source(self, sync: Sync, workbook: WorkbookRows) -> pa.Table:
        """The rows to send: a mart, or what people keep in a tab."""
        if not sync.from_tab:
            return self._around.read(sync.source)
        columns = list(dict.fromkeys([sync.key, *(each.column for each in sync.fields if each.column)]))
        tabs = self._around.tabs or workbook
        rows = list(tabs.computed(sync.source, columns, sync.key).values())
        if not rows and not sync.may_be_empty:
            raise refused(sync, f"the tab {sync.source} is not there or has no row with a {sync.key}")
        return pa.table({name: _one_type([row[place] for row in rows]) for place, name in enumerate(columns)})

    def _table(self, sync: Sync, workbook: WorkbookRows) -> tuple[KeyedRows | None, bool]:
        """The destination where it can be read back, and whether it certainly is as we left it."""
        if sync.destination.kind == "csv":
            rows = csv_file.CsvRows(self._around.folder / sync.destination.name, self._around.store, guard=self._around.guard)
            return rows, rows.is_as_left
        if sync.destination.kind == "tab":
            return (workbook, workbook.is_as_left) if self._around.tabs is None else (self._around.tabs, False)
        return None, False

    def _carry_out(self, work: Sequence[_Work], workbook: WorkbookRows) -> dict[str, NeopulseError]:
        """Tabs of the workbook first, all at once; then the others, each by itself. The errors, by sync."""
        own = [each for each in work if each.sync.destination.kind == "tab" and self._around.tabs is None]
        failures: dict[str, NeopulseError] = {}
        acts: list[tuple[list[_Work], Callable[[], None]]] = [(own, lambda: self._fill(own, workbook))] if own else []
        acts += [([each], self._act(each, workbook)) for each in work if each not in own]
        for some, act in acts:
            try:
                act()
            except InterruptedRunError:
                raise
            except NeopulseError as error:
                _log.error("%s: %s", ", ".join(each.sync.name for each in some), error)
                failures.update({each.sync.name: error for each in some})
            self._note(some, failures)
        return failures

    def _note(self, work: Sequence[_Work], failures: Mapping[str, NeopulseError]) -> None:
        for each in work:
            if each.sync.name in failures:
                self._around.notes.failed(each.sync.name, failures[each.sync.name])
            else:
                self._around.notes.done(each.result())

    def _act(self, work: _Work, workbook: WorkbookRows) -> Callable[[], None]:
        table, _ = self._table(work.sync, workbook)
        return (lambda: self._write(work, table)) if table is not None else (lambda: self._send(work))

    def _fill(self, work: Sequence[_Work], workbook: WorkbookRows) -> None:
        tabs = [each.sync.destination.name for each in work]
        is_idle = all(each.plan.is_idle for each in work)
        if not (is_idle and workbook.is_as_left):
            if workbook.is_plain(tabs) and not any(each.comparison.retains for each in work):
                self._rewrite(work, workbook)
            else:
                for each in work:
                    self._change(each, workbook)
                workbook.commit()
        for each in work:
            self._took_all(each)

    def _rewrite(self, work: Sequence[_Work], workbook: WorkbookRows) -> None:
        self._around.progress(None, "writing the workbook anew")
        plain = [PlainTab(each.sync.destination.name, each.columns, self._rows(each, CREATE, UPDATE, SAME)) for each in work]
        counts = {each.sync.destination.name: sum(each.plan.count(act) for act in (CREATE, UPDATE, SAME)) for each in work}
        workbook.rewrite(plain, counts)

    def _rows(self, work: _Work, *acts: str) -> Iterator[Row]:
        for batch in work.comparison.batches(*acts, rows=ROWS_AT_A_TIME):
            self._around.look()
            yield from values(work.comparison.fields, batch.rows, self._stamps())

    def _change(self, work: _Work, table: KeyedRows) -> None:
        convert = _conversion(work.sync)
        changed: dict[str, Row] = {}
        for batch in work.comparison.batches(CREATE, UPDATE, rows=ROWS_AT_A_TIME):
            rows = values(work.comparison.fields, batch.rows, self._stamps())
            changed |= {key: [convert(value) for value in row] for key, row in zip(batch.keys, rows, strict=True)}
        deleted = work.comparison.keys(DELETE)
        table.write(work.sync.destination.name, work.columns, work.key, changed, deleted)

    def _write(self, work: _Work, table: KeyedRows) -> None:
        if not work.plan.is_idle:
            self._around.guard()
            self._change(work, table)
        if isinstance(table, csv_file.CsvRows):
            table.commit()
        self._took_all(work)

    def _took_all(self, work: _Work) -> None:
        """Note down that the destination has all that it should."""
        comparison, plan = work.comparison, work.plan
        settled = comparison.settle()
        known, bank = comparison.known, self._around.bank
        if not (comparison.has_settled and known.is_whole and known.bank == bank):
            self._snapshots.advance(comparison.connection, work.sync.name, work.sync.place, known, rows=settled, bank=bank)
        work.created, work.updated, work.deleted = plan.count(CREATE), plan.count(UPDATE), plan.count(DELETE)

    def _send(self, work: _Work) -> None:
        """Send to an address batch by batch; what was taken is noted down before the next batch goes."""
        if work.plan.is_idle:
            return
        comparison, sync = work.comparison, work.sync
        self._around.guard()
        before = comparison.known
        known = self._snapshots.advance(comparison.connection, sync.name, sync.place, before, bank=before.bank)
        with contextlib.closing(self._snapshots.journal(sync.name, known)) as journal:
            caller, path = self._around.caller(sync)
            batches = Batches(sync, caller, path=path, key=work.key, sends=self._snapshots.sends(sync.name))
            self._send_rows(work, batches, journal.took)
            self._send_deletions(work, batches, journal.took)
        known = self._snapshots.load(comparison.connection, sync.name, sync.place)
        self._snapshots.advance(comparison.connection, sync.name, sync.place, known, bank=self._around.bank)
        self._snapshots.sent(sync.name)

    def _send_rows(self, work: _Work, batches: Batches, took: Callable[[Mapping[str, int]], None]) -> None:
        operation = http_batches.OPERATIONS[work.sync.mode]
        total = work.plan.count(CREATE) + work.plan.count(UPDATE)
        for act in (CREATE, UPDATE):
            for batch in work.comparison.batches(act, rows=work.sync.destination.batch_rows):
                self._around.guard()
                rows = values(work.comparison.fields, batch.rows, self._stamps())
                records = [dict(zip(work.columns, map(http_batches.plain, row), strict=True)) for row in rows]
                hashes = dict(zip(batch.keys, batch.hashes, strict=True))
                sent = dict(zip(batch.keys, records, strict=True))
                for outcome in batches.send(operation, hashes, records):
                    took({key: hashes[key] for key in outcome.taken})
                    self._count(work, act, len(outcome.taken))
                    work.rejects += [replace(reject, row=sent.get(reject.key, {})) for reject in outcome.rejects]
                done = work.created + work.updated + len(work.rejects)
                self._around.progress(done / total, f"{work.sync.name}: {done:,} of {total:,} rows")

    def _count(self, work: _Work, act: str, taken: int) -> None:
        if act == CREATE:
            work.created += taken
        else:
            work.updated += taken

    def _send_deletions(self, work: _Work, batches: Batches, took: Callable[..., None]) -> None:
        keys, rows = work.comparison.keys(DELETE), work.sync.destination.batch_rows
        for start in range(0, len(keys), rows):
            self._around.guard()
            doomed = keys[start : start + rows]
            for outcome in batches.send(DELETE, dict.fromkeys(doomed, 0), [{work.key: key} for key in doomed]):
                took({}, outcome.taken)
                work.deleted += len(outcome.taken)
                work.undeleted += [reject.key for reject in outcome.rejects]

    def _stamps(self) -> Mapping[str, Any]:
        facts = self._around.facts
        return {
            "run_id": facts.run_id,
            "version": facts.version,
            "as_of": facts.as_of,
            "published_at": facts.published_at,
        }


def _held(comparison: Comparison, table: KeyedRows, stamps: Mapping[str, Any]) -> dict[str, bool]:
    """Every key at the destination, and whether its row equals the source's; facts of the run are not compared."""
    sync, fields = comparison.sync, comparison.fields
    names = [each.name for each in fields]
    found = table.read(sync.destination.name, names, key_field(fields, sync.key))
    compared = [place for place, each in enumerate(fields) if not each.run]
    convert = _conversion(sync)
    equal = dict.fromkeys(found, False)
    shared = [(key, position) for key, position in comparison.positions().items() if key in found]
    for start in range(0, len(shared), ROWS_AT_A_TIME):
        part = shared[start : start + ROWS_AT_A_TIME]
        rows = values(fields, comparison.source.take([position for _, position in part]), stamps)
        for (key, _), row in zip(part, rows, strict=True):
            there = found[key]
            equal[key] = all(same(convert(row[place]), there[place]) for place in compared)
    return equal


def _conversion(sync: Sync) -> Callable[[Any], Any]:
    return csv_file.cell if sync.destination.kind == "csv" else storable


def _one_type(cells: Sequence[Any]) -> pa.Array:
    """A column of a tab; where people typed values of several kinds it is text."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) > 1 or not kinds:
        return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())


def choose(syncs: Sequence[Sync], name: str) -> Sync:
    """The sync of that name; raises ConfigurationError where there is none."""
    for sync in syncs:
        if sync.name == name:
            return sync
    raise ConfigurationError(
        f"There is no sync {name}; there are {', '.join(sync.name for sync in syncs)}", where="syncs.yml", next="neopulse syncs"
    )
