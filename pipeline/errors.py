"""The error tree, ordered by how one recovers.

    NeopulseError
    ├── ConfigurationError    a setting or a call is wrong: mend it, then run again (exit 2)
    ├── DataError             the bank's data or a failed test: mend the data or the model (exit 1)
    ├── TransientError        worth trying again by itself: backoff, jitter, cap (exit 1)
    ├── PermanentError        trying again changes nothing: a person has to act (exit 1)
    ├── InterruptedRunError   the run was stopped or lost its lease: resume it (exit 1)
    └── HeldError             the candidate waits for an admin: approve or reject it (exit 3)

Every error says what happened, where, what is safe, and the next command to type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pipeline.masking import masked

# All but the line's end and the tab; and halves of letters, as Python reads a file's name that is not UTF-8: nothing takes them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def without_controls(text: str) -> str:
    """Words of somebody's files without what a terminal takes for an order, such as another title, and what no text can hold."""
    return _CONTROLS.sub("\ufffd", text)


class NeopulseError(Exception):
    """Something a person can act on.

    `what` is one sentence; `where` names the file, table, setting or service; `safe` says what still holds; `next`
    is the command to type. No secret gets into any of them, and nothing that a terminal would obey.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", safe: str = "", next: str = "") -> None:
        self.what, self.where, self.safe, self.next = (without_controls(masked(text)) for text in (what, where, safe, next))
        super().__init__(self.what)

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  {name}: {text}" for name, text in (("where", self.where), ("safe", self.safe), ("next", self.next)) if text]
        return "\n".join(lines)


class ConfigurationError(NeopulseError):
    """A setting, an argument or the environment is wrong."""

    kind = "configuration"
    exit_code = 2


class NotCopiedError(ConfigurationError):
    """A table of BigQuery that is too long for the copy that readers read; it is there, and can be read there."""


class OtherEditionError(ConfigurationError):
    """What the neopulse that published a version, an older or a newer one, did not put into it."""

    def __init__(self, what: str, version: str) -> None:
        super().__init__(what, where=version, safe="Nothing was read", next="neopulse run")
        self.version = version


class DataError(NeopulseError):
    """The data cannot be used as it is, or a test of it failed."""

    kind = "data"


class TransientError(NeopulseError):
    """The same call may work a moment later."""

    kind = "transient"


class PermanentError(NeopulseError):
    """Trying again would change nothing."""

    kind = "permanent"


class InterruptedRunError(NeopulseError):
    """The run was stopped, or another worker holds its lease now."""

    kind = "interrupted"


class HeldError(NeopulseError):
    """What the run made is whole but looks wrong: a person is to say whether it is published.

    `reasons` are those of pipeline/guard.py, in plain values; `replaced` names the candidates that waited until now.
    """

    kind = "held"
    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        reasons: Sequence[Mapping[str, Any]],
        replaced: Sequence[str] = (),
        where: str,
        safe: str,
        next: str,
    ) -> None:
        super().__init__(what, where=where, safe=safe, next=next)
        self.reasons = tuple(reasons)
        self.replaced = tuple(replaced)
