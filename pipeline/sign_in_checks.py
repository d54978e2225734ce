"""What `neopulse check` says about sign-in: whether the provider answers as one, and whom the rules name."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.access import Role
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError
from pipeline.http import Patience, Service
from pipeline.settings import Settings

NEEDED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
PATIENCE = Patience(connect_seconds=5, answer_seconds=10, deadline_seconds=15, most_attempts=1)


def found(settings: Settings, *, clock: Clock) -> str:
    """Who vouches for people, and how many entries each role has.

    Raises ConfigurationError where the provider's address is no provider's or the file of roles cannot be read.
    """
    if not settings.signs_in:
        return "nobody signs in: the app answers to this machine only (docs/sign-in.md)"
    rules = settings.access_rules()
    told = Service("sign-in provider", settings.oidc_metadata_url, clock=clock, patience=PATIENCE).get("").content
    lacking = [name for name in NEEDED if not isinstance(told, Mapping) or not isinstance(told.get(name), str)]
    if lacking:
        raise ConfigurationError(
            f"The answer at the provider's address has no {', '.join(lacking)}",
            where="NEOPULSE_OIDC_METADATA_URL",
            next="take the provider's address that ends in /.well-known/openid-configuration",
        )
    entries = ", ".join(f"{role.name.lower()}s {len(rules.by_role.get(role, ()))}" for role in sorted(Role, reverse=True))
    sample = "; sessions are signed with the sample secret of the demo" if settings.has_the_sample_secret else ""
    return f"{told['issuer']} vouches; people come back to {settings.redirect_uri}; entries: {entries}{sample}"
