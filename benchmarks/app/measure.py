"""One measurement of the app on a published bank: the screen of one reader, fifty readers at once, and a like page of a peer."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine, sessions
from benchmarks.app import readers
from benchmarks.app.screen import Screen, browser
from benchmarks.processes import PROJECT, bare_environment, usage
from benchmarks.questions import percentile

PARTS = ("load", "screen", "peer")
PAGE, LABEL = "activity", "Country"
READERS, THINK_SECONDS, LOAD_SECONDS = 50, 5.0, 25.0
AT_ONCE, SUSTAINED_SECONDS = 4, 10.0
WINDOWS = sessions.WINDOW_DAYS
PEER = PROJECT / "benchmarks" / "peers" / "plain_streamlit.py"

Say = Callable[[str], None]
Serve = Callable[[Path, int], AbstractContextManager[int]]


def measure(home: Path, *, say: Say, times: int, without: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """What was found, part by part, so that none is lost with the next; `times` is how often each thing is done on the screen."""
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "screen": lambda: _screen(home, times),
        "load": lambda: _load(home, sessions.app, PAGE),
        "peer": lambda: _peer(home, times),
    }
    for part in (part for part in PARTS if part not in without):
        before = machine.load()
        found = parts[part]() | {"load_of_the_machine": [before, machine.load()]}
        say(f"{part}: {found}")
        yield {"machine": machine.facts(), part: found}


def _screen(home: Path, times: int) -> dict[str, Any]:
    with _before(home, sessions.app) as screen:
        again = screen.opened_again(times=times)
        new = screen.opened_new(times=max(times // 2, 1))
        moved = {
            "filter on Overview": screen.filtered("", LABEL, times=times),
            "filter on Activity": screen.filtered(PAGE, LABEL, times=times),
            "slider on Activity": screen.slid(PAGE, times=times),
            "slider on Churn": screen.slid("churn", times=times),
        }
        switched = screen.switched(times=2 * times)
    every = [one for each in moved.values() for one in each]
    return {
        "moved": summary(every),
        **{name: summary(each) for name, each in moved.items()},
        "switched": summary(switched),
        "opened_again": summary(again),
        "opened_new": summary(new),
    }


def _peer(home: Path, times: int) -> dict[str, Any]:
    with _before(home, plain_streamlit) as screen:
        again, new = screen.opened_again(times=times), screen.opened_new(times=max(times // 2, 1))
        moved = screen.filtered("", LABEL, times=times) + screen.slid("", times=times)
    told = {"moved": summary(moved), "opened_again": summary(again), "opened_new": summary(new)}
    return told | _load(home, plain_streamlit, "")


def _load(home: Path, serve: Serve, page: str) -> dict[str, Any]:
    """Fifty readers who think, first with nothing kept of what they ask, then again; and a few who do not think."""
    port = sessions.free_port()
    with serve(home, port) as process:
        with readers.reading(port, page, 1) as (first,):
            first.slide(WINDOWS[1])
            alone = usage(process)[0]
            with readers.reading(port, page, READERS) as tabs:
                together = usage(process)[0]
                rounds = [
                    readers.thinking(tabs, seconds=LOAD_SECONDS, think_seconds=THINK_SECONDS, moves=_any_window) for _ in range(2)
                ]
        with readers.reading(port, page, AT_ONCE) as tabs:
            before = usage(process)[1]
            reruns = readers.sustained(tabs, seconds=SUSTAINED_SECONDS, moves=_few_windows)
            spent = usage(process)[1] - before
        after = usage(process)[0]
    return {
        "thinking_first": summary([1000 * one for one in rounds[0]]),
        "thinking": summary([1000 * one for one in rounds[1]]),
        "reruns_per_second": len(reruns) / SUSTAINED_SECONDS,
        "processor_ms_per_rerun": 1000 * spent / max(len(reruns), 1),
        "memory_alone_mb": alone,
        "memory_per_session_mb": (together - alone) / READERS,
        "memory_mb": after,
    }


def _any_window(draw: Any) -> int:
    return int(draw.randint(*WINDOWS))


def _few_windows(draw: Any) -> int:
    return int(draw.choice((30, 60, 90, 120, 180)))


def summary(milliseconds: Sequence[float]) -> Mapping[str, float]:
    """How many, the median, and what 95 of a hundred stay below."""
    if not milliseconds:
        return {"n": 0}
    return {
        "n": len(milliseconds),
        "p50_ms": statistics.median(milliseconds),
        "p95_ms": percentile(milliseconds, 0.95),
        "max_ms": max(milliseconds),
    }


@contextmanager
def _before(home: Path, serve: Serve) -> Iterator[Screen]:
    port = sessions.free_port()
    with serve(home, port), browser() as opened:
        yield Screen(opened, f"http://127.0.0.1:{port}")


@contextmanager
def plain_streamlit(home: Path, port: int) -> Iterator[int]:
    """The process number of the peer's page, served as Streamlit serves by default."""
    options = ("--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false")
    child = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(PEER), *options],
        cwd=home,  # away from the product's own settings of Streamlit
        env=bare_environment() | {"NEOPULSE_HOME": str(home), "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with sessions.ending(child):
        sessions.wait_until_healthy(child, port)
        yield child.pid
