"""Tries a wheel as somebody would who has nothing else: `python scripts/try_wheel.py WHEEL [--constraints FILE]`.

A fresh environment, an empty folder that is no checkout, the demo bank, a figure, and the app, which has to draw its first page.
Needs no more than Python and a package index.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRANSACTIONS = 3000
START_SECONDS = 60


def main() -> None:
    """Install, run, ask, serve; end with the first thing that goes wrong."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="neopulse-wheel-") as folder, timed("all of it"):
        with timed("installed"):
            command = _install(arguments.wheel.resolve(), arguments.constraints, Path(folder) / "environment")
        empty = Path(folder) / "empty"
        empty.mkdir()
        _say_version(command, empty, arguments.wheel)
        with timed(f"demo of {TRANSACTIONS:,} transactions"):
            _run(command, "demo", "--no-app", "--transactions", str(TRANSACTIONS), folder=empty)
        _ask(command, empty)
        with timed("app drew its first page"):
            _serve(command, empty)


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--constraints", type=Path, help="versions to install")
    return parser.parse_args()


def _install(wheel: Path, constraints: Path | None, environment: Path) -> Path:
    venv.create(environment, with_pip=True)
    pip = (environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    pinned = ("-c", constraints.resolve()) if constraints else ()
    subprocess.run([*pip, *pinned, wheel], check=True)
    return environment / "bin" / "neopulse"


def _say_version(command: Path, folder: Path, wheel: Path) -> None:
    said = _run(command, "--version", folder=folder)
    assert said.strip().endswith(f" {wheel.name.split('-')[1]}"), said
    say(said.strip())


def _ask(command: Path, folder: Path) -> None:
    answer = json.loads(_run(command, "metric", "active_customers", "--format", "json", folder=folder))
    last = answer["rows"][-1]
    assert answer["version"] == "v0001", answer["version"]
    assert last["value"] > 0, last
    say(f"active customers on {last['date']}: {last['value']:g}")


def _serve(command: Path, folder: Path) -> None:
    port = _free_port()
    with subprocess.Popen([command, "app"], cwd=folder, env=_environment(NEOPULSE_PORT=str(port))) as app:
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/script-health-check", app)
        finally:
            app.terminate()


def _wait_for(address: str, app: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=START_SECONDS) as answer:
                assert answer.status == 200, answer.status
                return
        except OSError:
            if app.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: Path, *words: str, folder: Path) -> str:
    return subprocess.run([command, *words], cwd=folder, env=_environment(), check=True, stdout=subprocess.PIPE, text=True).stdout


def _environment(**own: str) -> dict[str, str]:
    """This one without neopulse's settings and without any other place where Python would look for packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NEOPULSE_", "PYTHON"))}
    return kept | own


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long a block took."""
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
