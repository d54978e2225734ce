"""One way to call a service over HTTP: time limits, patience by status, a deadline, and secrets that stay inside."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version as installed
from typing import Any

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from pipeline.clock import Clock
from pipeline.connections import LOOK_EVERY_SECONDS, Adapter, Connections
from pipeline.errors import NeopulseError, PermanentError, TransientError
from pipeline.masking import MASK, masked, shown_address, spellings

WORTH_ANOTHER_TRY = frozenset({408, 425, 429})  # and what the service says of its own faults, see is_worth_another_try
HOPELESS = frozenset({501, 505})  # faults of a service that time does not mend
NOTHING_WAS_DONE = frozenset({425, 429, 503})  # by their definition the request was not processed
LONGEST_QUOTE = 200  # characters of an answer that an error may repeat
PIECE_BYTES = 65_536
MOST_BYTES = 64_000_000  # of an answer, unpacked; no service here has a reason for more
_HOPELESS_ENCRYPTION = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
_WRONG_REQUESTS = (requests.exceptions.InvalidJSONError, requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL)


class LostAnswerError(TransientError):
    """The request may have been carried out: who sent it has to look before it is sent again."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: to connect, for a sign of life, between attempts, and for all of it; how often to try."""

    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 64.0
    deadline_seconds: float = 300.0
    most_attempts: int = 1_000_000

    def pause(self, attempt: int, jitter: float) -> float:
        """Twice as long each time, to a cap; between half of it and the whole, so that callers do not march in step."""
        longest = min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** min(attempt, 32))
        return longest * (0.5 + jitter / 2)


