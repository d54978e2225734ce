"""What the pages Runs and Definitions tell of services: a message that waits, one delivered later, facts that fell back."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from letters import SECRET, LastStep, version
from page_kit import opened, words
from stand_ins.n8n import N8nStandIn
from stand_ins.smtp import MailServer

from pipeline.clock import SystemClock
from streamlit_app import auth, data
from streamlit_app.messages import text
from worker.postman import postman


def shown(name: str, language: str, **parameters: str) -> str:
    page = opened(name, lang=language, **parameters)
    assert [error.message for error in page.exception] == []
    return words(page)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_message_that_waits_is_shown_until_it_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    for cached in (data.in_force, auth._in_force):
        cached.cache_clear()
    with MailServer() as server, N8nStandIn(tmp_path, SECRET, server.port) as n8n:
        house = LastStep(tmp_path, monkeypatch, SystemClock(), n8n_url=n8n.url, n8n_secret=SECRET)
        n8n.is_published = False
        house.run()
        waiting = shown("ops_runs", language)
        assert text("ops_runs.states.notification_pending", language) in waiting
        assert text("ops_runs.details.waits_because", language) in waiting
        n8n.is_published = True
        postman(house.settings, house.store, house.clock).deliver_next()
        delivered = shown("ops_runs", language)
        assert text("ops_runs.states.notification_pending", language) not in delivered
        assert text("ops_runs.details.waits_because", language) not in delivered
        assert text("ops_runs.details.delivered_later", language) in delivered


COUNTRY = {"country": "FR", "name_en": "France", "name_fr": "France", "customers": 3, "population": 68, "currency": "EUR"}
FACTS = {
    "country_facts": {"service": "World Bank, last good answer of 2026-11-20", "rows": 248, "as_of": "2026-11-20"}
    | {"is_fallback": True, "why": "World Bank answers 503"},
    "exchange_rates": {"service": "none", "rows": 0, "as_of": None, "new": 0},
}


@pytest.mark.parametrize(("language", "day"), [("en", "20 Nov 2026"), ("fr", "20 nov. 2026")])
def test_the_definitions_name_what_served_and_which_service_did_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, day: str
) -> None:
    monkeypatch.setenv("NEOPULSE_HOME", str(tmp_path))
    rows = pa.Table.from_pylist([{**COUNTRY, "facts_source": "World Bank", "facts_as_of": version().as_of}])
    monkeypatch.setattr(data, "published", version)
    monkeypatch.setattr(data, "relation", lambda _name: rows)
    monkeypatch.setattr(data, "external_facts", lambda: FACTS)
    told = shown("definitions", language, section="countries").replace("\u202f", " ").replace("\xa0", " ")
    assert (
        f"**World Bank, last good answer of 2026-11-20**, 248 {'countries, as of' if language == 'en' else 'pays, au'} {day}"
        in told
    )
    assert "World Bank answers 503" in told
    assert {"en": "Exchange rates: none.", "fr": "Taux de change : aucun."}[language] in told
