"""Every page before axe-core's rules for WCAG 2 A and AA: both themes, on a desk and on a telephone.

axe-core comes from npm and is installed by `make test-accessibility`, which names its file in TESTS_AXE.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

PAGES = ("overview", "of_few", "activity", "retention", "churn", "payments", "customers", "definitions")
OPERATIONS = ("ops_runs", "ops_schedule", "ops_syncs", "ops_versions", "ops_alerts", "ops_reports", "ops_audit")
ADDRESSES = {"of_few": "?country=MT"}  # with figures of fewer than 30
WIDTHS = {"desk": 1280, "telephone": 390}
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
AXE = os.environ.get("TESTS_AXE", "")
QUIET_MS = 1500

# What Streamlit 1.67 itself draws so, and no page can change: the rule, and by which part of it a place is known.
OF_STREAMLIT = {
    "list": "stSidebarNavItems",  # the navigation's list has groups between list and entries
    "listitem": "<li",
    "scrollable-region-focusable": "st-emotion",  # a table wider than a telephone has no place in the order of the keyboard
}

pytestmark = [
    pytest.mark.axe,
    pytest.mark.skipif(not Path(AXE).is_file(), reason="axe-core is not there: make test-accessibility"),
]


@pytest.fixture(params=[(theme, width) for theme in ("light", "dark") for width in WIDTHS], ids="-".join, scope="module")
def reader(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    theme, width = request.param
    with (
        browser.new_context(
            viewport={"width": WIDTHS[width], "height": 900}, color_scheme=theme, locale="en-GB", bypass_csp=True
        ) as context,
        context.new_page() as tab,
    ):
        yield tab


def violations(page: Page) -> list[str]:
    """The rules that the page breaks and where, without what is Streamlit's own."""
    page.add_script_tag(path=AXE)
    found: dict[str, Any] = page.evaluate("(rules) => axe.run(document, rules)", RULES)
    broken = [(rule["id"], str(node["target"][0]), str(node["html"])) for rule in found["violations"] for node in rule["nodes"]]
    return [f"{rule} at {place[:120]}: {html[:200]}" for rule, place, html in broken if OF_STREAMLIT.get(rule, "\0") not in html]


@pytest.mark.parametrize("name", [*PAGES, *OPERATIONS])
def test_a_page_breaks_no_rule_that_is_ours_to_keep(app: str, reader: Page, name: str) -> None:
    reader.goto(f"{app}/{ADDRESSES.get(name, name)}")
    reader.get_by_role("heading", level=2).first.wait_for()
    reader.wait_for_timeout(QUIET_MS)
    assert violations(reader) == []
