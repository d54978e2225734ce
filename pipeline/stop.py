"""The wish to end: signals only set a flag, and whoever works looks at it; or they end a short act in order."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Signals:
    """For the length of a `with` block the signals that end a process are told to `_told`, and afterwards to whoever had them."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._told) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _told(self, number: int, frame: FrameType | None) -> None:
        raise NotImplementedError


class Stop(_Signals):
    """Within the `with` block SIGTERM, Ctrl-C and a closed terminal become a wish; a second Ctrl-C ends at once."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted = False

    def is_wanted(self) -> bool:
        """Whether somebody wants this process to end."""
        return self._wanted

    def _told(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._wanted = True


class EndInOrder(_Signals):
    """Within the `with` block SIGTERM, Ctrl-C and a closed terminal end the process as an exception, so that it tidies up.

    For an act of minutes that asks nobody whether to go on. The exit code is that of a process which the signal ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended_by: int | None = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        if self._ended_by is not None and isinstance(error, Exception):  # what an engine makes of the exception below
            raise SystemExit(128 + self._ended_by) from error

    def _told(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._ended_by is not None and number != signal.SIGINT:
            return  # it is tidying up
        self._ended_by = number
        raise SystemExit(128 + number)
