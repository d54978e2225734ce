"""Which days of the bank a run reads: the last ones by their content, older ones by their partitions, and what that scans."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

import bigquery_bank  # noqa: E402
from histories import History  # noqa: E402
from stand_ins.bigquery.server import StandIn, running  # noqa: E402

from pipeline.bigquery import connect  # noqa: E402
from pipeline.sources.bigquery import MOMENT, MOMENT_OF_TEXT, UNDATED, find, part_of, spans  # noqa: E402
from pipeline.transform import DBT_PROJECT  # noqa: E402
from pipeline.warehouse.base import Increment  # noqa: E402
from pipeline.warehouse.bigquery_estimate import full_refresh  # noqa: E402
from pipeline.warehouse.bigquery_state import State  # noqa: E402

TODAY = date(2019, 5, 17)
SOURCE = "`bank-source.bank_raw.transactions`"
OF_THE_LAST_BUILD = {
    "dim_publication": "select date '2019-05-16' as as_of",
    "typed_transactions": "select 0 as source_part, 0 as rejection_code, date '2019-01-01' as transaction_date",
    "customer_accounts": "select '' as rejection_reason, date '2019-01-01' as opening_date",
}


@dataclass
class Ticking:
    """A clock that moves on a second each time somebody looks."""

    now: dt.datetime = field(default_factory=lambda: dt.datetime(2019, 5, 17, tzinfo=dt.UTC))

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(seconds=1)
        return self.now


@dataclass
class Bank:
    """A bank with a transaction a day in January and in May, and one without a day; kept as `made` says."""

    stand_in: StandIn
    home: Path
    moment: str = "timestamp"

    def make(self, layout: str, moment: str = "timestamp") -> None:
        """Keep the transactions in a table of that layout, typed as a bank would type them."""
        self.moment = moment
        self.run(f"drop table {SOURCE}")
        self.run(
            f"""
            create or replace table {SOURCE} {layout} as
            select
                cast(transaction_id as string) as transaction_id, 'CARD_PAYMENT' as transactions_type,
                'GBP' as transactions_currency, cast(10.5 as float64) as amount_usd, 'COMPLETED' as transactions_state,
                true as ea_cardholderpresence, 5411 as ea_merchant_mcc, 'Lyon' as ea_merchant_city, 'FRA' as ea_merchant_country,
                'OUTBOUND' as direction, 'user_1' as user_id,
                cast(created_date as {moment}) as created_date
            from unnest(generate_timestamp_array('2019-01-01 12:00:00', '2019-01-20 12:00:00', interval 1 day)) as created_date
                with offset as transaction_id
            """
        )
        self.run(f"insert into {SOURCE} {self.rows('2019-05-10' if moment == 'date' else '2019-05-10 23:30:00.5', 21)}")
        self.run(f"insert into {SOURCE} {self.rows(None, 22)}")

    def rows(self, moment: str | None, number: int) -> str:
        """One more transaction, as an insert takes it."""
        written = "null" if moment is None else f"'{moment}'"
        return (
            f"select '{number}', 'ATM', 'GBP', 1.0, 'COMPLETED', false, 1, '', '', '', 'user_2', "
            f"safe_cast({written} as {self.moment})"
        )

    def run(self, sql: str) -> None:
        """A statement of the bank's own."""
        stand_ins.client(self.stand_in, bigquery_bank.SOURCE_PROJECT).query(sql).result()

    def begin(self) -> Increment:
        """Compare with what the last build read; what is to be read and to go is then in the dataset raw."""
        settings = bigquery_bank.settings(self.stand_in, self.home)
        connection = connect(settings)
        state = State(connection, find(connection, settings), prefix="neopulse", today=TODAY, look_back_days=35)
        increment = state.begin(signature="the same", full_refresh=False, before_a_full_one=lambda: None)
        client = stand_ins.client(self.stand_in, bigquery_bank.PROJECT)
        if increment.full_refresh:
            client.create_dataset("neopulse_warehouse")
            for name, query in OF_THE_LAST_BUILD.items():
                client.query(f"create table neopulse_warehouse.{name} as {query}").result()
        state.seal()
        return increment

    def read(self) -> list[int]:
        """The parts of the rows that dbt is given."""
        found = bigquery_bank.rows(
            stand_ins.client(self.stand_in, bigquery_bank.PROJECT),
            "select source_part from neopulse_raw.transactions order by source_part",
        )
        return [row["source_part"] for row in found]

    def gone(self) -> list[int]:
        """The parts whose rows go first."""
        found = bigquery_bank.rows(
            stand_ins.client(self.stand_in, bigquery_bank.PROJECT),
            "select source_part from neopulse_raw.changed_parts order by source_part",
        )
        return [row["source_part"] for row in found]


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    history = History()
    history.customer(1, opened=date(2019, 1, 1))
    history.active(1, date(2019, 1, 1))
    with running(clock=Ticking()) as stand_in:
        bigquery_bank.load(stand_ins.client(stand_in, bigquery_bank.SOURCE_PROJECT), history.tables())
        yield Bank(stand_in, tmp_path)


