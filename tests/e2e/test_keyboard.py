"""Two pages without a mouse: Tab comes to everything that can be operated, in reading order, visibly; menus open and close."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import charts
from playwright.sync_api import Page, expect

from streamlit_app.messages import text

pytestmark = pytest.mark.axe

MOST_STOPS = 150
SECONDS_TO_SHOW = 3
# A menu that is drawn when it unfolds tells the app that it is open or closed, and the answer sets it so: a key that comes
# before the answer to the one before it is undone.
QUIET_MS = 1500

# Everything that Tab should come to, and how each looks without the focus: it, what it lies in, and what is drawn for an input.
# Of a group of choices one is a stop, and the arrows go on from it; the page itself can be scrolled and is drawn in no way.
SURVEY = """() => {
  const looks = (e) => {
    const around = [e, e.parentElement, e.parentElement?.parentElement, e.parentElement?.parentElement?.parentElement];
    return [...around, ...(e.closest('label')?.querySelectorAll('*') ?? [])].filter(Boolean).map((n) => {
      const s = getComputedStyle(n);
      return [s.outline, s.boxShadow, s.borderColor, s.backgroundColor, s.opacity].join();
    }).join(';');
  };
  const all = document.querySelectorAll('a[href], button:enabled, input:enabled, textarea:enabled, summary');
  const stops = [...all].filter((e) => e.tabIndex >= 0 && e.role !== 'radio' && e.getClientRects().length
    && e.checkVisibility({visibilityProperty: true}));
  window.walk = {looks, before: new Map([...all].map((e) => [e, looks(e)])), missed: new Set(stops), last: null};
}"""
# Where the focus is, and whether it went on: never up and to the left of where it was.
STOP = """() => {
  const e = document.activeElement, {last, missed} = window.walk;
  if (e === document.body) return null;
  missed.delete(e);
  const place = e.getBoundingClientRect(), name = e.getAttribute('aria-label') || e.innerText;
  const within = document.querySelector('[data-testid=stMain]').scrollTop;
  const here = {x: place.x, y: place.y + (e.closest('[data-testid=stMain]') ? within : 0)};
  const back = last !== null && e.closest('[data-testid=stMain]') && here.x < last.x && here.y + place.height < last.y;
  window.walk.last = e.matches('[data-testid=stMain]') ? null : e.closest('[data-testid=stMain]') ? here : null;
  return {name: e.tagName + ' ' + name.slice(0, 40), back: Boolean(back)};
}"""
IS_SEEN = """() => {
  const e = document.activeElement, {looks, before} = window.walk;
  return !before.has(e) || looks(e) !== before.get(e);
}"""
NOT_REACHED = (
    "() => [...window.walk.missed].filter((e) => e.isConnected).map((e) => e.tagName + ' ' + (e.ariaLabel || e.innerText))"
)
IN_A_MENU = "() => document.activeElement.closest('[data-testid=stPopoverBody]') !== null"


def walk(page: Page) -> list[dict[str, Any]]:
    """Tab from the top to the end; each stop has to be seen."""
    page.evaluate(SURVEY)
    stops: list[dict[str, Any]] = []
    while len(stops) < MOST_STOPS:
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None:
            return stops
        stops.append(stop)
        page.wait_for_function(IS_SEEN, timeout=SECONDS_TO_SHOW * 1000)
    raise AssertionError(f"no end after {MOST_STOPS} stops")


@pytest.mark.parametrize(("address", "drawn"), [("", 4), ("retention", 4)])
def test_tab_comes_to_everything_in_reading_order_and_menus_follow_enter_and_escape(
    app: str, page: Page, address: str, drawn: int
) -> None:
    page.goto(f"{app}/{address}")
    expect(charts(page)).to_have_count(drawn)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    stops = walk(page)
    assert [stop["name"] for stop in stops if stop["back"]] == []
    assert page.evaluate(NOT_REACHED) == []

    menus, body = page.get_by_test_id("stPopover"), page.get_by_test_id("stPopoverBody")
    for label in ("views.menu", "notes.menu", "common.files.title"):
        button = menus.filter(has_text=text(label, "en")).last.get_by_role("button").first
        button.press("Enter")
        expect(body.get_by_role("button").first).to_be_visible()
        page.keyboard.press("Escape")
        expect(body).to_be_hidden()
        expect(button).to_be_focused()
        page.wait_for_timeout(QUIET_MS)

    button.press("Enter")
    expect(body.get_by_test_id("stDownloadButton").first).to_be_visible()
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if page.evaluate(IN_A_MENU):
            break
    expect(body.get_by_test_id("stDownloadButton").first.get_by_role("button")).to_be_focused()
