"""What people do with notes on days: managers and admins write them, their author or an admin removes them. Both are audited."""

from __future__ import annotations

from datetime import date

from pipeline.errors import ConfigurationError
from pipeline.marts.question import one_of
from pipeline.runs.annotations import Annotation
from pipeline.runs.store import RunStore
from streamlit_app import auth, data, data_kept, formats, stores
from streamlit_app.actions import Outcome
from streamlit_app.auth import Role, RoleError, User

LONGEST = 300
# What a note can be about where it is not about everything: the metrics of the charts over time.
METRICS = (
    *("active_customers", "new_customers", "resurrected_customers", "churned_customers", "quick_ratio", "monthly_churn_rate"),
    *("mau", "wau", "dau", "stickiness", "retention_cohort", "transactions", "transaction_amount", "amount_retention"),
    *("card_not_present_share", "silence_calibration"),
)


def add_note(day: date, text: str, *, metric: str | None = None) -> Outcome:
    """Write a note on a day; raises ConfigurationError where it is about no metric of a chart over time."""
    user = auth.require(Role.MANAGER)
    said = formats.visible(text)
    if not said:
        return Outcome(False, "note_empty")
    if len(said) > LONGEST:
        raise ConfigurationError(f"A note has {LONGEST} characters at most", safe="Nothing was written", next="write less")
    if metric is not None:
        one_of("metric", metric, METRICS, metric="the notes")
    note_id = _store().add_annotation(user.name, day, said, metric=metric)
    data_kept.forget()
    _store().audit(user.name, "add_note", f"note {note_id}", after=_content(_store().annotation(note_id)))
    return Outcome(True, "note_added")


def remove_note(note_id: int) -> Outcome:
    """Take a note away; raises RoleError where it is another one's and the person is no admin."""
    user = auth.require(Role.MANAGER)
    note = _store().annotation(note_id)
    if not may_remove(user, note):
        raise RoleError(user, Role.ADMIN)
    _store().remove_annotation(note_id)
    data_kept.forget()
    _store().audit(user.name, "remove_note", f"note {note_id}", before=_content(note))
    return Outcome(True, "note_removed")


def may_remove(user: User, note: Annotation) -> bool:
    """Whether a person may take a note away: the author, or an admin."""
    return user.may(Role.ADMIN) or (user.may(Role.MANAGER) and user.name == note.author)


def _content(note: Annotation) -> dict[str, str | None]:
    return {"day": note.day.isoformat(), "text": note.text, "metric": note.metric, "author": note.author}


def _store() -> RunStore:
    return stores.run_store(data.in_force().run_store_url)
