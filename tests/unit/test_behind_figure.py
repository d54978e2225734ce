"""From a point of a chart to its customers: the list is as long as the point is high, whatever was asked and split."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import duckdb
import page_kit
import pytest
import streamlit as st

from pipeline.errors import ConfigurationError
from pipeline.marts import Behind, OlderVersionError, Reader
from pipeline.marts import customers as lists
from pipeline.marts.activity import FLOWS
from pipeline.marts.behind import table_of
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from pipeline.warehouse.publication import Publications
from streamlit_app import auth, data, figures, messages
from streamlit_app.auth import Role, User
from streamlit_app.components import behind_figure, headline, links, what_changed
from streamlit_app.data import Answer, Question, Search
from streamlit_app.views import customers

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

FRANCE = (("country", "FR"),)
ROWS_OF_A_CHART = 12


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The address of a page of a manager who may open the customers."""
    parameters: dict[str, Any] = {}
    monkeypatch.setattr(links, "is_open", lambda name: name == "customers")
    monkeypatch.setattr(auth, "current_user", lambda: User("max", Role.MANAGER))
    monkeypatch.setattr(st, "query_params", parameters)
    monkeypatch.setattr(messages, "language", lambda: "en")
    return parameters


def whole_churn(kind: str) -> Answer:
    return data.answer(Question("monthly_churn_rate", kind=kind, by="plan_tier", window=30))


def rolling() -> Answer:
    drawn = figures.together({"MAU": data.answer(Question("mau")), "DAU": data.answer(Question("dau"))})
    return behind_figure.linked(drawn, lambda row: {behind_figure.METRIC: row["series"].lower()})


def changes() -> Answer:
    split = data.what_changed(Question("active_customers", window=45, by="country"), days=28)
    rows = figures.changes(split, lambda value: what_changed.formats.dimension_value("country", value), rest="others", most=5)
    parts = what_changed.replace(split, table=figures.change_parts(rows))
    return what_changed._linked(what_changed._dated(parts, days=28), by="country")


def linked(**question: Any) -> Callable[[], Answer]:
    return lambda: behind_figure.linked(data.answer(Question(**question)))


CHARTS: dict[str, Callable[[], Answer]] = {
    "active by week, of France": linked(metric="active_customers", window=20, grain="week", where=FRANCE),
    "active by day": linked(metric="active_customers"),
    "active by month, of two countries": linked(metric="active_customers", grain="month", where=(*FRANCE, ("country", "GB"))),
    "growth by month": lambda: behind_figure.linked(
        data.growth(Question("active_customers", window=14, grain="month")), behind_figure.of_a_part
    ),
    "rolling": rolling,
    "churn by plan, recognised": lambda: behind_figure.linked(whole_churn("recognised")),
    "churn by plan, effective": lambda: behind_figure.linked(whole_churn("effective")),
    "cohorts by month": linked(metric="retention_cohort", grain="month", kind="classic", cohort="signup", where=FRANCE),
    "cohorts by week, or later": linked(metric="retention_cohort", grain="week", kind="unbounded", cohort="first_activity"),
    "what changed": changes,
    "stickiness": lambda: behind_figure.linked(data.answer(Question("stickiness", start=date(2019, 3, 1)))),
    "days of activity": linked(metric="l28"),
    "days of activity, of France in March": linked(metric="l28", where=FRANCE, end=date(2019, 3, 31)),
}
OF_N_ALONE = "stickiness"  # a mean of counts over MAU: no customers are that mean


