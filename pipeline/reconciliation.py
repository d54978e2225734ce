"""The same figure in every place that holds it: the published version, the sheet, an export for Power BI, and what syncs sent.

A place counts as equal only where it says to be of the version that is looked at and its figure is the same; what holds
another version, was never written or cannot be read is said by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipeline import steps
from pipeline.activation import census_syncs, declared
from pipeline.errors import NeopulseError
from pipeline.exports import held as exported
from pipeline.marts.headline import SHOWN
from pipeline.marts.holding import AMOUNT, CUSTOMERS, FIGURES, Holding, published
from pipeline.marts.reader import Reader
from pipeline.marts.withholding import FEWEST
from pipeline.runs.records import AuditRow, Run, Step, StepState, SyncRun, SyncState
from pipeline.runs.store import RunStore
from pipeline.runs.trail import Acts
from pipeline.settings import Settings

SHEET, POWERBI, SYNC = "sheet", "powerbi", "sync"
STAR = "powerbi"  # what the command line calls an export of the star in the audit log
EVERY_CUSTOMER = "sync_customer_status"  # the feed with one row a customer
RUNS_LOOKED_AT, EXPORTS_LOOKED_AT, SYNCS_LOOKED_AT = 100, 1000, 20
OF_THE_SHEET = (CUSTOMERS, *SHOWN)
OF_RATES = ("quick_ratio", "monthly_churn_rate", "stickiness")  # judged by their n, as the headline's
CENT = 0.02  # an export rounds amounts of each type to cents


class State(StrEnum):
    """Whether a place holds anything, and if not, why."""

    HOLDS = "holds"
    NEVER = "never"
    NOT_NOTED = "not_noted"
    UNREADABLE = "unreadable"
    FAILED = "failed"
    SOURCE_UNKNOWN = "source_unknown"


class Verdict(StrEnum):
    """What comparing a figure with the published one came to."""

    EQUAL = "equal"
    DIFFERS = "differs"
    OTHER_VERSION = "other_version"
    NOT_DELIVERED = "not_delivered"
    UNKNOWN = "unknown"
    NOT_HELD = "not_held"


@dataclass(frozen=True)
class Place:
    """One place that holds figures: what served it, since when, and what it holds where it can be said.

    `name` is `sheet`, `powerbi` or `sync:NAME`, `meant` the figures that belong there; `version` is empty where the place does
    not tell of which version it is.
    """

    name: str
    meant: tuple[str, ...]
    state: State
    service: str = ""
    at: datetime | None = None
    version: str = ""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Cell:
    """A figure in one place, beside what it has to be."""

    value: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Line:
    """One figure everywhere; `figure` is a metric's name, `customers`, or `rows:MART` for the rows of a feed."""

    figure: str
    published: float | None
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Reconciliation:
    """Every figure of a version beside what the places hold."""

    version: str
    places: tuple[Place, ...]
    lines: tuple[Line, ...]


def reconcile(reader: Reader, settings: Settings, store: RunStore) -> Reconciliation:
    """Compare what the version answers with what each place holds now; nothing is written, and no service is asked."""
    own = published(reader)
    figures = dict(own.figures) | _feeds(reader, settings)
    places = (_sheet(reader, settings, store), _powerbi(store), *_syncs(reader, settings, store))
    names = [name for name in FIGURES if name in figures] + sorted(name for name in figures if name not in FIGURES)
    return Reconciliation(own.version, places, tuple(_line(name, figures[name], places, own.version) for name in names))


def withheld(found: Reconciliation, hidden: frozenset[str] = frozenset()) -> Reconciliation:
    """The same without counts below 10 in any place, and without the `hidden` figures; the verdicts stay.

    In a bank of fewer than 10 customers nothing is shown.
    """
    is_tiny = any(line.figure == CUSTOMERS and (line.published or 0) < FEWEST for line in found.lines)
    return replace(found, lines=tuple(_withheld(line, is_hidden=is_tiny or line.figure in hidden) for line in found.lines))


