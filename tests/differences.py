"""Where the figures of two answers differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chain import Figure


def differences(found: Mapping[Any, Figure], wanted: Mapping[Any, Figure]) -> list[str]:
    """Where two answers differ, at most ten; a figure of nothing may be a row or none."""
    keys = sorted(found.keys() | wanted.keys(), key=repr)
    differing = (f"{key}: {found.get(key)} is not {wanted.get(key)}" for key in keys if _differ(found.get(key), wanted.get(key)))
    return [text for text, _ in zip(differing, range(10), strict=False)]


def _differ(found: Figure | None, wanted: Figure | None) -> bool:
    if found is None or wanted is None:
        only = found or wanted
        return only is not None and bool(only.value or only.n)
    return not (
        close(found.value, wanted.value, 1e-12)
        and found.n == wanted.n
        and close(found.low, wanted.low, 1e-9)
        and close(found.high, wanted.high, 1e-9)
        and (found.final_on, found.provisional) == (wanted.final_on, wanted.provisional)
        and all(found.counts[name] == count for name, count in wanted.counts.items() if name in found.counts)
    )


def close(found: Any, wanted: Any, tolerance: float) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return bool(abs(float(found) - float(wanted)) <= tolerance * max(1.0, abs(float(wanted))))
