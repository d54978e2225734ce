"""One way to call a service: patient where it helps, prompt where it does not, and silent about what is secret."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests
from stand_ins.serving import Handler, address, listening

from pipeline.clock import FixedClock
from pipeline.errors import ConfigurationError, InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.http import HOPELESS, LostAnswerError, Patience, Service, is_worth_another_try

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECRET = 'pat-5f"é/+ 42'  # a quotation mark, a letter beyond ASCII, and what an address spells otherwise
SECRET_IN_BASIC = base64.b64encode(SECRET.encode()).decode().rstrip("=")


class _Handler(Handler):
    def do_GET(self) -> None:
        server: Any = self.server
        length = int(self.headers.get("Content-Length", 0))
        server.calls.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
        acts = server.acts
        (acts.pop(0) if len(acts) > 1 else acts[0])(self)

    do_POST = do_GET


Act = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int, body: str | bytes = b"", **headers: str) -> Act:
    def act(handler: BaseHTTPRequestHandler) -> None:
        content = body.encode() if isinstance(body, str) else body
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if status not in (204, 304):
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return act


def cut(handler: BaseHTTPRequestHandler) -> None:
    """The connection ends before the first word of an answer."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_in_the_middle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"half": ')
    handler.close_connection = True


class Server:
    """What is answered next (the last act again and again), and what was asked."""

    def __init__(self, address: str, server: Any) -> None:
        self.address = address
        self._server = server
        self.clock = FixedClock(NOW)

    def does(self, *acts: Act) -> None:
        self._server.acts = list(acts)

    @property
    def calls(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        return list(self._server.calls)

    def service(self, **more: Any) -> Service:
        return Service("The service", more.pop("address", self.address), clock=self.clock, **{"jitter": lambda: 1.0, **more})

    def seconds(self) -> float:
        return (self.clock.now() - NOW).total_seconds()


@pytest.fixture
def server() -> Iterator[Server]:
    with listening(_Handler) as made:
        made.acts, made.calls = [answer(200, "{}")], []  # type: ignore[attr-defined]
        yield Server(address(made), made)


def test_a_request_says_who_asks_and_carries_what_it_was_given(server: Server) -> None:
    server.does(answer(201, '{"id": 7}', X_Request="r1"))
    service = server.service(headers={"Authorization": "Bearer abc"})
    got = service.call(
        "POST", "/things", content={"a": 1}, parameters={"full": "yes"}, headers={"X-Key": "k"}, is_repeatable=False
    )
    assert (got.status, got.content, got.headers["X-Request"]) == (201, {"id": 7}, "r1")
    [(method, path, headers, body)] = server.calls
    assert (method, path, json.loads(body)) == ("POST", "/things?full=yes", {"a": 1})
    assert headers["User-Agent"].startswith("neopulse/")
    assert (headers["Authorization"], headers["X-Key"], headers["Accept"]) == ("Bearer abc", "k", "application/json")


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, ""), (200, "  \n")])
def test_an_answer_without_a_body_has_no_content(server: Server, status: int, body: str) -> None:
    server.does(answer(status, body))
    assert server.service().get("/").content is None


def test_not_modified_is_an_answer_to_who_asked_for_changes_and_to_nobody_else(server: Server) -> None:
    server.does(answer(304, ""))
    assert server.service().get("/", headers={"If-None-Match": '"abc"'}).status == 304
    with pytest.raises(PermanentError, match="304"):
        server.service().call("POST", "/rows", content=[1], is_repeatable=True)


def test_a_secret_in_an_answer_is_hidden_before_anybody_can_quote_it(server: Server) -> None:
    server.does(answer(200, json.dumps({"error": f"bad token {SECRET}"})))
    told = server.service(secrets=(SECRET,)).get("/").content
    assert told == {"error": "bad token ***"}


def test_a_compressed_answer_and_one_beyond_ascii_are_read(server: Server) -> None:
    server.does(answer(200, gzip.compress('{"name": "Zoé"}'.encode()), Content_Encoding="gzip"))
    assert server.service().get("/").content == {"name": "Zoé"}


def test_a_long_answer_is_read_whole(server: Server) -> None:
    numbers = list(range(100_000))
    server.does(answer(200, json.dumps(numbers)))
    assert server.service().get("/").content == numbers


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 529])
def test_what_may_pass_is_tried_again_twice_as_late_each_time(server: Server, status: int) -> None:
    server.does(*[answer(status, "busy")] * 4, answer(200, '{"ok": true}'))
    assert server.service().get("/").content == {"ok": True}
    assert (len(server.calls), server.seconds()) == (5, 1 + 2 + 4 + 8)


