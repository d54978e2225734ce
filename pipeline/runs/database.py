"""The run store's connections: SQLite and PostgreSQL, both set up to be safe; what goes wrong there in our own errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Insert, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    NoSuchTableError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionError

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, NeopulseError, PermanentError, TransientError
from pipeline.files import make_folder
from pipeline.masking import MASK, SECRET_OPTIONS
from pipeline.runs.migrations import is_up_to_date, migrate
from pipeline.runs.postgresql import is_postgresql, lock_for_migration, postgresql_engine, with_driver
from pipeline.runs.sightings import Sightings

LOCK_WAIT_SECONDS = 15
ASK_AGAIN_SECONDS = 0.05
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)  # the low byte of an extended code


class StoreMovedError(PermanentError):
    """The file that is open is not the one at its place any more: what is written there nobody else reads."""


class Database:
    """Short transactions on one engine."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading_engine = _reading(engine)
        self._writing_engine = engine.execution_options(neopulse_writes=True)
        self._clock = clock
        self._sightings = Sightings(clock)
        self._file = _file(engine.url)
        self._opened_as = None if self._file is None else _identity(self._file)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @property
    def was_moved(self) -> bool:
        """Whether the file of an SQLite store was moved, deleted or replaced since it was opened."""
        return self._file is not None and _identity(self._file) != self._opened_as

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with _clear_errors(self._engine.url), self._reading_engine.begin() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with _clear_errors(self._engine.url), self._writing_engine.begin() as connection:
            yield connection


def open_engine(address: str, clock: Clock) -> Engine:
    """Connect to the run store at an SQLAlchemy URL and bring its tables up to date.

    Raises ConfigurationError where the URL is wrong, its driver is missing, or what lies there is no run store.
    """
    url = _checked(address)
    engine = _engine(url)
    try:
        _bring_up_to_date(engine, clock)
    except DBAPIError as error:
        if _is_damaged(error):
            raise _not_a_store(url, error) from error
        raise ConfigurationError(
            f"The run store cannot be opened: {error.orig}",
            where=_place(url),
            next="neopulse check, then mend NEOPULSE_RUN_STORE or NEOPULSE_HOME",
        ) from error
    return engine


def insert_once(connection: Connection, row: Insert) -> bool:
    """Insert a row unless its key is there; the key decides, so that two writers cannot both succeed."""
    try:
        with connection.begin_nested():
            connection.execute(row)
    except IntegrityError:
        return False
    return True


def is_damage(error: NeopulseError) -> bool:
    """Whether an error of a run store says that its file or its tables are broken, rather than newer, locked or out of reach."""
    cause = error.__cause__
    if isinstance(cause, NoSuchTableError):
        return True
    return isinstance(cause, DatabaseError) and (_is_damaged(cause) or "no such table" in str(cause.orig))


def _reading(engine: Engine) -> Engine:
    """What reads sees one moment of the store, however many queries it takes; SQLite does so by itself."""
    return engine.execution_options(isolation_level="REPEATABLE READ") if is_postgresql(engine.url) else engine


def _bring_up_to_date(engine: Engine, clock: Clock) -> None:
    """Make or change the tables where that is needed; who only reads waits for no writer."""
    with engine.begin() as connection:
        if is_up_to_date(connection):
            return
    with engine.execution_options(neopulse_writes=True).begin() as connection:
        lock_for_migration(connection)
        migrate(connection, clock.now())


def _checked(address: str) -> URL:
    try:
        url = with_driver(make_url(address))
    except ArgumentError:
        # The address may hold a password: it is not repeated.
        raise ConfigurationError(
            "NEOPULSE_RUN_STORE is not an SQLAlchemy URL",
            where="NEOPULSE_RUN_STORE",
            next="leave it empty to keep the runs in NEOPULSE_HOME",
        ) from None
    if url.get_backend_name() == "sqlite" and url.database:
        make_folder(Path(url.database).parent, private=True)
    return url


