"""Payments: how many, how much, how much of it comes again, and which share of card payments is made without the holder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pyarrow.compute as pc
import streamlit as st

from pipeline.marts.grid import period_of
from streamlit_app import charts, data, figures, formats
from streamlit_app.components import chart, concentration, filters, final_points, metric_help, states
from streamlit_app.data import Answer, Question
from streamlit_app.messages import t

COUNTRIES, TILES = 15, 70
BY_TYPE = ("transactions", "transaction_amount")


@st.fragment
@states.guard
def show() -> None:
    """Draw the page; everything on it follows the filters."""
    final_points.title(t("payments.title"))
    question = filters.payments()
    volumes, amounts = (data.answer(replace(question, metric=metric, by="type")) for metric in BY_TYPE)
    if volumes.empty:
        states.empty(t("payments.nothing"), next=t("common.widen"))
        return
    types = _types(question, volumes)
    with chart.side_by_side():
        for spec, answer, key, title in (
            (charts.TRANSACTIONS_BY_TYPE, volumes, "volumes", t("payments.volumes")),
            (charts.AMOUNT_BY_TYPE, amounts, "amounts", t("payments.amounts")),
        ):
            chart.show(spec, _by_type(answer, types), key=key, title=title, filed=partial(_by_each_type, answer, types))
    _amount_retention(question)
    with states.guarded():
        concentration.show(question)
    st.subheader(t("payments.absent"))
    with states.guarded():
        _card_not_present(replace(question, metric="card_not_present_share", where=()))
    for metric in ("amount_retention", "card_not_present_share"):
        metric_help.show(metric)


def _amount_retention(question: Question) -> None:
    """How much of the amount of a month comes again from the same customers in the next one."""
    kinds = {
        t(f"payments.kept.series.{kind}"): data.answer(replace(question, metric="amount_retention", kind=kind))
        for kind in ("net", "gross")
    }
    drawn = figures.together(kinds)
    if drawn.empty:
        states.empty(t("payments.kept.nothing"), next=t("common.widen"))
        return
    title, subtitle = t("payments.kept.title"), t("payments.kept.explained")
    chart.show(charts.SHARE_BY_SERIES, drawn, key="amount_retention", title=title, subtitle=subtitle)


def _card_not_present(question: Question) -> None:
    share = data.answer(question)
    if share.empty:
        states.empty(t("payments.no_cards"), next=t("common.widen"))
        return
    if figures.is_of_nobody(share):
        states.empty(t("payments.presence_unknown"))
        return
    with chart.side_by_side():
        chart.show(
            charts.SHARE_OVER_TIME, share, key="absent", title=t("payments.absent_share"), subtitle=t("payments.absent_explained")
        )
        unknown = figures.unknown_share(share)
        chart.show(
            charts.SHARE_OVER_TIME, unknown, key="unknown", title=t("payments.unknown"), subtitle=t("payments.unknown_explained")
        )
    _by_country(data.answer(replace(question, by="merchant_country")))


def _by_country(answer: Answer) -> None:
    """The same share by the merchant's country: where it is high on a map, and how sure in a list."""
    if not figures.final(answer.table).num_rows:
        states.empty(t("payments.no_whole_month"), next=t("common.widen"))
        return
    every = _of_the_months_summed(answer, figures.share_over_months(answer, data.country_name))
    with chart.side_by_side():
        for spec, key, most in (
            (charts.CARD_SHARE_ON_A_MAP, "map", TILES),
            (charts.CARD_SHARE_BY_COUNTRY, "countries", COUNTRIES),
        ):
            countries = replace(every, table=every.table.slice(0, most))
            drawn = figures.on_tiles(countries) if spec is charts.CARD_SHARE_ON_A_MAP else countries
            placed = every if drawn is countries else figures.on_tiles(every)
            shown = t("common.shown_of", shown=drawn.table.num_rows, total=placed.table.num_rows)
            shown = shown if drawn.table.num_rows < placed.table.num_rows else ""
            if placed.table.num_rows < every.table.num_rows:
                shown = f"{t('payments.by_country.map.unplaced')} {shown}"
            title, subtitle = t(f"payments.by_country.{key}.title"), f"{t(f'payments.by_country.{key}.explained')} {shown}"
            chart.show(spec, drawn, key=key, title=title, subtitle=subtitle, filed=lambda: every)


def _of_the_months_summed(answer: Answer, sums: Answer) -> Answer:
    """The sums with the days of the complete months as their range: those of a month that goes on are not in them."""
    months = figures.final(answer.table)["date"]
    last = period_of(pc.max(months).as_py(), "month")[1]
    return replace(sums, question=replace(sums.question, start=pc.min(months).as_py(), end=last))


def _types(question: Question, volumes: Answer) -> list[str]:
    """The types of both charts, in the order of all their transactions: one colour each, whatever segment and days are asked."""
    everything = data.answer(Question(volumes.question.metric, grain=question.grain, by="type"))
    found = set(figures.groups_of(volumes))
    return [code for code in figures.groups_of(everything) if code in found]


def _by_type(answer: Answer, types: Sequence[str]) -> Answer:
    return figures.with_rest(answer, _type_in_words, rest=t("payments.rest"), groups=types)


def _by_each_type(answer: Answer, types: Sequence[str]) -> Answer:
    return figures.by_group(answer, _type_in_words, groups=types)


def _type_in_words(code: str) -> str:
    return formats.dimension_value("type", code)
