"""What the page Reports reads: who is subscribed, and what became of the report of the last whole period."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import reporting
from pipeline.errors import NeopulseError
from pipeline.reporting import Period
from pipeline.runs.reports import Subscription
from pipeline.telling import CARRIERS
from streamlit_app import auth, data
from streamlit_app.auth import Role


@dataclass(frozen=True)
class Listed:
    """A subscription with its last whole period: how many letters were delivered, wait, and are still to be written.

    `silent` are addresses that get none, because nothing that they see is in the report or nobody knows what they see.
    """

    subscription: Subscription
    period: Period | None = None
    delivered: int = 0
    waiting: int = 0
    to_write: int = 0
    silent: tuple[str, ...] = ()


def subscriptions() -> list[Listed]:
    """Every subscription, the oldest first."""
    auth.require_everywhere(Role.ADMIN)
    version = data.current_version()
    found = data.run_store().report_subscriptions()
    return [
        Listed(one) if version is None else _listed(one, reporting.last_period(one.frequency, version.as_of)) for one in found
    ]


def _listed(subscription: Subscription, period: Period) -> Listed:
    store = data.run_store()
    try:
        people = list(reporting.readers(subscription, data.in_force()))
    except NeopulseError:  # the roles cannot be read: nobody gets a letter until they can
        people = []
    keys = [reporting.key(subscription, period, person) for person in people]
    noted = [[store.delivery(f"{carrier}-{key}") for carrier in CARRIERS] for key in keys]
    states = [next((one.delivered for one in each if one is not None), None) for each in noted]
    reached = {person.address for person in people}
    silent = tuple(address for address in subscription.addresses if address not in reached)
    return Listed(subscription, period, states.count(True), states.count(False), states.count(None), silent)
