"""The settings of sign-in by OpenID Connect, and of who has which role; without them only this machine comes in."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from pipeline import access
from pipeline.access import Role, Rules
from pipeline.addresses import is_loopback, web_address
from pipeline.setting_types import CommaSeparated, OptionalPath

NO_SECRET = SecretStr("")
SHORTEST_COOKIE_SECRET = 32  # characters
SAMPLE_COOKIE_SECRET = "a-sample-for-the-demo-bank-and-for-nothing-else"
CALLBACK = "/oauth2callback"
_RULES = ("oidc_domains", "role_admins", "role_managers", "role_viewers", "role_countries", "role_file")
_NEEDED = ("oidc_client_id", "oidc_client_secret", "oidc_cookie_secret", "oidc_public_url")


class SignInSettings(BaseSettings):
    """Who vouches for people, and what each of them may do."""

    oidc_metadata_url: str = Field(
        default="",
        description="The provider's `/.well-known/openid-configuration`, Google's is "
        "`https://accounts.google.com/.well-known/openid-configuration`; empty means no sign-in, and this machine only.",
    )
    oidc_client_id: str = Field(default="", description="The id that the provider gave this app.")
    oidc_client_secret: SecretStr = Field(default=NO_SECRET, description="The secret that belongs to the id.")
    oidc_cookie_secret: SecretStr = Field(
        default=NO_SECRET,
        description="What sessions are signed with: 32 characters or more, such as `openssl rand -hex 32` prints.",
    )
    oidc_public_url: str = Field(
        default="",
        description="The address that people type, such as `https://neopulse.bank.example`; the provider sends them back "
        "to it with `/oauth2callback` behind it.",
    )
    oidc_domains: CommaSeparated = Field(
        default=(), description="Domains whose people may sign in, comma-separated; empty leaves it to the roles."
    )
    oidc_scopes: str = Field(default="openid email profile", description="What the provider is asked to tell.")
    oidc_groups_claim: str = Field(default="groups", min_length=1, description="The claim that lists a person's groups.")
    oidc_session_hours: float = Field(
        default=0, ge=0, le=720, description="Hours after sign-in when a session ends; 0 ends it when its id token does."
    )
    role_admins: CommaSeparated = Field(
        default=(), description="Who runs the chain: `ada@bank.example`, `@bank.example` or `group:name`, comma-separated."
    )
    role_managers: CommaSeparated = Field(default=(), description="Who sees customers one by one, written alike.")
    role_viewers: CommaSeparated = Field(default=(), description="Who sees figures of at least 10 customers, written alike.")
    role_countries: CommaSeparated = Field(
        default=(),
        description="Who sees the customers of some countries only: `@fr.bank.example=FR+MC`, comma-separated; "
        "`=*` is every country.",
    )
    role_file: OptionalPath = Field(
        default=None,
        description="YAML file with more such entries, read anew whenever it changes: a role is gone without a restart.",
    )

    @field_validator("oidc_metadata_url", "oidc_public_url")
    @classmethod
    def _sign_in_has_addresses(cls, value: str) -> str:
        return value and web_address(value, example="https://neopulse.bank.example", may_be_clear=is_loopback).rstrip("/")

    @field_validator("oidc_public_url")
    @classmethod
    def _is_where_the_app_begins(cls, value: str) -> str:
        if value and (urlsplit(value).path or urlsplit(value).query):
            raise ValueError("takes scheme, name and port alone, such as https://neopulse.bank.example")
        return value

    @field_validator("oidc_cookie_secret")
    @classmethod
    def _signs_with_a_long_secret(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and (len(text) < SHORTEST_COOKIE_SECRET or len(set(text)) < 8):
            raise ValueError(f"takes {SHORTEST_COOKIE_SECRET} or more characters made by chance: openssl rand -hex 32")
        return value

    @field_validator("oidc_domains")
    @classmethod
    def _are_mail_domains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(access.checked_entry(f"@{domain.removeprefix('@')}").removeprefix("@") for domain in value)

    @field_validator("oidc_scopes")
    @classmethod
    def _asks_for_an_id_token(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("needs openid among its words")
        return value

    @field_validator("role_admins", "role_managers", "role_viewers")
    @classmethod
    def _name_people(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(access.checked_entry(entry) for entry in value)

    @field_validator("role_countries")
    @classmethod
    def _name_countries(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        access.by_entry(map(access.checked_countries, value))
        return value

    @model_validator(mode="after")
    def _sign_in_is_whole(self) -> Self:
        if not self.signs_in:
            given = [name for name in (*_NEEDED, *_RULES) if self._has(name)]
            if given:
                raise ValueError(f"NEOPULSE_{given[0].upper()} needs NEOPULSE_OIDC_METADATA_URL: without it nobody can sign in")
            return self
        if lacking := [f"NEOPULSE_{name.upper()}" for name in _NEEDED if not self._has(name)]:
            raise ValueError(f"NEOPULSE_OIDC_METADATA_URL needs {' and '.join(lacking)}")
        if not (self.role_admins or self.role_file):
            raise ValueError("NEOPULSE_OIDC_METADATA_URL needs NEOPULSE_ROLE_ADMINS or NEOPULSE_ROLE_FILE: nobody could come in")
        return self

    def _has(self, name: str) -> bool:
        value = getattr(self, name)
        return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)

    @property
    def signs_in(self) -> bool:
        """Whether people sign in, by a provider that vouches for them."""
        return bool(self.oidc_metadata_url)

    @property
    def has_the_sample_secret(self) -> bool:
        """Whether sessions would be signed with what the documentation prints."""
        return self.oidc_cookie_secret.get_secret_value() == SAMPLE_COOKIE_SECRET

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to."""
        return self.oidc_public_url + CALLBACK

    def access_rules(self) -> Rules:
        """The rules in force at this moment; raises ConfigurationError where the file of roles cannot be read."""
        by_role = {Role.ADMIN: self.role_admins, Role.MANAGER: self.role_managers, Role.VIEWER: self.role_viewers}
        rules = Rules(by_role, access.by_entry(map(access.checked_countries, self.role_countries)), self.oidc_domains)
        return rules if self.role_file is None else rules.joined(access.read(self.role_file))
