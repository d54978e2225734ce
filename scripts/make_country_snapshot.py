"""Make the shipped snapshot of country facts anew; needs `pyworldatlas` and `babel`, best in an environment of its own.

    python -m venv facts && facts/bin/pip install pyworldatlas babel
    facts/bin/python scripts/make_country_snapshot.py pipeline/extract/countries.csv

Nothing of the product needs these packages: it reads the CSV. What the columns mean and whose facts they are stands in
pipeline/extract/README.md.
"""

from __future__ import annotations

import csv
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from babel import Locale
from pyworldatlas import Atlas

COLUMNS = (
    "alpha_2",
    "alpha_3",
    "name_en",
    "name_fr",
    "capital",
    "region",
    "population",
    "area_km2",
    "currency",
    "source",
    "as_of",
)
SOURCE = f"pyworldatlas {version('pyworldatlas')}: GeoNames (CC BY 4.0), UN M49, Unicode CLDR"


def facts(country: Any, as_of: str) -> dict[str, Any]:
    """One row of the snapshot; what the source does not know, or gives as nothing, is left empty."""
    code = country.codes.alpha2
    return {
        "alpha_2": code,
        "alpha_3": country.codes.alpha3,
        "name_en": Locale("en").territories.get(code, country.name.strip()),
        "name_fr": Locale("fr").territories.get(code, country.name.strip()),
        "capital": next((capital.name for capital in country.capitals if capital.primary), ""),
        "region": country.geography.subregion or "",
        "population": country.population or "",
        "area_km2": country.geography.area.total_km2 or "",
        "currency": country.currency.code if country.currency else "",
        "source": SOURCE,
        "as_of": as_of,
    }


def main(target: Path) -> None:
    """Write one row a country, by code."""
    with Atlas() as atlas, target.open("w", encoding="utf-8", newline="") as stream:
        as_of = atlas.dataset_info().built_at[:10]
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted((facts(country, as_of) for country in atlas.countries()), key=lambda row: row["alpha_2"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
