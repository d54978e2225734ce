"""Each message is delivered once: noted down before, carried by whatever serves, noted down after. What fails waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pipeline.errors import InterruptedRunError, NeopulseError, TransientError
from pipeline.notify.letter import Letter, PartlyCarriedError
from pipeline.runs.holders import Holders, new_holder
from pipeline.runs.records import Delivery

TURN_SECONDS = 300.0  # longer than any one delivery takes


class Carrier(Protocol):
    """What brings a letter to its readers: n8n, a mail server, the outbox."""

    service: str

    def carry(self, letter: Letter, key: str) -> str:
        """Bring the letter; returns where it went.

        Raises TransientError where the same letter may pass later (PartlyCarriedError: to some of the readers), another
        NeopulseError where a person has to act.
        """

    def check(self) -> str:
        """Find out, without a letter, whether one would pass; raises what is wrong."""


class Deliveries(Protocol):
    """Where deliveries are noted down; the run store does."""

    def reserve(self, key: str, target: str, payload: Any) -> bool:
        """Note down a delivery before it is made; False where it was made before."""

    def delivered(self, key: str, *, location: str = "") -> None:
        """Note down that it was made."""

    def renote(self, key: str, payload: Any) -> None:
        """Note down anew what is still to be delivered under a key."""

    def delivery(self, key: str) -> Delivery | None:
        """The delivery of that key, if it was ever reserved."""

    def take_turn(self, holder: str, *, seconds: float, is_dead: Callable[[str], bool]) -> bool:
        """Become the one process that delivers; False where another one does."""

    def end_turn(self, holder: str) -> None:
        """Let others deliver."""


@dataclass(frozen=True)
class Delivered:
    """What became of a message.

    `is_new` is False where it had been delivered before and was not again; `waits` is why it was not delivered yet.
    """

    service: str
    key: str
    location: str
    recipients: int
    is_new: bool
    waits: NeopulseError | None = None


def deliver(
    letter: Letter, *, carrier: Carrier, store: Deliveries, holders: Holders, guard: Callable[[], None] = lambda: None
) -> Delivered:
    """Bring a letter to its readers, once; where that fails it waits in the run store and the answer says why.

    `guard` is asked before anything is noted down. Raises ConfigurationError where an address cannot be used.
    """
    key = f"{carrier.service}-{letter.event.key}"
    letter.message()  # an address that cannot be used is found out before anything is noted down
    guard()
    is_new, waits = store.reserve(key, carrier.service, letter.to_json()), None
    if is_new:
        try:
            deliver_waiting(key, carrier=carrier, store=store, holders=holders)
        except InterruptedRunError:
            raise
        except NeopulseError as error:
            waits = error
    noted = store.delivery(key)
    location = noted.location if noted is not None else ""
    return Delivered(carrier.service, key, location, len(letter.recipients), is_new and waits is None, waits)


def deliver_waiting(key: str, *, carrier: Carrier, store: Deliveries, holders: Holders) -> None:
    """Bring the letter that waits under a key, as it was noted down, unless somebody did in the meantime.

    Where some readers have it, it waits on for the others alone. Raises what the carrier raises, and TransientError where another
    process is delivering at this moment.
    """
    with _turn(store, holders):
        noted = store.delivery(key)
        if noted is None or noted.delivered:
            return
        letter = Letter.from_json(noted.payload)
        try:
            location = carrier.carry(letter, key)
        except PartlyCarriedError as error:
            store.renote(key, replace(letter, recipients=error.left).to_json())
            raise
        store.delivered(key, location=location)


@contextmanager
def _turn(store: Deliveries, holders: Holders) -> Iterator[None]:
    holder = new_holder()
    with holders.alive(holder):
        if not store.take_turn(holder, seconds=TURN_SECONDS, is_dead=holders.is_dead):
            raise TransientError(
                "Another process is delivering messages at this moment",
                where="the run store",
                safe="The message waits",
                next="neopulse status",
            )
        try:
            yield
        finally:
            store.end_turn(holder)
