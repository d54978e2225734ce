"""One way to call a service over HTTP: time limits, patience by status, a deadline, and secrets that stay inside."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from pipeline.clock import Clock
from pipeline.errors import NeopulseError, PermanentError, TransientError

USER_AGENT = "neopulse/0.1"
WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})
NOTHING_WAS_DONE = frozenset({425, 429, 503})  # by their definition the request was not processed
LONGEST_QUOTE = 200  # characters of an answer that an error may repeat
_HIDDEN = "***"


class LostAnswerError(TransientError):
    """The request may have been carried out: who sent it has to look before it is sent again."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: to connect, for each answer, between attempts, and for all of it."""

    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 64.0
    deadline_seconds: float = 300.0


@dataclass(frozen=True)
class Answer:
    """What a service answered; `content` is its JSON, None where it had no body."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(repr=False)


Explain = Callable[[int, str], NeopulseError | None]
Jitter = Callable[[], float]


class Service:
    """A service at an address. Waits by the clock, stops when `look` raises, and tells nobody the secrets it was given.

    `explain(status, words)` may turn a refusal into an error that says what to do; `look` is asked before every attempt.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        patience: Patience | None = None,
        explain: Explain = lambda _status, _words: None,
        look: Callable[[], None] = lambda: None,
        jitter: Jitter = random.random,
    ) -> None:
        self.name = name
        self.address = address.rstrip("/")
        self._clock = clock
        self._secrets = tuple(secret for secret in secrets if secret)
        self._patience = patience or Patience()
        self._explain = explain
        self._look = look
        self._jitter = jitter
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})})

    def get(self, path: str, *, parameters: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Read; may be done again without harm."""
        return self.call("GET", path, parameters=parameters, headers=headers, is_repeatable=True)

    def call(
        self,
        method: str,
        path: str,
        *,
        content: Any = None,
        parameters: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool,
    ) -> Answer:
        """One request, tried again while there is hope and time.

        Raises LostAnswerError where a request that must not be repeated may have been carried out, TransientError where
        time ran out, what `explain` makes of a refusal, and PermanentError for any other one and for what is no JSON.
        """
        began, attempt = self._clock.now(), 0
        while True:
            self._look()
            failure, pause = self._attempt(method, path, content, parameters, headers, is_repeatable)
            if isinstance(failure, Answer):
                return failure
            pause = self._pause(attempt) if pause is None else pause
            waited = (self._clock.now() - began).total_seconds()
            if waited + pause > self._patience.deadline_seconds:
                raise failure
            self._clock.sleep(pause)
            attempt += 1

    def _attempt(
        self,
        method: str,
        path: str,
        content: Any,
        parameters: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        is_repeatable: bool,
    ) -> tuple[Answer | TransientError, float | None]:
        """The answer, or why there is none yet and the pause that the service asks for."""
        limits = (self._patience.connect_seconds, self._patience.answer_seconds)
        try:
            response = self._session.request(
                method,
                self.address + path,
                json=content,
                params=parameters,
                headers=headers,
                timeout=limits,
                allow_redirects=False,
            )
            words = response.text
        except requests.RequestException as error:
            lost = not is_repeatable and not _never_arrived(error)
            raised = LostAnswerError if lost else TransientError
            failure = raised(f"{self.name} cannot be reached: {type(error).__name__}", where=self.address, next="neopulse check")
            if lost:
                raise failure from None  # its text may quote the request
            return failure, None
        if response.status_code in WORTH_ANOTHER_TRY:
            return self._put_off(response, words, is_repeatable)
        return self._answer(response, words), None

    def _put_off(self, response: requests.Response, words: str, is_repeatable: bool) -> tuple[TransientError, float | None]:
        explained = self._explain(response.status_code, words)
        if explained is not None and not isinstance(explained, TransientError):
            raise explained
        what = f"{self.name} answers {response.status_code}: {self.quote(words)}"
        if not is_repeatable and response.status_code not in NOTHING_WAS_DONE:
            raise LostAnswerError(what, where=self.address, next="neopulse check")
        return explained or TransientError(what, where=self.address, next="neopulse check"), self._asked_pause(response)

    def _answer(self, response: requests.Response, words: str) -> Answer:
        status = response.status_code
        if 200 <= status < 300 or status == 304:
            return Answer(status, self._read(response, words), dict(response.headers))
        raise self._explain(status, words) or PermanentError(
            f"{self.name} refuses with {status}: {self.quote(words)}", where=self.address, next="neopulse check"
        )

    def _read(self, response: requests.Response, words: str) -> Any:
        if not words.removeprefix("\ufeff").strip():
            return None
        try:
            return json.loads(response.content)  # as bytes: it takes the byte order mark that some services put first
        except ValueError:
            raise PermanentError(
                f"{self.name} answers {response.status_code} with something that is no JSON: {self.quote(words)}",
                where=self.address,
                next="see whether a proxy or a sign-in page stands before the service, then neopulse check",
            ) from None

    def quote(self, words: str) -> str:
        """The beginning of what a service said, in one line and without any secret."""
        for secret in self._secrets:
            words = words.replace(secret, _HIDDEN)
        line = " ".join(words.split())
        return line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + " ..."

    def _pause(self, attempt: int) -> float:
        """Twice as long each time, to a cap; between half of it and the whole, so that callers do not march in step."""
        longest = min(self._patience.longest_pause_seconds, self._patience.first_pause_seconds * 2.0 ** min(attempt, 32))
        return longest * (0.5 + self._jitter() / 2)

    def _asked_pause(self, response: requests.Response) -> float | None:
        asked = response.headers.get("Retry-After", "").strip()
        if asked.isdecimal():
            return float(asked)
        try:
            until = parsedate_to_datetime(asked)
        except ValueError:
            return None
        return max((_in_utc(until) - self._clock.now()).total_seconds(), 0.0)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _never_arrived(error: requests.RequestException) -> bool:
    """Whether no connection was made, so that the service cannot have seen the request."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)
