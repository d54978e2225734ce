"""Who is looking, and what they may do: the one place that a page, an action or a read asks."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from pipeline import settings
from pipeline.access import Identity, Role
from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.marts import ConfinedError
from pipeline.settings import Settings
from streamlit_app import claims, sessions

__all__ = ["AdmissionError", "Role", "RoleError", "SignInError", "StaleError", "User"]


@dataclass(frozen=True)
class User:
    """The person behind a session; `name` is what the audit log writes.

    `countries` are those whose customers the person sees, None every one; `session` names the sign-in, empty without one.
    """

    name: str
    role: Role
    countries: frozenset[str] | None = None
    session: str = ""

    def may(self, role: Role) -> bool:
        """Whether this person has the role or a higher one."""
        return self.role >= role

    @property
    def confined_to(self) -> tuple[str, ...] | None:
        """The same countries, in order."""
        return None if self.countries is None else tuple(sorted(self.countries))


class AdmissionError(ConfigurationError):
    """Nobody may come in the way this request came; `reason` and `place` let a page say it in the reader's language."""

    def __init__(self, what: str, *, reason: str, place: str, next: str) -> None:
        super().__init__(what, where=place, safe="No figure and no customer was shown", next=next)
        self.reason = reason
        self.place = place


class SignInError(AdmissionError):
    """Nobody has signed in, or the session is over: signing in helps."""

    def __init__(self, what: str, *, reason: str) -> None:
        super().__init__(what, reason=reason, place="", next="sign in again")


class RoleError(PermanentError):
    """The person is known and has not the right."""

    def __init__(self, user: User, needed: Role) -> None:
        super().__init__(
            f"This needs the role {needed.name.lower()}; {user.name} has the role {user.role.name.lower()}",
            safe="Nothing was read and nothing was changed",
            next="ask an admin for the role",
        )
        self.needed = needed


class StaleError(PermanentError):
    """What is on the screen was drawn for rights that the person has no more."""

    def __init__(self, user: User) -> None:
        super().__init__(
            f"The rights of {user.name} are other ones than when this was drawn",
            safe="No file was written",
            next="load the page again: it shows what you may see now",
        )


KEPT = 256  # names that were judged: every read of a page asks anew
LONGEST_NAME = 255  # of a host
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
LOCAL_USER = User("local", Role.ADMIN)


def current_user() -> User:
    """The person behind this session, decided anew at every call: from the sign-in, the clock and the rules of this moment.

    Raises SignInError where signing in helps, and AdmissionError where nobody may come in: without a sign-in provider the
    app answers to its own machine only.
    """
    in_force = _in_force()
    if in_force.signs_in:
        user = admit(dict(st.user), in_force, now=SystemClock().now())
        if sessions.is_over(in_force.run_store_url, user.session):
            raise SignInError("This session was signed out", reason="signed_out")
        return user
    headers = st.context.headers  # made anew at each look
    admit_local(
        st.get_option("server.address"),
        host=headers.get("host"),
        behind_loopback=in_force.behind_loopback,
        is_forwarded=any(name in headers for name in FORWARDED),
    )
    return LOCAL_USER


@cache
def _in_force() -> Settings:
    return settings.load()


def signs_in() -> bool:
    """Whether people sign in here; without a provider only this machine comes in."""
    return _in_force().signs_in


def session_of_the_refused() -> str:
    """A name for the sign-in of somebody who has no entry; another one than it would have with a role."""
    return "refused-" + claims.session(dict(st.user))[:50]


def admit(told: Mapping[str, Any], in_force: Settings, *, now: datetime) -> User:
    """Let a person in whom the provider vouches for, with the role and the countries that the rules give at this moment.

    `told` are the claims of the id token, out of a cookie that this server has signed.
    """
    _check_session(told, in_force, now=now)
    who = claims.identity(told, groups_claim=in_force.oidc_groups_claim)
    if in_force.oidc_domains and who.domain not in in_force.oidc_domains:
        raise _no_entry(told, who, "domain" if who.domain else "unverified")
    rules = in_force.access_rules()
    role = rules.role_of(who)
    if role is None:
        raise _no_entry(told, who, "no_role" if who.email else "unverified")
    return User(who.name, role, rules.countries_of(who), claims.session(told))


