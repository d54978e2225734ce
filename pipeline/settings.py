"""Every setting, its default and its cross-check; the only reader of the environment."""

from __future__ import annotations

import difflib
import io
import os
import re
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline import mail_addresses, masking, secret_files
from pipeline.addresses import is_loopback_host
from pipeline.bigquery_settings import BigQuerySettings
from pipeline.errors import ConfigurationError
from pipeline.facts_settings import FactsSettings
from pipeline.guard_settings import GuardSettings
from pipeline.notify_settings import NotifySettings
from pipeline.reverse_etl_settings import ReverseETLSettings
from pipeline.run_settings import RunSettings
from pipeline.setting_types import CommaSeparated, Day, ListenAddress, OptionalPath, absolute
from pipeline.sheets_settings import GoogleSheetsSettings
from pipeline.sign_in_settings import SignInSettings
from pipeline.upkeep_settings import UpkeepSettings

PREFIX = "NEOPULSE_"
DEMO_BANK = "demo bank"  # the source's name, which versions, sheets and messages carry
PROJECT = Path(__file__).resolve().parent.parent
BANK_INITIATED_TYPES = ("FEE", "TAX", "CASHBACK", "REFUND", "CARD_REFUND")


class Settings(
    RunSettings,
    BigQuerySettings,
    GoogleSheetsSettings,
    ReverseETLSettings,
    NotifySettings,
    FactsSettings,
    GuardSettings,
    SignInSettings,
    UpkeepSettings,
):
    """The settings in force; each is `NEOPULSE_` and its name in capitals, from the environment or `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False
    )

    home: Path = Field(
        default=Path("var"), validate_default=True, description="Folder of all state: landed data, versions, run store, outbox."
    )
    raw: OptionalPath = Field(default=None, description="Folder of the bank's raw files; empty means the demo bank.")
    warehouse: Literal["duckdb", "bigquery"] = Field(
        default="duckdb", description="The engine that transforms: duckdb or bigquery."
    )
    look_back_days: int = Field(
        default=35,
        ge=1,
        le=3660,
        description="Last days that are always compared with what was loaded; older ones by a cheaper sign.",
    )
    as_of: Day | None = Field(default=None, description="Pins the last day that counts; empty means the last day that is over.")
    bank_timezone: str = Field(default="Europe/Paris", description="The time zone in which the bank's days begin and end.")
    inactivity_days: int = Field(default=90, ge=1, le=730, description="N: days of silence after which a customer has lapsed.")
    activity_states: CommaSeparated = Field(default=("COMPLETED",), description="Transaction states that count as activity.")
    activity_excluded_types: CommaSeparated = Field(
        default=BANK_INITIATED_TYPES, description="Transaction types that do not count as activity; empty excludes none."
    )
    activity_minimum_amount: float = Field(
        default=0.0,
        ge=0,
        description="Smallest amount in USD that counts as activity; 0 sets none, and amounts below 0, or that cannot be read, "
        "count too.",
    )
    held_out_percent: int = Field(
        default=10,
        ge=0,
        le=50,
        description="Of each hundred customers, how many are of the hold-out group, whom the list of early warnings says to "
        "leave alone, so that it can be seen whether calls and mails help; 0 is nobody.",
    )
    demo_transactions: int = Field(default=2_740_075, ge=1000, description="Size of the demo bank, in transactions.")
    demo_seed: int = Field(default=1, ge=0, description="Seed of the demo bank.")
    versions_kept: int = Field(default=5, ge=2, le=100, description="Published versions that stay on disk.")
    memory_limit: str = Field(
        default="",
        description="Memory that the transforming engine may use, such as 4GB; empty means half of the machine's or the "
        "container's, and at most 5 GB. What does not fit is spilled to disk.",
    )
    threads: int = Field(default=0, ge=0, le=256, description="Threads of the transforming engine; 0 means one a core.")
    address: ListenAddress = Field(default="127.0.0.1", description="Address that the app listens on.")
    port: int = Field(default=8501, ge=1, le=65535, description="Port that the app listens on.")
    behind_loopback: bool = Field(
        default=False,
        description="The app's port is published on the host's loopback address only (docker-compose.yml does so): "
        "allows a wide NEOPULSE_ADDRESS without sign-in.",
    )
    language: Literal["en", "fr"] = Field(default="en", description="Language of the sheet and the mails.")
    mail_from: str = Field(default="neopulse@localhost", description="Sender of the mails.")
    mail_to: CommaSeparated = Field(default=("managers@localhost",), description="Recipients of the mails, comma-separated.")
    run_store: SecretStr = Field(
        default=SecretStr(""),
        description="URL of the run store, such as `postgresql://user:password@host/database`; empty means SQLite in "
        "NEOPULSE_HOME.",
    )
    _secret_files: dict[str, Path] = PrivateAttr(default_factory=dict)

    @field_validator("activity_states", "mail_to")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("needs at least one value")
        return value

    @field_validator("activity_states", "activity_excluded_types")
    @classmethod
    def _plain_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if not re.fullmatch(r"[\w &+./-]*\w[\w &+./-]*", word):
                raise ValueError("takes words of letters, digits, blanks and _ & + . / -, separated by commas")
        return tuple(word.upper() for word in value)

    @field_validator("mail_from", "mail_to")
    @classmethod
    def _mail_can_go_there(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if wrong := mail_addresses.unusable((value,) if isinstance(value, str) else value):
            place = "this" if isinstance(value, str) else f"entry {value.index(wrong[0]) + 1}"
            raise ValueError(f"takes ada@bank.example or Ada <ada@bank.example>; {place} is not a mail address")
        return value

    @field_validator("memory_limit")
    @classmethod
    def _is_a_size(cls, value: str) -> str:
        if not re.fullmatch(r"([1-9]\d*(MB|GB))?", value):
            raise ValueError("takes a size in whole MB or GB, such as 4GB")
        return value

    @field_validator("bank_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)  # listing all of them would take longer than the rest of the settings
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is not a time zone of the IANA database, such as Europe/Paris") from None
        return value

    @field_validator("home", mode="before")
    @classmethod
    def _is_named(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.strip():  # else the state would lie in whatever folder the command is typed in
            raise ValueError("is empty: name a folder, or leave the setting out, which means var")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return absolute(value)

    @field_validator("run_store")
    @classmethod
    def _is_one_for_every_process(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        engine, file = url.partition("://")[::2]
        if engine.partition("+")[0] != "sqlite":
            return value
        if file and not file.startswith("/"):
            raise ValueError(
                "takes three slashes before a file of SQLite, such as sqlite:///runs.db, and four before an absolute path"
            )
        file, question, options = file.removeprefix("/").partition("?")
        if file in ("", ":memory:"):
            raise ValueError("names no file: each process would have a run store of its own; empty means one in NEOPULSE_HOME")
        if file.startswith("file:"):
            raise ValueError("takes the path of a file of SQLite, such as sqlite:///runs.db, and no file: address")
        return SecretStr(f"{engine}:///{absolute(Path(file))}{question}{options}")  # worker and app work in another folder

    @field_validator("as_of", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @model_validator(mode="after")
    def _bigquery_is_told_where(self) -> Self:
        if self.warehouse != "bigquery":
            return self
        for name in ("bigquery_project", "bigquery_source"):
            if not getattr(self, name):
                raise ValueError(f"{PREFIX}WAREHOUSE=bigquery needs {PREFIX}{name.upper()}")
        if self.raw is not None:
            raise ValueError(f"{PREFIX}WAREHOUSE=bigquery reads {PREFIX}BIGQUERY_SOURCE: leave {PREFIX}RAW empty")
        return self

    @model_validator(mode="after")
    def _census_is_told_what(self) -> Self:
        if lacking := self.lacks_for_census():
            raise ValueError(f"{PREFIX}REVERSE_ETL=census needs {' and '.join(PREFIX + name.upper() for name in lacking)}")
        return self

    @model_validator(mode="after")
    def _sample_secret_is_for_the_demo(self) -> Self:
        if self.has_the_sample_secret and not self.is_demo:
            raise ValueError(
                f"{PREFIX}OIDC_COOKIE_SECRET is the sample that the documentation prints, which only the demo bank may have: "
                "openssl rand -hex 32 makes another"
            )
        return self

    @cached_property
    def zone(self) -> ZoneInfo:
        """The bank's time zone."""
        return ZoneInfo(self.bank_timezone)

    @property
    def app_address(self) -> str:
        """What to type into a browser: on this machine, or from anywhere where people sign in."""
        if self.signs_in:
            return self.oidc_public_url
        host = "localhost" if is_loopback_host(self.address) or self.behind_loopback else self.address
        return f"http://{host}:{self.port}"

    @property
    def run_store_url(self) -> str:
        """Where the run store lives."""
        return self.run_store.get_secret_value() or f"sqlite:///{self.home.absolute() / 'run_store.db'}"

    @property
    def secret_files(self) -> dict[str, Path]:
        """The file of each secret setting that came from one."""
        return self._secret_files

    @classmethod
    def secret_names(cls) -> tuple[str, ...]:
        """Every setting whose value nobody is to read."""
        return tuple(name for name, field in cls.model_fields.items() if field.annotation is SecretStr)

    @classmethod
    def variables(cls) -> set[str]:
        """Every name that the environment may give: a setting's, or that of the file which holds a secret."""
        own = {PREFIX + name.upper() for name in cls.model_fields}
        return own | {PREFIX + name.upper() + secret_files.SUFFIX for name in cls.secret_names()}

    @property
    def source_name(self) -> str:
        """What serves the bank's raw tables: `demo bank`, `files` or `BigQuery`."""
        if self.warehouse == "bigquery":
            return "BigQuery"
        return "files" if self.raw is not None else DEMO_BANK

    @property
    def is_demo(self) -> bool:
        """Whether the demo bank serves the raw tables."""
        return self.source_name == DEMO_BANK

    @property
    def activity_rule(self) -> str:
        """The rule in force, in one line that titles and exports carry."""
        states = " or ".join(self.activity_states)
        excluded = ", ".join(self.activity_excluded_types)
        rule = f"{states} transactions" + (f", not {excluded}" if excluded else ", every type")
        return rule + (f", at least {self.activity_minimum_amount:.10g} USD" if self.activity_minimum_amount else "")


