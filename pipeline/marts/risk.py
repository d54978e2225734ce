"""Who is likely to fall silent for N days, and how right such probabilities have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigurationError
from pipeline.marts import tables
from pipeline.marts.customers import Page
from pipeline.marts.question import CUSTOMER_DIMENSIONS, Question, Where, one_of, scope
from pipeline.warehouse.base import ReadOnly

BANDS = ("silence_band", "frequency_band", "tenure_band")
_ORDER: Mapping[str, str] = {
    "silence_band": "min(days_silent)",
    "frequency_band": "min(active_days_in_90)",
    "tenure_band": "min(tenure_days)",
}

# The ends of the interval are means too: the customers of a cell share its estimate, so that its error does not average out.
_RISK = """
select
    as_of as date, {by}
    avg(silence_probability) as value,
    count(*) as n,
    avg(silence_probability_low) as low,
    avg(silence_probability_high) as high,
    sum(silence_probability) as expected_customers,
    as_of as final_on,
from marts.mart_silence_risk
where {condition}
group by all
order by {order}
"""

_RELIABILITY = """
select
    judged_on as date,
    printf('%.1f-%.1f', tenth / 10, (tenth + 1) / 10) as bin,
    observed_share as value,
    customers as n,
    observed_share_low as low,
    observed_share_high as high,
    expected_share as expected,
    final_on,
from marts.mart_silence_backtest
where judged_on = (select max(judged_on) from marts.mart_silence_backtest where judged_on >= $start and judged_on <= $end)
order by tenth
"""

_ERRORS = """
select
    judged_on as date,
    calibration_error as value,
    customers as n,
    calibration_error_by_chance as by_chance,
    expected_share as expected,
    observed_share as observed,
    brier_score,
    skill_over_base_rate,
    skill_over_silence_alone,
    final_on,
from marts.mart_silence_accuracy
where judged_on >= $start and judged_on <= $end
order by judged_on
"""
_SCORES = ("by_chance", "expected", "observed", "brier_score", "skill_over_base_rate", "skill_over_silence_alone")

# A version from before it has no such table; whose row it is stands in `listed`.
_HOLD_OUT = """
select
    judged_on as date,
    case when is_held_out then 'held_out' else 'to_be_called' end as listed,
    observed_share as value,
    customers as n,
    observed_share_low as low,
    observed_share_high as high,
    expected_share as expected,
    silent_customers as silent,
    final_on,
from marts.mart_silence_hold_out
where judged_on >= $start and judged_on <= $end
order by judged_on, listed
"""

_WARNINGS = """
select * exclude (as_of)
from marts.mart_silence_risk
where {condition} and silence_probability >= $at_least
order by silence_probability desc, amount_usd_in_90 desc, user_id
limit $limit
"""

_AT_STAKE = """
select
    count(*) as total,
    coalesce(sum(silence_probability), 0)::double as expected_customers,
    coalesce(sum(amount_usd_in_90), 0)::double as amount_usd_in_90,
from marts.mart_silence_risk
where {condition} and silence_probability >= $at_least
"""


@dataclass(frozen=True)
class Warned(Page):
    """A page of the list of early warnings, and of the whole list: how many are to be expected silent, and what is at stake.

    `expected_customers` is the sum of their probabilities, `amount_usd_in_90` what they moved in the last 90 days (US dollars).
    """

    expected_customers: float
    amount_usd_in_90: float


def silence_risk(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """The mean probability that an active customer has no active day in the N days after as_of.

    Columns beside the common ones: `date` (as_of), `expected_customers` (how many to expect silent). It can be split by
    a dimension or by a band of what it is read from; n counts the active customers. Final at once: what is expected of
    the days to come is a statement of as_of, and silence_calibration judges it later.
    """
    _refuse_other_windows(database, window, metric=question.metric)
    asked = scope(question)
    order = _ORDER.get(question.by or "", question.by or "date")
    table = database.query(_RISK.format(by=asked.columns, condition=asked.condition, order=order), dict(asked.parameters))
    return tables.finished(table, ["date", *asked.by], as_of=as_of, extra=["expected_customers"])


def silence_calibration(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """How past probabilities came out, as they were given from what was known on their day.

    Kind `reliability`, on the last day of the range whose N days are over: one row per `bin` of probability (`0.1-0.2`),
    the share that stayed silent beside the `expected` one. Kind `error`, on each such day: the calibration error, what
    chance alone would make of it (`by_chance`), the Brier score and its skill. Kind `hold_out`, on each such day, of who was
    on the list of early warnings: how many fell `silent` and what share that is, beside the `expected` one, for those
    `listed` as `held_out` and those `to_be_called`.
    """
    _refuse_other_windows(database, window, metric=question.metric)
    parameters = {"start": question.start or date.min, "end": question.end or as_of}
    if question.kind == "error":
        return tables.finished(database.query(_ERRORS, parameters), ["date"], as_of=as_of, extra=_SCORES)
    if question.kind == "hold_out":
        found = database.query(_HOLD_OUT, parameters)
        return tables.finished(found, ["date", "listed"], as_of=as_of, extra=["expected", "silent"])
    table = database.query(_RELIABILITY, parameters)
    return tables.finished(table, ["date", "bin"], as_of=as_of, extra=["expected"])


def early_warnings(
    database: ReadOnly,
    *,
    where: Where,
    at_least: float,
    limit: int,
    countries: tuple[str, ...] | None = None,
) -> Warned:
    """The active customers (of these countries) with a silence probability of at least `at_least`, the likeliest first.

    Total and sums are those of the whole list, never of the rows shown. Raises ConfigurationError for an unknown dimension.
    """
    for dimension, _ in where:
        one_of("dimension", dimension, (*CUSTOMER_DIMENSIONS, *BANDS), metric="silence_risk")
    asked = scope(Question("silence_risk", where=where, countries=countries))
    parameters: dict[str, Any] = dict(asked.parameters) | {"at_least": at_least}
    table = database.query(_WARNINGS.format(condition=asked.condition), parameters | {"limit": limit})
    (sums,) = database.query(_AT_STAKE.format(condition=asked.condition), parameters).to_pylist()
    return Warned(table, **sums)


def _refuse_other_windows(database: ReadOnly, window: int, *, metric: str) -> None:
    """The probabilities are learned in the run, for the window it was made with and for no other."""
    learned = int(database.query("select inactivity_days from warehouse.dim_publication")["inactivity_days"][0].as_py())
    if window != learned:
        raise ConfigurationError(
            f"{metric} is known for a window of {learned} days, not of {window}: it is learned from the past in each run",
            where="the question",
            next=f"ask without a window, or set NEOPULSE_INACTIVITY_DAYS={window}, then neopulse run",
        )
