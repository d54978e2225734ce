"""A chart card: title, what it rests on, one constant spec fed with an Arrow table, and files of what is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pipeline.marts import Answer, Question, family
from pipeline.marts.grid import period_of
from pipeline.marts.question import Where
from streamlit_app import data, figures, formats, messages, segments
from streamlit_app.charts import COUNT_BY_WINDOW, SHARE_BY_WINDOW, Chart
from streamlit_app.charts.marks import ENOUGH, GRAIN
from streamlit_app.components import behind_figure, chart_files, final_points, on_the_chart, states, url
from streamlit_app.messages import t

CARD_WIDTH = 250  # pixels, at least
PERIODS = ("week", "month")
WHERE_THERE = (behind_figure.COLUMN, GRAIN)  # columns of a chart that its table may not have
BY_WINDOW = (COUNT_BY_WINDOW, SHARE_BY_WINDOW)
WITHOUT_WINDOW = {
    *("dau", "wau", "mau", "stickiness", "l28", "time_to_first_transaction", "window_sensitivity", "amount_retention"),
    *("amount_concentration", "transaction_concentration"),
}
EVERY_TYPE, CARDS = "COMPLETED transactions, every type", "COMPLETED transactions, CARD_PAYMENT or ATM"
RULES = {"transactions": EVERY_TYPE, "transaction_amount": EVERY_TYPE, "card_not_present_share": CARDS}  # not of activity
WORDS_OF_RULES = {EVERY_TYPE: "common.any_rule", CARDS: "common.card_rule"}
OF_KINDS = ("monthly_churn_rate", "retention_cohort")  # of the other metrics each kind has a chart or a series of its own

# Choices in an address that some charts of their page alone follow, by the keys of these; and those that one chart does not.
FOLLOWED_BY: Mapping[str, tuple[str, ...]] = {
    "first_by": ("first_transaction",),
    "span": ("what_changed",),
    "changed_by": ("what_changed",),
    "cohorts": ("curve", "compared"),
    "likely": (),
    "back": (),
}
NOT_FOLLOWED = {"first_transaction": ("cohort", "kind")}


@dataclass(frozen=True)
class Basis:
    """What a drawn figure rests on; every caption and every row of a CSV carries it.

    `window` is None where N does not enter, `rule` says which transactions count. `withheld` counts what is not shown to this
    reader, because it is of fewer than 10 customers. `where` is the segment, `countries` those of a reader who sees some only;
    `start` and `end` are the days of a range that was chosen, `grain` a grain that was. `whole` is `week` or `month` where the
    range begins or ends within one, which is shown whole; `covered` are the days that the figures are then of. `variant` says
    which of several figures of one name it is, its `grain`, `kind` and `cohort_kind`, and `unusual` what of these is no default.
    """

    as_of: date
    version: str
    source: str
    window: int | None
    rule: str
    withheld: int = 0
    where: Where = ()
    countries: segments.Countries = None
    start: date | None = None
    end: date | None = None
    grain: str | None = None
    whole: str | None = None
    covered: tuple[date | None, date | None] = (None, None)
    variant: Mapping[str, str] = field(default_factory=dict)
    unusual: tuple[str, ...] = ()


def show(
    spec: Chart | Mapping[str, Any],
    answer: Answer | pa.Table,
    *,
    key: str,
    title: str,
    subtitle: str | None = None,
    beside: Mapping[str, pa.Table] | None = None,
    filed: Callable[[], Answer] | None = None,
) -> None:
    """Draw a table, or an answer's table, as a card; `beside` holds the other tables that the chart reads.

    `filed` makes the rows of the CSV and of the workbook where the chart has room for a part of them alone.
    """
    whole = answer.table if isinstance(answer, Answer) else answer
    table, basis = final_points.drawn(spec, whole), basis_of(answer)
    kept = on_the_chart.of(spec, answer, table, key=key)
    with st.container(border=True, gap="xsmall", height="stretch"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="top"):
            st.markdown(f"**{title}**" + (f"\n\n:gray[:small[{subtitle}]]" if subtitle else ""), width="stretch")
            download(table, basis, key=key, title=title, subtitle=subtitle, spec=spec, beside=beside, filed=filed)
        if whole.num_rows and not table.num_rows:
            states.empty(t("common.nothing_final"))
            return
        rows, built = (
            kept.drawn(spec, drawn(of_grain(table, basis), spec.columns), beside) if isinstance(spec, Chart) else (table, spec)
        )
        st.vega_lite_chart(rows, dict(built), key=key, alt=title)
        st.caption(f":small[{footnote(table, basis, spec=spec, hidden=whole.num_rows - table.num_rows)}]")
        on_the_chart.beneath(kept)


def side_by_side(cards: int = 2) -> DeltaGenerator:
    """Room for so many cards in a row; on a narrow screen they stand beneath each other."""
    return st.grid(cards, min_column_width=CARD_WIDTH, gap="small")


def drawn(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """What the browser needs of a table: the columns that the spec names, and of these no wholly empty one."""
    there = [name for name in columns if name not in WHERE_THERE or name in table.column_names]
    return table.select([name for name in there if table[name].null_count < table.num_rows or not table.num_rows])


def of_grain(table: pa.Table, basis: Basis) -> pa.Table:
    """The table with the period that each row is of, where it is not of a day: a hint has to tell it."""
    grain = basis.variant.get(GRAIN)
    if grain not in PERIODS:
        return table
    return table.append_column(GRAIN, pa.array([grain] * table.num_rows, pa.string()).dictionary_encode())


def basis_of(answer: Answer | pa.Table) -> Basis:
    """What an answer rests on; a bare table rests on the published version and its window."""
    if isinstance(answer, Answer):
        name, kind = answer.metric.name, answer.question.kind
        free = name in WITHOUT_WINDOW or name in RULES or kind == "classic"
        window, rule = None if free else answer.window, RULES.get(name, answer.rule)
        asked = _asked(answer) | _variant(answer.question, name)
        return Basis(answer.as_of, answer.version, answer.source, window, rule, answer.withheld, **asked)
    version = data.published()
    return Basis(version.as_of, version.name, version.source, version.inactivity_days, version.activity_rule)


def _asked(answer: Answer) -> dict[str, Any]:
    """The part of the question that the reader chose."""
    question = answer.question
    start = question.start if question.start and question.start > data.bounds()[0] else None
    end = question.end if question.end and question.end < answer.as_of else None
    grain = question.grain if question.grain == url.heeded().get("grain") else None
    covered = _covered(question.grain, start, end, as_of=answer.as_of)
    return {
        "where": question.where,
        "countries": question.countries,
        "start": start,
        "end": end,
        "grain": grain,
        "whole": None if covered == (start, end) else question.grain,
        "covered": covered,
    }


def _variant(question: Question, metric: str) -> dict[str, Any]:
    """Which of the figures of the metric the question asks for, and what of that a file's name says."""
    kind = question.kind if metric in OF_KINDS else None
    found = {"grain": question.grain, "kind": kind, "cohort_kind": question.cohort}
    unusual = [value for value in (kind, question.cohort) if value and value not in usual(metric)]
    return {"variant": {name: value for name, value in found.items() if value}, "unusual": tuple(unusual)}


