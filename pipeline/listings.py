"""Runs, versions and settings as text for the terminal, and the status as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pipeline.answers import columns
from pipeline.checks import Setting
from pipeline.guard import in_words
from pipeline.marts.thin_tail import SHARE, ThinTail
from pipeline.runs.records import Request, RequestState, Run, Step
from pipeline.runs.store import RunStore
from pipeline.warehouse.held import Held
from pipeline.warehouse.publication import Version

RUNS_SHOWN = 10


def status(store: RunStore, version: Version | None) -> str:
    """What is current, how the last run went step by step, the runs before it, and who works."""
    runs = store.runs(RUNS_SHOWN)
    parts = [_version_line(version)]
    if runs:
        parts.append(_run_in_full(runs[0]))
    if runs[1:]:
        parts.append("\n".join(columns([_run_in_short(run) for run in runs[1:]])))
    waiting = [request for request in store.requests() if request.state is RequestState.WAITING]
    parts += [f"waiting: {_wish(request)} asked for by {request.requested_by}" for request in waiting]
    parts += [f"worker {worker.name}: {worker.doing}, last seen {_moment(worker.beat_at)}" for worker in store.workers()]
    return "\n\n".join(parts)


def _wish(request: Request) -> str:
    """The step that a request begins with, or the sync that it is about."""
    return str(request.parameters.get("first_step") or f"the sync {request.parameters.get('sync')}")


def status_as_json(store: RunStore, version: Version | None) -> str:
    """The same for programs: `version`, `run` (the last one), `runs`, `requests`, `workers`."""
    runs = [dataclasses.asdict(run) for run in store.runs(RUNS_SHOWN)]
    content = {
        "version": None if version is None else dataclasses.asdict(version),
        "run": runs[0] if runs else None,
        "runs": runs,
        "requests": [dataclasses.asdict(request) for request in store.requests()],
        "workers": [dataclasses.asdict(worker) for worker in store.workers()],
    }
    return json.dumps(content, indent=2, default=_as_json)


def versions(kept: Sequence[Version], current: Version | None) -> str:
    """The kept versions, one a line; a star marks the current one."""
    if not kept:
        return "nothing has been published yet: neopulse run makes the first version"
    return "\n".join(columns([_version_row(version, is_current=version == current) for version in kept]))


def held(candidate: Held) -> str:
    """A candidate that waits: what it is, why it is held, and what to type."""
    since = _moment(candidate.held_at)
    head = f"the candidate of {candidate.name} (as of {candidate.facts.as_of}) waits for approval since {since}:"
    reasons = [f"  - {in_words(reason)}" for reason in candidate.reasons]
    return "\n".join(["", head, *reasons, f"  neopulse approve {candidate.run_id}, or neopulse reject {candidate.run_id}"])


def thin_tail(tail: ThinTail) -> str:
    """Which days at the end of the data hold far fewer active customers than usual, and what follows."""
    days = f"{tail.last}" if tail.days == 1 else f"each day from {tail.first} to {tail.last}"
    return (
        f"{days} holds less than {SHARE:.0%} of its usual active customers: "
        f"loading may not be finished, and figures of {'this day' if tail.days == 1 else 'these days'} may still rise"
    )


def settings(listed: Iterable[Setting]) -> str:
    """Every setting, one a line: a star marks those that are not the default."""
    lines = []
    for setting in listed:
        changed = "" if setting.value == setting.default else f"   [default: {setting.default or 'empty'}]"
        lines += [f"{setting.name}={setting.value}{changed}", f"    {setting.description}"]
    return "\n".join(lines) + "\n"


def _version_line(version: Version | None) -> str:
    if version is None:
        return "version: none published yet"
    tests = f"{version.tests.passed} of {version.tests.total} tests passed"
    return f"version: {version.name}, as of {version.as_of}, {version.source}, published {_moment(version.published_at)}, {tests}"


def _version_row(version: Version, *, is_current: bool) -> dict[str, str]:
    return {
        "": "*" if is_current else " ",
        "version": version.name,
        "as of": version.as_of.isoformat(),
        "published": _moment(version.published_at),
        "run": str(version.run_id),
        "source": version.source,
        "tests passed": f"{version.tests.passed} of {version.tests.total}",
        "rows": f"{sum(version.rows.values()):,}",
    }


def _run_in_full(run: Run) -> str:
    head = f"run {run.id} {run.standing}, {run.trigger} by {run.requested_by}, began {_moment(run.started_at)}" + _lasted(run)
    lines = [head, *(f"  {line}" for line in columns([_step_row(step) for step in run.steps]))]
    return "\n".join(lines + ([f"  {line}" for line in run.error.splitlines()] if run.error else []))


def _run_in_short(run: Run) -> dict[str, str]:
    return {
        "run": str(run.id),
        "state": run.standing,
        "began": _moment(run.started_at),
        "seconds": _seconds(run.started_at, run.ended_at),
        "trigger": run.trigger,
        "by": run.requested_by,
        "version": run.version or "",
        "stopped at": (run.unfinished_step or "") if run.is_resumable else "",
    }


def _step_row(step: Step) -> dict[str, str]:
    return {
        "step": step.name,
        "state": step.state,
        "seconds": _seconds(step.started_at, step.ended_at),
        "rows in": "" if step.rows_in is None else f"{step.rows_in:,}",
        "rows out": "" if step.rows_out is None else f"{step.rows_out:,}",
        "attempts": str(step.attempts),
        "served by": step.service,
        "progress": step.progress_text if step.ended_at is None else "",
    }


def _lasted(run: Run) -> str:
    return "" if run.ended_at is None else f", took {_seconds(run.started_at, run.ended_at)} s"


def _seconds(start: datetime | None, end: datetime | None) -> str:
    return "" if start is None or end is None else f"{(end - start).total_seconds():.1f}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _as_json(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
