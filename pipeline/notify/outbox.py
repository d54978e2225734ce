"""The outbox: each mail one `.eml` file that any mail program opens; written once, however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline import files
from pipeline.notify.event import Event
from pipeline.notify.mail import compose

SERVICE = "outbox"


class Deliveries(Protocol):
    """Where deliveries are noted down; the run store does."""

    def reserve(self, key: str, target: str, payload: Any) -> bool:
        """Note down a delivery before it is made; False where it was made before."""

    def delivered(self, key: str, *, location: str = "") -> None:
        """Note down that it was made."""


@dataclass(frozen=True)
class Delivered:
    """What became of a message: `is_new` is False where it had been delivered before and was not again."""

    service: str
    key: str
    location: str
    recipients: int
    is_new: bool


class Outbox:
    """A folder of mails; `guard` is asked right before one is written."""

    def __init__(self, folder: Path, store: Deliveries, *, guard: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._store = store
        self._guard = guard

    def deliver(self, event: Event, *, sender: str, recipients: Sequence[str], language: str) -> Delivered:
        """Write the mail of an event, once.

        The delivery is reserved before and noted down after: a crash in between writes the same file again. Raises
        ConfigurationError where an address or the folder cannot be used.
        """
        key = f"{SERVICE}-{event.key}"
        path = self._folder / f"{key}.eml"
        message = compose(event, sender=sender, recipients=recipients, language=language)
        is_new = self._store.reserve(key, SERVICE, event.to_json())
        if is_new:
            self._guard()
            files.make_folder(self._folder)
            files.write_whole(path, lambda beside: beside.write_bytes(message))
            self._store.delivered(key, location=str(path))
        return Delivered(SERVICE, key, str(path), len(recipients), is_new)
