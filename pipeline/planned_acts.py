"""What each step would read and write, in one line, in English and in French; no service is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.activation import census_syncs, declared, destinations
from pipeline.masking import shown_address
from pipeline.reverse_etl.embedded import WORKBOOK
from pipeline.reverse_etl.syncs import Sync
from pipeline.settings import Settings
from pipeline.steps import demo_folder, workbook

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "extract": "{tables} and {facts}, landed in {landing}",
        "tables_looked_at": "look at the bank's tables in {source}",
        "tables": "land the bank's tables in {source}",
        "demo_bank": "land the demo bank ({transactions} transactions, seed {seed}, in {folder})",
        "facts": "country facts from {countries} and exchange rates from Frankfurter",
        "facts_shipped": "the shipped country facts",
        "world_bank": "the World Bank",
        "restcountries": "restcountries, else the World Bank",
        "transform": "build and test a candidate with {warehouse}, publish it in {versions}",
        "transform_bigquery": "build and test a candidate with {warehouse}, publish it in {versions} and in the datasets "
        "{prefix}_v.... of {project}",
        "workbook": "write the workbook {path}",
        "spreadsheet": "write the tabs of the Google spreadsheet {id}",
        "syncs": "bring {syncs}",
        "sync": "{sync} to {place} ({mode})",
        "census": "run {syncs} at {address} (API {api})",
        "tab": "the tab {name} of {book}",
        "tab_at_google": "the tab {name} of the Google spreadsheet {book}",
        "address": "an address of {host}",
        "outbox": "write a mail into {outbox}, addressed to {readers}",
        "mail_server": "send a mail by {server} to {readers}",
        "n8n": "have n8n at {server} send a mail to {readers}",
    },
    "fr": {
        "extract": "{tables} et {facts}, déposés dans {landing}",
        "tables_looked_at": "consulter les tables de la banque dans {source}",
        "tables": "déposer les tables de la banque de {source}",
        "demo_bank": "déposer la banque de démonstration ({transactions} transactions, graine {seed}, dans {folder})",
        "facts": "les données des pays de {countries} et les taux de change de Frankfurter",
        "facts_shipped": "les données des pays livrées avec neopulse",
        "world_bank": "la Banque mondiale",
        "restcountries": "restcountries, sinon la Banque mondiale",
        "transform": "construire et tester une version candidate avec {warehouse}, la publier dans {versions}",
        "transform_bigquery": "construire et tester une version candidate avec {warehouse}, la publier dans {versions} et dans "
        "les jeux de données {prefix}_v.... de {project}",
        "workbook": "écrire le classeur {path}",
        "spreadsheet": "écrire les onglets du classeur Google Sheets {id}",
        "syncs": "porter {syncs}",
        "sync": "{sync} vers {place} ({mode})",
        "census": "exécuter {syncs} chez {address} (API {api})",
        "tab": "l'onglet {name} de {book}",
        "tab_at_google": "l'onglet {name} du classeur Google Sheets {book}",
        "address": "une adresse de {host}",
        "outbox": "écrire un courriel dans {outbox}, adressé à {readers}",
        "mail_server": "envoyer un courriel par {server} à {readers}",
        "n8n": "faire envoyer par n8n à {server} un courriel à {readers}",
    },
}
THOUSANDS = {"en": ",", "fr": "\u202f"}


def planned_act(step: str, settings: Settings, language: str = "en") -> str:
    """What a step would read and write."""
    words = _Words(settings, language)
    acts: Mapping[str, Callable[[], str]] = {
        "extract": words.extract,
        "transform": words.transform,
        "sheet": words.sheet,
        "activate": words.activate,
        "notify": words.notify,
    }
    return acts[step]()


@dataclass(frozen=True)
class _Words:
    settings: Settings
    language: str

    def extract(self) -> str:
        landing = self.settings.home / "landing"
        return self._say("extract", tables=self._tables(), facts=self._facts(), landing=landing)

    def _tables(self) -> str:
        settings = self.settings
        if settings.warehouse == "bigquery":
            return self._say("tables_looked_at", source=settings.bigquery_source)
        if settings.raw:
            return self._say("tables", source=settings.raw)
        transactions = f"{settings.demo_transactions:,}".replace(",", THOUSANDS[self.language])
        return self._say("demo_bank", transactions=transactions, seed=settings.demo_seed, folder=demo_folder(settings))

    def _facts(self) -> str:
        if not self.settings.facts_live:
            return self._say("facts_shipped")
        first = "restcountries" if self.settings.facts_restcountries_key.get_secret_value() else "world_bank"
        return self._say("facts", countries=self._say(first))

    def transform(self) -> str:
        settings = self.settings
        place = {"warehouse": settings.warehouse, "versions": settings.home / "versions"}
        if settings.warehouse != "bigquery":
            return self._say("transform", **place)
        return self._say("transform_bigquery", **place, prefix=settings.bigquery_prefix, project=settings.bigquery_project)

    def sheet(self) -> str:
        if self.settings.google_sheets_id:
            return self._say("spreadsheet", id=self.settings.google_sheets_id)
        return self._say("workbook", path=workbook(self.settings))

    def activate(self) -> str:
        settings = self.settings
        if settings.reverse_etl == "census":
            names = ", ".join(sync.name for sync in census_syncs(settings))
            return self._say("census", syncs=names, address=settings.census_address, api=settings.census_api)
        syncs = (self._say("sync", sync=sync.name, place=self._place(sync), mode=sync.mode) for sync in declared(settings))
        return self._say("syncs", syncs=", ".join(syncs))

    def _place(self, sync: Sync) -> str:
        kind, name, book = sync.destination.kind, sync.destination.name, self.settings.google_sheets_syncs_id
        if kind == "tab" and book:
            return self._say("tab_at_google", name=name, book=book)
        if kind == "tab":
            return self._say("tab", name=name, book=destinations(self.settings) / WORKBOOK)
        return str(destinations(self.settings) / name) if kind == "csv" else self._say("address", host=urlsplit(name).hostname)

    def notify(self) -> str:
        settings, readers = self.settings, ", ".join(self.settings.mail_to)
        if settings.n8n_url:
            return self._say("n8n", server=shown_address(settings.n8n_url), readers=readers)
        if settings.mail_server is not None:
            return self._say("mail_server", server=settings.mail_server.address, readers=readers)
        return self._say("outbox", outbox=settings.home / "outbox", readers=readers)

    def _say(self, text: str, **values: object) -> str:
        return TEXTS[self.language][text].format_map(values)
