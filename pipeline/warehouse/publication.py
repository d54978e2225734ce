"""Write, audit, publish: immutable versions, and one pointer that says which of them every reader sees.

    versions/current    which version is current, the highest number that ever was, and whose lease published it
    versions/v0012/     version.json and the files of the candidate; never changed once it is in place

A crash at any point leaves the pointer on a whole version. A folder with a number beyond `newest` never became
current: nobody has read it, and the next publish clears it away.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from pipeline import files
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, DataError, InterruptedRunError, PermanentError

DATABASE = "published.duckdb"  # not marts: a catalog named like a schema makes every reference ambiguous
HELD = "held_"  # in the mirror, how the names of candidates that wait begin
_FACTS = "version.json"
_POINTER = "current"
_LOCK = ".lock"
_NAME = re.compile(r"v(\d{4,})")

Read = TypeVar("Read")

_log = logging.getLogger(__name__)


class UntestedError(DataError):
    """A test of the candidate failed or did not run, so nobody may read it."""


class DamagedVersionError(PermanentError):
    """A version whose folder is gone or not whole."""


@dataclass(frozen=True)
class TestSummary:
    """How the tests of one candidate went; what is in none of the first three numbers did not run."""

    __test__: ClassVar[bool] = False  # not a test class, whatever its name tells pytest

    passed: int
    failed: int
    warned: int
    total: int

    @property
    def all_passed(self) -> bool:
        """Whether there were tests, and each of them ran and held; a warning holds."""
        return self.failed == 0 and 0 < self.total == self.passed + self.warned

    @property
    def in_words(self) -> str:
        """The summary as the end of a sentence."""
        if self.total == 0:
            return "it has no tests"
        missing = self.total - self.passed - self.failed - self.warned
        counted = [(self.failed, "failed"), (missing, "did not run")]
        return " and ".join(f"{count} of {self.total} tests {what}" for count, what in counted if count) or "every test held"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a version tells of itself, beside its data."""

    run_id: int
    as_of: date
    source: str
    inactivity_days: int
    activity_rule: str
    bank_timezone: str
    tests: TestSummary
    rows: Mapping[str, int]
    transactions: int = 0
    """Usable transactions that the bank had."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Out of plain JSON values, and what else there is to tell; raises KeyError, ValueError or TypeError elsewhere.

        What a newer neopulse tells on top is passed over: that makes no version damaged.
        """
        parsed = {"as_of": date.fromisoformat(content["as_of"]), "tests": TestSummary(**_known(TestSummary, content["tests"]))}
        return cls(**_known(cls, {**content, **parsed, **more}))

    def as_version(self, name: str, *, number: int, folder: Path, published_at: datetime) -> Version:
        """The version that these are the facts of."""
        facts = {field.name: getattr(self, field.name) for field in dataclasses.fields(Facts)}
        return Version(name=name, number=number, folder=folder, published_at=published_at, **facts)


@dataclass(frozen=True, kw_only=True)
class Version(Facts):
    """One published version: an immutable folder and its facts."""

    name: str
    number: int
    folder: Path
    published_at: datetime

    @property
    def database(self) -> Path:
        """The file that readers query."""
        return self.folder / DATABASE


@dataclass(frozen=True)
class Candidate:
    """A version in the making: the folder of its files, its facts, and the lease under which its run began.

    `kept_as` is the name under which the mirror kept its tables while it waited for approval; empty where it never waited.
    """

    folder: Path
    facts: Facts
    lease_token: int
    started_at: datetime
    kept_as: str = ""


@dataclass(frozen=True)
class _Pointer:
    """The content of `versions/current`; the last two are those of the newest version, also after a rollback."""

    version: str
    newest: int
    lease_token: int
    published_at: str


class Mirror(Protocol):
    """Where every version stands as well, for readers who do not come through the app."""

    def newest(self) -> int:
        """The highest number of a version there; 0 where there is none."""

    def put_in_place(self, version: Version, *, kept_as: str = "") -> None:
        """Make a version ready there, of what was built last or of what is held under a name; nobody is shown it yet."""

    def hold(self, name: str, version: Version) -> None:
        """Keep what was built last under a name, until it is put in place or let go."""

    def let_go(self, name: str) -> None:
        """Remove what is held under a name."""

    def make_current(self, version: Version) -> None:
        """Show a version there; raises ConfigurationError where it is not kept."""

    def prune(self, kept: Collection[str]) -> None:
        """Remove what is too old; what is kept here stays there."""


