"""From the opening to the first transaction: the section of the page Retention."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from page_kit import failed, opened

from streamlit_app import auth, data, figures, formats
from streamlit_app.components import first_transaction
from streamlit_app.figures import Point

pytestmark = pytest.mark.xdist_group("the bank of the pages")


@pytest.fixture(autouse=True)
def home(pages_bank: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEOPULSE_HOME", str(pages_bank))
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    for cached in (data.in_force, auth._in_force):
        cached.cache_clear()
    return pages_bank


def curve(*points: tuple[int, float | None, int | None]) -> pa.Table:
    """A curve without intervals, from days, shares and numbers at risk."""
    days, values, at_risk = zip(*points, strict=True)
    return pa.table(
        {
            "tenure_days": pa.array(days, pa.int64()),
            "value": pa.array(values, pa.float64()),
            "n": pa.array(at_risk, pa.int64()),
            "low": pa.nulls(len(days), pa.float64()),
            "high": pa.nulls(len(days), pa.float64()),
        }
    )


def test_a_day_between_two_points_has_what_the_earlier_one_has_and_one_behind_the_last_is_not_known() -> None:
    waiting = curve((0, 0.5, 100), (5, 0.6, 50), (40, 0.75, 30))
    assert figures.by_days(waiting, (0, 7, 30, 40, 90)) == {
        0: Point(0.5, None, None),
        7: Point(0.6, None, None),
        30: Point(0.6, None, None),
        40: Point(0.75, None, None),
        90: None,
    }


def test_where_everybody_has_made_one_everybody_has_later_on_too() -> None:
    assert figures.by_days(curve((0, 0.0, 4), (3, 1.0, 2)), (2, 90)) == {2: Point(0.0, None, None), 90: Point(1.0, None, None)}


def test_what_is_withheld_of_a_curve_is_withheld_in_the_table() -> None:
    shown = first_transaction.row("Malta", curve((0, 0.5, 12), (5, None, None), (95, 0.9, 30)))
    hidden = "withheld, of fewer than 10 customers"
    assert (shown["by_0"], shown["by_7"], shown["by_90"]) == ("50.0%", hidden, hidden)


def on_the_day_of_opening(bank: Path) -> dict[str, tuple[int, int]]:
    """By country how many opened an account, and how many of them had an active day then."""
    people = data.relation("mart_customers")
    with duckdb.connect() as files:
        files.register("people", people)
        found = files.query(f"""
            with opened as (
                select replace(user_id, 'user_', '') as customer, country, opening_date from people
            ),
            active as (
                select distinct
                    replace(user_id::varchar, 'user_', '') as customer,
                    (created_date::timestamptz at time zone 'Europe/Paris')::date as day
                from read_parquet('{bank.parent}/raw/transactions*.parquet')
                where transactions_state = 'COMPLETED'
                    and transactions_type not in ('FEE', 'TAX', 'CASHBACK', 'REFUND', 'CARD_REFUND')
            )
            select country, count(*), count(day)
            from opened left join active on active.customer = opened.customer and day = opening_date
            group by all
        """)
        return {country: (int(n), int(active)) for country, n, active in found.fetchall()}


def test_the_section_says_of_each_country_how_many_opened_and_which_share_transacted_that_day(home: Path) -> None:
    page = opened("retention", first_by="country")
    assert failed(page) == []
    (shown,) = [table.value for table in page.table if "Accounts opened" in table.value.columns]
    wanted = {
        formats.dimension_value("country", country): (f"{n:,}", f"{active / n * 100:.1f}%")
        for country, (n, active) in on_the_day_of_opening(home).items()
    }
    rows = {row["Group"]: (row["Accounts opened"], row["On the day of opening"].split(" ")[0]) for _, row in shown.iterrows()}
    assert len(rows) == min(first_transaction.ROWS, len(wanted)) > figures.MOST_SERIES
    assert rows == {name: wanted[name] for name in rows}
    assert any(f"The 6 largest of {len(wanted)} groups" in markdown.value for markdown in page.markdown)


def test_everybody_is_one_curve_until_somebody_splits_it() -> None:
    page = opened("retention")
    (shown,) = [table.value for table in page.table if "Accounts opened" in table.value.columns]
    assert shown["Group"].tolist() == ["Everyone"]