@pytest.mark.parametrize("name", CHARTS)
def test_the_list_behind_a_point_is_as_long_as_the_point_is_high(name: str, address: dict[str, Any]) -> None:
    found = CHARTS[name]()
    rows = [row for row in found.table.to_pylist() if row[behind_figure.COLUMN]]
    assert rows
    step = max(len(rows) // ROWS_OF_A_CHART, 1)
    compared = 0
    for row in rows[::step]:
        height = high(name, row)
        if height is None:
            continue
        assert total(address, behind_figure.parameters(row)) == abs(round(height)), row
        if row.get("n"):
            assert total(address, behind_figure.parameters(row) | {"part": "n"}) == row["n"], row
        compared += abs(round(height))
    assert compared > 0


def high(name: str, row: dict[str, Any]) -> float | None:
    """How many customers a row says that it counts."""
    if name == OF_N_ALONE:
        return row["n"]
    if "customers" in row or "active_days" in row:
        return row["customers"] if "customers" in row else row["value"]
    return None if row["value"] is None else row["value"] * (row["n"] or 1)


def total(address: dict[str, Any], parameters: dict[str, Any]) -> int:
    """The length of the list that an address asks for, by what the page reads from it."""
    address.clear()
    address.update(parameters)
    behind = behind_figure.asked()
    assert behind is not None
    assert behind_figure.in_words(behind)
    asked = {name: address[name] for name in ("country", "plan_tier") if name in address}
    where = tuple((name, value) for name, said in asked.items() for value in ([said] if isinstance(said, str) else said))
    return data.customers(Search(where=where, behind=behind)).total


@pytest.mark.usefixtures("address")
def test_the_list_behind_each_headline_figure_is_as_long_as_the_figure_says(address: dict[str, Any]) -> None:
    question = Question("active_customers", window=30, where=FRANCE)
    listed = {}
    for figure in data.headline(window=30, where=FRANCE):
        found = re.fullmatch(r"\[List\]\(customers\?(.*)\)", headline._list(figure, question))
        if found:
            counted = (figure.value or 0) * (figure.n if figure.metric.unit == "share" else 1)
            counted = figure.n if figure.metric.name == OF_N_ALONE else counted
            assert total(address, dict(parse_qsl(found[1]))) == round(counted), figure.metric.name
            listed[figure.metric.name] = counted
    assert set(listed) == {"active_customers", *FLOWS, "monthly_churn_rate", "mau", OF_N_ALONE}


@pytest.mark.usefixtures("address")
def test_what_has_no_list_has_no_address() -> None:
    growth = behind_figure.linked(data.growth(Question("active_customers", grain="month")), behind_figure.of_a_part)
    assert {row["part"] for row in growth.table.to_pylist() if row["list"] is None} == {"net"}
    assert {row["series"] for row in rolling().table.to_pylist() if row["list"]} == {"MAU", "DAU"}
    by_state = data.answer(Question("transactions", by="state"))
    assert behind_figure.linked(by_state) is by_state


def test_a_list_opens_in_the_language_that_was_chosen(address: dict[str, Any]) -> None:
    address["lang"] = "fr"
    answer = behind_figure.linked(data.answer(Question("active_customers")))
    assert "lang=fr" in answer.table["list"][0].as_py()
    assert "lang=fr" in behind_figure.link(Question("active_customers"), "mau", on=date(2019, 5, 1), until=date(2019, 5, 1))


@pytest.mark.usefixtures("address")
def test_a_version_without_lists_offers_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "has_lists", lambda _: False)
    answer = data.answer(Question("active_customers"))
    assert behind_figure.linked(answer) is answer


@pytest.mark.usefixtures("address")
def test_a_version_of_before_single_days_offers_all_other_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "has_lists", lambda metric: table_of(metric) == "mart_customer_breaks")
    assert {row["series"] for row in rolling().table.to_pylist() if row["list"]} == {"MAU"}
    days = data.answer(Question("l28"))
    assert behind_figure.linked(days) is days
    assert behind_figure.COLUMN in behind_figure.linked(data.answer(Question("stickiness"))).table.column_names


@pytest.mark.usefixtures("address")
def test_a_viewer_gets_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User("vera", Role.VIEWER))
    answer = data.answer(Question("active_customers"))
    assert behind_figure.linked(answer) is answer


