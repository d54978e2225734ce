"""The guided first visit: how far a person got, and whether they dismissed it.

It is nobody's act on the figures and leaves no audit row.
"""

from __future__ import annotations

from pipeline.runs.store import RunStore
from streamlit_app import auth, data, stores
from streamlit_app.auth import Role

TOUR, STEP = "tour", "tour step "


def so_far() -> tuple[bool, int]:
    """Whether this person has dismissed the tour, and the furthest step that they reached (from 0), in whichever browser."""
    user = auth.require(Role.VIEWER)
    seen = _store().seen_by(user.name)
    return TOUR in seen, max((int(what.removeprefix(STEP)) for what in seen if what.startswith(STEP)), default=0)


def reached(place: int) -> None:
    """Remember that this person has come to a step."""
    user = auth.require(Role.VIEWER)
    _store().note_seen(user.name, f"{STEP}{place}")


def dismiss() -> None:
    """Remember that this person wants to see no more of it."""
    user = auth.require(Role.VIEWER)
    _store().note_seen(user.name, TOUR)


def _store() -> RunStore:
    return stores.run_store(data.in_force().run_store_url)
