"""The page Runs on a run store made by hand: a message that waits, one that was delivered later, facts that fell back."""

from __future__ import annotations

from pathlib import Path

import pytest
from letters import SECRET, LastStep
from stand_ins.n8n import N8nStandIn
from stand_ins.smtp import MailServer
from streamlit.testing.v1 import AppTest

from pipeline.clock import SystemClock
from streamlit_app import auth, data
from streamlit_app.messages import text
from worker.postman import postman


def draw() -> None:
    from streamlit_app.views import ops_runs

    ops_runs.show()


def shown(language: str) -> str:
    page = AppTest.from_function(draw, default_timeout=60)
    page.query_params["lang"] = language
    page.run()
    assert [error.message for error in page.exception] == []
    return "\n".join(str(element.value) for kind in ("markdown", "caption", "warning", "error") for element in page.get(kind))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_message_that_waits_is_shown_until_it_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    data.in_force.cache_clear()
    auth._behind_loopback.cache_clear()
    with MailServer() as server, N8nStandIn(tmp_path, SECRET, server.port) as n8n:
        house = LastStep(tmp_path, monkeypatch, SystemClock(), n8n_url=n8n.url, n8n_secret=SECRET)
        n8n.is_published = False
        house.run()
        waiting = shown(language)
        assert text("ops_runs.states.notification_pending", language) in waiting
        assert text("ops_runs.details.waits_because", language) in waiting
        n8n.is_published = True
        postman(house.settings, house.store, house.clock).deliver_next()
        delivered = shown(language)
        assert text("ops_runs.states.notification_pending", language) not in delivered
        assert text("ops_runs.details.waits_because", language) not in delivered
        assert text("ops_runs.details.delivered_later", language) in delivered
