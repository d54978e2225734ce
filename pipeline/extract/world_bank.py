"""Populations from the World Bank, whose API needs no key: the newest year of each country."""

from __future__ import annotations

from typing import Any

from pipeline.clock import Clock
from pipeline.extract.asking import PATIENCE, Kept, Look, etag, fetched, wrong_shape
from pipeline.http import Service

NAME = "World Bank"
INDICATOR = "SP.POP.TOTL"
LICENCE = "CC BY 4.0"
YEARS = 8  # back from this one: figures come a year late, and later for some countries
FEWEST_COUNTRIES = 150  # an answer with fewer is broken, not news
ROWS_A_PAGE = 20_000


def populations(address: str, before: Kept | None, *, clock: Clock, look: Look = lambda: None) -> Kept:
    """Ask for the populations: content is alpha-3 code to `[inhabitants, year]`.

    Raises DataError where any of the answer has another form than expected, TransientError where there is none.
    """
    service = Service(NAME, address, clock=clock, patience=PATIENCE, look=look)
    this_year = clock.now().year
    parameters = {"format": "json", "per_page": ROWS_A_PAGE, "date": f"{this_year - YEARS}:{this_year}"}
    answer = fetched(service, f"/country/all/indicator/{INDICATOR}", parameters, before)
    if answer is None and before is not None:
        return Kept(clock.now(), before.etag, before.content)
    assert answer is not None
    return Kept(clock.now(), etag(answer), read(answer.content))


def read(content: Any) -> dict[str, list[int]]:
    """The newest figure of each country or region in an answer, by alpha-3 code; raises DataError where its form is another."""
    newest: dict[str, list[int]] = {}
    for row in _rows(content):
        code, year, inhabitants = _figure(row)
        if code and inhabitants is not None and (code not in newest or newest[code][1] < year):
            newest[code] = [inhabitants, year]
    if len(newest) < FEWEST_COUNTRIES:
        raise wrong_shape(NAME, f"it knows the population of {len(newest)} countries only")
    return newest


def _rows(content: Any) -> list[Any]:
    """The rows of the one page; the API answers an error as a list of one, with status 200."""
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        raise wrong_shape(NAME, "no list of a head and rows")
    if "message" in content[0]:
        raise wrong_shape(NAME, f"an error, {str(content[0]['message'])[:150]}")
    if len(content) != 2 or not isinstance(content[1], list):
        raise wrong_shape(NAME, "no list of a head and rows")
    head: dict[str, Any] = content[0]
    rows: list[Any] = content[1]
    if head.get("pages") != 1 or head.get("total") != len(rows):
        raise wrong_shape(NAME, f"{len(rows)} rows of {head.get('total')} on one of {head.get('pages')} pages")
    return rows


def _figure(row: Any) -> tuple[str, int, int | None]:
    try:
        code, year, value = row["countryiso3code"], row["date"], row["value"]
        if row["indicator"]["id"] != INDICATOR or not isinstance(code, str):
            raise ValueError
        is_figure = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2e10
        if not (value is None or is_figure):
            raise ValueError
        return code, int(year), None if value is None else round(value)
    except (KeyError, TypeError, ValueError):
        raise wrong_shape(NAME, f"the row {str(row)[:150]}") from None
