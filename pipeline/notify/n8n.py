"""n8n as the carrier: one event, sent to the webhook of the workflow in `integrations/n8n`, which mails it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError, PermanentError, TransientError
from pipeline.http import Answer, Patience, Service
from pipeline.notify.letter import Letter
from pipeline.notify.mail import render, worldwide_key

SERVICE = "n8n"
SCHEMA = "neopulse.run-ended/1"
QUESTION = "neopulse.check/1"
WAITS = "Readers see the published version; the message waits in the run store"
SECRET_HEADER, KEY_HEADER = "X-Neopulse-Secret", "Idempotency-Key"
# n8n answers when the mail server took the mail; one that never greets it gives up by itself, in about half a minute.
ANSWER_SECONDS = 90.0
PATIENCE = Patience(5.0, ANSWER_SECONDS, first_pause_seconds=2.0, deadline_seconds=2 * ANSWER_SECONDS, most_attempts=4)
ONE_TRY = Patience(5.0, ANSWER_SECONDS, deadline_seconds=ANSWER_SECONDS, most_attempts=1)


class N8n:
    """The webhook of one n8n; `look` is asked before every attempt."""

    service = SERVICE

    def __init__(
        self,
        address: str,
        secret: SecretStr,
        *,
        clock: Clock,
        patience: Patience = PATIENCE,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        token = secret.get_secret_value()
        self._webhook = Service(
            "n8n",
            address,
            clock=clock,
            headers={SECRET_HEADER: token},
            secrets=(token,),
            patience=patience,
            explain=self._explain,
            look=look,
        )
        self._address = self._webhook.place  # what is told and kept: without what may be secret in it

    def carry(self, letter: Letter, key: str) -> str:  # noqa: ARG002 - n8n is told the key that no other installation has
        """Hand the event over; returns the execution and the mail that n8n names.

        Sending it again is harmless: the workflow mails an Idempotency-Key once.
        """
        content = event_for(letter)
        answer = self._post(content, {KEY_HEADER: content["key"]})
        told = _agreed(answer, self._address)
        if told.get("duplicate") is True:
            return f"{self._address} (had it before)"
        return f"{self._address} (execution {told.get('execution_id', '?')}, mail {told.get('message_id', '?')})"

    def check(self) -> str:
        """Ask the workflow whether it is there and takes the secret; sends no mail."""
        _agreed(self._post({"schema": QUESTION}, {}), self._address)
        return f"the workflow at {self._address} is published and takes the secret"

    def _post(self, content: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        try:
            return self._webhook.call("POST", "", content=content, headers=headers, is_repeatable=True)
        except TransientError as error:
            if error.safe:  # it was explained already
                raise
            again = "see why n8n or its mail server does not answer (docker compose logs n8n), then neopulse check"
            raise TransientError(error.what, where=self._address, safe=WAITS, next=again) from None

    def _explain(self, status: int, words: str) -> NeopulseError | None:
        where, waits = self._address, WAITS
        if status in (401, 403):
            return ConfigurationError(
                f"n8n does not take the secret ({status})",
                where=f"NEOPULSE_N8N_SECRET, {where}",
                safe=waits,
                next="give n8n and neopulse the same NEOPULSE_N8N_SECRET, start both again, then neopulse check",
            )
        if status == 404:
            return TransientError(
                "n8n knows no such webhook (404): it is still starting, or its workflow is not published",
                where=where,
                safe=waits,
                next="wait a minute, else publish the workflow of integrations/n8n, then neopulse check",
            )
        if status in (400, 422):
            return PermanentError(
                f"The workflow refuses the event ({status}): {self._webhook.quote(words)}",
                where=where,
                safe=waits,
                next="import integrations/n8n/workflow.json of this neopulse again, then neopulse check",
            )
        return None


def event_for(letter: Letter) -> dict[str, Any]:
    """The one event that n8n is sent: what the run did in plain values, and the mail in the readers' language."""
    mail = render(letter.event, letter.language)
    return {
        "schema": SCHEMA,
        **letter.event.to_json(),
        "key": worldwide_key(letter.event),
        "language": letter.language,
        "sender": letter.sender,
        "recipients": list(letter.recipients),
        "mail": {"subject": mail.subject, "text": mail.text, "html": mail.html},
    }


def _agreed(answer: Answer, address: str) -> Mapping[str, Any]:
    """What the workflow says; anything but its own `ok` is no success."""
    told = answer.content
    if answer.status == 200 and isinstance(told, Mapping) and told.get("ok") is True:
        return told
    raise PermanentError(
        f"What answers at n8n's address ({answer.status}) is not the workflow of neopulse",
        where=f"NEOPULSE_N8N_URL, {address}",
        safe=WAITS,
        next="publish the workflow of integrations/n8n and name its webhook, then neopulse check",
    )
