"""Telling people: who carries messages by the settings, what is delivered or left for the worker, what is looked at.

What a carrier needs is imported when it is called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.errors import NeopulseError

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.clock import Clock
    from pipeline.notify.delivery import Carrier, Delivered
    from pipeline.notify.event import Event, Notice
    from pipeline.notify.letter import Letter
    from pipeline.runs.holders import Holders
    from pipeline.runs.store import RunStore
    from pipeline.settings import Settings
    from pipeline.warehouse.publication import Version


_log = logging.getLogger(__name__)


def deliver(
    event: Event, settings: Settings, store: RunStore, clock: Clock, *, guard: Callable[[], None] = lambda: None
) -> Delivered:
    """Tell the recipients of the settings something, once; `guard` is asked before anything is noted down."""
    from pipeline.notify.delivery import deliver as deliver_letter

    carrier = _carrier(settings, clock, look=guard)
    return deliver_letter(_letter(event, settings), carrier=carrier, store=store, holders=_holders(settings), guard=guard)


def leave(event: Event, settings: Settings, store: RunStore) -> str:
    """Note down a message that the worker is to deliver; returns the key of the delivery."""
    key, _ = _leave(_letter(event, settings), settings, store)
    return key


def _letter(event: Event, settings: Settings) -> Letter:
    from pipeline.notify.letter import Letter

    return Letter(event, settings.mail_from, settings.mail_to, settings.language)


def notice_of(notice: Notice, at: datetime, settings: Settings, version: Version | None, *, run_id: int = 0) -> Event:
    """A notice as a message, with what readers see beside it."""
    from pipeline.notify.event import noticed

    return noticed(notice, at=at, source=settings.source_name, version=version, run_id=run_id, links=links(settings))


def look_at_rules(
    version: Version, settings: Settings, store: RunStore, clock: Clock, *, guard: Callable[[], None] = lambda: None
) -> None:
    """Look at the rules on figures for a publication, once, and tell what fired or is right again."""
    from pipeline import alerts
    from pipeline.marts import reader

    if not (store.alert_rules() or store.unsent_alerts()):
        return
    reading = reader(version)

    def tell(notice: Notice, at: datetime) -> None:
        event = replace(notice_of(notice, at, settings, version), thin=alerts.thin_days(notice, reading))
        deliver(event, settings, store, clock, guard=guard)

    alerts.evaluate(store, reading, tell)


def look_at_freshness(version: Version | None, settings: Settings, store: RunStore, clock: Clock) -> None:
    """Find out whether a run succeeded by the agreed hour, and tell once that none did or that one has again."""
    from pipeline import incidents

    def tell(notice: Notice, at: datetime) -> None:
        deliver(notice_of(notice, at, settings, version), settings, store, clock)

    incidents.watch_freshness(settings, store, clock, tell)


CARRIERS = ("n8n", "SMTP", "outbox")


def look_at_reports(version: Version, settings: Settings, store: RunStore, clock: Clock) -> int:
    """Leave the reports that are due of a version for the worker to deliver, each once whoever carries it; returns how many.

    One that cannot be made, as of tables that were left in BigQuery, is said in the log and holds up no other.
    """
    from pipeline import reporting
    from pipeline.marts import reader
    from pipeline.notify.event import reported
    from pipeline.notify.letter import Letter

    left = 0
    for subscription in store.report_subscriptions():
        period = reporting.last_period(subscription.frequency, version.as_of)
        for person in reporting.readers(subscription, settings) if subscription.enabled else ():
            key = reporting.key(subscription, period, person)
            if any(store.delivery(f"{carrier}-{key}") is not None for carrier in CARRIERS):
                continue
            try:
                told = reporting.content(reader(version), subscription, period, person, app=settings.app_address)
                event = reported(key, told, version, at=clock.now(), links=links(settings))
                letter = Letter(event, settings.mail_from, (person.address,), subscription.language)
                _, is_new = _leave(letter, settings, store)
            except NeopulseError as error:
                _log.error("report %d: the letter of %s cannot be made: %s", subscription.id, period, error)
                continue
            left += is_new
    return left


def _leave(letter: Letter, settings: Settings, store: RunStore) -> tuple[str, bool]:
    """Note a letter down for the worker; returns the key of the delivery, and whether it was not noted down before."""
    service = carrier_name(settings)
    letter.message()  # an address that cannot be used is found out before anything is noted down
    key = f"{service}-{letter.event.key}"
    return key, store.reserve(key, service, letter.to_json())


def _carrier(settings: Settings, clock: Clock, *, look: Callable[[], None], in_one_try: bool = False) -> Carrier:
    """Who brings the messages, by the settings; `look` is asked before every attempt."""
    if settings.n8n_url:
        from pipeline.notify.n8n import ONE_TRY, PATIENCE, N8n

        patience = ONE_TRY if in_one_try else PATIENCE
        return N8n(settings.n8n_url, settings.n8n_secret, clock=clock, patience=patience, look=look)
    if settings.mail_server is not None:
        from pipeline.notify.smtp import Smtp

        return Smtp(settings.mail_server, look=look)
    from pipeline.notify.outbox import Outbox

    return Outbox(settings.home / "outbox")


def carrier_name(settings: Settings) -> str:
    """What brings the messages: n8n, SMTP or the outbox."""
    from pipeline.clock import SystemClock

    return _carrier(settings, SystemClock(), look=lambda: None).service


def check_carrier(settings: Settings, clock: Clock) -> str:
    """Ask whoever brings the messages, harmlessly, whether it would; raises what is wrong."""
    return _carrier(settings, clock, look=lambda: None, in_one_try=True).check()


def deliver_again(
    key: str, settings: Settings, store: RunStore, clock: Clock, *, look: Callable[[], None] = lambda: None
) -> None:
    """Try once to deliver a message that waits; raises what hinders it, or what `look` raises while an answer is awaited.

    A report that its reader may not see any more is taken back; `look_at_reports` makes another where they may see something.
    """
    from pipeline.notify.delivery import deliver_waiting

    if not _is_still_theirs(key, settings, store):
        store.take_back(key)
        return
    carrier = _carrier(settings, clock, look=look, in_one_try=True)
    deliver_waiting(key, carrier=carrier, store=store, holders=_holders(settings))


def _is_still_theirs(key: str, settings: Settings, store: RunStore) -> bool:
    from pipeline import reporting
    from pipeline.notify.letter import Letter

    noted = store.delivery(key)
    number = None if noted is None else reporting.subscription_of(key.removeprefix(f"{noted.target}-"))
    if noted is None or noted.delivered or number is None:
        return True
    subscription = next((one for one in store.report_subscriptions() if one.id == number), None)
    report = Letter.from_json(noted.payload).event.report or {}
    return subscription is not None and reporting.is_still_theirs(key, report, subscription, settings)


def _holders(settings: Settings) -> Holders:
    from pipeline.runs.holders import Holders

    return Holders.of(settings.home)


def links(settings: Settings) -> dict[str, str]:
    """Where a message leads to."""
    return {"app": settings.app_address}
