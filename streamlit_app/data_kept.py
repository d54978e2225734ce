"""What people keep about the figures: targets, notes and views, read from the run store every two seconds at most a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from pipeline.errors import ConfigurationError, PermanentError, TransientError
from pipeline.runs.annotations import Annotation
from pipeline.runs.saved_views import Query, SavedView
from pipeline.runs.store import RunStore
from pipeline.runs.targets import Target
from streamlit_app import auth, data, stores
from streamlit_app.auth import Role

__all__ = ["Annotation", "Query", "SavedView", "Target"]

Kept = TypeVar("Kept")
SECONDS_KEPT = 2.0  # how long another server process may not have heard of a change; this one has at once
SECONDS_SILENT = 10.0  # how long a run store that did not answer is not asked again: each chart would wait for it
SILENT = (ConfigurationError, PermanentError, TransientError)
_known: dict[tuple[str, str], tuple[float, Any]] = {}


def targets() -> tuple[Target, ...]:
    """The targets of the figures that this person sees as everybody does.

    Who sees some countries sees other figures of everybody, to which a target of everybody does not apply: only targets of
    some of those countries alone are theirs.
    """
    countries = auth.require(Role.VIEWER).countries
    found = _lately("targets", RunStore.targets)
    return tuple(target for target in found if countries is None or _is_of(target, countries))


def _is_of(target: Target, countries: frozenset[str]) -> bool:
    named = {value for dimension, value in target.where if dimension == "country"}
    return bool(named) and named <= countries


def beside_figures(read: Callable[[], tuple[Kept, ...]]) -> tuple[Kept, ...]:
    """Targets or notes for a chart or a card; none where the run store does not answer, as the head of the page says."""
    auth.require(Role.VIEWER)
    try:
        return read()
    except SILENT:
        return ()


def notes() -> tuple[Annotation, ...]:
    """Every note, by day: whoever may come in reads them."""
    auth.require(Role.VIEWER)
    found: tuple[Annotation, ...] = _lately("annotations", RunStore.annotations)
    return found


def views() -> tuple[SavedView, ...]:
    """The views of this person and those that others share, by name."""
    user = auth.require(Role.VIEWER)
    return tuple(_store().saved_views(user.name))


def forget() -> None:
    """What was read counts no more: something was written."""
    auth.require(Role.VIEWER)
    _known.clear()


def _store() -> RunStore:
    return stores.run_store(data.in_force().run_store_url)


def _lately(what: str, read: Callable[[RunStore], Any]) -> Any:
    key, now = (data.in_force().run_store_url, what), time.monotonic()
    read_at, found = _known.get(key, (-SECONDS_SILENT, None))
    if now - read_at >= (SECONDS_SILENT if isinstance(found, SILENT) else SECONDS_KEPT):
        try:
            found = tuple(read(_store()))
        except SILENT as error:
            found = error
        _known[key] = (time.monotonic(), found)
    if isinstance(found, SILENT):
        raise found.with_traceback(None)  # which would keep what each thread was drawing
    return found
