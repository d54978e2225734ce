"""n8n, its mail server and a clock as the tests of messages have them; tests/conftest.py makes the fixtures known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import letters
import pytest
from letters import SECRET
from pydantic import SecretStr
from stand_ins.n8n import N8nStandIn
from stand_ins.smtp import MailServer

from pipeline.clock import FixedClock
from pipeline.notify.n8n import N8n


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def n8n(tmp_path: Path, mail_server: MailServer) -> Iterator[N8nStandIn]:
    with N8nStandIn(tmp_path, SECRET, mail_server.port) as stand_in:
        yield stand_in


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(letters.MONDAY)


def carrier(n8n: N8nStandIn, clock: FixedClock, **more: Any) -> N8n:
    return N8n(n8n.url, SecretStr(more.pop("secret", SECRET)), clock=clock, **more)
