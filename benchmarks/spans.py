"""Stretches of time as pairs of seconds, laid side by side."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[float, float]


def union(spans: Iterable[Span]) -> list[Span]:
    """The time covered by any of the spans, as spans that do not touch."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def length(spans: Iterable[Span]) -> float:
    """How much time the spans cover together."""
    return sum(end - begin for begin, end in union(spans))


def without(some: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """The time covered by the first and not by the others."""
    left = union(some)
    for begin, end in union(others):
        left = [
            part for span in left for part in ((span[0], min(span[1], begin)), (max(span[0], end), span[1])) if part[0] < part[1]
        ]
    return left
