"""What surrounds every answer of the server: what keeps others out, and ways to the page that was asked for.

Streamlit sends whoever has signed in to the first page. A cookie, which only that one answer reads, remembers the page on
which the sign-in began. And it knows the first page by `/` alone: whoever writes its name, like that of any other, is led there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, unquote, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Server = Callable[[Message, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

LOGIN, CALLBACK = "/auth/login", "/oauth2callback"
FIRST_PAGE = "/overview"
UPLOADS = "/_stcore/upload_file"  # of Streamlit, for anybody with a tab; no page asks for a file
WAY_BACK = "neopulse_way_back"
NOT_ALLOWED = 1008  # of a websocket; before it is open the server answers 403
SECONDS_TO_SIGN_IN = 600
LONGEST_WAY = 2000  # characters
ON_EVERY_ANSWER: tuple[Header, ...] = (
    (b"x-frame-options", b"DENY"),
    # no picture of another place, whatever a text makes of itself: to fetch one tells that somebody reads it
    (b"content-security-policy", b"frame-ancestors 'none'; object-src 'none'; base-uri 'self'; img-src 'self' data: blob:"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)
FOR_A_YEAR = (b"strict-transport-security", b"max-age=31536000")


class Around:
    """Refuses websockets of other pages, adds headers to every answer over HTTP, and finds the way back after a sign-in."""

    def __init__(self, server: Server, *, public_url: str) -> None:
        self._server = server
        self._public_url = public_url

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket" and not self._is_of_this_app(_asked(scope)):
            await send({"type": "websocket.close", "code": NOT_ALLOWED})
            return
        if scope["type"] != "http":
            await self._server(scope, receive, send)
            return
        asked = _asked(scope)

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._answered(scope["path"], asked, list(message.get("headers", ())))
            await send(message)

        if UPLOADS in scope["path"]:
            await send_more({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        if scope["path"].rstrip("/") == FIRST_PAGE:
            query = scope.get("query_string", b"")
            location = (b"location", b"/?" + query if query else b"/")
            await send_more({"type": "http.response.start", "status": 302, "headers": [location]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._server(scope, receive, send_more)

    def _answered(self, path: str, asked: dict[bytes, str], headers: list[Header]) -> list[Header]:
        if path.endswith(LOGIN):
            headers += [_remembered(asked)]
        elif path.endswith(CALLBACK):
            headers = _led_back(asked, headers)
        if self._public_url.startswith("https://"):
            headers = [(name, value + b"; Secure" if _is_open_cookie(name, value) else value) for name, value in headers]
            headers.append(FOR_A_YEAR)
        return [*headers, *ON_EVERY_ANSWER]

    def _is_of_this_app(self, asked: dict[bytes, str]) -> bool:
        """Whether a page of this very address opens the connection, or a program, which names no page.

        Streamlit takes any page of this machine for its own, whatever its port; and of one that it does not know it asks a
        service on the internet, while everybody waits, whether its name is this machine's. A proxy may ask in another name
        than the public one.
        """
        if b"origin" not in asked:
            return True
        origin, host = asked[b"origin"].casefold(), asked.get(b"host", "").casefold()
        return origin in (f"http://{host}", f"https://{host}", self._public_url.casefold() or None)


def _asked(scope: Message) -> dict[bytes, str]:
    return {name: value.decode("latin-1") for name, value in scope["headers"]}


def _is_open_cookie(name: bytes, value: bytes) -> bool:
    return name.lower() == b"set-cookie" and b"; secure" not in value.lower()


def _remembered(asked: dict[bytes, str]) -> Header:
    """A cookie with the page that sent the browser here, where it is one of this app."""
    try:
        came_from = urlsplit(asked.get(b"referer", ""))
    except ValueError:  # such as http://[
        came_from = urlsplit("")
    is_own = came_from.netloc == asked.get(b"host")
    way = came_from.path + (f"?{came_from.query}" if came_from.query else "") if is_own else "/"
    return _cookie(way if is_way(way) else "/", SECONDS_TO_SIGN_IN)


def _led_back(asked: dict[bytes, str], headers: list[Header]) -> list[Header]:
    cookie = SimpleCookie()
    try:
        cookie.load(asked.get(b"cookie", ""))
    except CookieError:
        return headers
    if WAY_BACK not in cookie:
        return headers
    way = unquote(cookie[WAY_BACK].value)
    if is_way(way):
        headers = [
            (name, way.encode("ascii") if name.lower() == b"location" and value == b"/" else value) for name, value in headers
        ]
    return [*headers, _cookie("", 0)]


def is_way(text: str) -> bool:
    """Whether this is a place in this app: a path from its root that no browser reads as another server's address."""
    return (
        text.startswith("/")
        and not text.startswith(("//", "/\\"))
        and text.isascii()
        and text.isprintable()
        and len(text) <= LONGEST_WAY
        and "\\" not in text
    )


def _cookie(way: str, seconds: int) -> Header:
    value = f"{WAY_BACK}={quote(way, safe='')}; Path={CALLBACK}; Max-Age={seconds}; HttpOnly; SameSite=Lax"
    return b"set-cookie", value.encode("ascii")
