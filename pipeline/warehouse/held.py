"""Candidates that wait for an admin: whole and unchanged, each in a folder of its own, until one is published or removed.

    held/12/held.json     the facts of the candidate of run 12, why it is held, and the digest of its files
    held/12/version/      its files, as they would have been published

A candidate is published from links to its files, and its folder goes only when readers see it: a crash on the way leaves it
waiting.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.warehouse.publication import HELD, Candidate, Facts, Publications, Version

_NOTE = "held.json"
_FILES = "version"


@dataclass(frozen=True)
class Held:
    """A candidate that waits; `reasons` are plain values, `digest` is that of its files."""

    run_id: int
    held_at: datetime
    facts: Facts
    reasons: Sequence[Mapping[str, Any]]
    digest: str
    folder: Path

    @property
    def name(self) -> str:
        """What it is called as long as it has no number of a version."""
        return f"run {self.run_id}"

    @property
    def files(self) -> Path:
        """The folder of what would be published."""
        return self.folder / _FILES

    def as_version(self) -> Version:
        """The candidate in the form of a version, to be looked at beside the published ones."""
        return self.facts.as_version(self.name, number=0, folder=self.files, published_at=self.held_at)


class HeldCandidates:
    """The candidates that wait beside the published versions of one home; one at a time, for a newer one replaces it."""

    def __init__(self, publications: Publications) -> None:
        self._publications = publications
        self.folder = publications.home / "held"

    def hold(
        self, candidate: Candidate, reasons: Sequence[Mapping[str, Any]], *, clock: Clock, guard: Callable[[], None]
    ) -> Held:
        """Put a candidate aside, whole; it is there when this returns, and not before.

        `guard` raises when the run has lost its lease, and is asked right before.
        """
        files.make_folder(self.folder)
        run_id = candidate.facts.run_id
        place, making = self.folder / str(run_id), self.folder / f".{run_id}.part"
        held = Held(run_id, clock.now(), candidate.facts, tuple(reasons), _digest(candidate.folder), place)
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        with self._publications.exclusively():
            if self._publications.mirror:
                self._publications.mirror.hold(_mirrored(held), held.as_version())
            guard()
            candidate.folder.rename(making / _FILES)
            files.write_json(making / _NOTE, _to_json(held))
            for path in (making / _FILES).iterdir():
                files.flush(path)
            files.flush(making / _FILES)
            files.remove_folder(place)  # of an earlier run store, whose runs had the same numbers
            making.rename(place)
            files.flush(self.folder)
        return held

    def waiting(self) -> list[Held]:
        """The candidate that waits, if any: the newest, unless a version was published since it was held."""
        newest = self._all()[:1]
        return [held for held in newest if not any(_overtakes(version, held) for version in self._publications.versions())]

    def find(self, run_id: int) -> Held:
        """The candidate of a run; raises ConfigurationError where it does not wait."""
        waiting = self.waiting()
        for held in waiting:
            if held.run_id == run_id:
                return held
        raise ConfigurationError(
            f"No candidate of run {run_id} waits for approval" + "".join(f"; the one of {held.name} does" for held in waiting),
            where=str(self.folder),
            safe=self._publications.in_words(),
            next="neopulse versions",
        )

    def publish(
        self, held: Held, folder: Path, *, lease_token: int, started_at: datetime, clock: Clock, guard: Callable[[], None]
    ) -> Version:
        """Make exactly this candidate the version that every reader sees; `folder` is where its links are made.

        Raises PermanentError where its files are not what they were, ConfigurationError where it was decided about before.
        """
        try:
            links = self._untouched(held, folder)
        except FileNotFoundError:  # decided about in the meantime
            self.find(held.run_id)
            raise
        candidate = Candidate(links, held.facts, lease_token=lease_token, started_at=started_at, kept_as=_mirrored(held))

        def once() -> None:
            guard()
            self.find(held.run_id)  # asked with the only right to publish in hand: two approvals publish once

        version = self._publications.publish(candidate, clock=clock, guard=once)
        self.clear(held)
        return version

    def _untouched(self, held: Held, folder: Path) -> Path:
        links = _linked(held.files, folder)
        if _digest(links) != held.digest:
            raise PermanentError(
                f"The candidate of {held.name} was changed since it was held",
                where=str(held.files),
                safe=self._publications.in_words(),
                next=f"neopulse reject {held.run_id}, then neopulse run",
            )
        return links

    def published_as(self, run_id: int, held_at: datetime) -> Version | None:
        """The version that a candidate became, if it is kept."""
        made = (version for version in self._publications.versions() if version.run_id == run_id)
        return next((version for version in made if version.published_at >= held_at), None)

    def reject(self, run_id: int, *, note: Callable[[Held], object] = lambda _held: None) -> Held:
        """Delete a candidate; raises ConfigurationError where none of that run waits.

        `note` notes down that it is about to be; where it raises, the candidate waits as before.
        """
        with self._publications.exclusively():
            held = self.find(run_id)
            note(held)
            self._let_go(held)
        return held

    def clear(self, *published: Held, but: int | None = None) -> list[Held]:
        """Delete what a newer candidate or a published one makes obsolete: the given ones, or all but that of one run."""
        gone = list(published) if published else [held for held in self._all() if held.run_id != but]
        if not self.folder.is_dir():
            return []
        with self._publications.exclusively():
            for held in gone:
                self._let_go(held)
            for left in [*self.folder.glob(".*.gone"), *self.folder.glob(".*.part")]:  # by a crash
                shutil.rmtree(left, ignore_errors=True)
        return gone

    def _let_go(self, held: Held) -> None:
        if self._publications.mirror:
            self._publications.mirror.let_go(_mirrored(held))
        files.remove_folder(held.folder)

    def _all(self) -> list[Held]:
        folders = [path for path in self.folder.iterdir() if path.name.isdigit()] if self.folder.is_dir() else []
        found = [self._load(folder) for folder in folders]
        return sorted((held for held in found if held), key=lambda held: held.held_at, reverse=True)

    def _load(self, folder: Path) -> Held | None:
        try:
            return _from_json(json.loads((folder / _NOTE).read_text(encoding="utf-8")), folder)
        except FileNotFoundError:  # decided about between the two looks
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise PermanentError(
                f"The held candidate {folder.name} is damaged",
                where=str(folder),
                safe=self._publications.in_words(),
                next="remove that folder, then neopulse run",
            ) from error


def _overtakes(version: Version, held: Held) -> bool:
    """Whether a candidate's time is over: it is that version, or that version came later."""
    return version.published_at > held.held_at or (version.run_id == held.run_id and version.published_at >= held.held_at)


def _mirrored(held: Held) -> str:
    return f"{HELD}{held.run_id}"


def _linked(source: Path, folder: Path) -> Path:
    """The same files under another name: links, or copies where the file system has none."""
    target = files.make_folder(folder) / _FILES
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in source.iterdir():
        files.link(path, target / path.name)
    return target


def _digest(folder: Path) -> str:
    """The digest of the names and the content of a folder's files."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as content:
            own = hashlib.file_digest(content, "sha256")
        whole.update(f"{path.name} {own.hexdigest()}\n".encode())
    return whole.hexdigest()


def _to_json(held: Held) -> dict[str, Any]:
    content = dataclasses.asdict(held)
    del content["folder"]
    return {**content, "held_at": held.held_at.isoformat()}


def _from_json(content: Mapping[str, Any], folder: Path) -> Held:
    return Held(
        run_id=content["run_id"],
        held_at=datetime.fromisoformat(content["held_at"]),
        facts=Facts.from_json(content["facts"]),
        reasons=tuple(content["reasons"]),
        digest=content["digest"],
        folder=folder,
    )
