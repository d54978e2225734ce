"""What the page Alerts reads: rules with what they show now, their history, and incidents; for admins."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import alerts
from pipeline.alerts import COMPARISONS, RELATIVE, WATCHABLE, Reading
from pipeline.errors import NeopulseError
from pipeline.marts import family, reader
from pipeline.marts.question import Family
from pipeline.metrics import Metric
from pipeline.runs.alerts import AlertRow, AlertRule
from pipeline.runs.watching import Incident
from streamlit_app import auth, data
from streamlit_app.auth import Role

__all__ = ["COMPARISONS", "RELATIVE", "WATCHABLE", "AlertRow", "AlertRule", "Incident", "Reading"]

ROWS = 100


@dataclass(frozen=True)
class Seen:
    """A rule with what it reads in the current version; `error` is why it cannot be read."""

    rule: AlertRule
    reading: Reading | None
    error: str = ""

    @property
    def breaks(self) -> bool:
        """Whether the rule would fire."""
        return self.reading is not None and self.reading.breaks(self.rule)


def rules() -> list[Seen]:
    """Every rule, the oldest first."""
    auth.require_everywhere(Role.ADMIN)
    return [_seen(rule) for rule in data.run_store().alert_rules()]


def history() -> list[AlertRow]:
    """What came of the rules, newest first."""
    auth.require_everywhere(Role.ADMIN)
    return data.run_store().alert_history(ROWS)


def incidents() -> list[Incident]:
    """Incidents, newest first."""
    auth.require(Role.ADMIN)
    return data.run_store().incidents(ROWS)


def fresh_by() -> str:
    """The hour by which a run must have succeeded, with its time zone; empty where none is agreed on."""
    auth.require(Role.ADMIN)
    in_force = data.in_force()
    return f"{in_force.fresh_by:%H:%M} ({in_force.bank_timezone})" if in_force.fresh_by is not None else ""


def metric(name: str) -> Metric | None:
    """What a metric means in the current version; None where it has none of that name, or there is no version."""
    return data.registry().get(name) if data.current_version() is not None else None


def choices(name: str) -> Family:
    """What may be asked of a metric."""
    return family(name)


def _seen(rule: AlertRule) -> Seen:
    version = data.current_version()
    if version is None:
        return Seen(rule, None)
    try:
        return Seen(rule, alerts.read(rule, reader(version)))
    except NeopulseError as error:
        return Seen(rule, None, error.what)
