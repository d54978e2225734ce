"""One customer and lists of customers: for who may see personal data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigurationError
from pipeline.marts import behind as figures
from pipeline.marts.behind import Behind
from pipeline.marts.question import CUSTOMER_DIMENSIONS, Where, any_of, canonical, confined, one_of
from pipeline.warehouse.base import ReadOnly

_ORDER = "order by last_active_day desc nulls last, user_id, happened_on"
_LIST = """
select user_id, country, plan, os, age_band, signup_cohort, opening_date, first_active_day, last_active_day, active_days,
    transactions, amount_usd, {active} as is_active, days_silent, {lapses} as lapses, {happened_on} as happened_on
from {customers}
where {condition}
{order}
limit $limit
"""
# Under another N than the published one each listed customer's lapses are counted anew.
_WITH_LAPSES = """
with listed as ({listed}),

lapsed as (
    select user_id, count(*) as lapses
    from marts.mart_customer_breaks
    where user_id in (select user_id from listed)
        and coalesce(returned_on, $last_day::date + 1) - last_active_day > $silence
    group by user_id
)

select listed.* replace (coalesce(lapsed.lapses, 0) as lapses)
from listed left join lapsed using (user_id)
{order}
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
_ACTIVE = "(first_active_day is not null and days_silent < $silence)"
STATES = {
    "active": _ACTIVE,
    "inactive": f"not {_ACTIVE}",
    "lapsed": f"not {_ACTIVE} and first_active_day is not null",
    "never": "first_active_day is null",
}
_MONTHS = """
select month, active_days_bitmap
from marts.mart_customer_months
where customer_key in (select customer_key from warehouse.dim_customers where user_id = $user_id)
order by month
"""
_EVERYBODY = "marts.mart_customers"
_BEHIND = "marts.mart_customers inner join ({behind}) as behind using (user_id)"


@dataclass(frozen=True)
class Search:
    """Which customers: a part of the user id, a state, any of the values of a dimension; of these countries alone (None: of all).

    `state` is one of STATES on the last day, or empty for all of them: who is inactive has lapsed or was never active. With
    `behind` those whom that figure counts; who left or came back twice in its period is in the list twice. States and lapses are
    those of `window`, the days of silence after which a customer counts as gone (None: that of the figure, else the published).
    """

    text: str = ""
    state: str = ""
    where: Where = ()
    countries: tuple[str, ...] | None = None
    behind: Behind | None = None
    window: int | None = None

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
    """One customer: the row of mart_customers, the stretches of mart_user_is_active and the active days, oldest first.

    `active_days` is None where the version does not have them one by one.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    stretches: pa.Table = field(default_factory=lambda: pa.table({}))
    active_days: tuple[date, ...] | None = None


def customers(database: ReadOnly, search: Search, *, window: int, as_of: date, limit: int, knows_pauses: bool = True) -> Listed:
    """Customers, the last active first; total and sums are those of the whole list, never of the rows shown.

    `happened_on` is the day on which what the list is about happened: left, came back, was new; null for a state. `window` is
    the published one, for lists that name none. `lapses` is null under another one where the version has no pauses.
    """
    behind = search.behind
    asked = search.window or (behind.question.window if behind else None) or window
    condition, parameters = _condition(search)
    relation, happened_on = _EVERYBODY, "null::date"
    if behind is not None:
        sql, more = figures.statement(behind, window=behind.question.window or window, as_of=as_of)
        relation, happened_on, parameters = _BEHIND.format(behind=sql), "behind.happened_on", parameters | more
    is_counted_anew = asked != window and knows_pauses
    listed = _LIST.format(
        customers=relation,
        happened_on=happened_on,
        condition=condition,
        active=_ACTIVE,
        lapses="lapses" if asked == window else "null::bigint",
        order=_ORDER,
    )
    statement = _WITH_LAPSES.format(listed=listed, order=_ORDER) if is_counted_anew else listed
    days = {"silence": asked, "last_day": as_of}
    table = database.query(statement, figures.named_in(statement, parameters | days) | {"limit": limit})
    each = (_ONCE if behind is None else _EACH_ONCE).format(customers=relation, condition=condition)
    (sums,) = database.query(_TOGETHER.format(each=each), figures.named_in(each, parameters | days)).to_pylist()
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


def active_days(database: ReadOnly, user_id: str) -> tuple[date, ...]:
    """The days on which this customer made a transaction that counts, oldest first; `user_id` as mart_customers writes it."""
    months = database.query(_MONTHS, {"user_id": user_id}).to_pylist()
    return tuple(
        row["month"] + timedelta(days=day) for row in months for day in range(31) if row["active_days_bitmap"] >> day & 1
    )


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
