"""The price of a euro by day, as the European Central Bank publishes it and Frankfurter hands it out: a history that grows."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from pipeline import files
from pipeline.clock import Clock
from pipeline.errors import InterruptedRunError, NeopulseError
from pipeline.extract.asking import PATIENCE, Answers, Kept, Look, wrong_shape
from pipeline.http import Service

ASKED = "exchange_rates"
NAME = "Frankfurter"
SOURCE = "European Central Bank, by Frankfurter"
BASE = "EUR"
FILE_NAME = "external_exchange_rates.parquet"
LOOK_BACK_DAYS = 7  # asked for again each time: a rate may be corrected, and a week always has a banking day
COLUMNS = pa.schema(
    [
        ("rate_date", pa.date32()),
        ("base", pa.string()),
        ("quote", pa.string()),
        ("rate", pa.float64()),
        ("source", pa.string()),
        ("as_of", pa.string()),
    ]
)

_log = logging.getLogger(__name__)

Rates = dict[tuple[date, str], tuple[float, str]]  # by day and currency: the rate, and the day on which it was told


@dataclass(frozen=True)
class Wanted:
    """Which currencies, from which day on, and where to ask; nothing is asked without `is_live`."""

    address: str
    currencies: tuple[str, ...]
    since: date
    is_live: bool


@dataclass(frozen=True)
class LandedRates:
    """The history of rates as it was landed: how many, of which days, how many are new or corrected, and what served them."""

    service: str
    path: Path
    rows: int
    first_day: str
    last_day: str
    new: int
    is_fallback: bool
    why: str


def land_exchange_rates(
    landing_folder: Path, facts_folder: Path, wanted: Wanted, *, clock: Clock, look: Look = lambda: None
) -> LandedRates:
    """Bring the history up to date where rates are to be asked for, and write all of it into the landing folder, whole.

    An answer of another form than expected is refused whole; the history then stays as it was.
    """
    history = facts_folder / FILE_NAME
    before = _read(history)
    rates, why, asked = before, "", None
    if wanted.is_live and wanted.currencies:
        try:
            rates, asked = _brought_up_to_date(before, facts_folder, wanted, clock, look)
        except InterruptedRunError:
            raise
        except NeopulseError as error:
            _log.warning("%s", error)
            why = error.what
    changed = sum(before.get(key) != told for key, told in rates.items())
    if changed:
        files.make_folder(facts_folder)
        _write(history, rates)
    if asked is not None:  # noted once the history holds it: a kill in between asks again
        Answers(facts_folder).keep(ASKED, asked)
    path = files.make_folder(landing_folder) / FILE_NAME
    _write(path, rates)
    days = sorted({day for day, _ in rates})
    first, last = (days[0].isoformat(), days[-1].isoformat()) if days else ("", "")
    return LandedRates(_service(wanted, rates, why, last), path, len(rates), first, last, changed, bool(why), why)


def _service(wanted: Wanted, rates: Rates, why: str, last_day: str) -> str:
    if not rates:
        return "none" if not why else "none yet"
    if wanted.is_live and not why:
        return f"{NAME} (ECB)"
    return f"{NAME} (ECB), kept, to {last_day}"


def _brought_up_to_date(before: Rates, facts_folder: Path, wanted: Wanted, clock: Clock, look: Look) -> tuple[Rates, Kept | None]:
    """The history with what is new, and what to note as asked; once a day, from the last known day less a week on."""
    asked, today = Answers(facts_folder).read(ASKED), clock.now().date()
    covers = asked is not None and bool(before) and _covers(asked.content, wanted)
    if covers and asked is not None and asked.asked_at.date() == today:
        return before, None
    start = max(day for day, _ in before) - timedelta(days=LOOK_BACK_DAYS) if covers else wanted.since
    start = max(start, wanted.since)
    new = ask(wanted, start, today, clock=clock, look=look)
    known = {key: told for key, told in new.items() if before.get(key, (None,))[0] == told[0]}
    merged = {**before, **new, **{key: before[key] for key in known}}
    return merged, Kept(clock.now(), "", {"currencies": list(wanted.currencies), "since": wanted.since.isoformat()})


def _covers(asked: Any, wanted: Wanted) -> bool:
    """Whether the history was asked for these currencies from that day on."""
    try:
        return set(wanted.currencies) <= set(asked["currencies"]) and date.fromisoformat(asked["since"]) <= wanted.since
    except (KeyError, TypeError, ValueError):
        return False


def ask(wanted: Wanted, start: date, today: date, *, clock: Clock, look: Look = lambda: None) -> Rates:
    """The rates from a day on; raises DataError where any of the answer has another form than expected."""
    service = Service(NAME, wanted.address, clock=clock, patience=PATIENCE, look=look)
    parameters = {
        "base": BASE,
        "quotes": ",".join(wanted.currencies),
        "providers": "ECB",
        "from": start.isoformat(),
        "to": today.isoformat(),
    }
    return read(service.get("/rates", parameters=parameters).content, wanted.currencies, start, today)


def read(content: Any, currencies: Sequence[str], start: date, today: date) -> Rates:
    """The rates of an answer; raises DataError where one of them is not of those asked for, or stands there twice."""
    if not isinstance(content, list) or not content:
        raise wrong_shape(NAME, f"no list of rates, {str(content)[:150]}")
    rates: Rates = {}
    for row in content:
        key, rate = _rate(row, currencies)
        if key in rates or not start <= key[0] <= today:
            raise wrong_shape(NAME, f"the row {str(row)[:150]}")
        rates[key] = (rate, today.isoformat())
    return rates


def _rate(row: Any, currencies: Sequence[str]) -> tuple[tuple[date, str], float]:
    try:
        day, rate = row["date"], row["rate"]
        is_rate = isinstance(rate, (int, float)) and not isinstance(rate, bool) and 0 < rate < 1e6
        if row["base"] != BASE or row["quote"] not in currencies or not is_rate or not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            raise ValueError
        return (date.fromisoformat(day), row["quote"]), float(rate)
    except (KeyError, TypeError, ValueError):
        raise wrong_shape(NAME, f"the row {str(row)[:150]}") from None


def _read(path: Path) -> Rates:
    try:
        rows = pa.parquet.read_table(path, schema=COLUMNS).to_pylist()
    except FileNotFoundError:
        return {}
    except (OSError, pa.ArrowInvalid):
        _log.warning("%s cannot be read: the history of exchange rates is asked for anew", path)
        return {}
    return {(row["rate_date"], row["quote"]): (row["rate"], row["as_of"]) for row in rows}


def _write(path: Path, rates: Rates) -> None:
    rows = [
        {"rate_date": day, "base": BASE, "quote": quote, "rate": rate, "source": SOURCE, "as_of": as_of}
        for (day, quote), (rate, as_of) in sorted(rates.items())
    ]
    table = pa.Table.from_pylist(rows, schema=COLUMNS)
    files.write_whole(path, lambda beside: pa.parquet.write_table(table, beside))
