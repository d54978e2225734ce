"""What the guard calls unusual: medians worked out by hand, columns, the last day, and what is new from then on."""

from __future__ import annotations

import string
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.guard import WORDS, Reason, Usual, column_changes, in_words, reasons
from pipeline.notify.notice_texts import NOTICE_TEXTS
from pipeline.runs.watching import USUAL_PUBLICATIONS, Publication
from pipeline.settings import Settings
from pipeline.warehouse.publication import Facts, TestSummary, Version
from streamlit_app import messages

MONDAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
AS_OF = date(2026, 3, 1)
# In order: 990, 1000, 1005, 1010, 1300. The middle is 1005; the mean would be 1061.
CUSTOMERS = (1300, 1010, 1005, 1000, 990)


def facts(rows: dict[str, int], **given: Any) -> dict[str, Any]:
    known = {
        "run_id": 6,
        "as_of": AS_OF,
        "source": "files",
        "inactivity_days": 90,
        "activity_rule": "COMPLETED transactions",
        "bank_timezone": "Europe/Paris",
        "tests": TestSummary(passed=1, failed=0, warned=0, total=1),
        "rows": rows,
    }
    return {**known, **given}


def usual(
    *rows: int,
    columns: dict[str, dict[str, str]] | None = None,
    approved: int | None = None,
    transactions: tuple[int, ...] = (),
    relation: str = "mart_customers",
    source: str = "files",
) -> Usual:
    """Publications with so many rows, the newest first; the newest is what readers see."""
    transactions = transactions or (0,) * len(rows)
    history = [
        Publication(
            f"v{len(rows) - place:04d}",
            MONDAY - timedelta(days=place),
            len(rows) - place,
            source,
            AS_OF - timedelta(days=place),
            transactions[place],
            {relation: count},
            place == approved,
        )
        for place, count in enumerate(rows)
    ]
    newest = history[0]
    own = facts({relation: rows[0]}, as_of=newest.as_of, transactions=transactions[0], source=source)
    current = Version(name=newest.version, number=5, folder=Path("v"), published_at=newest.published_at, **own)
    return Usual(current, columns or {}, history)


def found(rows: dict[str, int], what: Usual, *, columns: dict[str, dict[str, str]] | None = None, **given: Any) -> list[Reason]:
    settings = {name: given.pop(name) for name in list(given) if name in Settings.model_fields and name != "as_of"}
    return reasons(Facts(**facts(rows, **given)), columns or {}, what, Settings(_env_file=None, **settings))


def test_half_of_the_median_may_go_and_not_one_row_more() -> None:
    assert found({"mart_customers": 503}, usual(*CUSTOMERS)) == []
    [reason] = found({"mart_customers": 502}, usual(*CUSTOMERS))
    assert (reason["rule"], reason["found"], reason["usual"], reason["runs"]) == ("rows_gone", 502, 1005, 5)
    assert in_words(reason) == "rows of mart_customers: 502, 50% fewer than the usual 1,005 (median; publications: 5)"


def test_twice_the_median_is_too_much_once_five_publications_are_known() -> None:
    assert found({"mart_customers": 2010}, usual(*CUSTOMERS)) == []
    [reason] = found({"mart_customers": 2011}, usual(*CUSTOMERS))
    assert reason["rule"] == "rows_grown"
    assert found({"mart_customers": 9000}, usual(*CUSTOMERS[:4])) == []
    assert found({"mart_customers": 9000}, usual(*CUSTOMERS), guard_rows_growth=0) == []


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    assert usual(1010, 1005, 1000, 990).rows("mart_customers") == (1002, 4)  # (1000 + 1005) / 2, to the even neighbour


def test_only_the_last_thirty_publications_count() -> None:
    # 30 of 1000 and, before them, 40 of 10: with all 70 the middle would be 10.
    assert usual(*[1000] * USUAL_PUBLICATIONS, *[10] * 40).rows("mart_customers") == (1000, 30)


def test_what_an_admin_approved_is_what_is_usual_from_then_on() -> None:
    # 400 was approved two publications ago: 420, 410, 400 count, and the thousands before them no longer do.
    what = usual(420, 410, 400, 1000, 1000, 1000, 1000, approved=2)
    assert what.rows("mart_customers") == (410, 3)
    assert found({"mart_customers": 400}, what) == []


def test_small_tables_and_tables_of_faults_are_not_judged_by_what_they_lose() -> None:
    assert found({"mart_customers": 1}, usual(99, 99, 99)) == []
    assert found({"rejected_rows": 0}, usual(5000, 5000, relation="rejected_rows")) == []
    grown = found({"rejected_rows": 10_001}, usual(*[5000] * 5, relation="rejected_rows"))
    assert [reason["rule"] for reason in grown] == ["rows_grown"]


