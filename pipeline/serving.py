"""The app and the worker as processes: their commands, their environment, and both together for the demo."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from datetime import time as time_of_day
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from pipeline.addresses import is_loopback_host
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.files import make_folder
from pipeline.secret_files import SUFFIX
from pipeline.settings import PREFIX, PROJECT, Settings

READY_SECONDS = 60.0
END_SECONDS = 10.0
APP = PROJECT / "streamlit_app" / "server.py"
WORKER = ("worker",)
ORDERLY = "pipeline.orderly"
# glibc gives many threads an arena each and Arrow keeps a pool of its own; what one of them frees, no other may use.
SPARING = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}


def app_command(settings: Settings) -> tuple[str, ...]:
    """The module and arguments that serve the app."""
    return (
        *("streamlit", "run", str(APP)),
        *("--server.address", settings.address),
        *("--server.port", str(settings.port)),
        *("--server.headless", "true"),
        *("--server.fileWatcherType", "none"),
        *("--browser.gatherUsageStats", "false"),
        *("--server.scriptHealthCheckEnabled", "true"),
        # else a page of that name opens no connection where a proxy asks by another one
        *(("--browser.serverAddress", urlsplit(settings.oidc_public_url).hostname or "") if settings.oidc_public_url else ()),
    )


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a child: exactly these settings, wherever it is started from."""
    by_file = settings.secret_files
    given = {PREFIX + name.upper(): _as_text(getattr(settings, name)) for name in Settings.model_fields}
    for name in Settings.secret_names():
        variable = PREFIX + name.upper()
        given |= {variable: "", variable + SUFFIX: str(by_file[name])} if name in by_file else {variable + SUFFIX: ""}
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**others, **given}


def app_environment(settings: Settings) -> dict[str, str]:
    """That of the app: a thread a session takes little memory, unless the environment says otherwise."""
    # Streamlit would collect garbage after each rerun: most of a rerun's time on a page of charts.
    return {**SPARING, **environment(settings), "STREAMLIT_RUNNER_POST_SCRIPT_GC": "false"}


def _as_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(value)
        case date() | time_of_day():
            return value.isoformat()
    return str(value)


def become(module: Sequence[str], environment: Mapping[str, str]) -> None:
    """Turn this process into that module; signals then reach it directly."""
    os.chdir(PROJECT)
    os.execve(sys.executable, [sys.executable, "-m", *module], environment)


def check_address(settings: Settings) -> None:
    """Raise ConfigurationError where the app may not listen, or cannot, at the set address and port."""
    _refuse_strangers(settings)
    try:
        places = socket.getaddrinfo(settings.address, settings.port, type=socket.SOCK_STREAM)
        faults = [fault for place in places if (fault := _fault_of(place))]
    except OSError as error:
        raise _cannot_listen(settings, error) from error
    in_use = [fault for fault in faults if fault.errno == errno.EADDRINUSE]
    if in_use or len(faults) == len(places):
        raise _cannot_listen(settings, (in_use or faults)[0])


def _fault_of(place: Any) -> OSError | None:
    family, kind, protocol, _, address = place
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _refuse_strangers(settings: Settings) -> None:
    if settings.signs_in or settings.behind_loopback or is_loopback_host(settings.address):
        return
    raise ConfigurationError(
        f"The app would answer to other machines at {settings.address}, and nobody has to sign in",
        where="NEOPULSE_ADDRESS",
        safe="Nothing was started",
        next="set NEOPULSE_ADDRESS=127.0.0.1, or NEOPULSE_BEHIND_LOOPBACK=true where only this machine reaches the port, "
        "or let people sign in (docs/sign-in.md)",
    )


def _cannot_listen(settings: Settings, error: OSError) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"Port {settings.port} is in use by another program",
            where=f"NEOPULSE_PORT={settings.port} on {settings.address}",
            safe="Nothing was started",
            next=f"end that program, or choose another port: NEOPULSE_PORT={settings.port + 1} and the same command",
        )
    return ConfigurationError(
        f"The app cannot listen on {settings.address} port {settings.port}: {error.strerror}",
        where="NEOPULSE_ADDRESS and NEOPULSE_PORT",
        safe="Nothing was started",
        next="set an address of this machine and a free port above 1023, then try again",
    )


def is_answering(settings: Settings) -> bool:
    """Whether an app answers at the set address."""
    return _answers(settings, "health", seconds=2)


def _draw_once(settings: Settings) -> None:
    """Let the app draw its first page for nobody: what the pages import is then there for the first visitor."""
    _answers(settings, "script-health-check", seconds=READY_SECONDS)


def _answers(settings: Settings, what: str, *, seconds: float) -> bool:
    host = "127.0.0.1" if settings.address in ("0.0.0.0", "localhost") else settings.address
    place = f"[{host}]" if ":" in host else host
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # HTTP_PROXY is for other machines than this one
    try:
        with opener.open(f"http://{place}:{settings.port}/_stcore/{what}", timeout=seconds) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def serve(settings: Settings, *, say: Callable[[str], None], is_to_end: Callable[[], bool]) -> None:
    """Serve the app and run the worker until told to end; both have ended when this returns.

    Raises PermanentError where one of them ends by itself.
    """
    if is_to_end():
        return
    with (
        _child("app", app_command(settings), app_environment(settings), settings) as app,
        _child("worker", WORKER, environment(settings), settings) as worker,
    ):
        children = {"app": app, "worker": worker}
        _wait(children, settings, lambda: is_to_end() or is_answering(settings), seconds=READY_SECONDS)
        if not is_to_end():
            threading.Thread(target=_draw_once, args=(settings,), daemon=True).start()
            say(f"neopulse is at {settings.app_address}   (Ctrl-C ends it)")
            _wait(children, settings, is_to_end)
        for child in children.values():
            child.terminate()  # both at once, so that ending takes as long as the slower one


def _wait(
    children: Mapping[str, subprocess.Popen[bytes]],
    settings: Settings,
    until: Callable[[], bool],
    *,
    seconds: float | None = None,
) -> None:
    deadline = None if seconds is None else time.monotonic() + seconds
    while not until():
        for name, child in children.items():
            if child.poll() is not None:
                raise _ended_by_itself(name, settings)
        if deadline is not None and time.monotonic() > deadline:
            raise _ended_by_itself("app", settings)
        time.sleep(0.2)


@contextmanager
def _child(
    name: str, command: Sequence[str], environment: Mapping[str, str], settings: Settings
) -> Iterator[subprocess.Popen[bytes]]:
    """A child whose words go to a log file; it has ended, one way or another, when the block has."""
    with _log_file(name, settings).open("wb") as words:
        child = subprocess.Popen(
            [sys.executable, "-m", "pipeline.tied", *command],
            stdin=subprocess.PIPE,  # never written to: it closes when this process dies, and the child then ends as well
            stdout=words,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal is for this process; it ends its children itself
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _log_file(name: str, settings: Settings) -> Path:
    return make_folder(settings.home / "logs", private=True) / f"{name}.log"


def _ended_by_itself(name: str, settings: Settings) -> PermanentError:
    path = _log_file(name, settings)
    last = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return PermanentError(
        f"The {name} ended or did not begin to answer" + (f": {last[0][:200]}" if last else ""),
        where=str(path),
        safe="The published version is untouched",
        next="read the log named above, then neopulse check",
    )
