"""Looks about once a minute whether the figures are fresh and whether a rule on them fires, also while a run goes on."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from pipeline import telling
from pipeline.clock import Clock
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Publications
from worker.safety import safely

LOOK_SECONDS = 60.0
END_SECONDS = 5.0  # a message that is on its way then waits for the next worker

_log = logging.getLogger(__name__)


class Watch:
    """The thread that looks; what goes wrong is logged, and the next look is a minute later."""

    def __init__(self, settings: Settings, store: RunStore, publications: Publications, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._publications = publications
        self._clock = clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(END_SECONDS)

    def look(self) -> None:
        """Look at everything once; one that fails keeps none of the others."""
        safely(self._freshness, _log)
        safely(self._rules, _log)
        safely(self._reports, _log)

    def _freshness(self) -> None:
        telling.look_at_freshness(self._publications.readable_current(), self._settings, self._store, self._clock)

    def _rules(self) -> None:
        version = self._publications.current()
        if version is not None:
            telling.look_at_rules(version, self._settings, self._store, self._clock)

    def _reports(self) -> None:
        version = self._publications.current()
        if version is not None:
            telling.look_at_reports(version, self._settings, self._store, self._clock)

    def _look_on(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self.look()
