"""`neopulse backup`: what cannot be made again, in one file, while worker and app go on.

The run store comes first. A version that is published after that moment is more than the store knows of, which the next run
copes with; the other way round it would take a message for sent that was never written.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import IO

from pipeline import files
from pipeline.backups.archive import Writer, writing
from pipeline.clock import Clock
from pipeline.errors import PermanentError
from pipeline.runs.copies import check_copy, copy_store
from pipeline.settings import Settings
from pipeline.warehouse.publication import Publications, Version

RUN_STORE, VERSIONS, SYNCS, LOGS = "run_store.db", "versions", "syncs", "logs"
# What the next run makes again is not kept: the demo bank, landed files, the state that runs build on, candidates.
AS_THEY_ARE = ("sheet", "destinations", "outbox", "facts", "held")
STANDARD_OUTPUT = Path("-")
LOOKS = 10
LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class Made:
    """A backup that was made: what is in it, in files and bytes before compression."""

    files: int
    bytes: int
    version: Version | None
    syncs_are_whole: bool

    @property
    def in_words(self) -> str:
        """What a person wants to know of it."""
        what = f"version {self.version.name}, as of {self.version.as_of}" if self.version else "no published version yet"
        moved = "" if self.syncs_are_whole else "; a sync was going on, so a restore sends its rows again"
        size = f"{self.files:,} files, {self.bytes / 1e6:,.1f} MB"
        return f"{size}, {what}{moved}. It holds customers' data: keep it like the bank's own."


def make_backup(settings: Settings, publications: Publications, target: Path, *, clock: Clock, with_logs: bool) -> Made:
    """Write a backup of the state into a file, whole or not at all; `-` is the standard output.

    Raises PermanentError where it cannot be written: an older file of that name then is as it was.
    """
    try:
        with _frozen(settings, publications, clock) as frozen, _opened(target) as stream, writing(stream) as archive:
            for path, name in frozen.files(with_logs=with_logs):
                archive.add(path, name)
            return _sealed(archive, frozen, clock)
    except OSError as error:
        raise PermanentError(
            f"The backup could not be written: {error.strerror or error}",
            where=str(target),
            safe="The state, and an older backup of that name",
            next="free disk space or name another folder, then neopulse backup again",
        ) from error


@dataclass(frozen=True)
class _Frozen:
    """The state of one moment: second names and copies in a folder, and what is replaced whole where it stands."""

    home: Path
    folder: Path
    version: Version | None
    syncs_are_whole: bool

    def files(self, *, with_logs: bool) -> Iterator[tuple[Path, str]]:
        yield from _walk(self.folder, self.folder)
        for name in (*AS_THEY_ARE, *([LOGS] if with_logs else [])):
            yield from _walk(self.home / name, self.home)


def _sealed(archive: Writer, frozen: _Frozen, clock: Clock) -> Made:
    version = frozen.version
    archive.seal(
        {
            "neopulse": installed("neopulse"),
            "made_at": clock.now().isoformat(),
            "run_store_layout": check_copy(frozen.folder / RUN_STORE),
            "version": version.name if version else None,
            "as_of": version.as_of.isoformat() if version else None,
        }
    )
    return Made(archive.count, archive.size, version, frozen.syncs_are_whole)


@contextmanager
def _frozen(settings: Settings, publications: Publications, clock: Clock) -> Iterator[_Frozen]:
    home = files.make_folder(settings.home, private=True)
    folder = home / f".backup-{os.getpid()}.part"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        syncs_are_whole = _copy_store_and_syncs(settings, folder, clock)
        publications.freeze(folder / VERSIONS)
        yield _Frozen(home, folder, version_in(folder, home), syncs_are_whole)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def version_in(folder: Path, home: Path) -> Version | None:
    """The version that is current in a folder which is not yet, or no longer, the state folder that it is of."""
    version = Publications(folder, keep=1).current()
    return version and replace(version, folder=home / VERSIONS / version.name)


def _copy_store_and_syncs(settings: Settings, folder: Path, clock: Clock) -> bool:
    """Copy both as of one moment: the store holds the number of each sync's newest snapshot. False where they kept moving."""
    source, target = settings.home / SYNCS, folder / SYNCS
    for _ in range(LOOKS):
        for stale in (folder / RUN_STORE, target):
            shutil.rmtree(stale, ignore_errors=True) if stale.is_dir() else stale.unlink(missing_ok=True)
        before = _signature(source)
        copy_store(settings.run_store_url, folder / RUN_STORE)
        for path, name in _walk(source, source):
            _copy(path, target / name)
        if _signature(source) == before:
            return True
        clock.sleep(LOOK_SECONDS)
    return False


def _signature(folder: Path) -> list[tuple[str, int, int, int]]:
    found = []
    for path, name in _walk(folder, folder):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append((name, status.st_size, status.st_mtime_ns, status.st_ino))
    return found


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(path, to)
    except FileNotFoundError:  # replaced meanwhile: the signature tells
        to.unlink(missing_ok=True)


def _walk(folder: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """The regular files under a folder in their order, with their names; half-written ones are left out."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.is_file() and not path.is_symlink() and not name.endswith(".part"):
                yield path, path.relative_to(root).as_posix()


@contextmanager
def _opened(target: Path) -> Iterator[IO[bytes]]:
    if target == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    with files.beside(target) as temporary, _private(temporary) as stream:
        yield stream


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """A new file that only its owner reads: it holds customers' data."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        yield stream