def usual(metric: str) -> tuple[str, ...]:
    """The grain, the kind and the cohorts of a metric where nothing is asked."""
    asked = family(metric)
    return (*asked.grains[:1], *asked.kinds[:1], *asked.cohorts[:1])


def _covered(grain: str | None, start: date | None, end: date | None, *, as_of: date) -> tuple[date | None, date | None]:
    """The days of the range's whole weeks or months, of those that there are."""
    if grain not in PERIODS:
        return start, end
    return start and max(period_of(start, grain)[0], data.bounds()[0]), end and min(period_of(end, grain)[1], as_of)


def footnote(table: pa.Table, basis: Basis, *, spec: Chart | Mapping[str, Any] | None = None, hidden: int = 0) -> str:
    """Segment, window, rule and days; what a chart's marked points mean, where there are any; how many the reader has hidden."""
    segment = segments.in_words(basis.where, basis.countries)
    lines = [
        *([segment] if segment else []),
        _window(basis, spec),
        t(WORDS_OF_RULES[basis.rule]) if basis.rule in WORDS_OF_RULES else formats.rule(basis.rule),
        _days(basis),
        *([messages.named(t("common.grain"), t(f"common.grains.{basis.grain}"))] if basis.grain else []),
    ]
    if basis.whole:
        lines.append(t(f"common.whole.{basis.whole}"))
    if isinstance(spec, Chart):
        lines += _marked(table, spec)
    if hidden:
        lines.append(t("common.hidden_means", count=hidden, n=formats.number(hidden)))
    if basis.withheld:
        lines.append(t("common.withheld_means", count=basis.withheld, n=formats.number(basis.withheld)))
    return " · ".join(lines)


def _window(basis: Basis, spec: Chart | Mapping[str, Any] | None) -> str:
    """Which N the figures are of: one, none, or each on its place along the drawing."""
    if basis.window is not None:
        return t("common.window_of", window=formats.days(basis.window))
    return t("common.each_window" if spec in BY_WINDOW else "common.any_window")


