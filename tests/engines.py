"""One awkward bank as three nights find it, run through the chain on any engine, and what was published compared."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
from differences import close
from histories import History, Row, random_bank, stamp, write_csv

from pipeline.clock import FixedClock
from pipeline.runner import Order, Reporter, Runner
from pipeline.runs.holders import Holders
from pipeline.runs.records import Run, RunState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse import choice
from pipeline.warehouse.publication import Version

NIGHTS = {"all of the first bank": 25, "new days and late rows": 28, "an old day corrected, a customer moved": 30}  # of March
# What may differ: a row quoted as text, the number that stands for an identifier which is none, and the source's own name.
OF_THE_ENGINE = ("source_row", "customer_key", "source_name")
# What a text column may say: blanks around a moment, digits after the microseconds, days at the ends of the calendar and behind
# them, no seconds, other zones. The text decides the night a row comes; of the first day and of unreadable ones some come later.
ODD_MOMENTS = (
    *(" 2019-03-01 10:00:00", "2019-03-01 10:00:00.123456789 UTC", "2019-03-01 10:00:00 "),
    *("0001-01-01 00:30:00-02:00", "0001-01-01 12:00:00 UTC", "0001-01-01 13:00:00 UTC"),
    *(
        "9999-12-31 12:00:00 UTC",
        "9999-12-31 23:30:00",
        "9999-12-31 23:30:00-05:00",
        "10000-01-01 00:00:00",
        "0000-12-31 12:00:00",
    ),
    *(
        "infinity",
        "2019-02-27 00:30+02:00",
        "2019-2-26 0:30:00+02:00",
        "2019-02-25T00:30+02:00",
        "2019-02-24 23:30",
        "2019-02-23 23:30 UTC",
    ),
)
Tables = Mapping[str, list[Row]]
Content = dict[str, tuple[dict[str, str], list[tuple[Any, ...]]]]


def awkward_bank() -> History:
    """Customers at the edges of the windows, dirty rows, odd identifiers, amounts that nobody can read, repeated ids."""
    history = random_bank(7, customers=16, first_day=date(2018, 12, 28), last_day=date(2019, 3, 24))
    history.customer(9001, opened=date(2019, 1, 1), plan="METAL")
    for number, (country, plan) in enumerate((("FR|X", "Y"), ("FR", "X|Y"), ("Unknown", "unknown"), ("ÎLE", "É"))):
        history.customer(9002 + number, opened=date(2019, 1, 5), country=country, plan=plan)
        history.active(9002 + number, date(2019, 1, 7))
    for day, amount in ((3, ""), (9, "n/a"), (29, "1e3"), (30, "-4.25"), (31, "0.00005")):
        history.transaction(9001, date(2019, 1, day), amount=amount, presence="TRUE")
    history.transaction(9001, date(2019, 2, 1), state="LOST")
    for state in ("COMPLETED\t", "\u00a0COMPLETED"):  # only blanks are taken off a word: these are other ones, on both engines
        history.transaction(9001, date(2019, 2, 4), state=state)
    for user_id in ("user_b7-x", "00017", "", " user_9001 ", "user_9001\t"):
        history.transaction(9001, date(2019, 2, 10))["user_id"] = user_id
    first = history.transaction(9001, date(2019, 2, 2), state="PENDING")
    history.transaction(9001, date(2019, 3, 2))["transaction_id"] = first["transaction_id"]
    history.transaction(9001, datetime(2019, 4, 3, tzinfo=UTC))  # still to come
    copied = [history.transaction(9001, date(2019, 2, 3), amount=amount) for amount in ("11.5", "12.5", "13.5")]
    # of the second night's day, which counts in the third; at the same moment, otherwise
    history.transactions.append(copied[0] | {"created_date": stamp(datetime(2019, 3, 28, 3, tzinfo=UTC))})
    history.transactions += [
        row | {"transactions_state": state} for row, state in zip(copied[1:], ("CANCELLED", "PENDING"), strict=True)
    ]
    for moment in ODD_MOMENTS:
        history.transaction(9001, moment)
    return history


def nights() -> Iterator[tuple[str, Tables]]:
    """The bank's tables as three runs find them."""
    whole = awkward_bank().tables()
    late = [row for row in whole["transactions"] if row["created_date"].startswith("2019-02-0")][::3]
    late += [row for row in whole["transactions"] if row["created_date"].startswith("0001-01-01 13")]
    early = [row for row in whole["transactions"] if row["created_date"][:10] < "2019-03-12" and row not in late]
    names = iter(NIGHTS)
    yield next(names), {**whole, "transactions": early}
    yield next(names), whole
    corrected = copy.deepcopy(whole)
    completed = [row for row in corrected["transactions"] if row["transactions_state"] == "COMPLETED"]
    completed[3]["amount_usd"] = "77.77"
    corrected["transactions"].remove(completed[5])
    next(row for row in corrected["users"] if row["user_id"] == "user_9001")["plan"] = "STANDARD"
    yield next(names), corrected