@pytest.mark.parametrize(
    "written",
    [
        {"behind": "transactions", "on": "2019-05-01"},
        {"behind": "l28", "on": "2019-04-30"},
        {"behind": "l28", "on": "2019-04-30", "period": "0"},
        {"behind": "active_customers"},
        {"behind": "active_customers", "on": "yesterday"},
        {"behind": "active_customers", "on": "2999-01-01"},
        {"behind": "", "on": "2019-05-01"},
        {"behind": "active_customers", "on": "2019-05-01", "window": "5000"},
        {"behind": "active_customers", "on": "2019-05-01", "window": "3"},
        {"behind": "mau", "on": "2019-05-01", "grain": "week"},
        {"behind": "monthly_churn_rate", "on": "2019-05-01", "kind": "foo"},
        {"behind": "retention_cohort", "on": "2019-05-01", "cohort": "foo"},
        {"behind": "retention_cohort", "on": "2019-05-01", "period": "-1"},
        {"behind": "monthly_churn_rate", "on": "2019-05-01", "part": "half"},
        {"behind": "active_customers", "on": "2019-05-01", "until": "tomorrow"},
    ],
)
def test_an_address_that_names_no_list_asks_for_none(address: dict[str, Any], written: dict[str, str]) -> None:
    address.update(written)
    assert behind_figure.asked() is None


@pytest.mark.parametrize("window", [7, 30, 180])
def test_states_in_a_list_are_those_of_its_window(address: dict[str, Any], window: int) -> None:
    del address
    (active,) = [figure.value for figure in data.headline(window=window) if figure.metric.name == "active_customers"]
    assert data.customers(Search(state="active", window=window)).total == active
    left = Behind(Question("churned_customers", window=window, grain="month"), data.published().as_of.replace(day=1))
    rows = data.customers(Search(behind=left), limit=100_000).table.to_pylist()
    assert rows
    for row in rows:
        is_back = row["last_active_day"] > row["happened_on"]  # it happens N days after the last active day
        assert row["is_active"] == (row["days_silent"] < window)
        assert row["is_active"] <= is_back
        assert row["lapses"] >= 1


def test_lapses_under_another_window_are_counted_as_the_published_ones_were(pages_bank: Path) -> None:
    version = Publications(pages_bank, keep=5).current()
    assert version is not None
    published = {"window": version.inactivity_days, "as_of": version.as_of, "limit": 100_000}
    with closing(ReadOnlyDuckDB(version.database)) as database:
        by_stretches = lists.customers(database, Search(), **published).table
        anew = lists.customers(database, Search(window=version.inactivity_days), **(published | {"window": 1})).table
    assert sum(by_stretches["lapses"].to_pylist()) > 0
    assert anew.equals(by_stretches)


def test_the_page_of_customers_says_its_window_and_follows_that_of_the_address(pages_bank: Path) -> None:
    del pages_bank
    page = page_kit.opened("customers", window="30", active="yes")
    (label,) = [group.label for group in page.button_group if group.key == "active"]
    assert label == "State on the last day, N = 30 days"
    total = data.customers(Search(state="active", window=30)).total
    assert total != data.customers(Search(state="active")).total
    assert any(f"of {total:,} customers" in caption.value for caption in page.caption)
    odd = page_kit.opened("customers", window="1000", active="yes")
    assert [group.label for group in odd.button_group if group.key == "active"] == ["State on the last day, N = 90 days"]


def without_lists(home: Path, folder: Path, *, of: str = "mart_customer_breaks", but: str = "") -> Reader:
    """The version of the pages as it would be without a table that lists are made from."""
    version = Publications(home, keep=5).current()
    assert version is not None
    shutil.copytree(version.folder, folder / version.name)
    with duckdb.connect(folder / version.name / "published.duckdb") as file:
        file.execute(f"drop table marts.{of}")
        if but:
            file.execute(but)
    return Reader(replace(version, folder=folder / version.name))


def test_without_pauses_the_lapses_of_another_window_are_not_known(pages_bank: Path, tmp_path: Path) -> None:
    before = without_lists(pages_bank, tmp_path)
    assert None not in before.customers(Search()).table["lapses"].to_pylist()
    another = before.customers(Search(window=30)).table
    assert set(another["lapses"].to_pylist()) == {None}
    for row in another.to_pylist():
        assert row["is_active"] == (row["first_active_day"] is not None and row["days_silent"] < 30)