def _days(basis: Basis) -> str:
    last = formats.day(basis.end or basis.as_of)
    return t("common.from_day_to_day", first=formats.day(basis.start), last=last) if basis.start else t("common.to_day", day=last)


def _marked(table: pa.Table, spec: Chart) -> list[str]:
    """What the chart's marks mean, of those that are drawn."""
    told = {*spec.columns} & {*table.column_names}
    lines = []
    if "provisional" in told and pc.any(table["provisional"]).as_py():
        lines.append(t(f"common.provisional_means.{spec.provisional}"))
        if spec.provisional == "dashed" and "low" in told and table["low"].null_count < table.num_rows:
            lines.append(t("common.without_interval"))
    if "n" in told and pc.any(pc.less(table["n"].filter(pc.is_valid(table["value"])), ENOUGH)).as_py():
        lines.append(t(f"common.thin_means.{spec.thin}", least=ENOUGH))
        if spec.is_of_solid and (top := figures.top_of_solid(table)) and pc.max(table["value"]).as_py() > top:
            lines.append(t("common.above_means"))
    return lines


def download(
    table: pa.Table,
    basis: Basis,
    *,
    key: str,
    title: str = "",
    subtitle: str | None = None,
    spec: Chart | Mapping[str, Any] | None = None,
    beside: Mapping[str, pa.Table] | None = None,
    filed: Callable[[], Answer] | None = None,
) -> None:
    """The files of what is drawn, or of what `filed` makes; see chart_files.menu. A chart has a picture as well."""
    plain = spec.spec(messages.language(), messages.text) if isinstance(spec, Chart) else spec
    which = f"{segments.in_a_name(basis.where)}{_variant_in_a_name(basis)}{_range_in_a_name(basis)}"
    name = f"neopulse-{key}{which}-{basis.version}-{basis.as_of}"
    chart_files.menu(
        chart_files.Files(
            key,
            name,
            lambda: csv_rows(table if filed is None else final_points.drawn(spec or {}, filed().table), basis),
            lambda: question_of(basis, key),
            title=title,
            spec=plain,
            table=table,
            beside=beside or {},
            lines=lambda: [*([subtitle] if subtitle else []), f"{footnote(table, basis, spec=spec)} · {basis.version}"],
        )
    )


def _variant_in_a_name(basis: Basis) -> str:
    return "".join(f"-{value}" for value in (*basis.unusual, basis.grain) if value)


def _range_in_a_name(basis: Basis) -> str:
    return f"-{basis.start or ''}_{basis.end or basis.as_of}" if basis.start or basis.end else ""


def question_of(basis: Basis, key: str) -> dict[str, Any]:
    """What the address says and the figure follows, and what it rests on: as the audit log and the workbook have it.

    A filter or a choice of the page that the chart of this key does not follow is not in it.
    """
    heeded = {name: value for name, value in url.heeded().items() if _follows(key, name)}
    said = {name: value for name, value in heeded.items() if name not in url.SHARED or name == final_points.KEY}
    asked = segments.in_an_address(basis.where) | {
        "segment": segments.in_codes(basis.where, basis.countries) or None,
        "grain": basis.grain,
    }
    days = {"from": basis.start and basis.start.isoformat(), "to": basis.end and basis.end.isoformat()}
    rests_on = {"version": basis.version, "as_of": basis.as_of.isoformat(), "window": basis.window, "activity_rule": basis.rule}
    return said | {name: value for name, value in (asked | days).items() if value is not None} | rests_on


def _follows(key: str, choice: str) -> bool:
    if choice in FOLLOWED_BY:
        return key in FOLLOWED_BY[choice]
    if choice == "against" or choice.startswith(tuple(f"{side}_" for side in url.SIDES)):
        return key == "compared"
    return choice not in NOT_FOLLOWED.get(key, ())


def csv_rows(table: pa.Table, basis: Basis) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns and the drawn rows, each with what they rest on."""
    segment, (first, last) = segments.in_codes(basis.where, basis.countries), basis.covered
    tail = [segment, first, last or (first and basis.as_of), basis.as_of, basis.window, basis.rule, basis.version, basis.source]
    tail += basis.variant.values()
    table = table.drop_columns([name for name in table.column_names if name == behind_figure.COLUMN])
    names = [*table.column_names, "segment", "range_start", "range_end", "as_of", "window", "activity_rule", "version", "source"]
    names += basis.variant
    return names, [[*row.values(), *tail] for row in table.to_pylist()]
