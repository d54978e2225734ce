"""What a sync did, time after time, and the rows that were not taken in one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from pipeline.runs.records import SyncRun
from streamlit_app import formats, operations
from streamlit_app.components import list_files, run_table, states, table
from streamlit_app.components.list_files import COUNTS
from streamlit_app.messages import t
from streamlit_app.operations import ListedSync

ROWS_SHOWN = 200
KEY_WIDTH = 320


def show(sync: ListedSync, done: Sequence[SyncRun], zone: str) -> None:
    """The last times, newest first, then the refused rows of one of them."""
    if not done:
        st.subheader(t("ops_syncs.history"))
        states.empty(t("ops_syncs.no_history"), next=t("ops_runs.no_run_next"))
        return
    list_files.head(t("ops_syncs.history"), lambda title: list_files.syncs(sync.name, title))
    table.show((_row(each, zone) for each in done), names="ops_syncs.columns", most=operations.SYNC_RUNS_SHOWN)
    newest = done[0]
    if newest.error:
        run_table.error(newest.error)
    for note in newest.notes:
        st.warning(formats.plain(note), icon=":material/info:")
    if newest.link:
        st.markdown(f"[{t('ops_syncs.link', sync=sync.name, service=newest.service)}]({newest.link})")
    refused = [each for each in done if each.counts.get("rejected", 0) or each.counts.get("invalid", 0)]
    if refused:
        _rejects(refused, zone)
    else:
        st.caption(t("ops_syncs.rejects_none"))


def _row(done: SyncRun, zone: str) -> dict[str, str]:
    return {
        "when": formats.moment(done.ended_at, zone),
        "state": t(f"ops_syncs.states.{done.state}"),
        "how": _how(done),
        **{name: formats.number(done.counts.get(name)) for name in COUNTS},
    }


def _how(done: SyncRun) -> str:
    by = t("ops_runs.run", run=done.run_id) if done.run_id is not None else t("ops_syncs.by_hand", who=formats.plain(done.who))
    if done.scope.get("only"):
        return f"{by}, {t('ops_syncs.row', which=formats.literal(str(done.scope['only'])))}"
    return f"{by}, {t('ops_syncs.scopes.afresh')}" if done.scope.get("afresh") else by


def _rejects(refused: Sequence[SyncRun], zone: str) -> None:
    st.subheader(t("ops_syncs.rejects"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            t("ops_syncs.rejects_of"), refused, format_func=lambda each: formats.moment(each.ended_at, zone), width=KEY_WIDTH
        )
        key = st.text_input(t("ops_syncs.search"), key="rejects_key", width=KEY_WIDTH).strip()
        list_files.refused(chosen, key, t("ops_syncs.rejects"))
    rows, total = operations.rejected_rows(chosen.id, key=key, limit=ROWS_SHOWN)
    st.caption(_how_many(len(rows), total, chosen, key))
    shown = (
        {
            "key": formats.literal(row.key),
            "reason": formats.literal(row.reason),
            "row": formats.literal(json.dumps(row.row, ensure_ascii=False)),
        }
        for row in rows
    )
    if rows:
        table.show(shown, names="ops_syncs.columns")


def _how_many(shown: int, found: int, done: SyncRun, key: str) -> str:
    """How many rows are shown of how many that were refused; without a search, also of those that were not kept."""
    total = found if key else done.counts.get("rejected", 0) + done.counts.get("invalid", 0)
    return t("ops_syncs.shown", shown=formats.number(shown), total=formats.number(max(total, found)))
