"""Step 4 put together: the arm that the settings ask for, with what it needs from the run, the store and the version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError
from pipeline.http import Explain, Patience, Service
from pipeline.marts import reader
from pipeline.reverse_etl import http_batches
from pipeline.reverse_etl.base import COUNTS, REJECTS_KEPT, SyncResult
from pipeline.reverse_etl.census import SERVICE as CENSUS
from pipeline.reverse_etl.census import Census, CensusSync
from pipeline.reverse_etl.census_api import CensusAPI
from pipeline.reverse_etl.embedded import SERVICE as EMBEDDED
from pipeline.reverse_etl.embedded import WORKBOOK, EmbeddedReverseETL, Surroundings
from pipeline.reverse_etl.http_batches import plain
from pipeline.reverse_etl.plan import ALL, Scope
from pipeline.reverse_etl.registry import SYNCS, read_syncs
from pipeline.reverse_etl.syncs import RunFacts, Sync
from pipeline.reverse_etl.tables import KeyedRows
from pipeline.runs.records import SyncState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.sheets.texts import TABS, TEXTS
from pipeline.warehouse.publication import Version

if TYPE_CHECKING:
    from pipeline.reverse_etl.base import ReverseETL

TARGET = "Census sync run"  # of the deliveries that remember what was triggered
CANCEL_SECONDS = 30.0

Progress = Callable[[float | None, str], None]


@dataclass(frozen=True)
class Activation:
    """What both arms need.

    `look` and `guard` raise InterruptedRunError once the run is to end; what was triggered at Census under the same `attempt`
    (a run with those that resume it, or one press) is taken up instead of triggered again. `who` asked for it, `scope` is
    how much.
    """

    settings: Settings
    store: RunStore
    clock: Clock
    version: Version
    run_id: int = 0
    attempt: str = "by hand"
    who: str = ""
    scope: Scope = ALL
    look: Callable[[], None] = lambda: None
    guard: Callable[[], None] = lambda: None
    progress: Progress = lambda _fraction, _text: None

    @property
    def service(self) -> str:
        """Which arm serves."""
        return CENSUS if self.settings.reverse_etl == "census" else EMBEDDED

    def arm(self) -> ReverseETL:
        """The arm that the settings ask for."""
        settings = self.settings
        if settings.reverse_etl == "census":
            return self.census(census_syncs(settings), full=settings.census_full_sync)
        return self.embedded(declared(settings))

    def embedded(self, syncs: Sequence[Sync]) -> EmbeddedReverseETL:
        """The embedded engine, for some syncs."""
        home, version = self.settings.home, self.version
        return EmbeddedReverseETL(
            syncs,
            Surroundings(
                read=reader(version).relation,
                folder=destinations(self.settings),
                snapshots=home / "syncs",
                store=self.store,
                facts=RunFacts(self.run_id, version.name, version.as_of, version.published_at),
                caller=lambda sync: caller(sync, self.settings.tokens_of_syncs, clock=self.clock, look=self.look),
                bank=_bank(self.settings),
                scope=self.scope,
                tabs=self._tabs(syncs),
                notes=self.notes,
                guard=self.guard,
                look=self.look,
                progress=self.progress,
            ),
        )

    def census(self, syncs: Sequence[CensusSync], *, full: bool) -> Census:
        """Census, for some syncs; `full` sends every row."""
        settings = self.settings
        return Census(
            syncs,
            census_api(settings, self.clock, look=self.look),
            cancelling=census_api(settings, self.clock, patience=Patience(deadline_seconds=CANCEL_SECONDS)),
            memory=Triggered(self.store, self.attempt),
            clock=self.clock,
            look=self.look,
            guard=self.guard,
            progress=self.progress,
            deadline_seconds=settings.census_deadline_seconds,
            full=full,
            notes=self.notes,
        )

    @property
    def notes(self) -> SyncNotes:
        """Where what becomes of each sync is written down."""
        scope = {**asdict(self.scope), "version": self.version.name}
        return SyncNotes(self.store, self.clock.now(), self.service, self.run_id or None, self.who, scope)

    def _tabs(self, syncs: Sequence[Sync]) -> KeyedRows | None:
        """The tabs of the spreadsheet that the settings name; None where tabs are those of a workbook, or none is written to."""
        if not self.settings.google_sheets_syncs_id or all(sync.destination.kind != "tab" for sync in syncs):
            return None
        from pipeline.sheets.google_rows import open_rows

        refuse_tabs_of_the_sheet(syncs, self.settings)
        return open_rows(self.settings, clock=self.clock, guard=self.guard)


@dataclass(frozen=True)
class SyncNotes:
    """What became of each sync, kept in the run store; the rows that were not taken with it, for those who may see them.

    `scope` says how much of it was sent, and of which version.
    """

    store: RunStore
    started_at: datetime
    service: str
    run_id: int | None
    who: str
    scope: Mapping[str, Any]

    def done(self, result: SyncResult) -> None:
        """A sync was carried out."""
        self.store.record_sync(
            result.sync,
            state=SyncState.PARTIAL if result.is_partial else SyncState.DONE,
            service=result.service,
            who=self.who,
            started_at=self.started_at,
            run_id=self.run_id,
            scope=self.scope,
            counts={name: getattr(result, name) for name in COUNTS},
            notes=result.notes,
            link=result.link,
            rejects=[(each.key, each.reason, plain(each.row)) for each in result.rejects[:REJECTS_KEPT]],
        )

    def failed(self, sync: str, error: NeopulseError) -> None:
        """A sync was not, or not wholly, carried out."""
        self.store.record_sync(
            sync,
            state=SyncState.FAILED,
            service=self.service,
            who=self.who,
            started_at=self.started_at,
            run_id=self.run_id,
            scope=self.scope,
            error=str(error),
        )


class Triggered:
    """What an attempt triggered at Census, kept in the run store."""

    def __init__(self, store: RunStore, attempt: str) -> None:
        self._store = store
        self._attempt = attempt

    def recall(self, sync: CensusSync) -> str | None:
        """The run at Census that an earlier attempt triggered."""
        known = self._store.delivery(self._key(sync))
        return known.location if known is not None and known.location else None

    def note(self, sync: CensusSync, run: str) -> None:
        """Remember a run at Census."""
        self._store.reserve(self._key(sync), TARGET, {"sync": sync.name})
        self._store.delivered(self._key(sync), location=run)

    def _key(self, sync: CensusSync) -> str:
        return f"census-{sync.id}-{self._attempt}"


def _bank(settings: Settings) -> str:
    """Whose customers are sent; a demo bank of another size or seed is another bank."""
    name = settings.source_name
    return f"{name} {settings.demo_transactions}/{settings.demo_seed}" if settings.is_demo else name


def declared(settings: Settings) -> tuple[Sync, ...]:
    """The syncs of the file that the settings name; raises ConfigurationError where a token that one names is not set."""
    syncs = read_syncs(settings.syncs or SYNCS)
    for sync in syncs:
        if sync.destination.token and sync.destination.token not in settings.tokens_of_syncs:
            raise ConfigurationError(
                f"The sync {sync.name} names the token {sync.destination.token}, which NEOPULSE_SYNC_TOKENS does not have",
                where=f"{settings.syncs or SYNCS}: {sync.name}: {sync.destination.kind}.token",
                safe="Nothing was sent",
                next="add it to NEOPULSE_SYNC_TOKENS, then neopulse check",
            )
    return syncs


def refuse_tabs_of_the_sheet(syncs: Sequence[Sync], settings: Settings) -> None:
    """Raise ConfigurationError where a sync would keep its rows in a tab that the sheet replaces in the same spreadsheet."""
    if settings.google_sheets_syncs_id != settings.google_sheets_id:
        return
    taken = {TEXTS[settings.language][name].casefold() for name in TABS}  # Google does not tell capitals apart
    for sync in syncs:
        if sync.destination.kind == "tab" and sync.destination.name.casefold() in taken:
            raise ConfigurationError(
                f"The sync {sync.name} would keep its rows in the tab {sync.destination.name}, which the sheet replaces in the "
                "same spreadsheet",
                where=f"{settings.syncs or SYNCS}: {sync.name}: tab",
                safe="Nothing was sent",
                next="give the tab another name, or name another spreadsheet in NEOPULSE_GOOGLE_SHEETS_SYNCS_ID, "
                "then neopulse check",
            )


def census_syncs(settings: Settings) -> tuple[CensusSync, ...]:
    """The syncs to run at Census; one without a name is called by its id."""
    parts = (each.rpartition("=") for each in settings.census_syncs)
    return tuple(CensusSync(name or number, number) for name, _, number in parts)


def census_api(
    settings: Settings, clock: Clock, *, look: Callable[[], None] = lambda: None, patience: Patience | None = None
) -> CensusAPI:
    """Census as the settings describe it."""
    return CensusAPI(
        settings.census_token.get_secret_value(),
        address=settings.census_address,
        version=settings.census_api,
        clock=clock,
        look=look,
        patience=patience,
    )


def caller(
    sync: Sync,
    tokens: Mapping[str, str],
    *,
    clock: Clock,
    look: Callable[[], None] = lambda: None,
    patience: Patience | None = None,
    explain: Explain | None = None,
) -> tuple[Service, str]:
    """What carries requests to a sync's address, and the path behind its host."""
    parts = urlsplit(sync.destination.name)
    token = tokens.get(sync.destination.token, "")
    service = Service(
        f"The destination of {sync.name}",
        f"{parts.scheme}://{parts.netloc}",
        clock=clock,
        headers={"Authorization": f"Bearer {token}"} if token else None,
        secrets=(token,),
        patience=patience,
        explain=explain or http_batches.explain(sync),
        look=look,
    )
    return service, sync.destination.name.partition(parts.netloc)[2] or "/"


def destinations(settings: Settings) -> Path:
    """The folder of the workbook and the CSV files."""
    return settings.home / "destinations"


def location(settings: Settings) -> str:
    """Where the rows went, in a few words."""
    if settings.reverse_etl == "census":
        return settings.census_address
    kinds = {sync.destination.kind for sync in declared(settings)}
    if "tab" in kinds and settings.google_sheets_syncs_id:
        return f"https://docs.google.com/spreadsheets/d/{settings.google_sheets_syncs_id}"
    return str(destinations(settings) / WORKBOOK if "tab" in kinds else destinations(settings))
