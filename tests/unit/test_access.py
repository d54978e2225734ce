"""Who has which role and sees which countries: the rules, the settings that hold them, and what a provider vouches for."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from oidc_provider_mock import run_server_in_thread

from pipeline import serving, sign_in_checks, telling
from pipeline.access import Identity, Role, Rules, checked_countries, checked_entry, named, read
from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings, load
from pipeline.sign_in_settings import SAMPLE_COOKIE_SECRET
from streamlit_app import auth, server
from streamlit_app.auth import AdmissionError, SignInError

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
GOOGLE = "https://accounts.google.com"
OIDC = {
    "oidc_metadata_url": "https://id.bank.example/.well-known/openid-configuration",
    "oidc_client_id": "neopulse",
    "oidc_client_secret": "the provider's own",
    "oidc_cookie_secret": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "oidc_public_url": "https://neopulse.bank.example",
    "role_admins": ("ada@bank.example",),
    "role_managers": ("group:risk",),
    "role_viewers": ("@bank.example",),
    "role_countries": ("@bank.example=FR+DE", "group:uk=GB", "group:pt=PT", "ada@bank.example=*"),
}


def settings(**changed: Any) -> Settings:
    return Settings(_env_file=None, **{**OIDC, **changed})  # type: ignore[call-arg]


def told(email: str | None = "vera@bank.example", **claims: Any) -> dict[str, Any]:
    """The claims of somebody who signed in an hour ago for two hours."""
    start = {"is_logged_in": True, "provider": "default", "iss": "https://id.bank.example", "aud": "neopulse", "sub": "7"}
    times = {"iat": (NOW - timedelta(hours=1)).timestamp(), "exp": (NOW + timedelta(hours=1)).timestamp()}
    return {**start, **times, "email": email, "email_verified": True, **claims}


def admitted(in_force: Settings | None = None, now: datetime = NOW, **claims: Any) -> auth.User:
    return auth.admit(told(**claims), in_force or settings(), now=now)


def test_a_role_comes_by_address_group_or_domain_and_the_highest_counts() -> None:
    assert admitted(email="Ada@Bank.example").role is Role.ADMIN
    assert admitted(groups=["risk"]).role is Role.MANAGER
    assert admitted().role is Role.VIEWER
    assert admitted(email="ada@bank.example", groups=["risk"]).role is Role.ADMIN


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"email": "vera@bank.example.evil.example"}, "no_role"),
        ({"email": "vera@sub.bank.example"}, "no_role"),
        ({"email": "ada@bank.example@evil.example"}, "unverified"),
        ({"email": "eve@evil.example"}, "no_role"),
        ({"email": "ada@bank.example", "email_verified": False}, "unverified"),
        ({"email": "ada@bank.example", "email_verified": None}, "unverified"),
        ({"email": "ada@bank.example", "email_verified": "yes"}, "unverified"),
        ({"email": None}, "unverified"),
        ({"email": ["ada@bank.example"]}, "unverified"),
        ({"email": "eve@evil.example", "groups": "risky"}, "no_role"),
        ({"email": "eve@evil.example", "groups": {"risk": True}}, "no_role"),
    ],
)
def test_who_is_vouched_for_by_nobody_or_named_by_no_rule_has_no_entry(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(AdmissionError) as refused:
        admitted(**claims)
    assert refused.value.reason == reason
    assert not isinstance(refused.value, SignInError)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"hd": "bank.example"}, Role.VIEWER),
        ({"email": "vera@old-name.example", "hd": "bank.example"}, Role.VIEWER),
        ({"email": "ada@bank.example", "hd": "bank.example"}, Role.ADMIN),
        ({}, None),
        ({"email": "ada@bank.example"}, None),
        ({"email": "ada@bank.example", "hd": ""}, None),
        ({"hd": "evil.example"}, None),
    ],
)
def test_of_a_google_account_only_googles_own_word_for_the_domain_counts(claims: dict[str, Any], role: Role | None) -> None:
    """Anybody may open a Google account under a bank's address, without the bank's Workspace."""
    if role is not None:
        assert admitted(iss=GOOGLE, **claims).role is role
        return
    with pytest.raises(AdmissionError):
        admitted(iss=GOOGLE, **claims)


@pytest.mark.parametrize("iss", ["https://id.bank.example", GOOGLE])
@pytest.mark.parametrize("domain", ["großbank.example", "groſsbank.example", "GROẞBANK.example"])
def test_a_domain_that_unicode_calls_alike_is_another_ones(domain: str, iss: str) -> None:
    """`großbank.example` and `grossbank.example` are registered by whoever comes first."""
    in_force = settings(role_admins=("ada@grossbank.example",), role_viewers=("@grossbank.example",))
    assert admitted(in_force, iss=iss, email="Ada@GrossBank.example", hd="GrossBank.example").role is Role.ADMIN
    with pytest.raises(AdmissionError):
        admitted(in_force, iss=iss, email=f"ada@{domain}", hd=domain)


def test_a_domain_that_may_not_sign_in_has_no_entry_even_where_a_rule_names_the_person() -> None:
    only = settings(oidc_domains=("bank.example",), role_managers=("max@partner.example", "group:risk"))
    assert admitted(only).role is Role.VIEWER
    with pytest.raises(AdmissionError) as refused:
        admitted(only, email="max@partner.example")
    assert refused.value.reason == "domain"
    rules = only.access_rules()  # by which letters and `neopulse metric --as` go
    assert rules.role_of(named(["max@partner.example"])) is None
    assert rules.role_of(named(["group:risk"])) is Role.MANAGER


@pytest.mark.parametrize("claims", [{"is_logged_in": False}, {"is_logged_in": 1}, {"aud": "another app"}, {"aud": None}])
def test_who_has_not_signed_in_for_this_app_is_asked_to(claims: dict[str, Any]) -> None:
    with pytest.raises(SignInError) as refused:
        admitted(**claims)
    assert refused.value.reason == "not_signed_in"
    with pytest.raises(SignInError):
        auth.admit({}, settings(), now=NOW)


def test_a_session_ends_with_its_token_or_so_many_hours_after_the_sign_in() -> None:
    hour = timedelta(hours=1)
    assert admitted(now=NOW + hour - timedelta(seconds=1))
    with pytest.raises(SignInError) as over:
        admitted(now=NOW + hour)
    assert over.value.reason == "expired"
    assert admitted(settings(oidc_session_hours=8), now=NOW + 6 * hour)
    with pytest.raises(SignInError):
        admitted(settings(oidc_session_hours=8), now=NOW + 7 * hour)
    with pytest.raises(SignInError):
        admitted(settings(oidc_session_hours=0.5))


@pytest.mark.parametrize("claims", [{"exp": None}, {"exp": "later"}, {"exp": True}, {"exp": 1e300}])
def test_a_token_without_an_end_is_over(claims: dict[str, Any]) -> None:
    with pytest.raises(SignInError):
        admitted(**claims)


def test_a_token_from_the_future_is_nobodys_beyond_what_clocks_differ_by() -> None:
    assert admitted(iat=(NOW + timedelta(minutes=4)).timestamp())
    with pytest.raises(SignInError):
        admitted(iat=(NOW + timedelta(hours=2)).timestamp())


def test_each_sign_in_is_a_session_of_its_own_and_its_name_tells_nothing() -> None:
    first, second = admitted(nonce="a"), admitted(nonce="b")
    assert first.session != second.session
    assert first.session == admitted(nonce="a").session
    assert len(first.session) == 64
    assert "vera" not in first.session


def test_a_persons_own_countries_count_before_those_of_groups_and_of_the_domain() -> None:
    assert admitted().countries == {"FR", "DE"}
    assert admitted(groups=["uk"]).countries == {"GB"}
    assert admitted(groups=["uk", "pt"]).countries == {"GB", "PT"}
    assert admitted(email="ada@bank.example", groups=["uk"]).countries is None
    assert admitted(settings(role_countries=())).countries is None


def test_an_unverified_address_gives_no_country_either() -> None:
    who = auth.claims.identity(told(email="ada@bank.example", email_verified=False), groups_claim="groups")
    assert who == Identity("7 at https://id.bank.example")


@pytest.mark.parametrize("text", ["", "ada", "ada@", "@", "a b@bank.example", "group:", "role:admin", "*", "bank.example"])
def test_an_entry_that_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is neither"):
        checked_entry(text)


@pytest.mark.parametrize("text", ["ada@bank.example", "ada@bank.example=", "ada@bank.example=fr", "@b.example=FR,DE", "x=FR"])
def test_countries_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no countries|two capital letters|is neither"):
        checked_countries(text)


def test_the_file_of_roles_adds_to_the_settings_and_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "roles.yml"
    file.write_text("managers: [vera@bank.example]\ncountries: {'@bank.example': [IT]}\n", encoding="utf-8")
    in_force = settings(role_file=file)
    assert (admitted(in_force).role, admitted(in_force).countries) == (Role.MANAGER, {"IT"})
    assert admitted(in_force, email="ada@bank.example").role is Role.ADMIN
    file.write_text("{}", encoding="utf-8")
    assert (admitted(in_force).role, admitted(in_force).countries) == (Role.VIEWER, {"FR", "DE"})


@pytest.mark.parametrize(
    "content",
    [
        "admins: ada@bank.example",
        "owners: []",
        "[]",
        "admins: [1]",
        "countries: {'@b.example': [NO]}",
        "admins: [",
        "admins: [x]",
        "admins: [ada@bank.example]\nadmins: [max@bank.example]",
        "countries: {'@b.example': [FR]}\ncountries: {'group:uk': [GB]}",
        "countries: {'@b.example': [FR], '@b.example': ['*']}",
        "countries: {'@b.example': [FR], '@B.example': ['*']}",
    ],
)
def test_nobody_comes_in_while_the_file_of_roles_cannot_be_read(tmp_path: Path, content: str) -> None:
    file = tmp_path / "roles.yml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="file of roles cannot be used"):
        admitted(settings(role_file=file), email="ada@bank.example")
    file.unlink()
    with pytest.raises(ConfigurationError, match="file of roles cannot be used"):
        read(file)


def test_rules_join_by_role() -> None:
    one, other = Rules({Role.VIEWER: ("@a.example",)}, {}), Rules({Role.VIEWER: ("@b.example",)}, {"@b.example": None})
    assert one.joined(other).by_role[Role.VIEWER] == ("@a.example", "@b.example")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"oidc_client_secret": ""}, "NEOPULSE_OIDC_CLIENT_SECRET"),
        ({"oidc_cookie_secret": ""}, "NEOPULSE_OIDC_COOKIE_SECRET"),
        ({"oidc_cookie_secret": "short"}, "32 or more characters"),
        ({"oidc_cookie_secret": "a" * 64}, "32 or more characters"),
        ({"oidc_public_url": "http://neopulse.bank.example"}, "https://"),
        ({"oidc_public_url": "https://bank.example/neopulse"}, "scheme, name and port alone"),
        ({"oidc_metadata_url": "http://id.bank.example"}, "https://"),
        ({"oidc_metadata_url": ""}, "NEOPULSE_OIDC_METADATA_URL"),
        ({"role_admins": ()}, "nobody could come in"),
        ({"role_admins": ("ada",)}, "is neither"),
        ({"oidc_scopes": "email"}, "openid"),
        ({"oidc_cookie_secret": SAMPLE_COOKIE_SECRET, "raw": "/bank"}, "is the sample"),
        ({"role_countries": ("@bank.example=FR", "@Bank.example=*")}, "@bank.example has countries twice"),
    ],
)
def test_a_sign_in_that_is_half_set_up_or_weak_is_refused(
    changed: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**OIDC, **changed}.items():
        monkeypatch.setenv(f"NEOPULSE_{name.upper()}", ",".join(value) if isinstance(value, tuple) else value)
    with pytest.raises(ConfigurationError, match=named) as refused:
        load(None)
    for secret in ("oidc_client_secret", "oidc_cookie_secret"):
        assert not OIDC[secret] or str(OIDC[secret]) not in str(refused.value)
    assert SAMPLE_COOKIE_SECRET not in str(refused.value)


@pytest.mark.parametrize(("name", "value"), [("role_countries", "@bank.example=FR"), ("oidc_domains", "bank.example")])
def test_a_rule_that_confines_nobody_for_nobody_signs_in_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"NEOPULSE_{name.upper()}", value)
    with pytest.raises(ConfigurationError, match=f"NEOPULSE_{name.upper()} needs NEOPULSE_OIDC_METADATA_URL"):
        load(None)


def test_no_two_kinds_of_settings_have_a_check_of_the_same_name() -> None:
    """The one would silently take the place of the other."""
    parts = [part for part in Settings.__mro__ if part.__module__.startswith("pipeline.")]
    checks = [name for part in parts for name in vars(part) if name.startswith("_") and not name.startswith("__")]
    own = [name for name in checks if name not in ("_abc_impl",)]
    assert sorted(name for name in set(own) if own.count(name) > 1) == []


def test_check_asks_the_provider_and_counts_the_entries() -> None:
    with run_server_in_thread() as server:
        address = f"http://localhost:{server.server_port}"
        answering = settings(oidc_metadata_url=f"{address}/.well-known/openid-configuration")
        told = sign_in_checks.found(answering, clock=FixedClock(NOW))
        assert f"{address} vouches" in told
        assert told.endswith("entries: admins 1, managers 1, viewers 1")
        with pytest.raises(ConfigurationError, match="has no issuer"):
            sign_in_checks.found(settings(oidc_metadata_url=f"{address}/jwks"), clock=FixedClock(NOW))
    assert "this machine only" in sign_in_checks.found(Settings(_env_file=None), clock=FixedClock(NOW))  # type: ignore[call-arg]


def test_the_demo_bank_may_have_the_sample_secret() -> None:
    assert settings(oidc_cookie_secret=SAMPLE_COOKIE_SECRET).has_the_sample_secret


def test_with_a_sign_in_the_app_may_answer_to_other_machines() -> None:
    serving._refuse_strangers(settings(address="0.0.0.0"))
    with pytest.raises(ConfigurationError, match="nobody has to sign in"):
        serving._refuse_strangers(Settings(_env_file=None, address="0.0.0.0"))  # type: ignore[call-arg]


def test_messages_lead_to_where_people_sign_in_and_else_to_this_machine() -> None:
    assert telling.links(settings(oidc_public_url="https://pulse.bank.example")) == {"app": "https://pulse.bank.example"}
    here = Settings(_env_file=None, port=8600)  # type: ignore[call-arg]
    assert telling.links(here) == {"app": "http://localhost:8600"}


def test_a_child_gets_the_secrets_and_nobody_reads_them_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings()
    assert "the provider's own" not in repr(given)
    for name, value in serving.environment(given).items():
        monkeypatch.setenv(name, value)
    assert load(None) == given
    assert os.environ["NEOPULSE_OIDC_CLIENT_SECRET"] == "the provider's own"


def test_streamlit_learns_of_the_provider_from_the_settings_alone() -> None:
    assert server.secrets(Settings(_env_file=None)) == {}  # type: ignore[call-arg]
    told_to_streamlit = server.secrets(settings())["auth"]
    assert told_to_streamlit["redirect_uri"] == "https://neopulse.bank.example/oauth2callback"
    assert told_to_streamlit["client_secret"] == "the provider's own"


def test_whoever_the_provider_does_not_vouch_for_sees_no_country_where_an_entry_of_that_kind_confines() -> None:
    assert admitted(email_verified=False, groups=["risk"]).countries == frozenset()
    assert admitted(email=None, groups=["risk"]).countries == frozenset()
    assert admitted(email=None, groups=["risk", "uk"]).countries == frozenset({"GB"})
    by_address = settings(role_countries=("max@bank.example=FR", "group:uk=GB"))
    assert admitted(by_address, email_verified=False, groups=["risk", "uk"]).countries == frozenset()
    by_group = settings(role_countries=("group:uk=GB",))
    assert admitted(by_group, email=None, groups=["risk"]).countries is None


def test_streamlit_too_knows_the_public_name_of_the_app() -> None:
    """A proxy may ask by another name, and Streamlit compares what opens a connection with that one or with this."""
    at_home = serving.app_command(Settings(_env_file=None))  # type: ignore[call-arg]
    in_public = serving.app_command(settings())
    assert "--browser.serverAddress" not in at_home
    assert in_public[in_public.index("--browser.serverAddress") + 1] == "neopulse.bank.example"
