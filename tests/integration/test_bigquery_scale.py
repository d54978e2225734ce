"""What docs/scale.md computes, held against a small bank in the stand-in of BigQuery: a full refresh and three nights.

The bank's transactions are typed and kept by day, as the page assumes. The nights are the dearest of their kind: the last day of
a month of 31 days, after which 90 days are over for one more reference day of the silences.
"""

from __future__ import annotations

import calendar
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
from engines import built_everything, run_at  # noqa: E402
from histories import History, Row  # noqa: E402
from scale_reads import QUALIFIED, Analyst, Reads, of_models, raw_tables, remembered, written  # noqa: E402
from stand_ins.bigquery.columns import Column  # noqa: E402
from stand_ins.bigquery.faults import Call  # noqa: E402
from stand_ins.bigquery.server import StandIn, running  # noqa: E402
from stand_ins.bigquery.storage import TableId  # noqa: E402

from pipeline.extract.countries import land_country_facts  # noqa: E402
from pipeline.warehouse.publication import Version  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import scale  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.proof]

LAST_DAY = date(2017, 3, 31)
LATE_DAY = date(2017, 3, 1)  # 30 days before
DAYS = 300
TABLE = f"{bigquery_bank.SOURCE_PROJECT}.{bigquery_bank.SOURCE}.transactions"
TYPES = {"created_date": "TIMESTAMP", "amount_usd": "NUMERIC"}
Sizes = Mapping[str, Mapping[tuple[str, str], int]]  # of each table, by partition and column


@dataclass(frozen=True)
class Night:
    """What one run asked of BigQuery, and what the tables held afterwards; `bank_view` is what it read the bank by."""

    version: Version
    built_everything: bool
    calls: list[Call]
    sizes: Sizes
    bank_view: str

    @property
    def models(self) -> list[dict[str, Any]]:
        """The models as they were compiled."""
        found: list[dict[str, Any]] = json.loads((self.version.folder / "models.json").read_text(encoding="utf-8"))
        return found

    def made(self, model: str) -> Call | None:
        """The statement that filled a model's table."""
        calls = [call for call in self.calls if call.labels.get("model") == model and call.status == 200]
        filling = [call for call in calls if "create or replace table" in (call.statement or "")]
        of_itself = [call for call in filling if "_before`" not in (call.statement or "").partition(" as ")[0]]
        return max(of_itself, key=lambda call: call.bytes_processed, default=None)


def bank() -> History:
    """Somebody is active every day, others now and then."""
    history, first = History(), LAST_DAY - timedelta(days=DAYS - 1)
    for number in range(1, 9):
        history.customer(number, opened=first, country="FR" if number % 2 else "GB")
        history.active(number, *(first + timedelta(days=day) for day in range(number, DAYS - 1, 1 + 5 * (number - 1))))
    return history


def nights(history: History) -> Iterator[tuple[str, datetime, Sequence[Row], bool]]:
    """The kind of each run, when it runs, the transactions that are new to it, and whether the users are."""
    morning = datetime(2017, 4, 1, 5, tzinfo=UTC)

    def come(*days: date) -> list[Row]:
        rows = [history.transaction(number, day) for day in days for number in (1, 3)]
        return [*rows, rows[0]]  # one of them twice

    yield "full", morning - timedelta(days=1), list(history.transactions), True
    yield "new_day", morning, come(LAST_DAY), False
    yield "late", morning, come(LAST_DAY, LATE_DAY), False
    history.users[3]["plan"] = "METAL"
    yield "moved", morning, come(LAST_DAY, LATE_DAY), True


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Night]]:
    history, done = bank(), {}
    with running() as stand_in:
        settings = bigquery_bank.settings(stand_in, tmp_path_factory.mktemp("home"), threads=2)
        for kind, moment, rows, with_users in nights(history):
            come(stand_in, history, rows, with_users=with_users)
            calls = len(stand_in.calls)
            run, version = run_at(settings, moment)
            view = stand_in.warehouse.relation(TableId(bigquery_bank.PROJECT, "neopulse_raw", "transactions")).query or ""
            done[kind] = Night(version, built_everything(run), stand_in.calls[calls:], sizes(stand_in), view)
        yield done


def come(stand_in: StandIn, history: History, rows: Sequence[Row], *, with_users: bool) -> None:
    """Let rows stand in the bank's own tables: the transactions typed, and each in the partition of its day."""
    client = stand_ins.client(stand_in, bigquery_bank.SOURCE_PROJECT)
    others = {"users": history.users, "devices": history.devices} if with_users else {}
    bigquery_bank.load(client, {**others, "arrived": rows})
    typed = ", ".join(f"cast({column} as {kind}) as {column}" for column, kind in TYPES.items())
    selected = f"select * replace ({typed}) from `{TABLE.replace('transactions', 'arrived')}`"
    is_there = stand_in.warehouse.find(TableId(*TABLE.split("."))) is not None
    into = f"insert into `{TABLE}`" if is_there else f"create table `{TABLE}` partition by date(created_date) as"
    client.query(f"{into} {selected}").result()


