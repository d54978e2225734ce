"""What goes wrong in one act of the worker is logged, and keeps none of the others from being done."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pipeline.errors import NeopulseError


def safely(act: Callable[[], None], log: logging.Logger) -> None:
    """Do it, and log what goes wrong; what raised inside `schedule` would not be moved to its next slot and run on every turn."""
    try:
        act()
    except NeopulseError as error:
        log.warning("%s", error)
    except Exception as error:
        log.error("%s: %s", type(error).__name__, error, exc_info=error)