def test_a_version_of_before_lists_says_so(pages_bank: Path, tmp_path: Path) -> None:
    asked = Search(behind=Behind(Question("active_customers"), date(2019, 4, 1)))
    with pytest.raises(OlderVersionError):
        without_lists(pages_bank, tmp_path).customers(asked)


def test_a_version_of_before_single_days_says_so_of_these_alone(pages_bank: Path, tmp_path: Path) -> None:
    before = without_lists(pages_bank, tmp_path, of="mart_customer_months")
    for metric, period in (("dau", 0), ("l28", 3)):
        with pytest.raises(OlderVersionError, match=f"before the list behind {metric} was there"):
            before.customers(Search(behind=Behind(Question(metric), date(2019, 4, 30), period=period)))
    for metric in ("mau", "stickiness", "active_customers"):
        assert before.customers(Search(behind=Behind(Question(metric), date(2019, 4, 30)))).total > 0


def test_a_copy_that_left_the_long_table_in_bigquery_says_where_it_is(pages_bank: Path, tmp_path: Path) -> None:
    asked = Search(behind=Behind(Question("active_customers"), date(2019, 4, 1)))
    left_there = "create table main.not_copied as select 'mart_customer_breaks' relation, 9 rows_there, 'bank.marts' place"
    with pytest.raises(ConfigurationError, match="mart_customer_breaks has 9 rows and stays in BigQuery"):
        without_lists(pages_bank, tmp_path / "left", but=left_there).customers(asked)
    another = left_there.replace("mart_customer_breaks", "mart_l28")
    with pytest.raises(OlderVersionError):
        without_lists(pages_bank, tmp_path / "another", but=another).customers(asked)


def test_the_page_lists_who_left_in_a_month_and_says_so() -> None:
    page = page_kit.whole("customers", behind="churned_customers", on="2019-04-01", grain="month", window="30", country="GB")
    rows = data.answer(
        Question(
            "churned_customers",
            window=30,
            grain="month",
            where=(("country", "GB"),),
            start=date(2019, 4, 1),
            end=date(2019, 4, 1),
        )
    ).rows()
    assert f"of {round(rows[0]['value'])}, a customer once each time" in page_kit.words(page)
    assert "Left: 30 days of silence were over on a day from 1 Apr 2019 to 30 Apr 2019" in page_kit.words(page)
    everybody = next(button for button in page.button if button.label == "Every customer").click().run()
    assert "Left:" not in page_kit.words(everybody)
    assert page_kit.failed(everybody) == []


def test_a_share_has_two_lists_and_the_page_goes_from_one_to_the_other() -> None:
    asked = {"behind": "monthly_churn_rate", "on": "2019-03-01", "window": "30", "kind": "recognised"}
    page = page_kit.whole("customers", **asked)
    (row,) = data.answer(
        Question("monthly_churn_rate", window=30, start=date(2019, 3, 1), end=date(2019, 3, 1), kind="recognised")
    ).rows()
    assert f"of {row['churned']} customers" in page_kit.words(page)
    whole = next(button for button in page.button if button.label == "All that the share is taken of").click().run()
    assert f"of {row['n']:,} customers" in page_kit.words(whole)


def test_the_days_of_activity_have_two_lists_and_say_of_whom() -> None:
    (row,) = (row for row in data.answer(Question("l28", end=date(2019, 3, 31))).rows() if row["active_days"] == 3)
    page = page_kit.whole("customers", behind="l28", on="2019-03-31", period="3")
    assert "With exactly 3 days of activity in the 28 days to 31 Mar 2019, and a customer since 3 Mar" in page_kit.words(page)
    assert f"of {round(row['value'])} customers" in page_kit.words(page)
    whole = next(button for button in page.button if button.label == "All who were active in the 28 days").click().run()
    assert f"of {row['n']:,} customers" in page_kit.words(whole)


