"""How unequally customers share the amount and the transactions of a month: the largest customers, and the Gini coefficient."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from pipeline.marts import ConfinedError, OlderVersionError, TogetherError
from streamlit_app import auth, charts, data, figures, formats
from streamlit_app.components import chart, metric_help, states
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

AREA = "payments.concentration"
MEASURES = {"amount": "amount_concentration", "transactions": "transaction_concentration"}


def show(question: Question) -> None:
    """The section: it follows the range and the country alone, and says so where other filters are set."""
    st.subheader(t(f"{AREA}.title"))
    of_country = tuple(pair for pair in question.where if pair[0] == "country")
    if of_country != question.where:
        st.caption(t(f"{AREA}.by_country_alone"))
    asked = replace(question, where=of_country)
    try:
        answers = {measure: _kinds(asked, metric) for measure, metric in MEASURES.items()}
    except ConfinedError:
        states.empty(t(f"{AREA}.one_country"))
        return
    except TogetherError:
        sees_all = auth.current_user().countries is None
        states.empty(t(f"{AREA}.{'not_together' if sees_all else 'one_country'}"))
        return
    except OlderVersionError:
        states.empty(t(f"{AREA}.older"))
        return
    if answers["amount"]["top_10"].empty:
        states.empty(t(f"{AREA}.nothing"), next=t("common.widen"))
        return
    st.markdown(in_words(answers["amount"]["top_10"], answers["amount"]["top_1"]))
    with chart.side_by_side():
        for measure in MEASURES:
            _largest(measure, answers[measure])
    drawn = figures.together({t(f"{AREA}.measures.{measure}"): answers[measure]["gini"] for measure in MEASURES})
    title, subtitle = t(f"{AREA}.gini"), t(f"{AREA}.gini_explained")
    chart.show(charts.RATIO_BY_SERIES, drawn, key="gini", title=title, subtitle=subtitle)
    metric_help.show("amount_concentration")


def _kinds(question: Question, metric: str) -> dict[str, Answer]:
    return {kind: data.answer(replace(question, metric=metric, kind=kind)) for kind in ("top_10", "top_1", "gini")}


def _largest(measure: str, kinds: dict[str, Answer]) -> None:
    drawn = figures.together({t(f"{AREA}.{kind}"): kinds[kind] for kind in ("top_10", "top_1")})
    title, subtitle = t(f"{AREA}.of.{measure}"), t(f"{AREA}.explained")
    chart.show(charts.SHARE_BY_SERIES, drawn, key=f"concentration_{measure}", title=title, subtitle=subtitle)


def in_words(tenth: Answer, hundredth: Answer) -> str:
    """The last final month: who has how much, of how many; where it is withheld or not over, nothing."""
    final = [row for row in tenth.rows() if not row["provisional"] and row["value"] is not None]
    if not final:
        return ""
    last = final[-1]
    one = next((row for row in hundredth.rows() if row["date"] == last["date"]), {})
    return t(
        f"{AREA}.told",
        month=formats.month(last["date"]),
        tenth=formats.number(last["top_customers"]),
        n=formats.number(last["n"]),
        share=formats.share(last["value"]),
        one=formats.share(one.get("value")),
    )