def load(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings in force.

    Raises ConfigurationError that names the setting, the reason and the place, never the rejected value.
    """
    given = _given(env_file)
    _refuse_unknown(given, env_file)
    paths = secret_files.paths(given, Settings.secret_names(), PREFIX)
    secrets: dict[str, Any] = {name: secret_files.read(path, PREFIX + name.upper()) for name, path in paths.items()}
    try:
        settings = Settings(_env_file=env_file, **secrets)  # type: ignore[call-arg]
    except ValidationError as error:
        problems = [_problem(problem) for problem in error.errors()]
        raise ConfigurationError(
            "A setting has a value that cannot be used: " + "; ".join(problems),
            where=_places(env_file),
            next="neopulse check lists every setting with its default",
        ) from None
    settings._secret_files.update(paths)
    masking.remember(getattr(settings, name).get_secret_value() for name in Settings.secret_names())
    return settings


def _given(env_file: Path | None) -> dict[str, str | None]:
    """What the environment and `.env` say; the environment wins."""
    return {**(_written(env_file) if env_file is not None and env_file.exists() else {}), **os.environ}


def _written(env_file: Path) -> dict[str, str | None]:
    """What `.env` says; raises ConfigurationError, with the line and without its words, where that is no text of settings."""
    try:
        text = env_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigurationError(
            f"{env_file} cannot be read: {reason}",
            where=str(env_file.absolute()),
            safe="Nothing was started",
            next="mend the file, then neopulse check",
        ) from None
    for line in parse_stream(io.StringIO(text)):
        if line.error or (line.value is None and (line.key or "").upper().startswith(PREFIX)):
            words = line.original.string
            number = line.original.line + words[: len(words) - len(words.lstrip())].count("\n")
            raise ConfigurationError(
                f"Line {number} of {env_file} is no setting: it takes NAME=value, and a quotation mark at both ends or at none",
                where=str(env_file.absolute()),
                safe="Nothing was started",
                next="mend the line, then neopulse check",
            )
    return dotenv_values(stream=io.StringIO(text))


def _problem(problem: Any) -> str:
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{str(problem['loc'][0]).upper()}: {reason}" if problem["loc"] else reason  # a cross-check names them itself


def _places(env_file: Path | None) -> str:
    return "the environment" + (f" or {env_file}" if env_file is not None and env_file.exists() else "")


def _refuse_unknown(given: Collection[str], env_file: Path | None) -> None:
    known = Settings.variables()
    for name in sorted(given):
        if name.upper().startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            raise ConfigurationError(
                f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""),
                where=_places(env_file),
                next="neopulse check lists every setting with its default",
            )
