"""What nobody is to read: the values of the secret settings, masked wherever words leave the process.

The settings tell the values when they are read; errors, logs and the command line ask here before they say anything.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit, urlunsplit

MASK = "***"
SHORT = 4  # a value shorter than this is masked as a word of its own only: `a` is in every other word
SECRET_OPTIONS = frozenset({"password", "sslpassword", "passfile", "sslkey", "token", "oauth_client_secret"})

_known: set[str] = set()


def remember(values: Iterable[str]) -> None:
    """Mask these values from now on, in each form in which they may be quoted."""
    _known.update(spellings(values))


def spellings(values: Iterable[str]) -> frozenset[str]:
    """Each form in which the values, and the secrets in them, may be quoted."""
    return frozenset(form for value in values for part in _parts(value) for form in _forms(part))


def forget() -> None:
    """Mask nothing any more; for tests."""
    _known.clear()


def masked(text: str, secrets: Collection[str] = _known) -> str:
    """The text without any secret: those that are remembered, or these, which `spellings` told."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret in text:
            whole_word = rf"(?<!\w){re.escape(secret)}(?!\w)"
            text = text.replace(secret, MASK) if len(secret) >= SHORT else re.sub(whole_word, MASK, text)
    return text


def _parts(value: str) -> Iterator[str]:
    """The value, and the secrets in it: the password of an address, the tokens of `name=token,name=token`."""
    if not value.strip():  # blanks are in every text
        return
    yield value
    with suppress(ValueError):
        address = urlsplit(value)
        if address.netloc:
            yield from filter(None, (address.password, unquote(address.password or "")))
            yield from (option for name, option in parse_qsl(address.query) if name in SECRET_OPTIONS)
            return
    for name, _, token in (part.strip().partition("=") for part in value.split(",")):
        if name and len(token) >= SHORT:
            yield token


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield html.escape(secret)
    yield repr(secret)[1:-1]
    if len(secret) >= SHORT:
        yield base64.b64encode(secret.encode()).decode().rstrip("=")


def shown_address(address: str) -> str:
    """The address without what may be secret in it, for logs and pages: no user, no password, no values of the query."""
    parts = urlsplit(address)
    who, at, host = parts.netloc.rpartition("@")
    query = "&".join(_masked(one) for one in parts.query.split("&")) if parts.query else ""
    return urlunsplit(parts._replace(netloc=(MASK if who else "") + at + host, query=query))


def _masked(part: str) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={MASK}" if equals else MASK
