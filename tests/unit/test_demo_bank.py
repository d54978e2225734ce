"""The demo bank against the published figures and the raw schema: the same again, in little memory, whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from pipeline.errors import ConfigurationError, PermanentError
from pipeline.sources.demo import FORMAT, generate
from pipeline.sources.schema import RAW_TABLES

SIZE = 150_000
PUBLISHED_SIZE = 2_740_075
PUBLISHED_CUSTOMERS = 19_430

# The figures of DEMO_BANK.md, typed anew: the generator's own constants are not asked.
TYPES = {
    "CARD_PAYMENT": 1_475_780,
    "TRANSFER": 500_409,
    "TOPUP": 388_331,
    "EXCHANGE": 159_148,
    "ATM": 93_675,
    "CASHBACK": 82_789,
    "FEE": 23_659,
    "CARD_REFUND": 11_962,
    "TAX": 2_829,
    "REFUND": 1_493,
}
STATES = {
    "COMPLETED": 2_407_968,
    "DECLINED": 155_286,
    "REVERTED": 112_618,
    "FAILED": 41_053,
    "PENDING": 21_492,
    "CANCELLED": 1_658,
}
SIGNUPS = (1105, 898, 1782, 1186, 1560, 1577, 1572, 1777, 1782, 1798, 1912, 2419, 62)
PLANS = {"STANDARD": 17_992, "PREMIUM": 865, "METAL": 507, "METAL_FREE": 37, "PREMIUM_OFFER": 25, "PREMIUM_FREE": 4}
COUNTRIES = {"GB": 6_315, "PL": 2_306, "FR": 2_110, "IE": 1_214, "RO": 1_096, "ES": 991}
ACTIVE_BY_MONTH = (
    746, 1_245, 2_654, 2_922, 4_023, 5_025, 5_891, 7_028, 7_904, 8_841, 9_870, 11_383, 11_020, 10_747, 11_165, 11_139, 8_338,
)  # fmt: skip
COMPLETED_A_CUSTOMER = {"0": 901, "1-3": 2_142, "4-15": 2_923, "16": 13_464}
SILENT = {30: 8_734, 60: 6_868, 90: 5_835, 180: 3_680}


class Bank:
    """A generated bank, its raw tables as views, and its transactions cleaned: `transactions` without the duplicates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = duckdb.connect()
        for name in RAW_TABLES:
            self._database.execute(f"create view raw_{name} as select * from '{folder / name}.parquet'")
        self._database.execute("""
            create table transactions as
            select distinct
                transaction_id, user_id, transactions_type as type, transactions_state as state,
                transactions_state = 'COMPLETED' as completed, amount_usd::double as amount, direction,
                transactions_currency as currency, ea_merchant_mcc as category, ea_merchant_city as city,
                ea_merchant_country as country, ea_cardholderpresence as presence, created_date[1:26]::timestamp as moment,
            from raw_transactions
        """)
        self._database.execute("""
            create table customers as
            select
                users.*, users.created_date[1:26]::timestamp as signed_up, coalesce(all_of.transactions, 0) as transactions,
                coalesce(all_of.completed, 0) as completed, first_completed, last_completed, first_moment,
            from raw_users as users
            left join (
                select
                    user_id, count(*) as transactions, count(*) filter (completed) as completed,
                    min(moment) filter (completed) as first_completed, max(moment) filter (completed) as last_completed,
                    min(moment) as first_moment,
                from transactions group by user_id
            ) as all_of using (user_id)
        """)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._database.execute(query).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def counts(self, query: str) -> dict[Any, int]:
        return dict(self.rows(query))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A bank of about 1,064 customers."""
    folder = tmp_path_factory.mktemp("bank")
    generate(folder, transactions=SIZE, seed=1)
    return Bank(folder)


@pytest.fixture(scope="module")
def published_bank(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bank, float]:
    """A bank of the published size, made by a process of its own, and the most memory that process held, in MB."""
    folder = tmp_path_factory.mktemp("published")
    megabytes = _generate_apart(folder, PUBLISHED_SIZE)
    return Bank(folder), megabytes


@pytest.fixture(params=["small", pytest.param("published", marks=pytest.mark.slow)])
def either_bank(request: pytest.FixtureRequest) -> Bank:
    made: Bank = request.getfixturevalue("bank") if request.param == "small" else request.getfixturevalue("published_bank")[0]
    return made


def _generate_apart(folder: Path, transactions: int) -> float:
    """Generate in a process of its own; its peak memory in MB (that process's own, whatever ran before it)."""
    program = f"""
from pathlib import Path
from pipeline.sources.demo import generate
generate(Path({str(folder)!r}), transactions={transactions}, seed=1)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


def digests(folder: Path) -> dict[str, str]:
    """One digest of all values a table, in their order."""
    tables = {name: parquet.read_table(folder / f"{name}.parquet").to_pydict() for name in RAW_TABLES}
    return {name: hashlib.sha256(repr(values).encode()).hexdigest() for name, values in tables.items()}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


WHOLE = {"demo.json", *(f"{name}.parquet" for name in RAW_TABLES)}


def scaled(published: float, bank: Bank) -> float:
    return published * bank.value("select count(*) from customers") / PUBLISHED_CUSTOMERS


def test_the_same_size_and_seed_give_the_same_values_and_another_seed_gives_others(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        generate(tmp_path / name, transactions=20_000, seed=seed)
    assert digests(tmp_path / "one") == digests(tmp_path / "again")
    assert not set(digests(tmp_path / "one").values()) & set(digests(tmp_path / "other").values())


def test_every_table_has_the_raw_columns_in_order_and_all_of_them_text(bank: Bank) -> None:
    for name, table in RAW_TABLES.items():
        schema = parquet.read_schema(bank.folder / f"{name}.parquet")
        assert tuple(schema.names) == table.columns
        assert set(schema.types) == {pa.string()}


@pytest.mark.parametrize("size", [1_000, 1_234, 5_000, 40_001])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_a_bank_of_any_size_has_exactly_that_many_different_transactions(tmp_path: Path, size: int, seed: int) -> None:
    generate(tmp_path, transactions=size, seed=seed)
    made = Bank(tmp_path)
    assert made.value("select count(*) from transactions") == size
    assert made.value("select count(distinct transaction_id) from transactions") == size
    assert made.value("select count(*) from customers") == round(size * PUBLISHED_CUSTOMERS / PUBLISHED_SIZE)
    assert made.value("select count(*) from transactions anti join raw_users using (user_id)") == 0


def test_the_manifest_names_format_size_seed_and_rows(bank: Bank) -> None:
    manifest = json.loads((bank.folder / "demo.json").read_text())
    rows = {name: bank.value(f"select count(*) from raw_{name}") for name in RAW_TABLES}
    assert manifest == {"format": FORMAT, "transactions": SIZE, "seed": 1, "rows": rows}


def test_progress_rises_to_the_total(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    generate(tmp_path, transactions=600_000, seed=1, progress=lambda done, total: told.append((done, total)))
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (600_000, 600_000)


@pytest.mark.parametrize(("size", "seed"), [(999, 1), (-1, 1), (1_000, -1)])
def test_a_size_or_a_seed_that_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, size: int, seed: int) -> None:
    with pytest.raises(ConfigurationError, match=r"at least 1000|0 or more"):
        generate(tmp_path / "bank", transactions=size, seed=seed)
    assert not (tmp_path / "bank").exists()


@pytest.mark.slow
def test_counts_that_are_published_exactly_are_exact(published_bank: tuple[Bank, float]) -> None:
    bank, _ = published_bank
    assert bank.value("select count(*) from customers") == PUBLISHED_CUSTOMERS
    assert bank.value("select count(*) from transactions") == PUBLISHED_SIZE
    signups = bank.rows(
        "select count(*) from customers group by date_trunc('month', signed_up) order by date_trunc('month', signed_up)"
    )
    assert tuple(count for (count,) in signups) == SIGNUPS
    assert bank.counts("select plan, count(*) from customers group by plan") == PLANS
    top = bank.rows("select country, count(*) from customers group by country order by count(*) desc limit 6")
    assert dict(top) == COUNTRIES
    assert bank.value("select count(distinct country) from customers") == 41
    brands = {"Android": 9_714, "Apple": 9_673, "Unknown": 43, "brand": 1}
    assert bank.counts("select string_field_0, count(*) from raw_devices group by 1") == brands
    assert bank.value("select count(*) from customers where user_settings_crypto_unlocked = '1'") == 3_517
    assert bank.value("select count(*) from customers where transactions = 0") == 664
    assert bank.value("select count(*) from customers where transactions > 0 and completed = 0") == 237
    notifications = bank.rows(
        "select count(*), count(distinct user_id), count(distinct reason) from (select distinct * from raw_notifications)"
    )
    assert notifications == [(121_813, 18_953, 17)]


def test_types_states_and_amounts_have_the_published_shares(either_bank: Bank) -> None:
    bank = either_bank
    share = bank.value("select count(*) from transactions") / PUBLISHED_SIZE
    for column, published in (("type", TYPES), ("state", STATES)):
        made = bank.counts(f"select {column}, count(*) from transactions group by {column}")
        assert made == {name: pytest.approx(count * share, rel=0.03, abs=15) for name, count in published.items()}
    median, high = bank.value("select quantile_cont(amount, [0.5, 0.95]) from transactions")
    assert median == pytest.approx(8.51, abs=0.15)
    assert high == pytest.approx(200, rel=0.04)
    assert bank.value("select count(*) from transactions where amount = 0") == pytest.approx(58_604 * share, rel=0.06)
    assert bank.value("select avg((category is null)::int) from transactions") == pytest.approx(0.423, abs=0.005)
    assert bank.value("select count(distinct currency) from transactions") == 35


@pytest.mark.slow
def test_customers_are_active_fall_silent_and_return_as_published(published_bank: tuple[Bank, float]) -> None:
    bank, _ = published_bank
    months = bank.rows("""
        select count(distinct user_id) from transactions where completed
        group by date_trunc('month', moment) order by date_trunc('month', moment)
    """)
    assert [count for (count,) in months] == [pytest.approx(count, rel=0.10) for count in ACTIVE_BY_MONTH]
    for days, published in SILENT.items():
        assert silent(bank, days) * PUBLISHED_CUSTOMERS == pytest.approx(published, rel=0.05)
    assert silent(bank, 30, "STANDARD") == pytest.approx(0.479, abs=0.015)
    assert silent(bank, 30, "PREMIUM") == pytest.approx(0.111, abs=0.025)
    assert silent(bank, 30, "METAL") == pytest.approx(0.036, abs=0.02)
    by_completed = bank.counts("""
        select
            case when completed = 0 then '0' when completed < 4 then '1-3' when completed < 16 then '4-15' else '16' end,
            count(*)
        from customers group by 1
    """)
    assert by_completed == {key: pytest.approx(count, rel=0.08) for key, count in COMPLETED_A_CUSTOMER.items()}
    assert came_back(bank) == pytest.approx(0.20, abs=0.02)


def test_a_small_bank_has_the_shape_of_the_published_one(bank: Bank) -> None:
    assert silent(bank, 30) == pytest.approx(8_734 / PUBLISHED_CUSTOMERS, abs=0.05)
    assert silent(bank, 180) == pytest.approx(3_680 / PUBLISHED_CUSTOMERS, abs=0.04)
    assert silent(bank, 30, "STANDARD") > 3 * silent(bank, 30, "PREMIUM")
    assert came_back(bank) == pytest.approx(0.20, abs=0.05)
    april = "select count(distinct user_id) from transactions where completed and moment between '2019-04-01' and '2019-05-01'"
    assert bank.value(april) == pytest.approx(scaled(11_139, bank), rel=0.10)


def silent(bank: Bank, days: int, plan: str = "%") -> float:
    """Share of customers with nothing completed for more than that many days before the end, never included."""
    return float(
        bank.value(f"""
            select avg((last_completed is null or date '2019-05-16' - last_completed::date > {days})::int)
            from customers where plan like '{plan}'
        """)
    )


def came_back(bank: Bank) -> float:
    """Share of customers with more than 90 days between two completed transactions."""
    return float(
        bank.value("""
            select count(distinct user_id) / (select count(*) from customers)
            from (
                select user_id, moment::date - lag(moment::date) over (partition by user_id order by moment) as gap
                from transactions where completed
            )
            where gap > 90
        """)
    )


def test_the_first_transaction_comes_after_the_published_time_and_never_before_the_signup(either_bank: Bank) -> None:
    median, third_quarter, ninth_tenth = either_bank.value("""
        select quantile_cont(epoch(first_completed - signed_up) / 60, [0.5, 0.75, 0.9]) from customers where completed > 0
    """)
    assert median == pytest.approx(21, rel=0.25)
    assert third_quarter / 1440 == pytest.approx(4.0, rel=0.35)
    assert ninth_tenth / 1440 == pytest.approx(38.9, rel=0.25)
    assert either_bank.value("select count(*) from customers where first_moment < signed_up") == 0


def test_the_data_begins_on_the_first_day_and_thins_out_until_it_is_cut_on_the_last(either_bank: Bank) -> None:
    first, last = either_bank.rows("select min(moment), max(moment) from transactions")[0]
    assert datetime(2018, 1, 1) <= first < datetime(2018, 1, 8)
    assert datetime(2019, 5, 16) <= last < datetime(2019, 5, 16, 18, 22)
    by_day = [
        count for (count,) in either_bank.rows("select count(*) from transactions group by moment::date order by moment::date")
    ]
    assert sum(by_day[-7:]) < 0.4 * sum(by_day[-14:-7])
    assert by_day[-1] < 0.1 * by_day[-8]


def test_rows_lie_in_the_order_of_time_but_for_the_duplicates(bank: Bank) -> None:
    numbers = [int(name.removeprefix("transaction_")) for (name,) in bank.rows("select transaction_id from raw_transactions")]
    assert numbers[:SIZE] == list(range(1, SIZE + 1))
    moments = [moment for (moment,) in bank.rows(f"select created_date[1:26] from raw_transactions limit {SIZE}")]
    assert moments == sorted(moments)


def test_timestamps_have_three_spellings_in_every_table_that_has_any(either_bank: Bank) -> None:
    for table in ("users", "notifications", "transactions"):
        endings = either_bank.counts(f"select created_date[27:], count(*) from raw_{table} group by 1")
        assert set(endings) == {" UTC", "+00:00", ""}
        assert max(endings, key=lambda ending: endings[ending]) == " UTC"
        odd = r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}( UTC|\+00:00)?$"
        assert either_bank.value(f"select count(*) from raw_{table} where not regexp_matches(created_date, '{odd}')") == 0


def test_the_dirt_of_the_real_files_is_there(bank: Bank) -> None:
    assert bank.value("select count(*) from raw_devices where string_field_0 = 'brand' and string_field_1 = 'user_id'") == 1
    assert bank.value("select count(*) from raw_users where regexp_matches(city, '[0-9]')") == round(scaled(199, bank))
    assert bank.value(r"select count(*) from transactions where regexp_matches(city, '^\+?[0-9-]{9,}$')") > 500
    assert bank.value("select count(*) from transactions where regexp_matches(city, '[0-9]+ [A-Z]|[A-Za-z]+ [0-9]')") > 300
    presence = {text for (text,) in bank.rows("select distinct presence from transactions")}
    assert presence == {"TRUE", "true", "True", "FALSE", "false", "False", "UNKNOWN", None}
    romania = bank.counts("select country, count(*) from transactions where country in ('ROM', 'ROU') group by country")
    assert romania["ROM"] > romania["ROU"] > 0
    assert bank.value(r"select count(*) from transactions where not regexp_matches(category, '^\d{4}\.0$')") == 0
    for table in ("transactions", "notifications"):
        different = bank.value(f"select count(*) from (select distinct * from raw_{table})")
        assert bank.value(f"select count(*) from raw_{table}") > different
    push, email = "attributes_notifications_marketing_push", "attributes_notifications_marketing_email"
    assert bank.value(f"select count(*) from raw_users where {push} is null") == pytest.approx(scaled(6_610, bank), abs=1)
    assert bank.value(f"select count(*) from raw_users where ({push} is null) != ({email} is null)") == 0
    assert {text for (text,) in bank.rows(f"select distinct {push} from raw_users")} == {"1.0", "0.0", None}


def test_absurd_billions_are_there_and_never_completed(bank: Bank) -> None:
    states = bank.counts("select state, count(*) from transactions where amount >= 1e9 group by state")
    assert states
    assert "COMPLETED" not in states
    assert bank.value("select count(*) from transactions where amount < 0 or amount is null") == 0
    assert bank.value("select count(*) from transactions where amount between 1e6 and 1e9") == 0


def test_only_card_rows_name_a_merchant_and_only_metal_plans_earn_cashback(bank: Bank) -> None:
    with_merchant = bank.rows(
        "select distinct type from transactions where coalesce(city, country, category, presence) is not null"
    )
    assert {name for (name,) in with_merchant} == {"CARD_PAYMENT", "ATM", "CARD_REFUND"}
    plans = bank.rows("select distinct plan from transactions join customers using (user_id) where type = 'CASHBACK'")
    assert {name for (name,) in plans} <= {"METAL", "METAL_FREE"}
    assert bank.counts("select direction, count(*) from transactions where type = 'TOPUP' group by 1").keys() == {"INBOUND"}


@pytest.mark.slow
def test_a_bank_of_the_published_size_needs_little_memory(published_bank: tuple[Bank, float]) -> None:
    _, megabytes = published_bank
    assert megabytes < 600


def test_a_killed_generator_leaves_nothing_that_looks_whole_and_the_next_one_clears_up(tmp_path: Path) -> None:
    program = f"""
import signal
from pathlib import Path
from pipeline.sources.demo import generate
def progress(done, total):
    print("transactions are written", flush=True)
    signal.pause()
generate(Path({str(tmp_path)!r}), transactions=5_000, seed=1, progress=progress)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as generator:
        assert generator.stdout is not None
        assert generator.stdout.readline() == "transactions are written\n"
        generator.kill()
    assert generator.returncode == -signal.SIGKILL
    assert names(tmp_path)
    assert not names(tmp_path) & WHOLE
    generate(tmp_path, transactions=5_000, seed=1)
    assert names(tmp_path) == WHOLE


def test_a_generator_that_fails_leaves_the_earlier_bank_as_it_was(tmp_path: Path) -> None:
    generate(tmp_path, transactions=5_000, seed=1)
    before, manifest = digests(tmp_path), (tmp_path / "demo.json").read_text()

    def fail(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, transactions=5_000, seed=2, progress=fail)
    assert names(tmp_path) == WHOLE
    assert digests(tmp_path) == before
    assert (tmp_path / "demo.json").read_text() == manifest


def test_a_bank_half_put_in_place_has_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path, transactions=5_000, seed=1)
    put = os.replace

    def refuse_users(source: Path, target: Path) -> None:
        if target.name == "users.parquet":
            raise OSError(28, "No space left on device")
        put(source, target)

    monkeypatch.setattr(os, "replace", refuse_users)
    with pytest.raises(PermanentError, match="No space left on device"):
        generate(tmp_path, transactions=5_000, seed=2)
    assert "demo.json" not in names(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        generate(tmp_path / "file" / "bank", transactions=5_000, seed=1)
