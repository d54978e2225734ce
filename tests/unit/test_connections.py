"""A service that drips for ever is given up in time, and a run that is to end does not wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from dripping import LONGEST_SECONDS, dripping
from google.auth.credentials import AnonymousCredentials

from pipeline import connections
from pipeline.clock import SystemClock
from pipeline.errors import InterruptedRunError, TransientError
from pipeline.http import LostAnswerError, Patience, Service
from pipeline.notify.smtp import Smtp
from pipeline.notify_settings import MailServer
from pipeline.sheets.google_calls import Calls
from pipeline.sheets.google_sign_in import Account

BRIEF = Patience(deadline_seconds=0.3)
DRIPS = {
    "a head": (b"HTTP/1.1 200 OK\r\nX-A: ", b"x"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "the length of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "a body that ends with the connection": (b"HTTP/1.0 200 OK\r\n\r\n", b" "),
}


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LOOK_EVERY_SECONDS", 0.05)


def service(url: str, *, patience: Patience = BRIEF, look: Callable[[], None] = lambda: None) -> Service:
    return Service("The service", url, clock=SystemClock(), patience=patience, look=look)


@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_comes_to_no_end_is_given_up_at_the_deadline(drip: str) -> None:
    with dripping(*DRIPS[drip]) as there:
        began = time.monotonic()
        with pytest.raises(TransientError, match="cannot be reached") as caught:
            service(there.url).get("/")
        assert not isinstance(caught.value, LostAnswerError)
        assert time.monotonic() - began < LONGEST_SECONDS / 2
        with pytest.raises(LostAnswerError):
            service(there.url).call("POST", "/", content={}, is_repeatable=False)
        assert there.visits == 2


@pytest.mark.parametrize("drip", DRIPS)
def test_a_run_that_is_to_end_ends_while_an_answer_drips(drip: str) -> None:
    with dripping(*DRIPS[drip]) as there:

        def look() -> None:
            if there.visits:
                raise InterruptedRunError("The run was stopped")

        with pytest.raises(InterruptedRunError, match="The run was stopped"):
            service(there.url, patience=Patience(), look=look).get("/")
        assert there.visits == 1


def test_what_must_not_be_repeated_is_waited_for_as_long_as_an_answer_may_take() -> None:
    with dripping(*DRIPS["a head"]) as there:
        began = time.monotonic()

        def look() -> None:
            if there.visits:
                raise InterruptedRunError("The run was stopped")

        impatient = service(there.url, patience=Patience(answer_seconds=0.5), look=look)
        with pytest.raises(InterruptedRunError):
            impatient.call("POST", "/", content={}, is_repeatable=False)
        assert 0.5 <= time.monotonic() - began < LONGEST_SECONDS / 2


def test_a_connection_that_was_ended_is_let_go_of_and_the_next_call_makes_another() -> None:
    with dripping(*DRIPS["a head"]) as there:
        one = service(there.url)
        for visits in (1, 2):
            with pytest.raises(TransientError):
                one.get("/")
            assert there.visits == visits
            assert one._connections._handles == []


@pytest.mark.parametrize(("first", "again"), [(b"220 mail", b"x"), (b"", b"220-more\r\n")], ids=["a line", "many lines"])
def test_a_mail_server_that_comes_to_no_end_is_given_up(first: bytes, again: bytes) -> None:
    with dripping(first, again, hears=False) as there:
        began = time.monotonic()
        server = MailServer("localhost", there.port, "none")
        with pytest.raises(TransientError, match="broke off"):
            Smtp(server, seconds=5, all_seconds=0.3).check()
        assert time.monotonic() - began < LONGEST_SECONDS / 2


def test_what_was_done_before_the_time_was_over_is_done() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as there:
        known = connections.Connections()
        with known.while_there_is_time(lambda: True, lambda: None) as was_ended:
            assert was_ended.wait(5)
        assert service(there.url, patience=Patience()).get("/").content == {}


def test_whatever_the_look_raises_ends_the_exchange() -> None:
    with dripping(*DRIPS["a head"]) as there:

        def look() -> None:
            if there.visits:
                raise RuntimeError("nobody foresaw it")

        with pytest.raises(RuntimeError, match="nobody foresaw it"):
            service(there.url, patience=Patience(), look=look).get("/")


@pytest.mark.parametrize("drip", DRIPS)
def test_google_is_given_up_too(drip: str) -> None:
    with dripping(*DRIPS[drip]) as there:
        began = time.monotonic()
        account = Account(AnonymousCredentials(), "nobody@bank.example", "this test")
        calls = Calls("book", account, clock=SystemClock(), endpoint=there.url, patience=BRIEF)
        with pytest.raises(TransientError):
            calls.state()
        assert time.monotonic() - began < LONGEST_SECONDS / 2
