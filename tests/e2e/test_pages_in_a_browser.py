"""The pages as a reader opens them: each draws, follows its filters, and says what the command line says."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chain import Published
from conftest import Bank, charts, failures
from playwright.sync_api import BrowserContext, Locator, Page, expect

from pipeline.marts import reader
from pipeline.warehouse.publication import Publications
from streamlit_app.components import toolbar
from streamlit_app.messages import text

WITH_CHARTS = ("overview", "activity", "retention", "churn", "payments")
WITHOUT_CHARTS = ("customers", "definitions", "ops_runs", "ops_audit")


def heading(page: Page, name: str, language: str = "en") -> Any:
    return page.get_by_role("heading", level=2, name=text(f"{name}.title", language), exact=True)


# One drawing may follow on another, with a moment of rest between them.
STILL = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  if (app?.dataset.testScriptState !== "notRunning") window.atRestSince = performance.now();
  return performance.now() - window.atRestSince > 1000;
}"""


def at_rest(page: Page) -> Page:
    """The page once all of it is drawn: what Streamlit still sends of a page after Back would be a step ahead again."""
    page.evaluate("window.atRestSince = performance.now()")
    page.wait_for_function(STILL, polling=50)
    return page


def go_back(page: Page) -> None:
    at_rest(page).go_back()


def active_customers(page: Page, language: str = "en") -> Any:
    """The headline figure on the page Activity."""
    label = "Active customers" if language == "en" else "Clients actifs"
    return page.get_by_test_id("stMetric").filter(has_text=label).first.get_by_test_id("stMetricValue")


def published_value(bank: Bank, *countries: str) -> str:
    """How many customers of these countries are active on the last day, written as the app writes it in English."""
    version = Publications(bank.home, keep=5).current()
    assert version is not None
    counts = Published(reader(version), version.as_of).figures(
        "active_customers", **({"country": countries} if countries else {})
    )
    return in_english(counts[max(counts)].value)


def in_english(value: float | None) -> str:
    assert value is not None
    return f"{round(value):,}"


@pytest.mark.parametrize("name", [*WITH_CHARTS, *WITHOUT_CHARTS])
def test_each_page_opens_in_french_without_a_failure(app: str, page: Page, name: str) -> None:
    page.goto(f"{app}/{name}?lang=fr")
    expect(heading(page, name, "fr")).to_be_visible()
    if name in WITH_CHARTS:
        expect(charts(page).first).to_be_visible()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    assert failures(page) == []


def stands_on_paper_and_under_forced_colours(page: Page) -> None:
    """A dark page is printed dark on white, without navigation; colours that the system forces show what is chosen.

    No test of its own, which would draw a page once more for it.
    """
    navigation, chosen = page.get_by_test_id("stSidebar"), page.get_by_role("radio", name="Week", exact=True)
    expect(navigation).to_be_visible()
    page.emulate_media(media="print")
    expect(navigation).to_be_hidden()
    assert [ground(page.locator("body")), ink(page.get_by_role("heading", level=2))] == ["rgb(255, 255, 255)", "rgb(18, 24, 27)"]
    page.emulate_media(media="screen", forced_colors="active")
    expect(chosen).to_have_attribute("aria-checked", "true")
    assert ground(chosen) != ground(page.get_by_role("radio", name="Month", exact=True))


def ground(place: Locator) -> str:
    return str(place.evaluate("element => getComputedStyle(element).backgroundColor"))


def ink(place: Locator) -> str:
    return str(place.evaluate("element => getComputedStyle(element).color"))


def test_an_address_of_no_page_is_told_in_the_readers_language_with_the_way_back(app: str, page: Page) -> None:
    page.goto(f"{app}/nowhere?lang=fr")
    expect(page.get_by_role("heading", name=text("common.no_such_page.title", "fr"))).to_be_visible()
    assert failures(page) == []
    page.get_by_test_id("stButtonGroup").get_by_text("en", exact=True).click()
    expect(page.get_by_role("heading", name=text("common.no_such_page.title", "en"))).to_be_visible()
    page.get_by_test_id("stMain").get_by_role("link", name=text("common.no_such_page.back", "en")).click()
    expect(heading(page, "overview")).to_be_visible()
    go_back(page)
    expect(page.get_by_role("heading", name=text("common.no_such_page.title", "en"))).to_be_visible()
    assert failures(page) == []