class Publications:
    """The published versions of one NEOPULSE_HOME; the last `keep` of them stay, here and in the mirror if there is one."""

    def __init__(self, home: Path, *, keep: int, mirror: Mirror | None = None) -> None:
        self.home = home
        self.folder = home / "versions"
        self.keep = keep
        self.mirror = mirror

    def current(self) -> Version | None:
        """The version that readers see, or None before the first publish."""
        pointer = self._pointer()
        while pointer is not None:
            try:
                return self._load(pointer.version)
            except FileNotFoundError:
                # Pruned between the two looks: then the pointer has moved on as well.
                seen, pointer = pointer, self._pointer()
                if pointer == seen:
                    raise damaged(self.folder / seen.version) from None
        return None

    def read_current(self, reading: Callable[[Version], Read]) -> Read | None:
        """What is read from the current version; where it is pruned under the reading, from the one that came after it."""
        while (version := self.current()) is not None:
            try:
                return reading(version)
            except FileNotFoundError:
                if self.current() == version:
                    raise damaged(version.folder) from None
        return None

    def versions(self) -> list[Version]:
        """The kept versions, newest first; one whose folder is not whole is passed over, and said in the log."""
        kept = []
        for number in self._published(self._pointer()):
            try:
                kept.append(self._load(_name(number)))
            except FileNotFoundError:  # pruned between the listing and the look
                continue
            except DamagedVersionError as error:
                _log.warning("%s: %s", error.what, error.where)
        return kept

    def readable_current(self) -> Version | None:
        """The version that readers see; None where it is damaged too, for who is to put another one in its place."""
        try:
            return self.current()
        except DamagedVersionError as error:
            _log.warning("%s: %s", error.what, error.where)
            return None

    def version(self, name: str) -> Version:
        """One kept version; raises ConfigurationError where there is none of that name."""
        kept = {version.name: version for version in self.versions()}
        if name not in kept:
            raise ConfigurationError(
                f"There is no version {name}; " + (f"kept are {', '.join(kept)}" if kept else "none has been published yet"),
                where=str(self.folder),
                safe=self.in_words(),
                next="neopulse versions",
            )
        return kept[name]

    def publish(self, candidate: Candidate, *, clock: Clock, guard: Callable[[], None]) -> Version:
        """Make a tested candidate the version that every reader sees; its folder becomes the version's.

        `guard` raises when the run has lost its lease and is asked right before the swap. Raises UntestedError where a
        test of the candidate failed or did not run, InterruptedRunError where a later lease has published since the run began.
        """
        self._refuse_untested(candidate)
        with self.exclusively():
            pointer = self._pointer()
            self._refuse_overtaken(candidate, pointer)
            self._clear_leftovers(pointer)
            taken = max(self._newest(pointer), self.mirror.newest() if self.mirror else 0)
            version = self._put_in_place(candidate, number=taken + 1, published_at=clock.now())
            if self.mirror:
                self.mirror.put_in_place(version, kept_as=candidate.kept_as)
            try:
                guard()
            except Exception:
                files.remove_folder(version.folder)  # before the first publish nothing else would tell it from a published one
                raise
            if self.mirror:  # first, for it may fail: then the run fails, and the app shows what it showed
                self.mirror.make_current(version)
            self._swap(_Pointer(version.name, version.number, candidate.lease_token, version.published_at.isoformat()))
            self._prune({version.name, pointer.version if pointer else version.name})
            if self.mirror:
                self.mirror.prune([kept.name for kept in self.versions()])
        return version

    def rollback(self, name: str, *, note: Callable[[Version], object] = lambda _version: None) -> Version:
        """Make a kept version current again; raises ConfigurationError where there is none of that name.

        `note` notes down that it is about to be; where it raises, readers see what they saw.
        """
        with self.exclusively():
            version, pointer = self.version(name), self._pointer()
            note(version)
            lost = _Pointer(name, self._newest(None), 0, version.published_at.isoformat())  # removed by hand: start afresh
            if self.mirror:
                self.mirror.make_current(version)
            self._swap(dataclasses.replace(pointer or lost, version=name))
        return version

    def freeze(self, folder: Path) -> None:
        """Give every published version a second name in a folder, beside a copy of the pointer: no later publish changes them."""
        with self.exclusively():
            pointer = self._pointer()
            files.make_folder(folder)
            for name in map(_name, self._published(pointer)):
                shutil.copytree(self.folder / name, folder / name, copy_function=files.link)
            if pointer is not None:
                shutil.copyfile(self.folder / _POINTER, folder / _POINTER)

    def in_words(self) -> str:
        """What readers see, as an error says it under `safe`."""
        pointer = self._pointer()
        return f"Readers still see version {pointer.version}" if pointer else "Nothing has been published yet"

    def _refuse_untested(self, candidate: Candidate) -> None:
        if not candidate.facts.tests.all_passed:
            raise UntestedError(
                f"The candidate of run {candidate.facts.run_id} is not published: {candidate.facts.tests.in_words}",
                where=str(candidate.folder),
                safe=self.in_words(),
                next="neopulse status, mend the data or the model, then neopulse run --from transform",
            )

    def _refuse_overtaken(self, candidate: Candidate, pointer: _Pointer | None) -> None:
        if pointer is None or candidate.lease_token >= pointer.lease_token:
            return
        # A new run store counts its leases from one again: a smaller token is late only if the larger came after our start.
        if datetime.fromisoformat(pointer.published_at) >= candidate.started_at:
            raise InterruptedRunError(
                f"Run {candidate.facts.run_id} was overtaken: {_name(pointer.newest)} has been published since it began",
                where=str(self.folder),
                safe=self.in_words(),
                next="neopulse status",
            )

    def _put_in_place(self, candidate: Candidate, *, number: int, published_at: datetime) -> Version:
        name = _name(number)
        version = candidate.facts.as_version(name, number=number, folder=self.folder / name, published_at=published_at)
        files.write_json(candidate.folder / _FACTS, _to_json(version))
        for path in candidate.folder.iterdir():
            files.flush(path)
        files.flush(candidate.folder)
        candidate.folder.rename(version.folder)
        files.flush(self.folder)
        return version

    def _swap(self, pointer: _Pointer) -> None:
        files.write_json(self.folder / _POINTER, dataclasses.asdict(pointer))

    def _prune(self, wanted: set[str]) -> None:
        """Keep the wanted versions, then the newest, up to `keep`: after a rollback the good one outlives the bad."""
        names = [_name(number) for number in self._published(self._pointer())]
        for name in sorted(names, key=lambda name: name not in wanted)[self.keep :]:
            files.remove_folder(self.folder / name)

    def _clear_leftovers(self, pointer: _Pointer | None) -> None:
        for number in self._numbers():
            if number > self._newest(pointer):
                files.remove_folder(self.folder / _name(number))
        for path in self.folder.glob(".*.gone"):
            shutil.rmtree(path, ignore_errors=True)

    def _published(self, pointer: _Pointer | None) -> list[int]:
        newest = self._newest(pointer)
        return sorted((number for number in self._numbers() if number <= newest), reverse=True)

    def _newest(self, pointer: _Pointer | None) -> int:
        return pointer.newest if pointer else max(self._numbers(), default=0)

    def _numbers(self) -> list[int]:
        matches = [_NAME.fullmatch(path.name) for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return [int(match[1]) for match in matches if match]

    def _pointer(self) -> _Pointer | None:
        path = self.folder / _POINTER
        try:
            return _Pointer(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise PermanentError(
                "The pointer to the current version cannot be read",
                where=str(path),
                safe="The versions beside it",
                next="remove the file, then neopulse versions and neopulse rollback VERSION",
            ) from error

    def _load(self, name: str) -> Version:
        folder = self.folder / name
        text = (folder / _FACTS).read_text(encoding="utf-8")
        try:
            return _from_json(json.loads(text), folder)
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(folder) from error

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold the only right to change the pointer; the system takes it back when the process dies."""
        files.make_folder(self.folder)
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _known(kind: type[TestSummary | Facts], content: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: content[field.name] for field in dataclasses.fields(kind) if field.name in content}


def _name(number: int) -> str:
    return f"v{number:04d}"


def _to_json(version: Version) -> dict[str, Any]:
    content = dataclasses.asdict(version)
    del content["folder"]
    return content


def _from_json(content: Mapping[str, Any], folder: Path) -> Version:
    return Version.from_json(content, folder=folder, published_at=datetime.fromisoformat(content["published_at"]))


def damaged(folder: Path) -> DamagedVersionError:
    """What is said of a version whose folder is not whole."""
    return DamagedVersionError(
        f"Version {folder.name} is damaged or gone",
        where=str(folder),
        safe="The other kept versions",
        next="neopulse versions, then neopulse rollback VERSION, or neopulse run",
    )
