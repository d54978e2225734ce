"""The fields of a row of the schedule, for a new one and for one that is changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time

import streamlit as st

from pipeline.runs.records import ScheduleKind, ScheduleRow
from pipeline.steps import STEPS
from streamlit_app import formats, operations_schedule
from streamlit_app.actions import Outcome
from streamlit_app.components import answers
from streamlit_app.messages import t


def show(row: ScheduleRow, *, key: str, is_new: bool, save: Callable[[ScheduleRow], Outcome]) -> None:
    """Draw the fields, starting from the row, and the button that saves what they hold."""
    name = row.name
    if is_new:
        name = st.text_input(t("ops_schedule.name"), key=f"{key}_name", max_chars=40, help=t("ops_schedule.name_help"))
    kind, moment, zone = st.columns(3)
    with kind:
        chosen = _one_of(t("ops_schedule.kind"), list(ScheduleKind), row.kind, names="ops_schedule.kinds", key=f"{key}_kind")
    with moment:
        hour, minute, weekday = _moment(row, ScheduleKind(chosen), key)
    zones = operations_schedule.zones()
    timezone = zone.selectbox(t("ops_schedule.zone"), zones, index=zones.index(row.timezone), key=f"{key}_zone")
    first, resumes = st.columns([1, 2], vertical_alignment="bottom")
    with first:
        step = _one_of(t("ops_schedule.first_step"), list(STEPS), row.first_step, names="common.steps", key=f"{key}_step")
    label, explained = t("ops_schedule.resumes"), t("ops_schedule.resumes_help")
    takes_up = resumes.toggle(label, value=row.resumes, key=f"{key}_resumes", help=explained)
    written = ScheduleRow(
        name=name.strip(),
        kind=ScheduleKind(chosen),
        minute=minute,
        hour=hour,
        weekday=weekday,
        timezone=timezone,
        enabled=row.enabled,
        resumes=takes_up,
        first_step=step,
    )
    obstacle = None if written.name else Outcome(False, "schedule_nameless")
    label = t("ops_schedule.add" if is_new else "ops_schedule.save")
    answers.button(label, lambda: save(written), key=f"{key}_save", obstacle=obstacle, icon=":material/save:")
    answers.reason(obstacle)


def _moment(row: ScheduleRow, kind: ScheduleKind, key: str) -> tuple[int | None, int, int | None]:
    """Hour, minute and weekday, as far as the kind has them."""
    if kind is ScheduleKind.HOURLY:
        return None, int(st.number_input(t("ops_schedule.minute"), 0, 59, row.minute, key=f"{key}_minute")), None
    weekday = None
    if kind is ScheduleKind.WEEKLY:
        days = list(range(7))
        label = t("ops_schedule.weekday")
        weekday = st.selectbox(label, days, index=row.weekday or 0, format_func=formats.weekday, key=f"{key}_weekday")
    at = st.time_input(t("ops_schedule.at"), time(row.hour or 0, row.minute), step=60, key=f"{key}_at")
    return at.hour, at.minute, weekday


def _one_of(label: str, options: list[str], now: str, *, names: str, key: str) -> str:
    return str(st.selectbox(label, options, index=options.index(now), format_func=lambda option: t(f"{names}.{option}"), key=key))
