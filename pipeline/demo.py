"""The demo: the settings it runs under, and whether its version is there already."""

from __future__ import annotations

from pipeline.runs.records import RunState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.steps import demo_bank_is_there
from pipeline.warehouse.publication import Publications


def settings_for(settings: Settings, *, transactions: int | None, seed: int | None) -> Settings:
    """The settings in force, with the demo bank as the source, its size and seed as asked for, built without any account."""
    asked = {"demo_transactions": transactions, "demo_seed": seed}
    own = {"raw": None, "warehouse": "duckdb"}
    return settings.model_copy(update={**own, **{name: value for name, value in asked.items() if value is not None}})


def is_published(settings: Settings, store: RunStore, publications: Publications) -> bool:
    """Whether the current version is this demo bank's, made under these settings, and its run did all its steps."""
    version, latest = publications.current(), store.latest()
    if version is None or latest is None or latest.state is not RunState.SUCCEEDED or latest.version != version.name:
        return False
    made_under = (version.source, version.inactivity_days, version.activity_rule, version.bank_timezone)
    in_force = (settings.source_name, settings.inactivity_days, settings.activity_rule, settings.bank_timezone)
    return made_under == in_force and demo_bank_is_there(settings)
