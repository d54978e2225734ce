"""What PostgreSQL is stricter about than SQLite, and what a store over a network needs: limits, so that nobody waits for ever."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, String, create_engine, event, text
from sqlalchemy.ext.compiler import compiles

DRIVER = "postgresql+psycopg"
NAMES = ("postgres", "postgresql")
CONNECT_SECONDS = 10
LOCK_SECONDS = 15
IDLE_SECONDS = 60  # in a transaction: a process that hangs there gives its locks back
SILENT_MILLISECONDS = 20_000  # what was sent and nobody acknowledges: the system itself waits a quarter of an hour
MIGRATING = 0x6E656F70  # the key of the lock that only one process holds while it makes or changes tables


@compiles(String, "postgresql")
def _without_length(_type: String, _compiler: Any, **_options: Any) -> str:
    """A length is a hint to people: SQLite holds nobody to it, and a long name must not end a run on the other engine."""
    return "TEXT"


def is_postgresql(url: URL) -> bool:
    """Whether a URL names PostgreSQL, by the name of its engine or of any of its drivers."""
    return url.drivername.split("+")[0] in NAMES


def with_driver(url: URL) -> URL:
    """The URL with the driver that comes with `neopulse[postgres]`, where it names none."""
    return url.set(drivername=DRIVER) if url.drivername in NAMES else url


def postgresql_engine(url: URL) -> Engine:
    """An engine whose connections give up in time and notice a server that is gone."""
    limits = f"-c lock_timeout={LOCK_SECONDS}s -c idle_in_transaction_session_timeout={IDLE_SECONDS}s"
    options = " ".join(filter(None, (str(url.query.get("options", "")), limits)))
    arguments = {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": SILENT_MILLISECONDS,
        "application_name": "neopulse",
        "options": options,
    }
    given = {name: value for name, value in arguments.items() if name == "options" or name not in url.query}
    engine = create_engine(url, pool_pre_ping=True, connect_args=given)
    event.listen(engine, "before_cursor_execute", _without_zero_bytes, retval=True)
    return engine


def lock_for_migration(connection: Connection) -> None:
    """Wait until no other process makes or changes the tables; the end of the transaction lets the next one in."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATING})


def _without_zero_bytes(
    _connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _executemany: bool
) -> tuple[str, Any]:
    """PostgreSQL takes no zero byte in a text: a broken row that a log line quotes must not end the run."""
    if isinstance(parameters, list):
        return statement, [_cleaned(row) for row in parameters]
    return statement, _cleaned(parameters)


def _cleaned(row: Any) -> Any:
    if isinstance(row, dict):
        return {
            name: value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
            for name, value in row.items()
        }
    return row
