"""Settings of a run: when it is due, how often a step is tried, how long one may take."""

from __future__ import annotations

from datetime import time, timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from pipeline.setting_types import TimeOfDay

MINUTES = 7 * 24 * 60


class RunSettings(BaseSettings):
    """NEOPULSE_DAILY_AT, NEOPULSE_STEP_*."""

    daily_at: TimeOfDay = Field(
        default=time(6, 0),
        description="Local time of the worker's daily run, in the bank's time zone; makes the first row of a schedule that never "
        "had one. From then on the page Schedule counts.",
    )
    step_attempts: int = Field(
        default=3, ge=1, le=10, description="Attempts at a step whose error is transient; every other error ends the run at once."
    )
    step_limit_extract: int = Field(
        default=120, ge=1, le=MINUTES, description="Minutes that the step extract may take, attempts and pauses included."
    )
    step_limit_transform: int = Field(default=360, ge=1, le=MINUTES, description="Minutes that the step transform may take.")
    step_limit_sheet: int = Field(default=60, ge=1, le=MINUTES, description="Minutes that the step sheet may take.")
    step_limit_activate: int = Field(default=240, ge=1, le=MINUTES, description="Minutes that the step activate may take.")
    step_limit_notify: int = Field(default=30, ge=1, le=MINUTES, description="Minutes that the step notify may take.")

    def step_limit(self, step: str) -> timedelta:
        """How long a step may take, all its attempts and the pauses between them included."""
        return timedelta(minutes=getattr(self, f"step_limit_{step}"))
