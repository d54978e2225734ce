"""What one reader waits for, in a real browser: from the press of a key or a button to the last chart on the screen."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks.processes import FailedError

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-component-update")
ONE_MORE, IN_SIGHT = re.compile(r"^\s*[+−]"), 5  # entries that add or take away a value; values that an open list shows at once
FOLDED = "Filters"  # the button that has the lists of a page which folds them
LOOK: Mapping[str, Any] = {"viewport": {"width": 1400, "height": 1000}, "timezone_id": "Europe/Paris", "locale": "en-GB"}
VISITS = 3  # from the second or third on Chromium keeps what it compiled of a page's scripts
QUIET_MS, LIMIT_MS = 600, 60_000
WITH_CHARTS = ("Overview", "Activity", "Retention", "Churn", "Payments")
SWITCHES = ("Activity", "Retention", "Churn", "Payments", "Overview")
PLACES_OF_THE_SLIDER = (-1, -1, -1, -1, -1, 1, 1, 1, 1, 1)


@dataclass(frozen=True)
class Screen:
    """A browser before an app at `address`."""

    browser: Browser
    address: str

    def filtered(self, page: str, label: str, *, times: int) -> list[float]:
        """From the choice of one value after another in a list to the redrawn charts, in milliseconds."""
        with self._opened(page) as tab:
            return [self._chosen(tab, label, place) for place in range(1, times + 1)]

    def _chosen(self, tab: Page, label: str, place: int) -> float:
        listed = tab.get_by_role("combobox", name=re.compile(label)).first
        if not listed.is_visible():
            tab.get_by_role("button", name=re.compile(FOLDED)).first.click()
        listed.click()
        alone = tab.get_by_role("option").filter(has_not_text=ONE_MORE)  # in the place of what holds, and not beside it
        alone.first.wait_for()
        option = alone.nth(place % min(alone.count(), IN_SIGHT))
        return timed(tab, option.click)

    def slid(self, page: str, *, times: int) -> list[float]:
        """From a press of a key on the slider to the redrawn charts, in milliseconds."""
        with self._opened(page) as tab:
            slider = tab.get_by_role("slider").first
            slider.focus()
            moves = (PLACES_OF_THE_SLIDER[place % len(PLACES_OF_THE_SLIDER)] for place in range(times))
            return [timed(tab, lambda move=move: slider.press("ArrowRight" if move > 0 else "ArrowLeft")) for move in moves]

    def switched(self, *, times: int) -> list[float]:
        """From a click in the navigation to the drawn charts of the next page, in milliseconds."""
        with self._opened("") as tab:
            names = (SWITCHES[place % len(SWITCHES)] for place in range(times))
            links = (tab.get_by_test_id("stSidebarNav").get_by_role("link", name=name) for name in names)
            return [timed(tab, link.click) for link in links]

    def opened_again(self, *, times: int) -> list[float]:
        """From the begin of the first page to its drawn charts, in a browser that was here before and has been started again."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            with self._reader_with(profile) as reader:
                for _ in range(VISITS):
                    first_page(reader, self.address)
            with self._reader_with(profile) as reader:
                first_page(reader, self.address)
                return [first_page(reader, self.address) for _ in range(times)]

    def opened_new(self, *, times: int) -> list[float]:
        """The same in a browser that never saw the app."""
        found = []
        for _ in range(times):
            with self._reader() as reader:
                found.append(first_page(reader, self.address))
        return found

    @contextmanager
    def _reader(self) -> Iterator[BrowserContext]:
        with self.browser.new_context(**LOOK) as reader:
            yield _watched(reader)

    @contextmanager
    def _reader_with(self, profile: str) -> Iterator[BrowserContext]:
        """A browser of its own that keeps on disk what it fetched and compiled, as that of a person does."""
        kind = self.browser.browser_type
        with kind.launch_persistent_context(profile, executable_path=executable(), args=list(ARGUMENTS), **LOOK) as reader:
            yield _watched(reader)

    @contextmanager
    def _opened(self, page: str) -> Iterator[Page]:
        with self._reader() as reader, reader.new_page() as tab:
            tab.goto(f"{self.address}/{page}")
            settled(tab)
            yield tab


def first_page(reader: BrowserContext, address: str) -> float:
    """Open the app in a new tab; milliseconds from the begin of the page to its drawn charts."""
    with reader.new_page() as tab:
        tab.goto(address, wait_until="commit")
        return settled(tab)


def timed(tab: Page, act: Callable[[], object]) -> float:
    """Do something; milliseconds from the browser's own event of it to the last chart."""
    tab.evaluate("window.drawn.listen()")
    act()
    return settled(tab)


def settled(tab: Page, *, least: int = 1) -> float:
    """Wait until no chart is drawn any more; raises FailedError where none is drawn at all."""
    asked = {"quiet": QUIET_MS, "limit": LIMIT_MS, "least": least}
    found = tab.evaluate("(asked) => window.drawn.settled(asked)", asked)
    if found is None:
        raise FailedError(f"no chart was drawn on {tab.url} within {LIMIT_MS / 1000:.0f} s")
    return float(found["milliseconds"])


def _watched(reader: BrowserContext) -> BrowserContext:
    reader.add_init_script(path=Path(__file__).with_name("drawn.js"))
    reader.set_default_timeout(LIMIT_MS)
    return reader


def executable() -> str | None:
    """The machine's Chromium; None where it has none, which is the one that Playwright brought."""
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))  # and ends with Playwright
