"""Facts from outside the bank, landed: country facts and exchange rates, and a note on what served them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.clock import Clock
from pipeline.errors import TransientError
from pipeline.extract import exchange_rates, restcountries, world_bank
from pipeline.extract.asking import SAFE, Look
from pipeline.extract.countries import SERVICE, Live, land_country_facts
from pipeline.extract.exchange_rates import LOOK_BACK_DAYS, Wanted, land_exchange_rates
from pipeline.settings import Settings

NOTE = "external_facts.json"


def land_facts(landing_folder: Path, settings: Settings, *, clock: Clock, look: Look = lambda: None) -> dict[str, dict[str, Any]]:
    """Land both; returns what served each, which is also noted down beside them for whoever publishes."""
    countries = land_country_facts(landing_folder, _live(settings), clock=clock, look=look)
    rates = land_exchange_rates(landing_folder, _folder(settings), _wanted(settings), clock=clock, look=look)
    served = {
        "country_facts": {"service": countries.service, "rows": countries.rows, "as_of": countries.as_of}
        | _fallback(countries.is_fallback, countries.why),
        "exchange_rates": {"service": rates.service, "rows": rates.rows, "as_of": rates.last_day or None, "new": rates.new}
        | _fallback(rates.is_fallback, rates.why),
    }
    files.write_json(landing_folder / NOTE, served)
    return served


def check(settings: Settings, clock: Clock) -> str:
    """Ask each service that a run would ask; raises what is wrong with the first that does not answer well."""
    if not settings.facts_live:
        return f"{SERVICE}; nobody is asked (NEOPULSE_FACTS_LIVE)"
    try:
        return "; ".join(_asked(settings, clock))
    except TransientError as error:
        again = "see whether this machine may reach it, or leave NEOPULSE_FACTS_LIVE off; then neopulse check"
        raise TransientError(error.what, where=error.where, safe=SAFE, next=again) from None


def _asked(settings: Settings, clock: Clock) -> list[str]:
    """What each service says it knows."""
    told = []
    if settings.facts_restcountries_key.get_secret_value():
        found = restcountries.facts(settings.facts_restcountries, settings.facts_restcountries_key, clock=clock)
        told.append(f"{restcountries.NAME} knows {len(found.content)} countries")
    populations = world_bank.populations(settings.facts_world_bank, None, clock=clock)
    told.append(f"{world_bank.NAME} knows {len(populations.content)} countries and regions")
    if settings.facts_currencies:
        today = clock.now().date()
        rates = exchange_rates.ask(_wanted(settings), today - timedelta(days=LOOK_BACK_DAYS), today, clock=clock)
        told.append(f"{exchange_rates.NAME} knows rates to {max(day for day, _ in rates)}")
    return told


def _fallback(is_fallback: bool, why: str) -> dict[str, Any]:
    return {"is_fallback": True, "why": why} if is_fallback else {}


def _live(settings: Settings) -> Live | None:
    if not settings.facts_live:
        return None
    return Live(settings.facts_world_bank, settings.facts_restcountries, settings.facts_restcountries_key, _folder(settings))


def _wanted(settings: Settings) -> Wanted:
    return Wanted(settings.facts_frankfurter, settings.facts_currencies, settings.facts_rates_since, settings.facts_live)


def _folder(settings: Settings) -> Path:
    return settings.home / "facts"
