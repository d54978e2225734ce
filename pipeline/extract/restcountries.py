"""Country facts from restcountries, version 5, for those who have a key. Versions 1 to 4 are gone."""

from __future__ import annotations

import re
from typing import Any

from pydantic import SecretStr

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError
from pipeline.extract.asking import PATIENCE, SAFE, Kept, Look, wrong_shape
from pipeline.http import Service

NAME = "restcountries"
FIELDS = "names.common,codes.alpha_2,codes.alpha_3,capitals,population,area,currencies"
COUNTRIES_A_PAGE = 100
MOST_PAGES = 10
FEWEST_COUNTRIES = 150  # an answer with fewer is broken, not news


def facts(address: str, key: SecretStr, *, clock: Clock, look: Look = lambda: None) -> Kept:
    """Ask for every country: content is alpha-2 code to `capital`, `population`, `area_km2` and `currency`, as far as known.

    Raises DataError where any of the answer has another form than expected, ConfigurationError where the key is refused.
    """
    token = key.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"}
    service = Service(
        NAME, address, clock=clock, headers=headers, secrets=(token,), patience=PATIENCE, explain=_explain, look=look
    )
    found: dict[str, dict[str, Any]] = {}
    for page in range(MOST_PAGES):
        parameters = {"limit": COUNTRIES_A_PAGE, "offset": page * COUNTRIES_A_PAGE, "response_fields": FIELDS}
        countries, total, more = read(service.get("/", parameters=parameters).content)
        if found.keys() & countries.keys():
            raise wrong_shape(NAME, "a country stands on two pages")
        found |= countries
        if not more:
            break
    if len(found) != total or total < FEWEST_COUNTRIES:
        raise wrong_shape(NAME, f"{len(found)} of {total} countries")
    return Kept(clock.now(), "", found)


def read(content: Any) -> tuple[dict[str, dict[str, Any]], int, bool]:
    """The countries of a page, how many there are in all, and whether more pages follow; raises DataError where it is none."""
    if not isinstance(content, dict) or content.get("success") is False or "errors" in content:
        raise wrong_shape(NAME, str(content.get("errors") if isinstance(content, dict) else content)[:150])
    try:
        countries, head = content["data"]["objects"], content["data"]["meta"]
        total, more = head["total"], head["more"]
        if not isinstance(countries, list) or not isinstance(total, int) or not isinstance(more, bool):
            raise TypeError
    except (KeyError, TypeError):
        raise wrong_shape(NAME, f"no page of countries, {str(content)[:150]}") from None
    by_code = dict(map(_country, countries))
    if len(by_code) != len(countries):
        raise wrong_shape(NAME, "a country stands there twice")
    return by_code, total, more


def _country(row: Any) -> tuple[str, dict[str, Any]]:
    try:
        code = row["codes"]["alpha_2"]
        told = {
            "capital": _capital(row.get("capitals")),
            "population": _size(row.get("population")),
            "area_km2": _size((row.get("area") or {}).get("kilometers")),
            "currency": _currency(row.get("currencies")),
        }
        if not re.fullmatch("[A-Z]{2}", code):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError):
        raise wrong_shape(NAME, f"the country {str(row)[:150]}") from None
    return code, {name: value for name, value in told.items() if value is not None}


def _capital(capitals: Any) -> str | None:
    """The primary capital, else the first one."""
    if not capitals:
        return None
    ordered = sorted(capitals, key=lambda capital: not capital.get("primary", False))
    name = ordered[0]["name"]
    if not isinstance(name, str) or not name:
        raise TypeError
    return name


def _currency(currencies: Any) -> str | None:
    """The first code of an object by code, or of a list of objects that have a code."""
    if not currencies:
        return None
    code = next(iter(currencies)) if isinstance(currencies, dict) else currencies[0]["code"]
    if not re.fullmatch("[A-Z]{3}", code):
        raise ValueError
    return str(code)


def _size(value: Any) -> int | float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2e10:
        raise ValueError
    return float(value) if isinstance(value, float) else int(value)


def _explain(status: int, words: str) -> NeopulseError | None:  # noqa: ARG001 - what is said beside the status may repeat the key
    if status not in (401, 403):
        return None
    return ConfigurationError(
        f"restcountries refuses the key ({status}): it is wrong, or the month's requests are used up",
        where="NEOPULSE_FACTS_RESTCOUNTRIES_KEY",
        safe=SAFE,
        next="mend the key or leave it empty, which asks the World Bank alone; then neopulse check",
    )
