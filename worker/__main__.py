"""`python -m worker` works until told to end; `python -m worker --healthy` asks whether it does (exit 0 or 1)."""

from __future__ import annotations

import logging
import sys

from pipeline.clock import SystemClock
from pipeline.errors import NeopulseError
from pipeline.logs import LARGEST_BYTES, log_to_terminal, logging_to
from pipeline.pruning import prune
from pipeline.runner import Runner
from pipeline.runs.holders import Holders
from pipeline.runs.store import RunStore
from pipeline.settings import Settings, load
from pipeline.stop import Stop
from pipeline.warehouse import choice
from worker.health import Heart, Pulse, is_healthy, worker_name
from worker.healthz import HealthServer
from worker.loop import Loop
from worker.postman import postman
from worker.syncs import SyncsOnRequest
from worker.watch import Watch

FAULTS = "worker-faults.log"
PROBE = "--healthy"

_log = logging.getLogger("worker")


def main(arguments: list[str]) -> int:
    """Work, or probe the worker of this machine; returns the exit code."""
    if arguments not in ([], [PROBE]):
        sys.stderr.write(f"Usage: python -m worker [{PROBE}]\n")
        return 2
    probing = arguments == [PROBE]
    try:
        settings, clock = load(), SystemClock()
        store = RunStore.open(settings.run_store_url, clock=clock)
        if probing:
            return 0 if is_healthy(store, worker_name(), clock.now()) else 1
        _work(settings, store, clock)
    except NeopulseError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1 if probing else error.exit_code  # Docker knows no other answer of a probe than 0 and 1
    except Exception as error:  # a traceback that Python prints by itself is not masked
        _log.critical("the worker ends for a fault that nobody foresaw: %s", type(error).__name__, exc_info=error)
        return 1
    return 0


def _work(settings: Settings, store: RunStore, clock: SystemClock) -> None:
    publications = choice.publications(settings)
    holders = Holders.of(settings.home)
    runner = Runner(settings=settings, store=store, publications=publications, clock=clock, holders=holders)
    pulse = Pulse()

    def upkeep() -> None:
        prune(settings, store, publications, clock)

    log_to_terminal(settings.log_format)
    with (
        Stop() as stop,
        logging_to(settings.home / "logs" / FAULTS, level=logging.ERROR, largest_bytes=LARGEST_BYTES),
        Heart(store, pulse, clock=clock),
        Watch(settings, store, publications, clock),
        health_server(settings, store, pulse, clock),
    ):
        loop = Loop(
            settings=settings,
            store=store,
            runner=runner,
            clock=clock,
            pulse=pulse,
            is_dead=holders.is_dead,
            is_to_end=stop.is_wanted,
            postman=postman(settings, store, clock, is_to_end=stop.is_wanted),
            syncs=SyncsOnRequest(settings, store, clock, publications, holders),
            upkeep=upkeep,
        )
        _log.info("the worker began: by the schedule, and on request")
        loop.start(was_published=publications.readable_current() is not None)
        loop.run()
        _log.info("the worker was told to end, and ends")


def health_server(settings: Settings, store: RunStore, pulse: Pulse, clock: SystemClock) -> HealthServer:
    """What answers GET /healthz, where a port is set."""
    port = settings.health_port or None
    return HealthServer(store, pulse, clock=clock, name=worker_name(), address=settings.health_address, port=port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
