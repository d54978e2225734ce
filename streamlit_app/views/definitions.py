"""What each number means, what it is computed from, whether its tests hold, and what was wrong with the bank's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import streamlit as st

from pipeline import data_problems
from pipeline.metrics import Metric
from streamlit_app import data, formats, messages
from streamlit_app.components import (
    chart,
    filters,
    frame,
    metric_help,
    places_compared,
    restatement_log,
    sample_customers,
    states,
    table,
)
from streamlit_app.messages import t

NAMES = "definitions.columns"
MOST_SPANS = 40  # of days in a row that are named on the page
STATUS_COLOURS = {"pass": "green", "warn": "orange"}


def show() -> None:
    """The page."""
    st.header(t("definitions.title"))
    _freshness()
    draw = {
        "metrics": _metrics,
        "samples": sample_customers.show,
        "places": places_compared.show,
        "restated": restatement_log.show,
        "quality": _quality,
        "tests": _tests,
        "countries": _countries,
    }
    label = t("definitions.section")
    section = filters.choice("section", list(draw), label=label, name=lambda name: t(f"definitions.sections.{name}"))
    filters.tell_unheeded()
    with states.guarded():
        draw[section]()


def _freshness() -> None:
    version = data.published()
    published = formats.moment(version.published_at, version.bank_timezone)
    with st.container(border=True, gap="xsmall"):
        st.markdown(frame.facts_line(version))
        st.caption(t("definitions.freshness", published=published, zone=version.bank_timezone, run=version.run_id))
        st.caption(t("definitions.rule", rule=formats.rule(version.activity_rule), window=formats.days(version.inactivity_days)))


def _metrics() -> None:
    registry = dict(sorted(data.registry().items(), key=lambda item: item[1].label[messages.language()].casefold()))
    name = filters.select(
        "metric", list(registry), label=t("definitions.metric"), name=lambda name: registry[name].label[messages.language()]
    )
    filters.tell_unheeded()
    _one_metric(registry[name])
    st.subheader(t("definitions.all_metrics"))
    st.markdown("\n".join(map(_in_the_list, registry.values())))


def _one_metric(metric: Metric) -> None:
    here, model = messages.language(), data.models().get(metric.model, {})
    with st.container(border=True):
        st.subheader(metric.label[here])
        st.markdown(metric_help.meaning(metric))
        for language in messages.LANGUAGES:
            if language != here:
                there = f"**{metric.label[language]}**. {metric_help.meaning(metric, language)}"
                st.caption(f"{t(f'definitions.in_{language}')} {there}")
        st.markdown(
            t(
                "definitions.computed_in",
                unit=t(f"definitions.units.{metric.unit}"),
                model=metric.model,
                column=metric.column,
                command=f"neopulse metric {metric.name}",
            )
        )
        if model:
            st.caption(messages.in_english(model["description"]))
            st.caption(t("definitions.made_from", models=", ".join(f"`{name}`" for name in model["depends_on"])))
        _tests_of(metric.model)
        with st.expander(t("definitions.sql", model=metric.model), icon=":material/code:"):
            st.code(metric.sql.strip(), language="sql")


def _in_the_list(metric: Metric) -> str:
    """An entry of a list: beside the columns of a table a telephone would leave a few words of the meaning a line."""
    unit = t(f"definitions.units.{metric.unit}")
    return f"- **{metric.label[messages.language()]}** · :gray[{unit}]  \n  {metric_help.meaning(metric)}"


def _tests_of(model: str) -> None:
    results = [result for result in data.test_results() if result["model"] == model]
    held = sum(result["status"] == "pass" for result in results)
    title = t("definitions.tests_of", model=model, held=held, total=len(results))
    with st.expander(title, icon=":material/verified:" if held == len(results) else ":material/warning:"):
        table.show((_test(result) for result in results), names=NAMES)


def _test(result: Mapping[str, Any]) -> dict[str, str]:
    status = result["status"]
    return {
        "test": result["description"] or f"`{result['name']}`",
        "column": f"`{result['column']}`" if result["column"] else formats.NOTHING,
        "result": f":{STATUS_COLOURS.get(status, 'red')}[{t(f'definitions.statuses.{status}')}]",
        "rows_found": formats.number(result["failures"]),
    }


def _tests() -> None:
    """The tests of every model, those with something to tell first."""
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for result in data.test_results():
        by_model.setdefault(result["model"], []).append(result)
    st.caption(t("definitions.tests_explained"))
    for model in sorted(by_model, key=lambda name: (all(result["status"] == "pass" for result in by_model[name]), name)):
        _tests_of(model)


def _quality() -> None:
    found = data.data_quality()
    problems = found.to_pylist()
    st.caption(t("common.problems_explained"))
    if not problems:
        states.empty(t("common.problems_none"))
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for disposition in ("rejected", "kept"):
            rows = data_problems.rows(problem for problem in problems if problem["disposition"] == disposition)
            st.metric(t(f"definitions.dispositions.{disposition}"), formats.number(rows), width="content")
        chart.download(found, chart.basis_of(found), key="data_problems", title=t("common.problems_title"))
    for problem in sorted(problems, key=lambda problem: -problem["rows_affected"]):
        _problem(problem)


def _problem(problem: Mapping[str, Any]) -> None:
    """One kind of problem: what it is, why it matters, how to mend it."""
    key = f"definitions.reasons.{problem['reason']}"
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            what = data_problems.in_words(problem["reason"], messages.language())
            st.markdown(f"**{formats.number(problem['rows_affected'])} · `{problem['source_table']}` · {what}**", width="content")
            rejected = problem["disposition"] == "rejected"
            st.badge(t(f"common.dispositions.{problem['disposition']}"), color="orange" if rejected else "gray")
        lines = []
        if named := problem.get("days"):  # a version that was published before they were named has none
            lines.append(f"{t('definitions.which')} {_which(named.split(', '))}")
        if messages.has(f"{key}.why"):
            lines += [f"{t('definitions.why')} {t(f'{key}.why')}", f"{t('definitions.mend')} {t(f'{key}.mend')}"]
        if lines:
            st.markdown("  \n".join(lines))


def _which(named: Sequence[str]) -> str:
    spans, left = formats.spans([date.fromisoformat(one) for one in named], most=MOST_SPANS)
    shown = ", ".join(spans)
    return t("definitions.and_more", count=left, shown=shown, more=formats.number(left)) if left else shown


def _countries() -> None:
    """The facts about countries that do not come from the bank: whose they are, and of which day."""
    rows = [row for row in data.relation("mart_customers_by_country").to_pylist() if row["country"] != "unknown"]
    st.caption(t("definitions.countries_explained"))
    _who_served()
    table.show((_country(row) for row in sorted(rows, key=lambda row: -(row["customers"] or 0))), names=NAMES)


def _who_served() -> None:
    """What served the facts from outside, and which service did not answer well."""
    for kind, facts in data.external_facts().items():
        as_of = date.fromisoformat(facts["as_of"]) if facts["as_of"] else None
        known = {"service": formats.service(facts["service"]), "rows": formats.number(facts["rows"]), "as_of": formats.day(as_of)}
        st.markdown(t(f"definitions.served.{kind}", **known) if facts["rows"] else t(f"definitions.none_served.{kind}"))
        if facts.get("is_fallback"):
            st.warning(t("definitions.fallback", why=facts["why"]), icon=":material/cloud_off:")


def _country(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "country": row[f"name_{messages.language()}"] or formats.country(row["country"]),
        "customers": formats.number(row["customers"]),
        "population": formats.number(row["population"]),
        "currency": row["currency"] or formats.NOTHING,
        "facts_source": row["facts_source"] or t("definitions.no_facts"),
        "facts_as_of": formats.day(row["facts_as_of"]),
    }
