"""The settings of the warehouse `bigquery`: project, datasets, who signs in, and what a run may cost."""

from __future__ import annotations

import re

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from pipeline.addresses import is_loopback, web_address
from pipeline.setting_types import CommaSeparated, OptionalPath

OWN_LABELS = ("application", "prefix", "run")
_PROJECT_ID = re.compile(r"[a-z0-9.:-]{1,60}[a-z0-9]")


class BigQuerySettings(BaseSettings):
    """What the warehouse `bigquery` needs to know; without it, nothing here is looked at."""

    bigquery_project: str = Field(
        default="", description="Google Cloud project that pays for the jobs and holds neopulse's datasets; needed by `bigquery`."
    )
    bigquery_prefix: str = Field(
        default="neopulse",
        description="Begins the name of every dataset that neopulse makes; the dataset of that very name holds the stable views.",
    )
    bigquery_location: str = Field(default="EU", min_length=1, description="Location of the datasets; the source's own.")
    bigquery_source: str = Field(
        default="",
        description="Dataset of the bank's tables, `dataset` or `project.dataset`; needed by `bigquery`, never written to.",
    )
    bigquery_users: str = Field(default="users", description="Name of the table of users in the source dataset.")
    bigquery_devices: str = Field(default="devices", description="Name of the table of devices in the source dataset.")
    bigquery_notifications: str = Field(
        default="notifications", description="Name of the table of notifications in the source dataset; it may be missing."
    )
    bigquery_transactions: str = Field(
        default="transactions", description="Name of the table of transactions in the source dataset."
    )
    bigquery_credentials: OptionalPath = Field(
        default=None, description="Key file of a service account; empty means the application default credentials."
    )
    bigquery_impersonate: str = Field(
        default="", description="Service account to act as, by its address; empty acts as the credentials themselves."
    )
    bigquery_maximum_bytes: int = Field(
        default=2_000_000_000_000,
        ge=0,
        description="Bytes that one query may be billed for, else it is refused; 0 sets no limit.",
    )
    bigquery_job_seconds: int = Field(default=3600, ge=10, le=21_600, description="Seconds after which a job is given up.")
    bigquery_labels: CommaSeparated = Field(
        default=(), description="Labels of every job beside `application=neopulse`, as `key=value`, comma-separated."
    )
    bigquery_storage_reads: bool = Field(
        default=False, description="Fetch rows by the Storage Read API, which is faster and billed by itself; else by REST."
    )
    bigquery_read_copy_rows: int = Field(
        default=5_000_000,
        ge=0,
        description="Rows up to which a published table is copied to the app; a longer one stays in BigQuery.",
    )
    bigquery_usd_per_tib: float = Field(
        default=6.25, ge=0, description="Price of a TiB scanned, for estimates; 0 shows bytes alone."
    )
    bigquery_endpoint: str = Field(
        default="", description="Address of the API where it is not Google's; on a loopback address nobody signs in."
    )

    @field_validator("bigquery_labels")
    @classmethod
    def _are_labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}", label) for label in value):
            raise ValueError("takes key=value in lower-case letters, digits, dashes and underscores, separated by commas")
        if any(label.partition("=")[0] in OWN_LABELS for label in value):
            raise ValueError(f"takes no label called {', '.join(OWN_LABELS)}: these are neopulse's own")
        return value

    @field_validator("bigquery_prefix")
    @classmethod
    def _begins_names(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", value):
            raise ValueError("takes letters, digits and underscores, a letter first")
        return value

    @field_validator("bigquery_project")
    @classmethod
    def _is_a_project(cls, value: str) -> str:
        if value and not _PROJECT_ID.fullmatch(value):
            raise ValueError("is not the id of a project, such as bank-analytics")
        return value

    @field_validator("bigquery_source")
    @classmethod
    def _is_a_dataset(cls, value: str) -> str:
        project, _, dataset = value.rpartition(".")
        if value and not (re.fullmatch(r"\w{1,1024}", dataset) and (not project or _PROJECT_ID.fullmatch(project))):
            raise ValueError("is not a dataset, such as bank_raw or bank-project.bank_raw")
        return value

    @field_validator("bigquery_users", "bigquery_devices", "bigquery_notifications", "bigquery_transactions")
    @classmethod
    def _is_a_table(cls, value: str) -> str:
        if not re.fullmatch(r"[\w-]{1,1024}", value):
            raise ValueError("is not the name of a table: letters, digits, dashes and underscores")
        return value

    @field_validator("bigquery_endpoint")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return value and web_address(value, example="http://127.0.0.1:9050", may_be_clear=is_loopback)

    @property
    def bigquery_tables(self) -> dict[str, str]:
        """The bank's name of each raw table."""
        return {name: str(getattr(self, f"bigquery_{name}")) for name in ("users", "devices", "notifications", "transactions")}
