"""What `neopulse check` says of step 4: whether Census knows our syncs, or whether syncs.yml can be carried out."""

from __future__ import annotations

from pipeline.activation import caller, census_api, census_syncs, declared, refuse_tabs_of_the_sheet
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError, PermanentError
from pipeline.http import Patience
from pipeline.reverse_etl.census_api import RETIRED
from pipeline.reverse_etl.syncs import Sync
from pipeline.settings import Settings

PATIENCE = Patience(connect_seconds=5, answer_seconds=10, deadline_seconds=15)


class _AnswersError(PermanentError):
    """The address answers, whatever it says: nothing was sent that it could like."""


def found(settings: Settings, *, clock: Clock) -> str:
    """What was found, in one line; asks each service something that changes nothing. Raises what is wrong."""
    return _at_census(settings, clock) if settings.reverse_etl == "census" else _embedded(settings, clock)


def _at_census(settings: Settings, clock: Clock) -> str:
    api = census_api(settings, clock, patience=PATIENCE)
    told = []
    for sync in census_syncs(settings):
        facts = api.sync(sync.id)
        label = str(facts.get("label") or facts.get("name") or sync.id)
        told.append(f"{sync.name} is {label}" + (", paused there" if facts.get("paused") else ""))
    warned = f". {RETIRED}" if settings.census_api == "v1" else ""
    unseen = "" if settings.warehouse == "bigquery" else "; the data has to reach it by another way than this machine's file"
    return f"Census API {settings.census_api} answers: {'; '.join(told)}{unseen}{warned}"


def _embedded(settings: Settings, clock: Clock) -> str:
    syncs = declared(settings)
    if settings.google_sheets_syncs_id:
        refuse_tabs_of_the_sheet(syncs, settings)
    for sync in syncs:
        if not sync.destination.is_table:
            _knock(sync, settings, clock)
    names = ", ".join(sync.name for sync in syncs)
    return f"{len(syncs)} in {settings.syncs or 'the syncs.yml that comes along'}: {names}{_spreadsheet(settings, clock)}"


def _spreadsheet(settings: Settings, clock: Clock) -> str:
    """What one read shows of the spreadsheet that the tabs are in, where they are in one."""
    if not settings.google_sheets_syncs_id:
        return ""
    from pipeline.sheets.google_calls import look_at

    return "; their tabs are in " + look_at(settings, clock=clock, spreadsheet=settings.google_sheets_syncs_id)


def _knock(sync: Sync, settings: Settings, clock: Clock) -> None:
    """Ask an address for its head, which changes nothing; only a refusal of who asks is a fault."""

    def explain(status: int, words: str) -> NeopulseError | None:
        if 300 <= status < 400:
            return None  # sends elsewhere: no request of ours follows
        if status not in (401, 403):
            return _AnswersError(words)
        return ConfigurationError(
            f"The destination of {sync.name} refuses with {status}",
            where=f"syncs.yml: {sync.name}: {sync.destination.kind}",
            next="see whether NEOPULSE_SYNC_TOKENS has the token that the sync names, then neopulse check",
        )

    service, path = caller(sync, settings.tokens_of_syncs, clock=clock, patience=PATIENCE, explain=explain)
    try:
        service.call("HEAD", path, is_repeatable=True)
    except _AnswersError:
        return
