"""The settings of upkeep: how logs are written, how long things are kept, and where the worker tells how it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from pipeline.setting_types import ListenAddress


class UpkeepSettings(BaseSettings):
    """What a house needs that nobody looks at for months."""

    log_format: Literal["text", "json"] = Field(
        default="text",
        description="Form of the worker's log on the terminal: text, or json with one object a line (docker-compose.yml).",
    )
    health_port: int = Field(
        default=0, ge=0, le=65535, description="Port on which the worker answers GET /healthz; 0 means that it does not."
    )
    health_address: ListenAddress = Field(default="127.0.0.1", description="Address on which the worker answers GET /healthz.")
    logs_kept_days: int = Field(default=90, ge=1, le=3660, description="Days after which a run's log file is removed.")
    events_kept_days: int = Field(
        default=90,
        ge=1,
        le=3660,
        description="Days after which the live log of a run goes, and a worker that no longer beats.",
    )
    runs_kept_days: int = Field(
        default=730,
        ge=30,
        le=3660,
        description="Days after which a run is removed from the run store, with its request, its moment of the schedule and what "
        "its syncs did; so are publications, decisions, incidents and what rules found; never the newest, what belongs to a kept "
        "version, nor the audit.",
    )
    payloads_kept_days: int = Field(
        default=90,
        ge=1,
        le=3660,
        description="Days after which the text of a delivered message is removed, also its file in the outbox; its key stays.",
    )
    candidates_kept_days: int = Field(
        default=14, ge=1, le=365, description="Days after which what a run left half built, or a damaged state, is removed."
    )
