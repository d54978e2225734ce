"""The run store that the app reads and writes, opened once a process."""

from __future__ import annotations

import streamlit as st

from pipeline.clock import SystemClock
from pipeline.runs.store import RunStore


@st.cache_resource(max_entries=2, show_spinner=False)
def run_store(url: str) -> RunStore:
    """The run store at an address; who asks has checked the role."""
    return RunStore.open(url, clock=SystemClock())
