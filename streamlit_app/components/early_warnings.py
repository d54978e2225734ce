"""Early warnings: who is likely to fall silent, how we know, and how right it has been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from pipeline.marts.question import Where
from pipeline.statistics import wilson
from streamlit_app import actions, auth, charts, data, exports, figures, formats, messages, segments
from streamlit_app.auth import Role
from streamlit_app.charts.marks import ENOUGH
from streamlit_app.components import answers, chart, download, filters, hold_out, links, sortable, states, table
from streamlit_app.data import Answer, Question
from streamlit_app.exports import FORMS, Form
from streamlit_app.messages import t

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

NAMES = "churn.early.columns"
ROWS_SHOWN, ROWS_IN_A_FILE, MOST_GROUPS = 200, 50_000, 10
NOTE_PIXELS = 130  # in which its one note has room, in both languages
TWICE = 2  # what chance makes on average: beyond it a judged day counts as off
LIKELY = ("30", "50", "70", "90")  # percent; a customer is likelier to fall silent than not from 50 on
USUAL = "50"
COLUMNS = (
    "user_id",
    "silence_probability",
    "silence_probability_low",
    "silence_probability_high",
    "observations",
    "days_silent",
    "active_days_in_90",
    "amount_usd_in_90",
    "would_lapse_on",
    "is_held_out",
    "country",
    "plan",
)
SHARES = ("silence_probability", "silence_probability_low", "silence_probability_high")
COUNTS = ("observations", "days_silent", "active_days_in_90", "amount_usd_in_90")
NUMBERS = dict.fromkeys(SHARES, sortable.percent) | dict.fromkeys(COUNTS, sortable.count)


def show(question: Question) -> None:
    """The section, for the question's segment; the window is the published one, from which the probabilities were learned."""
    st.subheader(t("churn.early.title"))
    window = data.published().inactivity_days
    st.caption(t("churn.early.explained", window=formats.days(window)) + _for_which_day(question))
    with states.guarded():
        everybody = data.answer(Question("silence_risk", where=question.where))
        if everybody.empty or everybody.table["value"][0].as_py() is None:
            states.empty(t("churn.early.withheld" if everybody.withheld else "churn.early.too_young"))
            return
        st.markdown(_expected(everybody) + _for_which_window(question, window))
        _bands(data.answer(Question("silence_risk", where=question.where, by="silence_band")))
        if question.by is not None:
            _groups(data.answer(Question("silence_risk", where=question.where, by=question.by)), question.by)
        _list(question.where)
    with states.guarded():
        _how_right(question.where)
        hold_out.show(window)


def _expected(answer: Answer) -> str:
    (row,) = answer.rows()
    return t(
        "churn.early.expected",
        n=formats.number(row["n"]),
        expected=_about(row["expected_customers"]),
        share=formats.share(row["value"]),
        interval=formats.interval(row["low"], row["high"]),
        window=formats.days(answer.window),
        day=formats.day(row["date"]),
    )


def _for_which_day(question: Question) -> str:
    """That they do not follow a range of days, where one is chosen."""
    return " " + t("churn.early.all_days", day=formats.day(data.published().as_of)) if filters.has_range(question) else ""


def _for_which_window(question: Question, published: int) -> str:
    """Beside the number of active customers: which N makes them so, where the page is asked for another one."""
    if question.window is None or question.window == published:
        return ""
    return " " + t("churn.early.other_window", published=formats.days(published), window=formats.days(question.window))


def _bands(answer: Answer) -> None:
    rows = [_cells(row, silence_band=row["silence_band"].replace("-", "–")) for row in answer.rows()]
    _card(answer, rows, key="silence_bands", title=t("churn.early.by_band"))


def _groups(answer: Answer, by: str) -> None:
    """Each value of the dimension that the page is split by, those of most expected to fall silent first."""
    found = sorted(answer.rows(), key=lambda row: -(row["expected_customers"] or 0))
    rows = [_cells(row, group=formats.in_words(formats.dimension_value(by, row[by]))) for row in found[:MOST_GROUPS]]
    title = messages.named(t("churn.early.by_group"), t(f"common.dimensions.{by}"))
    _card(answer, rows, key="silence_groups", title=title, of=len(found))


def _card(answer: Answer, rows: Sequence[dict[str, str]], *, key: str, title: str, of: int = 0) -> None:
    """These rows of the answer as a table, and the files of them all, where there are more."""
    basis = chart.basis_of(answer)
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            shown = t("churn.early.groups_shown", shown=len(rows), total=of) if of > len(rows) else ""
            st.markdown(f"**{title}**" + (f"\n\n:gray[:small[{shown}]]" if shown else ""))
            chart.download(answer.table, basis, key=key, title=title)
        table.show(rows if any(row["note"] for row in rows) else [_without_note(row) for row in rows], names=NAMES)
        st.caption(f":small[{chart.footnote(answer.table, basis)}]")