def test_pauses_are_spread_and_capped(server: Server) -> None:
    server.does(*[answer(503)] * 10, answer(200))
    server.service(jitter=lambda: 0.0).get("/")
    assert server.seconds() == (1 + 2 + 4 + 8 + 16 + 32 + 64 + 64 + 64 + 64) / 2


def test_retry_after_in_seconds_is_waited_for(server: Server) -> None:
    server.does(answer(429, "slow down", Retry_After="17"), answer(200))
    server.service().get("/")
    assert server.seconds() == 17


def test_retry_after_as_a_date_is_waited_for(server: Server) -> None:
    at = format_datetime(NOW + timedelta(seconds=40), usegmt=True)
    server.does(answer(503, "later", Retry_After=at), answer(200))
    server.service().get("/")
    assert server.seconds() == 40


@pytest.mark.parametrize("asked", ["0", "-5", "soon", "1.5", "٣", format_datetime(NOW - timedelta(hours=1), usegmt=True)])
def test_a_retry_after_that_asks_for_no_wait_does_not_make_a_caller_run_hot(server: Server, asked: str) -> None:
    value = asked.encode().decode("latin-1")
    server.does(*[answer(503, "later", Retry_After=value)] * 3, answer(200))
    server.service().get("/")
    assert server.seconds() == 1 + 2 + 4


@pytest.mark.parametrize("asked", ["301", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_beyond_the_deadline_is_told_at_once(server: Server, asked: str) -> None:
    server.does(answer(429, "come back tomorrow", Retry_After=asked))
    with pytest.raises(TransientError, match="answers 429: come back tomorrow"):
        server.service().get("/")
    assert (len(server.calls), server.seconds()) == (1, 0)


def test_at_the_deadline_the_last_failure_is_told(server: Server) -> None:
    server.does(answer(502, "<html>Bad   Gateway</html>"))
    with pytest.raises(TransientError, match="The service answers 502: <html>Bad Gateway</html>") as caught:
        server.service(patience=Patience(deadline_seconds=30)).get("/")
    assert not isinstance(caught.value, LostAnswerError)
    assert (caught.value.where, caught.value.next) == (server.address, "neopulse check")
    assert (len(server.calls), server.seconds()) == (5, 15)


def test_no_more_attempts_are_made_than_were_allowed(server: Server) -> None:
    server.does(answer(503, "busy"))
    with pytest.raises(TransientError, match="answers 503: busy"):
        server.service(patience=Patience(deadline_seconds=3600, most_attempts=2)).get("/")
    assert (len(server.calls), server.seconds()) == (2, 1)


def test_an_answer_that_drips_in_beyond_the_deadline_is_given_up(server: Server) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "200000")
        handler.end_headers()
        server.clock.sleep(40)
        handler.wfile.write(b" " * 199_998 + b"{}")

    server.does(drip)
    with pytest.raises(TransientError, match="cannot be reached: ReadTimeout"):
        server.service(patience=Patience(deadline_seconds=30)).get("/")
    assert len(server.calls) == 1


def test_a_service_that_says_nothing_is_given_up(server: Server) -> None:
    done = threading.Event()
    server.does(lambda _handler: (done.wait(5), None)[1])
    with pytest.raises(TransientError, match="cannot be reached"):
        server.service(patience=Patience(answer_seconds=0.05, deadline_seconds=0.5)).get("/")
    done.set()


def test_a_cut_connection_is_tried_again_where_that_does_no_harm(server: Server) -> None:
    server.does(cut, cut_in_the_middle, answer(200, '{"whole": true}'))
    assert server.service().get("/").content == {"whole": True}
    assert len(server.calls) == 3


def cut_in_the_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
    handler.close_connection = True


@pytest.mark.parametrize("act", [cut, cut_in_the_head, cut_in_the_middle], ids=["before", "in the head", "within"])
def test_a_lost_answer_is_told_apart_and_nothing_is_sent_again(server: Server, act: Act) -> None:
    server.does(act)
    with pytest.raises(LostAnswerError, match="cannot be reached"):
        server.service().call("POST", "/", content={"card": "4000"}, is_repeatable=False)
    assert len(server.calls) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 504, 524])
def test_a_fault_after_which_nobody_knows_is_a_lost_answer(server: Server, status: int) -> None:
    server.does(answer(status, "<html>oops</html>"))
    with pytest.raises(LostAnswerError, match=f"answers {status}: <html>oops</html>"):
        server.service(explain=lambda *_: PermanentError("explained away")).call("POST", "/", is_repeatable=False)
    assert len(server.calls) == 1


