"""Which target applies to what is on the screen, and how far a figure is from it in the direction that is good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.marts.activity import FLOWS
from pipeline.marts.headline import SHOWN
from pipeline.runs.targets import Target, segment
from streamlit_app.data import Question

# What the headline shows; of the flows the sum of 28 days is meant, of the churn rate the recognised one of a month.
METRICS = SHOWN
LESS_IS_GOOD = ("churned_customers", "monthly_churn_rate")
WITHOUT_WINDOW = ("mau", "stickiness")


@dataclass(frozen=True)
class Standing:
    """How a figure stands to its target: reached or not, and by how much, never below zero."""

    reached: bool
    distance: float


def window_of(metric: str, window: int | None) -> int | None:
    """The N that a target of a metric is bound to; None where N does not enter."""
    return None if metric in WITHOUT_WINDOW else window


def of(targets: Sequence[Target], metric: str, question: Question, *, published_window: int) -> Target | None:
    """The target of a metric for exactly the question's segment and window, where there is one."""
    asked, window = segment(question.where), window_of(metric, question.window or published_window)
    found = (each for each in targets if (each.metric, segment(each.where), each.window) == (metric, asked, window))
    return next(found, None)


def on_a_chart(
    targets: Sequence[Target], metrics: Sequence[str], question: Question, *, published_window: int
) -> tuple[Target, ...]:
    """The targets that a chart over time can carry: those of what its points are.

    The flows of 28 days are no points of any chart, and the effective clock's rate is another one than the target's.
    """
    if question.kind == "effective":
        return ()
    asked = (of(targets, metric, question, published_window=published_window) for metric in metrics if metric not in FLOWS)
    return tuple(found for found in asked if found is not None)


def standing(target: Target, value: float) -> Standing:
    """Reached is at most the target where less is good, at least the target else."""
    ahead = target.value - value if target.metric in LESS_IS_GOOD else value - target.value
    return Standing(reached=ahead >= 0, distance=abs(ahead))
