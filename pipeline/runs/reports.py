"""Reports by mail: who is subscribed, to what, how often. What was sent stands among the deliveries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from pipeline.errors import PermanentError
from pipeline.runs.database import Database
from pipeline.runs.schema_reports import report_subscriptions

WEEKLY, MONTHLY = "weekly", "monthly"
FREQUENCIES = (WEEKLY, MONTHLY)


@dataclass(frozen=True)
class Subscription:
    """Addresses that get a report after each week or month, in a language; of these countries (none named: of all)."""

    addresses: tuple[str, ...]
    frequency: str
    language: str
    countries: tuple[str, ...] = ()
    enabled: bool = True
    id: int = 0

    @property
    def content(self) -> dict[str, Any]:
        """What an admin wrote, in plain JSON values."""
        written = {name: value for name, value in asdict(self).items() if name != "id"}
        return written | {"addresses": list(self.addresses), "countries": list(self.countries)}


class ReportStore(Database):
    """Keep the subscriptions to reports."""

    def report_subscriptions(self) -> list[Subscription]:
        """Every subscription, the oldest first."""
        with self._read() as connection:
            rows = connection.execute(select(report_subscriptions).order_by(report_subscriptions.c.id)).all()
        return [_subscription(row) for row in rows]

    def report_subscription(self, subscription_id: int) -> Subscription:
        """One subscription; raises PermanentError where there is none of that number."""
        found = [one for one in self.report_subscriptions() if one.id == subscription_id]
        if not found:
            raise PermanentError(f"There is no report {subscription_id}", safe="Nothing was changed", next="load the page again")
        return found[0]

    def save_report_subscription(self, subscription: Subscription, who: str) -> int:
        """Add a subscription (id 0) or change one; returns its number."""
        values = subscription.content | {"changed_by": who[:200], "changed_at": self._clock.now()}
        table = report_subscriptions
        with self._write() as connection:
            if not subscription.id:
                return int(connection.execute(insert(table).values(**values).returning(table.c.id)).scalar_one())
            changed = connection.execute(update(table).where(table.c.id == subscription.id).values(**values))
        if changed.rowcount != 1:
            raise PermanentError(f"There is no report {subscription.id}", safe="Nothing was changed", next="load the page again")
        return subscription.id

    def delete_report_subscription(self, subscription_id: int) -> None:
        """Take a subscription away; what was sent stays noted down."""
        with self._write() as connection:
            connection.execute(delete(report_subscriptions).where(report_subscriptions.c.id == subscription_id))


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        tuple(row.addresses), row.frequency, row.language, tuple(row.countries), enabled=bool(row.enabled), id=row.id
    )
