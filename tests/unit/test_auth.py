"""Who comes in, and what a role may do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from starlette.datastructures import Headers

from pipeline.settings import Settings
from streamlit_app import auth
from streamlit_app.auth import AdmissionError, Role, RoleError, User


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
@pytest.mark.parametrize("host", [None, "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST"])
def test_a_browser_on_the_same_machine_comes_in(address: str, host: str | None) -> None:
    auth.admit_local(address, host=host, behind_loopback=False)


@pytest.mark.parametrize("address", [None, "0.0.0.0", "::", "192.168.1.20", "bank.example"])
def test_an_address_that_others_can_reach_is_refused(address: str | None) -> None:
    with pytest.raises(AdmissionError) as refused:
        auth.admit_local(address, host="localhost:8501", behind_loopback=False)
    assert refused.value.reason == "wide_address"
    assert "NEOPULSE_ADDRESS=127.0.0.1" in refused.value.next


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8501",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.5:8501",
        "[",
        "",
        "user@evil.example",
    ],
)
def test_a_foreign_name_on_a_loopback_address_is_refused(host: str) -> None:
    with pytest.raises(AdmissionError) as refused:
        auth.admit_local("127.0.0.1", host=host, behind_loopback=False)
    assert refused.value.reason == "foreign_host"


@pytest.mark.parametrize("host", [None, "localhost:8501", "127.0.0.1:8501", "172.18.0.3:8501", "[fd00::3]:8501", "app:8501"])
def test_a_wide_address_is_allowed_where_only_the_own_machine_reaches_the_port(host: str | None) -> None:
    auth.admit_local("0.0.0.0", host=host, behind_loopback=True)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "localhost.evil.example", "172.18.0.3.evil.example", "["])
def test_a_name_that_a_stranger_can_own_is_refused_behind_loopback_too(host: str) -> None:
    with pytest.raises(AdmissionError) as refused:
        auth.admit_local("0.0.0.0", host=host, behind_loopback=True)
    assert refused.value.reason == "foreign_host"


def test_each_role_may_do_what_the_ones_below_it_may() -> None:
    manager = User("maria", Role.MANAGER)
    assert [manager.may(role) for role in (Role.VIEWER, Role.MANAGER, Role.ADMIN)] == [True, True, False]


def test_the_right_is_checked_against_the_person_of_this_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User("maria", Role.MANAGER))
    assert auth.require(Role.MANAGER).name == "maria"
    with pytest.raises(RoleError, match="needs the role admin; maria has the role manager"):
        auth.require(Role.ADMIN)
    monkeypatch.setattr(auth, "current_user", lambda: User("maria", Role.VIEWER))
    with pytest.raises(RoleError):
        auth.require(Role.MANAGER)


def test_a_request_that_a_proxy_passed_on_is_refused_where_nobody_can_sign_in() -> None:
    with pytest.raises(AdmissionError, match="A proxy passed this request on"):
        auth.admit_local("127.0.0.1", host="127.0.0.1:8501", behind_loopback=True, is_forwarded=True)


@pytest.mark.parametrize("name", ["Via", "X-Forwarded-For"])
def test_whoever_comes_through_a_proxy_is_not_the_local_user(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Host": "localhost:8501"}
    monkeypatch.setattr(auth, "_in_force", lambda: Settings(_env_file=None, behind_loopback=True))
    monkeypatch.setattr(auth.st, "context", SimpleNamespace(headers=Headers(headers)))
    assert auth.current_user() == auth.LOCAL_USER
    monkeypatch.setattr(auth.st, "context", SimpleNamespace(headers=Headers({**headers, name: "bank.example"})))
    with pytest.raises(AdmissionError) as refused:
        auth.current_user()
    assert refused.value.reason == "proxied"
