"""What a sync would do now, and the press that does exactly that."""

from __future__ import annotations

import streamlit as st

from pipeline.reverse_etl.plan import ACTS, Plan
from streamlit_app import actions, formats, operations
from streamlit_app.components import answers, table
from streamlit_app.messages import t
from streamlit_app.operations import ListedSync

SCOPES = ("changed", "only", "afresh")
PLAN = "sync_plan"
KEY_WIDTH = 320


def show(sync: ListedSync) -> None:
    """How much of it, the plan on demand, and its button; a plan of another sync or scope is not shown."""
    scope = st.segmented_control(
        t("ops_syncs.scope"), SCOPES, default="changed", key=f"scope_{sync.name}", format_func=_named, required=True
    )
    st.caption(t(f"ops_syncs.scopes_explained.{scope}"))
    key = ""
    if scope == "only":
        key = st.text_input(t("ops_syncs.key", column=sync.key), key=f"key_{sync.name}", width=KEY_WIDTH).strip()
    wanted = (sync.name, key, scope == "afresh")
    st.button(
        t("ops_syncs.show_plan"),
        key="show_plan",
        icon=":material/preview:",
        disabled=scope == "only" and not key,
        on_click=answers.press,
        args=(lambda: _plan(wanted),),
    )
    answers.tell()
    known: tuple[tuple[str, str, bool], Plan] | None = st.session_state.get(PLAN)
    if known is not None and known[0] == wanted:
        _draw(known[1])


def forget() -> None:
    """Show no plan until one is asked for: the one that was shown has been overtaken."""
    st.session_state.pop(PLAN, None)


def _named(scope: str) -> str:
    return t(f"ops_syncs.scopes.{scope}")


def _plan(wanted: tuple[str, str, bool]) -> None:
    name, only, afresh = wanted
    forget()
    st.session_state[PLAN] = (wanted, operations.sync_plan(name, only=only, afresh=afresh))


def _draw(plan: Plan) -> None:
    counts = {act: formats.number(plan.count(act)) for act in ACTS}
    table.show([counts], names="ops_syncs.acts")
    for act, keys in plan.samples.items():
        if keys:
            named = ", ".join(formats.literal(key) for key in keys)
            st.caption(t("ops_syncs.for_example", act=t(f"ops_syncs.acts.{act}"), keys=named))
    for note in plan.notes:
        st.info(formats.plain(note), icon=":material/info:")
    for reason in plan.tripped:
        st.warning(t("ops_syncs.guard", reason=formats.plain(reason)), icon=":material/front_hand:")
    if plan.rejects:
        shown = [{"key": formats.literal(reject.key), "reason": formats.literal(reject.reason)} for reject in plan.rejects[:5]]
        total = plan.count("reject") + plan.count("invalid")
        st.markdown(t("ops_syncs.not_sent", shown=formats.number(len(shown)), total=formats.number(total)))
        table.show(shown, names="ops_syncs.columns")
    _carry_out(plan)


def _carry_out(plan: Plan) -> None:
    if plan.is_idle:
        st.caption(t("ops_syncs.nothing_to_do"))
        return
    obstacle = operations.now().obstacle
    label = t("ops_syncs.carry_out_anyway" if plan.tripped else "ops_syncs.carry_out")
    answers.button(
        label,
        lambda: actions.carry_out_sync(plan.sync.name, only=plan.scope.only, afresh=plan.scope.afresh, digest=plan.digest),
        key="carry_out",
        obstacle=obstacle,
        icon=":material/send:",
    )
    answers.reason(obstacle)
