"""Takes the README's pictures of an app that is being served: `python scripts/take_pictures.py [ADDRESS]`.

Serve the demo bank first (`make demo`); needs Chromium, as the browser tests do.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
PAGES = {"overview": "/", "activity": "/activity", "retention": "/retention", "churn": "/churn"}
WIDTH, HEIGHT = 1280, 900
SETTLING_MILLISECONDS = 4000


def main(address: str) -> None:
    """Write one picture a page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en", color_scheme="light")
        for name, path in PAGES.items():
            page.goto(address + path)
            page.get_by_role("heading", level=2).first.wait_for()
            page.wait_for_timeout(SETTLING_MILLISECONDS)
            page.screenshot(path=PICTURES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8501")
