"""The app's memory while several people look at it: the real app as a process, spoken to as a browser speaks to it."""

from __future__ import annotations

import random
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from benchmarks.processes import PROJECT, FailedError, TreeWatch, bare_environment, usage

SESSIONS = 5
PAGES = ("", "activity", "retention", "churn", "payments", "customers", "definitions")
ROUNDS = 2
WINDOW_DAYS = (7, 180)
START_SECONDS = 90
DRAW_SECONDS = 120.0


class Session:
    """One reader's tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def draw(self, page: str, query: str) -> str:
        """Open a page and wait until the app has sent all of it; returns its running text.

        Raises FailedError where the page shows an error.
        """
        told = []
        asked = BackMsg()
        asked.rerun_script.query_string = query
        asked.rerun_script.page_name = page
        self._connection.send(asked.SerializeToString())
        while not _is_whole(message := self._next()):
            if message.WhichOneof("type") == "script_finished":
                told.clear()  # that run ended early: the next one draws over it
            element = message.delta.new_element
            if element.WhichOneof("type") == "exception":
                raise FailedError(f"page {page or 'overview'}: {element.exception.message[:300]}")
            if element.WhichOneof("type") == "alert" and element.alert.format == Alert.ERROR:
                raise FailedError(f"page {page or 'overview'}: {element.alert.body[:300]}")
            told.append(element.markdown.body)
        return "\n".join(told)

    def _next(self) -> ForwardMsg:
        message = ForwardMsg()
        message.ParseFromString(self._connection.recv(timeout=DRAW_SECONDS, decode=False))
        return message


def _is_whole(message: ForwardMsg) -> bool:
    """Whether a page has been sent to its end; a run that ended early is followed by another one at once."""
    if message.WhichOneof("type") != "script_finished":
        return False
    if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
        raise FailedError("the app's script cannot be read")
    return bool(message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY)


def measure(home: Path) -> dict[str, float | int]:
    """The app's resident memory before anybody came, its peak, and after SESSIONS readers saw every page ROUNDS times."""
    port = free_port()
    with app(home, port) as process, TreeWatch(process) as tree:
        before = usage(process)[0]
        drawn = _look_at_everything(port)
        after = usage(process)[0]
    return {"idle_mb": before, "after_mb": after, "peak_mb": tree.peak_mb, "sessions": SESSIONS, "pages_drawn": drawn}


def _look_at_everything(port: int) -> int:
    draw, drawn = random.Random(SESSIONS), 0
    with ExitStack() as open_tabs:
        tabs = [Session(open_tabs.enter_context(tab(port))) for _ in range(SESSIONS)]
        for page in PAGES * ROUNDS:
            for session in tabs:
                session.draw(page, f"window={draw.randint(*WINDOW_DAYS)}")
                drawn += 1
    return drawn


def tab(port: int, *, host: str = "127.0.0.1", cookie: str = "") -> ClientConnection:
    """The connection of one more reader's tab, with the cookies of a browser where they are given.

    Streamlit takes the name of who signed in only from a tab that proves to be its own: by the token of its cookie, which
    browsers send as a second subprotocol.
    """
    proof = re.findall(r"_streamlit_xsrf=([^;]+)", cookie)
    return connect(
        f"ws://{host}:{port}/_stcore/stream",
        subprotocols=[Subprotocol(name) for name in ("streamlit", *proof)],
        max_size=None,
        origin=Origin(f"http://{host}:{port}"),
        additional_headers={"Cookie": cookie} if cookie else None,
    )


@contextmanager
def app(home: Path, port: int) -> Iterator[int]:
    """The process number of an app that serves this home and answers."""
    environment = bare_environment() | {"NEOPULSE_HOME": str(home), "NEOPULSE_PORT": str(port)}
    command: Sequence[str] = (sys.executable, "-m", "pipeline", "app")
    child = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ending(child):
        wait_until_healthy(child, port)
        yield child.pid


@contextmanager
def ending(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """The child has ended when the block has."""
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()


def wait_until_healthy(child: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the app answers; raises FailedError where it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not _is_healthy(port):
        if child.poll() is not None or time.monotonic() > deadline:
            raise FailedError("the app does not answer")
        time.sleep(0.2)


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
