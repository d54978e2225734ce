"""The settings of what is watched: how much a candidate may differ before a person has to look, and by when a run is due."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from pipeline.setting_types import CommaSeparated, TimeOfDay


class GuardSettings(BaseSettings):
    """What holds a candidate, and what opens an incident."""

    largest_shrink: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the transactions of the version before, and of the median of the last 30, that may be gone before "
        "a candidate is held for approval; 1 takes any loss, of rows and of days.",
    )
    guard_rows_loss: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of a published table's usual rows (median of the last 30 publications) that may be missing before a "
        "candidate is held. Looser than that of transactions: lists of customers come and go.",
    )
    guard_rows_growth: float = Field(
        default=1.0,
        ge=0,
        description="Rows beyond the usual ones, as a share of them, before a candidate is held: 1 is twice as many, which is "
        "what a table loaded twice has; 0 takes any growth.",
    )
    guard_growth_after: int = Field(
        default=5, ge=1, description="Publications that must be known before growth is judged: a bank that is being loaded grows."
    )
    guard_least_rows: int = Field(
        default=100,
        ge=1,
        description="Tables with fewer usual rows are not judged by their rows: a few more or less say nothing.",
    )
    guard_may_shrink: CommaSeparated = Field(
        default=("rejected_rows", "mart_data_quality"),
        description="Published tables that may lose any number of rows, because it is good when they do.",
    )
    guard_columns: bool = Field(
        default=True,
        description="Hold a candidate whose published tables have new, missing or retyped columns against the version before.",
    )
    fresh_by: TimeOfDay | None = Field(
        default=None,
        description="Hour, in the bank's time zone, by which a run must have succeeded each day, such as 08:00; empty watches "
        "nothing.",
    )
    fresh_hours: int = Field(
        default=12,
        ge=1,
        le=24,
        description="Hours before NEOPULSE_FRESH_BY in which a run that succeeded counts for that day.",
    )

    @field_validator("fresh_by", mode="before")
    @classmethod
    def _empty_is_off(cls, value: Any) -> Any:
        return None if value == "" else value