@pytest.mark.parametrize("status", [425, 429, 503])
def test_a_request_that_was_certainly_not_carried_out_is_sent_again(server: Server, status: int) -> None:
    server.does(answer(status), answer(200, '{"id": 1}'))
    assert server.service().call("POST", "/", content={}, is_repeatable=False).content == {"id": 1}
    assert len(server.calls) == 2


def test_html_for_json_is_refused_with_its_beginning(server: Server) -> None:
    server.does(answer(200, "<!doctype html><title>Sign in</title>" + "x" * 500, Content_Type="text/html"))
    with pytest.raises(PermanentError, match="200 with something that is no JSON: <!doctype html>") as caught:
        server.service().get("/")
    assert "sign-in page" in caught.value.next
    assert len(caught.value.what) < 300
    assert len(server.calls) == 1


def test_html_for_the_answer_to_an_act_leaves_open_whether_it_was_done(server: Server) -> None:
    server.does(answer(200, "<html>"))
    with pytest.raises(LostAnswerError, match="no JSON"):
        server.service().call("POST", "/", is_repeatable=False)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server: Server, status: int) -> None:
    server.does(answer(status, "", Location=server.address + "/elsewhere"))
    with pytest.raises(PermanentError, match=f"answers {status}, which sends elsewhere"):
        server.service(headers={"Authorization": "Bearer abc"}).get("/here")
    assert [path for _, path, _, _ in server.calls] == ["/here"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, *HOPELESS])
def test_a_refusal_is_told_at_once(server: Server, status: int) -> None:
    server.does(answer(status, '{"message": "no"}'))
    with pytest.raises(PermanentError, match=f'refuses with {status}: {{"message": "no"}}'):
        server.service().get("/")
    assert not is_worth_another_try(status)
    assert len(server.calls) == 1


def test_a_refusal_may_be_explained(server: Server) -> None:
    def explain(status: int, words: str) -> NeopulseError | None:
        return ConfigurationError(f"the token: {words}") if status == 401 else None

    server.does(answer(401, "bad token"))
    with pytest.raises(ConfigurationError, match="the token: bad token"):
        server.service(explain=explain).get("/")
    server.does(answer(403, "elsewhere"))
    with pytest.raises(PermanentError, match="refuses with 403"):
        server.service(explain=explain).get("/")


def test_a_quota_that_is_used_up_may_be_explained_as_beyond_hope_or_as_worth_waiting_for(server: Server) -> None:
    server.does(answer(429, "monthly quota"))
    with pytest.raises(PermanentError, match="used up"):
        server.service(explain=lambda *_: PermanentError("used up")).get("/")
    assert len(server.calls) == 1
    with pytest.raises(TransientError, match="a minute"):
        server.service(explain=lambda *_: TransientError("wait a minute")).get("/")
    assert len(server.calls) > 2


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_where_nobody_listens_nothing_was_done_so_even_an_act_is_tried_again() -> None:
    clock = FixedClock(NOW)
    service = Service("The service", f"http://127.0.0.1:{closed_port()}", clock=clock, jitter=lambda: 1.0)
    with pytest.raises(TransientError, match="cannot be reached: ConnectionError") as caught:
        service.call("POST", "/", is_repeatable=False)
    assert not isinstance(caught.value, LostAnswerError)
    assert (clock.now() - NOW).total_seconds() == 1 + 2 + 4 + 8 + 16 + 32 + 64 + 64 + 64


def test_a_connection_that_takes_too_long_to_be_made_has_done_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def never_connects(*_: Any, **more: Any) -> None:
        calls.append(more["timeout"])
        raise requests.ConnectTimeout("no")

    monkeypatch.setattr(requests.Session, "request", never_connects)
    service = Service("The service", "http://127.0.0.1:9", clock=FixedClock(NOW), patience=Patience(deadline_seconds=5))
    with pytest.raises(TransientError, match="ConnectTimeout") as caught:
        service.call("POST", "/", is_repeatable=False)
    assert not isinstance(caught.value, LostAnswerError)
    assert calls[0] == (5.0, 5.0)  # no single wait is longer than all of them together may be


def raising(error: Exception) -> Callable[..., None]:
    def request(*_: Any, **__: Any) -> None:
        raise error

    return request


