"""Real n8n, called by our own chain: mails that really arrive, once, through faults of n8n and of the mail server.

`make test-n8n` installs n8n outside the checkout and runs this; it is no part of the daily tests.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import letters
import pytest
import requests
from letters import SECRET, LastStep
from pydantic import SecretStr
from real_n8n import NAMED_BY, RealN8n, program
from stand_ins.n8n import N8nStandIn
from stand_ins.smtp import MailServer

from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError, PermanentError, TransientError
from pipeline.notify.letter import Letter
from pipeline.notify.n8n import ONE_TRY, N8n, event_for
from pipeline.runs.records import RunState
from worker.postman import postman

pytestmark = [
    pytest.mark.n8n,
    pytest.mark.skipif(program() is None, reason=f"{NAMED_BY} names no folder with n8n: make test-n8n installs it"),
]


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture(scope="module")
def n8n(mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealN8n]:
    real = RealN8n(tmp_path_factory.mktemp("n8n"), SECRET, mail_server.port).start()
    yield real
    real.stop()


@pytest.fixture
def arrived(mail_server: MailServer) -> list[Any]:
    """What arrives in this test."""
    mail_server.taken.clear()
    return mail_server.taken


def house(n8n: RealN8n, home: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> LastStep:
    return LastStep(home, monkeypatch, SystemClock(), n8n_url=n8n.url, **{"n8n_secret": SECRET, **settings})


def carrier(n8n: RealN8n, secret: str = SECRET) -> N8n:
    return N8n(n8n.url, SecretStr(secret), clock=SystemClock(), patience=ONE_TRY)


def fresh(run_id: int, **more: Any) -> Letter:
    """A letter that no test before has sent."""
    return letters.letter(dataclasses.replace(letters.told(run_id, number=run_id), **more))


def test_a_run_of_the_chain_becomes_a_mail_in_english(
    n8n: RealN8n, arrived: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = house(n8n, tmp_path, monkeypatch).run()
    assert (run.state, run.standing, run.steps[4].service) == (RunState.SUCCEEDED, "succeeded", "n8n")
    (mail,) = arrived
    assert mail.recipients == ("ann@bank.example",)
    assert mail.message["Subject"] == "neopulse: Active customers 12,345 (as of 15 May 2019)"
    for told in (
        "Active customers: 12,345 (on 15 May 2019; +345 against 28 days before)",
        "Version v0007 of run 1.",
        "Sheet: sheet.xlsx",
        "Rows: 2,740,075 read from the bank, 31 rejected, 512 written to the sheet",
        "Duration: 0.",
    ):
        assert told in mail.text
    assert {part.get_content_type() for part in mail.message.iter_parts()} == {"text/plain", "text/html"}


def test_a_failed_run_becomes_a_mail_in_french_with_the_step_and_what_to_do(
    n8n: RealN8n, arrived: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = house(n8n, tmp_path, monkeypatch, language="fr")
    chain.breaks_at = "transform"
    assert chain.run().state is RunState.FAILED
    (mail,) = arrived
    assert mail.message["Subject"] == "neopulse : échec de l'exécution 1 à l'étape transform"
    assert "Que faire : neopulse run --from transform" in mail.text.replace("\u00a0", " ")
    assert "Étape : transform" in mail.text.replace("\u00a0", " ")


def test_a_run_that_was_told_sends_no_second_mail(n8n: RealN8n, arrived: list[Any]) -> None:
    assert "execution" in carrier(n8n).carry(fresh(21), "k")
    assert carrier(n8n).carry(fresh(21), "k").endswith("(had it before)")
    assert len(arrived) == 1


def test_ten_equal_calls_at_once_bring_one_mail(n8n: RealN8n, arrived: list[Any]) -> None:
    with ThreadPoolExecutor(10) as callers:
        told = list(callers.map(lambda _: carrier(n8n).carry(fresh(22), "k"), range(10)))
    assert sum("had it before" in one for one in told) == 9
    assert len(arrived) == 1


def test_a_wrong_secret_gets_no_mail_through(n8n: RealN8n, arrived: list[Any]) -> None:
    with pytest.raises(ConfigurationError, match="NEOPULSE_N8N_SECRET"):
        carrier(n8n, "another-secret-0123456789").carry(fresh(23), "k")
    assert arrived == []


def test_what_is_no_event_is_refused_and_a_check_sends_nothing(n8n: RealN8n, arrived: list[Any]) -> None:
    strange = {**event_for(fresh(24)), "schema": "neopulse.run-ended/9"}
    answer = requests.post(n8n.url, json=strange, headers={"X-Neopulse-Secret": SECRET}, timeout=30)
    assert (answer.status_code, answer.json()["ok"]) == (400, False)
    assert "takes the secret" in carrier(n8n).check()
    with pytest.raises(PermanentError, match="refuses the event"):
        carrier(n8n).carry(dataclasses.replace(fresh(24), recipients=()), "k")
    assert arrived == []


def test_the_mail_server_down_then_up_brings_one_mail(
    n8n: RealN8n, mail_server: MailServer, arrived: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = house(n8n, tmp_path, monkeypatch)
    chain.number = 25
    mail_server.stop()
    try:
        run = chain.run()
    finally:
        mail_server.start()
    assert run.standing == "completed, notification pending"
    assert "502" in run.steps[4].detail["waits_because"]
    assert "ECONNREFUSED" in run.steps[4].detail["waits_because"]
    worker = postman(chain.settings, chain.store, chain.clock)
    worker.deliver_next()
    worker.deliver_next()
    assert len(arrived) == 1
    assert chain.store.run(run.id).standing == "succeeded"


def test_a_mail_server_that_refuses_is_told_with_its_words(n8n: RealN8n, mail_server: MailServer, arrived: list[Any]) -> None:
    mail_server.answers = {"MAIL FROM": ["451 try later"]}
    with pytest.raises(TransientError, match="451 try later"):
        carrier(n8n).carry(fresh(26), "k")
    carrier(n8n).carry(fresh(26), "k")
    assert len(arrived) == 1


def test_a_mail_server_that_never_greets_is_given_up_by_n8n_before_we_give_n8n_up(
    n8n: RealN8n, mail_server: MailServer, arrived: list[Any]
) -> None:
    mail_server.greets_after_seconds = 80
    with pytest.raises(TransientError, match=r"502.*Greeting never received"):
        carrier(n8n).carry(fresh(30), "k")
    mail_server.greets_after_seconds = 0
    carrier(n8n).carry(fresh(30), "k")
    assert len(arrived) == 1


def test_n8n_down_then_up_brings_one_mail_and_remembers_what_it_sent_before(
    n8n: RealN8n, arrived: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier(n8n).carry(fresh(27), "k")
    chain = house(n8n, tmp_path, monkeypatch)
    chain.number = 28
    n8n.stop()
    run = chain.run()
    assert run.standing == "completed, notification pending"
    worker = postman(chain.settings, chain.store, chain.clock)
    worker.deliver_next()
    assert len(arrived) == 1
    n8n.start()
    postman(chain.settings, chain.store, chain.clock).deliver_next()
    assert len(arrived) == 2
    assert chain.store.run(run.id).standing == "succeeded"
    assert carrier(n8n).carry(fresh(27), "k").endswith("(had it before)")
    assert chain.run(first_step="notify", only_step=True).steps[4].detail["sent_before"] is True
    assert len(arrived) == 2


def test_the_stand_in_answers_as_the_real_one_does(n8n: RealN8n, mail_server: MailServer, tmp_path: Path) -> None:
    event = event_for(fresh(29))
    calls: list[tuple[str, Any, str]] = [
        ("no secret", event, ""),
        ("a check", {"schema": "neopulse.check/1"}, SECRET),
        ("no event", {"schema": "other"}, SECRET),
        ("the first time", event, SECRET),
        ("the second time", event, SECRET),
    ]
    with N8nStandIn(tmp_path, SECRET, mail_server.port) as stand_in:
        for what, body, secret in calls:
            real, ours = (_answer(one.url, body, secret) for one in (n8n, stand_in))
            assert real == ours, what


def _answer(url: str, body: Any, secret: str) -> tuple[int, Any]:
    """Status, and which fields with which yes or no; text as it is."""
    answer = requests.post(url, json=body, headers={"X-Neopulse-Secret": secret} if secret else {}, timeout=30)
    try:
        told = json.loads(answer.text)
    except ValueError:
        return answer.status_code, answer.text
    return answer.status_code, {name: value if isinstance(value, bool) else type(value).__name__ for name, value in told.items()}
