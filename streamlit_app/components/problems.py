"""What is wrong with the bank's data, said before the figures that rest on it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import streamlit as st

from pipeline import data_problems
from pipeline.marts import ConfinedError
from streamlit_app import data, formats, messages
from streamlit_app.components import links
from streamlit_app.messages import t

NAMED = 3


def show() -> None:
    """One line where there is something to say: how many rows, the commonest reasons, and how many more there are."""
    with suppress(ConfinedError):  # counted for all countries together alone
        rows = Counter[str]()
        for problem in data.data_quality().to_pylist():
            rows[problem["reason"]] += problem["rows_affected"]
        if rows:
            with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f":material/rule: {in_words(rows)}", width="stretch")
                links.to("definitions", t("overview.problems.more"))


def in_words(rows: Counter[str]) -> str:
    """The commonest reasons with their rows."""
    named = [
        t("overview.problems.one", rows=formats.number(count), reason=data_problems.in_words(name, messages.language()))
        for name, count in rows.most_common(NAMED)
    ]
    if len(rows) > NAMED:
        named.append(t("overview.problems.others", kinds=len(rows) - NAMED))
    return t("overview.problems.told", rows=formats.number(sum(rows.values())), reasons="; ".join(named))
