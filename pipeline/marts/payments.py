"""What customers pay: volumes, amounts kept from month to month, and payments without the card holder."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.marts import tables
from pipeline.marts.question import ConfinedError, Question, Scope, TogetherError, scope
from pipeline.warehouse.base import ReadOnly

TRANSACTION_DIMENSIONS = {"type": "transaction_type", "state": "transaction_state"}

_VOLUMES = """
select
    month, {by}
    sum({column})::double as value,
    last_day(month) as final_on,
from ({cube})
where {condition} and {completed} and month >= date_trunc('month', $start) and month <= $end
group by all
order by {by} month
"""

_VOLUME_CUBE = """
select cube.*, cube.transaction_type as type, cube.transaction_state as state{columns}
from marts.mart_transactions_monthly as cube
{join}
"""

_AMOUNT_RETENTION = """
select
    month, {by}
    sum({kept}) / nullif(sum(amount_before_usd), 0) as value,
    sum(customers)::bigint as n,
    sum(amount_before_usd) as amount_before_usd,
    last_day(month) as final_on,
from ({cube})
where month >= date_trunc('month', $start) and month <= $end
group by all
order by {by} month
"""

_CARD_NOT_PRESENT = """
select
    month, {by}
    sum({absent})::double / nullif(sum({known}), 0) as value,
    sum(payments_known)::bigint as n,
    sum(payments_not_present)::bigint as not_present,
    sum(payments_unknown)::bigint as unknown,
    final_on,
from marts.{mart}
where {condition} and month >= date_trunc('month', $start) and month <= $end
group by all
order by {by} month
"""


_CONCENTRATION = """
select
    month, {by}
    {value} as value,
    customers as n,
    ceil(customers * {percent} / 100)::bigint as top_customers,
    total,
    final_on,
from (select * exclude (segment_value), segment_value as country from marts.mart_concentration where segment = '{segment}')
where measure = $measure and {condition} and month >= date_trunc('month', $start) and month <= $end
order by {by} month
"""
_PRESENCE = {
    "count": ("payments_not_present", "payments_known"),
    "amount": ("amount_not_present_usd", "amount_known_usd"),
}
_SHARES = {"top_10": ("share_of_top_10_percent", 10), "top_1": ("share_of_top_1_percent", 1), "gini": ("gini", 100)}


def volumes(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Number of transactions, or their amount in USD, by month: completed ones unless the question is about states."""
    del window
    asked = scope(question)
    about_states = "state" in (question.by, *(name for name, _ in question.where))
    statement = _VOLUMES.format(
        by=asked.columns,
        cube=_volume_cube(asked),
        condition=asked.condition,
        column="transactions" if question.metric == "transactions" else "amount_usd",
        completed="true" if about_states else "state = 'COMPLETED'",
    )
    return tables.finished(database.query(statement, _parameters(question, as_of)), ["month", *asked.by], as_of=as_of)


def _volume_cube(asked: Scope) -> str:
    """The cube with the customers' dimensions that the question names beside those of the transactions."""
    of_customers = [dimension for dimension in asked.dimensions if dimension not in TRANSACTION_DIMENSIONS]
    join = "inner join warehouse.dim_segments as segments using (segment_id)" if of_customers else ""
    return _VOLUME_CUBE.format(columns="".join(f", segments.{column}" for column in of_customers), join=join)


def amount_retention(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """What the customers of the month before moved now, over what they moved then; gross counts no growth.

    n counts those customers. It is volume, not revenue.
    """
    del window
    asked = scope(question)
    kept = "amount_kept_usd" if question.kind == "gross" else "amount_after_usd"
    statement = _AMOUNT_RETENTION.format(by=asked.columns, cube=asked.joined("mart_amount_retention"), kept=kept)
    table = database.query(statement, _parameters(question, as_of))
    return tables.finished(table, ["month", *asked.by], as_of=as_of, extra=["amount_before_usd"])


def card_not_present_share(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Completed card and ATM payments with the holder absent over those where presence is known, by month.

    n counts the known payments, `unknown` the others; by amount there is no interval.
    """
    del window
    asked = scope(question)
    by_count = question.kind == "count"
    absent, known = _PRESENCE[question.kind or "count"]
    by_country = bool(question.by or question.where)
    statement = _CARD_NOT_PRESENT.format(
        by=asked.columns,
        condition=asked.condition,
        absent=absent,
        known=known,
        mart="mart_card_not_present_by_country" if by_country else "mart_card_not_present_global",
    )
    table = database.query(statement, _parameters(question, as_of))
    table = tables.with_wilson(table, "not_present") if by_count else table
    return tables.finished(table, ["month", *asked.by], as_of=as_of, extra=["not_present", "unknown"])


def concentration(database: ReadOnly, question: Question, *, window: int, as_of: date) -> pa.Table:
    """Which share of a month's amount, or transactions, the largest 10 or 1 percent of customers have; or the Gini coefficient.

    n counts the customers, `top_customers` those whose share it is (rounded up), `total` is what they share. It is known of
    everybody and of each country: raises TogetherError where it is asked of several countries together, and ConfinedError
    where somebody who sees several asks for all of them.
    """
    del window
    asked = scope(question)
    if asked.unites:
        raise TogetherError(question.metric, "country")
    if question.countries is not None and len(question.countries) > 1 and not (question.by or question.where):
        raise ConfinedError(question.metric, question.countries)
    column, percent = _SHARES[question.kind or "top_10"]
    statement = _CONCENTRATION.format(
        by=asked.columns,
        value=column,
        percent=percent,
        segment="country" if asked.dimensions else "all",
        condition=asked.condition,
    )
    measure = "amount" if question.metric == "amount_concentration" else "transactions"
    table = database.query(statement, _parameters(question, as_of) | {"measure": measure})
    return tables.finished(table, ["month", *asked.by], as_of=as_of, extra=["top_customers", "total"])


def _parameters(question: Question, as_of: date) -> dict[str, Any]:
    return {"start": question.start or date.min, "end": question.end or as_of} | dict(scope(question).parameters)