def test_who_was_active_on_a_day_is_named_with_the_point() -> None:
    names = [behind_figure._name(row) for row in behind_figure.linked(data.answer(Question("l28"))).table.to_pylist()[:2]]
    assert [name.split(" · ")[1] for name in names] == ["1 day", "2 days"]
    page = page_kit.whole("customers", behind="dau", on="2019-05-01", country="GB")
    (row,) = data.answer(Question("dau", where=(("country", "GB"),), start=date(2019, 5, 1), end=date(2019, 5, 1))).rows()
    assert "With an active day on 1 May 2019" in page_kit.words(page)
    assert f"of {round(row['value'])} customers" in page_kit.words(page)


def test_a_list_of_nobody_is_empty_and_says_so() -> None:
    row = next(row for row in data.answer(Question("l28", where=FRANCE)).rows() if row["value"] == 0)
    behind = {"behind": "l28", "on": row["date"].isoformat(), "period": str(row["active_days"]), "country": "FR"}
    assert "No customer fits this search" in page_kit.words(page_kit.whole("customers", **behind))


def test_an_address_that_cannot_be_listed_says_so() -> None:
    page = page_kit.whole("customers", behind="transactions", on="2019-05-01")
    assert "cannot be listed" in page_kit.words(page)


@pytest.mark.parametrize(("period", "is_there"), [(0, False), (1, True), (28, True), (29, False)])
def test_a_list_of_l28_is_of_1_to_28_days(period: int, is_there: bool, address: dict[str, Any]) -> None:
    address.update({"behind": "l28", "on": "2019-04-30", "period": str(period)})
    assert (behind_figure.asked() is not None) is is_there


@pytest.mark.parametrize("metric", ["dau", "l28"])
def test_a_list_of_days_to_another_day_is_that_of_the_other_day(metric: str, address: dict[str, Any]) -> None:
    asked = {"behind": metric, "period": "1"}
    last = total(address, asked | {"on": "2019-04-30"})
    assert total(address, asked | {"on": "2019-04-01", "until": "2019-04-30"}) == last
    assert total(address, asked | {"on": "2019-04-01"}) != last


@pytest.mark.usefixtures("address")
def test_a_point_of_stickiness_says_how_many_its_list_has() -> None:
    row = behind_figure.linked(data.answer(Question("stickiness"))).table.to_pylist()[-1]
    assert behind_figure._name(row).endswith(f" · {row['n']}")


@pytest.mark.parametrize(
    ("question", "figure", "name", "columns"),
    [
        (
            Question("monthly_churn_rate", grain="month", kind="effective"),
            {"on": date(2019, 3, 1), "part": "n"},
            "-monthly_churn_rate-effective-2019-03-01-n",
            {"behind_from": "2019-03-01", "behind_part": "n", "grain": "month", "kind": "effective"},
        ),
        (
            Question("new_customers", grain="day"),
            {"on": date(2019, 3, 1), "until": date(2019, 3, 28)},
            "-new_customers-2019-03-01_2019-03-28",
            {"behind_from": "2019-03-01", "behind_until": "2019-03-28", "behind_part": "value", "grain": "day"},
        ),
        (
            Question("retention_cohort", grain="week", kind="classic", cohort="signup"),
            {"on": date(2018, 7, 2), "period": 3},
            "-retention_cohort-week-signup-2018-07-02-3",
            {"behind_period": "3", "grain": "week", "kind": "classic", "cohort_kind": "signup"},
        ),
    ],
)
@pytest.mark.usefixtures("address")
def test_the_file_of_a_list_says_which_figure_it_is_behind(
    question: Question, figure: dict[str, Any], name: str, columns: dict[str, str], come_in: Callable[[User], None]
) -> None:
    come_in(User("max", Role.MANAGER))
    search = Search(behind=Behind(question, **figure), window=90)
    assert customers._figure_in_a_name(search) == name
    assert customers._figure_in_a_name(replace(search, window=30)) == name + "-N30"
    assert (customers._figure_in_a_name(Search(window=90)), customers._figure_in_a_name(Search(window=30))) == ("", "-N30")
    written = list(csv.DictReader(io.StringIO(customers._file(search, "csv").decode(), newline="")))
    assert written
    for row in written:
        assert {column: row[column] for column in columns} == columns
        assert row["behind"] == question.metric
    assert "behind" not in customers._file(Search(window=90), "csv").decode().splitlines()[0]
