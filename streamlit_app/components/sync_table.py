"""What left the house: the customer lists that reverse ETL mirrored, where sheet and mail went, and what still waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pipeline.runs.records import Run, Step
from streamlit_app import formats, operations
from streamlit_app.components import run_table, states, table
from streamlit_app.messages import t

NAMES = "ops_runs.sync_columns"
OUTWARD_STEPS = ("sheet", "activate", "notify")
COUNTS = ("created", "updated", "unchanged", "deleted", "rejected", "invalid")


def show(zone: str) -> None:
    """The newest syncs with what was refused, then the newest deliveries, then what waits."""
    _syncs(zone)
    _deliveries(zone)
    _undelivered(zone)


def _syncs(zone: str) -> None:
    st.subheader(t("ops_runs.syncs"))
    done = operations.newest_step("activate")
    if done is None:
        states.empty(t("ops_runs.syncs_none"), next=t("ops_runs.no_run_next"))
        return
    run, step = done
    syncs = step.detail.get("syncs", [])
    st.caption(t("ops_runs.done_by", run=run_table.name(run), ended=formats.moment(step.ended_at, zone)))
    table.show(({"sync": sync["sync"], "service": sync["service"], **_counts(sync)} for sync in syncs), names=NAMES)
    _notes(syncs)
    _rejects(syncs)


def _notes(syncs: Sequence[Mapping[str, Any]]) -> None:
    """What a person should know although the syncs were carried out, and where the service shows its run."""
    for sync in syncs:
        for note in sync.get("notes", ()):
            st.warning(f"{sync['sync']}: {note}", icon=":material/info:")
        if link := sync.get("link"):
            st.markdown(f"[{t('ops_runs.sync_link', sync=sync['sync'], service=sync['service'])}]({link})")


def _counts(sync: Mapping[str, Any]) -> dict[str, str]:
    return {name: formats.number(sync.get(name, 0)) for name in COUNTS}


def _rejects(syncs: Sequence[Mapping[str, Any]]) -> None:
    shown = [{"sync": sync["sync"], **reject} for sync in syncs for reject in sync["rejects"]]
    if not shown:
        st.caption(t("ops_runs.rejects_none"))
        return
    total = sum(sync["rejected"] + sync.get("invalid", 0) for sync in syncs)
    st.markdown(f"**{t('ops_runs.rejects', shown=formats.number(len(shown)), total=formats.number(total))}**")
    table.show(shown, names=NAMES)


def _deliveries(zone: str) -> None:
    st.subheader(t("ops_runs.deliveries"))
    found = [done for done in map(operations.newest_step, OUTWARD_STEPS) if done is not None]
    if not found:
        states.empty(t("ops_runs.deliveries_none"))
        return
    table.show((_delivery(run, step, zone) for run, step in found), names=NAMES)


def _delivery(run: Run, step: Step, zone: str) -> dict[str, str]:
    return {
        "what": t(f"common.steps.{step.name}"),
        "service": step.service,
        "where": f"`{step.detail['location']}`" if "location" in step.detail else formats.NOTHING,
        "when": formats.moment(step.ended_at, zone),
        "run": run_table.name(run),
    }


def _undelivered(zone: str) -> None:
    st.subheader(t("ops_runs.undelivered"))
    waiting = operations.undelivered()
    if not waiting:
        st.caption(t("ops_runs.undelivered_none"))
        return
    rows = ({"what": f"`{one.key}`", "where": one.target, "since": formats.moment(one.reserved_at, zone)} for one in waiting)
    table.show(rows, names=NAMES)
