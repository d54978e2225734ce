"""The chain on the bank's real files as they lie: every customer, and the transactions of thirty of them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import oracle
import pytest
from chain import Published, Replayed, publish
from differences import differences

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "neobank_sample"
CUSTOMERS, TRANSACTIONS, ACTIVE_CUSTOMERS = 19_430, 42_648, 30
AS_OF = date(2019, 5, 13)

pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"the real sample is not at {SAMPLE}")


def rows_of(table: str) -> list[dict[str, str]]:
    with (SAMPLE / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(SAMPLE, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def replayed() -> Replayed:
    return Replayed(oracle.read_folder(SAMPLE), window=90)


def test_it_is_a_statement_about_the_last_day_with_data(published: Published) -> None:
    assert published.as_of == AS_OF
    assert published.reader.version.source == "files"


def test_every_customer_of_the_file_is_there_with_the_file_s_own_attributes(published: Published) -> None:
    customers, users = published.rows("mart_customers"), rows_of("users")
    assert len(customers) == CUSTOMERS
    for column in ("country", "plan"):
        assert Counter(row[column] for row in customers) == Counter(row[column] for row in users)
    # The file of devices says Apple 9,673, Android 9,714, Unknown 43 and, once, its own header.
    assert Counter(row["os"] for row in customers) == {"iOS": 9_673, "Android": 9_714, "unknown": 43}
    assert sum(row["plan_tier"] == "standard" for row in customers) == 17_992


def test_unknown_opt_ins_stay_unknown(published: Published) -> None:
    push = Counter(row["notifications_push"] for row in published.rows("dim_customers"))
    assert push == {True: 12_148, False: 672, None: 6_610}


def test_what_is_wrong_with_the_rows_is_counted(published: Published) -> None:
    found = {(row["source_table"], row["reason"]): row["rows_affected"] for row in published.rows("mart_data_quality")}
    assert found["devices", "stray_header_row"] == 1
    assert found["users", "city_with_digits"] == sum(any(sign.isdigit() for sign in row["city"]) for row in rows_of("users"))


def test_transactions_and_amounts_add_up_to_the_file_s_by_type(published: Published) -> None:
    transactions = rows_of("transactions")
    found = {row["transaction_type"]: row for row in published.rows("mart_transactions_global")}
    assert found["all"]["transactions"] == found["all"]["completed_transactions"] == TRANSACTIONS
    for kind, count in Counter(row["transactions_type"] for row in transactions).items():
        amount = sum(Decimal(row["amount_usd"]) for row in transactions if row["transactions_type"] == kind)
        assert found[kind]["transactions"] == count
        assert found[kind]["completed_amount_usd"] == pytest.approx(float(amount), abs=0.005)


def test_daily_active_customers_are_those_seen_in_the_file_on_that_day_in_paris(published: Published) -> None:
    seen = {(row["user_id"], paris_day(row["created_date"])) for row in rows_of("transactions") if counts(row)}
    assert published.values("dau") == Counter(day for _, day in seen)


def counts(row: dict[str, str]) -> bool:
    return row["transactions_type"] not in {"FEE", "TAX", "CASHBACK", "REFUND", "CARD_REFUND"}


def paris_day(text: str) -> date:
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=ZoneInfo("UTC"))
    return moment.astimezone(ZoneInfo("Europe/Paris")).date()


def test_who_never_transacted_in_the_file_is_inactive_since_opening(published: Published) -> None:
    opening = {row["user_id"].removeprefix("user_"): paris_day(row["created_date"]) for row in rows_of("users")}
    never = opening.keys() - {row["user_id"].removeprefix("user_") for row in rows_of("transactions")}
    assert len(never) == CUSTOMERS - ACTIVE_CUSTOMERS
    stretches = [row for row in published.rows("mart_user_is_active") if row["user_id"] in never]
    assert len(stretches) == len(never)
    for row in stretches:
        assert (row["is_active"], row["starting_date"], row["ending_date"]) == (False, opening[row["user_id"]], None)


def test_the_interval_table_is_the_replayed_calendar_of_every_customer(published: Published, replayed: Replayed) -> None:
    wanted = {
        (one.user_id, one.starting_date, one.is_active, one.ending_date, one.recognised_on, one.is_provisional)
        for customer in replayed.bank.customers
        for one in oracle.stretches(customer, 90, AS_OF)
    }
    names = ("user_id", "starting_date", "is_active", "ending_date", "recognised_on", "is_provisional")
    rows = published.rows("mart_user_is_active")
    assert {tuple(row[name] for name in names) for row in rows} == wanted
    assert len(rows) == len(wanted)


@pytest.mark.parametrize("window", [7, 14, 29, 30, 31, 60, 90, 180])
@pytest.mark.parametrize(
    "metric",
    ["active_customers", "new_customers", "resurrected_customers", "churned_customers", "monthly_churn_rate", "survival"],
)
def test_any_window_gives_what_the_replay_counts(published: Published, replayed: Replayed, metric: str, window: int) -> None:
    found, wanted = (source.figures(metric, window=window) for source in (published, replayed))
    assert differences(found, wanted) == []


@pytest.mark.parametrize(
    "question",
    [
        {"metric": "retention_cohort", "grain": "month", "kind": "classic"},
        {"metric": "retention_cohort", "grain": "week", "kind": "unbounded", "window": 30},
        {"metric": "retention_cohort", "grain": "month", "kind": "classic", "cohort": "signup", "country": "GB"},
        {"metric": "stickiness"},
        {"metric": "wau", "by": "country"},
        {"metric": "mau", "plan_tier": "premium"},
        {"metric": "l28"},
        {"metric": "time_to_first_transaction", "by": "plan_tier"},
        {"metric": "amount_retention", "kind": "gross"},
        {"metric": "transactions", "by": "type"},
        {"metric": "transaction_amount", "by": "age_band"},
        {"metric": "quick_ratio", "grain": "week", "window": 7},
    ],
    ids=lambda question: " ".join(str(value) for value in question.values()),
)
def test_figures_are_what_the_replay_counts(published: Published, replayed: Replayed, question: dict[str, Any]) -> None:
    ask: Callable[..., Any] = published.figures
    assert differences(ask(**question), replayed.figures(**question)) == []


def test_presence_that_the_file_never_states_is_unknown_and_no_share_is_made_of_it(published: Published) -> None:
    rows = published.rows("mart_card_not_present_global")
    payments = [row for row in rows_of("transactions") if row["transactions_type"] in ("CARD_PAYMENT", "ATM")]
    assert sum(row["payments_unknown"] for row in rows) == len(payments)
    assert all(row["payments_known"] == 0 and row["share_by_count"] is None for row in rows)


def test_nothing_reaches_beyond_the_last_day(published: Published) -> None:
    churn = published.figures("monthly_churn_rate")
    assert max(churn) == date(2019, 5, 1)
    assert churn[date(2019, 5, 1)].provisional
    assert not churn[date(2019, 4, 1)].provisional
    assert max(published.values("active_customers")) == AS_OF
    assert AS_OF + timedelta(days=1) not in published.figures("dau")
