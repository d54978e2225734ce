"""When the worker runs by itself: the rows, their next moments, and what became of those that have passed."""

from __future__ import annotations

import streamlit as st

from pipeline.runs.records import Run, ScheduleKind, ScheduleRow, Slot, SlotOutcome
from streamlit_app import actions_schedule, formats, operations_schedule
from streamlit_app.components import answers, page_head, schedule_form, states, table
from streamlit_app.messages import named, t

SLOTS_SHOWN = 30


def show() -> None:
    """The page."""
    zone = page_head.show(t("ops_schedule.title"), lambda zone: t("ops_schedule.zones", zone=zone))
    answers.tell()
    with states.guarded():
        _warnings()
        _rows(zone)
    with states.guarded():
        _slots(zone)


def _warnings() -> None:
    if not operations_schedule.is_worker_alive():
        st.warning(t("ops_schedule.no_worker"), icon=":material/schedule:")
    left = operations_schedule.left_to_a_person()
    if left is not None:
        st.error(t("ops_schedule.left_to_a_person", run=left.id), icon=":material/person_alert:")


def _rows(zone: str) -> None:
    rows = operations_schedule.rows()
    if not rows:
        states.empty(t("ops_schedule.no_row"), next=t("ops_schedule.no_row_next"))
    for row in rows:
        with st.container(border=True):
            _one(row, zone)
    with st.expander(t("ops_schedule.new"), icon=":material/add:"):
        empty = ScheduleRow("", ScheduleKind.DAILY, minute=0, hour=6, timezone=operations_schedule.bank_zone())
        schedule_form.show(empty, key="new", is_new=True, save=actions_schedule.add)


def _one(row: ScheduleRow, zone: str) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{formats.plain(row.name)}**", width="content")
        st.badge(t("ops_schedule.is_on" if row.enabled else "ops_schedule.is_off"), color="green" if row.enabled else "gray")
    st.markdown(_in_words(row))
    st.caption(t("ops_schedule.changed", who=formats.plain(row.changed_by), when=formats.moment(row.changed_at, zone)))
    coming = operations_schedule.next_slots(row)
    if coming:
        own, viewer = t("ops_schedule.by_row", zone=row.timezone), t("ops_schedule.by_viewer", zone=zone)
        table.draw([{own: formats.moment(moment, row.timezone), viewer: formats.moment(moment, zone)} for moment in coming])
    _buttons(row)


def _in_words(row: ScheduleRow) -> str:
    at = f"{row.hour or 0:02d}:{row.minute:02d}"
    weekday = formats.weekday(row.weekday or 0)
    when = t(f"ops_schedule.when.{row.kind}", at=at, minute=f"{row.minute:02d}", weekday=weekday, zone=row.timezone)
    begins = t("ops_schedule.begins", step=t(f"common.steps.{row.first_step}"))
    return " · ".join((when, begins, t("ops_schedule.is_taken_up" if row.resumes else "ops_schedule.is_not_taken_up")))


def _buttons(row: ScheduleRow) -> None:
    with st.expander(t("ops_schedule.change"), icon=":material/edit:"):
        schedule_form.show(row, key=f"row_{row.name}", is_new=False, save=actions_schedule.change)
    with st.container(horizontal=True):
        label, icon = t("ops_schedule.switch_off" if row.enabled else "ops_schedule.switch_on"), ":material/power_settings_new:"
        is_on = row.enabled
        answers.button(
            label,
            lambda: actions_schedule.switch(row.name, on=not is_on),
            key=f"switch_{row.name}",
            obstacle=None,
            icon=icon,
        )
        with st.popover(t("ops_schedule.remove"), icon=":material/delete:"):
            st.markdown(t("ops_schedule.remove_means", name=formats.plain(row.name)))
            label = t("ops_schedule.remove_do")
            icon = ":material/delete:"
            answers.button(label, lambda: actions_schedule.remove(row.name), key=f"remove_{row.name}", obstacle=None, icon=icon)


def _slots(zone: str) -> None:
    st.subheader(t("ops_schedule.slots"))
    served = operations_schedule.slots(SLOTS_SHOWN)
    if not served:
        states.empty(t("ops_schedule.no_slot"))
        return
    table.show((_slot(slot, run, zone) for slot, run in served), names="ops_schedule.columns", most=SLOTS_SHOWN)


def _slot(slot: Slot, run: Run | None, zone: str) -> dict[str, str]:
    return {"due": formats.moment(slot.due_at, zone), "row": formats.plain(slot.job), "outcome": _outcome(slot, run)}


def _outcome(slot: Slot, run: Run | None) -> str:
    if slot.outcome is SlotOutcome.SKIPPED and slot.reason is not None:
        return t(f"ops_schedule.reasons.{slot.reason}", run=slot.in_the_way)
    if run is not None:
        return named(t("ops_runs.run", run=run.id), t(f"ops_runs.states.{run.state}"))
    return t(f"ops_schedule.standings.{slot.standing}", answer=formats.literal(slot.answer.partition("\n")[0]))
