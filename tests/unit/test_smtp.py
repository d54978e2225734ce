"""A mail server as the carrier: TLS or nothing, errors in words, and one mail."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from letters import LastStep, letter
from stand_ins.smtp import MailServer
from stand_ins.smtp.certificate import for_localhost

from pipeline import connections
from pipeline.errors import ConfigurationError, InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.http import LostAnswerError
from pipeline.notify.smtp import ALL_SECONDS, Smtp
from pipeline.notify_settings import MailServer as Address
from pipeline.settings import Settings
from worker.health import BEAT_SECONDS, STUCK_BEATS
from worker.postman import postman


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return for_localhost(tmp_path_factory.mktemp("certificate"))


def smtp(server: MailServer, *, url: str | None = None, trust: ssl.SSLContext | None = None) -> Smtp:
    return Smtp(Address.of(url or server.url), seconds=2, trust=trust)


def test_the_mail_arrives_as_the_outbox_would_have_written_it(server: MailServer) -> None:
    assert smtp(server).carry(letter(), "k") == f"smtp://localhost:{server.port}"
    (mail,) = server.taken
    assert (mail.sender, mail.recipients) == ("neopulse@bank.example", ("ann@bank.example", "bob@bank.example"))
    assert mail.content == letter().message()


@pytest.mark.parametrize("at_once", [True, False], ids=["TLS", "STARTTLS"])
def test_a_password_travels_only_under_tls(certificate: tuple[ssl.SSLContext, ssl.SSLContext], at_once: bool) -> None:
    theirs, ours = certificate
    with MailServer(user="neopulse", password="p@ss", certificate=theirs, tls_at_once=at_once) as server:
        url = server.url.replace("p@ss", "p%40ss")
        smtp(server, url=url, trust=ours).carry(letter(), "k")
        assert [mail.encrypted for mail in server.taken] == [True]
        assert "signed in as neopulse" in smtp(server, url=url, trust=ours).check()
        assert len(server.taken) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with MailServer(certificate=certificate[0]) as server:
        with pytest.raises(ConfigurationError, match="certificate is not trusted"):
            smtp(server).carry(letter(), "k")
        assert server.taken == []


def test_a_server_without_starttls_is_not_spoken_to_in_the_clear(server: MailServer) -> None:
    with pytest.raises(ConfigurationError, match="no STARTTLS"):
        smtp(server, url=server.url + "?tls=starttls").carry(letter(), "k")
    assert server.taken == []


def test_a_wrong_password_is_a_setting_and_not_shown(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    theirs, ours = certificate
    with MailServer(user="neopulse", password="right", certificate=theirs) as server:
        url = server.url.replace("right", "wrong-word")
        with pytest.raises(ConfigurationError, match="535") as raised:
            smtp(server, url=url, trust=ours).carry(letter(), "k")
        assert "wrong-word" not in str(raised.value)
        assert server.taken == []


@pytest.mark.parametrize(
    ("verb", "reply", "error"),
    [
        ("GREETING", "421 too busy", TransientError),
        ("GREETING", "", TransientError),
        ("MAIL FROM", "451 try later", TransientError),
        ("MAIL FROM", "550 not you", PermanentError),
        ("RCPT TO", "450 mailbox busy", TransientError),
        ("RCPT TO", "550 nobody here", PermanentError),
        ("DATA", "", TransientError),
        ("DATA", "554 no", PermanentError),
        ("MAIL BEFORE", "452 disk full", TransientError),
        ("MAIL BEFORE", "552 too large", PermanentError),
        ("MAIL BEFORE", "", LostAnswerError),
    ],
)
def test_a_refusal_says_whether_it_may_pass(server: MailServer, verb: str, reply: str, error: type[NeopulseError]) -> None:
    server.answers = {verb: [reply, reply]}
    with pytest.raises(error) as raised:
        smtp(server).carry(letter(), "k")
    assert reply[4:] in raised.value.what
    assert raised.value.safe
    assert raised.value.next
    assert server.taken == []
    server.answers = {}
    smtp(server).carry(letter(), "k")
    assert len(server.taken) == 1


def test_who_cannot_sign_in_for_now_tries_again_soon(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    theirs, ours = certificate
    with MailServer(user="neopulse", password="right", certificate=theirs) as server:
        server.answers = {"AUTH": ["454 4.7.0 Temporary authentication failure"]}
        with pytest.raises(TransientError, match="454"):
            smtp(server, trust=ours).carry(letter(), "k")


def test_a_connection_that_ends_before_tls_begins_is_no_wrong_setting(server: MailServer) -> None:
    server.tls_at_once = True
    server.hangs_up = True
    with pytest.raises(TransientError, match="broke off"):
        smtp(server).carry(letter(), "k")


def test_one_reader_who_is_refused_does_not_keep_the_mail_from_the_others(server: MailServer) -> None:
    server.refused_recipients = ("bob@bank.example",)
    assert smtp(server).carry(letter(), "k").endswith("(it refused bob@bank.example)")
    assert [mail.recipients for mail in server.taken] == [("ann@bank.example",)]


def test_a_reader_who_is_refused_for_now_gets_the_mail_later_and_alone(
    server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, smtp_url=server.url)
    readers = ("Ann <ann@bank.example>", "bob@bank.example", "eve@bank.example")
    house.settings = house.settings.model_copy(update={"mail_to": readers})
    server.refused_recipients, server.busy_recipients = ("eve@bank.example",), ("bob@bank.example",)
    run = house.run()
    assert run.standing == "completed, notification pending"
    assert "not for bob@bank.example (450)" in run.steps[4].detail["waits_because"]
    server.busy_recipients = ()
    worker = postman(house.settings, house.store, house.clock)
    worker.deliver_next()
    assert [mail.recipients for mail in server.taken] == [("ann@bank.example",), ("bob@bank.example",)]
    assert house.store.run(run.id).standing == "succeeded"


def test_a_goodbye_that_goes_wrong_undoes_nothing(server: MailServer) -> None:
    server.answers = {"QUIT": [""]}
    smtp(server).carry(letter(), "k")
    assert len(server.taken) == 1


def test_a_server_that_never_greets_is_given_up(server: MailServer) -> None:
    server.greets_after_seconds = 1
    with pytest.raises(TransientError, match="broke off"):
        Smtp(Address.of(server.url), seconds=0.2).carry(letter(), "k")


def test_a_server_that_takes_its_time_with_each_answer_is_given_up_as_a_whole(server: MailServer) -> None:
    server.answers_after_seconds = 0.2  # seven answers: no single one is late
    with pytest.raises(TransientError, match="broke off"):
        Smtp(Address.of(server.url), seconds=5, all_seconds=0.7).carry(letter(), "k")
    assert server.taken == []


def test_a_server_that_looks_for_viruses_before_it_takes_a_mail_is_waited_for(server: MailServer) -> None:
    server.takes_after_seconds = 1.0
    Smtp(Address.of(server.url), seconds=0.6).carry(letter(), "k")
    assert len(server.taken) == 1


def test_a_host_of_many_addresses_of_which_none_answers_is_given_up_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def drops(_address: object, timeout: float, *_: object) -> None:
        given.append(timeout)
        raise TimeoutError

    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{last}", 587)) for last in range(1, 9)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    monkeypatch.setattr(socket, "create_connection", drops)
    with pytest.raises(TransientError, match="broke off: TimeoutError"):
        Smtp(Address.of("smtp://mail.bank.example")).check()
    assert len(places) * given[0] <= ALL_SECONDS < STUCK_BEATS * BEAT_SECONDS


def test_a_run_that_is_to_end_does_not_wait_for_a_mail_server(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LOOK_EVERY_SECONDS", 0.05)
    server.greets_after_seconds = 1

    def look() -> None:
        if server.sessions:
            raise InterruptedRunError("The run was stopped")

    with pytest.raises(InterruptedRunError):
        Smtp(Address.of(server.url), look=look).carry(letter(), "k")
    assert server.taken == []


def test_a_worker_that_is_to_end_does_not_wait_for_a_mail_server(
    server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOOK_EVERY_SECONDS", 0.05)
    house = LastStep(tmp_path, monkeypatch, smtp_url=server.url)
    server.stop()
    run = house.run()
    server.greets_after_seconds = 1
    server.start()
    ends = [False]
    worker = postman(house.settings, house.store, house.clock, is_to_end=lambda: bool(server.sessions) and ends[0])
    ends[0] = True
    worker.deliver_next()
    assert server.taken == []
    server.greets_after_seconds, ends[0] = 0, False
    worker.deliver_next()
    assert (len(server.taken), house.store.run(run.id).standing) == (1, "succeeded")


def test_a_mail_that_the_server_has_is_waited_for_whoever_wants_to_end(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOOK_EVERY_SECONDS", 0.05)
    server.takes_after_seconds = 0.4

    def look() -> None:
        if server.is_looking:
            raise InterruptedRunError("The run was stopped")

    Smtp(Address.of(server.url), look=look).carry(letter(), "k")
    assert len(server.taken) == 1


def test_a_mail_whose_answer_is_lost_comes_again_under_the_same_message_id(server: MailServer) -> None:
    server.answers = {"MAIL TAKEN": [""]}
    with pytest.raises(LostAnswerError, match="did not say that it took it"):
        smtp(server).carry(letter(), "k")
    smtp(server).carry(letter(), "k")
    assert len({mail.message["Message-ID"] for mail in server.taken}) == 1


def test_a_dead_mail_server_leaves_the_run_completed_and_the_worker_delivers_once(
    server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = LastStep(tmp_path, monkeypatch, smtp_url=server.url)
    server.stop()
    run = house.run()
    assert run.standing == "completed, notification pending"
    server.start()
    worker = postman(house.settings, house.store, house.clock)
    worker.deliver_next()
    worker.deliver_next()
    assert len(server.taken) == 1
    assert house.store.run(run.id).standing == "succeeded"
    assert house.run(first_step="notify", only_step=True).steps[4].detail["sent_before"] is True
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.bank.example", Address("mail.bank.example", 587, "starttls")),
        ("smtps://mail.bank.example", Address("mail.bank.example", 465, "tls")),
        ("smtp://a%40b:p%2F@mail.bank.example:25", Address("mail.bank.example", 25, "starttls", "a@b", "p/")),
        ("smtp://127.0.0.1:1025", Address("127.0.0.1", 1025, "none")),
        ("smtp://[::1]:1025", Address("::1", 1025, "none")),
        ("smtp://mailpit:1025?tls=none", Address("mailpit", 1025, "none")),
    ],
)
def test_the_address_says_how_the_mail_travels(url: str, server: Address) -> None:
    assert Address.of(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "mail.bank.example",
        "http://mail.bank.example",
        "smtp://",
        "smtp://mail.bank.example:99999",
        "smtp://mail.bank.example/folder",
        "smtp://mail.bank.example?tls=maybe",
        "smtp://mail.bank.example?verify=no",
        "smtps://mail.bank.example?tls=none",
        "smtp://mail..bank.example",
        "smtps://neopulse:hidden-word-%C3%A9@mail.bank.example",
        "smtp://user:hidden-word@mailpit:1025?tls=none",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="smtp_url") as raised:
        Settings(smtp_url=url, _env_file=None)  # type: ignore[call-arg]
    assert "hidden-word" not in str(raised.value)
