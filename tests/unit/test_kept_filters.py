"""Filters go along from page to page and stand in the URL; a link counts more than what was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from page_kit import HARMLESS, HOSTILE, SECONDS, failed, whole
from streamlit.testing.v1 import AppTest

from streamlit_app import auth, data, formats, messages
from streamlit_app.auth import Role, User
from streamlit_app.components import filters, url

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]


class Address(dict[str, Any]):
    """The query of an address; a key may have several values."""

    def get_all(self, key: str) -> list[str]:
        found = super().get(key, [])
        return [found] if isinstance(found, str) else list(found)

    def from_dict(self, query: dict[str, url.Said]) -> None:
        self.clear()
        super().update(query)


class Browser:
    """What Streamlit keeps of one tab: a session, and the query of its address, which is empty on each page that is opened."""

    def __init__(self) -> None:
        self.session_state: dict[str, object] = {}
        self.query_params = Address()

    def open(self, page: str, **link: url.Said) -> dict[str, Any]:
        self.query_params = Address(link)
        url.enter(page)
        return self.query_params

    def go_back(self, page: str, monkeypatch: pytest.MonkeyPatch, **query: url.Said) -> dict[str, Any]:
        """Draw the page of a step of the history."""
        self.query_params = Address(query)
        with monkeypatch.context() as patched:
            patched.setattr(url, "_is_history", lambda: True)
            patched.setattr(messages, "language_of_the_address", lambda: "en")
            url.follow_history()
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
APP = Path(data.__file__).parent / "app.py"


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


def test_a_default_that_a_link_names_stays_in_the_address_until_something_else_is_chosen(browser: Browser) -> None:
    options = ["60", "90"]
    browser.open("activity", window="90")
    choose("window", "90", default="90", options=options)
    assert browser.query_params == {"window": "90"}
    choose("window", "60", default="90", options=options)
    assert browser.query_params == {"window": "60"}
    choose("window", "90", default="90", options=options)
    assert browser.query_params == {}
    assert browser.open("churn") == {}


def test_what_goes_along_keeps_the_order_of_the_address_and_the_language(browser: Browser) -> None:
    link = {"window": "60", "lang": "fr", "country": "FR"}
    browser.open("activity", **link)
    assert list(browser.open("churn").items()) == list(link.items())


def test_back_shows_a_page_as_it_was_left_where_the_way_on_has_put_a_step_of_its_own(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = {"by": "plan", "clock": "effective", "country": "FR"}
    browser.open("churn", **link)
    assert browser.open("activity") == {"country": "FR"}
    assert browser.go_back("churn", monkeypatch, country="FR") == link
    assert browser.session_state[url.KEPT] == {"country": "FR"}
    assert browser.go_back("churn", monkeypatch, country="FR") == {"country": "FR"}  # one of the reader's own, before


def test_back_to_what_was_chosen_shows_that(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    browser.open("churn", by="plan", country="FR")
    browser.open("activity")
    browser.open("churn", country="FR")
    assert browser.go_back("churn", monkeypatch, country="FR") == {"country": "FR"}
    browser.open("activity")
    assert browser.go_back("churn", monkeypatch, country="FR") == {"country": "FR"}


def test_back_from_a_page_that_a_button_opened_shows_the_page_of_the_button(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.open("churn", by="plan", country="FR")
    url.note_leaving("customers", {"customer": "user_1"})
    browser.open("customers", customer="user_1")
    assert browser.go_back("churn", monkeypatch, customer="user_1") == {"by": "plan", "country": "FR"}


def test_choices_of_a_single_page_stay_on_it(browser: Browser) -> None:
    browser.open("churn")
    choose("by", "country", default="plan_tier", options=["plan_tier", "country"])
    assert browser.open("activity") == {}


def test_a_page_begins_with_all_that_was_kept_in_one_step_of_the_history(browser: Browser) -> None:
    class Counted(Address):
        steps = 0

        def __setitem__(self, key: str, value: str) -> None:
            self.steps += 1
            super().__setitem__(key, value)

        def update(self, *given: object) -> None:  # type: ignore[override]
            self.steps += 1
            super().update(*given)  # type: ignore[arg-type]

    browser.open("activity", country="FR", plan="METAL", window="60")
    browser.query_params = address = Counted()
    url.enter("churn")
    assert address == {"country": "FR", "plan": "METAL", "window": "60"}
    assert address.steps == 1


def test_what_a_link_asks_for_and_is_not_there_stays_in_it_until_the_reader_chooses(browser: Browser) -> None:
    browser.open("activity", country="ZZ")
    assert choose("country", "all", default="all", options=COUNTRIES) == "all"
    assert (url.unheeded("country"), url.heeded(), browser.query_params) == ("ZZ", {}, {"country": "ZZ"})
    choose("country", "FR", default="all", options=COUNTRIES)
    assert (url.unheeded("country"), url.heeded(), browser.query_params) == (None, {"country": "FR"}, {"country": "FR"})


def choose_several(*values: str | None) -> tuple[str, ...]:
    """A widget of several countries of the page that is open; what it holds is left as it is where no value is named."""
    read = url.one_of(["ES", "FR", "GB"])
    return url.bind_several("country", read=read, draw=lambda start: tuple(filter(None, values)) if values else start)


def test_several_values_stand_in_the_link_once_each_in_one_order_and_go_along(browser: Browser) -> None:
    browser.open("activity", country=["GB", "FR", "GB"])
    assert choose_several() == ("FR", "GB")
    assert browser.query_params == {"country": ["FR", "GB"]}
    assert browser.open("churn", plan="METAL") == {"plan": "METAL", "country": ["FR", "GB"]}
    choose_several("ES")
    assert browser.query_params["country"] == "ES"
    choose_several(None)
    assert browser.query_params == {"plan": "METAL"}
    assert browser.open("activity") == {"plan": "METAL"}


def test_a_link_with_one_value_means_what_it_always_meant(browser: Browser) -> None:
    browser.open("activity", country="FR")
    assert (choose_several(), browser.query_params, url.heeded()) == (("FR",), {"country": "FR"}, {"country": "FR"})
    browser.open("churn", country="all")
    assert (choose_several(), browser.query_params) == ((), {})


def test_of_several_values_what_is_not_there_is_named_and_the_others_are_followed(browser: Browser) -> None:
    browser.open("activity", country=["FR", "ZZ", "", "ES", "YY", "ZZ"])
    assert choose_several() == ("ES", "FR")
    assert url.unheeded("country") == "ZZ, YY"
    assert (url.heeded(), browser.query_params["country"]) == ({"country": ["ES", "FR"]}, ["FR", "ZZ", "", "ES", "YY", "ZZ"])
    assert browser.open("churn") == {"country": ["ES", "FR"]}


def test_each_entry_of_the_list_is_what_holds_once_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")

    def listed(*now: str) -> dict[str, tuple[str, ...]]:
        entries = filters._entries(["FR", "ES", "DE", "PL"], now)
        return {filters._entry_name("country", entry, now): entry for entry in entries}

    assert list(listed()) == ["All", "France", "Spain", "Germany", "Poland"]
    one = listed("FR")
    assert list(one) == ["All", "France", "Spain", "+ Spain", "Germany", "+ Germany", "Poland", "+ Poland"]
    assert (one["Spain"], one["+ Spain"]) == (("ES",), ("ES", "FR"))
    two = listed("ES", "FR")
    assert list(two)[:4] == ["All", "2 · Spain, France", "France", "Spain"]
    assert (two["France"], two["+ Germany"]) == (("FR",), ("DE", "ES", "FR"))
    three = listed("DE", "ES", "FR")
    assert (three["− Spain"], three["+ Poland"], three["Poland"]) == (("DE", "FR"), ("DE", "ES", "FR", "PL"), ("PL",))


def test_a_second_value_is_added_in_one_drawing_and_one_value_replaced_in_one() -> None:
    page = whole("activity", country="FR")
    page.selectbox(key="country").select(("FR", "GB")).run()
    assert (failed(page), page.query_params["country"]) == ([], ["FR", "GB"])
    assert any("Country: France or United Kingdom" in caption.value for caption in page.caption)
    page.selectbox(key="country").select(("PL",)).run()
    assert (failed(page), page.query_params["country"]) == ([], "PL")


def test_what_a_link_asked_for_in_vain_does_not_go_along_to_the_next_page(browser: Browser) -> None:
    browser.open("overview", country="XX", plan="METAL")
    url.bind("country", "all", read=url.one_of(COUNTRIES), draw=lambda start: start)
    url.bind("plan", "all", read=url.one_of(["all", "METAL"]), draw=lambda start: start)
    assert browser.open("churn") == {"plan": "METAL"}


def test_a_link_with_the_version_that_everybody_sees_does_not_pin_the_next_page() -> None:
    linked = AppTest.from_file(str(APP), default_timeout=SECONDS)
    linked.query_params["version"] = "v0001"
    linked.run()
    assert failed(linked) == []
    assert linked.session_state[url.KEPT]["version"] == url.EVERY


def test_a_plan_from_the_banks_files_is_text_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, str] = {}
    monkeypatch.setattr(filters.st, "session_state", {filters.UNTOLD: told})
    filters._note_conflict({"plan": (HOSTILE,), "plan_tier": ("standard",)})
    assert HARMLESS in told["conflict"]


def test_a_grain_of_the_page_before_is_nothing_that_a_link_asked_for(browser: Browser) -> None:
    browser.open("activity", grain="day")
    browser.open("retention")
    choose("grain", "month", default="month", options=["month", "week"])
    assert (url.unheeded("grain"), url.heeded()) == (None, {})


UNHEEDED = {
    "overview": ({"window": "999"}, ["“Inactivity window N” = `999`", "90 days"]),
    "activity": (
        {"country": "ZZ", "grain": "year", "to": "2099-01-01"},
        ["“Country” = `ZZ`", "Shown instead: All", "“Grain” = `year`", "Shown instead: Week", "“To” = `2099-01-01`"],
    ),
    "retention": ({"grain": "day", "plan": "GOLD"}, ["“Grain” = `day`", "Shown instead: Month", "“Plan” = `GOLD`"]),
    "churn": ({"os": "Symbian", "clock": "late", "likely": "31"}, ["“Phone” = `Symbian`", "`late`", "`31`", "50%"]),
    "payments": ({"from": "yesterday"}, ["“From” = `yesterday`"]),
    "customers": ({"country": "<b>ZZ</b>"}, ["“Country” = `<b>ZZ</b>`"]),
    "definitions": ({"section": "nowhere"}, ["`nowhere`"]),
}


@pytest.mark.parametrize("name", UNHEEDED)
def test_a_page_says_what_its_link_asks_for_in_vain_and_what_it_shows(name: str) -> None:
    link, told = UNHEEDED[name]
    page = whole(name, **link)
    said = "\n".join(warning.value for warning in page.warning)
    assert [words for words in told if words not in said] == []
    assert said.count("The link asks for") == len(link)
    assert whole(name).warning.len == 0


def test_the_warning_goes_once_the_reader_has_chosen() -> None:
    page = whole("activity", country="ZZ")
    assert page.warning.len == 1
    page.selectbox(key="country").select(("FR",)).run()
    assert (page.warning.len, page.query_params["country"]) == (0, "FR")


@pytest.mark.parametrize("name", ["overview", "activity", "retention", "churn", "payments", "customers"])
def test_a_plan_and_a_tier_that_exclude_each_other_are_named(name: str) -> None:
    page = whole(name, plan="METAL", plan_tier="standard")
    assert [warning.value for warning in page.warning] == [
        messages.text("common.no_such_tier", "en", plan="Metal", tier="Standard")
    ]
    assert not [text.value for text in page.info if "activity rule" in text.value]  # the filters are why, and not the rule


def test_the_tier_of_each_plan_is_the_one_that_its_customers_have() -> None:
    of_plans = {
        row["plan"]: row["plan_tier"] for row in data.relation("mart_customers").select(["plan", "plan_tier"]).to_pylist()
    }
    assert {"STANDARD", "PREMIUM", "METAL"} <= of_plans.keys()
    assert {plan: filters._tier_of(plan) for plan in of_plans} == of_plans
    assert whole("activity", plan="METAL", plan_tier="premium").warning.len == 0
    assert whole("activity", plan=["METAL", "STANDARD"], plan_tier="standard").warning.len == 0
    assert [warning.value for warning in whole("activity", plan=["METAL", "PREMIUM"], plan_tier="standard").warning] == [
        messages.text("common.no_such_tier", "en", plan="Metal or Premium", tier="Standard")
    ]


def test_who_sees_some_countries_is_told_nothing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User("finn", Role.VIEWER, frozenset({"FR"})))
    assert whole("activity", country="GB").warning.len == 0
    assert whole("activity", plan="GOLD").warning.len == 1


def test_every_page_with_a_segment_offers_every_dimension_of_customers() -> None:
    for name in ("payments", "customers"):
        page = whole(name, signup_cohort="2018-06", lang="fr")
        assert [page.selectbox(key=dimension).key for dimension in filters.SEGMENTS] == list(filters.SEGMENTS)
        assert page.selectbox(key="signup_cohort").value == ("2018-06",)
        assert page.query_params["signup_cohort"] == "2018-06"


def test_the_whole_app_begins_a_page_with_its_links_filters_and_keeps_them() -> None:
    app = AppTest.from_file(str(APP), default_timeout=SECONDS)
    app.query_params.update({"country": "FR", "window": "60", "age_band": "25-34"})
    assert failed(app.run()) == []
    assert app.session_state[url.KEPT] == {"country": "FR", "window": "60", "age_band": "25-34"}


def test_a_month_of_opening_is_written_as_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    assert formats.dimension_value("signup_cohort", "2018-06") == "Jun 2018"
    assert formats.dimension_value("signup_cohort", "unknown") == "unknown"
