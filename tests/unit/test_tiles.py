"""The map of tiles: every country has one place of its own, and who has none on it stands below."""

from __future__ import annotations

import csv
from pathlib import Path

import pipeline.extract
from streamlit_app.charts import tiles

COUNTRIES = Path(pipeline.extract.__file__).with_name("countries.csv")


def test_each_tile_is_a_country_that_is_known_and_no_two_share_a_place() -> None:
    with COUNTRIES.open(encoding="utf-8", newline="") as file:
        known = {row["alpha_3"]: row["region"] for row in csv.DictReader(file)}
    assert tiles.PLACES.keys() <= known.keys()
    assert len(set(tiles.PLACES.values())) == len(tiles.PLACES)
    assert max(column for column, _ in tiles.PLACES.values()) < tiles.ACROSS
    missing = {code for code, region in known.items() if "Europe" in region} - tiles.PLACES.keys()
    assert missing <= {"ALA", "FRO", "GGY", "IMN", "JEY", "SJM", "XKX"}, missing  # islands and parts; they stand below


def test_neighbours_are_neighbours() -> None:
    """Left is west and up is north."""
    at = tiles.PLACES
    for west, east in (
        ("IRL", "GBR"),
        ("PRT", "ESP"),
        ("FRA", "CHE"),
        ("DEU", "POL"),
        ("NOR", "SWE"),
        ("SWE", "FIN"),
        ("GRC", "TUR"),
    ):
        assert at[west][0] + 1 == at[east][0]
        assert at[west][1] == at[east][1]
    one_above_the_other = ("DEU CZE", "CZE AUT", "BEL FRA", "EST LVA", "LVA LTU", "HUN HRV", "TUR CYP")
    for north, south in map(str.split, one_above_the_other):
        assert at[north][0] == at[south][0]
        assert at[north][1] + 1 == at[south][1]


def test_countries_without_a_tile_stand_below_in_their_order_ten_a_row() -> None:
    elsewhere = [f"X{number:02d}" for number in range(12)]
    found = tiles.places([elsewhere[0], "FRA", *elsewhere[1:]])
    assert found[1] == (2, 4)
    below = [place for code, place in zip([elsewhere[0], "FRA", *elsewhere[1:]], found, strict=True) if code != "FRA"]
    first = max(row for _, row in tiles.PLACES.values()) + 1
    assert below == [*((column, first) for column in range(10)), (0, first + 1), (1, first + 1)]
