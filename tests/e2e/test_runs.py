"""The page Runs as an admin uses it, with a living worker behind it; the tests share one bank and each leaves it whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Bank, failures, process, served
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.xdist_group("one bank, one worker")

RUN_SECONDS = 120


@pytest.fixture(scope="module")
def app_with_worker(own_bank: Bank) -> Iterator[str]:
    with process(own_bank, "worker"), served(own_bank) as address:
        yield address


@pytest.fixture
def runs_page(app_with_worker: str, page: Page) -> Page:
    page.goto(f"{app_with_worker}/ops_runs")
    expect(run_now(page)).to_be_enabled()
    return page


def run_now(page: Page) -> Any:
    return page.get_by_role("button", name="Run now")


def header(page: Page) -> Any:
    """The line on top of every page, which says what readers see."""
    return page.get_by_text(re.compile(r"^v\d{4} · data to ")).first


def shown_version(page: Page) -> int:
    return int(header(page).inner_text()[1:5])


def wait_for_version(page: Page, number: int) -> None:
    expect(header(page)).to_have_text(re.compile(rf"^v{number:04d} · "), timeout=RUN_SECONDS * 1000)


def test_run_now_shows_its_progress_and_ends_in_a_new_version_on_the_screen(runs_page: Page) -> None:
    before = shown_version(runs_page)
    run_now(runs_page).click()

    expect(runs_page.get_by_text(re.compile(r"^Run \d+ is going on$"))).to_be_visible()
    expect(run_now(runs_page)).to_be_disabled()
    expect(runs_page.get_by_role("progressbar").first).to_be_visible()
    expect(runs_page.get_by_text(re.compile(r"\d+ of \d+: \w+"))).to_be_visible(timeout=RUN_SECONDS * 1000)
    wait_for_version(runs_page, before + 1)
    expect(run_now(runs_page)).to_be_enabled(timeout=RUN_SECONDS * 1000)
    assert failures(runs_page) == []


@pytest.mark.proof
def test_a_failed_run_says_what_where_and_next_and_is_taken_up_again_once_the_data_is_mended(
    runs_page: Page, own_bank: Bank
) -> None:
    assert own_bank.raw is not None
    users = next(path for path in own_bank.raw.iterdir() if path.name.startswith("users"))
    hidden = users.with_name(f"hidden_{users.name}.away")
    before = shown_version(runs_page)

    users.rename(hidden)
    run_now(runs_page).click()
    told = runs_page.get_by_test_id("stAlertContentError")
    expect(told).to_contain_text(re.compile("users"), timeout=RUN_SECONDS * 1000)
    for part in ("Where:", "What still holds:", "Next:"):
        expect(told).to_contain_text(part)
    assert shown_version(runs_page) == before

    hidden.rename(users)
    runs_page.get_by_role("button", name="Retry from the failed step: Fetch the bank's tables").click()
    wait_for_version(runs_page, before + 1)
    expect(run_now(runs_page)).to_be_enabled(timeout=RUN_SECONDS * 1000)
    expect(runs_page.get_by_text(re.compile(r"takes up run \d+")).first).to_be_visible()
    assert failures(runs_page) == []


def test_a_rollback_asks_first_and_then_every_reader_sees_the_older_version(runs_page: Page, own_bank: Bank) -> None:
    if shown_version(runs_page) == 1:
        run_now(runs_page).click()
        wait_for_version(runs_page, 2)
        expect(run_now(runs_page)).to_be_enabled(timeout=RUN_SECONDS * 1000)
    before = shown_version(runs_page)
    runs_page.get_by_role("link", name="Versions").click()
    runs_page.get_by_role("button", name=f"Roll back to v{before - 1:04d}").click()

    question = runs_page.get_by_role("dialog")
    expect(question).to_contain_text(f"instead of v{before:04d}")
    wait_for_version(runs_page, before)
    question.get_by_role("button", name=f"Show v{before - 1:04d} to everyone").click()
    wait_for_version(runs_page, before - 1)
    expect(runs_page.get_by_text("Every reader now sees version")).to_be_visible()
    assert own_bank.metric("active_customers")["version"] == f"v{before - 1:04d}"
