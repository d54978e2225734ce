"""A published demo bank, the app and the worker as processes of their own, and a real browser before them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

PROJECT = Path(__file__).parents[2]
TRANSACTIONS = 60_000
SECONDS_TO_START = 60
SECONDS_TO_END = 15
SECONDS_TO_DRAW = 30
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder drives the app in a real browser."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)


@dataclass(frozen=True)
class Bank:
    """A NEOPULSE_HOME with a published version, and the commands that work on it."""

    home: Path
    raw: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        settings = {"NEOPULSE_HOME": str(self.home), "NEOPULSE_DEMO_TRANSACTIONS": str(TRANSACTIONS)}
        return {**os.environ, **settings, **({"NEOPULSE_RAW": str(self.raw)} if self.raw else {})}

    def command(self, *arguments: str) -> str:
        """What a command of neopulse prints; it has to end well."""
        line = [sys.executable, "-m", "pipeline", *arguments]
        ended = subprocess.run(line, cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def metric(self, name: str, *arguments: str) -> dict[str, Any]:
        """The figures of a metric as the command line prints them."""
        answer: dict[str, Any] = json.loads(self.command("metric", name, *arguments, "--format", "json"))
        return answer


@contextmanager
def process(bank: Bank, *arguments: str, port: int | None = None) -> Iterator[None]:
    """A command of neopulse that runs until the block ends; what it says goes to a file."""
    settings = {"NEOPULSE_PORT": str(port)} if port else {}
    output = bank.home / "logs" / f"{arguments[0]}-{port or 0}.log"
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as words:
        line = [sys.executable, "-m", "pipeline", *arguments]
        started = subprocess.Popen(line, cwd=PROJECT, env=bank.environment | settings, stdout=words, stderr=subprocess.STDOUT)
    try:
        if port is not None:
            wait_until(lambda: is_healthy(port) or started.poll() is not None, seconds=SECONDS_TO_START)
        assert started.poll() is None, output.read_text(encoding="utf-8")
        yield
    finally:
        started.terminate()
        try:
            started.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def served(bank: Bank) -> Iterator[str]:
    """The address of an app that shows this bank."""
    port = free_port()
    with process(bank, "app", port=port):
        yield f"http://127.0.0.1:{port}"


def is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def published_bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """The demo bank after one run; made once, however many processes share the tests. Nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    bank, done = Bank(shared / "published_bank"), shared / "published_bank.done"
    with (shared / "published_bank.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            bank.command("demo", "--transactions", str(TRANSACTIONS), "--no-app")
            done.touch()
    return bank


@pytest.fixture(scope="session")
def app(published_bank: Bank) -> Iterator[str]:
    """The address of an app that shows the published bank, for tests that only look."""
    with served(published_bank) as address:
        yield address


@pytest.fixture(scope="module")
def own_bank(published_bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A copy of the published bank that reads its rows from files, for tests that change things."""
    home, raw = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("raw")
    shutil.copytree(published_bank.home, home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("demo", "logs", "holders"))
    shutil.copytree(published_bank.home / "demo", raw, dirs_exist_ok=True)
    return Bank(home, raw)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The machine's Chromium, else the one that Playwright brought, else a skip that says so."""
    own = playwright.chromium.executable_path
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), own if Path(own).exists() else None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(CHROMIUM)} on PATH, and `playwright install chromium` was not run")
    with playwright.chromium.launch(executable_path=found, args=list(CHROMIUM_ARGUMENTS)) as launched:
        yield launched


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """The browser of a reader in Paris who reads English; it loads the app's own files once."""
    expect.set_options(timeout=SECONDS_TO_DRAW * 1000)
    with browser.new_context(viewport={"width": 1400, "height": 1000}, timezone_id="Europe/Paris", locale="en-GB") as context:
        context.set_default_timeout(SECONDS_TO_DRAW * 1000)
        yield context


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """A new tab, which is a session of its own."""
    with window.new_page() as tab:
        yield tab


def charts(page: Page) -> Any:
    """What is drawn on the page."""
    return page.get_by_test_id("stVegaLiteChart").locator("canvas, svg")


def failures(page: Page) -> Sequence[str]:
    """What the page says went wrong, in its own words or in Streamlit's."""
    return page.locator("[data-testid=stException], [data-testid=stAlertContentError], [role=dialog]").all_inner_texts()
