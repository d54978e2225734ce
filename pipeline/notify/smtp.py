"""A mail server as the carrier: the mail handed over by SMTP, and whatever goes wrong there in words."""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.connections import Connections
from pipeline.errors import ConfigurationError, NeopulseError, PermanentError, TransientError
from pipeline.http import LostAnswerError
from pipeline.notify.letter import Letter, PartlyCarriedError
from pipeline.notify_settings import MailServer

_log = logging.getLogger(__name__)

SERVICE = "SMTP"
SECONDS = 30.0  # for the connection and for each answer
ALL_SECONDS = 90.0  # for the whole session: the worker is believed to be stuck after two minutes
WAITS = "Readers see the published version; the message waits in the run store"
URL = "NEOPULSE_SMTP_URL"
BROKE_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)  # errors of TLS that say nothing of TLS


class _PlainSession(smtplib.SMTP):
    """A session that waits for no answer beyond a moment, however many answers there are; `connections` may end it.

    `has_the_mail` says that the server was handed the whole mail and has not answered yet. That answer has all the time that is
    left: a server that looks for viruses first, and is given up too soon, delivers the mail and is handed it again.
    """

    has_the_mail = False

    def __init__(self, *arguments: Any, until: float, connections: Connections, **more: Any) -> None:
        self._until, self._connections = until, connections  # before the connection: its greeting is an answer too
        super().__init__(*arguments, **more)

    def send(self, s: Any) -> None:
        super().send(s)
        self.has_the_mail = isinstance(s, bytes)  # commands are texts

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        left = self._until - time.monotonic()
        places = len(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))  # which are tried one after the other
        each = max(min(timeout, left / max(places, 1)), 0.001)
        made: socket.socket = super()._get_socket(host, port, each)  # type: ignore[misc]
        self._connections.note(self, made)
        return made

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            left = self._until - time.monotonic()
            self.sock.settimeout(max(left if self.has_the_mail else min(self.timeout, left), 0.001))
        reply = super().getreply()
        self.has_the_mail = False
        return reply


class _TlsSession(_PlainSession, smtplib.SMTP_SSL):
    """The same, under TLS from the first byte."""


