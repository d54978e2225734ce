"""n8n as the carrier: one event, once, and a run that is not failed by an n8n that is not there."""

from __future__ import annotations

import dataclasses
import json
import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import letters
import pytest
from letters import SECRET, LastStep, letter
from n8n_kit import carrier
from stand_ins.n8n import N8nStandIn
from stand_ins.smtp import MailServer

from pipeline.checks import findings, settings_in_force
from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, InterruptedRunError, PermanentError, TransientError
from pipeline.http import Patience
from pipeline.marts.thin_tail import ThinTail
from pipeline.notify.event import Event, Notice, noticed
from pipeline.notify.letter import Letter
from pipeline.notify.mail import worldwide_key
from pipeline.notify.n8n import KEY_HEADER, PATIENCE
from pipeline.planned_acts import planned_act
from pipeline.runs.records import RunState, StepState
from pipeline.settings import Settings
from worker.postman import postman

NOTICE = Notice("stale", "incident-1-opened", {"at": "2019-05-17T08:00", "since": "2019-05-15T06:10", "zone": "Europe/Paris"})
QUICK = Patience(connect_seconds=1, answer_seconds=0.3, deadline_seconds=20)


def test_the_event_tells_the_run_in_plain_values_and_brings_the_mail_along(
    n8n: N8nStandIn, mail_server: MailServer, clock: FixedClock
) -> None:
    where = carrier(n8n, clock).carry(letter(language="fr"), "n8n-v0007")
    (event,) = n8n.calls
    assert (event["schema"], event["run_id"], event["status"], event["version"]) == (
        "neopulse.run-ended/1",
        12,
        "success",
        "v0007",
    )
    assert (event["as_of"], event["seconds"]) == ("2019-05-15", 83.4)
    assert event["rows"] == {"read": 2_740_075, "rejected": 31, "written": 512}
    assert [(figure["value"], figure["change"]) for figure in event["headline"]] == [(12_345.0, 345.0)]
    assert event["sheet"] == "https://docs.google.com/spreadsheets/d/abc"
    assert (event["language"], event["recipients"]) == ("fr", ["ann@bank.example", "Bob <bob@bank.example>"])
    assert n8n.headers[0][KEY_HEADER] == event["key"]
    assert event["key"].startswith("v0007-20190517T041230Z.")
    (mail,) = mail_server.taken
    assert mail.recipients == ("ann@bank.example", "bob@bank.example")
    assert "Clients actifs" in mail.text
    assert n8n.url in where


def test_a_run_whose_last_days_may_still_fill_up_says_so(
    n8n: N8nStandIn, mail_server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret=SECRET)
    house.tail = ThinTail(date(2019, 5, 14), date(2019, 5, 15), 0.2, 0.4, 50)
    house.run()
    assert n8n.calls[0]["thin"] == {"first": "2019-05-14", "last": "2019-05-15"}
    assert "Each day from 14 May 2019 to 15 May 2019 holds less than 60.0% of its usual" in mail_server.taken[0].text


def test_a_failure_names_the_step_and_what_to_do(n8n: N8nStandIn, mail_server: MailServer, clock: FixedClock) -> None:
    carrier(n8n, clock).carry(letter(letters.failed()), "n8n-run-12")
    (event,) = n8n.calls
    assert (event["status"], event["failure"]["step"]) == ("failure", "transform")
    assert event["failure"]["next"] == "neopulse run --from transform"
    assert "neopulse run --from transform" in mail_server.taken[0].text


def test_two_installations_whose_runs_have_the_same_number_do_not_silence_each_other() -> None:
    here, there = letters.failed(), dataclasses.replace(letters.failed(), at=datetime(2019, 5, 17, 4, 12, 31, tzinfo=UTC))
    assert here.key == there.key
    assert worldwide_key(here) != worldwide_key(there)


@pytest.mark.parametrize("event", [letters.failed(), noticed(NOTICE, at=letters.PUBLISHED_AT, source="files", version=None)])
def test_after_a_restore_the_same_number_is_told_again_and_a_message_that_is_tried_again_is_not(
    n8n: N8nStandIn, mail_server: MailServer, clock: FixedClock, event: Event
) -> None:
    """Runs and incidents get numbers anew then; n8n has kept the keys of those that were told before."""
    later = dataclasses.replace(event, at=event.at + timedelta(hours=3))
    assert later.key == event.key
    for told in (event, event, later, Letter.from_json(letter(later).to_json()).event):
        carrier(n8n, clock).carry(letter(told), "k")
    assert len(mail_server.taken) == 2