def test_https_where_only_http_is_spoken_is_not_tried_again(server: Server) -> None:
    with pytest.raises(PermanentError, match="does not speak https at all"):
        server.service(address=server.address.replace("http:", "https:")).get("/")
    assert server.seconds() == 0


def test_a_certificate_that_is_not_valid_is_not_tried_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    error = requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    monkeypatch.setattr(requests.Session, "request", raising(error))
    with pytest.raises(PermanentError, match="no valid certificate"):
        server.service().get("/")
    assert server.seconds() == 0


def test_a_cut_in_the_encryption_is_a_cut_like_any_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.Session, "request", raising(requests.exceptions.SSLError("[SSL: UNEXPECTED_EOF] EOF occurred")))
    with pytest.raises(TransientError, match="cannot be reached: SSLError"):
        server.service().get("/")
    assert server.seconds() > 60


@pytest.mark.parametrize("content", [{"rate": float("nan")}, {"rate": float("inf")}])
def test_what_is_no_json_is_not_sent_and_not_tried_again(server: Server, content: Any) -> None:
    with pytest.raises(PermanentError, match="cannot be sent: InvalidJSONError"):
        server.service().call("POST", "/", content=content, is_repeatable=True)
    assert (server.calls, server.seconds()) == ([], 0)


@pytest.mark.parametrize("token", ["two\nlines", "日本"])
def test_a_secret_that_no_header_can_hold_is_refused_without_being_told(server: Server, token: str) -> None:
    with pytest.raises(PermanentError, match="cannot be sent") as caught:
        server.service(headers={"Authorization": f"Bearer {token}"}, secrets=(token,)).get("/")
    assert token not in repr(caught.value) + str(caught.value) + str(caught.value.__cause__)
    assert caught.value.__suppress_context__
    assert server.calls == []


def test_an_address_that_is_none_is_refused_at_once() -> None:
    clock = FixedClock(NOW)
    with pytest.raises(PermanentError, match="cannot be sent: InvalidURL"):
        Service("The service", "http://", clock=clock).get("")
    assert clock.now() == NOW


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("spelling", [SECRET, json.dumps(SECRET), "pat-5f%22%C3%A9%2F%2B+42", SECRET_IN_BASIC])
def test_a_secret_that_a_service_repeats_is_hidden(server: Server, status: int, spelling: str) -> None:
    server.does(answer(status, f"you sent {spelling} to us"))
    told: list[str] = []
    service = server.service(
        secrets=(SECRET, ""),
        patience=Patience(deadline_seconds=0),
        explain=lambda _status, words: told.append(words),
    )
    with pytest.raises(NeopulseError) as caught:
        service.get("/")
    assert "you sent" in caught.value.what
    assert "***" in caught.value.what
    spellings = (SECRET, json.dumps(SECRET)[1:-1], "pat-5f%22%C3%A9%2F%2B+42", SECRET_IN_BASIC)
    for text in (str(caught.value), repr(caught.value), *told):
        assert not any(secret in text for secret in spellings)


def test_a_password_in_the_address_is_hidden(server: Server) -> None:
    server.does(answer(404, "nothing here"))
    address = server.address.replace("http://", "http://anna:hunter2@") + "/hooks/s3cr3t"
    with pytest.raises(PermanentError) as caught:
        server.service(address=address, secrets=("s3cr3t",)).get("/")
    assert caught.value.where == server.address.replace("http://", "http://***@") + "/hooks/***"
    assert "hunter2" not in str(caught.value) + repr(caught.value)


def test_a_password_file_of_the_machine_does_not_replace_the_token(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login anna password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.service(headers={"Authorization": "Bearer abc"}).get("/")
    assert server.calls[0][2]["Authorization"] == "Bearer abc"
    assert base64.b64encode(b"anna:hunter2").decode() not in str(server.calls)


def test_the_headers_of_an_answer_are_not_in_what_is_printed_of_it(server: Server) -> None:
    server.does(answer(200, "{}", Set_Cookie="session=s3cr3t"))
    assert "s3cr3t" not in repr(server.service().get("/"))


def test_a_wish_to_end_is_heard_before_an_attempt_and_within_a_second_of_a_wait(server: Server) -> None:
    def look() -> None:
        if server.seconds() >= 5:
            raise InterruptedRunError("stopped")

    server.does(answer(429, "", Retry_After="100"))
    with pytest.raises(InterruptedRunError):
        server.service(look=look).get("/")
    assert (len(server.calls), server.seconds()) == (1, 5)
    with pytest.raises(InterruptedRunError):
        server.service(look=look).get("/")
    assert len(server.calls) == 1
