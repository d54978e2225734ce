"""Facts about countries: the snapshot that ships with neopulse, and over it what a live service tells where one is asked."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from pydantic import SecretStr

from pipeline import files
from pipeline.clock import Clock, SystemClock
from pipeline.extract import restcountries, world_bank
from pipeline.extract.asking import Answers, Kept, Look, Served, ask

SERVICE = "shipped snapshot"
FILE_NAME = "external_countries.parquet"
COLUMNS = pa.schema(
    [
        ("alpha_2", pa.string()),
        ("alpha_3", pa.string()),
        ("name_en", pa.string()),
        ("name_fr", pa.string()),
        ("capital", pa.string()),
        ("region", pa.string()),
        ("population", pa.int64()),
        ("area_km2", pa.float64()),
        ("currency", pa.string()),
        ("source", pa.string()),
        ("as_of", pa.string()),
    ]
)
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class LandedFacts:
    """The country facts of one extract: what served them, where they lie, how many rows, and of which day they are.

    `is_fallback`: a service that was to be asked did not answer well, and `why` says so.
    """

    service: str
    path: Path
    rows: int
    as_of: str
    is_fallback: bool = False
    why: str = ""


@dataclass(frozen=True)
class Live:
    """Whom to ask for country facts; restcountries only with a key, the World Bank where that does not answer."""

    world_bank: str
    restcountries: str
    restcountries_key: SecretStr
    folder: Path

    def ask(self, clock: Clock, look: Look = lambda: None) -> tuple[str, Served]:
        """The first service that answers well, else the newest of the last good answers, with what went wrong."""
        answers, failures, kept = Answers(self.folder), list[str](), list[tuple[str, Served]]()
        for name, fetch in self._services(clock, look).items():
            served = ask(name, fetch, answers, clock)
            if not served.is_fallback:
                return name, Served(served.kept, bool(failures), "; ".join(failures))
            failures.append(served.why)
            kept.append((name, served))
        name, newest = max(kept, key=lambda one: one[1].kept.day if one[1].kept else "")
        return name, Served(newest.kept, True, "; ".join(failures), is_old=True)

    def _services(self, clock: Clock, look: Look) -> dict[str, Callable[[Kept | None], Kept]]:
        services: dict[str, Callable[[Kept | None], Kept]] = {}
        if self.restcountries_key.get_secret_value():
            services[restcountries.NAME] = lambda _before: restcountries.facts(
                self.restcountries, self.restcountries_key, clock=clock, look=look
            )
        services[world_bank.NAME] = lambda before: world_bank.populations(self.world_bank, before, clock=clock, look=look)
        return services


def land_country_facts(
    landing_folder: Path, live: Live | None = None, *, clock: Clock | None = None, look: Look = lambda: None
) -> LandedFacts:
    """Write the facts into the landing folder, whole: the snapshot, and over it what a live service told where one is asked."""
    name, served = live.ask(clock or SystemClock(), look) if live is not None else ("", Served(None))
    facts = country_facts(name, served.kept)
    path = files.make_folder(landing_folder) / FILE_NAME
    files.write_whole(path, lambda beside: pa.parquet.write_table(facts, beside))
    as_of = max(facts["as_of"].to_pylist())
    return LandedFacts(_service(name, served), path, facts.num_rows, as_of, served.is_fallback, served.why)


def _service(name: str, served: Served) -> str:
    if served.kept is None:
        return SERVICE
    return f"{name}, last good answer of {served.kept.day}" if served.is_old else name


def country_facts(service: str = "", kept: Kept | None = None) -> pa.Table:
    """One row a country: the snapshot, what a service told over it, and the overrides in force on the row's own day."""
    overrides = _read("country_overrides.csv")
    rows = [_with_told(row, service, kept) for row in _read("countries.csv")]
    return pa.Table.from_pylist([_typed(with_overrides(row, overrides)) for row in rows], schema=COLUMNS)


def _with_told(row: Mapping[str, str], service: str, kept: Kept | None) -> dict[str, str]:
    """A row of the snapshot with what a service told of that country; both are named, the day is the service's."""
    told, source = _told(row, service, kept)
    if kept is None or not told:
        return dict(row)
    return {**row, **told, "source": f"{', '.join(sorted(told))}: {source}; else {row['source']}", "as_of": kept.day}


def _told(row: Mapping[str, str], service: str, kept: Kept | None) -> tuple[dict[str, str], str]:
    if kept is None:
        return {}, ""
    if service == restcountries.NAME:
        return {name: str(value) for name, value in kept.content.get(row["alpha_2"], {}).items()}, "restcountries v5"
    if row["alpha_3"] not in kept.content:
        return {}, ""
    inhabitants, year = kept.content[row["alpha_3"]]
    return {"population": str(inhabitants)}, f"World Bank {world_bank.INDICATOR} {year} ({world_bank.LICENCE})"


def with_overrides(row: Mapping[str, str], overrides: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """A row with every later knowledge applied; what was mended, and on whose word, joins its source."""
    mended = dict(row)
    for override in overrides:
        if override["alpha_2"] == row["alpha_2"] and override["since"] <= row["as_of"]:
            mended[override["column"]] = override["value"]
            mended["source"] += f"; {override['column']} since {override['since']}: {override['source']}"
    return mended


def _typed(row: Mapping[str, str]) -> dict[str, str | int | float | None]:
    kinds: dict[str, Callable[[str], str | int | float]] = {"population": lambda text: round(float(text)), "area_km2": float}
    return {name: kinds.get(name, str)(text) if text else None for name, text in row.items()}


def _read(name: str) -> list[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
