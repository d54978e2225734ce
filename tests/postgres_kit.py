"""Run stores on both engines: SQLite files, and schemas on a PostgreSQL server of the tests' own.

The server is Debian's (`apt install postgresql`). It listens on a socket in a temporary folder and nowhere else, and keeps
nothing: it is begun by the first test that asks for it and ended with the tests.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from pipeline.clock import Clock
from pipeline.runs.postgresql import with_driver
from pipeline.runs.store import RunStore

ENGINES = ("sqlite", "postgresql")
SYSTEM_USERS = ("postgres", "nobody")  # the server refuses to run as root
QUICK = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "200",
}
START_SECONDS = 60
OPENING = (
    "pipeline.runs.store import RunStore; from pipeline.clock import SystemClock; from pipeline.runs.leases import LeaseHeldError"
)


def programs() -> Path | None:
    """The folder of the server's programs, of the newest release that is installed."""
    releases = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    on_path = shutil.which("initdb")
    return releases[-1].parent if releases else Path(on_path).parent if on_path else None


@dataclass
class PostgreSQL:
    """A server from which each test gets a schema of its own: quicker than a database, and as far from all others."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self) -> str:
        """The URL of a new schema without any table, as NEOPULSE_RUN_STORE takes it."""
        name = f"test_{next(self.numbers)}"
        place = f"postgresql://neopulse@/postgres?host={self.folder}"
        engine = plain_engine(place)
        with engine.begin() as connection:
            connection.execute(text(f"create schema {name}"))
        engine.dispose()
        return f"{place}&options=-csearch_path%3D{name}"


def plain_engine(url: str, **options: Any) -> Engine:
    """A run store's engine without anything that the product adds to it."""
    return create_engine(with_driver(make_url(url)), **options)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The server; a test that asks for it is skipped where it is not installed or cannot run, and fails where it was wanted."""
    bin_folder = programs()
    if bin_folder is None:
        _go_without("PostgreSQL is not installed: apt install postgresql")
    user = _server_user()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a socket has room for about a hundred letters
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        _run(user, bin_folder / "initdb", "-D", folder / "data", "-U", "neopulse", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = " ".join(f"-c {name}={value}" for name, value in QUICK.items())
        server = f"{options} -c listen_addresses= -c unix_socket_directories={folder}"
        log = folder / "server.log"
        _run(user, bin_folder / "pg_ctl", "-D", folder / "data", "-l", log, "-o", server, "-w", "-t", START_SECONDS, "start")
        yield PostgreSQL(folder)
        _run(user, bin_folder / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=ENGINES)
def run_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a run store may be opened; a test that asks for it runs once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'run_store.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.url()


def at_once(act: str, url: str, *, processes: int) -> list[str]:
    """What that many processes print that do the same with a store's URL, all let go at one moment, when each has loaded."""
    code = f"import sys; from {OPENING}; print('ready', flush=True); sys.stdin.readline(); url = sys.argv[1]\n{act}"
    begun = [
        subprocess.Popen([sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in begun:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in begun:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return sorted(process.communicate(timeout=60)[0].strip() for process in begun)


@pytest.fixture(params=ENGINES)
def on_each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that uses this runs once with its run stores where it puts them and once with all of them on PostgreSQL."""
    if request.param == "postgresql":
        _put_on_postgresql(request.getfixturevalue("postgresql"), monkeypatch)


@pytest.fixture(autouse=True)
def run_stores_where_they_are_wanted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test-postgres` runs every test with its run stores on PostgreSQL."""
    chooses_itself = "run_store_url" in request.fixturenames or request.node.get_closest_marker("on_a_file")
    if _is_wanted() and not chooses_itself:
        _put_on_postgresql(request.getfixturevalue("postgresql"), monkeypatch)


def _put_on_postgresql(server: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, opening = dict[str, str](), RunStore.open

    def open_there(url: str, *, clock: Clock) -> RunStore:
        if url not in opened:
            opened[url] = server.url() if url.startswith("sqlite") else url
        return opening(opened[url], clock=clock)

    monkeypatch.setattr(RunStore, "open", open_there)


def _server_user() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next((known[name] for name in SYSTEM_USERS if name in known), None)
    if user is None:
        _go_without("PostgreSQL does not run as root, and there is no other user here")
    return user


def _is_wanted() -> bool:
    return os.environ.get("TESTS_RUN_STORE") == "postgresql"


def _go_without(why: str) -> NoReturn:
    """A test run that asked for PostgreSQL must not pass without it."""
    (pytest.fail if _is_wanted() else pytest.skip)(why)


def _run(user: pwd.struct_passwd | None, *command: object) -> None:
    identity = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd="/",
        stdout=subprocess.DEVNULL,  # a pipe would be kept open by the server, and reading it would not end
        stderr=subprocess.STDOUT,
        check=False,
        timeout=2 * START_SECONDS,
        **identity,  # type: ignore[arg-type]
    )
    if ended.returncode:
        pytest.fail(f"PostgreSQL is installed and cannot be started: {Path(str(command[0])).name} ended with {ended.returncode}")
