"""The token endpoint: a signed assertion against a bearer token of one hour; who has which key; keys for the tests."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from stand_ins.google_sheets.errors import ApiError

AUDIENCE = "https://oauth2.googleapis.com/token"  # what google-auth signs for, wherever it sends it
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = (
    "https://www.googleapis.com/auth/spreadsheets",
    "https://www.googleapis.com/auth/drive",
    "https://spreadsheets.google.com/feeds",
)
LIFE_SECONDS = 3600


class RefusedError(Exception):
    """An answer of the token endpoint other than a token."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.body = {"error": error, "error_description": description}


@cache
def _key(number: int) -> rsa.RSAPrivateKey:
    """A key of this process: making one takes a while."""
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(email: str, token_uri: str, *, number: int = 1) -> dict[str, str]:
    """The content of a service account's key file; another number is another key."""
    pem = _key(number).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "bank-analytics",
        "private_key_id": f"key-{number}",
        "private_key": pem.decode(),
        "client_email": email,
        "client_id": "104600000001",
        "token_uri": token_uri,
    }


@dataclass
class Tokens:
    """Which key belongs to which account, and which tokens are out. `faults` are statuses that come with a page instead."""

    clock: Callable[[], datetime]
    url: str = ""
    accounts: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    issued: dict[str, tuple[str, float]] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)

    def know(self, email: str, *, number: int = 1) -> None:
        """Let an account sign in with that key."""
        self.accounts[email] = _key(number).public_key()

    def issue(self, form: Mapping[str, str]) -> dict[str, Any]:
        """A token for a signed assertion; raises RefusedError as Google words it."""
        if form.get("grant_type") != GRANT:
            raise RefusedError("unsupported_grant_type", "Invalid grant_type: " + form.get("grant_type", ""))
        claims = self._claims(form.get("assertion", ""))
        token = "ya29." + secrets.token_urlsafe(24)
        self.issued[token] = (claims["iss"], self.clock().timestamp() + LIFE_SECONDS)
        return {"access_token": token, "expires_in": LIFE_SECONDS - 1, "token_type": "Bearer"}

    def _claims(self, assertion: str) -> dict[str, Any]:
        try:
            head, body, signature = assertion.split(".")
            header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        except ValueError:
            raise RefusedError("invalid_grant", "Invalid JWT: it must be three dot-separated segments.") from None
        if header.get("alg") != "RS256" or claims.get("iss") not in self.accounts:
            raise RefusedError("invalid_grant", "Invalid grant: account not found")
        try:
            signed = f"{head}.{body}".encode()
            self.accounts[claims["iss"]].verify(_decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise RefusedError("invalid_grant", "Invalid JWT Signature.") from None
        now = self.clock().timestamp()
        lives = claims.get("iat", 0) - 300 <= now <= claims.get("exp", 0) <= claims.get("iat", 0) + LIFE_SECONDS
        if not lives or claims.get("aud") not in (AUDIENCE, self.url):
            raise RefusedError(
                "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            )
        if not any(scope.startswith(SCOPES) for scope in str(claims.get("scope", "")).split()):
            raise RefusedError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return dict(claims)

    def user(self, authorization: str) -> str:
        """Whose token it is; raises 401 where it is nobody's or too old."""
        email, until = self.issued.get(authorization.removeprefix("Bearer "), ("", 0.0))
        if not email or until < self.clock().timestamp():
            raise ApiError(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
                "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
            )
        return email


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
