"""Customers: find one or a list of them, and read why somebody is counted as active or gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from streamlit_app import actions, auth, charts, data, exports, formats, segments
from streamlit_app.auth import Role
from streamlit_app.charts.stretches import DAY, STRETCH
from streamlit_app.components import behind_figure, chart, download, filters, kpi_row, sortable, states, table
from streamlit_app.components.customer_words import Pause, longest_pauses, rhythm, why
from streamlit_app.components.kpi_row import Kpi
from streamlit_app.data import Behind, Customer, Search, Together
from streamlit_app.exports import FORMS, Form
from streamlit_app.messages import t

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

NAMES = "customers.columns"
CUSTOMER = "customer"
STATES = {filters.EVERY: "", "yes": "active", "no": "inactive", "lapsed": "lapsed", "never": "never"}  # by an address's words
HAPPENED_ON = "happened_on"
ROWS_SHOWN = 200
SEARCH_WIDTH = 320  # pixels
ROWS_IN_A_FILE = 50_000
COLUMNS = (
    "user_id",
    "is_active",
    "days_silent",
    "last_active_day",
    "first_active_day",
    "active_days",
    "transactions",
    "amount_usd",
    "lapses",
    "country",
    "plan",
)
COUNTS = ("days_silent", "active_days", "transactions", "amount_usd", "lapses")


def show() -> None:
    """The page: one customer where the URL names one, else the list."""
    auth.require(Role.MANAGER)
    asked = st.query_params.get(CUSTOMER)
    if asked:
        _one(asked)
    else:
        _list()


def _list() -> None:
    st.header(t("customers.title"))
    behind = behind_figure.asked()
    if behind is not None:
        behind_figure.show(behind)
    elif behind_figure.METRIC in st.query_params:
        states.empty(t("customers.behind.unknown"))
    search = _search(behind)
    page = data.customers(search, limit=ROWS_SHOWN)
    found = data.customer(search.text) if search.text.strip() else None
    if found is not None:
        user_id = found.facts["user_id"]
        st.button(t("customers.open", id=formats.plain(user_id)), icon=":material/person:", on_click=_open, args=(user_id,))
    if page.total == 0:
        states.empty(t("customers.none"), next=t("customers.none_next"))
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        shown = {"shown": formats.number(page.table.num_rows), "total": formats.number(page.total)}
        is_of_times = behind is not None and behind_figure.counts_times(behind)
        st.caption(
            t("customers.times", **shown) if is_of_times else t("customers.count", count=page.total, **shown), width="content"
        )
        with st.container(horizontal=True, horizontal_alignment="right", width="content"):
            _downloads(search)
    _together(page.together)
    st.dataframe(
        sortable.rows(_readable(page.table), dict.fromkeys(COUNTS, sortable.count)),
        hide_index=True,
        column_config=_column_config(page.table),
        key="customer_list",
        on_select=lambda: _open_selected(page.table),
        selection_mode="single-row",
        height=560,
        placeholder=formats.NOTHING,
    )


def _together(sums: Together) -> None:
    """What the whole list adds up to, each customer counted once; of one customer, or where nothing counts, the rows say it."""
    if sums.customers < 2 or not sums.transactions:
        return
    values = {"customers": formats.number(sums.customers), "transactions": formats.number(sums.transactions)}
    amounts = {"amount": formats.money(sums.amount_usd), "median": formats.money(sums.median_amount_usd)}
    st.caption(t("customers.together", count=sums.transactions, **values, **amounts))


def _downloads(search: Search) -> None:
    """The whole list as a file, up to a limit; who downloaded which list is noted down."""
    for form in FORMS:
        download.button(
            t(f"customers.as_{form}"),
            partial(_file, search, form),
            file_name=f"neopulse-customers{_figure_in_a_name(search)}{segments.in_a_name(search.where)}-{data.published().name}.{form}",
            key=f"customers_{form}",
            help=t("customers.file_explained", most=formats.number(ROWS_IN_A_FILE)),
            tertiary=True,
        )


def _figure_in_a_name(search: Search) -> str:
    """The figure behind the list, with what of it is no default, and N where that is not the published one."""
    window = f"-N{search.window}" if search.window not in (None, data.published().inactivity_days) else ""
    if (behind := search.behind) is None:
        return window
    question, usual = behind.question, chart.usual(behind.question.metric)
    which = [value for value in (question.grain, question.kind, question.cohort) if value and value not in usual]
    days = f"{behind.on}_{behind.until}" if behind.until else str(behind.on)
    parts = [question.metric, *which, days, str(behind.period or ""), "" if behind.part == "value" else behind.part]
    return "".join(f"-{part}" for part in parts if part) + window


def _figure_in_columns(behind: Behind | None) -> dict[str, Any]:
    """What tells the figure behind a list from every other one, as far as it has it."""
    if behind is None:
        return {}
    question = behind.question
    period = behind.period if question.metric in behind_figure.OF_PERIODS else None
    told = {"behind": question.metric, "behind_from": behind.on, "behind_until": behind.until, "behind_period": period}
    told |= {"behind_part": behind.part, "grain": question.grain, "kind": question.kind, "cohort_kind": question.cohort}
    return {name: value for name, value in told.items() if value is not None}


def _file(search: Search, form: Form) -> bytes:
    found = data.customers(search, limit=ROWS_IN_A_FILE).table
    names = _names(found)
    columns = [found[name].to_pylist() for name in names]
    told = {"window_days": search.window, "segment": segments.in_codes(search.where, auth.current_user().confined_to)}
    told |= _figure_in_columns(search.behind)
    rows = [[*row, *told.values()] for row in zip(*columns, strict=True)]
    asked = {
        "search": search.text,
        "active": search.state,
        "window": search.window,
        **segments.in_an_address(search.where),
        "version": data.published().name,
    }
    asked |= {name: st.query_params[name] for name in behind_figure.OF_THE_FIGURE if search.behind and name in st.query_params}
    return exports.table("customers", [*names, *told], rows, form=form, needs=Role.MANAGER, filters=asked)


def _names(found: pa.Table) -> list[str]:
    """The columns to show: the day of what happened only in a list of those to whom something did."""
    happened = [HAPPENED_ON] if found[HAPPENED_ON].null_count < found.num_rows else []
    return [*COLUMNS[:1], *happened, *COLUMNS[1:]]


def _search(behind: Behind | None) -> Search:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=SEARCH_WIDTH):
            text = filters.text("search", label=t("customers.search"), placeholder=t("customers.search_placeholder"))
        with st.container(width="content"):
            window = (behind.question.window if behind else None) or filters.window_of_the_address()
            label = t("customers.state", window=formats.days(window))
            state = filters.choice("active", list(STATES), label=label, name=lambda name: t(f"customers.states.{name}"))
    with filters.segment_grid():
        where = filters.segment()
    filters.tell_unheeded()
    return Search(text=text, state=STATES[state], where=where, behind=behind, window=window)


def _readable(table: pa.Table) -> pa.Table:
    """The list with words instead of codes."""
    words = {
        "is_active": [_state(row) for row in table.select(["is_active", "first_active_day"]).to_pylist()],
        "country": [formats.dimension_value("country", value) for value in table["country"].to_pylist()],
        "plan": [formats.dimension_value("plan", value) for value in table["plan"].to_pylist()],
    }
    shown = {name: pa.array(column, pa.string()) for name, column in words.items()} | {
        "amount_usd": pc.round(table["amount_usd"])
    }
    return pa.table({name: shown.get(name, table[name]) for name in _names(table)})  # the list cuts what it does not show


def _state(facts: Mapping[str, Any]) -> str:
    """A customer's state in a word."""
    if facts["first_active_day"] is None:
        return t("customers.never")
    return t("customers.active" if facts["is_active"] else "customers.inactive")