def test_the_window_slider_changes_the_figures_to_those_of_the_command_line(app: str, page: Page, published_bank: Bank) -> None:
    at_90_days, at_75_days = (
        in_english(published_bank.metric("active_customers", "--window", days)["rows"][-1]["value"]) for days in ("90", "75")
    )
    assert at_75_days != at_90_days
    page.emulate_media(color_scheme="dark")
    page.goto(f"{app}/activity")
    expect(active_customers(page)).to_have_text(at_90_days)

    slider = page.get_by_role("slider", name=re.compile("Inactivity window"))
    for _ in range(15):
        slider.press("ArrowLeft")
    expect(active_customers(page)).to_have_text(at_75_days)
    expect(page).to_have_url(re.compile(r"[?&]window=75\b"))
    stands_on_paper_and_under_forced_colours(page)


def test_filters_survive_a_reload_and_mean_the_same_in_the_other_language(app: str, page: Page, published_bank: Bank) -> None:
    page.goto(f"{app}/activity")
    page.get_by_role("combobox", name=re.compile("Country")).click()
    page.get_by_role("option", name="France", exact=True).click()
    of_france = published_value(published_bank, "FR")
    expect(active_customers(page)).to_have_text(of_france)
    expect(page).to_have_url(re.compile(r"[?&]country=FR\b"))

    page.reload()
    expect(active_customers(page)).to_have_text(of_france)
    page.goto(page.url + "&lang=fr")
    expect(active_customers(page, "fr")).to_have_text(of_france.replace(",", "\u202f"))


def test_filters_go_along_to_the_next_page_in_a_browser_and_stay_lifted_once_they_are(app: str, page: Page) -> None:
    page.goto(f"{app}/activity?country=FR&window=60")
    expect(active_customers(page)).to_be_visible()
    for name in ("definitions", "churn"):
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=text(f"common.pages.{name}", "en")).click()
        expect(heading(page, name)).to_be_visible()
        expect(page).to_have_url(re.compile(rf"/{name}\?(?=.*country=FR)(?=.*window=60)"))
    expect(page.get_by_role("combobox", name=re.compile("Country"))).to_have_value("France")

    page.get_by_role("combobox", name=re.compile("Country")).click()
    page.get_by_role("option", name="All", exact=True).click()
    expect(page).not_to_have_url(re.compile("country="))
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Activity").click()
    expect(heading(page, "activity")).to_be_visible()
    expect(page).not_to_have_url(re.compile("country="))
    assert failures(page) == []


def test_back_and_forward_show_what_the_address_says(app: str, page: Page, published_bank: Bank) -> None:
    page.goto(f"{app}/activity")
    country = page.get_by_role("combobox", name=re.compile("Country"))

    def shows(code: str, name: str) -> None:
        expect(country).to_have_value(name)
        expect(active_customers(page)).to_have_text(published_value(published_bank, *([code] if code else [])))
        expect(page).to_have_url(f"{app}/activity" + (f"?country={code}" if code else ""))

    for code, name in (("FR", "France"), ("PL", "Poland")):
        country.click()
        page.get_by_role("option", name=name, exact=True).click()
        shows(code, name)
    go_back(page)
    shows("FR", "France")
    go_back(page)
    shows("", "All")
    at_rest(page).go_forward()
    shows("FR", "France")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Churn").click()
    expect(page).to_have_url(f"{app}/churn?country=FR")
    assert failures(page) == []


def test_the_first_back_from_another_page_brings_back_all_that_the_page_before_had(app: str, page: Page) -> None:
    asked = "by=plan&clock=effective&lang=fr&window=60&country=FR"
    page.goto(f"{app}/churn?{asked}")
    expect(heading(page, "churn", "fr")).to_be_visible()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=text("common.pages.activity", "fr")).click()
    expect(heading(page, "activity", "fr")).to_be_visible()
    expect(page).to_have_url(f"{app}/activity?lang=fr&window=60&country=FR")
    go_back(page)
    expect(heading(page, "churn", "fr")).to_be_visible()
    expect(page).to_have_url(f"{app}/churn?{asked}")
    expect(page.get_by_role("combobox", name=re.compile("Pays"))).to_have_value("France")