def january(day: int) -> int:
    return part_of(date(2019, 1, day))


NEEDS_A_CONDITION = "options (require_partition_filter = true)"
LAYOUTS = {
    "in one piece": "",
    "by day": "partition by date(created_date)",
    "by day, never read whole": f"partition by date(created_date) {NEEDS_A_CONDITION}",
    "by month, never read whole": f"partition by timestamp_trunc(created_date, month) {NEEDS_A_CONDITION}",
}


@pytest.mark.parametrize(
    "layout", [pytest.param(how, id=name, marks=pytest.mark.proof if name == "by day" else ()) for name, how in LAYOUTS.items()]
)
def test_the_days_that_differ_are_read_however_old(bank: Bank, layout: str) -> None:
    bank.make(layout)
    assert bank.begin().reason == "nothing was built before"
    assert bank.read() == [UNDATED, *map(january, range(1, 21)), part_of(date(2019, 5, 10))]
    assert (bank.begin().full_refresh, bank.read(), bank.gone()) == (False, [], [])
    bank.run(f"insert into {SOURCE} {bank.rows('2019-01-03 01:00:00', 23)}")
    assert not bank.begin().full_refresh
    assert (bank.read(), bank.gone()) == ([january(3)] * 2, [january(3)])
    bank.run(f"update {SOURCE} set amount_usd = 2 where user_id = 'user_2' and created_date > '2019-05-01'")
    assert not bank.begin().full_refresh
    assert (bank.read(), bank.gone()) == ([part_of(date(2019, 5, 10))], [part_of(date(2019, 5, 10))])
    bank.run(f"delete from {SOURCE} where date(created_date) = '2019-01-07'")
    assert not bank.begin().full_refresh
    assert (bank.read(), bank.gone()) == ([], [january(7)])
    bank.run(f"insert into {SOURCE} {bank.rows('2019-05-15 01:00:00', 25)}")  # a day that is new
    assert not bank.begin().full_refresh
    assert (bank.read(), bank.gone()) == ([part_of(date(2019, 5, 15))], [part_of(date(2019, 5, 15))])
    bank.run(f"insert into {SOURCE} {bank.rows(None, 24)}")
    assert not bank.begin().full_refresh
    assert (bank.read(), bank.gone()) == ([UNDATED] * 2, [UNDATED])


BY_SOMETHING_ELSE = f"partition by range_bucket(ea_merchant_mcc, generate_array(0, 10000, 1000)) {NEEDS_A_CONDITION}"


@pytest.mark.parametrize("layout", [LAYOUTS["by day, never read whole"], BY_SOMETHING_ELSE], ids=["its day", "another column"])
def test_a_table_that_is_never_read_whole_is_estimated_and_read_all_the_same(bank: Bank, layout: str) -> None:
    bank.make(layout)
    settings = bigquery_bank.settings(bank.stand_in, bank.home)
    connection = connect(settings)
    tables = find(connection, settings)
    estimate = full_refresh(connection, tables.values(), prefix="neopulse", project=DBT_PROJECT)
    assert estimate.reading == sum(connection.bytes_of(table.as_text()) for table in tables.values()) > 0
    assert bank.begin().reason == "nothing was built before"
    assert bank.read() == [UNDATED, *map(january, range(1, 21)), part_of(date(2019, 5, 10))]


def test_old_days_of_a_table_by_day_are_not_scanned_to_know_that_they_are_the_same(bank: Bank) -> None:
    bank.make("partition by date(created_date)")
    bank.begin()
    before = len(bank.stand_in.calls)
    bank.begin()
    comparing = [call for call in bank.stand_in.calls[before:] if "farm_fingerprint" in (call.statement or "")]
    assert len(comparing) == 1
    one_row_of_may = comparing[0].bytes_processed
    assert 0 < one_row_of_may < 150


