"""Addresses of the web: which of them stay on this machine, and which on a network of one's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit


def is_loopback(address: str) -> bool:
    """Whether an address of the web can only be on this machine."""
    return is_loopback_host(urlsplit(address).hostname or "")


def is_loopback_host(host: str) -> bool:
    """Whether a host's name or IP address can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_nearby(address: str) -> bool:
    """Whether an address is on this machine, in a private network, or a bare name such as a container has."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return bool(host) and "." not in host


def web_address(value: str, *, example: str, may_be_clear: Callable[[str], bool] = is_nearby) -> str:
    """The address without a slash at its end; raises ValueError where it is none, or is http:// where it has to be https://."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"is not an address, such as {example}")
    if parts.scheme == "http" and not may_be_clear(value):
        own_network = " and its own network" if may_be_clear is is_nearby else ""
        raise ValueError(f"has to be https:// beyond this machine{own_network}")
    return value.rstrip("/")
