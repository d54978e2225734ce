"""An event with its sender, its recipients and its language: what is noted down before a delivery and delivered later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pipeline.errors import DataError, TransientError
from pipeline.notify.event import Event
from pipeline.notify.mail import compose


@dataclass(frozen=True)
class Letter:
    """Who tells whom what, in which language."""

    event: Event
    sender: str
    recipients: tuple[str, ...]
    language: str

    def message(self) -> bytes:
        """The mail, the same bytes each time; raises ConfigurationError where an address cannot be used."""
        return compose(self.event, sender=self.sender, recipients=self.recipients, language=self.language)

    def to_json(self) -> dict[str, Any]:
        """The letter in plain JSON values."""
        return {
            "event": self.event.to_json(),
            "sender": self.sender,
            "recipients": list(self.recipients),
            "language": self.language,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The letter out of its JSON values; raises DataError where they are not those of a letter."""
        try:
            event = Event.from_json(content["event"])
            return cls(event, content["sender"], tuple(content["recipients"]), content["language"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "A message that waits in the run store cannot be read",
                where=f"the table deliveries, {type(error).__name__}",
                safe="Nothing was sent",
                next="neopulse run --only notify tells the current version anew",
            ) from error


class PartlyCarriedError(TransientError):
    """Some readers have the letter; those in `left` do not yet, and it may reach them later."""

    def __init__(self, what: str, *, left: tuple[str, ...], where: str, safe: str, next: str) -> None:
        super().__init__(what, where=where, safe=safe, next=next)
        self.left = left