def test_the_same_event_sent_again_brings_no_second_mail_even_after_n8n_was_started_anew(
    n8n: N8nStandIn, mail_server: MailServer, clock: FixedClock
) -> None:
    carrier(n8n, clock).carry(letter(), "k")
    n8n.stop()
    n8n.start()
    assert carrier(n8n, clock).carry(letter(), "k").endswith("(had it before)")
    assert len(mail_server.taken) == 1


@pytest.mark.parametrize("fault", [500, 502, 503, 429, 408, "cut", "hang", "lost"])
def test_what_may_pass_is_tried_again_with_the_same_key_and_mails_once(
    n8n: N8nStandIn, mail_server: MailServer, clock: FixedClock, fault: int | str
) -> None:
    n8n.faults = [fault, fault]
    carrier(n8n, clock, patience=QUICK).carry(letter(), "k")
    assert len(mail_server.taken) == 1
    assert len({headers[KEY_HEADER] for headers in n8n.headers}) == 1


def test_a_wrong_secret_is_said_once_and_never_shown(n8n: N8nStandIn, clock: FixedClock, mail_server: MailServer) -> None:
    wrong = "not-the-secret-of-this-house"
    with pytest.raises(ConfigurationError, match="NEOPULSE_N8N_SECRET") as raised:
        carrier(n8n, clock, secret=wrong).carry(letter(), "k")
    assert clock.now() == letters.MONDAY  # not tried again
    assert wrong not in str(raised.value)
    assert mail_server.taken == []


def test_a_workflow_that_is_not_published_yet_may_be_so_later(n8n: N8nStandIn, clock: FixedClock) -> None:
    n8n.is_published = False
    with pytest.raises(TransientError, match="not published"):
        carrier(n8n, clock).carry(letter(), "k")


def test_a_page_instead_of_an_answer_is_no_success(n8n: N8nStandIn, clock: FixedClock) -> None:
    n8n.faults = ["html"]
    with pytest.raises(PermanentError, match="no JSON"):
        carrier(n8n, clock).carry(letter(), "k")


@pytest.mark.parametrize("answer", [{}, {"ok": "yes"}, {"message": "Workflow was started"}, [], None])
def test_an_answer_that_is_not_the_workflow_s_own_yes_is_no_success(
    n8n: N8nStandIn, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(n8n, "work", lambda *_: (200, answer))
    with pytest.raises(PermanentError, match="not the workflow of neopulse"):
        carrier(n8n, clock).carry(letter(), "k")


def test_the_mail_server_behind_n8n_being_down_is_told_with_its_reason(
    n8n: N8nStandIn, mail_server: MailServer, clock: FixedClock
) -> None:
    mail_server.stop()
    with pytest.raises(TransientError, match=r"502.*did not take the mail"):
        carrier(n8n, clock).carry(letter(), "k")


def test_a_check_finds_the_workflow_and_the_secret_and_sends_no_mail(
    n8n: N8nStandIn, mail_server: MailServer, clock: FixedClock
) -> None:
    assert "takes the secret" in carrier(n8n, clock).check()
    with pytest.raises(ConfigurationError):
        carrier(n8n, clock, secret="another-secret-0123456789").check()
    assert mail_server.taken == []


def test_a_run_is_told_once_however_often_its_message_is_asked_for(
    n8n: N8nStandIn, mail_server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret=SECRET)
    first = house.run()
    assert (first.state, first.standing, first.steps[4].service) == (RunState.SUCCEEDED, "succeeded", "n8n")
    again = house.run(first_step="notify", only_step=True)
    assert (again.standing, again.steps[4].rows_out, again.steps[4].detail["sent_before"]) == ("succeeded", 0, True)
    assert len(mail_server.taken) == 1
    assert "2,740,075 read from the bank, 31 rejected, 512 written to the sheet" in mail_server.taken[0].text


def test_a_dead_n8n_leaves_the_run_completed_and_the_worker_delivers_later_once(
    n8n: N8nStandIn, mail_server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret=SECRET)
    n8n.stop()
    run = house.run()
    assert (run.state, run.standing) == (RunState.SUCCEEDED, "completed, notification pending")
    assert run.steps[4].state is StepState.SUCCEEDED
    assert "cannot be reached" in run.steps[4].detail["waits_because"]
    worker = postman(house.settings, house.store, house.clock)
    worker.deliver_next()
    assert mail_server.taken == []
    n8n.start()
    house.clock.sleep(5)
    worker.deliver_next()
    worker.deliver_next()
    assert [mail.message["Subject"] for mail in mail_server.taken] == [n8n.calls[0]["mail"]["subject"]]
    assert house.store.run(run.id).standing == "succeeded"
    assert house.store.waiting() == []
    assert house.run(first_step="notify", only_step=True).steps[4].detail["sent_before"] is True
    assert len(mail_server.taken) == 1


def test_a_failed_run_is_told_through_n8n_and_stays_failed_where_n8n_is_dead(
    n8n: N8nStandIn, mail_server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret=SECRET)
    house.breaks_at = "transform"
    run = house.run()
    assert (run.state, run.error_kind) == (RunState.FAILED, "data")
    assert mail_server.subjects == ["neopulse: run 1 failed at transform"]
    n8n.stop()
    assert house.run().state is RunState.FAILED
    assert len(house.store.waiting()) == 1
    n8n.start()
    postman(house.settings, house.store, house.clock).deliver_next()
    assert mail_server.subjects[1:] == ["neopulse: run 2 failed at transform"]


def test_a_run_that_loses_its_lease_between_two_tries_stops_there(n8n: N8nStandIn, clock: FixedClock) -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) > 1:
            raise InterruptedRunError("lost")

    n8n.faults = [503, 503]
    with pytest.raises(InterruptedRunError):
        carrier(n8n, clock, look=look).carry(letter(), "k")
    assert n8n.calls == []


