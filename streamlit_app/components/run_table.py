"""Runs as the reader meets them: a list to choose from, and one run with its steps, its error and its log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import streamlit as st

from pipeline.runs.records import Run, RunState, Step, StepState
from streamlit_app import formats, messages
from streamlit_app.components import states, table
from streamlit_app.messages import t

LINK = "link"  # of the service itself, and to be followed
SERVICE = "service"
Colour = Literal["green", "red", "orange", "primary", "gray"]
COLOURS: Mapping[str, Colour] = {
    "pending": "gray",
    "running": "primary",
    "succeeded": "green",
    "notification_pending": "orange",
    "failed": "red",
    "interrupted": "orange",
    "held": "orange",
    "skipped": "gray",
    "not_reached": "gray",
}
ICONS: Mapping[str, str] = {
    "pending": ":material/hourglass_empty:",
    "running": ":material/play_circle:",
    "succeeded": ":material/check_circle:",
    "notification_pending": ":material/outgoing_mail:",
    "failed": ":material/error:",
    "interrupted": ":material/stop_circle:",
    "held": ":material/approval_delegation:",
    "skipped": ":material/skip_next:",
    "not_reached": ":material/remove:",
}


def show(runs: Sequence[Run], *, chosen: int | None, zone: str, choose: Callable[[int], None]) -> None:
    """The list, newest first; a press on a run's name calls `choose`."""
    for run in runs:
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                icon = ":material/arrow_forward:" if run.id == chosen else None
                st.button(name(run), key=f"run_{run.id}", icon=icon, icon_position="right", on_click=choose, args=(run.id,))
                badge(run)
            if run.state is not RunState.RUNNING:  # the card above shows those, and keeps up
                st.markdown(" ".join(step_mark(step, run) for step in run.steps))
            st.caption(facts(run, zone=zone, now=None))


def name(run: Run) -> str:
    """What a run is called."""
    return t("ops_runs.run", run=run.id)


def badge(run: Run) -> None:
    """A run's state as a coloured word; one whose work is done and whose message waits says so."""
    standing = "notification_pending" if run.state is RunState.SUCCEEDED and run.notification_pending else str(run.state)
    st.badge(t(f"ops_runs.states.{standing}"), icon=ICONS[standing], color=COLOURS[standing])


def step_mark(step: Step, run: Run) -> str:
    """A step's short name with the sign and the colour of its state."""
    return f":small[{_marked(_standing(step, run), t(f'common.step_names.{step.name}'))}]"


def _standing(step: Step, run: Run) -> str:
    """A step's state; what is still waiting when its run has ended was never reached."""
    return "not_reached" if step.state is StepState.PENDING and run.state is not RunState.RUNNING else str(step.state)


def _marked(standing: str, text: str) -> str:
    return f":{COLOURS[standing]}[{ICONS[standing]}\u00a0{text}]"


def facts(run: Run, *, zone: str, now: datetime | None) -> str:
    """When, who, how long and what came of it, in one line; with `now`, how long it has been going on."""
    ended = run.ended_at or now
    return " · ".join(
        part
        for part in (
            formats.moment(run.started_at, zone),
            formats.duration((ended - run.started_at).total_seconds()) if ended else "",
            t("ops_runs.asked_by", who=formats.plain(run.requested_by), how=t(f"ops_runs.triggers.{run.trigger}")),
            t("ops_runs.resumes", run=run.resumes) if run.resumes else "",
            t("ops_runs.version_of_run", version=run.version, day=formats.day(run.as_of)) if run.version else "",
        )
        if part
    )


def error(text: str) -> None:
    """An error as the run store keeps it: what happened, then where, what is safe and the next command."""
    st.error("  \n".join(states.in_lines(text)), icon=":material/error:")


def steps(run: Run) -> None:
    """Each step: its state, who served it, how often it was tried, how long it took, rows in and out."""
    table.show((_row(step, run) for step in run.steps), names="ops_runs.columns")


def _row(step: Step, run: Run) -> dict[str, str]:
    seconds = (step.ended_at - step.started_at).total_seconds() if step.ended_at and step.started_at else None
    standing = _standing(step, run)
    return {
        "step": t(f"common.steps.{step.name}"),
        "state": f":{COLOURS[standing]}[{formats.unbroken(t(f'ops_runs.states.{standing}'))}]",
        "service": formats.service(step.service),
        "attempts": formats.number(step.attempts) if step.attempts else formats.NOTHING,
        "took": formats.unbroken(formats.duration(seconds)),
        "rows_in": formats.number(step.rows_in),
        "rows_out": formats.number(step.rows_out),
    }


def progress(step: Step) -> None:
    """How far one step of a running run is."""
    label = _marked(step.state, t(f"common.steps.{step.name}"))
    if step.state is StepState.RUNNING:
        st.progress(min(step.progress or 0.0, 1.0), text=states.how_far(label, step.progress_text))
    else:
        st.markdown(label + (f" · {formats.service(step.service)}" if step.service else ""))


def told(step: Step, run: Run) -> Mapping[str, Any]:
    """A step's details; of a message that waited and was delivered since, no longer why it waited."""
    if run.notification_pending or "waits_because" not in step.detail:
        return step.detail
    kept = {key: value for key, value in step.detail.items() if key not in ("waits_because", "next", "location")}
    return {**kept, "delivered_later": True}


def details(detail: Mapping[str, Any]) -> None:
    """What a step tells of its work: figures as lines, lists of rows as tables."""
    lines = [messages.named(_label(key), _value(value, key)) for key, value in detail.items() if not isinstance(value, list)]
    st.markdown("  \n".join(lines))
    for key, value in detail.items():
        if isinstance(value, list) and value:
            st.caption(_label(key))
            table.draw([_cells(row) for row in value])


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """A row without what lies deeper; the page's other sections show that."""
    return {_label(key): _value(value, key) for key, value in row.items() if not isinstance(value, (list, dict))}


def _label(key: str) -> str:
    known = f"ops_runs.details.{key}"
    return t(known) if messages.has(known) else key


def _value(value: Any, key: str) -> str:
    if isinstance(value, dict):
        return " · ".join(f"{_label(key)} {_value(part, key)}" for key, part in value.items())
    if value is None:
        return formats.NOTHING
    if isinstance(value, bool):
        return formats.yes_or_no(value)
    if key == SERVICE:
        return formats.literal(formats.service(str(value)))
    if isinstance(value, int):
        return f"**{formats.number(value)}**"
    return f"**{value}**" if key == LINK else formats.literal(str(value))
