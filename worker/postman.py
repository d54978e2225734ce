"""The worker delivers what waits: one message at a time, after pauses that grow, and seldom where a person has to act."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline import telling
from pipeline.clock import Clock
from pipeline.errors import InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.http import LostAnswerError
from pipeline.runs.records import Delivery
from pipeline.runs.store import RunStore
from pipeline.settings import Settings

PAUSES_SECONDS = (5, 15, 45, 120, 300)
REFUSED_SECONDS = 3600  # what was refused is not worth another try before somebody has mended something
LOST_SECONDS = (3600, 86_400)  # what the readers may have already: each try may be one mail more
LONGEST_SECONDS = max(LOST_SECONDS)
RESTS = 5  # times as long as a service let us wait for nothing, it is left alone: the loop that waits has other things to do
LONGEST_REST_SECONDS = PAUSES_SECONDS[-1]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Failed:
    """How often in a row a message failed in the same way, by the pauses after it, and when it is tried again."""

    attempts: int
    again_at: datetime
    pauses: tuple[int, ...]


class Postman:
    """Delivers the waiting messages of one service; forgets its pauses with the process, never the messages."""

    def __init__(self, store: RunStore, clock: Clock, *, service: str, deliver: Callable[[str], None]) -> None:
        self._store = store
        self._clock = clock
        self._service = service
        self._deliver = deliver
        self._failed: dict[str, _Failed] = {}
        self._rests_until = clock.passed()

    def deliver_next(self) -> None:
        """Try the message that has waited longest among those whose pause is over; one a call, so that the loop turns."""
        began = self._clock.passed()
        if began < self._rests_until or self._store.lease() is not None:
            return  # a run that is going on delivers its own message
        waiting = [message for message in self._store.waiting() if message.target == self._service]
        self._failed = {message.key: self._failed[message.key] for message in waiting if message.key in self._failed}
        message = next((message for message in waiting if self._is_due(message)), None)
        if message is None:
            return
        try:
            self._deliver(message.key)
        except InterruptedRunError as wish:
            _log.info("the message %s waits: %s", message.key, wish.what)
        except NeopulseError as error:
            self._put_off(message.key, error)
            self._rest(self._clock.passed() - began)
        except Exception as error:  # a message that nobody can deliver holds up none behind it
            self._put_off(message.key, PermanentError(f"{type(error).__name__} while the message was delivered"))
        else:
            _log.info("the message %s, which had waited since %s, is delivered", message.key, message.reserved_at.isoformat())

    def _is_due(self, message: Delivery) -> bool:
        failed = self._failed.get(message.key)
        now = self._clock.now()
        # further away than any pause: the machine's clock was ahead when it failed
        return failed is None or not now < failed.again_at <= now + timedelta(seconds=LONGEST_SECONDS)

    def _rest(self, waited_seconds: float) -> None:
        """Leave a service alone that let us wait for nothing, whatever else waits for it."""
        self._rests_until = self._clock.passed() + min(RESTS * waited_seconds, LONGEST_REST_SECONDS)

    def _put_off(self, key: str, error: NeopulseError) -> None:
        failed, pauses = self._failed.get(key), _pauses_after(error)
        before = failed.attempts if failed is not None and failed.pauses == pauses else 0
        pause = pauses[min(before, len(pauses) - 1)]
        self._failed[key] = _Failed(before + 1, self._clock.now() + timedelta(seconds=pause), pauses)
        _log.warning("the message %s waits for another %d s: %s", key, pause, error)


def _pauses_after(error: NeopulseError) -> tuple[int, ...]:
    """How many seconds to wait after the first failure of that kind, the second, and so on."""
    if isinstance(error, LostAnswerError):
        return LOST_SECONDS
    return PAUSES_SECONDS if isinstance(error, TransientError) else (REFUSED_SECONDS,)


def postman(settings: Settings, store: RunStore, clock: Clock, *, is_to_end: Callable[[], bool] = lambda: False) -> Postman:
    """The postman of the service in force; a service that does not answer is not waited for once the worker `is_to_end`."""

    def look() -> None:
        if is_to_end():
            raise InterruptedRunError("The worker ends", safe="The message waits in the run store", next="neopulse worker")

    def deliver(key: str) -> None:
        telling.deliver_again(key, settings, store, clock, look=look)

    return Postman(store, clock, service=telling.carrier_name(settings), deliver=deliver)
