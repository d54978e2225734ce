"""Notes on days: what happened then that a reader of a chart should know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import delete, insert, select

from pipeline.errors import PermanentError
from pipeline.runs.database import Database
from pipeline.runs.schema_kept import notes


@dataclass(frozen=True)
class Annotation:
    """A note on a day; `metric` is the one that it is about, None every one."""

    id: int
    day: date
    text: str
    metric: str | None
    author: str
    created_at: datetime


class AnnotationStore(Database):
    """Keep the notes."""

    def annotations(self) -> list[Annotation]:
        """Every note, by day."""
        query = select(notes).order_by(notes.c.day, notes.c.id)
        with self._read() as connection:
            return [Annotation(**row._mapping) for row in connection.execute(query)]

    def annotation(self, note_id: int) -> Annotation:
        """One note; raises PermanentError where there is none of that number."""
        with self._read() as connection:
            row = connection.execute(select(notes).where(notes.c.id == note_id)).one_or_none()
        if row is None:
            raise PermanentError(
                f"There is no note {note_id}", safe="Nothing was changed", next="look at the list of notes again"
            )
        return Annotation(**row._mapping)

    def add_annotation(self, author: str, day: date, text: str, *, metric: str | None = None) -> int:
        """Write a note down; returns its number."""
        values = {"day": day, "text": text, "metric": metric, "author": author, "created_at": self._clock.now()}
        with self._write() as connection:
            return int(connection.execute(insert(notes).values(**values).returning(notes.c.id)).scalar_one())

    def remove_annotation(self, note_id: int) -> None:
        """Take a note away; the audit log keeps what it said."""
        with self._write() as connection:
            connection.execute(delete(notes).where(notes.c.id == note_id))
