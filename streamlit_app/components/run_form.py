"""A run with parameters of its own: where it begins, how much it does, and what that costs before anybody presses."""

from __future__ import annotations

import streamlit as st

from pipeline.steps import STEPS
from streamlit_app import actions, formats, operations
from streamlit_app.components import answers, states, table
from streamlit_app.messages import t
from streamlit_app.operations import PlannedStep

TRANSFORM = "transform"
COST = "planned_cost"


@states.guard
def show() -> None:
    """The parameters, what they mean step by step, and the button."""
    with st.expander(t("ops_runs.form"), icon=":material/tune:"):
        first, only, full = st.columns(3, vertical_alignment="bottom")
        name = t("ops_runs.first_step")
        first_step = first.selectbox(name, STEPS, format_func=lambda step: t(f"common.steps.{step}"), key="form_first_step")
        only_step = only.toggle(t("ops_runs.only_step"), key="form_only_step")
        builds = TRANSFORM in (STEPS[STEPS.index(first_step) :] if not only_step else (first_step,))
        help_text = t("ops_runs.full_refresh_help" if builds else "ops_runs.full_refresh_off")
        wanted = full.toggle(t("ops_runs.full_refresh"), key="form_full_refresh", disabled=not builds, help=help_text)
        full_refresh = builds and wanted
        _cost(operations.plan(first_step, only_step=only_step, full_refresh=full_refresh), builds=builds)
        obstacle = operations.now().obstacle
        answers.button(
            t("ops_runs.form_do"),
            lambda: actions.run_with(first_step, only_step=only_step, full_refresh=full_refresh),
            key="run_with",
            obstacle=obstacle,
            icon=":material/play_arrow:",
        )
        answers.reason(obstacle)


def _cost(planned: list[PlannedStep], *, builds: bool) -> None:
    table.show((_row(step) for step in planned), names="ops_runs.plan_columns")
    known = [step.seconds for step in planned if step.seconds is not None]
    if len(known) == len(planned):
        st.caption(t("ops_runs.takes_about", duration=formats.duration(sum(known))))
    else:
        st.caption(t("ops_runs.takes_unknown"))
    if not operations.asks_for_money():
        st.caption(t("ops_runs.costs_nothing"))
    elif builds:
        st.button(t("ops_runs.ask_cost"), key="ask_cost", icon=":material/payments:", on_click=_ask_cost)
        if COST in st.session_state:
            st.caption(st.session_state[COST])


def _ask_cost() -> None:
    answers.press(_estimate)


def _estimate() -> actions.Outcome:
    st.session_state[COST] = operations.planned_cost()
    return actions.Outcome(True, "estimated")


def _row(step: PlannedStep) -> dict[str, str]:
    return {
        "step": t(f"common.steps.{step.name}"),
        "does": formats.literal(step.act),
        "took": formats.duration(step.seconds),
    }