def _column_config(shown: pa.Table) -> dict[str, ColumnConfig | str]:
    labels = {name: t(f"{NAMES}.{name}") for name in (*COLUMNS, HAPPENED_ON)}
    config: dict[str, ColumnConfig | str] = dict(labels)
    config["user_id"] = sortable.identifiers(labels["user_id"], shown["user_id"].to_pylist())
    for name in (HAPPENED_ON, "last_active_day", "first_active_day"):
        config[name] = st.column_config.DateColumn(labels[name], format="DD/MM/YYYY")
    for name in COUNTS:
        config[name] = sortable.counts(labels[name])
    return config


def _open(user_id: str) -> None:
    st.query_params[CUSTOMER] = user_id


def _open_selected(table: pa.Table) -> None:
    rows = st.session_state["customer_list"].selection.rows
    if rows:
        _open(table["user_id"][rows[0]].as_py())


def _close() -> None:
    st.query_params.pop(CUSTOMER, None)


def _one(asked: str) -> None:
    customer = data.customer(asked)
    st.button(t("customers.back"), icon=":material/arrow_back:", type="tertiary", on_click=_close)
    if customer is None:
        st.header(t("customers.title"))
        states.empty(t("customers.unknown", id=filters.as_asked(asked)), next=t("customers.unknown_next"))
        return
    facts = customer.facts
    actions.note_customer_read(facts["user_id"])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(t("customers.one", id=formats.plain(facts["user_id"])), width="content")
        if facts["is_active"]:
            st.badge(_state(facts), icon=":material/check_circle:", color="primary")
        else:
            st.badge(_state(facts), icon=":material/bedtime:", color="orange")
    st.markdown(f"{why(customer)} {rhythm(customer)}")
    kpi_row.show(_kpis(customer))
    title, subtitle = t("customers.timeline"), t("customers.clock")
    if customer.active_days is not None:
        subtitle = f"{subtitle} {t('customers.marks')}"
    chart.show(charts.STRETCHES, timeline(customer), key="stretches", title=title, subtitle=subtitle)
    _facts(customer)


