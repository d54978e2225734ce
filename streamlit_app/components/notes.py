"""The menu of notes: all that were written, the form for another one, and the way to take one away."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st

from streamlit_app import actions_notes, data, data_kept, formats, messages
from streamlit_app.auth import Role, User
from streamlit_app.components import answers, filters
from streamlit_app.data import Version
from streamlit_app.data_kept import Annotation
from streamlit_app.messages import t

ANSWER = "answer_about_notes"
FIRST_DAY = date(1990, 1, 1)  # no figure is of a day before it: earliest_bank_day in dbt_project.yml
A_YEAR = timedelta(days=366)  # what is coming may be noted, too
HEIGHT = 260  # pixels; a longer list scrolls
MANY = 5


def show(user: User, version: Version) -> None:
    """Draw the menu; whoever may come in reads, managers and admins write."""
    answers.tell(ANSWER)
    notes = data_kept.notes()[::-1]
    label = t("notes.menu") if not notes else t("notes.many", notes=formats.number(len(notes)))
    with st.popover(label, icon=":material/push_pin:", type="tertiary"):
        st.markdown(f"**{t('notes.title')}**")
        _list(notes)
        if user.may(Role.MANAGER):
            _add(version)
            _remove([note for note in notes if actions_notes.may_remove(user, note)])


def _list(notes: tuple[Annotation, ...]) -> None:
    if not notes:
        st.caption(t("notes.none"))
        return
    with st.container(height=HEIGHT if len(notes) > MANY else "content", border=False):
        st.markdown("  \n".join(in_words(note) for note in notes))


def in_words(note: Annotation) -> str:
    """One note: its day, what it is about, what it says, and who says so."""
    about = "" if note.metric is None else f" · {_about(note.metric)}"
    return f"**{formats.day(note.day)}**{about} · {formats.plain(note.text)} · {formats.plain(note.author)}"


def _about(metric: str) -> str:
    if metric == filters.EVERY:
        return t("notes.every_chart")
    known = data.registry().get(metric)
    return metric if known is None else known.label[messages.language()]


def _add(version: Version) -> None:
    with st.form("note_form", border=False, clear_on_submit=True):
        st.date_input(
            t("notes.day"),
            version.as_of,
            min_value=FIRST_DAY,
            max_value=version.as_of + A_YEAR,
            key="note_day",
            format="DD/MM/YYYY",
        )
        st.text_input(t("notes.text"), key="note_text", max_chars=actions_notes.LONGEST, help=t("notes.text_help"))
        st.selectbox(t("notes.about"), [filters.EVERY, *actions_notes.METRICS], key="note_metric", format_func=_about)
        st.form_submit_button(t("notes.add"), key="note_add", icon=":material/add:", on_click=_added)


def _added() -> None:
    kept = st.session_state
    metric = None if kept.note_metric == filters.EVERY else kept.note_metric
    answers.press(lambda: actions_notes.add_note(kept.note_day, kept.note_text, metric=metric), ANSWER)


def _remove(notes: list[Annotation]) -> None:
    if not notes:
        return
    named = {note.id: f"{formats.day(note.day)} · {note.text}" for note in notes}
    with st.form("note_removal", border=False):
        st.selectbox(t("notes.which"), list(named), key="note_removed", format_func=lambda note_id: named.get(note_id, ""))
        st.form_submit_button(t("notes.remove"), key="note_remove", icon=":material/delete:", on_click=_removed)


def _removed() -> None:
    answers.press(lambda: actions_notes.remove_note(st.session_state.note_removed), ANSWER)
