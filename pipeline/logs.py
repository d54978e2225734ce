"""Where a run's words go: in full to its log file, in short to the run store and to the terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pipeline.errors import NeopulseError
from pipeline.files import make_folder
from pipeline.runs.store import RunStore

LINE = "%(asctime)sZ %(levelname)-7s %(name)s: %(message)s"
PACKAGES = ("pipeline", "worker")


def run_log(home: Path, run_id: int) -> Path:
    """The log file of one run."""
    return home / "logs" / f"run-{run_id}.log"


class EventLog(logging.Handler):
    """Copies what the chain logs into a run's live log; `step` is the step that is going on."""

    def __init__(self, store: RunStore, run_id: int) -> None:
        super().__init__(logging.INFO)
        self.step = ""
        self._store = store
        self._run_id = run_id

    def emit(self, record: logging.LogRecord) -> None:
        """Add one line; a store that does not answer loses it, the log file has it."""
        with suppress(NeopulseError):
            self._store.add_event(self._run_id, level=record.levelname.lower(), step=self.step, text=record.getMessage())


class _WithoutTraceback(logging.Formatter):
    """One line a record: the traceback is for the log file."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None}))


@contextmanager
def logging_to_store(store: RunStore, run_id: int) -> Iterator[EventLog]:
    """Add what the chain logs while the block lasts to a run's live log."""
    with _handling(EventLog(store, run_id)) as event_log:
        yield event_log


@contextmanager
def logging_to(path: Path, *, level: int = logging.INFO) -> Iterator[None]:
    """Add what the chain logs while the block lasts to a file, from that level up, tracebacks included."""
    make_folder(path.parent)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setLevel(level)
    handler.setFormatter(_utc(logging.Formatter(LINE)))
    with _handling(handler):
        yield


def log_to_terminal() -> None:
    """Let a process without a reporter of its own (the worker) log to standard error, for Docker to collect."""
    handler = logging.StreamHandler()
    handler.setFormatter(_utc(_WithoutTraceback(LINE)))
    _add(handler)


Handler = TypeVar("Handler", bound=logging.Handler)


@contextmanager
def _handling(handler: Handler) -> Iterator[Handler]:
    _add(handler)
    try:
        yield handler
    finally:
        for name in PACKAGES:
            logging.getLogger(name).removeHandler(handler)
        handler.close()


def _add(handler: logging.Handler) -> None:
    logging.raiseExceptions = False  # a line that a full disk refuses is lost; a traceback on the terminal helps nobody
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)


def _utc(formatter: logging.Formatter) -> logging.Formatter:
    formatter.converter = time.gmtime
    return formatter
