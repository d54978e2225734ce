"""Whether a lease ran out, where clocks jump and machines differ: its time is over, and nobody renewed it while we looked on."""

from __future__ import annotations

from datetime import datetime

from pipeline.clock import Clock

# Twice the time after which a living holder renews (pipeline/runs/keeper.py), as this process' own time passes.
LOOK_ON_SECONDS = 20.0


class Sightings:
    """What this process has seen of the lease, and since when; threads may ask at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: tuple[int, datetime] | None = None
        self._since = 0.0

    def is_over(self, token: int, expires_at: datetime) -> bool:
        """Whether the lease of that token, whose time ends then, ran out; each call counts as a look.

        A clock alone does not say so: it may have been set on, or that of the holder's machine may be behind.
        """
        passed = self._clock.passed()
        if self._seen != (token, expires_at):
            self._seen, self._since = (token, expires_at), passed
        return expires_at <= self._clock.now() and passed - self._since >= LOOK_ON_SECONDS