@dataclass(frozen=True)
class Answer:
    """What a service answered; `content` is its JSON, None where it had no body."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(repr=False)


Explain = Callable[[int, str], NeopulseError | None]
Jitter = Callable[[], float]


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    content: Any
    parameters: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    is_repeatable: bool

    @property
    def asks_for_changes(self) -> bool:
        """Whether "not modified" is an answer to it; to any other request it says nothing about what was done."""
        return any(name.lower() in ("if-none-match", "if-modified-since") for name in self.headers or ())


@dataclass(frozen=True)
class _Delay:
    """No answer yet: why, and the least pause in seconds that the service asks for."""

    why: TransientError
    asked_pause: float = 0.0


class Service:
    """A service at an address. Waits by the clock, stops when `look` raises, and tells nobody the secrets it was given.

    `explain(status, words)` may turn a refusal into an error that says what to do; `look` is asked before every attempt
    and every second of a wait. Another thread asks it every second of an exchange, which it ends: one that must not be
    repeated only once its answer is overdue.
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
        self._secrets = spellings(secrets)
        self._patience = patience or Patience()
        self._explain = explain
        self._look = look
        self._jitter = jitter
        self._session = requests.Session()
        self._connections = Connections()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Adapter(self._connections))
        self._session.auth = _as_it_is  # else a .netrc would put its own password over the Authorization given here
        self._session.headers.update(
            {"User-Agent": f"neopulse/{installed('neopulse')}", "Accept": "application/json", **(headers or {})}
        )

    @property
    def place(self) -> str:
        """The address as it may be shown: without a password or a secret in it."""
        return self._hide(shown_address(self.address))

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
        time ran out, what `explain` makes of a refusal, and PermanentError for any other one, for what is no JSON and for
        a request that cannot be sent at all.
        """
        request = _Request(method, path, content, parameters, headers, is_repeatable)
        until = self._clock.passed() + self._patience.deadline_seconds
        attempt = 0
        while True:
            self._look()
            answer = self._attempt(request, until)
            if isinstance(answer, Answer):
                return answer
            pause = max(answer.asked_pause, self._patience.pause(attempt, self._jitter()))
            if pause > self._left(until) or attempt + 1 >= self._patience.most_attempts:
                raise answer.why
            self._wait(pause)
            attempt += 1

    def _attempt(self, request: _Request, until: float) -> Answer | _Delay:
        """The answer, or why there is none yet."""
        try:
            response, body = self._exchange(request, until)
        except requests.exceptions.SSLError as error:
            if any(word in str(error) for word in _HOPELESS_ENCRYPTION):
                raise self._permanent(f"{self.name} has no valid certificate, or does not speak https at all") from None
            return self._unreached(request, error)
        except _WRONG_REQUESTS as error:
            raise self._permanent(f"A request to {self.name} cannot be sent: {type(error).__name__}") from None
        except (requests.RequestException, HTTPError, TimeoutError) as error:
            return self._unreached(request, error)
        except ValueError as error:  # such as a letter that no header can hold; its text may quote the secret
            raise self._permanent(f"A request to {self.name} cannot be sent: {type(error).__name__}") from None
        words = self._hide(body.decode("utf-8", "replace"))
        if is_worth_another_try(response.status_code):
            return self._put_off(request, response, words)
        return self._answer(request, response, body, words)

    def _exchange(self, request: _Request, until: float) -> tuple[requests.Response, bytes]:
        """The answer's head and its whole body; an answer that drips in beyond the deadline is given up."""
        due = self._clock.passed() + (0 if request.is_repeatable else self._patience.answer_seconds)

        def look() -> None:
            if self._clock.passed() >= due:
                self._look()

        with self._connections.while_there_is_time(lambda: self._left(until) < 0, look) as was_ended:
            response = self._session.request(
                request.method,
                self.address + request.path,
                json=request.content,
                params=request.parameters,
                headers=request.headers,
                timeout=self._limits(until),
                allow_redirects=False,
                stream=True,
            )
            with response:
                body = self._body(request, response, until)
            if was_ended.is_set():
                raise TimeoutError  # http.client takes a head that breaks off for a whole one
            return response, body

    def _body(self, request: _Request, response: requests.Response, until: float) -> bytes:
        body = bytearray()
        while piece := response.raw.read1(PIECE_BYTES, decode_content=True):
            body += piece
            if self._left(until) < 0:
                raise requests.ReadTimeout("the answer took longer than the deadline")
            if len(body) > MOST_BYTES:
                what = f"{self.name} answers {response.status_code} with more than {MOST_BYTES / 1_000_000:.0f} MB"
                raise self._permanent(what) if request.is_repeatable else self._lost(what)
        if not body and not _says_its_length(response):
            raise requests.ConnectionError("the answer broke off in its head")  # which http.client takes for a whole one
        return bytes(body)

    def _limits(self, until: float) -> tuple[float, float]:
        left = max(self._left(until), 1.0)
        return min(self._patience.connect_seconds, left), min(self._patience.answer_seconds, left)

    def _unreached(self, request: _Request, error: Exception) -> _Delay:
        what = f"{self.name} cannot be reached: {type(error).__name__}"
        if not request.is_repeatable and not _never_arrived(error):
            raise self._lost(what) from None  # its text may quote the request
        return _Delay(TransientError(what, where=self.place, next="neopulse check"))

    def _put_off(self, request: _Request, response: requests.Response, words: str) -> _Delay:
        status = response.status_code
        what = f"{self.name} answers {status}: {self.quote(words)}"
        if not request.is_repeatable and status not in NOTHING_WAS_DONE:
            raise self._lost(what)
        explained = self._explain(status, words)
        if explained is not None and not isinstance(explained, TransientError):
            raise explained
        why = explained or TransientError(what, where=self.place, next="neopulse check")
        return _Delay(why, asked_pause(response.headers.get("Retry-After", ""), self._clock.now()))

    def _answer(self, request: _Request, response: requests.Response, body: bytes, words: str) -> Answer:
        status = response.status_code
        if 200 <= status < 300 or (status == 304 and request.asks_for_changes):
            return Answer(status, self._read(request, status, body, words), dict(response.headers))
        if explained := self._explain(status, words):
            raise explained
        if 300 <= status < 400:
            raise self._permanent(f"{self.name} answers {status}, which sends elsewhere; the address given is not the service's")
        raise self._permanent(f"{self.name} refuses with {status}: {self.quote(words)}")

    def _read(self, request: _Request, status: int, body: bytes, words: str) -> Any:
        if not words.removeprefix("\ufeff").strip():
            return None
        try:
            # As bytes it takes the byte order mark that some services put first. A secret is hidden before anybody can quote it.
            return json.loads(words.removeprefix("\ufeff") if MASK in words else body)
        except ValueError:
            what = f"{self.name} answers {status} with something that is no JSON: {self.quote(words)}"
            if not request.is_repeatable:
                raise self._lost(what) from None
            raise self._permanent(
                what, next="see whether a proxy or a sign-in page stands before the service, then neopulse check"
            ) from None

    def quote(self, words: str) -> str:
        """The beginning of what a service said, in one line and without any secret."""
        line = " ".join(self._hide(words).split())
        return line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + " ..."

    def _hide(self, words: str) -> str:
        return masked(words, self._secrets)

    def _permanent(self, what: str, *, next: str = "neopulse check") -> PermanentError:
        return PermanentError(what, where=self.place, next=next)

    def _lost(self, what: str) -> LostAnswerError:
        return LostAnswerError(what, where=self.place, next="neopulse check")

    def _left(self, until: float) -> float:
        return until - self._clock.passed()

    def _wait(self, seconds: float) -> None:
        """Wait, but not beyond the wish to end."""
        while seconds > 0:
            self._look()
            self._clock.sleep(min(seconds, LOOK_EVERY_SECONDS))
            seconds -= LOOK_EVERY_SECONDS


def _says_its_length(response: requests.Response) -> bool:
    return response.status_code in (204, 304) or any(name in response.headers for name in ("Content-Length", "Transfer-Encoding"))


def is_worth_another_try(status: int) -> bool:
    """Whether the same request may be answered otherwise a moment later."""
    return status in WORTH_ANOTHER_TRY or (status >= 500 and status not in HOPELESS)


def asked_pause(asked: str, now: datetime) -> float:
    """The seconds that a Retry-After asks for, as a number or as a date; 0 where it says nothing that can be understood."""
    asked = asked.strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return max((_in_utc(parsedate_to_datetime(asked)) - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return 0.0


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _never_arrived(error: Exception) -> bool:
    """Whether no connection was made, so that the service cannot have seen the request."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
