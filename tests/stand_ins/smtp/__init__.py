"""A mail server on loopback that speaks SMTP: sign-in, STARTTLS or TLS, and faults before and after it takes a mail."""

from __future__ import annotations

import base64
import socketserver
import ssl
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from stand_ins.serving import HOST, started, stopped


@dataclass(frozen=True)
class Taken:
    """A mail that the server took, with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.content, policy=policy.default))

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())


@dataclass
class MailServer:
    """`answers` are replies by verb that come instead of the usual one, each once; the verb `MAIL TAKEN` is the one after a mail.

    A reply of "" cuts the connection. What comes instead of `MAIL TAKEN` comes after the mail was taken. With
    `takes_after_seconds` it looks into each mail for so long before it takes it; one that `hangs_up` says nothing at all.
    """

    user: str = ""
    password: str = ""
    certificate: ssl.SSLContext | None = None
    tls_at_once: bool = False
    refused_recipients: tuple[str, ...] = ()
    busy_recipients: tuple[str, ...] = ()
    hangs_up: bool = False
    greets_after_seconds: float = 0.0
    answers_after_seconds: float = 0.0
    takes_after_seconds: float = 0.0
    is_looking: bool = False
    answers: dict[str, list[str]] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    sessions: int = 0
    port: int = 0
    _server: socketserver.ThreadingTCPServer | None = None

    def start(self) -> MailServer:
        """Listen, on the port of the time before where there was one."""
        house = self

        class Session(_Session):
            server_state = house

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True

        self._server = started(Server((HOST, self.port), Session))
        self.port = self._server.server_address[1]
        return self

    def stop(self) -> None:
        if self._server is not None:
            stopped(self._server)
            self._server = None

    def __enter__(self) -> MailServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        signed_in = f"{self.user}:{self.password}@" if self.user else ""
        scheme = "smtps" if self.tls_at_once else "smtp"
        upgrade = "?tls=starttls" if self.certificate and not self.tls_at_once else ""
        return f"{scheme}://{signed_in}localhost:{self.port}{upgrade}"

    @property
    def subjects(self) -> list[str]:
        return [str(mail.message["Subject"]) for mail in self.taken]


class _Session(socketserver.StreamRequestHandler):
    server_state: MailServer

    def handle(self) -> None:
        house = self.server_state
        house.sessions += 1
        self.encrypted = False
        if house.hangs_up:
            return
        if house.greets_after_seconds:
            time.sleep(house.greets_after_seconds)
        try:
            if house.tls_at_once:
                self._encrypt()
            self._converse()
        except (OSError, ConnectionError):
            return

    def _converse(self) -> None:
        house = self.server_state
        self._forget()
        self.signed_in = not house.user
        if not self._say("GREETING", "220 stand-in ESMTP"):
            return
        while line := self.rfile.readline():
            command = line.decode("ascii", "replace").strip()
            verb = (
                command.split(":")[0].upper() if command.upper().startswith(("MAIL", "RCPT")) else command.upper().split(" ")[0]
            )
            if not self._obey(verb, command):
                return

    def _obey(self, verb: str, command: str) -> bool:
        house = self.server_state
        match verb:
            case "EHLO" | "HELO":
                return self._say(verb, self._features())
            case "STARTTLS":
                said = self._say(verb, "220 go ahead")
                if said:
                    self._encrypt()
                return said
            case "AUTH":
                return self._say(verb, self._sign_in(command))
            case "MAIL FROM":
                self.sender = _address(command)
                return self._say(verb, "250 ok" if self.signed_in else "530 sign in first")
            case "RCPT TO":
                address = _address(command)
                if address in house.refused_recipients:
                    return self._say(verb, "550 no such mailbox")
                if address in house.busy_recipients:
                    return self._say(verb, "450 come back later")
                self.recipients.append(address)
                return self._say(verb, "250 ok")
            case "DATA":
                return self._say(verb, "354 go on") and self._take()
            case "RSET" | "NOOP":
                return self._say(verb, "250 ok")
            case "QUIT":
                self._say(verb, "221 bye")
                return False
        return self._say(verb, "502 not here")

    def _take(self) -> bool:
        if self.last_reply_was_refusal:
            return True
        lines: list[bytes] = []
        while (line := self.rfile.readline()) and line != b".\r\n":
            lines.append(line[1:] if line.startswith(b"..") else line)
        if not line:
            return False
        self.server_state.is_looking = True
        time.sleep(self.server_state.takes_after_seconds)
        self.server_state.is_looking = False
        before = self.server_state.answers.get("MAIL BEFORE")
        if before:
            return self._say("MAIL BEFORE", "")
        self.server_state.taken.append(Taken(self.sender, tuple(self.recipients), b"".join(lines), self.encrypted))
        self._forget()
        return self._say("MAIL TAKEN", "250 taken")

    def _say(self, verb: str, usual: str) -> bool:
        """Answer; False where the connection was cut instead."""
        time.sleep(self.server_state.answers_after_seconds)
        waiting = self.server_state.answers.get(verb)
        reply = waiting.pop(0) if waiting else usual
        if not reply:
            return False
        self.last_reply_was_refusal = reply[0] in "45"
        self.wfile.write(reply.encode("ascii") + b"\r\n")
        self.wfile.flush()
        return True

    def _features(self) -> str:
        house = self.server_state
        offered = ["stand-in", "8BITMIME"]
        offered += ["STARTTLS"] if house.certificate and not self.encrypted else []
        offered += ["AUTH PLAIN"] if house.user else []
        return "\r\n".join([*(f"250-{one}" for one in offered[:-1]), f"250 {offered[-1]}"])

    def _sign_in(self, command: str) -> str:
        house = self.server_state
        given = command.split(" ")[2] if command.count(" ") > 1 else ""
        expected = base64.b64encode(f"\0{house.user}\0{house.password}".encode()).decode("ascii")
        self.signed_in = given == expected
        return "235 welcome" if self.signed_in else "535 who are you"

    def _encrypt(self) -> None:
        assert self.server_state.certificate is not None
        self.request = self.server_state.certificate.wrap_socket(self.request, server_side=True)
        self.connection = self.request
        self.rfile = self.connection.makefile("rb")
        self.wfile = cast(Any, self.connection.makefile("wb"))
        self.encrypted = True

    def _forget(self) -> None:
        self.sender, self.recipients = "", cast(list[str], [])
        self.last_reply_was_refusal = False


def _address(command: str) -> str:
    return command.partition("<")[2].partition(">")[0]
