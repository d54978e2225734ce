"""What was made is kept for whoever asks the same next: the least lately asked goes first once all of it weighs too much.

What bounds it is memory and not a number of entries: a slider has 174 places, and a page asks for a dozen answers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

LIGHT_BYTES = 2_000  # what an object without a table counts for
LARGEST_PART = 2  # one value may weigh half of all

Value = TypeVar("Value")


class Kept:
    """Values by key, at most `most_bytes` of them together; many threads may ask at once."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._made_now: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key; made by the first who asks, for whom the others wait.

        What `make` raises is not kept, nor is a value so heavy that few others would have room beside it.
        """
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                value: Value = self._values[key][0]
                return value
            awaited = self._made_now.get(key)
            if awaited is None:
                mine: Future[Value] = Future()
                self._made_now[key] = mine
        if awaited is not None:
            waited_for: Value = awaited.result()
            return waited_for
        return self._make(key, make, mine)

    def _make(self, key: Hashable, make: Callable[[], Value], awaited: Future[Value]) -> Value:
        try:
            value = make()
            size = weight(value)
        except BaseException as error:
            self._forget(key)
            awaited.set_exception(error)
            raise
        self._keep(key, value, size)
        awaited.set_result(value)
        return value

    def _forget(self, key: Hashable) -> None:
        with self._lock:
            del self._made_now[key]

    def _keep(self, key: Hashable, value: Any, size: int) -> None:
        with self._lock:
            del self._made_now[key]
            if size > self._most_bytes // LARGEST_PART:
                return
            self._values[key] = (value, size)
            self._bytes += size
            while self._bytes > self._most_bytes:
                _, (_, lighter) = self._values.popitem(last=False)
                self._bytes -= lighter


def weight(value: Any) -> int:
    """How many bytes a value counts for: those of its table or arrays, and a little for what is around them."""
    heavy = getattr(value, "nbytes", None)
    if heavy is None:
        heavy = getattr(getattr(value, "table", None), "nbytes", None)
    if heavy is not None:
        return LIGHT_BYTES + int(heavy)
    return LIGHT_BYTES * max(len(value), 1) if isinstance(value, (tuple, list, dict)) else LIGHT_BYTES
