"""The way from a figure to its customers: the address of their list, and what the list is of in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pyarrow as pa
import streamlit as st

from pipeline.marts import Behind
from pipeline.marts.behind import has_a_list
from pipeline.marts.question import CUSTOMER_DIMENSIONS, LONGEST_WINDOW_DAYS
from streamlit_app import auth, data, formats
from streamlit_app.auth import Role
from streamlit_app.components import links, url
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

PAGE = "customers"
METRIC, ON, UNTIL, PERIOD, PART = "behind", "on", "until", "period", "part"
OF_THE_FIGURE = (METRIC, ON, UNTIL, PERIOD, PART, "kind", "cohort", "grain")
COLUMN = "list"
MOST_PERIODS = 5_000
WORDS = "customers.behind"


def asked() -> Behind | None:
    """The figure whose customers the address asks for; None where it names none, or none that can be."""
    written = st.query_params
    metric, on = written.get(METRIC, ""), _day(written.get(ON))
    if not has_a_list(metric) or on is None:
        return None
    window = url.whole_number(1, LONGEST_WINDOW_DAYS)(written.get("window", ""))
    named = {name: written.get(name) for name in ("kind", "cohort", "grain")}
    period = url.whole_number(0, MOST_PERIODS)(written.get(PERIOD, "")) or 0
    question = Question(metric, window=window, **named)
    return Behind(question, on, until=_day(written.get(UNTIL)), period=period, part="n" if written.get(PART) == "n" else "value")


def _day(written: str | None) -> date | None:
    return None if written is None else url.day(date(1900, 1, 1), data.published().as_of)(written)


def address(question: Question, metric: str, **more: str) -> str:
    """The address of the lists behind the metric's figures under a question, as far as all its points share it."""
    asked = {METRIC: metric, "window": question.window or data.published().inactivity_days}
    asked |= {name: value for name in ("grain", "kind", "cohort") if (value := getattr(question, name))}
    asked |= {name: value for name, value in question.where if name in CUSTOMER_DIMENSIONS}
    return urlencode(asked | more | {data.ASKED_VERSION: data.published().name})


def linked(answer: Answer, *, metric: Callable[[Mapping[str, Any]], str | None] | None = None) -> Answer:
    """The answer with the address of each row's list in the column COLUMN, where the reader may open lists; else as it is.

    `metric` says of a row's texts (its group, its part) which metric it is of; None: the answer's own. Rows have few different
    addresses: what tells points apart, the time key, is added where a list is opened.
    """
    table, dimension = answer.table, answer.question.by
    if not links.is_open(PAGE) or not auth.current_user().may(Role.MANAGER):
        return answer
    names = [name for name in (dimension, "series", "part") if name and name in table.column_names]
    rows = pa.StructArray.from_arrays([table[name].combine_chunks() for name in names], names) if names else None
    if rows is None:
        found = metric({}) if metric else answer.metric.name
        column = pa.array([_of_a_row(answer, found, None)] * table.num_rows, pa.string()).dictionary_encode()
        return replace(answer, table=table.append_column(COLUMN, column))
    known: dict[tuple[Any, ...], str | None] = {}
    column = []
    for row in rows.to_pylist():
        key = tuple(row.values())
        if key not in known:
            group = {dimension: row[dimension]} if dimension in row else None
            known[key] = _of_a_row(answer, metric(row) if metric else answer.metric.name, group)
        column.append(known[key])
    return replace(answer, table=table.append_column(COLUMN, pa.array(column, pa.string()).dictionary_encode()))


def _of_a_row(answer: Answer, metric: str | None, group: Mapping[str, str] | None) -> str | None:
    if metric is None or not has_a_list(metric) or (group and not set(group) <= set(CUSTOMER_DIMENSIONS)):
        return None
    return address(answer.question, metric, **(group or {}))


def choose(table: pa.Table, *, key: str, named: Callable[[Mapping[str, Any]], str]) -> None:
    """One of the rows that have a list, under the name that `named` gives it, and the way to that list: for lack of a pointer."""
    if COLUMN not in table.column_names:
        return
    rows = [row for row in table.to_pylist() if row[COLUMN] and row.get("value", row.get("customers"))]
    if not rows:
        return
    st.markdown(f"**{t(f'{WORDS}.open')}**")
    places = range(len(rows))
    place = st.selectbox(t(f"{WORDS}.choose"), places[::-1], format_func=lambda place: named(rows[place]), key=f"{key}_behind")
    st.button(t(f"{WORDS}.go"), icon=":material/list:", key=f"{key}_behind_go", on_click=_go, args=(parameters(rows[place]),))


def parameters(row: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of the list behind a row."""
    found = dict(parse_qsl(row[COLUMN])) | {ON: row["cohort" if "cohort" in row else "date"].isoformat()}
    return found | ({PERIOD: str(row["period"])} if "period" in row else {})


def _go(parameters: Mapping[str, str]) -> None:
    links.go(PAGE, **parameters)


def in_words(behind: Behind) -> str:
    """Whom the list names."""
    question, window = behind.question, behind.question.window or data.published().inactivity_days
    first, last = behind.days()
    values = {"window": formats.days(window), "from": formats.day(first), "to": formats.day(min(last, data.published().as_of))}
    kind = _kind(behind)
    if question.metric == "retention_cohort":
        start, end = behind.days_of_the_period()
        values |= {"period": behind.period, "start": formats.day(start), "end": formats.day(end)}
    return t(f"{WORDS}.{question.metric}{kind}", **values)


def _kind(behind: Behind) -> str:
    """What follows the metric in the catalogue's key: the part of a share, and the kind where it changes the words."""
    question = behind.question
    if question.metric == "monthly_churn_rate":
        return f".{question.kind or 'recognised'}.{behind.part}"
    if question.metric == "came_back_share":
        return f".{behind.part}"
    if question.metric == "retention_cohort":
        kept = "n" if behind.part == "n" else question.kind or "classic"
        return f".{question.cohort or 'first_activity'}.{kept}"
    return ""


def is_a_share(behind: Behind) -> bool:
    """Whether the figure has those it is taken of beside those it counts."""
    return behind.question.metric in ("monthly_churn_rate", "came_back_share", "retention_cohort")


def show(behind: Behind) -> None:
    """What the list is of, the other list of a share, and the way back to every customer."""
    st.markdown(f"**{in_words(behind)}**")
    with st.container(horizontal=True, gap="small"):
        if is_a_share(behind):
            other = "value" if behind.part == "n" else "n"
            st.button(t(f"{WORDS}.to_{other}"), icon=":material/swap_horiz:", type="tertiary", on_click=_ask, args=(PART, other))
        st.button(t(f"{WORDS}.everybody"), icon=":material/close:", type="tertiary", on_click=forget)


def _ask(name: str, value: str) -> None:
    st.query_params[name] = value


def forget() -> None:
    """Let the address ask for every customer again."""
    for name in OF_THE_FIGURE:
        st.query_params.pop(name, None)
