"""The run store's connections: SQLite set up to be safe, any other engine as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError, ProgrammingError

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, TransientError
from pipeline.files import make_folder
from pipeline.runs.migrations import migrate

LOCK_WAIT_SECONDS = 15


class Database:
    """Short transactions on one engine."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._writing_engine = engine.execution_options(neopulse_writes=True)
        self._clock = clock

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with _clear_errors(self._engine.url), self._engine.begin() as connection:
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
        raise ConfigurationError(
            f"The run store cannot be opened: {error.orig}",
            where=_place(url),
            next="neopulse check, then mend NEOPULSE_RUN_STORE or NEOPULSE_HOME",
        ) from error
    return engine


def _bring_up_to_date(engine: Engine, clock: Clock) -> None:
    try:
        with engine.execution_options(neopulse_writes=True).begin() as connection:
            migrate(connection, clock.now())
    except (IntegrityError, ProgrammingError):
        # Two processes made the tables at once: PostgreSQL lets one of them win. What it made is there now.
        with engine.begin() as connection:
            migrate(connection, clock.now())


def _checked(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        # The address may hold a password: it is not repeated.
        raise ConfigurationError(
            "NEOPULSE_RUN_STORE is not an SQLAlchemy URL",
            where="NEOPULSE_RUN_STORE",
            next="leave it empty to keep the runs in NEOPULSE_HOME",
        ) from None
    if url.get_backend_name() == "sqlite" and url.database:
        make_folder(Path(url.database).parent)
    return url


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() != "sqlite":
            return create_engine(url, pool_pre_ping=True)
        engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_SECONDS})
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"No driver for the run store's engine {url.drivername} is installed",
            where="NEOPULSE_RUN_STORE",
            next="pip install 'neopulse[postgres]' for PostgreSQL",
        ) from error
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own late BEGIN would let two writers read the same state
    cursor = connection.cursor()
    # FULL: a commit survives a power cut. The store commits about once a second, so the price is small.
    for pragma in (f"busy_timeout={LOCK_WAIT_SECONDS * 1000}", "journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a read to a write would fail under load instead of waiting.
    writes = connection.get_execution_options().get("neopulse_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _clear_errors(url: URL) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise TransientError(
            f"The run store did not answer: {error.orig}",
            where=_place(url),
            next="free disk space or end what locks it; then try again",
        ) from error


def _place(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or "memory"
    return url.render_as_string(hide_password=True)
