"""Targets: what a metric of a segment is meant to reach."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update

from pipeline.runs.database import Database, insert_once
from pipeline.runs.schema_kept import targets

Where = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Target:
    """What one metric is to reach in one segment, in the unit of the metric (a share as a fraction).

    `where` is the segment, in any order (none: everybody; several values of a dimension: any of them); `window` is N in days,
    None where N does not enter.
    """

    metric: str
    value: float
    where: Where = ()
    window: int | None = None
    set_by: str = ""
    set_at: datetime | None = None

    @property
    def content(self) -> dict[str, Any]:
        """What an admin wrote."""
        named = {name: "|".join(value for of, value in self.where if of == name) for name, _ in self.where}
        return {"value": self.value, "segment": named, "window": self.window}


class TargetStore(Database):
    """Keep the targets: one a metric, segment and window."""

    def targets(self) -> list[Target]:
        """Every target, by metric, segment and window."""
        query = select(targets).order_by(targets.c.metric, targets.c.segment, targets.c.window)
        with self._read() as connection:
            return [_target(row) for row in connection.execute(query)]

    def set_target(self, target: Target) -> Target | None:
        """Write a target down in the place of the one before, which is returned; None where there was none."""
        values = {"value": target.value, "set_by": target.set_by, "set_at": self._clock.now()}
        with self._write() as connection:
            before = connection.execute(select(targets).where(_same(target))).one_or_none()
            key = {"metric": target.metric, "segment": segment(target.where), "window": target.window or 0}
            if before is None and insert_once(connection, insert(targets).values(**key, **values)):
                return None
            connection.execute(update(targets).where(_same(target)).values(**values))
        return None if before is None else _target(before)

    def remove_target(self, target: Target) -> Target | None:
        """Take a target away; returns it as it was, None where there was none."""
        with self._write() as connection:
            before = connection.execute(select(targets).where(_same(target))).one_or_none()
            connection.execute(delete(targets).where(_same(target)))
        return None if before is None else _target(before)


def segment(where: Where) -> str:
    """A segment as it is compared: the same filters in another order are the same segment."""
    return json.dumps(sorted(set(where)), ensure_ascii=False)


def _same(target: Target) -> ColumnElement[bool]:
    return and_(
        targets.c.metric == target.metric,
        targets.c.segment == segment(target.where),
        targets.c.window == (target.window or 0),
    )


def _target(row: Row[Any]) -> Target:
    where = tuple((dimension, value) for dimension, value in json.loads(row.segment))
    return Target(row.metric, row.value, where, row.window or None, row.set_by, row.set_at)
