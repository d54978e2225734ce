"""One run of the chain: take the lease, record, do the steps in order, try again what may pass, end cleanly."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from pipeline import steps as chain
from pipeline.clock import Clock
from pipeline.context import StepContext, StepResult
from pipeline.errors import ConfigurationError, HeldError, InterruptedRunError, NeopulseError, PermanentError, TransientError
from pipeline.files import is_disk_full
from pipeline.logs import EventLog, logging_to, logging_to_store, run_log
from pipeline.runs.holders import Holders
from pipeline.runs.keeper import LeaseKeeper, holding
from pipeline.runs.leases import lost
from pipeline.runs.records import Run, RunState, StepState
from pipeline.runs.store import RunStore
from pipeline.settings import Settings
from pipeline.sources.landing import MANIFEST
from pipeline.warehouse.held import HeldCandidates
from pipeline.warehouse.publication import Publications

FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 60.0
PROGRESS_EVERY_SECONDS = 1.0

# Which errors are worth another attempt by themselves. The others are not: a setting, the data or a service that refused
# stays as it is until somebody acts, and a run that is to end does not begin a step anew.
TRIED_AGAIN = (TransientError,)

_WHOLE = "Readers see the version before or the whole new one, never a mixture"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What a run is to do, and who asked for it."""

    trigger: str
    requested_by: str
    first_step: str = chain.STEPS[0]
    only_step: bool = False
    full_refresh: bool = False
    resumes: int | None = None
    request_id: int | None = None
    approves: int | None = None
    """The run whose held candidate is published instead of building one."""

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps to do, in their order."""
        first = chain.STEPS.index(self.first_step)
        return chain.STEPS[first : first + 1] if self.only_step else chain.STEPS[first:]


class Reporter:
    """Who tells a person how a run goes; this one keeps silent, the log has it all."""

    def run_started(self, run: Run) -> None:
        """A run began."""

    def step_progressed(self, step: str, fraction: float | None, text: str) -> None:
        """A step is that far, from 0 to 1."""

    def step_ended(self, step: str, result: StepResult, seconds: float) -> None:
        """A step did its work."""

    def step_failed(self, step: str, error: NeopulseError, again_in_seconds: float | None) -> None:
        """A step failed; it is tried again where a number of seconds is given."""


@dataclass(frozen=True)
class Runner:
    """Does runs, one at a time, whoever asks and however many processes there are."""

    settings: Settings
    store: RunStore
    publications: Publications
    clock: Clock
    holders: Holders
    reporter: Reporter = field(default_factory=Reporter)
    run_step: Callable[[str, StepContext], StepResult] = chain.run_step
    announce_failure: Callable[[StepContext, str, NeopulseError], None] = chain.announce_failure
    jitter: Callable[[], float] = random.random

    def execute(self, order: Order, *, cancelled: Callable[[], bool]) -> Run:
        """Do one run and return how it ended; its failure is in the record, not raised.

        Raises LeaseHeldError where another run is going on, ConfigurationError where the order cannot be carried out.
        """
        with holding(self.store, self.holders) as keeper:
            order = self._resolved(order)
            run = self.store.start_run(
                keeper.lease,
                trigger=order.trigger,
                requested_by=order.requested_by,
                plan=[(step, StepState.PENDING if step in order.steps else StepState.SKIPPED) for step in chain.STEPS],
                first_step=order.first_step,
                only_step=order.only_step,
                full_refresh=order.full_refresh,
                resumes=order.resumes,
                request_id=order.request_id,
                approves=order.approves,
            )
            with logging_to(run_log(self.settings.home, run.id)), logging_to_store(self.store, run.id) as event_log:
                return _Execution(self, run, keeper, event_log, cancelled).carry_out()

    def _resolved(self, order: Order) -> Order:
        """The order with what it takes over from the run that it resumes or whose candidate it publishes."""
        if order.approves is not None:
            HeldCandidates(self.publications).find(order.approves)
            return dataclasses.replace(order, first_step=chain.ON_A_VERSION[0], only_step=False, resumes=order.approves)
        if order.resumes is None:
            return order
        earlier = self.store.run(order.resumes)
        if not earlier.is_resumable or earlier.unfinished_step is None:
            raise ConfigurationError(
                f"Run {earlier.id} {earlier.state} and cannot be resumed",
                where="the run store",
                safe="Nothing was started",
                next="neopulse status, then neopulse run",
            )
        first_step = earlier.unfinished_step
        is_landed = (self.settings.home / "landing" / MANIFEST).exists()
        if first_step == "transform" and not (is_landed or earlier.only_step or earlier.approves):
            first_step = chain.STEPS[0]  # a restored home has nothing landed
        return dataclasses.replace(
            order,
            first_step=first_step,
            only_step=earlier.only_step,
            full_refresh=earlier.full_refresh,
            approves=earlier.approves,
        )


class _Execution:
    """One run under way."""

    def __init__(
        self, runner: Runner, run: Run, keeper: LeaseKeeper, event_log: EventLog, asked_to_end: Callable[[], bool]
    ) -> None:
        self._settings = runner.settings
        self._store = runner.store
        self._clock = runner.clock
        self._reporter = runner.reporter
        self._runner = runner
        self._run = run
        self._keeper = keeper
        self._event_log = event_log
        self._asked_to_end = asked_to_end
        self._step_ends_at: float | None = None

    def carry_out(self) -> Run:
        """Do the planned steps; returns the run as it ended."""
        planned = [step.name for step in self._run.steps if step.state is StepState.PENDING]
        _log.info("Run %d began (%s, %s): %s", self._run.id, self._run.trigger, self._run.requested_by, ", ".join(planned))
        self._reporter.run_started(self._run)
        for step in planned:
            self._event_log.step = step
            error = self._complete(step)
            if error is not None:
                return self._end_badly(step, error)
        _log.info("Run %d succeeded", self._run.id)
        return self._store.finish_run(self._keeper.lease, self._run.id, state=RunState.SUCCEEDED)

    def _complete(self, step: str) -> NeopulseError | None:
        """Do a step, again where its error may pass; returns the error that stays, if any."""
        error: NeopulseError | None = None
        attempts = self._settings.step_attempts
        self._step_ends_at = self._clock.passed() + self._settings.step_limit(step).total_seconds()
        for attempt in range(1, attempts + 1):
            error = self._attempt(step, attempt)
            if not isinstance(error, TRIED_AGAIN) or attempt == attempts:
                break
            seconds = backoff_seconds(attempt, jitter=self._runner.jitter())
            _log.warning("%s: attempt %d of %d failed, again in %.0f s: %s", step, attempt, attempts, seconds, error.what)
            self._reporter.step_failed(step, error, seconds)
            self._wait(seconds)
        return error

    def _attempt(self, step: str, attempt: int) -> NeopulseError | None:
        began = self._clock.passed()
        try:
            self._check()
            self._store.start_step(self._keeper.lease, self._run.id, step, attempt=attempt)
            _log.info("%s began", step)
            result = self._runner.run_step(step, self._context(step))
            self._record(step, result, self._clock.passed() - began)
        except KeyboardInterrupt:
            return _stopped(step)
        except InterruptedRunError as error:
            return self._reason() or error
        except NeopulseError as error:
            return error
        except Exception as error:
            return self._unexpected(step, error)
        return None

    def _record(self, step: str, result: StepResult, seconds: float) -> None:
        self._store.finish_step(
            self._keeper.lease,
            self._run.id,
            step,
            state=StepState.SUCCEEDED,
            service=result.service,
            rows_in=result.rows_in,
            rows_out=result.rows_out,
            detail=result.detail,
        )
        version = self._runner.publications.current() if step in chain.ON_A_VERSION else None
        if version is not None:
            self._store.set_version(self._keeper.lease, self._run.id, version=version.name, as_of=version.as_of)
        _log.info(
            "%s succeeded: %s, rows in %s, rows out %s, %.1f s", step, result.service, result.rows_in, result.rows_out, seconds
        )
        self._reporter.step_ended(step, result, seconds)

    def _end_badly(self, step: str, error: NeopulseError) -> Run:
        """Record the failure and announce it; whatever goes wrong while doing so never hides the failure itself."""
        self._step_ends_at = None  # the announcement has its own time
        ended, state, said = _ENDS.get(type(error), (StepState.FAILED, RunState.FAILED, "failed"))
        _log.error("%s %s: %s", step, said, error)
        self._reporter.step_failed(step, error, None)
        try:
            self._store.finish_step(self._keeper.lease, self._run.id, step, state=ended, error=str(error))
        except NeopulseError as second:
            _log.warning("The step's end could not be recorded: %s", second.what)
        run = self._store.finish_run(self._keeper.lease, self._run.id, state=state, error_kind=error.kind, error=str(error))
        if state is not RunState.INTERRUPTED:
            self._announce(step, error)
        return run

    def _announce(self, step: str, error: NeopulseError) -> None:
        try:
            self._runner.announce_failure(self._context(step), step, error)
        except Exception as second:
            _log.warning("The failure could not be announced: %s", second, exc_info=second)

    def _unexpected(self, step: str, error: Exception) -> NeopulseError:
        if is_disk_full(error):
            return TransientError(
                f"The disk is full: {error}",
                where=f"step {step}, {self._settings.home}",
                safe=self._runner.publications.in_words(),
                next=f"free disk space, then neopulse run --from {step}",
            )
        _log.error("%s failed in a way that nobody foresaw", step, exc_info=error)
        return PermanentError(
            f"{type(error).__name__} in step {step}: {error}",
            where=str(run_log(self._settings.home, self._run.id)),
            safe=self._runner.publications.in_words(),
            next=f"read the log named above, then neopulse run --from {step}",
        )

    def _context(self, step: str) -> StepContext:
        return StepContext(
            settings=self._settings,
            store=self._store,
            run=self._run,
            clock=self._clock,
            publications=self._runner.publications,
            progress=self._progress_of(step),
            cancelled=self._is_to_end,
            guard=self._guard,
        )

    def _progress_of(self, step: str) -> Callable[[float | None, str], None]:
        """What the step calls as often as it likes; the run store hears of it about once a second."""
        store_again_at = self._clock.passed()

        def progress(fraction: float | None, text: str) -> None:
            nonlocal store_again_at
            self._check()
            self._reporter.step_progressed(step, fraction, text)
            if self._clock.passed() >= store_again_at:
                store_again_at = self._clock.passed() + PROGRESS_EVERY_SECONDS
                with contextlib.suppress(TransientError):
                    self._store.progress(self._keeper.lease, self._run.id, step, fraction=fraction, text=text)

        return progress

    def _is_to_end(self) -> bool:
        return self._reason() is not None

    def _reason(self) -> NeopulseError | None:
        """Why the run has to end, as it is recorded; None where it may go on."""
        step = self._event_log.step
        if self._keeper.is_lost:
            return lost(self._keeper.lease)
        if self._keeper.cancelled_by is not None:
            return _stopped(step, by=self._keeper.cancelled_by)
        if self._asked_to_end():
            return _stopped(step)
        if self._step_ends_at is not None and self._clock.passed() >= self._step_ends_at:
            return _over_limit(step, self._settings.step_limit(step))
        return None

    def _check(self) -> None:
        """Raise InterruptedRunError where the run has to end."""
        reason = self._reason()
        if isinstance(reason, InterruptedRunError):
            raise reason
        if reason is not None:  # over its limit: to the step as if it was cancelled, so that it ends what it does elsewhere too
            raise _stopped(self._event_log.step) from reason

    def _guard(self) -> None:
        self._keeper.look()
        self._check()
        self._keeper.assert_held()

    def _wait(self, seconds: float) -> None:
        """Wait, but not beyond the wish to end."""
        until = self._clock.passed() + seconds
        while self._clock.passed() < until and not self._is_to_end():
            self._clock.sleep(min(0.5, seconds))


_ENDS = {
    InterruptedRunError: (StepState.INTERRUPTED, RunState.INTERRUPTED, "was interrupted"),
    HeldError: (StepState.HELD, RunState.HELD, "made a candidate that waits for approval"),
}


def backoff_seconds(attempt: int, *, jitter: float) -> float:
    """How long to wait after that attempt: doubling, capped, and spread by `jitter` (0 to 1) so that callers do not meet."""
    return min(FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), LONGEST_WAIT_SECONDS) * (0.5 + jitter / 2)


def _stopped(step: str, *, by: str | None = None) -> InterruptedRunError:
    return InterruptedRunError(
        "The run was stopped" if by is None else f"The run was cancelled by {by}",
        where=f"step {step}",
        safe=_WHOLE,
        next=f"neopulse run --from {step}",
    )


def _over_limit(step: str, limit: timedelta) -> PermanentError:
    """Permanent: what did not end in so long would take as long again, while every slot that comes due is skipped."""
    name = f"NEOPULSE_STEP_LIMIT_{step.upper()}"
    return PermanentError(
        f"The step {step} was ended: it took longer than {limit.total_seconds() / 60:,.0f} minutes",
        where=name,
        safe=_WHOLE,
        next=f"find out what it waited for, or raise {name}, then neopulse run --from {step}",
    )
