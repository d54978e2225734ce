"""A few customers with different histories, chosen by rule: the same version always gives the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.marts.customers import Customer, customer
from pipeline.marts.question import confined
from pipeline.warehouse.base import ReadOnly

MOST = 5
RULES: Mapping[str, tuple[str, str]] = {
    "steady": ("is_active and lapses = 0", "active_days desc, first_active_day"),
    "came_back": ("is_active and lapses > 0", "lapses desc, active_days desc"),
    "at_the_edge": ("is_active", "days_silent desc, active_days desc"),
    "gone": ("not is_active and active_days > 1", "lapsed_on desc nulls last, active_days desc"),
    "never": ("last_active_day is null", "opening_date desc"),
    "one_day": ("not is_active and active_days = 1", "last_active_day desc"),
}
"""Each history with its condition and which of the customers that fit comes first; of equals, the smallest id."""

_FIRST = """
select user_id from marts.mart_customers
where {condition} and {kept} order by {order}, length(user_id), user_id limit {most}
"""


@dataclass(frozen=True)
class Sample:
    """One customer and which history they stand for."""

    history: str
    customer: Customer


def samples(database: ReadOnly, *, countries: tuple[str, ...] | None = None) -> tuple[Sample, ...]:
    """At most five customers of these countries, each for another history; a history that nobody has is left out."""
    found: dict[str, str] = {}
    condition, parameters = confined(countries)
    for history, (kept, order) in RULES.items():
        statement = _FIRST.format(condition=condition, kept=kept, order=order, most=MOST + 1)
        ids = database.query(statement, dict(parameters))["user_id"].to_pylist()
        new = [str(user_id) for user_id in ids if str(user_id) not in found.values()]
        if new and len(found) < MOST:
            found[history] = new[0]
    customers = {history: customer(database, user_id, countries=countries) for history, user_id in found.items()}
    return tuple(Sample(history, one) for history, one in customers.items() if one is not None)
