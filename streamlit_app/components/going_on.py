"""What the chain is doing at this moment: looks again by itself, and draws the page anew when a run begins or ends."""

from __future__ import annotations

import streamlit as st

from pipeline.runs.by_hand import SyncByHand
from pipeline.runs.records import Run, WorkerRow
from streamlit_app import actions, formats, operations
from streamlit_app.components import answers, links, run_table, states
from streamlit_app.messages import t
from streamlit_app.operations import Now

SECONDS_WHILE_RUNNING = 1
SECONDS_WHILE_IDLE = 2
LIVE_LINES = 100
LOG_HEIGHT = 230
SEEN = "run_seen_going_on"


def show(zone: str) -> None:
    """The card at the top of the page: progress of the run that is going on, and the button for the next one."""
    is_running = operations.now().running is not None
    st.fragment(_card, run_every=SECONDS_WHILE_RUNNING if is_running else SECONDS_WHILE_IDLE)(zone)


@states.guard
def _card(zone: str) -> None:
    now = operations.now()
    _draw_anew_on_change(now)
    answers.tell()
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{_title(now)}**", width="content")
            with st.container(horizontal=True, width="content"):
                if now.running is not None:
                    _cancel(now.running)
                label, icon = t("ops_runs.run_now"), ":material/play_arrow:"
                answers.button(label, actions.run_now, key="run_now", obstacle=now.obstacle, icon=icon)
        if now.running is not None:
            _running(now.running, now, zone)
        elif now.sync_by_hand is not None:
            _sync_by_hand(now.sync_by_hand, zone)
        elif now.worker is not None:
            _worker(now.worker, now, zone)
        answers.reason(now.obstacle)


def _cancel(run: Run) -> None:
    """The button that ends the run; asked once, it is off until the run has ended."""
    obstacle = operations.why_no_cancel(run)
    label = t("ops_runs.cancel_run" if obstacle is None else "ops_runs.is_cancelled", run=run.id)
    answers.button(label, lambda: actions.cancel(run.id), key="cancel", obstacle=obstacle, icon=":material/stop_circle:")


def log(run: Run, zone: str, *, lines: int | None) -> None:
    """The live log of a run, its last lines or all of them; warnings and errors say so."""
    events = operations.events(run.id)
    shown = events if lines is None else events[-lines:]
    text = "\n".join(f"{formats.clock(event.at, zone)} {_level(event.level)}{event.text}" for event in shown)
    with st.container(height=LOG_HEIGHT, autoscroll=lines is not None, border=False):
        st.code(text or t("ops_runs.no_log"), language=None, wrap_lines=True)


def _level(level: str) -> str:
    return "" if level == "info" else f"{level.upper()} "


def _title(now: Now) -> str:
    if now.running is not None:
        return t("ops_runs.is_running", run=now.running.id)
    if now.sync_by_hand is not None:
        return t("ops_runs.is_syncing")
    return t("ops_runs.is_waiting") if now.waiting is not None else t("ops_runs.is_idle")


def _running(run: Run, now: Now, zone: str) -> None:
    st.caption(run_table.facts(run, zone=zone, now=now.at))
    steps, live_log = st.columns([2, 3], gap="medium")
    with steps:
        for step in run.steps:
            run_table.progress(step)
    with live_log:
        log(run, zone, lines=LIVE_LINES)


def _sync_by_hand(sync: SyncByHand, zone: str) -> None:
    """Which one it is, and that it ends by itself; the page Syncs has the rest."""
    since = formats.moment(sync.since, zone)
    if sync.sync is None:
        st.caption(t("ops_runs.sync_at_a_command_line", since=since, holder=formats.literal(sync.holder)))
    else:
        name, who = formats.literal(sync.sync), formats.plain(str(sync.who))
        st.caption(t("ops_runs.sync_asked_for", since=since, sync=name, who=who))
    links.to("ops_syncs", t("ops_runs.to_syncs"))


def _worker(worker: WorkerRow, now: Now, zone: str) -> None:
    seen = formats.duration((now.at - worker.beat_at).total_seconds())
    st.caption(t("ops_runs.worker_alive", worker=worker.name, seen=seen, next=formats.moment(worker.next_run_at, zone)))


def _draw_anew_on_change(now: Now) -> None:
    """The history below belongs to the same moment: when a run begins or ends, the whole page is drawn again."""
    seen = None if now.latest is None else (now.latest.id, now.latest.state, now.running is not None)
    if st.session_state.setdefault(SEEN, seen) != seen:
        st.session_state[SEEN] = seen
        st.rerun()
