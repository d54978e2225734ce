"""The way from a figure to its customers: the address of their list, and what the list is of in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, get_args
from urllib.parse import parse_qs, urlencode

import pyarrow as pa
import streamlit as st

from pipeline.errors import ConfigurationError
from pipeline.marts import Behind, family
from pipeline.marts.behind import L28_DAYS, OF_N_ALONE, Part, has_a_list
from pipeline.marts.question import LONGEST_WINDOW_DAYS, checked
from streamlit_app import auth, data, figures, formats, segments
from streamlit_app.auth import Role
from streamlit_app.charts import marks
from streamlit_app.components import filters, links, url
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

METRIC, ON, UNTIL, PERIOD, PART = "behind", "on", "until", "period", "part"
OF_THE_FIGURE = (METRIC, ON, UNTIL, PERIOD, PART, "kind", "cohort", "grain")
COLUMN, PAGE = marks.LIST, marks.LISTS_PAGE
ACTIVE_DAYS = "active_days"  # the column of L28 whose number tells its lists of one day apart
OF_PERIODS = ("retention_cohort", "l28")  # whose lists are told apart by `period` as well
MOST_PERIODS = 5_000
WORDS = "customers.behind"


def asked() -> Behind | None:
    """The figure whose customers the address asks for; None where it names none, or none that can be."""
    metric = st.query_params.get(METRIC, "")
    if not has_a_list(metric):
        return None
    published = data.published()
    day = url.day(date(1900, 1, 1), published.as_of)
    reads: dict[str, Callable[[str], Any]] = {
        **{ON: day, UNTIL: day, PERIOD: url.whole_number(0, MOST_PERIODS), PART: url.one_of([*get_args(Part)])},
        "window": url.whole_number(1, LONGEST_WINDOW_DAYS),
        **dict.fromkeys(("kind", "cohort", "grain"), str),
    }
    found = {name: read(st.query_params[name]) for name, read in reads.items() if name in st.query_params}
    if ON not in found or None in found.values():
        return None
    question = Question(metric, **{name: found.pop(name) for name in ("window", "kind", "cohort", "grain") if name in found})
    with suppress(ConfigurationError):
        behind = Behind(checked(question, family(metric), published_window=published.inactivity_days), **found)
        return behind if metric != "l28" or behind.part == "n" or 1 <= behind.period <= L28_DAYS else None
    return None


def _may_open() -> bool:
    """Whether the reader may open lists."""
    return links.is_open(PAGE) and auth.current_user().may(Role.MANAGER)


def _is_there(metric: str) -> bool:
    """Whether the metric's figures have lists, and the version what they are made from."""
    return has_a_list(metric) and data.has_lists(metric)


def link(question: Question, metric: str, *, on: date, until: date) -> str:
    """A link in a text to the list behind one figure of the question's window and segment; nothing for who may open none."""
    if not _may_open() or not _is_there(metric):
        return ""
    asked: dict[str, Any] = {METRIC: metric, "window": question.window or data.published().inactivity_days}
    asked |= segments.in_an_address(question.where) | {data.ASKED_VERSION: data.published().name}
    asked |= {ON: on.isoformat(), UNTIL: until.isoformat()} | url.language()
    return f"[{t(f'{WORDS}.list')}]({PAGE}?{urlencode(asked, doseq=True)})"


def linked(answer: Answer, of: Callable[[Mapping[str, Any]], Mapping[str, str] | None] | None = None) -> Answer:
    """The answer with the address of each row's list in the column COLUMN; as it is where the reader may open none of them.

    `of` says of a row's texts (its group, part, series) what its address has beside the question, or None where it has no list;
    left out: the answer's own metric and the row's group. Rows have few different addresses: what tells points apart, the
    time key, is added where a list is opened.
    """
    table, by = answer.table, answer.question.by
    if not _may_open():
        return answer

    def its_group(row: Mapping[str, Any]) -> Mapping[str, str] | None:
        return {by: row[by]} if by is not None and by in row else {}

    texts = [name for name in (by, "series", "part") if name and name in table.column_names]
    rows = table.select(texts).to_pylist() if texts else [{}] * table.num_rows
    addresses = {tuple(row.values()): row for row in rows}
    known = {key: _address(answer, (of or its_group)(row)) for key, row in addresses.items()}
    if not any(known.values()):
        return answer
    column = pa.array([known[tuple(row.values())] for row in rows], pa.string()).dictionary_encode()
    return replace(answer, table=table.append_column(COLUMN, column))


def _address(answer: Answer, more: Mapping[str, str] | None) -> str | None:
    """The address of a list, as far as the points of one line share it."""
    question = answer.question
    asked: dict[str, Any] = {METRIC: answer.metric.name, "window": answer.window}
    asked |= {name: value for name in ("grain", "kind", "cohort") if (value := getattr(question, name))}
    asked |= segments.in_an_address(question.where) | {data.ASKED_VERSION: answer.version} | url.language() | dict(more or {})
    is_of_customers = {name for name, _ in question.where} <= set(filters.SEGMENTS)
    return urlencode(asked, doseq=True) if more is not None and is_of_customers and _is_there(asked[METRIC]) else None


