"""Ending a run that is going on, wherever it runs: the wish is written into the run store, and its runner sees it there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, TransientError
from pipeline.runs import by_hand
from pipeline.runs.by_hand import SyncByHand
from pipeline.runs.records import Run, RunState
from pipeline.runs.store import RunStore

PATIENCE_SECONDS = 60.0  # a runner ends within ten seconds; one that is dead is found out within this time
LOOK_SECONDS = 0.5


def cancel(
    store: RunStore, run_id: int | None, who: str, *, clock: Clock, is_dead: Callable[[str], bool] = lambda _holder: False
) -> Run:
    """End the run that is going on, or the one of that number, and wait until it has ended; returns how.

    Raises ConfigurationError where no run is going on, or a sync by hand instead; PermanentError where that one is not;
    TransientError where it does not end in a minute.
    """
    store.reap(is_dead)
    wanted = run_id if run_id is not None else _going_on(store, clock.now()).id
    ask(store, wanted, who)
    until = clock.passed() + PATIENCE_SECONDS
    while (run := store.run(wanted)).state is RunState.RUNNING:
        if clock.passed() >= until:
            raise TransientError(
                f"Run {wanted} is asked to end and has not ended yet", where="the run store", next="neopulse status"
            )
        clock.sleep(LOOK_SECONDS)
        store.reap(is_dead)
    return run


def ask(store: RunStore, run_id: int, who: str) -> bool:
    """Write down who wants the run to end, in its row and in the audit; False where somebody did before.

    Raises PermanentError where the run is not going on.
    """
    asked = store.ask_to_cancel(run_id, who)
    if asked:
        store.audit(who, "cancel", f"run {run_id}", before=str(RunState.RUNNING), after="asked to end")
    return asked


def _going_on(store: RunStore, now: datetime) -> Run:
    run = store.latest()
    if run is not None and run.state is RunState.RUNNING:
        return run
    if (sync := by_hand.going_on(store, now)) is not None:
        raise _no_run(sync)
    raise ConfigurationError("No run is going on", where="the run store", safe="Nothing was changed", next="neopulse status")


def _no_run(sync: SyncByHand) -> ConfigurationError:
    """A sync is not written down as a run, so nobody can leave it a wish: it ends by itself, or where it was begun."""
    told = f"{sync.sync}, asked for by {sync.who}" if sync.sync is not None else "begun at a command line"
    place = "where the worker is stopped" if sync.sync is not None else "with Ctrl+C in the terminal where it was begun"
    return ConfigurationError(
        f"No run is going on, but a sync by hand: {told}",
        where=f"held by {sync.holder} since {sync.since:%Y-%m-%d %H:%M:%S} UTC",
        safe="It is not disturbed, and nothing was changed",
        next=f"wait: it ends by itself, at the latest after the minutes of NEOPULSE_STEP_LIMIT_ACTIVATE; sooner {place}",
    )
