"""The syncs: what each sends and did, what it would do now, one row tried or all sent anew, and the rows that were refused."""

from __future__ import annotations

from functools import partial

import streamlit as st

from pipeline.runs.records import SyncRun
from streamlit_app import actions, formats, messages, operations
from streamlit_app.components import answers, delivery_table, filters, page_head, states, sync_history, sync_plan
from streamlit_app.messages import t
from streamlit_app.operations import ListedSync

WATCH_SECONDS = 2
SEEN = "sync_request_seen"


def show() -> None:
    """The page."""
    zone = page_head.show(t("ops_syncs.title"))
    answers.tell()
    syncs = {sync.name: sync for sync in operations.syncs()}
    if syncs:
        name = filters.choice("sync", tuple(syncs), label=t("ops_syncs.which"), name=str)
        filters.tell_unheeded()
        with states.guarded():
            _one(syncs[name], zone)
    else:
        states.empty(t("ops_syncs.none"), next=t("ops_syncs.none_next"))
    delivery_table.show(zone)


def _one(sync: ListedSync, zone: str) -> None:
    if sync.description:
        st.markdown(messages.in_english(formats.plain(sync.description)))
    st.caption(" · ".join(_facts(sync, zone)))
    st.fragment(_asked_for, run_every=WATCH_SECONDS)(sync.name)
    st.subheader(t("ops_syncs.now"))
    if sync.is_planned_here:
        sync_plan.show(sync)
    else:
        _at_census(sync)
    sync_history.show(sync, operations.sync_runs(sync.name), zone)


def _facts(sync: ListedSync, zone: str) -> list[str]:
    facts = [_way(sync)] if sync.source else []
    if sync.owner:
        known = f"ops_syncs.owners.{sync.owner}"
        facts.append(t("ops_syncs.owner", owner=t(known) if messages.has(known) else formats.in_words(sync.owner)))
    facts.append(t("ops_syncs.last", last=_last(sync.last, zone)))
    facts.append(t("ops_syncs.next", next=formats.moment(sync.next_run_at, zone)))
    return facts


def _way(sync: ListedSync) -> str:
    kind, _, name = sync.destination.partition(" ")
    where = t(f"ops_syncs.destinations.{kind}", name=formats.literal(name))
    return t("ops_syncs.way", source=formats.literal(sync.source), destination=where, mode=t(f"ops_syncs.modes.{sync.mode}"))


def _last(last: SyncRun | None, zone: str) -> str:
    if last is None:
        return t("ops_syncs.never")
    return f"{formats.moment(last.ended_at, zone)} ({t(f'ops_syncs.states.{last.state}')})"


def _at_census(sync: ListedSync) -> None:
    """Census keeps its plans to itself: a run there, of what changed or of every row."""
    st.caption(t("ops_syncs.plans_at_census"))
    obstacle = operations.now().obstacle
    with st.container(horizontal=True):
        for afresh, key, label, icon in (
            (False, "run_at_census", t("ops_syncs.run_at_census"), "play_arrow"),
            (True, "full_at_census", t("ops_syncs.full_at_census"), "sync"),
        ):
            answers.button(
                label,
                partial(actions.carry_out_sync, sync.name, afresh=afresh),
                key=key,
                obstacle=obstacle,
                icon=f":material/{icon}:",
            )
    answers.reason(obstacle)


@states.guard
def _asked_for(name: str) -> None:
    """What was asked for by hand and is not done, or what came of it; draws the page anew when that changes."""
    request = operations.newest_sync_request(name)
    seen = None if request is None else (request.id, request.state)
    if st.session_state.setdefault(SEEN, seen) != seen:
        st.session_state[SEEN] = seen
        sync_plan.forget()
        st.rerun()
    if request is not None:
        what, *rest = request.answer.splitlines() or [""]
        st.caption(
            t(f"ops_syncs.requests.{request.state}", who=formats.plain(request.requested_by), answer=formats.literal(what))
        )
        if rest:
            st.caption("  \n".join(formats.literal(line) for line in rest))