def _withheld(line: Line, *, is_hidden: bool) -> Line:
    known = [line.published, *(cell.value for cell in line.cells.values())]
    is_few = line.figure not in OF_RATES and any(value is not None and 0 < value < FEWEST for value in known)
    if not (is_hidden or is_few):
        return line
    return replace(line, published=None, cells={place: Cell(None, cell.verdict) for place, cell in line.cells.items()})


def _line(figure: str, value: float | None, places: Sequence[Place], version: str) -> Line:
    return Line(figure, value, {place.name: _cell(figure, value, place, version) for place in places})


def _cell(figure: str, value: float | None, place: Place, version: str) -> Cell:
    if figure not in place.meant:
        return Cell(None, Verdict.NOT_HELD)
    if place.state is not State.HOLDS:
        return Cell(None, Verdict.NOT_DELIVERED if place.state in (State.NEVER, State.FAILED) else Verdict.UNKNOWN)
    if figure not in place.figures:
        return Cell(None, Verdict.DIFFERS)  # somebody has taken its row or column away
    held = place.figures[figure]
    if place.version != version:
        return Cell(held, Verdict.OTHER_VERSION if place.version else Verdict.UNKNOWN)
    return Cell(held, Verdict.EQUAL if _is_same(figure, value, held) else Verdict.DIFFERS)


def _is_same(figure: str, left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=CENT if figure == AMOUNT else 1e-12)


# --- the sheet --------------------------------------------------------------------------------------------------------


def _sheet(reader: Reader, settings: Settings, store: RunStore) -> Place:
    """The workbook as it is now; of a Google spreadsheet what was compared cell by cell when it was written last."""
    found = _newest_step(store, "sheet")
    if settings.google_sheets_id:
        return _verified(found)
    at = found[1].ended_at if found else None
    from pipeline.sheets import held

    try:
        holding = held.of_workbook(steps.workbook(settings), reader.registry)
    except FileNotFoundError:
        return Place(SHEET, OF_THE_SHEET, State.NEVER)
    except NeopulseError as error:
        return Place(SHEET, OF_THE_SHEET, State.UNREADABLE, "workbook", at, why=error.what)
    return _holds(SHEET, OF_THE_SHEET, "workbook", at, holding)


def _verified(found: tuple[Run, Step] | None) -> Place:
    from pipeline.sheets.google_refusals import SERVICE

    if found is None or found[1].service != SERVICE:
        return Place(SHEET, OF_THE_SHEET, State.NEVER, SERVICE)
    step = found[1]
    try:
        return _holds(SHEET, OF_THE_SHEET, SERVICE, step.ended_at, Holding.from_json(step.detail["held"]))
    except (KeyError, TypeError, ValueError):
        return Place(SHEET, OF_THE_SHEET, State.NOT_NOTED, SERVICE, step.ended_at)


def _newest_step(store: RunStore, name: str) -> tuple[Run, Step] | None:
    for run in store.runs(RUNS_LOOKED_AT):
        for step in run.steps:
            if step.name == name and step.state is StepState.SUCCEEDED:
                return run, step
    return None


# --- Power BI ---------------------------------------------------------------------------------------------------------


def _powerbi(store: RunStore) -> Place:
    """The newest export for Power BI, found by the audit log and read where it was written."""
    row = _newest_export(store)
    if row is None:
        return Place(POWERBI, FIGURES, State.NEVER)
    folder = Path(str((row.after or {}).get("folder", "")))
    if not folder.is_absolute():  # noted down by an older neopulse, as it was typed in a folder that nobody knows
        return Place(POWERBI, FIGURES, State.NOT_NOTED, "Parquet", row.at)
    try:
        return _holds(POWERBI, FIGURES, "Parquet", row.at, exported.of_export(folder))
    except (OSError, ValueError, KeyError) as error:
        return Place(POWERBI, FIGURES, State.UNREADABLE, "Parquet", row.at, why=type(error).__name__)
    except NeopulseError as error:
        return Place(POWERBI, FIGURES, State.UNREADABLE, "Parquet", row.at, why=error.what)


