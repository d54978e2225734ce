"""The run store that the app reads and writes, opened once a process."""

from __future__ import annotations

from functools import lru_cache

from pipeline.clock import SystemClock
from pipeline.runs.store import RunStore


def run_store(url: str) -> RunStore:
    """The run store at an address, opened anew where a backup or another one took its place; who asks has checked the role."""
    store = _opened(url)
    if store.was_moved:
        _opened.cache_clear()
        store = _opened(url)
    return store


@lru_cache(maxsize=2)  # Streamlit's own is emptied by anybody who has opened a tab
def _opened(url: str) -> RunStore:
    return RunStore.open(url, clock=SystemClock())
