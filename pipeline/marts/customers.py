"""One customer and lists of customers: for who may see personal data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigurationError
from pipeline.marts import behind as figures
from pipeline.marts.behind import Behind
from pipeline.marts.question import CUSTOMER_DIMENSIONS, Where, any_of, canonical, confined, one_of
from pipeline.warehouse.base import ReadOnly

_LIST = """
select user_id, country, plan, os, age_band, signup_cohort, opening_date, first_active_day, last_active_day, active_days,
    transactions, amount_usd, is_active, days_silent, lapses, state_since, {happened_on} as happened_on
from {customers}
where {condition}
order by last_active_day desc nulls last, user_id, happened_on
limit $limit
"""
_ONCE = "select transactions, amount_usd, 1 as times from {customers} where {condition}"
# Who left twice is in the list behind a figure twice; together each customer counts once.
_EACH_ONCE = """
select any_value(transactions) as transactions, any_value(amount_usd) as amount_usd, count(*) as times
from {customers}
where {condition}
group by user_id
"""
_TOGETHER = """
with listed as ({each})

select
    coalesce(sum(times), 0)::bigint as total,
    count(*) as customers,
    coalesce(sum(transactions), 0)::bigint as transactions,
    coalesce(sum(amount_usd), 0)::double as amount_usd,
    median(amount_usd)::double as median_amount_usd,
from listed
"""
STATES = {
    "active": "is_active",
    "inactive": "not is_active",
    "lapsed": "not is_active and first_active_day is not null",
    "never": "first_active_day is null",
}
_EVERYBODY = "marts.mart_customers"
_BEHIND = "marts.mart_customers inner join ({behind}) as behind using (user_id)"


@dataclass(frozen=True)
class Search:
    """Which customers: a part of the user id, a state, any of the values of a dimension; of these countries alone (None: of all).

    `state` is one of STATES on the last day, or empty for all of them: who is inactive has lapsed or was never active. With
    `behind` those whom that figure counts; who left or came back twice in its period is in the list twice.
    """

    text: str = ""
    state: str = ""
    where: Where = ()
    countries: tuple[str, ...] | None = None
    behind: Behind | None = None

    def __post_init__(self) -> None:
        """The same filters in another order are the same search."""
        object.__setattr__(self, "where", canonical(self.where))


@dataclass(frozen=True)
class Page:
    """The first rows of a list, and how many rows the whole list has."""

    table: pa.Table
    total: int


@dataclass(frozen=True)
class Together:
    """What the customers of a whole list have done since their first day, each customer counted once.

    `transactions` and `amount_usd` (US dollars) are sums of what counts as activity; half of the customers have moved
    `median_amount_usd` at most. None where nobody is in the list.
    """

    customers: int
    transactions: int
    amount_usd: float
    median_amount_usd: float | None


@dataclass(frozen=True)
class Listed(Page):
    """A page of a list of customers, and what the customers of the whole list have done together."""

    together: Together


@dataclass(frozen=True)
class Customer:
    """One customer: the row of mart_customers and the stretches of mart_user_is_active, oldest first."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    stretches: pa.Table = field(default_factory=lambda: pa.table({}))


def customers(database: ReadOnly, search: Search, *, window: int, as_of: date, limit: int) -> Listed:
    """Customers, the last active first; total and sums are those of the whole list, never of the rows shown.

    `happened_on` is the day on which what the list is about happened: left, came back, was new; null for a state. `window` is
    the published one, for figures that name none.
    """
    condition, parameters = _condition(search)
    relation, happened_on = _EVERYBODY, "null::date"
    if search.behind is not None:
        sql, more = figures.statement(search.behind, window=search.behind.question.window or window, as_of=as_of)
        relation, happened_on, parameters = _BEHIND.format(behind=sql), "behind.happened_on", parameters | more
    listed = _LIST.format(customers=relation, happened_on=happened_on, condition=condition)
    table = database.query(listed, parameters | {"limit": limit})
    each = (_ONCE if search.behind is None else _EACH_ONCE).format(customers=relation, condition=condition)
    (sums,) = database.query(_TOGETHER.format(each=each), parameters).to_pylist()
    total = int(sums.pop("total"))
    return Listed(table, total, Together(**sums))


def customer(database: ReadOnly, user_id: str, *, countries: tuple[str, ...] | None = None) -> Customer | None:
    """One customer by the bank's id, with or without `user_`; None where there is no such customer in these countries."""
    condition, kept = confined(countries)
    asked = {"user_id": user_id.strip().removeprefix("user_")}
    found = database.query(f"select * from marts.mart_customers where user_id = $user_id and {condition}", asked | kept)
    if not found.num_rows:
        return None
    stretches = database.query("select * from marts.mart_user_is_active where user_id = $user_id order by starting_date", asked)
    return Customer(found.to_pylist()[0], stretches)


def _condition(search: Search) -> tuple[str, dict[str, Any]]:
    condition, kept = confined(search.countries)
    conditions = [condition]
    parameters: dict[str, Any] = dict(kept)
    if search.text.strip():
        conditions.append("contains(user_id, $text)")
        parameters["text"] = search.text.strip().removeprefix("user_")
    if search.state:
        conditions.append(STATES[one_of("state", search.state, tuple(STATES), metric="customers")])
    for dimension, _ in search.where:
        if dimension not in CUSTOMER_DIMENSIONS:
            raise ConfigurationError(
                f"{dimension} is not a dimension of customers", next=f"one of {', '.join(CUSTOMER_DIMENSIONS)}"
            )
    chosen, values = any_of(search.where)
    return " and ".join([*conditions, *chosen]), parameters | values
