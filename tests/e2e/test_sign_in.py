"""Sign-in as people meet it: a real OpenID Connect provider on loopback, the app as a process, a real browser between them."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from conftest import Bank, free_port, process
from itsdangerous import URLSafeTimedSerializer
from oidc_provider_mock import run_server_in_thread
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from pipeline.clock import SystemClock
from pipeline.runs.store import RunStore

COOKIE = "_streamlit_user"
ROLES = {"admins": ["ada@bank.example"], "managers": ["group:risk"], "viewers": ["@bank.example"]}


@dataclass(frozen=True)
class SigningBank(Bank):
    """A bank whose app asks people to sign in."""

    provider: str = ""
    port: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "NEOPULSE_OIDC_METADATA_URL": f"{self.provider}/.well-known/openid-configuration",
            "NEOPULSE_OIDC_CLIENT_ID": "neopulse",
            "NEOPULSE_OIDC_CLIENT_SECRET": "what the provider gave us",
            "NEOPULSE_OIDC_COOKIE_SECRET": os.urandom(32).hex(),
            "NEOPULSE_OIDC_PUBLIC_URL": self.address,
            "NEOPULSE_OIDC_DOMAINS": "bank.example,fr.bank.example",
            "NEOPULSE_ROLE_FILE": str(self.roles),
        }

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def roles(self) -> Path:
        return self.home / "roles.yml"

    @property
    def store(self) -> RunStore:
        return RunStore.open(f"sqlite:///{self.home / 'run_store.db'}", clock=SystemClock())

    def give_roles(self, roles: dict[str, Any]) -> None:
        self.roles.write_text(yaml.safe_dump(roles), encoding="utf-8")


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
        with run_server_in_thread() as server:
            yield f"http://localhost:{server.server_port}"


@pytest.fixture(scope="module")
def served_bank(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningBank]:
    """The app before its first version, with a worker that looks alive: a press of "Run now" is asked for and never run."""
    bank = SigningBank(tmp_path_factory.mktemp("home"), provider=provider, port=free_port())
    bank.give_roles(ROLES)
    with process(bank, "app", port=bank.port):
        yield bank


@pytest.fixture
def bank(served_bank: SigningBank) -> SigningBank:
    served_bank.give_roles(ROLES)
    served_bank.store.beat("worker-1", started_at=datetime.now(UTC), doing="waiting")
    return served_bank


@pytest.fixture
def page(window: BrowserContext, bank: SigningBank) -> Iterator[Page]:
    """A browser that nobody has signed in with; it has the app's own files already."""
    del bank  # the first page is drawn by an app that is up
    window.clear_cookies()
    with window.new_page() as tab:
        yield tab


def known(bank: SigningBank, sub: str, **claims: Any) -> None:
    """The provider knows a person, and what it says of them."""
    told = {"email": sub, "email_verified": True, "name": sub.partition("@")[0].title(), **claims}
    requests.put(f"{bank.provider}/users/{sub}", json=told, timeout=5).raise_for_status()


def sign_in(page: Page, bank: SigningBank, sub: str, *, at: str = "/", **claims: Any) -> None:
    """Open a page, follow the button to the provider, and authorize there as this person."""
    page.goto(bank.address + at)
    authorize(page, bank, sub, **claims)


def authorize(page: Page, bank: SigningBank, sub: str, **claims: Any) -> None:
    """From the page before the sign-in to the provider, and back."""
    known(bank, sub, **claims)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_placeholder("sub").fill(sub)
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(re.compile(re.escape(bank.address)))


def claims_of(cookie: str) -> dict[str, Any]:
    """What the app's own cookie says, which anybody may read: it is signed, not secret."""
    _, payload = URLSafeTimedSerializer("not needed to read it").loads_unsafe(cookie)
    told: dict[str, Any] = json.loads(payload)
    return told


def me(page: Page, name: str) -> Any:
    """The button of the frame that says who is signed in."""
    return page.get_by_role("button", name=name)


def pages(page: Page) -> list[str]:
    """What the navigation offers."""
    return [link.splitlines()[-1] for link in page.get_by_test_id("stSidebarNavLink").all_inner_texts()]


def run_now(page: Page) -> Any:
    return page.get_by_role("button", name="Run now")


def hold_back(tab: WebSocketRoute, is_stale: threading.Event, held: list[Callable[[], None]]) -> None:
    """Stand between a tab and the server; what the server says while the tab is stale waits."""
    server = tab.connect_to_server()
    tab.on_message(server.send)
    server.on_message(lambda told: held.append(lambda: tab.send(told)) if is_stale.is_set() else tab.send(told))


