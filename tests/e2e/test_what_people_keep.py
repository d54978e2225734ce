"""What people keep, as they do it in a browser: a target, a note, a saved view that a new session opens, a report by mail."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from email import policy
from typing import Any

import pytest
from conftest import Bank, charts, failures, served, wait_until
from playwright.sync_api import Browser, Locator, Page, expect

from pipeline import settings
from pipeline.clock import SystemClock
from pipeline.runs.store import RunStore
from pipeline.warehouse import choice
from streamlit_app import formats
from streamlit_app.messages import text
from worker.postman import postman
from worker.watch import Watch

pytestmark = pytest.mark.xdist_group("one bank that people keep things in")


@pytest.fixture(scope="module")
def own_app(own_bank: Bank) -> Iterator[str]:
    with served(own_bank) as address:
        yield address


def in_english(key: str) -> str:
    return text(key, "en")


def unfolded(page: Page, label: str) -> Locator:
    """The content of a menu, opened."""
    page.get_by_test_id("stPopover").filter(has_text=label).get_by_role("button").first.click()
    return page.get_by_test_id("stPopoverBody")


def card(page: Page, label: str) -> Locator:
    """The card of a headline figure: its number and the words beneath."""
    return page.get_by_test_id("stMetric").filter(has_text=label).locator("xpath=ancestor::*[@data-testid='stVerticalBlock'][1]")


def number(page: Page, label: str) -> Any:
    return page.get_by_test_id("stMetric").filter(has_text=label).first.get_by_test_id("stMetricValue")


def picture(page: Page, title: str) -> str:
    """What a chart has drawn on its canvas."""
    drawn: str = page.get_by_label(title).locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()")
    return drawn


def test_a_target_is_set_and_stands_on_the_card_and_on_the_chart(own_app: str, page: Page) -> None:
    page.goto(own_app)
    title = in_english("overview.cards.active.title")
    expect(page.get_by_label(title).locator("canvas")).to_be_visible()
    value = int(number(page, "Active customers").inner_text().replace(",", ""))
    before = picture(page, title)

    menu = unfolded(page, in_english("targets.set"))
    menu.get_by_role("spinbutton", name=in_english("targets.value")).fill(str(value - 3))
    menu.get_by_role("spinbutton", name=in_english("targets.value")).press("Tab")
    menu.get_by_role("button", name=in_english("targets.save")).click()
    expect(card(page, "Active customers")).to_contain_text(f"Target {value - 3:,} or more: reached, 3 to spare")
    wait_until(lambda: picture(page, title) != before, seconds=30)
    page.keyboard.press("Escape")  # an open menu is a dialogue, as a failure is
    expect(menu).to_be_hidden()
    assert failures(page) == []


def test_a_note_is_written_and_stands_beneath_the_charts_with_its_author(own_app: str, page: Page) -> None:
    page.goto(f"{own_app}/activity")
    expect(charts(page).first).to_be_visible()
    menu = unfolded(page, in_english("notes.menu"))
    menu.get_by_role("textbox", name=in_english("notes.text")).fill("Prices went up")
    menu.get_by_role("button", name=in_english("notes.add")).click()
    beneath = page.get_by_test_id("stCaptionContainer").filter(has_text=re.compile(r"^\d+ \w+ \d{4} · Prices went up · local$"))
    expect(beneath.first).to_be_visible()
    page.keyboard.press("Escape")  # an open menu is a dialogue, as a failure is
    expect(menu).to_be_hidden()
    assert failures(page) == []


def test_what_tries_to_be_more_than_words_in_a_note_stays_words(own_app: str, page: Page) -> None:
    words = (
        "1. [a](https://x.example) www.y.example ada@bank.example <b>&amp; **b** `c` $x^2$ :red[d] :material/check: :smile: -> e"
    )
    page.goto(f"{own_app}/activity")
    expect(charts(page).first).to_be_visible()
    menu = unfolded(page, in_english("notes.menu"))
    menu.get_by_role("textbox", name=in_english("notes.text")).fill(words)
    menu.get_by_role("button", name=in_english("notes.add")).click()
    written = menu.get_by_test_id("stMarkdown").filter(has_text="y.example")
    expect(written).to_be_visible()
    assert words in written.inner_text().replace(formats.NOT_JOINED, "")
    assert written.locator("a, code, em, img, svg, .katex, [data-testid=stIconMaterial]").count() == 0
    assert [strong.inner_text() for strong in written.locator("strong").all() if strong.inner_text() == "b"] == []
    page.keyboard.press("Escape")  # an open menu is a dialogue, as a failure is
    expect(menu).to_be_hidden()
    assert failures(page) == []


def test_a_saved_view_shows_the_same_figures_in_a_new_session(own_app: str, page: Page, browser: Browser) -> None:
    page.goto(f"{own_app}/activity?country=FR&window=75")
    expect(number(page, "Active customers")).to_be_visible()
    value = number(page, "Active customers").inner_text()
    menu = unfolded(page, in_english("views.menu"))
    menu.get_by_role("textbox", name=in_english("views.name")).fill("France at 75")
    menu.get_by_role("button", name=in_english("views.save")).click()
    expect(menu.get_by_role("button", name="France at 75")).to_be_visible()

    with browser.new_context(locale="en-GB") as fresh, fresh.new_page() as later:
        later.goto(own_app)
        expect(number(later, "Active customers")).not_to_have_text(value)
        unfolded(later, in_english("views.menu")).get_by_role("button", name="France at 75").click()
        expect(later).to_have_url(re.compile(r"/activity\?(?=.*country=FR)(?=.*window=75)"))
        expect(number(later, "Active customers")).to_have_text(value)
        later.keyboard.press("Escape")
        expect(later.get_by_test_id("stPopoverBody")).to_be_hidden()
        assert failures(later) == []


def test_a_report_is_asked_for_and_lies_in_the_outbox_after_the_workers_next_look(
    own_app: str, own_bank: Bank, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.goto(f"{own_app}/ops_reports")
    page.get_by_role("textbox", name=in_english("ops_reports.addresses")).fill("ada@bank.example")
    page.get_by_role("button", name=in_english("ops_reports.add")).click()
    expect(page.get_by_text("0 delivered, 0 waiting, 1 to be written")).to_be_visible()
    letters = set((own_bank.home / "outbox").glob("*.eml"))

    look_once(own_bank, monkeypatch)
    page.reload()
    expect(page.get_by_text("1 delivered, 0 waiting, 0 to be written")).to_be_visible()
    (letter,) = set((own_bank.home / "outbox").glob("*.eml")) - letters
    sent = email.message_from_bytes(letter.read_bytes(), policy=policy.default)
    assert sent["To"] == "ada@bank.example"
    body = sent.get_body(("plain",))
    assert body is not None
    assert "Active customers" in body.get_content()


def look_once(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the worker does each minute, now, and the delivery of what it left waiting."""
    for name, value in bank.environment.items():
        monkeypatch.setenv(name, value)
    in_force = settings.load()
    clock = SystemClock()
    store = RunStore.open(in_force.run_store_url, clock=clock)
    Watch(in_force, store, choice.publications(in_force), clock).look()
    postman(in_force, store, clock).deliver_next()
    store.close()