def write_days(folder: Path, tables: Tables) -> None:
    """The bank as files, a day of transactions in each; a file whose content has not changed is left alone."""
    kept = set()
    for day in sorted({row["created_date"][:10] for row in tables["transactions"]}):
        rows = [row for row in tables["transactions"] if row["created_date"][:10] == day]
        fresh = write_csv(folder.with_name("fresh"), {"transactions": rows}) / "transactions.csv"
        path = folder / f"transactions-{day.replace('/', '-')}.csv"
        if not path.exists() or path.read_bytes() != fresh.read_bytes():
            fresh.replace(path)
        kept.add(path)
    for path in set(folder.glob("transactions-*")) - kept:
        path.unlink()
    write_csv(folder, {name: rows for name, rows in tables.items() if name != "transactions"})


def run(settings: Settings, night: str) -> tuple[Run, Version]:
    """Extract and transform on the morning of that night; how the transform ended, and what it published."""
    return run_at(settings, datetime(2019, 3, NIGHTS[night], 5, tzinfo=UTC))


def run_at(settings: Settings, moment: datetime) -> tuple[Run, Version]:
    """The same at any moment."""
    clock = FixedClock(moment)
    store = RunStore.open(settings.run_store_url, clock=clock)
    publications, holders = choice.publications(settings), Holders(settings.home / "holders")
    runner = Runner(settings, store, publications, clock, holders, Reporter())
    for step in ("extract", "transform"):
        done = runner.execute(Order("cli", "the tests", first_step=step, only_step=True), cancelled=lambda: False)
        assert done.state is RunState.SUCCEEDED, done.error
    version = publications.current()
    assert version is not None
    return done, version


def built_everything(done: Run) -> bool:
    """Whether the transform began from nothing."""
    step = next(step for step in done.steps if step.name == "transform")
    return bool((step.detail or {})["full_refresh"])


def content(version: Version) -> Content:
    """Columns with their types, and the rows, of every table that a version has for its readers."""
    with duckdb.connect(version.database, read_only=True) as file:
        tables = "select table_schema, table_name from information_schema.tables where table_schema <> 'main'"
        found = {}
        for schema, name in file.execute(tables).fetchall():
            result = file.execute(f"select * from {schema}.{name}")
            columns = {column[0]: str(column[1]) for column in result.description or ()}
            found[f"{schema}.{name}"] = (columns, result.fetchall())
        return found


def different(found: Content, wanted: Content) -> list[str]:
    """Where two versions differ: tables, columns, types of the marts' columns, rows; of each table at most five rows."""
    told = [f"{name} is only in one of them" for name in sorted(found.keys() ^ wanted.keys())]
    for name in sorted(found.keys() & wanted.keys()):
        columns, rows = found[name]
        declared = columns if name.startswith("marts.") else dict.fromkeys(columns)
        expected = wanted[name][0] if name.startswith("marts.") else dict.fromkeys(wanted[name][0])
        if list(declared.items()) != list(expected.items()):
            told.append(f"{name} has the columns {declared}, not {expected}")
        else:
            told += _different_rows(name, columns, rows, wanted[name][1])
    return told


def _different_rows(name: str, columns: Mapping[str, str], found: list[Any], wanted: list[Any]) -> list[str]:
    kept = [place for place, column in enumerate(columns) if column not in OF_THE_ENGINE]
    found, wanted = _in_order(found, kept), _in_order(wanted, kept)
    if len(found) != len(wanted):
        only = [row for row in found if row not in wanted][:3], [row for row in wanted if row not in found][:3]
        return [f"{name}: {len(found)} rows, not {len(wanted)}: {only}"]
    pairs = zip(found, wanted, strict=True)
    return [f"{name}: {one} is not {other}" for one, other in pairs if not all(map(_equal, one, other))][:5]


def _in_order(rows: list[Any], places: list[int]) -> list[tuple[Any, ...]]:
    """Rows of these columns, sorted so that the last digits of a float do not decide."""
    kept = [tuple(row[place] for place in places) for row in rows]
    return sorted(kept, key=lambda row: [f"{value:.6g}" if isinstance(value, float) else repr(value) for value in row])


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return close(one, other, 1e-12)
    return bool(one == other)
