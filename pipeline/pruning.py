"""Old things go by rule: rows of the run store, the runs' log files, mails of the outbox, half-built candidates, temporary files.

Never the audit, never the newest run nor that of a version that is kept, and nothing at all while a run is going on. What went
is logged.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.clock import Clock
from pipeline.runs.store import RunStore
from pipeline.runs.watching import USUAL_PUBLICATIONS
from pipeline.settings import Settings
from pipeline.warehouse.duckdb import SPILL
from pipeline.warehouse.held import HeldCandidates
from pipeline.warehouse.publication import Publications

TEMPORARY_KEPT = timedelta(days=1)
_RUN_LOG = re.compile(r"run-(\d+)\.log(\.\d+)?")
_TEMPORARY = re.compile(r"\..+\.(part|gone)")

_log = logging.getLogger(__name__)


def prune(settings: Settings, store: RunStore, publications: Publications, clock: Clock) -> dict[str, int]:
    """Remove what is too old, unless a run is going on; answers how many of what went.

    The runs of kept versions stay with their logs, and so do those of candidates that wait for a person.
    """
    if store.lease() is not None:
        return {}
    held = {candidate.run_id for candidate in HeldCandidates(publications).waiting()}
    versions = publications.versions()
    kept = {version.run_id for version in versions} | held
    now = clock.now()

    def since(days: int) -> datetime:
        return now - timedelta(days=days)

    went = {
        "syncs": store.prune_syncs(since(settings.runs_kept_days)),
        "runs": len(store.prune_runs(since(settings.runs_kept_days), kept=kept)),
        "requests": store.prune_requests(since(settings.runs_kept_days)),
        "publications": store.prune_publications(
            since(settings.runs_kept_days), kept=[version.name for version in versions], newest=USUAL_PUBLICATIONS
        ),
        "decisions": store.prune_decisions(since(settings.runs_kept_days)),
        "incidents": store.prune_incidents(since(settings.runs_kept_days)),
        "findings of rules": store.prune_alerts(since(settings.runs_kept_days)),
        "moments of the schedule": store.prune_slots(since(settings.runs_kept_days)),
        "lines of live logs": store.prune_events(since(settings.events_kept_days)),
        "texts of delivered messages": store.prune_payloads(since(settings.payloads_kept_days)),
        "workers": store.prune_workers(since(settings.events_kept_days)),
        "mails of the outbox": _remove(_mails(settings.home, store), since(settings.payloads_kept_days)),
        "log files": _remove(_logs(settings.home, kept), since(settings.logs_kept_days)),
        "candidates": _remove((settings.home / "candidates").glob("*"), since(settings.candidates_kept_days)),
        "damaged states": _remove((settings.home / "warehouse").glob("*.damaged"), since(settings.candidates_kept_days)),
        "temporary files": _remove(_temporary(settings.home), now - TEMPORARY_KEPT),
    }
    went = {what: count for what, count in went.items() if count}
    if went:
        _log.info("what was old enough is gone: %s", ", ".join(f"{count} {what}" for what, count in went.items()))
    return went


def _logs(home: Path, kept: Collection[int]) -> Iterator[Path]:
    for path in (home / "logs").glob("run-*.log*"):
        match = _RUN_LOG.fullmatch(path.name)
        if match and int(match[1]) not in kept:
            yield path


def _mails(home: Path, store: RunStore) -> Iterator[Path]:
    """The outbox' mails, but those of which nobody has noted down yet that they are there."""
    waiting = {message.key for message in store.waiting()}
    yield from (path for path in (home / "outbox").glob("outbox-*.eml") if path.stem not in waiting)


def _temporary(home: Path) -> Iterator[Path]:
    """What a process that was killed left half written, at the top and one or two folders down."""
    for pattern in (".*", "*/.*", "*/*/.*"):
        yield from (path for path in home.glob(pattern) if _TEMPORARY.fullmatch(path.name))
    yield from (home / "warehouse").glob("*.duckdb.tmp")
    yield from (home / "warehouse").glob(SPILL)  # what the engine spilled while it built


def _remove(paths: Iterable[Path], before: datetime) -> int:
    count = 0
    for path in list(paths):
        with suppress(OSError):  # somebody else was quicker, or owns it
            if path.stat().st_mtime >= before.timestamp():
                continue
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            count += 1
    return count