class Smtp:
    """One mail server; `trust` says whose certificates are believed (by default the machine's; SSL_CERT_FILE adds to them).

    `look` is asked every second, by another thread, and ends the session where it raises: but not while the server has the whole
    mail and is to answer, for that tells what became of it.
    """

    service = SERVICE

    def __init__(
        self,
        server: MailServer,
        *,
        seconds: float = SECONDS,
        all_seconds: float = ALL_SECONDS,
        trust: ssl.SSLContext | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._seconds = seconds
        self._all_seconds = all_seconds
        self._trust = trust
        self._look = look

    def carry(self, letter: Letter, key: str) -> str:  # noqa: ARG002 - the mail has its key in its Message-ID
        """Hand the mail over; returns the server, and who of the readers it refused for good.

        Raises PartlyCarriedError where it refused some for now, and LostAnswerError where it was handed the whole mail and never
        answered: that is handed over again later, under the same Message-ID.
        """
        message = letter.message()
        with self._session() as session:
            refused = session.sendmail(_bare(letter.sender), [_bare(each) for each in letter.recipients], message)
        if left := tuple(each for each in letter.recipients if _is_for_now(refused.get(_bare(each)))):
            raise self._for_some(left, refused)
        if refused:
            _log.warning("%s took the mail, and refused it for %s", self._server.address, ", ".join(sorted(refused)))
        return self._server.address + (f" (it refused {', '.join(sorted(refused))})" if refused else "")

    def _for_some(self, left: tuple[str, ...], refused: Mapping[str, tuple[int, bytes]]) -> PartlyCarriedError:
        if for_good := sorted(each for each, (code, _) in refused.items() if _is_final(code)):
            _log.warning("%s took the mail, and refused it for %s", self._server.address, ", ".join(for_good))
        code, words = refused[_bare(left[0])]
        return PartlyCarriedError(
            f"The mail server took the mail, but for now not for {', '.join(left)} ({code}): {_line(words)}",
            left=left,
            where=self._server.address,
            safe="The others have the mail; for these it waits in the run store",
            next="neopulse check",
        )

    def check(self) -> str:
        """Connect and sign in; sends no mail."""
        with self._session() as session:
            session.noop()
        signed_in = f", signed in as {self._server.user}" if self._server.user else ""
        return f"{self._server.address} answers ({self._server.encryption}){signed_in}"

    @contextmanager
    def _session(self) -> Iterator[_PlainSession]:
        connections, until = Connections(), time.monotonic() + self._all_seconds
        made: list[_PlainSession] = []

        def look() -> None:
            if not any(session.has_the_mail for session in made):
                self._look()

        with connections.while_there_is_time(lambda: time.monotonic() > until, look):
            try:
                session = self._connect(until, connections)
            except (OSError, smtplib.SMTPException) as error:
                raise self._in_words(error) from None
            made.append(session)
            try:
                self._greet(session)
                yield session
            except (OSError, smtplib.SMTPException) as error:
                raise (self._unanswered(error) if session.has_the_mail else self._in_words(error)) from None
            finally:
                _leave(session)

    def _connect(self, until: float, connections: Connections) -> _PlainSession:
        server = self._server
        if server.encryption == "tls":
            return _TlsSession(
                server.host, server.port, timeout=self._seconds, context=self._context(), until=until, connections=connections
            )
        return _PlainSession(server.host, server.port, timeout=self._seconds, until=until, connections=connections)

    def _greet(self, session: smtplib.SMTP) -> None:
        session.ehlo()
        if self._server.encryption == "starttls":
            session.starttls(context=self._context())  # raises where the server offers none: never in the clear instead
            session.ehlo()
        if self._server.user:
            session.login(self._server.user, self._server.password)

    def _context(self) -> ssl.SSLContext:
        return self._trust or ssl.create_default_context()

    def _in_words(self, error: Exception) -> NeopulseError:
        """What happened and what to do; the server's own words only where they cannot hold a secret."""
        match error:
            case smtplib.SMTPAuthenticationError() if _is_final(error.smtp_code):
                return self._setting(f"The mail server does not take the user or the password ({error.smtp_code})")
            case smtplib.SMTPNotSupportedError():
                return self._setting("The mail server offers no STARTTLS or no sign-in, so nothing was sent in the clear")
            case ssl.SSLCertVerificationError():
                return self._setting(f"The mail server's certificate is not trusted: {error.verify_message}")
            case ssl.SSLError() if not isinstance(error, BROKE_OFF):
                return self._setting("The mail server speaks no TLS there: smtps:// is TLS at once, smtp:// is STARTTLS")
            case smtplib.SMTPRecipientsRefused():
                return self._refused_readers(error)
            case smtplib.SMTPAuthenticationError():
                return self._later(f"The mail server lets nobody sign in for now ({error.smtp_code})")
            case smtplib.SMTPSenderRefused() | smtplib.SMTPDataError() | smtplib.SMTPResponseException():
                return self._refused(error)
        unknown = isinstance(error, socket.gaierror)
        what = "The mail server's name is not known" if unknown else f"The mail server broke off: {type(error).__name__}"
        return self._later(what)

    def _later(self, what: str) -> TransientError:
        return TransientError(what, where=f"{URL}, {self._server.address}", safe=WAITS, next="neopulse check")

    def _unanswered(self, error: Exception) -> LostAnswerError:
        return LostAnswerError(
            f"The mail server was handed the whole mail and did not say that it took it: {type(error).__name__}",
            where=self._server.address,
            safe=f"{WAITS}, and is seldom tried again: readers may have it already",
            next="see what the mail server did with it; neopulse check",
        )

    def _setting(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            what, where=f"{URL}, {self._server.address}", safe=WAITS, next=f"mend {URL}, then neopulse check"
        )

    def _refused(self, error: smtplib.SMTPResponseException) -> NeopulseError:
        kind = PermanentError if _is_final(error.smtp_code) else TransientError
        return kind(
            f"The mail server refuses the mail ({error.smtp_code}): {_line(error.smtp_error)}",
            where=self._server.address,
            safe=WAITS,
            next="mend NEOPULSE_MAIL_FROM or the server, then neopulse check",
        )

    def _refused_readers(self, error: smtplib.SMTPRecipientsRefused) -> NeopulseError:
        answers: Sequence[tuple[int, bytes]] = list(error.recipients.values())
        kind = PermanentError if all(_is_final(code) for code, _ in answers) else TransientError
        code, words = answers[0]
        what = f"The mail server refuses every recipient ({code}): {_line(words)}"
        return kind(what, where=self._server.address, safe=WAITS, next="mend NEOPULSE_MAIL_TO, then neopulse check")


def _leave(session: smtplib.SMTP) -> None:
    """End the session; after the server took the mail, nothing that goes wrong here matters."""
    try:
        session.quit()
    except (OSError, smtplib.SMTPException):
        session.close()


def _is_for_now(answer: tuple[int, bytes] | None) -> bool:
    return answer is not None and not _is_final(answer[0])


def _is_final(code: int) -> bool:
    return 500 <= code <= 599


def _line(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:200]


def _bare(address: str) -> str:
    """`Ann <a@bank.example>` as the envelope has it."""
    return address.rpartition("<")[2].rstrip("> ") if "<" in address else address.strip()