def _newest_export(store: RunStore) -> AuditRow | None:
    acts = store.acts(Acts(action="export"), limit=EXPORTS_LOOKED_AT)
    return next((row for row in acts if row.what == STAR), None)


# --- reverse ETL ------------------------------------------------------------------------------------------------------


def _feeds(reader: Reader, settings: Settings) -> dict[str, float | None]:
    """The rows of each mart that a sync sends, apart from the one that is a figure already."""
    rows = reader.version.rows
    return {feed(mart): float(rows[mart]) for mart in _sources(settings).values() if mart in rows and mart != EVERY_CUSTOMER}


def feed(mart: str) -> str:
    """The name of the figure that is the rows of a mart."""
    return CUSTOMERS if mart == EVERY_CUSTOMER else f"rows:{mart}"


def _sources(settings: Settings) -> dict[str, str]:
    """The mart that each sync sends, where it sends one; Census keeps its sources to itself."""
    if settings.reverse_etl == "census":
        return {}
    return {sync.name: sync.source for sync in declared(settings) if not sync.from_tab}


def _syncs(reader: Reader, settings: Settings, store: RunStore) -> list[Place]:
    if settings.reverse_etl == "census":
        return [_at_census(sync.name, store) for sync in census_syncs(settings)]
    sources = _sources(settings)
    return [_sync(name, mart, store) for name, mart in sources.items() if mart in reader.version.rows]


def _sync(name: str, mart: str, store: RunStore) -> Place:
    """What a sync's destination holds by the counts of its last delivery of every row; one row sent as a test is none."""
    place, meant = f"{SYNC}:{name}", (feed(mart),)
    whole = [done for done in store.sync_runs(name, SYNCS_LOOKED_AT) if not done.scope.get("only")]
    if not whole:
        return Place(place, meant, State.NEVER)
    last = whole[0]
    if last.state is SyncState.FAILED:
        return Place(place, meant, State.FAILED, last.service, last.ended_at)
    counts = last.counts
    held = sum(counts.get(count, 0) for count in ("created", "updated", "unchanged")) - counts.get("skipped", 0)
    return Place(place, meant, State.HOLDS, last.service, last.ended_at, _version_of(last, store), {feed(mart): float(held)})


def _at_census(name: str, store: RunStore) -> Place:
    last: SyncRun | None = next(iter(store.sync_runs(name, 1)), None)
    if last is None:
        return Place(f"{SYNC}:{name}", (), State.NEVER)
    state = State.FAILED if last.state is SyncState.FAILED else State.SOURCE_UNKNOWN
    return Place(f"{SYNC}:{name}", (), state, last.service, last.ended_at)


def _version_of(done: SyncRun, store: RunStore) -> str:
    """The version that a sync sent; empty where an older neopulse did not note it down and the run is forgotten."""
    if done.scope.get("version"):
        return str(done.scope["version"])
    try:
        return str(store.run(done.run_id).version or "") if done.run_id is not None else ""
    except NeopulseError:
        return ""


def _holds(name: str, meant: tuple[str, ...], service: str, at: datetime | None, holding: Holding) -> Place:
    return Place(name, meant, State.HOLDS, service, at, holding.version, dict(holding.figures))


def marks(settings: Settings, store: RunStore) -> tuple[Any, ...]:
    """What tells that a reconciliation made before may be another one by now: cheap to read."""
    path = steps.workbook(settings)
    looked = path.stat() if path.exists() else None
    newest = store.latest()
    export = _newest_export(store)
    names = [sync.name for sync in (census_syncs(settings) if settings.reverse_etl == "census" else declared(settings))]
    syncs = tuple(tuple(done.id for done in store.sync_runs(name, 1)) for name in names)
    return (
        (looked.st_mtime_ns, looked.st_size) if looked else None,
        (newest.id, str(newest.state), len([step for step in newest.steps if step.ended_at])) if newest else None,
        export.id if export else None,
        syncs,
    )
