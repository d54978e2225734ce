"""The settings of step 4, part of pipeline/settings.py: who carries out the syncs, and what that needs to know."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from pipeline.addresses import is_loopback, web_address
from pipeline.setting_types import CommaSeparated, OptionalPath

_NAMED = re.compile(r"(?:[A-Za-z][A-Za-z0-9_]{0,59}=)?[A-Za-z0-9_-]{1,80}")


class ReverseETLSettings(BaseSettings):
    """Who carries out the syncs; the embedded engine needs nothing, Census a token and the ids of its syncs."""

    reverse_etl: Literal["embedded", "census"] = Field(
        default="embedded", description="Who carries out the syncs: embedded (syncs.yml) or census."
    )
    syncs: OptionalPath = Field(default=None, description="Your own syncs.yml; empty means the three syncs that come along.")
    sync_tokens: SecretStr = Field(
        default=SecretStr(""),
        description="Bearer tokens of the addresses in syncs.yml, as `name=token`, comma-separated.",
    )
    census_token: SecretStr = Field(
        default=SecretStr(""), description="Personal access token (v2) or workspace key (v1); needed by `census`."
    )
    census_syncs: CommaSeparated = Field(
        default=(), description="Ids of the Census syncs to run, in their order, as `id` or `name=id`, comma-separated."
    )
    census_api: Literal["v2", "v1"] = Field(default="v2", description="Version of Census' API; v1 is retired on 2027-01-15.")
    census_address: str = Field(
        default="https://app.getcensus.com", description="Address of Census; https://app-eu.getcensus.com in the EU."
    )
    census_full_sync: bool = Field(default=False, description="Have Census send every record again, not only what changed.")
    census_deadline_seconds: int = Field(
        default=3600, ge=30, le=86_400, description="Seconds after which a Census sync that has not ended counts as failed."
    )

    @field_validator("sync_tokens")
    @classmethod
    def _are_named(cls, value: SecretStr) -> SecretStr:
        for part in filter(None, (part.strip() for part in value.get_secret_value().split(","))):
            if not re.match(r"[A-Za-z0-9_-]+=.", part):
                raise ValueError("takes name=token, separated by commas")
        return value

    @field_validator("census_syncs")
    @classmethod
    def _are_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_NAMED.fullmatch(each) for each in value):
            raise ValueError("takes id or name=id, separated by commas")
        return value

    @field_validator("census_address")
    @classmethod
    def _is_census(cls, value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError("is not an address, such as https://app.getcensus.com")
        return web_address(value, example="https://app.getcensus.com", may_be_clear=is_loopback)

    def lacks_for_census(self) -> tuple[str, ...]:
        """The settings that `census` needs and that are not set."""
        if self.reverse_etl != "census":
            return ()
        needed = {"census_token": self.census_token.get_secret_value(), "census_syncs": self.census_syncs}
        return tuple(name for name, value in needed.items() if not value)

    @property
    def tokens_of_syncs(self) -> dict[str, str]:
        """The bearer tokens by name."""
        parts = (part.strip().partition("=") for part in self.sync_tokens.get_secret_value().split(",") if part.strip())
        return {name: token for name, _, token in parts}