def of_a_part(row: Mapping[str, Any]) -> Mapping[str, str] | None:
    """What tells the list of a part of growth accounting from the others; the net has none."""
    return {METRIC: figures.METRIC_OF[row["part"]]} if row["part"] in figures.METRIC_OF else None


def choose(table: pa.Table, *, key: str) -> None:
    """One of the rows that have a list, under its name, and the way to that list: for lack of a pointer."""
    if COLUMN not in table.column_names:
        return
    rows = [row for row in table.to_pylist() if row[COLUMN] and row.get("value", row.get("customers"))]
    if not rows:
        return
    st.markdown(f"**{t(f'{WORDS}.open')}**")
    places = range(len(rows))[::-1]
    place = st.selectbox(t(f"{WORDS}.choose"), places, format_func=lambda place: _name(rows[place]), key=f"{key}_behind")
    st.button(t(f"{WORDS}.go"), icon=":material/list:", key=f"{key}_behind_go", on_click=_go, args=(parameters(rows[place]),))


def _name(row: Mapping[str, Any]) -> str:
    """When, who and how many, as far as the row says it."""
    when = f"{row['cohort_name']} · {row['period']}" if "cohort_name" in row else formats.day(row.get("date"))
    part = t(f"charts.parts.{row['part']}") if "part" in row else None
    days = formats.days(row[ACTIVE_DAYS]) if ACTIVE_DAYS in row else None
    value = formats.number(abs(row["customers"])) if "customers" in row else _value(row)
    return " · ".join(text for text in (when, row.get("series"), part, days, value) if text and text != formats.NOTHING)


def _value(row: Mapping[str, Any]) -> str:
    if row["n"] is None or ACTIVE_DAYS in row:
        return formats.number(row["value"])
    if parameters(row)[METRIC] in OF_N_ALONE:
        return formats.number(row["n"])
    return t(f"{WORDS}.of", part=formats.number(row["value"] * row["n"]), n=formats.number(row["n"]))


def parameters(row: Mapping[str, Any]) -> dict[str, url.Said]:
    """The parameters of the list behind a row."""
    day = row.get("cohort", row.get("date"))
    found = {name: url.as_said(texts) for name, texts in parse_qs(row[COLUMN]).items()} | ({ON: day.isoformat()} if day else {})
    period = row.get("period", row.get(ACTIVE_DAYS))
    return found | ({PERIOD: str(period)} if period is not None else {})


def _go(parameters: Mapping[str, url.Said]) -> None:
    links.go(PAGE, **parameters)


def in_words(behind: Behind) -> str:
    """Whom the list names."""
    question, window = behind.question, behind.question.window or data.published().inactivity_days
    first, last = behind.days()
    until = min(last, data.published().as_of)
    values: dict[str, object] = {"window": formats.days(window), "from": formats.day(first), "to": formats.day(until)}
    kind = _kind(behind)
    if question.metric == "l28":
        opened = until - timedelta(days=L28_DAYS)
        values |= {"active_days": formats.days(behind.period), "opened": formats.day(opened)}
    if question.metric == "retention_cohort":
        start, end = behind.days_of_the_period()
        values |= {"period": behind.period, "start": formats.day(start), "end": formats.day(end)}
    return t(f"{WORDS}.{question.metric}{kind}", **values)


def _kind(behind: Behind) -> str:
    """What follows the metric in the catalogue's key: the part of a share, and the kind where it changes the words."""
    question = behind.question
    if question.metric == "monthly_churn_rate":
        return f".{question.kind}.{behind.part}"
    if question.metric in ("came_back_share", "l28"):
        return f".{behind.part}"
    if question.metric == "retention_cohort":
        kept = "n" if behind.part == "n" else question.kind
        return f".{question.cohort}.{kept}"
    return ""


def has_two_lists(behind: Behind) -> bool:
    """Whether the figure has those it is taken of beside those it counts."""
    if behind.question.metric == "l28":
        return behind.period > 0
    return data.registry()[behind.question.metric].unit == "share"


def counts_times(behind: Behind) -> bool:
    """Whether somebody may stand in the list twice: whoever left or came back twice in the period."""
    return behind.question.metric in ("resurrected_customers", "churned_customers", "came_back_share")


def show(behind: Behind) -> None:
    """What the list is of, the other list of a share, and the way back to every customer."""
    st.markdown(f"**{in_words(behind)}**")
    with st.container(horizontal=True, gap="small"):
        if has_two_lists(behind):
            other = "value" if behind.part == "n" else "n"
            label = t(f"{WORDS}.l28.to_{other}" if behind.question.metric == "l28" else f"{WORDS}.to_{other}")
            st.button(label, icon=":material/swap_horiz:", type="tertiary", on_click=_ask, args=(PART, other))
        st.button(t(f"{WORDS}.everybody"), icon=":material/close:", type="tertiary", on_click=forget)


def _ask(name: str, value: str) -> None:
    st.query_params[name] = value


def forget() -> None:
    """Let the address ask for every customer again."""
    current = data.current_version()
    is_latest = current is not None and st.query_params.get(data.ASKED_VERSION) == current.name
    for name in (*OF_THE_FIGURE, "window", *([data.ASKED_VERSION] if is_latest else [])):
        st.query_params.pop(name, None)