def test_a_tenth_of_the_transactions_may_go_against_the_version_before() -> None:
    before = usual(10, transactions=(1000,))
    assert found({"mart_customers": 10}, before, transactions=900) == []
    [reason] = found({"mart_customers": 10}, before, transactions=899)
    assert in_words(reason) == "10% of the transactions that v0001 counted are gone, more than the 10% allowed"
    assert found({"mart_customers": 10}, before, transactions=0, largest_shrink=1) == []


def test_transactions_that_trickle_away_are_seen_against_the_median() -> None:
    # Each step loses less than a tenth; against the median of the five, 1000, 808 is a fifth less.
    what = usual(10, 10, 10, 10, 10, transactions=(890, 950, 1000, 1000, 1000))
    [reason] = found({"mart_customers": 10}, what, transactions=808)
    assert (reason["rule"], reason["usual"], reason["runs"]) == ("transactions_unusual", 1000, 5)
    assert round(reason["share"], 3) == 0.192


def test_a_last_day_that_goes_back_is_seen_unless_it_is_pinned() -> None:
    [reason] = found({"mart_customers": 10}, usual(10), as_of=AS_OF - timedelta(days=1))
    assert in_words(reason) == "the last day of the data is 2026-02-28; version v0001 already knew 2026-03-01"
    settings = Settings(_env_file=None, as_of=date(2026, 2, 1))
    assert reasons(Facts(**facts({"mart_customers": 10}, as_of=date(2026, 2, 1))), {}, usual(10), settings) == []


def test_columns_that_are_new_missing_or_of_another_type_are_named_with_their_table() -> None:
    before = {"mart_customers": {"user_id": "VARCHAR", "plan": "VARCHAR", "accounts": "BIGINT"}}
    after = {"mart_customers": {"user_id": "BIGINT", "accounts": "BIGINT", "tier": "VARCHAR"}}
    told = [in_words(reason) for reason in found({"mart_customers": 10}, usual(10, columns=before), columns=after)]
    assert told == [
        "the column mart_customers.user_id is BIGINT; it was VARCHAR in v0001",
        "the column mart_customers.tier (VARCHAR) is new since v0001",
        "the column mart_customers.plan (VARCHAR), which v0001 has, is missing",
    ]
    assert found({"mart_customers": 10}, usual(10, columns=before), columns=after, guard_columns=False) == []


def test_tables_that_come_or_go_are_named() -> None:
    told = [in_words(reason) for reason in found({"mart_churn": 10}, usual(10))]
    assert told == ["mart_churn is new since v0001", "mart_customers, which v0001 has, is missing"]


def test_columns_of_a_table_that_stays_in_the_warehouse_are_not_compared() -> None:
    assert found({"mart_customers": 10}, usual(10, columns={"mart_customers": {"user_id": "VARCHAR"}}), columns={}) == []


def test_the_demo_bank_in_place_of_a_bank_is_held_and_a_bank_in_place_of_the_demo_is_not() -> None:
    [reason] = found({"mart_customers": 10}, usual(10), source="demo bank")
    assert in_words(reason) == "the source is the demo bank; version v0001 was made of files"
    assert found({"mart_churn": 1}, usual(5000, transactions=(9000,), source="demo bank")) == []


def test_columns_in_the_same_order_and_types_are_no_change() -> None:
    assert list(column_changes({"a": "BIGINT"}, {"a": "BIGINT"})) == []


def test_the_width_of_whole_numbers_is_no_change_for_bigquery_has_one_alone() -> None:
    of_duckdb = {"a": "INTEGER", "b": "TINYINT", "c": "INTEGER[]", "d": "DECIMAL(18,2)"}
    assert list(column_changes(of_duckdb, {"a": "BIGINT", "b": "BIGINT", "c": "BIGINT[]", "d": "DECIMAL(18,2)"})) == []
    [change] = column_changes({"a": "INTEGER"}, {"a": "DOUBLE"})
    assert (change["before"], change["after"]) == ("INTEGER", "DOUBLE")


@pytest.mark.parametrize("rule", sorted(WORDS))
def test_every_reason_can_be_said_in_the_log_the_mail_and_on_the_page_with_the_same_values(rule: str) -> None:
    values = {name for _, name, _, _ in string.Formatter().parse(WORDS[rule]) if name}
    for language in ("en", "fr"):
        for text in (NOTICE_TEXTS[language][f"reason.{rule}"], messages.catalogue(language, "ops_versions")[f"reasons.{rule}"]):
            assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= values