def sizes(stand_in: StandIn) -> dict[str, dict[tuple[str, str], int]]:
    """The bytes of each table that is there now; of the bank's own transactions under the name that the formula has for them."""
    held = stand_in.warehouse
    places = [(bigquery_bank.PROJECT, f"neopulse_{schema}") for schema in ("raw", "warehouse", "marts")]
    found = {one.id.table: dict(held.sizes(one)) for place in places for one in held.relations(*place) if one.kind == "TABLE"}
    found["bank_transactions"] = dict(held.sizes(held.relation(TableId(*TABLE.split(".")))))
    return found


@pytest.fixture(params=["full", *scale.NIGHTS])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_nights_are_what_the_page_says_of_them(built: dict[str, Night]) -> None:
    assert [night.built_everything for night in built.values()] == [True, False, False, False]
    assert [night.version.as_of for night in built.values()] == [LAST_DAY - timedelta(days=1), *[LAST_DAY] * 3]
    windows = []
    for night in built.values():
        by_model = {model["name"]: model["sql"] for model in night.models}
        windows.append([name for name in ("fct_customer_activity", "mart_daily_counts") if "1900-01-01" in by_model[name]])
    assert windows == [["mart_daily_counts"], [], [], ["mart_daily_counts"]]


def test_the_scale_is_computed_from_what_the_models_read(built: dict[str, Night], tmp_path: Path) -> None:
    tables = raw_tables(land_country_facts(tmp_path).path)
    bank = tuple(Column(column.name, TYPES.get(column.name, "STRING")) for column in tables["transactions"][:-1])
    analyst = Analyst({**tables, "bank_transactions": bank})
    models = built["full"].models
    views = [model["name"] for model in models if model["name"] == "fct_transactions" or model["schema"] == "staging"]
    found: dict[str, Reads] = {}
    for kind, night in built.items():
        analyst.add("transactions", night.bank_view.replace(f"`{TABLE}`", "bank_transactions"), is_view=True)
        found[kind] = of_models(
            night.models, analyst, partition_columns=scale.PARTITION_COLUMNS, views=views, last_day=night.version.as_of
        )
        analyst.tables |= remembered(analyst.tables)
    path = tmp_path / scale.READS.name
    path.write_text(written(found), encoding="utf-8")
    again = f"models read otherwise now: cp {path} {scale.READS}, then python scripts/scale.py"
    assert path.read_text(encoding="utf-8") == scale.READS.read_text(encoding="utf-8"), again


def test_the_formula_of_the_scale_gives_the_bytes_that_are_counted(built: dict[str, Night], kind: str) -> None:
    night, reads = built[kind], json.loads(scale.READS.read_text(encoding="utf-8"))[kind]
    checked = 0
    for model, tables in reads.items():
        made = night.made(model)
        if made is not None:  # a view is read when it is copied
            predicted = sum(bytes_of(night, table, read) for table, reads in tables.items() for read in reads)
            beside = sum(sum(night.sizes[table].values()) for table in small_tables(night, made.statement or ""))
            assert predicted <= made.bytes_processed <= predicted + beside, (model, predicted, beside, made.bytes_processed)
            checked += 1
    assert checked > 20


def bytes_of(night: Night, table: str, read: Mapping[str, Any]) -> int:
    """The bytes of the columns on the days."""
    last_day = night.version.as_of

    def is_read(partition: str) -> bool:
        if not partition.isdigit() or not scale.PARTITION_COLUMNS[table]:
            return [None, None] in read["days"]
        year, month = int(partition[:4]), int(partition[4:6])
        first = date(year, month, int(partition[6:] or 1))
        last = first if partition[6:] else date(year, month, calendar.monthrange(year, month)[1])
        oldest, youngest = (last_day - first).days, (last_day - last).days
        return any((low is None or low >= youngest) and (high is None or high <= oldest) for low, high in read["days"])

    columns = ((partition, size) for (partition, column), size in night.sizes[table].items() if column in read["columns"])
    return sum(size for partition, size in columns if is_read(partition))


def small_tables(night: Night, statement: str) -> set[str]:
    """The tables that a statement names, itself or by views, and that the formula has not."""
    views = {model["name"]: model["sql"] for model in night.models}
    told, waiting = set(), {*QUALIFIED.findall(statement)}
    while waiting:
        name = waiting.pop()
        told.add(name)
        if name not in night.sizes:
            waiting |= {*QUALIFIED.findall(views.get(name, ""))} - told
    return {name for name in told if name in night.sizes and name not in scale.PARTITION_COLUMNS}


def test_what_a_model_asks_before_its_own_statement_is_in_the_scale(built: dict[str, Night]) -> None:
    night = built["late"]
    for model, (table, columns) in scale.LOOKS.items():
        asked = [call for call in night.calls if call.labels.get("model") == model and "string_agg" in (call.statement or "")]
        found = [call.bytes_processed for call in asked if table in (call.statement or "")]
        sizes = night.sizes[table]
        predicted, whole = sum(size for (_, column), size in sizes.items() if column in columns), sum(sizes.values())
        assert len(found) > 0, model
        assert all(predicted <= size < whole / 2 for size in found), (model, found, predicted, whole)