def test_the_secret_is_in_no_log(
    n8n: N8nStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret=SECRET)
    n8n.faults = [503, 403]
    house.run()
    n8n.stop()
    house.run(first_step="notify", only_step=True)
    kept = json.dumps([message.payload for message in house.store.waiting()]) + repr(house.settings)
    assert SECRET not in caplog.text + kept


def test_a_dry_run_names_the_carrier(tmp_path: Path) -> None:
    with_n8n = Settings(home=tmp_path, n8n_url="http://n8n:5678/webhook/x", n8n_secret=SECRET, _env_file=None)
    assert planned_act("notify", with_n8n).startswith("have n8n at http://n8n:5678/webhook/x send a mail to ")
    with_smtp = Settings(home=tmp_path, smtp_url="smtps://u:secret-word@mail.bank.example", _env_file=None)
    assert planned_act("notify", with_smtp).startswith("send a mail by smtps://mail.bank.example:465 to ")
    assert PATIENCE.answer_seconds > 60  # n8n gives up a mail server that never greets before we give n8n up


def test_neither_the_plan_nor_the_check_shows_a_key_in_the_address(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, n8n_url="https://n8n.bank.example/x?token=k-1234", n8n_secret=SECRET, _env_file=None)
    (checked,) = (one.value for one in settings_in_force(settings) if one.name == "NEOPULSE_N8N_URL")
    assert checked == "https://n8n.bank.example/x?token=***"
    assert f" at {checked} " in planned_act("notify", settings)


def test_a_key_in_the_address_is_neither_told_nor_kept(
    n8n: N8nStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = LastStep(tmp_path, monkeypatch, n8n_url=f"{n8n.url}?token=k-1234-secret", n8n_secret=SECRET)
    n8n.is_published = False
    run = house.run()
    (found,) = (one for one in findings(house.settings) if one.subject == "notification")
    assert found.error is not None
    n8n.is_published = True
    postman(house.settings, house.store, house.clock).deliver_next()
    delivered = house.store.delivery(run.steps[4].detail["delivery"])
    assert delivered is not None
    assert "?token=***" in delivered.location
    told = f"{caplog.text}{found.text}{found.error}{run.steps}{delivered.location}"
    assert "k-1234-secret" not in told


def test_an_address_with_a_password_is_refused_for_it_would_not_be_sent(tmp_path: Path) -> None:
    address = "https://neopulse:hidden-word@n8n.bank.example/webhook/x"
    with pytest.raises(ValueError, match="takes no user and no password") as raised:
        Settings(home=tmp_path, n8n_url=address, n8n_secret=SECRET, _env_file=None)  # type: ignore[call-arg]
    assert "hidden-word" not in str(raised.value)


def test_neopulse_check_names_what_is_wrong_with_the_carrier_and_what_waits(
    n8n: N8nStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, n8n_url=n8n.url, n8n_secret=SECRET)
    n8n.stop()
    house.run()
    found = {finding.subject: finding for finding in findings(house.settings)}["notification"]
    assert found.error is not None
    assert "cannot be reached" in found.text
    assert "docker compose logs n8n" in found.error.next
    assert found.error.safe
    n8n.start()
    found = {finding.subject: finding for finding in findings(house.settings)}["notification"]
    assert (found.error, found.text.endswith("; 1 waiting, which the worker delivers")) == (None, True)
