"""The worker's loop: what is due by the schedule and what waits to be delivered, then what was asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import schedule

from pipeline.clock import Clock
from pipeline.runs.leases import LeaseHeldError
from pipeline.runs.records import Doing, Request, ScheduleRow
from pipeline.runs.requests import SYNC
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from worker import jobs
from worker.health import Pulse
from worker.safety import safely

TURN_SECONDS = 1.0
SCHEDULE_SECONDS = 2
REAP_SECONDS = 10
POST_SECONDS = 5
UPKEEP_SECONDS = 3600  # by the hour, so that a worker that is started anew each day gets to it

_log = logging.getLogger(__name__)


class Delivers(Protocol):
    """Who delivers what waits: worker.postman.Postman."""

    def deliver_next(self) -> None:
        """Try one message, if one is due."""


class Loop:
    """Turns until told to end; one turn does what is due and never raises."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: RunStore,
        runner: jobs.Executes,
        clock: Clock,
        pulse: Pulse,
        is_dead: Callable[[str], bool],
        is_to_end: Callable[[], bool],
        postman: Delivers,
        syncs: jobs.Syncs,
        upkeep: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._runner = runner
        self._clock = clock
        self._pulse = pulse
        self._is_dead = is_dead
        self._is_to_end = is_to_end
        self._postman = postman
        self._syncs = syncs
        self._upkeep = upkeep
        self._schedule = schedule.Scheduler()
        self._rows: Sequence[ScheduleRow] = ()
        self._waits_for: str | None = None
        self._turned_at = clock.now()

    def start(self, *, was_published: bool) -> None:
        """Close what a killed worker left, make up for missed slots, and set what is done again and again.

        `schedule` wakes the worker; which moments are due is worked out from the rows. Left to the library, a missed moment would
        be dropped, and the night after the clocks go forward would run twice.
        """
        self._reap()
        safely(lambda: jobs.seed(self._store, self._settings), _log)
        self._follow_the_schedule()
        safely(lambda: jobs.ask_for_first_version(self._store, was_published=was_published), _log)
        self._set_again()

    def _set_again(self) -> None:
        self._schedule.clear()
        self._schedule.every(SCHEDULE_SECONDS).seconds.do(self._follow_the_schedule)
        self._schedule.every(REAP_SECONDS).seconds.do(self._reap)
        self._schedule.every(POST_SECONDS).seconds.do(self._post)
        self._schedule.every(UPKEEP_SECONDS).seconds.do(self._keep_up)

    def run(self) -> None:
        """Turn about once a second until told to end."""
        while not self._is_to_end():
            self.turn()
            self._clock.sleep(TURN_SECONDS)

    def turn(self) -> None:
        """Do what is due, then the request that has waited longest."""
        self._pulse.turns += 1
        self._mind_the_clock()
        self._schedule.run_pending()
        safely(self._serve_next, _log)

    def _mind_the_clock(self) -> None:
        """After the machine's clock went back, the library would stand still until it is again where it was.

        It goes by what the clocks of the machine's zone show, which in autumn go back as well.
        """
        before, self._turned_at = self._turned_at, self._clock.now()
        if self._turned_at < before:
            _log.warning("the machine's clock went back from %s", before.isoformat(timespec="seconds"))
        if _shown(self._turned_at) < _shown(before):
            self._set_again()

    def _follow_the_schedule(self) -> None:
        """Read the rows, which a person may have edited, and serve what is due of them."""
        safely(self._read_and_ask, _log)

    def _read_and_ask(self) -> None:
        self._rows = self._store.schedules()
        if not self._is_to_end():
            jobs.ask_for_due(self._store, self._rows)
        self._pulse.next_run_at = jobs.next_run_at(self._rows, self._clock.now())

    def _reap(self) -> None:
        safely(lambda: jobs.reap(self._store, self._is_dead), _log)
        if not self._is_to_end():
            safely(lambda: jobs.take_up(self._store), _log)

    def _post(self) -> None:
        if not self._is_to_end():
            safely(self._postman.deliver_next, _log)

    def _keep_up(self) -> None:
        if not self._is_to_end():
            safely(self._upkeep, _log)

    def _serve_next(self) -> None:
        request = self._store.next_request()
        if request is None or self._is_to_end():
            return
        self._pulse.doing = Doing.RUNNING
        try:
            self._serve(request)
            self._waits_for = None
        except LeaseHeldError as held:
            if held.where != self._waits_for:
                _log.info("request %d waits: %s, %s", request.id, held.what, held.where)
            self._waits_for = held.where
        finally:
            self._pulse.doing = Doing.WAITING

    def _serve(self, request: Request) -> None:
        carry_out = self._syncs.carry_out if request.kind == SYNC else self._run
        jobs.serve(self._store, request, lambda: carry_out(request, is_to_end=self._is_to_end))

    def _run(self, request: Request, *, is_to_end: Callable[[], bool]) -> str:
        run = self._runner.execute(jobs.order_for(request), cancelled=is_to_end)
        return f"run {run.id} {run.state}"


def _shown(moment: datetime) -> datetime:
    """What the clocks of the machine's zone show at a moment."""
    return moment.astimezone().replace(tzinfo=None)
