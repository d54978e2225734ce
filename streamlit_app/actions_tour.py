"""The guided first visit: whether a person has dismissed it. It is nobody's act on the figures and leaves no audit row."""

from __future__ import annotations

from pipeline.runs.store import RunStore
from streamlit_app import auth, data, stores
from streamlit_app.auth import Role

TOUR = "tour"


def is_dismissed() -> bool:
    """Whether this person has seen the tour and dismissed it, in whichever browser."""
    user = auth.require(Role.VIEWER)
    return _store().has_seen(user.name, TOUR)


def dismiss() -> None:
    """Remember that this person wants to see no more of it."""
    user = auth.require(Role.VIEWER)
    _store().note_seen(user.name, TOUR)


def _store() -> RunStore:
    return stores.run_store(data.in_force().run_store_url)
