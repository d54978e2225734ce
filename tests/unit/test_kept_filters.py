"""Filters go along from page to page and stand in the URL; a link counts more than what was kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_kit import SECONDS, failed, whole
from streamlit.testing.v1 import AppTest

from streamlit_app import data, formats, messages
from streamlit_app.components import filters, url

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]


class Browser:
    """What Streamlit keeps of one tab: a session, and the query of its address, which is empty on each page that is opened."""

    def __init__(self) -> None:
        self.session_state: dict[str, object] = {}
        self.query_params: dict[str, str] = {}

    def open(self, page: str, **link: str) -> dict[str, str]:
        self.query_params = dict(link)
        url.enter(page)
        return self.query_params


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    tab = Browser()
    monkeypatch.setattr(url, "st", tab)
    return tab


def choose(key: str, value: str, *, default: str, options: list[str]) -> str:
    """A widget of the page that is open, which the reader sets."""
    return url.bind(key, default, read=url.one_of(options), draw=lambda _: value)


COUNTRIES = ["all", "FR", "GB"]


def test_a_filter_that_was_chosen_is_there_on_the_next_page(browser: Browser) -> None:
    browser.open("activity")
    choose("country", "FR", default="all", options=COUNTRIES)
    assert browser.query_params == {"country": "FR"}
    assert browser.open("churn") == {"country": "FR"}


def test_a_link_keeps_filters_for_the_next_page_that_its_own_page_does_not_have(browser: Browser) -> None:
    assert browser.open("definitions", country="GB", window="60", metric="mau") == {
        "country": "GB",
        "window": "60",
        "metric": "mau",
    }
    assert browser.open("churn") == {"country": "GB", "window": "60"}


def test_a_filter_that_was_lifted_stays_lifted(browser: Browser) -> None:
    browser.open("activity", country="FR")
    choose("country", "all", default="all", options=COUNTRIES)
    assert browser.query_params == {}
    assert browser.open("churn") == {}


def test_a_link_counts_more_than_what_was_kept(browser: Browser) -> None:
    browser.open("activity", country="FR", plan="METAL")
    assert browser.open("churn", country="GB") == {"country": "GB", "plan": "METAL"}


def test_drawing_a_page_again_brings_nothing_back(browser: Browser) -> None:
    browser.open("activity", country="FR")
    browser.query_params.clear()
    url.enter("activity")
    assert browser.query_params == {}


def test_a_grain_that_a_page_does_not_have_is_there_again_on_one_that_has_it(browser: Browser) -> None:
    browser.open("activity")
    choose("grain", "day", default="week", options=["day", "week", "month"])
    browser.open("retention")
    assert url.bind("grain", "month", read=url.one_of(["month", "week"]), draw=lambda start: start) == "month"
    assert browser.open("activity") == {"grain": "day"}


def test_a_grain_that_is_one_pages_default_and_was_chosen_counts_on_a_page_with_another_one(browser: Browser) -> None:
    browser.open("retention", grain="week")
    choose("grain", "month", default="month", options=["month", "week"])
    assert browser.query_params == {}
    assert browser.open("activity") == {"grain": "month"}


def test_choices_of_a_single_page_stay_on_it(browser: Browser) -> None:
    browser.open("churn")
    choose("by", "country", default="plan_tier", options=["plan_tier", "country"])
    assert browser.open("activity") == {}


def test_every_page_with_a_segment_offers_every_dimension_of_customers() -> None:
    for name in ("payments", "customers"):
        page = whole(name, signup_cohort="2018-06", lang="fr")
        assert [page.selectbox(key=dimension).key for dimension in filters.SEGMENTS] == list(filters.SEGMENTS)
        assert page.selectbox(key="signup_cohort").value == "2018-06"
        assert page.query_params["signup_cohort"] == "2018-06"


def test_the_whole_app_begins_a_page_with_its_links_filters_and_keeps_them() -> None:
    app = AppTest.from_file(str(Path(data.__file__).parent / "app.py"), default_timeout=SECONDS)
    app.query_params.update({"country": "FR", "window": "60", "age_band": "25-34"})
    assert failed(app.run()) == []
    assert app.session_state[url.KEPT] == {"country": "FR", "window": "60", "age_band": "25-34"}


def test_a_month_of_opening_is_written_as_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    assert formats.dimension_value("signup_cohort", "2018-06") == "Jun 2018"
    assert formats.dimension_value("signup_cohort", "unknown") == "unknown"
