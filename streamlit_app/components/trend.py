"""How long the last whole runs took, as a chart."""

from __future__ import annotations

import streamlit as st

from streamlit_app import charts, messages, operations
from streamlit_app.auth import Role
from streamlit_app.components import chart_files
from streamlit_app.messages import t

ENOUGH_TO_COMPARE = 2


def show() -> None:
    """One bar a run; nothing while there is nothing to compare."""
    table = operations.durations()
    if table.num_rows < ENOUGH_TO_COMPARE:
        return
    with st.expander(t("ops_runs.trend"), icon=":material/bar_chart:"):
        spec, explained = charts.RUN_DURATIONS.spec(messages.language(), messages.text), t("ops_runs.trend_explained")
        st.vega_lite_chart(table, dict(spec), key="run_durations", alt=t("ops_runs.trend"))
        st.caption(explained)
        chart_files.menu(
            chart_files.Files(
                "run_durations",
                "neopulse-run_durations",
                lambda: (table.column_names, [list(row.values()) for row in table.to_pylist()]),
                dict,
                title=t("ops_runs.trend"),
                spec=spec,
                table=table,
                lines=lambda: [explained],
                needs=Role.ADMIN,
            )
        )
