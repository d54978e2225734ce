"""What stands around Streamlit's answers: the way back after a sign-in, and headers that keep others out."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamlit_app.around import FIRST_PAGE, Around, is_way
from streamlit_app.navigation import PAGES
from streamlit_app.views import overview


@pytest.mark.parametrize(
    "text",
    ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/a\nb", "/é", "/" + "x" * 3000, "/a\\b", "\t/a"],
)
def test_the_way_back_leads_nowhere_but_into_the_app(text: str) -> None:
    assert not is_way(text)
    assert is_way("/ops_runs?section=runs&run=3")


def answered(
    path: str, *, public_url: str = "https://app.example", asked: dict[str, str] | None = None, said: dict[str, str] | None = None
) -> list[str]:
    """The headers of an answer, as `name: value`, of a server that says these itself."""
    sent: list[dict[str, object]] = []

    async def server(_scope: object, _receive: object, send: object) -> None:
        headers = [(name.encode(), value.encode()) for name, value in (said or {}).items()]
        await send({"type": "http.response.start", "status": 302, "headers": headers})  # type: ignore[operator]

    async def keep(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in (asked or {}).items()]
    way, _, query = path.partition("?")
    scope = {"type": "http", "path": way, "query_string": query.encode(), "headers": headers}
    with ThreadPoolExecutor(1) as elsewhere:  # a browser of another test may have left its loop in this thread
        elsewhere.submit(asyncio.run, Around(server, public_url=public_url)(scope, None, keep)).result()  # type: ignore[arg-type]
    return [f"{name.decode()}: {value.decode()}" for name, value in sent[0]["headers"]]  # type: ignore[attr-defined]


def test_after_a_sign_in_the_page_that_was_asked_for_opens() -> None:
    came = {"host": "app.example", "referer": "https://app.example/churn?window=60"}
    (remembered,) = [line for line in answered("/auth/login", asked=came) if line.startswith("set-cookie")]
    assert remembered.startswith(
        "set-cookie: neopulse_way_back=%2Fchurn%3Fwindow%3D60; Path=/oauth2callback; Max-Age=600; HttpOnly"
    )
    assert remembered.endswith("; Secure")
    cookie = remembered.removeprefix("set-cookie: ").partition(";")[0]
    assert "location: /churn?window=60" in answered("/oauth2callback", asked={"cookie": cookie}, said={"location": "/"})
    evil = {"cookie": "neopulse_way_back=%2F%2Fevil.example"}
    assert "location: /" in answered("/oauth2callback", asked=evil, said={"location": "/"})
    for referer in ("https://evil.example/churn", "http://["):
        lines = answered("/auth/login", asked={"host": "app.example", "referer": referer})
        assert any("neopulse_way_back=%2F;" in line for line in lines)


def test_the_first_page_has_a_name_in_its_address_like_the_others() -> None:
    assert [entry.name for entries in PAGES.values() for entry in entries if entry.view is overview] == [FIRST_PAGE[1:]]
    assert "location: /?window=60&country=FR" in answered("/overview?window=60&country=FR")
    assert "location: /" in answered("/overview/")
    assert not any(line.startswith("location") for path in ("/", "/activity", "/activity/overview") for line in answered(path))


def test_every_answer_keeps_others_from_framing_it_and_cookies_are_for_https_alone() -> None:
    lines = answered("/", said={"set-cookie": "_streamlit_user=x; HttpOnly"})
    assert "x-frame-options: DENY" in lines
    assert "set-cookie: _streamlit_user=x; HttpOnly; Secure" in lines
    assert any(line.startswith("strict-transport-security") for line in lines)
    here = answered("/", public_url="", said={"set-cookie": "_streamlit_user=x; HttpOnly"})
    assert "set-cookie: _streamlit_user=x; HttpOnly" in here


@pytest.mark.parametrize(
    ("origin", "is_served"),
    [
        (None, True),
        ("http://localhost:8501", True),
        ("http://LocalHost:8501", True),
        ("http://localhost:9999", False),
        ("http://0.0.0.0:8501", False),
        ("http://localhost:8501.evil.example", False),
        ("https://evil.example", False),
        ("https://neopulse.bank.example", True),  # a proxy in front may ask as localhost:8501
        ("http://neopulse.bank.example", False),
        ("null", False),
        ("http://[", False),
    ],
)
def test_a_page_elsewhere_opens_no_connection(origin: str | None, is_served: bool) -> None:
    """Nor is anybody asked on the internet whether its name is this machine's."""
    headers = [(b"host", b"localhost:8501"), *([(b"origin", origin.encode())] if origin else [])]
    happened: list[object] = []

    async def server(_scope: object, _receive: object, _send: object) -> None:
        happened.append("served")

    async def keep(message: dict[str, object]) -> None:
        happened.append(message)

    with ThreadPoolExecutor(1) as elsewhere:
        asked = Around(server, public_url="https://neopulse.bank.example")({"type": "websocket", "headers": headers}, None, keep)  # type: ignore[arg-type]
        elsewhere.submit(asyncio.run, asked).result()
    assert happened == (["served"] if is_served else [{"type": "websocket.close", "code": 1008}])


@pytest.mark.parametrize("path", ["/_stcore/upload_file/session/file", "/base/_stcore/upload_file/a/b"])
def test_nobody_leaves_a_file_with_the_server(path: str) -> None:
    lines = answered(path, said={"x-server": "was asked"})
    assert "x-server: was asked" not in lines
    assert "x-frame-options: DENY" in lines
