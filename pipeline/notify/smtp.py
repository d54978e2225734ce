"""A mail server as the carrier: the mail handed over by SMTP, and whatever goes wrong there in words."""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.connections import Connections
from pipeline.errors import ConfigurationError, NeopulseError, PermanentError, TransientError
from pipeline.notify.letter import Letter
from pipeline.notify_settings import MailServer

_log = logging.getLogger(__name__)

SERVICE = "SMTP"
SECONDS = 30.0  # for the connection and for each answer
ALL_SECONDS = 60.0  # for the whole session: the worker is believed to be stuck after two minutes
WAITS = "Readers see the published version; the message waits in the run store"
URL = "NEOPULSE_SMTP_URL"


class _PlainSession(smtplib.SMTP):
    """A session that waits for no answer beyond a moment, however many answers there are; `connections` may end it."""

    def __init__(self, *arguments: Any, until: float, connections: Connections, **more: Any) -> None:
        self._until, self._connections = until, connections  # before the connection: its greeting is an answer too
        super().__init__(*arguments, **more)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._connections.note(self, made)
        return made

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            self.sock.settimeout(max(min(self.timeout, self._until - time.monotonic()), 0.001))
        return super().getreply()


class _TlsSession(_PlainSession, smtplib.SMTP_SSL):
    """The same, under TLS from the first byte."""


class Smtp:
    """One mail server; `trust` says whose certificates are believed (by default the machine's; SSL_CERT_FILE adds to them)."""

    service = SERVICE

    def __init__(
        self,
        server: MailServer,
        *,
        seconds: float = SECONDS,
        all_seconds: float = ALL_SECONDS,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._seconds = seconds
        self._all_seconds = all_seconds
        self._trust = trust

    def carry(self, letter: Letter, key: str) -> str:  # noqa: ARG002 - the mail has its key in its Message-ID
        """Hand the mail over; returns the server, and who of the readers it refused.

        A mail whose last answer is lost is handed over again later, under the same Message-ID.
        """
        message = letter.message()
        with self._session() as session:
            refused = session.sendmail(_bare(letter.sender), [_bare(each) for each in letter.recipients], message)
        if refused:
            _log.warning("%s took the mail, and refused it for %s", self._server.address, ", ".join(sorted(refused)))
        return self._server.address + (f" (it refused {', '.join(sorted(refused))})" if refused else "")

    def check(self) -> str:
        """Connect and sign in; sends no mail."""
        with self._session() as session:
            session.noop()
        signed_in = f", signed in as {self._server.user}" if self._server.user else ""
        return f"{self._server.address} answers ({self._server.encryption}){signed_in}"

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        connections, until = Connections(), time.monotonic() + self._all_seconds
        with connections.while_there_is_time(lambda: time.monotonic() > until, lambda: None):
            try:
                session = self._connect(until, connections)
            except (OSError, smtplib.SMTPException) as error:
                raise self._in_words(error) from None
            try:
                self._greet(session)
                yield session
            except (OSError, smtplib.SMTPException) as error:
                raise self._in_words(error) from None
            finally:
                _leave(session)

    def _connect(self, until: float, connections: Connections) -> smtplib.SMTP:
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
            case smtplib.SMTPAuthenticationError():
                return self._setting(f"The mail server does not take the user or the password ({error.smtp_code})")
            case smtplib.SMTPNotSupportedError():
                return self._setting("The mail server offers no STARTTLS or no sign-in, so nothing was sent in the clear")
            case ssl.SSLCertVerificationError():
                return self._setting(f"The mail server's certificate is not trusted: {error.verify_message}")
            case ssl.SSLError():
                return self._setting("The mail server speaks no TLS there: smtps:// is TLS at once, smtp:// is STARTTLS")
            case smtplib.SMTPRecipientsRefused():
                return self._refused_readers(error)
            case smtplib.SMTPSenderRefused() | smtplib.SMTPDataError() | smtplib.SMTPResponseException():
                return self._refused(error)
        unknown = isinstance(error, socket.gaierror)
        what = "The mail server's name is not known" if unknown else f"The mail server broke off: {type(error).__name__}"
        return TransientError(what, where=f"{URL}, {self._server.address}", safe=WAITS, next="neopulse check")

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


def _is_final(code: int) -> bool:
    return 500 <= code <= 599


def _line(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:200]


def _bare(address: str) -> str:
    """`Ann <a@bank.example>` as the envelope has it."""
    return address.rpartition("<")[2].rstrip("> ") if "<" in address else address.strip()
