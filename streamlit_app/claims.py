"""From what a sign-in provider says about a person to an identity that the rules may name, or to a refusal.

What is vouched for: an e-mail address only where the provider says that it verified it; of Google accounts only where
Google itself gives the address out (its own mail, or a Workspace domain, `hd`): anybody may open a Google account under a
bank's address, once, with a mail that he read there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.access import Identity, in_small_letters

GOOGLE = ("https://accounts.google.com", "accounts.google.com")
GOOGLES_OWN_MAIL = ("gmail.com", "googlemail.com")
CLOCKS_APART = timedelta(minutes=5)


def identity(claims: Mapping[str, Any], *, groups_claim: str) -> Identity:
    """Whom the claims of an id token vouch for."""
    email = verified_email(claims)
    return Identity(
        name=email or f"{claims.get('sub', 'nobody')} at {claims.get('iss', 'nowhere')}",
        email=email,
        domain=verified_domain(claims),
        groups=frozenset(_texts(claims.get(groups_claim))),
    )


def verified_email(claims: Mapping[str, Any]) -> str | None:
    """The e-mail address in small letters, where the provider has verified it."""
    email = claims.get("email")
    if not isinstance(email, str) or email.count("@") != 1 or claims.get("email_verified") not in (True, "true"):
        return None
    address = in_small_letters(email)
    if claims.get("iss") in GOOGLE and not (claims.get("hd") or address.rpartition("@")[2] in GOOGLES_OWN_MAIL):
        return None
    return address


def verified_domain(claims: Mapping[str, Any]) -> str | None:
    """The domain that the person belongs to: Google says so itself; of others it is that of the address."""
    if claims.get("iss") in GOOGLE:
        hosted = claims.get("hd")
        return in_small_letters(hosted) if isinstance(hosted, str) and hosted else None
    email = verified_email(claims)
    return email.rpartition("@")[2] if email else None


def session(claims: Mapping[str, Any]) -> str:
    """A name for this sign-in, which tells nothing: no two sign-ins have the same."""
    parts = [str(claims.get(name)) for name in ("iss", "sub", "iat", "exp", "nonce", "at_hash", "jti")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def ends_at(claims: Mapping[str, Any], *, session_hours: float) -> datetime:
    """When the session is over: so many hours after the sign-in, or with the id token. Long ago where it says no time."""
    started = _moment(claims.get("iat"))
    if not session_hours:
        return _moment(claims.get("exp"))
    return started + timedelta(hours=session_hours)


def begins_later(claims: Mapping[str, Any], now: datetime) -> bool:
    """Whether the token claims to come from the future, beyond what clocks differ by."""
    return _moment(claims.get("iat")) > now + CLOCKS_APART


def _moment(seconds: Any) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return datetime.min.replace(tzinfo=UTC)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.min.replace(tzinfo=UTC)


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list | tuple) else []