def test_a_way_along_pages_without_choices_of_their_own_is_one_step_back_each(app: str, page: Page) -> None:
    query = "window=90&lang=fr&country=FR"
    page.goto(f"{app}/activity?{query}")
    for name in ("churn", "payments"):
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=text(f"common.pages.{name}", "fr")).click()
        expect(heading(page, name, "fr")).to_be_visible()
        expect(page).to_have_url(f"{app}/{name}?{query}")
    for name in ("churn", "activity"):
        go_back(page)
        expect(heading(page, name, "fr")).to_be_visible()
        expect(page).to_have_url(f"{app}/{name}?{query}")


def test_one_country_is_replaced_by_another_and_a_second_one_added_in_two_clicks(
    app: str, page: Page, published_bank: Bank
) -> None:
    page.goto(f"{app}/activity?country=FR")
    country = page.get_by_role("combobox", name=re.compile("Country"))
    chosen = {"Poland": ("PL",), "+ France": ("FR", "PL"), "France": ("FR",)}
    for name, codes in chosen.items():
        country.click()
        page.get_by_role("option", name=name, exact=True).click()
        expect(active_customers(page)).to_have_text(published_value(published_bank, *codes))
        expect(page).to_have_url(f"{app}/activity?" + "&".join(f"country={code}" for code in codes))
        expect(country).to_have_value("2 · France, Poland" if len(codes) > 1 else name)
    go_back(page)
    expect(country).to_have_value("2 · France, Poland")
    expect(page.get_by_text("Country: France or Poland").first).to_be_visible()
    assert failures(page) == []


def test_a_customer_is_found_by_id_and_the_state_is_explained_in_words(app: str, page: Page) -> None:
    page.goto(f"{app}/customers?active=no")
    expect(page.get_by_text(re.compile(r"^[\d,]+ of [\d,]+ customers"))).to_be_visible()
    page.get_by_role("textbox", name="Customer id").fill("user_1")
    page.get_by_role("textbox", name="Customer id").press("Enter")
    page.get_by_role("button", name="Open customer 1", exact=True).click()

    expect(page.get_by_role("heading", name="Customer 1", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(r"because .+ of silence|no active day so far"))).to_be_visible()
    expect(charts(page).first).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]customer=1\b"))
    page.get_by_role("button", name="Back to the list").click()
    expect(heading(page, "customers")).to_be_visible()
    assert failures(page) == []


def test_a_metric_shows_its_meaning_in_both_languages_its_sql_and_its_tests(app: str, page: Page) -> None:
    page.goto(f"{app}/definitions?metric=monthly_churn_rate")

    card = page.get_by_text("mart_monthly_churn_rate").first
    expect(card).to_be_visible()
    expect(page.get_by_text("In French:")).to_be_visible()
    page.get_by_text(re.compile("SQL of mart_monthly_churn_rate")).click()
    expect(page.get_by_test_id("stCode").filter(has_text="select").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"mart_monthly_churn_rate · tests passed: (\d+) of \1"))).to_be_visible()


def test_each_data_problem_says_why_it_matters_and_how_to_mend_it(app: str, page: Page) -> None:
    page.goto(f"{app}/definitions?section=quality")

    expect(page.get_by_text("Why it matters:").first).to_be_visible()
    problems = page.get_by_text(re.compile(r"^[\d,]+ · \w+ · "))
    assert problems.count() == page.get_by_text("How to mend it:").count() > 0


def test_a_name_that_is_not_this_machines_own_is_refused_with_the_reason(app: str, page: Page) -> None:
    port = app.rpartition(":")[2]
    page.goto(app)
    expect(heading(page, "overview")).to_be_visible()
    page.goto(f"http://neopulse.localhost:{port}")

    expect(page.get_by_text(re.compile("which is not this machine's own name"))).to_be_visible()
    expect(charts(page)).to_have_count(0)


@pytest.fixture(scope="module")
def overview(app: str, window: BrowserContext) -> Iterator[Page]:
    """Overview, drawn once for the tests that only look."""
    with window.new_page() as tab:
        tab.goto(app)
        expect(charts(tab).first).to_be_visible()
        yield tab


@pytest.fixture(scope="module")
def activity(app: str, window: BrowserContext) -> Iterator[Page]:
    """Activity, drawn once for the tests that leave it as it is."""
    with window.new_page() as tab:
        tab.goto(f"{app}/activity")
        expect(charts(tab).first).to_be_visible()
        yield tab


