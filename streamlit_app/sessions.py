"""Which sign-ins were signed out: kept in the run store, so that a copied cookie or another tab is out too.

Streamlit itself keeps nothing: its cookie would count until it expires, and an open tab until it is closed.
"""

from __future__ import annotations

import threading
import time

from streamlit_app import stores

SECONDS_KEPT = 2.0  # how long another server process may not have heard of it; this one has at once
_known: dict[str, tuple[float, frozenset[str]]] = {}
_looking = threading.Lock()


def is_over(url: str, session: str) -> bool:
    """Whether this sign-in was signed out."""
    ended = _lately(url)
    if ended is None:
        with _looking:
            ended = _lately(url)  # who waited has what the one before found
            if ended is None:
                looked_at = time.monotonic()
                ended = stores.run_store(url).ended_sessions()
                _known[url] = (looked_at, ended)
    return session in ended


def _lately(url: str) -> frozenset[str] | None:
    """The ended sign-ins as they were read a moment ago, if they were."""
    read_at, ended = _known.get(url, (-SECONDS_KEPT, frozenset()))
    return ended if time.monotonic() - read_at < SECONDS_KEPT else None


def note(url: str, session: str, who: str) -> bool:
    """Note down that this sign-in came; False where it was noted before."""
    return stores.run_store(url).begin_session(session, who)


def end(url: str, session: str, who: str) -> None:
    """Sign out: from now on this sign-in counts nowhere."""
    stores.run_store(url).end_session(session, who)
    with _looking:
        _known.pop(url, None)