def _engine(url: URL) -> Engine:
    try:
        if is_postgresql(url):
            return postgresql_engine(url)
        if url.get_backend_name() != "sqlite":
            return create_engine(url, pool_pre_ping=True)
        engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_SECONDS})
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"No driver for the run store's engine {url.drivername} is installed",
            where="NEOPULSE_RUN_STORE",
            next="pip install -e '.[postgres]' in neopulse's folder, for PostgreSQL",
        ) from error
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    if path := _file(url):
        _hold_to_the_file(engine, path)
    return engine


def _file(url: URL) -> Path | None:
    """Where an SQLite store lies; None for a store elsewhere or in memory."""
    is_a_file = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(url.database) if is_a_file and url.database else None


def _hold_to_the_file(engine: Engine, path: Path) -> None:
    """A connection outlives its file: it would go on in one that was moved away or deleted, while others make a new one."""
    opened: list[tuple[int, int] | None] = []

    def check(*_: Any) -> None:
        if opened and _identity(path) != opened[0]:
            raise StoreMovedError(
                "The run store was moved, deleted or replaced while this process had it open",
                where=str(path),
                safe="The published versions, and the file that was moved away",
                next="put the file back or leave the new one, then start this process again",
            )

    def note(*_: Any) -> None:
        if not opened:
            opened.append(_identity(path))

    event.listen(engine, "do_connect", check)  # before a connection, which would make a file in its place
    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", check)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own late BEGIN would let two writers read the same state
    cursor = connection.cursor()
    # FULL: a commit survives a power cut. The store commits about once a second, so the price is small.
    cursor.execute(f"PRAGMA busy_timeout={LOCK_WAIT_SECONDS * 1000}")
    _write_ahead(cursor)
    for pragma in ("foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """SQLite refuses one of two who ask this of a new file at once, as each would wait for the other: that one asks again."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in LOCKED or time.monotonic() > deadline:
                raise
            time.sleep(ASK_AGAIN_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a read to a write would fail under load instead of waiting.
    writes = connection.get_execution_options().get("neopulse_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _clear_errors(url: URL) -> Iterator[None]:
    try:
        yield
    except (OperationalError, NoConnectionError) as error:
        raise _silent(url, error) from error
    except DatabaseError as error:
        if error.connection_invalidated or _is_read_only(error):  # the server went away, or it is a copy that takes over
            raise _silent(url, error) from error
        if not _is_damaged(error):
            raise
        raise PermanentError(
            f"The run store is damaged: {error.orig}",
            where=_place(url),
            safe="The published versions",
            next="neopulse restore FILE --force with the last backup",
        ) from error


def _not_a_store(url: URL, error: DBAPIError) -> ConfigurationError:
    name = Path(_place(url)).name
    return ConfigurationError(
        f"The run store cannot be opened: {error.orig}",
        where=_place(url),
        safe="The published versions and what readers see",
        next="neopulse restore FILE --force with the last backup; without one, end worker and app, "
        f"move {name} and {name}-* aside, then neopulse run: runs, audit, schedules, notes and targets begin anew",
    )


def _silent(url: URL, error: Exception) -> TransientError:
    return TransientError(
        f"The run store did not answer: {getattr(error, 'orig', None) or error}",
        where=_place(url),
        next="see whether the database server answers, then try again"
        if is_postgresql(url)
        else "free disk space or end what locks it; then try again",
    )


def _is_read_only(error: DatabaseError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "25006"


def _is_damaged(error: DBAPIError) -> bool:
    return any(told in str(error.orig) for told in ("malformed", "is not a database"))


def _place(url: URL) -> str:
    return (url.database or "memory") if url.get_backend_name() == "sqlite" else without_secrets(url)


def without_secrets(url: URL) -> str:
    """A database's URL as it may be shown: no password, neither in its place nor among the options."""
    shown = url.set(query={name: MASK if name in SECRET_OPTIONS else value for name, value in url.query.items()})
    return shown.render_as_string(hide_password=True)
