"""The runs of the chain: what is going on, and what went before."""

from __future__ import annotations

import streamlit as st

from pipeline.runs.records import Run, RunState
from streamlit_app import actions, exports, operations
from streamlit_app.auth import Role
from streamlit_app.components import (
    answers,
    download,
    filters,
    going_on,
    links,
    list_files,
    page_head,
    run_form,
    run_table,
    states,
    trend,
    url,
)
from streamlit_app.messages import t

RUNS_A_PAGE = 10
RUN = "run"


def show() -> None:
    """The page."""
    zone = page_head.show(t("ops_runs.title"))
    going_on.show(zone)
    run_form.show()
    with states.guarded():
        _runs(zone)


def _runs(zone: str) -> None:
    limit = st.session_state.setdefault("runs_shown", RUNS_A_PAGE)
    runs = operations.runs(limit + 1)
    if not runs:
        states.empty(t("ops_runs.no_run"), next=t("ops_runs.no_run_next"))
        return
    trend.show()
    chosen = _chosen(runs[0])
    history, detail = st.columns([2, 3], gap="medium")
    with history:
        list_files.head(t("ops_runs.history"), list_files.runs)
        run_table.show(runs[:limit], chosen=chosen, zone=zone, choose=_choose)
        if len(runs) > limit:
            st.button(t("ops_runs.older"), icon=":material/expand_more:", on_click=_show_more)
    with detail, states.guarded():
        _one_run(operations.run(chosen), zone)


def _one_run(run: Run, zone: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(run_table.name(run), width="content")
        run_table.badge(run)
    st.caption(run_table.facts(run, zone=zone, now=None))
    if run.state is RunState.RUNNING:
        st.markdown(t("ops_runs.see_above"))
        return
    if run.error:
        run_table.error(run.error)
    if run.is_resumable:
        _retry(run)
    if run.state is RunState.HELD:
        links.to("ops_versions", t("ops_runs.decide"))
    run_table.steps(run)
    for step in run.steps:
        if step.detail:
            with st.expander(t("ops_runs.details_of", step=t(f"common.steps.{step.name}")), icon=":material/list_alt:"):
                run_table.details(run_table.told(step, run))
    _log(run, zone)


def _retry(run: Run) -> None:
    obstacle = operations.why_no_retry(run)
    label = t("ops_runs.retry", step=t(f"common.steps.{run.unfinished_step}"))
    answers.button(
        label, lambda: actions.retry_from_failure(run.id), key="retry", obstacle=obstacle, icon=":material/restart_alt:"
    )
    answers.reason(obstacle)


def _log(run: Run, zone: str) -> None:
    with st.expander(t("ops_runs.log"), icon=":material/terminal:"):
        going_on.log(run, zone, lines=None)
    name = f"neopulse-run-{run.id}.log"
    download.button(
        t("ops_runs.download_log"),
        lambda: exports.text(name, lambda: operations.log_text(run.id), needs=Role.ADMIN),
        file_name=name,
        key="download_log",
    )


def _chosen(newest: Run) -> int:
    """The run that the URL names, else the newest. A run that is not there is told, until the reader chooses one."""
    named = st.query_params.get(RUN)
    found = None if named is None else url.whole_number(1, newest.id)(named)
    if named is not None and found is None:
        states.unheeded([t("ops_runs.no_such_run", asked=filters.as_asked(named), shown=run_table.name(newest))])
    else:
        url.remember(RUN, found or newest.id, newest.id)
    return found or newest.id


def _choose(run_id: int) -> None:
    st.query_params[RUN] = str(run_id)


def _show_more() -> None:
    st.session_state["runs_shown"] += RUNS_A_PAGE