def _cells(row: dict[str, Any], **whose: str) -> dict[str, str]:
    """A row of texts, all of them grey where it is of too few customers."""
    is_thin = row["n"] is not None and row["n"] < ENOUGH
    note = t("common.withheld") if row["n"] is None else t("churn.thin") if is_thin else ""
    cells = whose | {
        "customers": formats.number(row["n"]),
        "silence_probability": formats.share(row["value"]),
        "interval": formats.interval(row["low"], row["high"]),
        "expected": _about(row["expected_customers"]),
        "note": note,
    }
    return {name: f":gray[{cell}]" if is_thin and cell else cell for name, cell in cells.items()}


def _without_note(row: Mapping[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name != "note"}


def _about(customers: float | None) -> str:
    """An expected number of customers: with a decimal where it is small."""
    return formats.decimal(customers, 1) if customers is not None and customers < 10 else formats.number(customers)


def _list(where: Where) -> None:
    """Customer by customer, for who may see customers."""
    if not auth.current_user().may(Role.MANAGER):
        st.caption(t("churn.early.for_managers"))
        return
    choice = filters.choice("likely", LIKELY, label=t("churn.early.at_least"), name=_percent, default=USUAL)
    filters.tell_unheeded()
    at_least = int(choice) / 100
    page = data.early_warnings(where=where, at_least=at_least, limit=ROWS_SHOWN)
    if page.total == 0:
        states.empty(t("churn.early.nobody", share=_percent(choice)), next=t("churn.early.nobody_next"))
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        shown = {"shown": formats.number(page.table.num_rows), "total": formats.number(page.total)}
        st.caption(t("churn.early.count", count=page.total, **shown), width="content")
        with st.container(horizontal=True, horizontal_alignment="right", width="content"):
            _downloads(where, at_least)
    if page.total > 1:
        at_stake = {"expected": _about(page.expected_customers), "amount": formats.money(page.amount_usd_in_90)}
        st.caption(t("churn.early.at_stake", total=formats.number(page.total), **at_stake))
    _push()
    chosen = st.dataframe(
        sortable.rows(_readable(_complete(page.table)), NUMBERS),
        hide_index=True,
        column_config=_column_config(page.table),
        key="early_warnings",
        on_select="rerun",
        selection_mode="single-row",
        height=380,
    )
    if chosen.selection.rows:
        links.go("customers", customer=page.table["user_id"][chosen.selection.rows[0]].as_py())


def _push() -> None:
    """Admins who see every country bring the list to the sheet of those who call; it says who is on it and how it came there."""
    user = auth.current_user()
    if not user.may(Role.ADMIN) or user.countries is not None:
        return
    answers.tell()
    obstacle = actions.why_no_push()
    with st.container(horizontal=True, vertical_alignment="center"):
        answers.button(
            t("churn.early.push"),
            actions.push_early_warnings,
            key="push_early_warnings",
            obstacle=obstacle,
            icon=":material/send:",
        )
        st.caption(t("churn.early.push_explained"), width="stretch")
    answers.reason(obstacle)


def _percent(share: str) -> str:
    return formats.share(int(share) / 100, 0)


def _downloads(where: Where, at_least: float) -> None:
    """The list as a file, up to a limit; who downloaded which list is noted down."""
    for form in FORMS:
        download.button(
            t(f"customers.as_{form}"),
            partial(_file, where, at_least, form),
            file_name=f"neopulse-early-warnings{segments.in_a_name(where)}-{data.published().name}.{form}",
            key=f"early_warnings_{form}",
            help=t("customers.file_explained", most=formats.number(ROWS_IN_A_FILE)),
            tertiary=True,
        )


def _file(where: Where, at_least: float, form: Form) -> bytes:
    found = _complete(data.early_warnings(where=where, at_least=at_least, limit=ROWS_IN_A_FILE).table)
    columns = [found[name].to_pylist() for name in COLUMNS]
    rows = [[*row, segments.in_codes(where, auth.current_user().confined_to)] for row in zip(*columns, strict=True)]
    asked = {"at_least": at_least, **segments.in_an_address(where), "version": data.published().name}
    return exports.table("early_warnings", [*COLUMNS, "segment"], rows, form=form, needs=Role.MANAGER, filters=asked)


def _complete(rows: pa.Table) -> pa.Table:
    """With a column for who is held out, also of a version that was published before there was one."""
    if "is_held_out" in rows.column_names:
        return rows
    return rows.append_column("is_held_out", pa.nulls(rows.num_rows, pa.bool_()))


def _readable(rows: pa.Table) -> pa.Table:
    """The list with words instead of codes, in the order of the columns; who was seen alike by too few is marked.

    The list cuts what it does not show, so that amounts are rounded; so are shares, which are estimates, to whole percents.
    """
    shown = {
        name: pa.array([formats.dimension_value(name, value) for value in rows[name].to_pylist()], pa.string())
        for name in ("country", "plan")
    }
    shown |= {name: pc.round(rows[name], 2) for name in SHARES} | {"amount_usd_in_90": pc.round(rows["amount_usd_in_90"])}
    thin = [[t("churn.thin")] if seen < ENOUGH else [] for seen in rows["observations"].to_pylist()]
    table = pa.table({name: shown.get(name, rows[name]) for name in COLUMNS})
    place = COLUMNS.index("observations") + 1
    return table.add_column(place, "note", pa.array(thin, pa.list_(pa.string())))


def _column_config(shown: pa.Table) -> dict[str, ColumnConfig | str]:
    labels = {name: t(f"{NAMES}.{name}") for name in COLUMNS}
    config: dict[str, ColumnConfig | str] = dict(labels)
    config["user_id"] = sortable.identifiers(labels["user_id"], shown["user_id"].to_pylist())
    config["would_lapse_on"] = st.column_config.DateColumn(labels["would_lapse_on"], format="DD/MM/YYYY")
    for name in SHARES:
        config[name] = sortable.shares(labels[name])
    for name in COUNTS:
        config[name] = sortable.counts(labels[name])
    config["note"] = st.column_config.MultiselectColumn(
        t(f"{NAMES}.note"), options=[t("churn.thin")], color="gray", width=NOTE_PIXELS
    )
    return config


def _how_right(where: Where) -> None:
    """The calibration of the last day that can be judged, and the back-test on every such day of a year: of all customers."""
    st.markdown(f"**{t('churn.early.how_right')}**")
    if where:
        st.caption(t("churn.early.of_everybody"))
    bins = data.answer(Question("silence_calibration", kind="reliability"))
    days = data.answer(Question("silence_calibration", kind="error"))
    if bins.empty or days.empty:
        states.empty(t("churn.early.not_judged"))
        return
    st.markdown(f"{_score(days)} {over_the_year(days)}")
    judged = formats.day(bins.table["date"][0].as_py())
    with chart.side_by_side():
        title, subtitle = t("churn.early.calibration"), t("churn.early.calibration_explained", day=judged)
        chart.show(charts.CALIBRATION, bins, key="calibration", title=title, subtitle=subtitle)
        title, subtitle = t("churn.early.back_test"), t("churn.early.back_test_explained")
        chart.show(charts.SHARE_BY_SERIES, told_and_come(days), key="back_test", title=title, subtitle=subtitle)


def _score(days: Answer) -> str:
    last = days.rows()[-1]
    return t(
        "churn.early.better" if last["skill_over_base_rate"] > 0 else "churn.early.not_better",
        count=last["n"],
        day=formats.day(last["date"]),
        n=formats.number(last["n"]),
        error=_points(last["value"]),
        chance=_points(last["by_chance"]),
        skill=formats.share(last["skill_over_base_rate"], 0),
    )


def over_the_year(days: Answer) -> str:
    """On how many of the judged days what came lay further from what was told than chance puts it, and to which side."""
    rows = [row for row in days.rows() if row["value"] is not None]
    off = [row for row in rows if row["value"] > TWICE * row["by_chance"]]
    too_many = sum(row["expected"] > row["observed"] for row in off)
    numbers = {"days": len(rows), "off": len(off), "too_many": too_many, "too_few": len(off) - too_many}
    told = {name: formats.number(number) for name, number in numbers.items()}
    return t("churn.early.year_off", count=len(off), **told) if off else t("churn.early.year_within", **told)


def _points(distance: float) -> str:
    return t("common.points", value=formats.decimal(distance * 100, 1))


def told_and_come(days: Answer) -> Answer:
    """The expected and the observed share of each judged day; what was observed is a share of n and has its interval."""
    table = days.table.drop_columns(["value", "low", "high"])
    n, observed = (table[name].to_numpy() for name in ("n", "observed"))
    nothing = pa.nulls(days.table.num_rows, pa.float64())
    ends = {"expected": (nothing, nothing), "observed": tuple(map(pa.array, wilson(observed * n, n)))}
    return figures.together(
        {
            t(f"churn.early.series.{name}"): replace(
                days, table=table.append_column("value", table[name]).append_column("low", low).append_column("high", high)
            )
            for name, (low, high) in ends.items()
        }
    )
