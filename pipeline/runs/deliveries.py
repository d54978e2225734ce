"""What left the house: deliveries by idempotency key, and the rows that reverse ETL sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.runs.database import Database, insert_once
from pipeline.runs.records import Delivery
from pipeline.runs.schema import deliveries, leases, sent_rows

WAITING, DELIVERED = "waiting", "delivered"
ROWS_A_STATEMENT = 500
DELIVERY_LEASE = "delivery"

Item = TypeVar("Item")


class DeliveryStore(Database):
    """Remember what was sent, so that nothing is sent twice."""

    def reserve(self, key: str, target: str, payload: Any) -> bool:
        """Note down a delivery before it is made. True where it is still to be made, False where it was made before.

        Reserving an undelivered key again answers True: the crash may have come before the delivery.
        """
        row = {"key": key, "target": target, "payload": payload, "state": WAITING, "location": ""}
        with self._write() as connection:
            if insert_once(connection, insert(deliveries).values(**row, reserved_at=self._clock.now())):
                return True
            state = connection.execute(select(deliveries.c.state).where(deliveries.c.key == key)).scalar_one()
        return bool(state != DELIVERED)

    def renote(self, key: str, payload: Any) -> None:
        """Note down anew what is still to be delivered under a key; does nothing where it was delivered."""
        is_it = (deliveries.c.key == key, deliveries.c.state == WAITING)
        with self._write() as connection:
            connection.execute(update(deliveries).where(*is_it).values(payload=payload))

    def delivered(self, key: str, *, location: str = "") -> None:
        """Note down that a reserved delivery was made, and where to."""
        with self._write() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.key == key)
                .values(state=DELIVERED, delivered_at=self._clock.now(), location=location)
            )

    def take_back(self, key: str) -> None:
        """Forget a delivery that was not made; does nothing where it was."""
        with self._write() as connection:
            connection.execute(delete(deliveries).where(deliveries.c.key == key, deliveries.c.state == WAITING))

    def delivery(self, key: str) -> Delivery | None:
        """The delivery of that key, if it was ever reserved."""
        with self._read() as connection:
            row = connection.execute(select(deliveries).where(deliveries.c.key == key)).one_or_none()
        return None if row is None else _delivery(row)

    def waiting(self) -> list[Delivery]:
        """Reserved deliveries that were not made yet, oldest first."""
        query = select(deliveries).where(deliveries.c.state == WAITING).order_by(deliveries.c.reserved_at)
        with self._read() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    def take_turn(self, holder: str, *, seconds: float, is_dead: Callable[[str], bool] = lambda _holder: False) -> bool:
        """Become the one process that delivers, for that many seconds; False where another, living one does."""
        now = self._clock.now()
        values = {"holder": holder, "taken_at": now, "expires_at": now + timedelta(seconds=seconds)}
        # Where two take the very first turn at once, the database refuses one of them.
        with suppress(IntegrityError), self._write() as connection:
            held = connection.execute(select(leases).where(leases.c.name == DELIVERY_LEASE).with_for_update()).one_or_none()
            if held is None:
                connection.execute(insert(leases).values(name=DELIVERY_LEASE, token=1, **values))
                return True
            if held.holder is not None and held.expires_at > now and not is_dead(held.holder):
                return False
            connection.execute(update(leases).where(leases.c.name == DELIVERY_LEASE).values(token=leases.c.token + 1, **values))
            return True
        return False

    def end_turn(self, holder: str) -> None:
        """Let others deliver; does nothing where the turn was over already."""
        with self._write() as connection:
            connection.execute(
                update(leases)
                .where(leases.c.name == DELIVERY_LEASE, leases.c.holder == holder)
                .values(holder=None, expires_at=None)
            )

    def sent_rows(self, sync: str) -> dict[str, str]:
        """The rows that a sync has at its destination: key to hash."""
        with self._read() as connection:
            found = connection.execute(select(sent_rows.c.key, sent_rows.c.hash).where(sent_rows.c.sync == sync)).all()
        return {row.key: row.hash for row in found}

    def replace_sent_rows(self, sync: str, changes: Mapping[str, str | None]) -> None:
        """Note down rows that a destination took (key to hash) or dropped (key to None); other rows stay."""
        taken = [{"sync": sync, "key": key, "hash": value} for key, value in changes.items() if value is not None]
        with self._write() as connection:
            for keys in _batches(list(changes)):
                connection.execute(delete(sent_rows).where(sent_rows.c.sync == sync, sent_rows.c.key.in_(keys)))
            for rows in _batches(taken):
                connection.execute(insert(sent_rows), rows)


def _batches(items: list[Item]) -> list[list[Item]]:
    return [items[start : start + ROWS_A_STATEMENT] for start in range(0, len(items), ROWS_A_STATEMENT)]


def _delivery(row: Row[Any]) -> Delivery:
    fields = {name: value for name, value in row._mapping.items() if name != "state"}
    return Delivery(**fields, delivered=row.state == DELIVERED)
