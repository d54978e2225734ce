"""Facts about countries from the snapshot that ships with neopulse; see the README beside it for whose facts they are."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from pipeline import files

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
    """The country facts of one extract: what served them, where they lie, how many rows, and of which day they are."""

    service: str
    path: Path
    rows: int
    as_of: str


def land_country_facts(landing_folder: Path) -> LandedFacts:
    """Write the facts into the landing folder, whole."""
    facts = country_facts()
    path = files.make_folder(landing_folder) / FILE_NAME
    files.write_whole(path, lambda beside: pa.parquet.write_table(facts, beside))
    return LandedFacts(SERVICE, path, facts.num_rows, max(facts["as_of"].to_pylist()))


def country_facts() -> pa.Table:
    """One row a country, with the overrides that were in force on the row's own day."""
    overrides = _read("country_overrides.csv")
    rows = [with_overrides(row, overrides) for row in _read("countries.csv")]
    return pa.Table.from_pylist([_typed(row) for row in rows], schema=COLUMNS)


def with_overrides(row: Mapping[str, str], overrides: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """A row with every later knowledge applied; what was mended, and on whose word, joins its source."""
    mended = dict(row)
    for override in overrides:
        if override["alpha_2"] == row["alpha_2"] and override["since"] <= row["as_of"]:
            mended[override["column"]] = override["value"]
            mended["source"] += f"; {override['column']} since {override['since']}: {override['source']}"
    return mended


def _typed(row: Mapping[str, str]) -> dict[str, str | int | float | None]:
    kinds = {"population": int, "area_km2": float}
    return {name: kinds.get(name, str)(text) if text else None for name, text in row.items()}


def _read(name: str) -> list[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
