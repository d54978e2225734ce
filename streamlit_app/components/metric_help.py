"""What a figure means, in the reader's language: from the registry published with the version, never retyped."""

from __future__ import annotations

import streamlit as st

from pipeline.marts import Answer
from pipeline.metrics import Metric
from streamlit_app import data, messages
from streamlit_app.messages import t


def show(metric_name: str, answer: Answer | None = None) -> None:
    """A closed fold with the metric's definition, and the way to its SQL and tests."""
    metric = answer.metric if answer is not None and answer.metric.name == metric_name else data.registry()[metric_name]
    language = messages.language()
    with st.expander(t("common.what_it_means", metric=metric.label[language]), icon=":material/menu_book:"):
        st.markdown(meaning(metric))
        st.caption(t("common.where_it_is_from", model=metric.model))


def meaning(metric: Metric, language: str | None = None) -> str:
    """A metric's definition as a page writes it: in the reader's language, or in the one that is asked for."""
    chosen = language or messages.language()
    return messages.typeset(metric.definition[chosen], chosen)