def _kpis(customer: Customer) -> list[Kpi]:
    facts = customer.facts
    return [
        Kpi(t(f"{NAMES}.days_silent"), formats.number(facts["days_silent"])),
        Kpi(t(f"{NAMES}.active_days"), formats.number(facts["active_days"])),
        Kpi(t(f"{NAMES}.transactions"), formats.number(facts["transactions"])),
        Kpi(t(f"{NAMES}.amount_usd"), formats.money(facts["amount_usd"])),
    ]


def timeline(customer: Customer) -> pa.Table:
    """The stretches as they are drawn, and each active day with the `pause` since the one before, in days.

    The open stretch goes to the last loaded day, and what is not yet sure of it is a row of its own.
    """
    *closed, last = customer.stretches.to_pylist()
    as_of, sure_until = customer.facts["as_of"], customer.facts["last_active_day"]
    if not last["is_provisional"]:
        parts = [last | {"ending_date": last["ending_date"] or as_of}]
    else:
        parts = [last | {"ending_date": sure_until, "is_provisional": False}]
        if sure_until < as_of:
            parts.append(last | {"starting_date": sure_until + timedelta(days=1), "ending_date": as_of})
    final_on = None if sure_until is None else sure_until + timedelta(days=data.published().inactivity_days)
    rows = [part | {"of": STRETCH, "final_on": final_on if part["is_provisional"] else None} for part in (*closed, *parts)]
    days = customer.active_days or ()
    pauses = [(later - day).days for day, later in pairwise(days)]
    same = {"user_id": customer.facts.get("user_id"), "of": DAY, "is_active": True, "is_provisional": False}
    rows += [
        same | {"starting_date": day, "ending_date": day, "pause": pause}
        for day, pause in zip(days, [None, *pauses], strict=False)
    ]
    more = [pa.field("final_on", pa.date32()), pa.field("of", pa.string()), pa.field("pause", pa.int32())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*customer.stretches.schema, *more]))


def _facts(customer: Customer) -> None:
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.subheader(t("customers.who"))
        table.show(({"fact": fact, "value": value} for fact, value in _who(customer.facts)), names=NAMES)
    with right:
        st.subheader(t("customers.stretches"))
        table.show(map(_stretch, reversed(customer.stretches.to_pylist())), names=NAMES)
        if pauses := longest_pauses(customer):
            st.subheader(t("customers.pauses"))
            table.show(map(_pause, pauses), names=NAMES)


def _who(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    days = ("opening_date", "first_active_day", "last_active_day")
    values = {name: formats.in_words(formats.dimension_value(name, facts[name])) for name in filters.SEGMENTS}
    segments = [(t(f"common.dimensions.{name}"), value) for name, value in values.items()]
    dates = [(t(f"{NAMES}.{name}"), formats.day(facts[name])) for name in days]
    return [*segments, *dates, (t(f"{NAMES}.lapses"), formats.number(facts["lapses"]))]


def _stretch(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "is_active": t("customers.active" if row["is_active"] else "customers.inactive"),
        "starting_date": formats.day(row["starting_date"]),
        "ending_date": formats.day(row["ending_date"]) if row["ending_date"] else t("customers.open_stretch"),
        "recognised_on": formats.day(row["recognised_on"]),
        "is_provisional": t("customers.provisional") if row["is_provisional"] else t("customers.final"),
    }


def _pause(pause: Pause) -> dict[str, str]:
    return {
        "last_active_day": formats.day(pause.last),
        "returned_on": formats.day(pause.returned) if pause.returned else t("customers.open_stretch"),
        "days": formats.number(pause.days),
        "meaning": t(f"customers.meaning.{pause.meaning}"),
    }
