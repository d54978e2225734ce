"""One rule for every source of facts: the service where it is asked and answers well, else its last good answer, dated."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.clock import Clock
from pipeline.errors import DataError, InterruptedRunError, NeopulseError
from pipeline.http import Answer, Patience, Service

PATIENCE = Patience(connect_seconds=5.0, answer_seconds=30.0, deadline_seconds=60.0, most_attempts=4)
SAFE = "The last good answer or the shipped snapshot serves"

_log = logging.getLogger(__name__)

Look = Callable[[], None]


@dataclass(frozen=True)
class Kept:
    """An answer of a service that was read and found good: when, under which ETag, and what it says in plain JSON values."""

    asked_at: datetime
    etag: str
    content: Any

    @property
    def day(self) -> str:
        """The day of the answer, by UTC."""
        return self.asked_at.date().isoformat()


@dataclass(frozen=True)
class Served:
    """What serves now.

    `is_fallback`: a service that was to be asked did not answer well, and `why` says so. `is_old`: none did.
    """

    kept: Kept | None
    is_fallback: bool = False
    why: str = ""
    is_old: bool = False


class Answers:
    """A folder with the last good answer of each service, each file whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Kept | None:
        """The last good answer, None where there is none or where it cannot be read any more."""
        try:
            found = json.loads(self._path(name).read_text(encoding="utf-8"))
            return Kept(datetime.fromisoformat(found["asked_at"]).astimezone(UTC), found["etag"], found["content"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            _log.warning("%s cannot be read and is asked for anew", self._path(name))
            return None

    def keep(self, name: str, kept: Kept) -> Kept:
        """Keep an answer in the place of the one before."""
        files.make_folder(self._folder)
        content = {"asked_at": kept.asked_at.isoformat(), "etag": kept.etag, "content": kept.content}
        files.write_text(self._path(name), json.dumps(content, ensure_ascii=False))
        return kept

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def ask(name: str, fetch: Callable[[Kept | None], Kept], answers: Answers, clock: Clock) -> Served:
    """What a service says: today's answer where it was asked today, else a new one, else the last good one and why."""
    before = answers.read(name)
    if before is not None and before.asked_at.date() == clock.now().date():
        return Served(before)
    try:
        return Served(answers.keep(name, fetch(before)))
    except InterruptedRunError:
        raise
    except NeopulseError as error:
        _log.warning("%s", error)
        return Served(before, True, error.what, is_old=True)


def fetched(service: Service, path: str, parameters: Mapping[str, Any], before: Kept | None) -> Answer | None:
    """The service's answer, or None where it says that what is kept is still right."""
    headers = {"If-None-Match": before.etag} if before is not None and before.etag else {}
    answer = service.get(path, parameters=parameters, headers=headers)
    return None if answer.status == 304 and headers else answer


def etag(answer: Answer) -> str:
    """The answer's ETag, if it has one."""
    return next((value for name, value in answer.headers.items() if name.lower() == "etag"), "")


def wrong_shape(service: str, what: str) -> DataError:
    """An answer that cannot be used: nothing of it is."""
    return DataError(
        f"{service} answered something else than expected, so nothing of it was used: {what}",
        where=service,
        safe=SAFE,
        next="neopulse check; a newer neopulse may know the service's new form",
    )