def _check_session(told: Mapping[str, Any], in_force: Settings, *, now: datetime) -> None:
    meant_for = told.get("aud")
    is_for_us = in_force.oidc_client_id in (meant_for if isinstance(meant_for, list) else [meant_for])
    if told.get("is_logged_in") is not True or not is_for_us or claims.begins_later(told, now):
        raise SignInError("Nobody has signed in", reason="not_signed_in")
    if claims.ends_at(told, session_hours=in_force.oidc_session_hours) <= now:
        raise SignInError("The session is over", reason="expired")


def _no_entry(told: Mapping[str, Any], who: Identity, reason: str) -> AdmissionError:
    return AdmissionError(
        "The sign-in provider knows this person, and no role is given to them here",
        reason=reason,
        place=who.email or str(told.get("email") or who.name),
        next="ask an admin to give a role to this address (docs/sign-in.md), or sign in with another account",
    )


def require(role: Role) -> User:
    """The person behind this session, who has at least this role; raises RoleError else."""
    user = current_user()
    if not user.may(role):
        raise RoleError(user, role)
    return user


def require_everywhere(role: Role) -> User:
    """The same, of somebody who sees every country; raises ConfinedError for others."""
    user = require(role)
    if user.countries is not None:
        raise ConfinedError("What is shown here", sorted(user.countries))
    return user


def require_rights_of(drawn_for: User) -> User:
    """The person behind this session, who may still see all that was drawn; raises StaleError else."""
    user = current_user()
    sees_as_much = user.countries is None or (drawn_for.countries is not None and drawn_for.countries <= user.countries)
    if not (user.may(drawn_for.role) and sees_as_much):
        raise StaleError(user)
    return user


def admit_local(address: str | None, *, host: str | None, behind_loopback: bool, is_forwarded: bool = False) -> None:
    """Let the local user in, who needs no sign-in because only this machine can reach the app.

    `address` is what the server listens on (None: every address), `host` the name the browser asked for (None: not told).
    A foreign name that leads here is a page elsewhere that points its own name to this machine (DNS rebinding). A request that
    a proxy says it passed on (`is_forwarded`) comes from who knows where.
    """
    if is_forwarded:
        raise AdmissionError(
            "A proxy passed this request on, and nobody can sign in here",
            reason="proxied",
            place="the request",
            next="set NEOPULSE_OIDC_* before others reach the app (docs/sign-in.md)",
        )
    if not (behind_loopback or is_loopback(address)):
        raise AdmissionError(
            "Nobody can sign in here, and other machines can reach this address",
            reason="wide_address",
            place=address or "0.0.0.0",
            next="set NEOPULSE_ADDRESS=127.0.0.1, or NEOPULSE_BEHIND_LOOPBACK=true where only this machine reaches the port",
        )
    name = None if host is None else host_name(host)
    if host is not None and not (is_loopback(name) or (behind_loopback and is_inside(name))):
        raise AdmissionError(
            "The browser asked for a name that is not this machine's own",
            reason="foreign_host",
            place=host,
            next="open http://localhost with the app's port",
        )


def host_name(host: str) -> str | None:
    """The name in a Host header, without port and brackets; None where it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def is_loopback(name: str | None) -> bool:
    """Whether a host name or address can only mean this machine."""
    return name is not None and len(name) <= LONGEST_NAME and _is_loopback(name)


@lru_cache(KEPT)
def _is_loopback(name: str) -> bool:
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(str(name)).is_loopback)


def is_inside(name: str | None) -> bool:
    """Whether nobody on the internet can own the name: an address, or a word such as a container's name."""
    return name is not None and ("." not in name or is_address(name))


def is_address(name: str | None) -> bool:
    """Whether this is an IP address."""
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return True
