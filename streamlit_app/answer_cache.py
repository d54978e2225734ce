"""Answers that are kept for whoever asks the same next: the least lately asked go first once they weigh too much together.

Streamlit's own cache counts entries, whatever they weigh, and hashes every argument by walking through it. A slider has 174
places and a page asks for a dozen answers, so that what bounds the cache has to be memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import pyarrow as pa

LIGHT_BYTES = 2_000  # what an object without a table counts for


class AnswerCache:
    """Values by key, at most `most_bytes` of them together; many threads may ask at once."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._made_now: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key; made by the first who asks, for whom the others wait. What `make` raises is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]
            awaited = self._made_now.get(key)
            if awaited is None:
                mine: Future[Any] = Future()
                self._made_now[key] = mine
        if awaited is not None:
            return awaited.result()
        return self._make(key, make, mine)

    def _make(self, key: Hashable, make: Callable[[], Any], awaited: Future[Any]) -> Any:
        try:
            value = make()
        except BaseException as error:
            self._forget(key)
            awaited.set_exception(error)
            raise
        self._keep(key, value)
        awaited.set_result(value)
        return value

    def _forget(self, key: Hashable) -> None:
        with self._lock:
            del self._made_now[key]

    def _keep(self, key: Hashable, value: Any) -> None:
        size = weight(value)
        with self._lock:
            del self._made_now[key]
            self._values[key] = (value, size)
            self._bytes += size
            while self._bytes > self._most_bytes and len(self._values) > 1:
                _, (_, lighter) = self._values.popitem(last=False)
                self._bytes -= lighter


def weight(value: Any) -> int:
    """How many bytes a value counts for: those of its table, and a little for what is around it."""
    table = value if isinstance(value, pa.Table) else getattr(value, "table", None)
    if isinstance(table, pa.Table):
        return LIGHT_BYTES + int(table.nbytes)
    return LIGHT_BYTES * max(len(value), 1) if isinstance(value, (tuple, list, dict)) else LIGHT_BYTES
