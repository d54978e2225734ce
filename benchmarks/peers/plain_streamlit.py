"""A page like Activity as it is usually written: Streamlit and Altair, pandas between them, the whole script at every change.

The same figures from the same read side as the product's page, kept by `st.cache_data`; served with Streamlit's own settings.
"""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from pipeline import marts, settings
from pipeline.marts import Question
from pipeline.warehouse.publication import Publications

COUNTS = ("active_customers", "new_customers", "resurrected_customers", "churned_customers")
KINDS = ("active", "churn", "came_back")


@st.cache_resource
def reader() -> marts.Reader:
    """The published version."""
    version = Publications(settings.load().home, keep=5).current()
    assert version is not None
    return marts.reader(version)


@st.cache_data(max_entries=2000, show_spinner=False)
def figures(question: Question) -> pd.DataFrame:
    """A metric's figures; the time key is called `date`."""
    return reader().answer(question).table.to_pandas().rename(columns={"week": "date"})


def over_time(table: pd.DataFrame, *, title: str, color: str | None = None) -> None:
    """A line over time."""
    encoded = {"x": "date:T", "y": "value:Q", "tooltip": ["date:T", "value:Q"]} | ({"color": f"{color}:N"} if color else {})
    st.altair_chart(alt.Chart(table, title=title).mark_line().encode(**encoded), width="stretch")


def main() -> None:
    """The page."""
    st.set_page_config(layout="wide")
    st.header("Activity")
    window = st.slider("Inactivity window", 7, 180, 90)
    country = st.selectbox("Country", ["All", *reader().dimension_values("country")])
    where = () if country == "All" else (("country", country),)

    counts = {name: figures(Question(name, window=window, where=where, grain="week")) for name in COUNTS}
    for column, (name, table) in zip(st.columns(4), counts.items(), strict=True):
        column.metric(name, f"{table['value'].iloc[-1]:,.0f}", chart_data=table["value"].tail(26).tolist())
    left, right = st.columns(2)
    with left:
        over_time(counts["active_customers"], title="Active customers")
    with right:
        parts = pd.concat(table.assign(part=name) for name, table in list(counts.items())[1:])
        bars = alt.Chart(parts, title="Growth").mark_bar().encode(x="date:T", y="value:Q", color="part:N", tooltip=["value:Q"])
        st.altair_chart(bars, width="stretch")
    left, right = st.columns(2)
    with left:
        names = ("mau", "wau", "dau")
        rolling = pd.concat(figures(Question(name, where=where)).assign(series=name) for name in names)
        over_time(rolling, title="Rolling", color="series")
    with right:
        over_time(figures(Question("stickiness", where=where)), title="Stickiness")
    days = alt.Chart(figures(Question("l28", where=where)), title="L28").mark_bar().encode(x="active_days:O", y="value:Q")
    st.altair_chart(days, width="stretch")
    for column, kind in zip(st.columns(3), KINDS, strict=True):
        table = figures(Question("window_sensitivity", where=where, kind=kind))
        with column:
            drawn = alt.Chart(table, title=kind).mark_line().encode(x="window_days:Q", y="value:Q")
            chosen = alt.Chart(pd.DataFrame({"window_days": [window]})).mark_rule().encode(x="window_days:Q")
            st.altair_chart(drawn + chosen, width="stretch")


main()
