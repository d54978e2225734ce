"""Country facts: complete for the bank's customers, right where they are known by heart, and dated."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from pipeline.extract import countries

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "neobank_sample"
BANK_COUNTRIES = (
    "AT AU BE BG CH CY CZ DE DK EE ES FI FR GB GF GG GI GP GR HR HU IE IM IS IT JE LI LT LU LV MQ MT NL NO PL PT RE RO SE SI SK"
)


@pytest.fixture(scope="module")
def facts() -> dict[str, dict[str, object]]:
    return {row["alpha_2"]: row for row in countries.country_facts().to_pylist()}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("GB", ("GBR", "United Kingdom", "Royaume-Uni", "London", "Northern Europe", "GBP")),
        ("FR", ("FRA", "France", "France", "Paris", "Western Europe", "EUR")),
        ("PL", ("POL", "Poland", "Pologne", "Warsaw", "Eastern Europe", "PLN")),
        ("RO", ("ROU", "Romania", "Roumanie", "Bucharest", "Eastern Europe", "RON")),
        ("IE", ("IRL", "Ireland", "Irlande", "Dublin", "Northern Europe", "EUR")),
        ("ES", ("ESP", "Spain", "Espagne", "Madrid", "Southern Europe", "EUR")),
    ],
)
def test_the_largest_countries_are_right(facts: dict[str, dict[str, object]], code: str, expected: tuple[str, ...]) -> None:
    columns = ("alpha_3", "name_en", "name_fr", "capital", "region", "currency")
    assert tuple(facts[code][column] for column in columns) == expected


@pytest.mark.parametrize(("code", "millions", "thousand_km2"), [("GB", 66, 244), ("FR", 67, 644), ("PL", 38, 313), ("MT", 0, 0)])
def test_population_and_area_have_the_right_size(
    facts: dict[str, dict[str, object]], code: str, millions: int, thousand_km2: int
) -> None:
    assert round(int(str(facts[code]["population"])) / 1e6) == millions
    assert round(float(str(facts[code]["area_km2"])) / 1e3) == thousand_km2


def test_every_country_of_the_banks_customers_has_all_its_facts(facts: dict[str, dict[str, object]]) -> None:
    for code in BANK_COUNTRIES.split():
        assert [column for column, value in facts[code].items() if value is None] == []


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"the bank's sample files are not at {SAMPLE.name}")
def test_the_countries_of_the_banks_sample_are_the_ones_tested() -> None:
    with (SAMPLE / "users.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["country"] for row in csv.DictReader(stream)} == set(BANK_COUNTRIES.split())


def test_codes_are_unique_and_every_row_tells_its_source_and_day() -> None:
    rows = countries.country_facts().to_pylist()
    assert len(rows) == len({row["alpha_2"] for row in rows}) == len({row["alpha_3"] for row in rows}) == 248
    assert all("GeoNames (CC BY 4.0)" in row["source"] and row["as_of"] == "2026-07-21" for row in rows)


def test_namibia_is_a_country_and_not_a_missing_value(facts: dict[str, dict[str, object]]) -> None:
    assert facts["NA"]["capital"] == "Windhoek"


def test_bulgaria_uses_the_euro_from_2026_on_and_says_on_whose_word(facts: dict[str, dict[str, object]]) -> None:
    assert facts["BG"]["currency"] == "EUR"
    assert "currency since 2026-01-01: Council of the European Union" in str(facts["BG"]["source"])


def test_an_override_waits_for_its_day() -> None:
    row = {"alpha_2": "BG", "currency": "BGN", "source": "atlas", "as_of": "2025-12-31"}
    override = {"alpha_2": "BG", "column": "currency", "value": "EUR", "since": "2026-01-01", "source": "Council"}
    assert countries.with_overrides(row, [override]) == row
    mended = countries.with_overrides(row | {"as_of": "2026-01-01"}, [override])
    assert (mended["currency"], mended["source"]) == ("EUR", "atlas; currency since 2026-01-01: Council")


def test_the_facts_land_as_parquet_and_again_the_same(tmp_path: Path) -> None:
    landed = countries.land_country_facts(tmp_path / "landing")
    first = landed.path.read_bytes()
    assert (landed.service, landed.rows, landed.as_of) == ("shipped snapshot", 248, "2026-07-21")
    assert parquet.read_table(landed.path).schema.equals(countries.COLUMNS)
    assert countries.land_country_facts(tmp_path / "landing").path.read_bytes() == first
    assert [path.name for path in (tmp_path / "landing").iterdir()] == ["external_countries.parquet"]
