"""Saved views: a page with its filters under a name, of one person or of all; and what a person has seen once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.errors import PermanentError
from pipeline.runs.database import Database, insert_once
from pipeline.runs.schema_kept import saved_views, seen

Query = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class SavedView:
    """A page and the query of its URL, under a name that is one of its owner's; a filter of several values has a list of them."""

    id: int
    owner: str
    name: str
    shared: bool
    page: str
    query: Query
    saved_at: datetime

    @property
    def content(self) -> dict[str, Any]:
        """What was saved."""
        return {"name": self.name, "shared": self.shared, "page": self.page, "query": dict(self.query)}


class SavedViewStore(Database):
    """Keep the views, and what people have seen."""

    def saved_views(self, who: str) -> list[SavedView]:
        """The views of a person and those shared with all, by name."""
        query = select(saved_views).where(or_(saved_views.c.owner == who, saved_views.c.shared)).order_by(saved_views.c.id)
        with self._read() as connection:
            found = [SavedView(**row._mapping) for row in connection.execute(query)]
        return sorted(found, key=lambda view: (view.name.casefold(), view.id))

    def saved_view(self, view_id: int) -> SavedView:
        """One view; raises PermanentError where there is none of that number."""
        with self._read() as connection:
            row = connection.execute(select(saved_views).where(saved_views.c.id == view_id)).one_or_none()
        if row is None:
            raise PermanentError(
                f"There is no view {view_id}", safe="Nothing was changed", next="look at the list of views again"
            )
        return SavedView(**row._mapping)

    def save_view(self, owner: str, name: str, *, page: str, query: Query, shared: bool) -> int | None:
        """Save a view; returns its number, None where its owner has one of that name, which stays as it is."""
        values = {"page": page, "query": dict(query), "shared": shared, "saved_at": self._clock.now()}
        with self._write() as connection:
            if not insert_once(connection, insert(saved_views).values(owner=owner, name=name, **values)):
                return None
            mine = select(saved_views.c.id).where(saved_views.c.owner == owner, saved_views.c.name == name)
            return int(connection.execute(mine).scalar_one())

    def rename_view(self, view_id: int, name: str) -> bool:
        """Give a view another name; False where its owner has one of that name already."""
        rename = update(saved_views).where(saved_views.c.id == view_id).values(name=name)
        try:
            with self._write() as connection:
                connection.execute(rename)
        except IntegrityError:
            return False
        return True

    def delete_view(self, view_id: int) -> None:
        """Take a view away."""
        with self._write() as connection:
            connection.execute(delete(saved_views).where(saved_views.c.id == view_id))

    def seen_by(self, who: str) -> frozenset[str]:
        """What a person has been shown."""
        with self._read() as connection:
            return frozenset(connection.execute(select(seen.c.what).where(seen.c.who == who)).scalars())

    def note_seen(self, who: str, what: str) -> None:
        """Write down that a person has seen something."""
        with self._write() as connection:
            insert_once(connection, insert(seen).values(who=who, what=what, at=self._clock.now()))