def test_rows_that_waited_for_their_day_are_looked_for_after_as_of_alone(bank: Bank) -> None:
    bank.make("partition by date(created_date)")
    bank.begin()
    client = stand_ins.client(bank.stand_in, bigquery_bank.PROJECT)
    client.query("drop table neopulse_warehouse.typed_transactions").result()
    client.query(
        f"""
        create table neopulse_warehouse.typed_transactions partition by transaction_date as
        select {january(3)} as source_part, 4 as rejection_code, date '2019-05-17' as transaction_date
        union all select {january(4)}, 4, date '2019-05-18'
        union all select {january(5)}, null, day from unnest(generate_date_array('2019-01-01', '2019-05-16')) as day
        """
    ).result()
    before = len(bank.stand_in.calls)
    assert not bank.begin().full_refresh
    assert bank.read() == [january(3)]
    asked = [call for call in bank.stand_in.calls[before:] if "rejection_code = 4" in (call.statement or "")]
    assert [call.bytes_processed for call in asked] == [3 * 8]


@pytest.mark.parametrize("counted", ["typed_transactions", "customer_accounts"])
def test_a_row_that_counts_and_is_still_to_come_is_a_full_build(bank: Bank, counted: str) -> None:
    bank.make("partition by date(created_date)")
    bank.begin()
    client = stand_ins.client(bank.stand_in, bigquery_bank.PROJECT)
    columns = {
        "typed_transactions": "0 as source_part, cast(null as int64) as rejection_code, date '{day}' as transaction_date",
        "customer_accounts": "cast(null as string) as rejection_reason, date '{day}' as opening_date",
    }[counted]
    for days, reason in ((0, ""), (1, "a row that counted is dated after the current day: the clock has gone back")):
        client.query(f"drop table neopulse_warehouse.{counted}").result()
        last_build = columns.format(day=TODAY + timedelta(days=days))
        client.query(f"create table neopulse_warehouse.{counted} as select {last_build}").result()
        assert bank.begin().reason == reason


def test_most_of_the_bank_changed_is_a_full_build(bank: Bank) -> None:
    bank.make("partition by date(created_date)")
    bank.begin()
    bank.run(f"update {SOURCE} set amount_usd = 3 where created_date < '2019-01-18'")
    assert bank.begin().reason == "most of the bank's rows have changed"


def test_every_plain_type_arrives_as_text_that_the_models_read(bank: Bank) -> None:
    bank.make("partition by date(created_date)")
    bank.begin()
    found = bigquery_bank.rows(
        stand_ins.client(bank.stand_in, bigquery_bank.PROJECT),
        "select * except (source_part) from neopulse_raw.transactions where transaction_id = '21'",
    )
    texts: dict[str, Any] = found[0]
    assert (texts["created_date"], texts["amount_usd"]) == ("2019-05-10 23:30:00.500+00", "1")
    assert (texts["ea_cardholderpresence"], texts["ea_merchant_mcc"]) == ("false", "1")


@pytest.mark.parametrize("moment", ["datetime", "date", "string"])
def test_a_moment_may_be_kept_as_another_type(bank: Bank, moment: str) -> None:
    bank.run(
        f"""
        create or replace table {SOURCE} as
        select '1' as transaction_id, '' as transactions_type, '' as transactions_currency, 1 as amount_usd,
            '' as transactions_state, '' as ea_cardholderpresence, 1 as ea_merchant_mcc, '' as ea_merchant_city,
            '' as ea_merchant_country, '' as direction, 1 as user_id,
            cast(timestamp '2019-01-02 12:00:00' as {moment}) as created_date
        """
    )
    bank.begin()
    assert bank.read() == [january(2)]


@pytest.mark.parametrize("moment", ["timestamp", pytest.param("datetime", marks=pytest.mark.proof), "date"])
def test_the_last_day_of_the_calendar_is_a_part_like_any_other(bank: Bank, moment: str) -> None:
    bank.make("", moment)
    bank.begin()
    for day in ("9999-12-30", "9999-12-31"):
        bank.run(f"insert into {SOURCE} {bank.rows(day, 30)}")
    assert not bank.begin().full_refresh
    assert bank.read() == [part_of(date(9999, 12, 30)), part_of(date.max)]


def test_the_part_of_a_text_is_the_day_of_the_moment_that_the_models_read() -> None:
    macros = (DBT_PROJECT / "macros" / "engines.sql").read_text(encoding="utf-8")
    body = macros.split("{% macro default__read_plain_moment(text) -%}")[1].split("{%- endmacro %}")[0]
    assert "".join(body.replace("{{ text }}", MOMENT).split()) == "".join(MOMENT_OF_TEXT.split())


def test_runs_of_days_are_told_as_first_and_last() -> None:
    assert spans([5, 1, 2, 3, 9, 10]) == [(1, 3), (5, 5), (9, 10)]
    assert spans([]) == []
