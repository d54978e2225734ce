"""The wish to end: signals only set a flag, and whoever works looks at it; or they end a short act in order."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stop:
    """Within the `with` block SIGTERM, Ctrl-C and a closed terminal become a wish; a second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self._wanted = False
        self._before: dict[signal.Signals, Any] = {}

    def is_wanted(self) -> bool:
        """Whether somebody wants this process to end."""
        return self._wanted

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._want) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _want(self, number: int, _frame: FrameType | None) -> None:
        if self._wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._wanted = True


class EndInOrder:
    """Within the `with` block SIGTERM, Ctrl-C and a closed terminal end the process as an exception, so that it tidies up.

    For an act of minutes that asks nobody whether to go on. The exit code is that of a process which the signal ended.
    """

    def __init__(self) -> None:
        self._told: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> EndInOrder:
        self._before = {number: signal.signal(number, self._end) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._told is not None and isinstance(error, Exception):  # what an engine makes of the exception below
            raise SystemExit(128 + self._told) from error

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self._told is not None and number != signal.SIGINT:
            return  # it is tidying up
        self._told = number
        raise SystemExit(128 + number)
