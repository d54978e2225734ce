"""Every edit of the schedule: the role is checked in each, and the audit keeps the row as it was and as it is."""

from __future__ import annotations

import dataclasses
from typing import Any

from pipeline.runs.records import ScheduleRow
from streamlit_app import auth, data
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role

KEPT = ("kind", "weekday", "hour", "minute", "timezone", "enabled", "resumes", "first_step")


def add(row: ScheduleRow) -> Outcome:
    """Put a row into the schedule; raises ConfigurationError where a value cannot be used or the name is taken."""
    user = auth.require(Role.ADMIN)
    store = data.run_store()
    added = store.add_schedule(row, user.name)
    store.audit(user.name, "schedule_add", _what(row.name), after=_values(added))
    return Outcome(True, "schedule_added", {"name": row.name})


def change(row: ScheduleRow) -> Outcome:
    """Give the row of that name other values; raises ConfigurationError where one cannot be used."""
    user = auth.require(Role.ADMIN)
    store = data.run_store()
    before, after = store.change_schedule(row, user.name)
    store.audit(user.name, "schedule_change", _what(row.name), before=_values(before), after=_values(after))
    return Outcome(True, "schedule_changed", {"name": row.name})


def switch(name: str, *, on: bool) -> Outcome:
    """Let a row run, or keep it without running."""
    auth.require(Role.ADMIN)
    change(dataclasses.replace(data.run_store().schedule(name), enabled=on))
    return Outcome(True, "schedule_on" if on else "schedule_off", {"name": name})


def remove(name: str) -> Outcome:
    """Take a row out of the schedule."""
    user = auth.require(Role.ADMIN)
    store = data.run_store()
    before = store.remove_schedule(name, user.name)
    store.audit(user.name, "schedule_remove", _what(name), before=_values(before))
    return Outcome(True, "schedule_removed", {"name": name})


def _what(name: str) -> str:
    return f"schedule {name}"


def _values(row: ScheduleRow) -> dict[str, Any]:
    return {field: getattr(row, field) for field in KEPT}