def test_who_has_not_signed_in_sees_the_way_in_alone_and_an_admin_comes_back_to_the_page_of_before(
    page: Page, bank: SigningBank
) -> None:
    page.goto(f"{bank.address}/ops_runs?section=runs")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(run_now(page)).to_have_count(0)
    assert pages(page) == []

    authorize(page, bank, "ada@bank.example")
    expect(me(page, "ada@bank.example")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/ops_runs"))
    expect(run_now(page)).to_be_enabled()
    assert {"Runs", "Audit", "Customers"} <= set(pages(page))
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Audit").click()
    with page.expect_download():
        page.get_by_role("button", name="CSV").click()
    downloaded, came = bank.store.acts(limit=2)
    assert (came.who, came.action, came.after) == ("ada@bank.example", "sign_in", {"role": "admin"})
    assert (downloaded.who, downloaded.action, downloaded.what) == ("ada@bank.example", "export", "audit log")
    (cookie,) = [cookie for cookie in page.context.cookies() if cookie["name"] == COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")


def test_a_viewer_reaches_no_admin_page_by_its_address_and_nobody_becomes_one_by_a_forged_cookie(
    page: Page, bank: SigningBank
) -> None:
    sign_in(page, bank, "vera@bank.example", groups=["chess"])
    expect(me(page, "vera@bank.example")).to_be_visible()
    assert not {"Runs", "Audit", "Customers"} & set(pages(page))
    page.goto(f"{bank.address}/ops_runs")
    expect(page.get_by_role("heading", name="No page here")).to_be_visible()
    expect(run_now(page)).to_have_count(0)

    (real,) = [cookie for cookie in page.context.cookies() if cookie["name"] == COOKIE]
    forged = {**claims_of(real["value"]), "email": "ada@bank.example"}
    value = create_signed_value("a secret of somebody else, also long", COOKIE, json.dumps(forged)).decode()
    page.context.add_cookies([{**real, "value": value}])  # type: ignore[list-item, typeddict-item]
    page.goto(f"{bank.address}/ops_runs")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert pages(page) == []


def test_whom_the_provider_knows_and_no_rule_names_has_no_entry(page: Page, bank: SigningBank) -> None:
    sign_in(page, bank, "eve@evil.example", groups=["risk"])
    expect(page.get_by_role("heading", name="No entry")).to_be_visible()
    expect(page.get_by_text("eve@evil.example belongs to a domain that may not sign in here")).to_be_visible()
    assert pages(page) == []
    (noted,) = bank.store.acts(limit=1)
    assert (noted.who, noted.action, noted.after) == ("eve@evil.example", "sign_in_refused", {"reason": "domain"})


def test_a_session_ends_with_its_token_also_in_an_open_tab(page: Page, bank: SigningBank) -> None:
    sign_in(page, bank, "tim@bank.example", exp=int(time.time()) + 8)
    expect(me(page, "tim@bank.example")).to_be_visible()
    expect(page.get_by_text("Your session is over")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.goto(bank.address)
    expect(page.get_by_text("Your session is over")).to_be_visible()


def test_a_stale_tab_that_presses_a_button_after_the_role_was_lost_does_nothing_and_is_told(
    page: Page, bank: SigningBank
) -> None:
    is_stale, held = threading.Event(), list[Callable[[], None]]()
    page.route_web_socket(re.compile("/_stcore/stream"), lambda tab: hold_back(tab, is_stale, held))
    sign_in(page, bank, "ada@bank.example", at="/ops_runs")
    expect(run_now(page)).to_be_enabled()
    before = len(bank.store.requests())
    is_stale.set()
    bank.give_roles({"admins": ["boss@bank.example"], "viewers": ["@bank.example"]})
    run_now(page).click()
    is_stale.clear()
    for send in held:
        send()
    expect(page.get_by_text("This needs the role admin").first).to_be_visible()
    expect(run_now(page)).to_have_count(0)
    assert len(bank.store.requests()) == before
    expect(me(page, "ada@bank.example")).to_be_visible()

    bank.give_roles(ROLES)
    page.goto(f"{bank.address}/ops_runs")
    expect(run_now(page)).to_be_visible()


def test_signing_out_ends_every_tab_and_a_copy_of_the_cookie(page: Page, bank: SigningBank) -> None:
    sign_in(page, bank, "olga@bank.example")
    expect(me(page, "olga@bank.example")).to_be_visible()
    copied = page.context.cookies()
    other = page.context.new_page()
    other.goto(bank.address)
    expect(me(other, "olga@bank.example")).to_be_visible()

    me(page, "olga@bank.example").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/oauth2/end_session"))  # the provider is told as well
    assert COOKIE not in {cookie["name"] for cookie in page.context.cookies()}
    expect(other.get_by_text("You have signed out")).to_be_visible()
    page.context.add_cookies(copied)  # type: ignore[arg-type]
    page.goto(bank.address)
    expect(page.get_by_text("You have signed out")).to_be_visible()
    other.close()
