"""What an admin does with reports by mail: subscribe addresses, switch and take away. Each act leaves an audit row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.access import is_entry
from pipeline.mail_addresses import unusable
from pipeline.marts.question import one_of
from pipeline.masking import masked
from pipeline.reporting import bare
from pipeline.runs.reports import FREQUENCIES, Subscription
from streamlit_app import auth, data, messages
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role

SUBJECT = "report {id}"
LONGEST_TOLD = 200  # characters of what was typed that an answer repeats


def save(subscription: Subscription) -> Outcome:
    """Add a subscription or change one; where an address cannot get mail nothing is saved, and the answer names it."""
    user = auth.require_everywhere(Role.ADMIN)
    if not subscription.addresses:
        return Outcome(False, "report_for_nobody")
    if wrong := [*unusable(subscription.addresses), *_unnameable(subscription.addresses)]:
        return Outcome(False, "report_to_nowhere", {"addresses": masked(", ".join(wrong))[:LONGEST_TOLD]})
    one_of("frequency", subscription.frequency, FREQUENCIES, metric="reports")
    one_of("language", subscription.language, messages.LANGUAGES, metric="reports")
    store = data.run_store()
    before = store.report_subscription(subscription.id).content if subscription.id else None
    number = store.save_report_subscription(subscription, user.name)
    act = "change_report" if subscription.id else "add_report"
    store.audit(user.name, act, SUBJECT.format(id=number), before=before, after=subscription.content)
    return Outcome(True, "report_saved", {"addresses": len(subscription.addresses)})


def _unnameable(addresses: Sequence[str]) -> list[str]:
    """Addresses that no rule of access can name, where rules decide what each reader sees."""
    if not data.in_force().signs_in:
        return []
    return [address for address in addresses if not is_entry(bare(address)) and not unusable([address])]


def switch(subscription_id: int, *, enabled: bool) -> Outcome:
    """Let a report be sent, or not."""
    auth.require_everywhere(Role.ADMIN)
    return save(replace(data.run_store().report_subscription(subscription_id), enabled=enabled))


def delete(subscription_id: int) -> Outcome:
    """Take a subscription away."""
    user = auth.require_everywhere(Role.ADMIN)
    store = data.run_store()
    subscription = store.report_subscription(subscription_id)
    store.delete_report_subscription(subscription_id)
    store.audit(user.name, "delete_report", SUBJECT.format(id=subscription_id), before=subscription.content)
    return Outcome(True, "report_deleted")
