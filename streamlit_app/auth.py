"""Who is looking, and what they may do: the one place that a page, an action or a read asks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from urllib.parse import urlsplit

import streamlit as st

from pipeline import settings
from pipeline.errors import ConfigurationError, PermanentError


class Role(IntEnum):
    """What a person may do; each role may do what the ones below it may."""

    VIEWER = 1
    MANAGER = 2
    ADMIN = 3


@dataclass(frozen=True)
class User:
    """The person behind a session; `name` is what the audit log writes."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this person has the role or a higher one."""
        return self.role >= role


class AdmissionError(ConfigurationError):
    """Nobody may come in the way this request came; `reason` and `place` let a page say it in the reader's language."""

    def __init__(self, what: str, *, reason: str, place: str, next: str) -> None:
        super().__init__(what, where=place, safe="No figure and no customer was shown", next=next)
        self.reason = reason
        self.place = place


class RoleError(PermanentError):
    """The person is known and has not the right."""

    def __init__(self, user: User, needed: Role) -> None:
        super().__init__(
            f"This needs the role {needed.name.lower()}; {user.name} has the role {user.role.name.lower()}",
            safe="Nothing was read and nothing was changed",
            next="ask an admin for the role",
        )
        self.needed = needed


LOCAL_USER = User("local", Role.ADMIN)


def current_user() -> User:
    """The person behind this session, decided anew at every call.

    Raises AdmissionError where nobody may come in: without a sign-in provider the app answers to its own machine only.
    """
    admit_local(
        st.get_option("server.address"),
        host=st.context.headers.get("host"),
        behind_loopback=_behind_loopback(),
    )
    return LOCAL_USER


@cache
def _behind_loopback() -> bool:
    return settings.load().behind_loopback


def require(role: Role) -> User:
    """The person behind this session, who has at least this role; raises RoleError else."""
    user = current_user()
    if not user.may(role):
        raise RoleError(user, role)
    return user


def admit_local(address: str | None, *, host: str | None, behind_loopback: bool) -> None:
    """Let the local user in, who needs no sign-in because only this machine can reach the app.

    `address` is what the server listens on (None: every address), `host` the name the browser asked for (None: not told).
    A foreign name that leads here is a page elsewhere that points its own name to this machine (DNS rebinding).
    """
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
