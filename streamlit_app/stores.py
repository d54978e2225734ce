"""The run store that the app reads and writes, opened once a process."""

from __future__ import annotations

from functools import lru_cache

from pipeline.clock import SystemClock
from pipeline.runs.store import RunStore


@lru_cache(maxsize=2)  # Streamlit's own is emptied by anybody who has opened a tab
def run_store(url: str) -> RunStore:
    """The run store at an address; who asks has checked the role."""
    return RunStore.open(url, clock=SystemClock())
