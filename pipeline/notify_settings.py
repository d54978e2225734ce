"""The settings of the last step: n8n by its webhook, or a mail server by its address; without either, the outbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from pipeline.addresses import is_loopback_host, web_address

Encryption = Literal["tls", "starttls", "none"]
NO_SECRET = SecretStr("")
SHORTEST_SECRET = 16  # characters
DEFAULT_PORTS: dict[str, int] = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True)
class MailServer:
    """Where mails are handed over: by TLS from the first byte, by STARTTLS, or in the clear."""

    host: str
    port: int
    encryption: Encryption
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """The address as it may be shown: without the password."""
        return f"{'smtps' if self.encryption == 'tls' else 'smtp'}://{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str) -> Self:
        """The server that a URL names; raises ValueError, without repeating the URL, where it names none."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError:
            host, port, options = None, None, {}
        if not host or parts.scheme not in DEFAULT_PORTS or parts.path not in ("", "/") or set(options) - {"tls"}:
            raise ValueError("is not the address of a mail server, such as smtp://user:password@mail.bank.example:587")
        encryption = _encryption(parts.scheme, host, options.get("tls"))
        if not _can_be_looked_up(host):
            raise ValueError("names a host that cannot be: a part of its name is empty or longer than 63 letters")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not (user + password).isascii():
            raise ValueError("has letters beyond ASCII in the user or the password, with which nobody can sign in")
        if (user or password) and encryption == "none" and not is_loopback_host(host):
            raise ValueError("would send the password in the clear: use smtps://, or smtp:// without tls=none")
        return cls(host, port or DEFAULT_PORTS[parts.scheme], encryption, user, password)


def _can_be_looked_up(host: str) -> bool:
    """Whether a host's name is none that is refused before anybody is asked: with a label that is empty or too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _encryption(scheme: str, host: str, asked: str | None) -> Encryption:
    """smtps:// is TLS; smtp:// is STARTTLS, which only a server on this machine may lack unasked."""
    if scheme == "smtps":
        if asked is not None:
            raise ValueError("takes no tls= with smtps://, which always is TLS")
        return "tls"
    if asked is None:
        return "none" if is_loopback_host(host) else "starttls"
    if asked == "starttls":
        return "starttls"
    if asked == "none":
        return "none"
    raise ValueError("takes tls=starttls or tls=none")


class NotifySettings(BaseSettings):
    """Who carries the message of a run."""

    n8n_url: str = Field(
        default="",
        description="Address of n8n's webhook, such as `http://n8n:5678/webhook/neopulse-run-ended`; empty means no n8n.",
    )
    n8n_secret: SecretStr = Field(
        default=NO_SECRET, description="What n8n's webhook asks for in the header X-Neopulse-Secret; 16 characters or more."
    )
    smtp_url: SecretStr = Field(
        default=NO_SECRET,
        description="Mail server for those without n8n: `smtp://user:password@host:587` (STARTTLS) or `smtps://...` (TLS); "
        "empty, and without n8n, mails are files in the outbox.",
    )

    @field_validator("n8n_url")
    @classmethod
    def _is_a_webhook(cls, value: str) -> str:
        address = value and web_address(value, example="http://n8n:5678/webhook/neopulse-run-ended")
        if "@" in urlsplit(address).netloc:
            raise ValueError("takes no user and no password, which would not be sent: n8n asks for NEOPULSE_N8N_SECRET")
        return address

    @field_validator("n8n_secret")
    @classmethod
    def _is_no_short_secret(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and (len(text) < SHORTEST_SECRET or not text.isascii() or not text.isprintable() or " " in text):
            raise ValueError(f"takes {SHORTEST_SECRET} or more letters, digits and signs without a blank")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_a_mail_server(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            MailServer.of(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _one_carrier_that_is_whole(self) -> Self:
        if self.n8n_url and self.smtp_url.get_secret_value():
            raise ValueError("NEOPULSE_N8N_URL and NEOPULSE_SMTP_URL are both set: one of them carries the messages")
        if self.n8n_url and not self.n8n_secret.get_secret_value():
            raise ValueError("NEOPULSE_N8N_URL needs NEOPULSE_N8N_SECRET")
        return self

    @property
    def mail_server(self) -> MailServer | None:
        """The mail server of the settings, if there is one."""
        url = self.smtp_url.get_secret_value()
        return MailServer.of(url) if url else None