def test_the_toolbar_over_a_chart_offers_no_file_past_the_role_check_and_the_audit_log(activity: Page) -> None:
    charts(activity).first.hover()
    tools = activity.get_by_test_id("stElementToolbarButton")
    expect(tools.get_by_label("Fullscreen").first).to_be_visible()
    for name in toolbar.PAST_THE_RIGHTS:
        there = tools.locator(f'button[aria-label^="{name}"]')
        expect(there.first).to_be_attached()  # by this very name
        assert not [button for button in there.all() if button.is_visible()]


def test_the_files_of_a_chart_are_offered_once_its_menu_is_opened(activity: Page) -> None:
    expect(activity.get_by_test_id("stDownloadButton")).to_have_count(0)
    menus = activity.get_by_test_id("stPopover").filter(has_text=text("common.files.title", "en"))
    menus.first.get_by_role("button").click()
    button = activity.get_by_test_id("stDownloadButton").filter(has_text="CSV").get_by_role("button")
    with activity.expect_download() as download:
        button.click()
    rows = list(csv.reader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert rows[0][:2] == ["date", "value"]
    assert len(rows) > 2


def test_each_headline_figure_has_its_course_on_the_screen(overview: Page) -> None:
    """Streamlit takes out what it holds for dangerous: that a picture was sent does not say that it is there."""
    courses = overview.get_by_test_id("stHtml").locator("img")
    expect(courses).to_have_count(8)
    assert courses.evaluate_all("(all) => all.every((one) => one.complete && one.naturalWidth > 0)")


BESIDE = """(title, menu) => {
  const line = title.getBoundingClientRect(), button = menu.getBoundingClientRect();
  const middle = (button.top + button.bottom) / 2;
  return line.top <= middle && middle <= line.bottom;
}"""


def test_the_files_of_a_card_stand_beside_its_title_on_a_desk_and_on_a_telephone(overview: Page) -> None:
    menus = overview.get_by_test_id("stPopover").filter(has_text=text("common.files.title", "en"))
    titles = overview.get_by_text(re.compile(r"^(Who comes and who leaves|Quick ratio|Active customers), by (month|day)$"))
    for width in (1280, 390):
        overview.set_viewport_size({"width": width, "height": 900})
        expect(titles).to_have_count(3)
        for place in range(3):
            # both places at one moment: charts that are still drawn move what is beneath them
            assert titles.nth(place).evaluate(BESIDE, menus.nth(place).element_handle()), (width, place)


@pytest.mark.parametrize(
    ("name", "chart", "across", "down", "line"),
    [
        ("activity", 0, 0.6, 0.5, None),
        ("activity", 6, 0.6, 0.25, "28 days (MAU)"),
        ("activity", 6, 0.6, 0.85, "1 day (DAU)"),
        ("retention", 0, 0.3, 0.3, None),
    ],
    ids=["a point", "a point of the highest of several lines", "a point of the lowest of several lines", "a cohort cell"],
)
def test_a_click_on_a_figure_opens_the_list_of_its_customers(
    app: str, page: Page, name: str, chart: int, across: float, down: float, line: str | None
) -> None:
    page.goto(f"{app}/{name}?country=GB")
    drawn = charts(page).nth(chart)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    said = page.locator("#vg-tooltip-element.visible")

    def pointed_at() -> tuple[float, float]:
        drawn.scroll_into_view_if_needed()
        box = drawn.bounding_box()
        assert box is not None
        place = (box["x"] + box["width"] * across, box["y"] + box["height"] * down)
        page.mouse.move(0, 0)
        page.mouse.move(*place)
        page.wait_for_timeout(400)
        return place

    for _ in range(20):  # what stands above may still be drawn, and moves it
        place = pointed_at()
        if said.is_visible():
            break
    expect(said).to_be_visible()
    told = dict(re.findall(r"(\w[\w ]*)\t\s*([^\n]+)", said.inner_text()))
    assert told.get("Group") == line
    counted = told.get("Customers", told["Value"])
    page.mouse.click(*place)
    expect(page).to_have_url(re.compile(r"/customers\?.*behind=\w+.*country=GB"))
    expect(page.get_by_text(re.compile(rf"of {counted} customers"))).to_be_visible()
    assert failures(page) == []


def test_without_a_worker_the_button_to_run_is_off_and_says_how_to_start_one(app: str, page: Page) -> None:
    page.goto(f"{app}/ops_runs")
    expect(page.get_by_role("button", name="Run now")).to_be_disabled()
    expect(page.get_by_text("Off: no worker is alive").first).to_contain_text("neopulse worker")
