"""Where a run's words go: in full to its log file, in short to the run store and to the terminal; secrets go nowhere."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal, TypeVar

from pipeline.errors import NeopulseError, without_controls
from pipeline.files import make_folder
from pipeline.masking import masked
from pipeline.runs.store import RunStore

LINE = "%(asctime)sZ %(levelname)-7s %(name)s: %(message)s"
PACKAGES = ("pipeline", "worker")
LARGEST_BYTES = 5_000_000  # of a log that no run closes; the last three of that size stay
LOGS_KEPT = 3


def run_log(home: Path, run_id: int) -> Path:
    """The log file of one run."""
    return home / "logs" / f"run-{run_id}.log"


class EventLog(logging.Handler):
    """Copies what the chain logs into a run's live log; `step` is the step that is going on."""

    under_way: EventLog | None = None  # a process does one run at a time

    def __init__(self, store: RunStore, run_id: int) -> None:
        super().__init__(logging.INFO)
        self.step = ""
        self.run_id = run_id
        self._store = store

    def emit(self, record: logging.LogRecord) -> None:
        """Add one line; a store that does not answer loses it, the log file has it."""
        with suppress(NeopulseError):
            self._store.add_event(self.run_id, level=record.levelname.lower(), step=self.step, text=record.getMessage())


class _Masking(logging.Filter):
    """Takes the secrets out of a record: out of its message, its arguments and its traceback. No message gives orders either."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_controls(masked(record.getMessage())), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = without_controls(masked(record.exc_text)) if record.exc_text else None
        record.stack_info = masked(record.stack_info) if record.stack_info else None
        return True


class _AsJson(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and run, step and traceback where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        run = EventLog.under_way
        told |= {"run": run.run_id, "step": run.step} if run else {}
        told |= {"traceback": record.exc_text} if record.exc_text else {}
        return json.dumps(told, ensure_ascii=False)


class _WithoutTraceback(logging.Formatter):
    """One line a record: the traceback is for the log file."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None}))


@contextmanager
def logging_to_store(store: RunStore, run_id: int) -> Iterator[EventLog]:
    """Add what the chain logs while the block lasts to a run's live log."""
    with _handling(EventLog(store, run_id)) as event_log:
        EventLog.under_way = event_log
        try:
            yield event_log
        finally:
            EventLog.under_way = None


@contextmanager
def logging_to(path: Path, *, level: int = logging.INFO, largest_bytes: int = 0) -> Iterator[None]:
    """Add what the chain logs while the block lasts to a file, from that level up, tracebacks included.

    Where the disk takes no file there is none, and the run goes on. With `largest_bytes` the file begins anew when it is that
    large, and a few of the ones before stay beside it.
    """
    make_folder(path.parent, private=True)
    handler = RotatingFileHandler(path, encoding="utf-8", maxBytes=largest_bytes, backupCount=LOGS_KEPT, delay=True)
    handler.setLevel(level)
    handler.setFormatter(_utc(logging.Formatter(LINE)))
    with _handling(handler):
        yield


def log_to_terminal(form: Literal["text", "json"] = "text") -> None:
    """Let a process without a reporter of its own (the worker) log to standard error, for Docker to collect.

    As text a record is one line without its traceback, which the log files have; as JSON it is one line with it.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_AsJson() if form == "json" else _utc(_WithoutTraceback(LINE)))
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
    handler.addFilter(_Masking())
    logging.raiseExceptions = False  # a line that a full disk refuses is lost; a traceback on the terminal helps nobody
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)


def _utc(formatter: logging.Formatter) -> logging.Formatter:
    formatter.converter = time.gmtime
    return formatter
