"""Early warnings on the page Churn: the list for managers, the bands for everybody, and what may leave as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from page_kit import cells, failed, whole, words

from pipeline.marts import Question, Search
from streamlit_app import data, stores
from streamlit_app.auth import Role, RoleError, User
from streamlit_app.components import early_warnings

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

MANAGER, VIEWER = User("max", Role.MANAGER), User("vera", Role.VIEWER)


def test_the_list_is_as_long_as_it_says_and_the_likeliest_come_first(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    page = data.early_warnings(at_least=0.3, limit=3)
    likely = data.early_warnings(at_least=0.3, limit=10_000).table["silence_probability"].to_pylist()
    assert page.total == len(likely) > 3
    assert likely == sorted(likely, reverse=True)
    assert min(likely) >= 0.3
    drawn = whole("churn", likely="30")
    assert f"{min(page.total, 200)} of {page.total} customers, the likeliest first" in words(drawn)
    assert len(drawn.dataframe[-1].value) == min(page.total, 200)


def test_the_list_follows_the_segment_and_names_no_customer_of_another_country(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    british = data.early_warnings(where=(("country", "GB"),), limit=10_000)
    assert set(british.table["country"].to_pylist()) == {"GB"}
    come_in(User("max", Role.MANAGER, frozenset({"FR"})))
    of_france = data.early_warnings(limit=10_000)
    assert set(of_france.table["country"].to_pylist()) == {"FR"}
    assert of_france.total == data.customers(Search(is_active=True)).total
    page = whole("churn")
    assert "This is known for all countries together alone" in "\n".join(info.value for info in page.info)  # the calibration


def test_a_viewer_sees_bands_of_at_least_ten_customers_and_neither_list_nor_file(come_in: Callable[[User], None]) -> None:
    come_in(VIEWER)
    page = whole("churn")
    assert "The list, customer by customer, is for managers and admins." in words(page)
    assert not [button.label for button in page.get("download_button") if "early-warnings" in str(button.proto)]
    assert len(page.dataframe) == 1  # the monthly rates
    counts = [row["n"] for row in data.answer(Question("silence_risk", by="silence_band")).rows()]
    assert None in counts
    assert all(count is None or count >= 10 for count in counts)
    assert "withheld, of fewer than 10 customers" in cells(page)
    with pytest.raises(RoleError):
        early_warnings._file((), 0.5, "csv")


def test_the_file_holds_the_whole_list_and_the_download_is_noted_down(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    total = data.early_warnings(at_least=0.3, limit=1).total
    rows = list(csv.DictReader(io.StringIO(early_warnings._file((), 0.3, "csv").decode())))
    assert len(rows) == total
    assert set(rows[0]) == set(early_warnings.COLUMNS)
    (entry,) = stores.run_store(data.in_force().run_store_url).acts(limit=1)
    assert (entry.who, entry.action, entry.what) == ("max", "export", "early_warnings")
    assert entry.after["filters"] == {"at_least": 0.3, "version": "v0001"}


def test_the_section_says_where_the_probability_comes_from_and_that_the_slider_does_not_change_it() -> None:
    page, other = whole("churn"), whole("churn", window="30")
    for drawn in (page, other):
        assert "It was learned for 90 days; the slider above does not change it." in words(drawn)
    row = data.answer(Question("silence_risk")).rows()[0]
    assert f"Of the **{row['n']}** active customers, about **{round(row['expected_customers'])}**" in words(page)


def test_the_clock_stands_in_the_link_and_the_months_that_still_move_are_marked() -> None:
    recognised = whole("churn")
    effective = recognised.segmented_control(key="clock").set_value("effective").run()
    assert failed(effective) == []
    assert effective.query_params["clock"] == "effective"
    status = dict(zip(effective.dataframe[0].value["Month"], effective.dataframe[0].value["Status"], strict=True))
    assert status["Feb 2019"] == "provisional, final on 28 May 2019"  # 90 days after the last day but one of February
    assert status["Apr 2019"] == "not known before 29 Jun 2019"  # 90 days after the last day of March
    rates = dict(zip(effective.dataframe[0].value["Month"], effective.dataframe[0].value["Churn"], strict=True))
    assert rates["Apr 2019"] == "–"


def test_premium_against_standard_is_one_press_from_any_other_question() -> None:
    asked = whole("churn", by="country", plan="STANDARD")
    (button,) = [button for button in asked.button if button.label == "Premium against standard"]
    compared = button.click().run()
    assert failed(compared) == []
    assert compared.selectbox(key="by").value == "plan_tier"
    assert compared.selectbox(key="plan").value == "all"
    assert compared.query_params == {}
    assert "of the premium customers left" in words(compared)
    assert [button.disabled for button in compared.button if button.label == "Premium against standard"] == [True]
