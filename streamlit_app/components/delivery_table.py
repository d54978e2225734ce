"""What left the house: where sheet, lists and mail went, and what still waits."""

from __future__ import annotations

import streamlit as st

from pipeline.runs.records import Run, Step
from streamlit_app import formats, operations
from streamlit_app.components import run_table, states, table
from streamlit_app.messages import t

NAMES = "ops_syncs.columns"
OUTWARD_STEPS = ("sheet", "activate", "notify")


def show(zone: str) -> None:
    """The newest deliveries, then what waits."""
    _deliveries(zone)
    _undelivered(zone)


def _deliveries(zone: str) -> None:
    st.subheader(t("ops_syncs.deliveries"))
    found = [done for done in map(operations.newest_step, OUTWARD_STEPS) if done is not None]
    if not found:
        states.empty(t("ops_syncs.deliveries_none"))
        return
    table.show((_delivery(run, step, zone) for run, step in found), names=NAMES)


def _delivery(run: Run, step: Step, zone: str) -> dict[str, str]:
    return {
        "what": t(f"common.steps.{step.name}"),
        "service": formats.service(step.service),
        "where": formats.literal(str(step.detail["location"])) if "location" in step.detail else formats.NOTHING,
        "when": formats.moment(step.ended_at, zone),
        "run": run_table.name(run),
    }


def _undelivered(zone: str) -> None:
    st.subheader(t("ops_syncs.undelivered"))
    waiting = operations.undelivered()
    if not waiting:
        st.caption(t("ops_syncs.undelivered_none"))
        return
    rows = (
        {"what": formats.literal(one.key), "where": formats.literal(one.target), "since": formats.moment(one.reserved_at, zone)}
        for one in waiting
    )
    table.show(rows, names=NAMES)
