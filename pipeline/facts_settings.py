"""The settings of facts from outside the bank: whether to ask for them, whom, and for what."""

from __future__ import annotations

from datetime import date

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from pipeline.addresses import web_address
from pipeline.setting_types import CommaSeparated, Day

EURO_BEGAN = date(1999, 1, 4)  # the first day that has a reference rate


class FactsSettings(BaseSettings):
    """Country facts and exchange rates; without `facts_live` nothing leaves the machine for them."""

    facts_live: bool = Field(
        default=False,
        description="Ask the World Bank (or restcountries) and Frankfurter for facts; else the shipped snapshot serves and "
        "nobody is asked.",
    )
    facts_world_bank: str = Field(default="https://api.worldbank.org/v2", description="Address of the World Bank's API.")
    facts_restcountries: str = Field(
        default="https://api.restcountries.com/countries/v5", description="Address of the API of restcountries, version 5."
    )
    facts_restcountries_key: SecretStr = Field(
        default=SecretStr(""), description="Key of restcountries; with it restcountries is asked before the World Bank."
    )
    facts_frankfurter: str = Field(
        default="https://api.frankfurter.dev/v2", description="Address of Frankfurter's API, which has the rates of the ECB."
    )
    facts_currencies: CommaSeparated = Field(
        default=("USD", "GBP", "CHF", "CZK", "DKK", "HUF", "NOK", "PLN", "RON", "SEK"),
        description="Currencies whose price of a euro is kept by day, comma-separated; empty asks for none.",
    )
    facts_rates_since: Day = Field(default=date(2018, 1, 1), description="First day of the exchange rates.")

    @field_validator("facts_world_bank", "facts_restcountries", "facts_frankfurter")
    @classmethod
    def _facts_are_at_an_address(cls, value: str) -> str:
        return web_address(value, example="https://api.frankfurter.dev/v2")

    @field_validator("facts_currencies")
    @classmethod
    def _are_codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        value = tuple(code.upper() for code in value)
        if not all(len(code) == 3 and code.isascii() and code.isalpha() and code != "EUR" for code in value):
            raise ValueError("takes codes of currencies other than EUR, such as USD,GBP")
        return tuple(dict.fromkeys(value))

    @field_validator("facts_rates_since")
    @classmethod
    def _is_after_the_euro_began(cls, value: date) -> date:
        if value < EURO_BEGAN:
            raise ValueError(f"cannot be before {EURO_BEGAN}, when the euro began")
        return value
