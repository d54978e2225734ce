"""From the opening to the first transaction: the section of the page Retention."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from page_kit import failed, opened, words
from streamlit.testing.v1 import AppTest

from pipeline.errors import NotCopiedError
from pipeline.marts import Question, survival
from pipeline.marts.question import scope
from streamlit_app import auth, data, figures, formats
from streamlit_app.auth import Role, User
from streamlit_app.components import chart_files, first_transaction
from streamlit_app.figures import Point

pytestmark = pytest.mark.xdist_group("the bank of the pages")


@pytest.fixture(autouse=True)
def home(pages_bank: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEOPULSE_HOME", str(pages_bank))
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    for cached in (data.in_force, auth._in_force):
        cached.cache_clear()
    return pages_bank


def curve(*points: tuple[int, float | None, int | None], followed: int | None = 400) -> pa.Table:
    """A curve without intervals, from days, shares and numbers at risk."""
    days, values, at_risk = zip(*points, strict=True)
    return pa.table(
        {
            "tenure_days": pa.array(days, pa.int64()),
            "value": pa.array(values, pa.float64()),
            "n": pa.array(at_risk, pa.int64()),
            "low": pa.nulls(len(days), pa.float64()),
            "high": pa.nulls(len(days), pa.float64()),
            "followed_days": pa.array([followed] * len(days), pa.int64()),
        }
    )


def test_a_day_has_what_the_last_point_before_it_has_for_as_long_as_somebody_is_followed() -> None:
    half, more = Point(0.5, None, None), Point(0.6, None, None)
    waiting = curve((0, 0.5, 100), (5, 0.6, 50), followed=30)
    assert figures.by_days(waiting, (0, 4, 7, 30, 31)) == {0: half, 4: half, 7: more, 30: more, 31: None}


def test_behind_the_last_point_nothing_is_told_where_it_is_withheld_how_long_somebody_is_followed() -> None:
    half, withheld = Point(0.5, None, None), Point(None, None, None)
    assert figures.by_days(curve((0, 0.5, 40), (5, 0.5, 20), followed=None), (0, 5, 6)) == {0: half, 5: half, 6: withheld}


def test_where_everybody_has_made_one_everybody_has_later_on_too() -> None:
    everybody = curve((0, 0.0, 4), (3, 1.0, 2), followed=3)
    assert figures.by_days(everybody, (2, 90)) == {2: Point(0.0, None, None), 90: Point(1.0, None, None)}


def test_what_is_withheld_of_a_curve_is_withheld_in_the_table_from_that_day_on() -> None:
    shown = first_transaction.row("Malta", curve((0, 0.5, 32), (6, None, None)))
    assert shown == {"group": "Malta", "opened": "32", "by_0": "50.0%"} | dict.fromkeys(("by_7", "by_30", "by_90"), "withheld")
    few = first_transaction.row("Malta", curve((0, None, None), followed=None))
    assert few == {"group": "Malta"} | dict.fromkeys(("opened", "by_0", "by_7", "by_30", "by_90"), "withheld")


def test_a_group_of_fewer_than_thirty_is_grey_in_every_cell() -> None:
    thin, enough = (first_transaction.row("Malta", curve((0, 0.5, opened))) for opened in (29, 30))
    assert {cell[:6] for cell in thin.values()} == {":gray["}
    assert enough["by_0"] == "50.0%"


def test_on_a_day_on_which_nobody_transacted_yet_there_is_no_interval() -> None:
    counts = pa.table(
        {"days": [3, 120], "events": [5, 0], "censored": [0, 45], "last_start": [None, date(2019, 1, 1)]},
        schema=pa.schema([(name, pa.int64()) for name in ("days", "events", "censored")] + [("last_start", pa.date32())]),
    )
    asked = scope(Question("time_to_first_transaction"))
    found = survival._curves(counts, asked, as_of=date(2019, 5, 1), share_met=True)
    begin, third = found.to_pylist()
    assert (begin["value"], begin["low"], begin["high"], begin["n"]) == (0, None, None, 50)
    assert third["value"] == pytest.approx(0.1)
    assert third["low"] < 0.1 < third["high"]
    assert {day: point.value for day, point in figures.by_days(found, (2, 7, 90, 120)).items() if point} == {
        2: 0,
        7: pytest.approx(0.1),
        90: pytest.approx(0.1),
        120: pytest.approx(0.1),
    }
    assert figures.by_days(found, (121,)) == {121: None}


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


def the_table(page: AppTest) -> Any:
    (shown,) = [table.value for table in page.table if "Accounts opened" in table.value.columns]
    return shown


def plain(cell: str) -> str:
    """What a cell says, grey or not."""
    return cell.removeprefix(":gray[").removesuffix("]")


def test_the_section_says_of_each_country_how_many_opened_and_which_share_transacted_that_day(home: Path) -> None:
    page = opened("retention", first_by="country")
    assert failed(page) == []
    shown = the_table(page)
    wanted = {
        formats.dimension_value("country", country): (f"{n:,}", f"{active / n * 100:.1f}%")
        for country, (n, active) in on_the_day_of_opening(home).items()
    }
    rows = {
        plain(row["Group"]): (plain(row["Accounts opened"]), plain(row["On the day of opening"]).split(" ")[0])
        for _, row in shown.iterrows()
    }
    assert len(rows) == min(first_transaction.ROWS, len(wanted)) > figures.MOST_SERIES
    assert rows == {name: wanted[name] for name in rows}
    assert any(f"The 6 largest of {len(wanted)} groups" in markdown.value for markdown in page.markdown)


def test_everybody_is_one_curve_until_somebody_splits_it() -> None:
    page = opened("retention")
    shown = the_table(page)
    assert shown["Group"].tolist() == ["Everyone"]


def test_months_of_opening_stand_in_their_order_and_the_chart_draws_the_newest() -> None:
    page = opened("retention", first_by="signup_cohort")
    months = the_table(page)["Group"].map(plain).tolist()
    codes = sorted(set(data.relation("mart_customers")["signup_cohort"].to_pylist()))
    assert months == [formats.dimension_value("signup_cohort", code) for code in codes][-first_transaction.ROWS :]
    answer = data.answer(Question("time_to_first_transaction", by="signup_cohort"))
    assert first_transaction._chosen(answer, first_transaction._groups(answer), 6) == codes[-6:]


def test_a_segment_in_which_nobody_has_transacted_yet_still_says_how_many_are_waiting() -> None:
    names = ("country", "plan", "os", "age_band", "signup_cohort")
    segments: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in data.relation("mart_customers").to_pylist():
        segments.setdefault(tuple(row[name] for name in names), []).append(row)
    values, alike = next(each for each in segments.items() if all(row["first_active_day"] is None for row in each[1]))
    page = opened("retention", **dict(zip(names, values, strict=True)))
    assert failed(page) == []
    assert "No customer of this segment has begun yet." in words(page)
    (row,) = the_table(page).to_dict("records")
    assert (plain(row["Accounts opened"]), plain(row["On the day of opening"])) == (str(len(alike)), "0.0%")


def test_a_viewer_learns_of_no_group_of_fewer_than_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User("vera", Role.VIEWER))
    offered: dict[str, chart_files.Files] = {}
    monkeypatch.setattr(chart_files, "menu", lambda files: offered.update({files.key: files}))
    page = opened("retention", first_by="country")
    assert failed(page) == []
    assert "withheld" in set(the_table(page)["Accounts opened"])
    names, rows = offered["first_transaction"].content()
    of_group: dict[str, list[dict[str, Any]]] = {}
    for values in rows:
        of_group.setdefault(dict(zip(names, values, strict=True))["series"], []).append(dict(zip(names, values, strict=True)))
    for found in of_group.values():
        *_, last = found
        if last["value"] is None:
            assert all(last[name] is None for name in ("n", "low", "high", "final_on"))
        assert all(row["followed_days"] is None for row in found)  # the day of whoever is followed longest
        assert all(row["n"] >= 10 for row in found if row["value"] is not None)
    assert any(found[0]["value"] is None and len(found) == 1 for found in of_group.values())


def test_where_single_customers_stayed_in_bigquery_the_section_says_so_and_the_page_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = data.answer

    def not_copied(question: Question) -> Any:
        if question.metric == "time_to_first_transaction":
            raise NotCopiedError("mart_time_to_first_transaction has 9 rows and stays in BigQuery")
        return answer(question)

    monkeypatch.setattr(data, "answer", not_copied)
    page = opened("retention")
    assert failed(page) == []
    assert "it can be asked in BigQuery" in "\n".join(info.value for info in page.info)
    assert len(page.get("vega_lite_chart")) == 3
