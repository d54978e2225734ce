"""Five customers with different histories, and what each one's state follows from; without customers for who may not see them."""

from __future__ import annotations

import streamlit as st

from pipeline.marts.samples import RULES, Sample
from streamlit_app import auth, data, formats
from streamlit_app.auth import Role
from streamlit_app.components import customer_words, links, states
from streamlit_app.messages import t

AREA = "definitions.samples"


def show() -> None:
    """The section."""
    st.caption(t(f"{AREA}.explained"))
    if not auth.current_user().may(Role.MANAGER):
        states.empty(t(f"{AREA}.for_managers"))
        st.markdown("\n".join(f"- **{t(f'{AREA}.names.{name}')}**: {t(f'{AREA}.rules.{name}')}" for name in RULES))
        return
    found = data.samples()
    if not found:
        states.empty(t(f"{AREA}.nobody"))
    for sample in found:
        _one(sample)


def _one(sample: Sample) -> None:
    facts = sample.customer.facts
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            name = t(f"{AREA}.names.{sample.history}")
            st.markdown(f"**{name}** · {t('customers.one', id=formats.plain(facts['user_id']))}", width="content")
            if st.button(t(f"{AREA}.open"), key=f"sample_{sample.history}", type="tertiary", icon=":material/person:"):
                links.go("customers", customer=facts["user_id"])
        st.caption(t(f"{AREA}.rules.{sample.history}"))
        st.markdown(customer_words.why(sample.customer))
        st.markdown("\n".join(f"- {line}" for line in customer_words.way(sample.customer)))
        counted = {"transactions": formats.number(facts["transactions"]), "days": formats.number(facts["active_days"])}
        st.caption(
            t("definitions.samples.counted", count=facts["transactions"], amount=formats.money(facts["amount_usd"]), **counted)
        )
