"""n8n's webhook with the workflow of `integrations/n8n` behind it, as real n8n 2.40.7 answers; mails go to a mail server.

What was sent is kept in a file, as n8n keeps it in its database: it survives `stop` and `start`.
"""

from __future__ import annotations

import json
import smtplib
import socket
import threading
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stand_ins.serving import HOST, Handler, started, stopped

PATH = "/webhook/neopulse-run-ended"
NO_SUCH_WEBHOOK = {
    "code": 404,
    "message": 'The requested webhook "POST neopulse-run-ended" is not registered.',
    "hint": "The workflow must be active for a production URL to run successfully.",
}


@dataclass
class N8nStandIn:
    """`faults` are taken one a call: an int is a status that comes instead of the work, `hang`, `cut` and `html` likewise;
    `lost` does the work and then cuts the connection.
    """

    folder: Path
    secret: str
    smtp_port: int
    is_published: bool = True
    faults: list[int | str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}{PATH}"

    def start(self) -> N8nStandIn:
        house = self

        class Own(_Handler):
            n8n = house

        self._server = started(ThreadingHTTPServer((HOST, self.port), Own))
        self.port = self._server.server_address[1]
        return self

    def stop(self) -> None:
        if self._server is not None:
            stopped(self._server)
            self._server = None

    def __enter__(self) -> N8nStandIn:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def work(self, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """What the workflow does with a call that has the secret."""
        if body.get("schema") == "neopulse.check/1":
            return 200, {"ok": True, "checked": True}
        if not _is_event(body):
            return 400, {"ok": False, "reason": "this is no event of the schema neopulse.run-ended/1"}
        with self._one_at_a_time:
            sent = self._sent()
            if key in sent:
                return 200, {"ok": True, "duplicate": True, **sent[key]}
            try:
                message_id = self._mail(body)
            except (OSError, smtplib.SMTPException) as error:
                return 502, {"ok": False, "reason": f"the mail server did not take the mail: {error}"}
            noted = {"key": key, "run_id": body["run_id"], "message_id": message_id, "execution_id": str(len(self.calls))}
            (self.folder / "neopulse_sent.json").write_text(json.dumps({**sent, key: noted}))
        return 200, {"ok": True, "duplicate": False, **noted}

    def _sent(self) -> dict[str, Any]:
        path = self.folder / "neopulse_sent.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _mail(self, body: dict[str, Any]) -> str:
        message = EmailMessage()
        message["Subject"], message["From"] = body["mail"]["subject"], body["sender"]
        message["To"] = ", ".join(body["recipients"])
        message["Message-ID"] = f"<{len(self.calls)}@stand-in>"
        message.set_content(body["mail"]["text"])
        message.add_alternative(body["mail"]["html"], subtype="html")
        with smtplib.SMTP(HOST, self.smtp_port, timeout=5) as session:
            session.send_message(message)
        return str(message["Message-ID"])


class _Handler(Handler):
    n8n: N8nStandIn

    def do_GET(self) -> None:
        self._answer(404, NO_SUCH_WEBHOOK)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        house = self.n8n
        fault = house.faults.pop(0) if house.faults else None
        if isinstance(fault, int):
            return self._answer(fault, {"message": "Error in workflow"})
        if fault in ("hang", "cut", "html"):
            return self._misbehave(str(fault))
        if not house.is_published or self.path.partition("?")[0] != PATH:
            return self._answer(404, NO_SUCH_WEBHOOK)
        if self.headers.get("X-Neopulse-Secret") != house.secret:
            return self._answer(403, "Authorization data is wrong!")
        try:
            body = json.loads(content)
        except ValueError:
            return self._answer(422, {"message": "Failed to parse request body", "stacktrace": ["Error: at ..."]})
        house.calls.append(body)
        house.headers.append(dict(self.headers))
        status, told = house.work(body, self.headers.get("Idempotency-Key") or body.get("key", ""))
        return self._misbehave("cut") if fault == "lost" else self._answer(status, told)

    def _misbehave(self, fault: str) -> None:
        if fault == "hang":
            time.sleep(3)
        elif fault == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._answer(200, "<!doctype html><title>Sign in</title>")
        self.close_connection = True

    def _answer(self, status: int, told: Any) -> None:
        content = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(told, str) else "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _is_event(body: dict[str, Any]) -> bool:
    return (
        body.get("schema") == "neopulse.run-ended/1"
        and bool(body.get("key"))
        and body.get("status") in ("success", "failure", "notice")
        and bool(body.get("recipients"))
        and isinstance(body.get("mail", {}).get("subject"), str)
    )
