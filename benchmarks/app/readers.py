"""Many readers at once: each a websocket with the app, who moves the slider as a browser tells it to the server."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection

from benchmarks.processes import FailedError, usage
from benchmarks.sessions import DRAW_SECONDS, tab

Moves = Callable[[random.Random], int]
ENDED_WELL = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Reader:
    """One reader's tab on one page, with the place of its slider."""

    def __init__(self, connection: ClientConnection, page: str) -> None:
        self._connection = connection
        self._page = page
        self._slider = self._fragment = ""
        asked = BackMsg()
        asked.rerun_script.page_name = page
        self._send(asked)
        self._drawn()
        if not self._slider:
            raise FailedError(f"page {page or 'overview'} has no slider")

    def slide(self, value: int) -> float:
        """Move the slider; seconds until the server has sent all that changes."""
        asked = BackMsg()
        asked.rerun_script.page_name = self._page
        asked.rerun_script.fragment_id = self._fragment
        state = asked.rerun_script.widget_states.widgets.add()
        state.id = self._slider
        state.double_array_value.data.append(float(value))
        began = time.perf_counter()
        self._send(asked)
        self._drawn()
        return time.perf_counter() - began

    def _send(self, asked: BackMsg) -> None:
        self._connection.send(asked.SerializeToString())

    def _drawn(self) -> None:
        while True:
            message = ForwardMsg()
            message.ParseFromString(self._connection.recv(timeout=DRAW_SECONDS, decode=False))
            kind = message.WhichOneof("type")
            if kind == "delta":
                self._read(message)
            elif kind == "script_finished" and message.script_finished in ENDED_WELL:
                return

    def _read(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            raise FailedError(f"page {self._page or 'overview'}: {element.exception.message[:300]}")
        if kind == "slider":
            self._slider, self._fragment = element.slider.id, message.delta.fragment_id


@contextmanager
def reading(port: int, page: str, count: int) -> Iterator[list[Reader]]:
    """So many readers of a page."""
    with ExitStack() as open_tabs:
        yield [Reader(open_tabs.enter_context(tab(port)), page) for _ in range(count)]


def thinking(readers: list[Reader], *, seconds: float, think_seconds: float, moves: Moves) -> list[float]:
    """Everybody moves the slider about every `think_seconds`; gives the seconds of each rerun."""

    def wait(draw: random.Random) -> None:
        time.sleep(draw.uniform(0.5, 1.5) * think_seconds)

    return _together(readers, seconds=seconds, wait=wait, moves=moves)


def sustained(readers: list[Reader], *, seconds: float, moves: Moves) -> list[float]:
    """Everybody moves the slider again as soon as the answer is there."""
    return _together(readers, seconds=seconds, wait=lambda _: None, moves=moves)


def _together(readers: list[Reader], *, seconds: float, wait: Callable[[random.Random], None], moves: Moves) -> list[float]:
    ends, found = time.monotonic() + seconds, list[float]()
    failures: list[Exception] = []

    def read(number: int, reader: Reader) -> None:
        draw = random.Random(number)
        try:
            while not failures:
                wait(draw)
                if time.monotonic() > ends:
                    return
                found.append(reader.slide(moves(draw)))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=pair) for pair in enumerate(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return found


def memory_mb(process: int) -> float:
    """The resident memory of the app."""
    return usage(process)[0]
