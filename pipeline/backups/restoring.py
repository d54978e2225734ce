"""`neopulse restore`: a backup is unpacked beside the state and proven whole; only then it takes the state's place.

var/.restore-12.part/                    what is being unpacked; removed when anything about it is wrong
var/.before-restore-20261126T021500Z/    what was there before, where --force put a backup in its place
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import make_url

from pipeline import files
from pipeline.backups.archive import DamagedBackupError, unpack
from pipeline.backups.making import RUN_STORE, STANDARD_OUTPUT, VERSIONS, version_in
from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError, PermanentError
from pipeline.runs.copies import bring_up_to_date, check_copy, copy_store, fill_postgresql, has_history
from pipeline.runs.database import is_damage
from pipeline.runs.postgresql import is_postgresql
from pipeline.runs.records import WORKER_SILENT, Lease
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.warehouse.publication import Version

ASIDE = ".before-restore-"
IGNORED = ("lost+found",)  # of a file system of its own


@dataclass(frozen=True)
class Restored:
    """What was restored, and where the state of before lies now, if there was one."""

    made_at: str
    version: Version | None
    aside: Path | None

    @property
    def in_words(self) -> str:
        """What a person wants to know of it."""
        version = self.version
        what = f"version {version.name}, as of {version.as_of}, is current" if version else "no version was published then"
        kept = f"; what was there before is in {self.aside}" if self.aside else ""
        return f"the state of {self.made_at} is back: {what}{kept}"


def restore(settings: Settings, source: Path, *, force: bool, clock: Clock) -> Restored:
    """Put the state of a backup in its place; `-` is the standard input.

    Raises DamagedBackupError where the file is no whole backup and ConfigurationError where there is a state already and not
    `force`, or somebody works on it: then nothing was changed.
    """
    home, was_there = settings.home, settings.home.exists()
    files.make_folder(home, private=True)
    try:
        _refuse_a_state(settings, clock, force=force)
        with _unpacked(home, source) as (folder, manifest):
            version = _checked(folder, settings, clock, where=str(source))
            aside = _put_in_place(folder, settings, clock)
    except OSError as error:
        raise PermanentError(
            f"The backup could not be restored: {error.strerror or error}",
            where=str(error.filename or source),
            safe="The backup file, and what was there before",
            next="free disk space or mend the place, then the same command",
        ) from error
    finally:
        if not was_there:
            with suppress(OSError):
                home.rmdir()  # only where nothing came into it
    return Restored(manifest["made_at"], version, aside)


def _refuse_a_state(settings: Settings, clock: Clock, *, force: bool) -> None:
    entries = _entries(settings.home)
    store_file = _store_file(settings)
    if not force and (entries or (store_file is not None and store_file.exists())):
        raise _occupied(str(settings.home if entries else store_file))
    if store_file is None or store_file.exists():
        if not force and store_file is None and has_history(settings.run_store_url, clock):
            raise _occupied("NEOPULSE_RUN_STORE")
        _refuse_the_living(settings, clock)


def _occupied(where: str) -> ConfigurationError:
    return ConfigurationError(
        "There is a state already",
        where=where,
        safe="Nothing was changed",
        next="name an empty NEOPULSE_HOME, or add --force: what is there is then kept aside",
    )


def _refuse_the_living(settings: Settings, clock: Clock) -> None:
    """A worker would go on writing into the files of before."""
    try:
        lease, beating = _living(settings, clock)
    except NeopulseError as error:
        if is_damage(error):
            return  # what is broken is what a restore is for
        raise ConfigurationError(
            f"Nobody can tell whether somebody works on the state that is there: {error.what}",
            where=error.where,
            safe="Nothing was changed",
            next="end worker and app and move that state out of the way, or mend what is told here; then the same command",
        ) from error
    if lease is not None or beating is not None:
        raise ConfigurationError(
            "A run is going on" if lease else f"The worker {beating} is alive",
            where=lease.holder if lease else "the run store",
            safe="Nothing was changed",
            next="end worker and app, then the same command; a worker that was killed counts as alive "
            f"for {WORKER_SILENT.seconds} seconds more",
        )


def _living(settings: Settings, clock: Clock) -> tuple[Lease | None, str | None]:
    """The lease of a run that is going on, and the name of a worker that beats."""
    store = RunStore.open(settings.run_store_url, clock=clock)
    try:
        store.look_on()
        now = clock.now()
        return store.lease(), next((worker.name for worker in store.workers() if worker.is_alive(now)), None)
    finally:
        store.close()


@contextmanager
def _unpacked(home: Path, source: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    folder = home / f".restore-{os.getpid()}.part"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        with _opened(source) as stream:
            manifest = unpack(stream, folder, where=str(source))
        yield folder, manifest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    if source == STANDARD_OUTPUT:
        yield sys.stdin.buffer
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise ConfigurationError(
            f"The backup cannot be read: {error.strerror}",
            where=str(source),
            safe="Nothing was changed",
            next="name a backup file",
        ) from error
    with stream:
        yield stream


def _checked(folder: Path, settings: Settings, clock: Clock, *, where: str) -> Version | None:
    """What is proven beyond the sums: the store opens and is brought up to date, and the current version is there."""
    store = folder / RUN_STORE
    if not store.exists():
        raise DamagedBackupError("it holds no run store", where=where)
    check_copy(store)
    bring_up_to_date(store, clock)
    try:
        return version_in(folder, settings.home)
    except PermanentError as error:
        raise DamagedBackupError(error.what, where=where) from error


def _put_in_place(folder: Path, settings: Settings, clock: Clock) -> Path | None:
    """Put aside what is there, then move in what was unpacked: the versions before the store that knows of them."""
    home, store_file = settings.home, _store_file(settings)
    aside = home / f"{ASIDE}{clock.now():%Y%m%dT%H%M%SZ}"
    _flush_all(folder)
    put_aside = _put_aside(home, aside, store_file)
    if store_file is None:
        if has_history(settings.run_store_url, clock):
            aside.mkdir(exist_ok=True)
            copy_store(settings.run_store_url, aside / RUN_STORE)
            put_aside = True
        fill_postgresql(settings.run_store_url, folder / RUN_STORE, clock)
        (folder / RUN_STORE).unlink()
    for path in sorted(folder.iterdir(), key=lambda path: (path.name == RUN_STORE, path.name != VERSIONS, path.name)):
        _move(path, store_file if store_file is not None and path.name == RUN_STORE else home / path.name)
    files.flush(home)
    return aside if put_aside else None


def _put_aside(home: Path, aside: Path, store_file: Path | None) -> bool:
    there = _entries(home)
    if store_file is not None and store_file.parent != home:
        there += [path for path in _with_journals(store_file) if path.exists()]
    if there:
        aside.mkdir()
        for path in there:
            _move(path, aside / path.name)
        files.flush(aside)
        files.flush(home)
    return bool(there)


def _move(path: Path, to: Path) -> None:
    files.make_folder(to.parent)
    shutil.move(path, to)  # a rename, or a copy where the run store lies on another disk
    files.flush(to.parent)


def _entries(home: Path) -> list[Path]:
    """What makes a state folder not empty: neither what restores of before kept aside nor what was left half made."""
    entries = sorted(home.iterdir()) if home.is_dir() else []
    return [path for path in entries if path.name not in IGNORED and not path.name.startswith(ASIDE) and path.suffix != ".part"]


def _store_file(settings: Settings) -> Path | None:
    """The file of an SQLite store; None where the store is PostgreSQL's."""
    url = make_url(settings.run_store_url)
    return None if is_postgresql(url) else Path(str(url.database)).absolute()


def _with_journals(store_file: Path) -> list[Path]:
    return [store_file, *(store_file.with_name(store_file.name + end) for end in ("-wal", "-shm"))]


def _flush_all(folder: Path) -> None:
    for place, _, _ in os.walk(folder):
        files.flush(Path(place))
