"""What is drawn: valid constant specs that name no data, mark what is not final, and a CSV of exactly the drawn rows."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import altair as alt
import pyarrow as pa
import pytest
from altair.utils.schemapi import validate_jsonschema

from pipeline.marts import Answer, Question
from pipeline.metrics import Metric
from streamlit_app import charts, data, exports, figures, formats, messages
from streamlit_app.charts.windows import MARKS
from streamlit_app.components import chart, chart_files

BY_WINDOW = (charts.COUNT_BY_WINDOW, charts.SHARE_BY_WINDOW)
COLOUR_WORDS = {"primary", "blue", "orange", "gray"}
each_chart = pytest.mark.parametrize("drawing", charts.ALL, ids=lambda drawing: drawing.name)


def spec(drawing: charts.Chart, language: str = "en") -> Any:
    return drawing.spec(language, messages.text)


def nodes(content: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a spec, from the outside in."""
    if isinstance(content, dict):
        yield content
    for value in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from nodes(value)


def texts(content: Any) -> str:
    return str(content)


@each_chart
def test_each_chart_is_a_valid_vega_lite_spec(drawing: charts.Chart) -> None:
    whole = dict(spec(drawing)) | {"data": {"name": "drawn"}}
    validate_jsonschema(whole, alt.load_schema())
    drawing.build(lambda key: messages.text(key, "en")).to_dict()  # and Altair's own checks, left out in the app


@each_chart
def test_a_spec_holds_no_data_and_no_title_so_that_a_filter_changes_the_table_alone(drawing: charts.Chart) -> None:
    built = spec(drawing)
    assert [node for node in nodes(built) if "datasets" in node] == []
    named = [node["data"]["name"] for node in nodes(built) if "data" in node]
    assert set(named) == ({MARKS} if drawing in BY_WINDOW else set())  # the marks move, the curve stays
    assert "title" not in built


@each_chart
def test_a_spec_is_built_once_a_language_and_then_the_same_object(drawing: charts.Chart) -> None:
    assert spec(drawing) is spec(drawing)
    assert spec(drawing, "fr") is not spec(drawing)


@each_chart
def test_a_spec_draws_only_columns_that_it_declares_or_computes(drawing: charts.Chart) -> None:
    built = spec(drawing)
    computed = {
        name for node in nodes(built) if "as" in node for name in ([node["as"]] if isinstance(node["as"], str) else node["as"])
    }
    named = {node["field"] for node in nodes(built) if isinstance(node.get("field"), str)}
    named |= set(re.findall(r"datum\.(\w+)", texts(built)))
    named -= {"value", "label"} - set(drawing.columns)  # `datum.value` is also what a legend or an axis calls its entry
    assert named - computed <= set(drawing.columns) | (set(figures.MARKS.names) if drawing in BY_WINDOW else set())


@each_chart
def test_colours_are_words_of_the_theme_so_that_they_follow_light_and_dark(drawing: charts.Chart) -> None:
    for node in nodes(spec(drawing)):
        colour = node.get("color")
        if isinstance(colour, dict) and "value" in colour:
            assert colour["value"] in COLOUR_WORDS
        if isinstance(colour, dict) and isinstance(colour.get("scale"), dict):
            assert set(colour["scale"].get("range", [])) <= COLOUR_WORDS
        assert not isinstance(colour, str)


@pytest.mark.parametrize(
    "drawing", [drawing for drawing in charts.ALL if "provisional" in drawing.columns], ids=lambda drawing: drawing.name
)
def test_a_provisional_point_is_drawn_differently_and_says_when_it_is_final(drawing: charts.Chart) -> None:
    built = texts(spec(drawing))
    dashed = "strokeDash" in built and "datum.provisional" in built
    faded = "'test': 'datum.provisional'" in built and "opacity" in built
    assert dashed or faded
    assert "provisional, final on" in built
    assert "timeFormat(datum.final_on" in built


def test_a_share_shows_its_interval_and_n_and_greys_what_rests_on_fewer_than_30() -> None:
    for drawing in (charts.SHARE_OVER_TIME, charts.SHARE_BY_SERIES, charts.SURVIVAL, charts.CARD_SHARE_BY_COUNTRY):
        built = spec(drawing)
        tips = {tip["field"] for node in nodes(built) for tip in node.get("tooltip", []) if isinstance(node.get("tooltip"), list)}
        assert {"interval", "n"} <= tips, drawing.name
        assert "datum.n < 30" in texts(built)


def test_the_french_charts_write_decimal_commas_and_french_months() -> None:
    locale = spec(charts.GROWTH, "fr")["config"]["locale"]
    assert locale["number"]["decimal"] == ","
    assert locale["time"]["shortMonths"][7] == "août"
    assert locale["time"]["days"][0] == "dimanche"
    assert "Revenus" in texts(spec(charts.GROWTH, "fr"))


METRIC = Metric("monthly_churn_rate", {"en": "Churn"}, {"en": "Who left"}, "share", "mart", "churn_rate")
KEYS = ("date", "value", "n", "low", "high", "final_on", "provisional")
JANUARY, FEBRUARY = date(2019, 1, 1), date(2019, 2, 1)
ENDS = {JANUARY: date(2019, 1, 31), FEBRUARY: date(2019, 2, 28)}


def row(day: date, value: float, *, n: int | None = None, **more: Any) -> dict[str, Any]:
    return dict(zip(KEYS, (day, value, n, None, None, ENDS[day], day is FEBRUARY), strict=True)) | more


def answer(*rows: dict[str, Any], metric: str = METRIC.name, by: str | None = None, **asked: Any) -> Answer:
    """An answer as of 15 February 2019, N = 90."""
    return Answer(
        question=Question(metric, by=by, **asked),
        metric=dataclasses.replace(METRIC, name=metric),
        as_of=date(2019, 2, 15),
        version="v0007",
        source="demo bank",
        window=90,
        rule="COMPLETED transactions, not FEE",
        table=pa.Table.from_pylist(list(rows)),
    )


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")


def read_csv(given: Answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exports.csv_text(*chart.csv_rows(given.table, chart.basis_of(given))).decode())))


def test_the_csv_has_exactly_the_drawn_rows_each_with_what_they_rest_on() -> None:
    rows = read_csv(answer(row(JANUARY, 0.054, n=992), row(FEBRUARY, -0.01)))
    assert [(line["date"], line["value"], line["n"]) for line in rows] == [
        ("2019-01-01", "0.054", "992"),
        ("2019-02-01", "-0.01", ""),
    ]
    assert [line["provisional"] for line in rows] == ["False", "True"]
    assert {(line["segment"], line["range_start"], line["range_end"]) for line in rows} == {("", "", "")}
    rests_on = {(line["as_of"], line["window"], line["activity_rule"], line["version"], line["source"]) for line in rows}
    assert rests_on == {("2019-02-15", "90", "COMPLETED transactions, not FEE", "v0007", "demo bank")}


@pytest.mark.parametrize("dangerous", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_in_the_csv_cannot_become_a_formula(dangerous: str) -> None:
    assert read_csv(answer(row(JANUARY, 1.0, series=dangerous)))[0]["series"] == "'" + dangerous


def test_the_caption_names_window_rule_and_last_day() -> None:
    given = answer(row(JANUARY, 0.05))
    assert chart.footnote(given.table, chart.basis_of(given)) == "N = 90 days · COMPLETED transactions, not FEE · to 15 Feb 2019"


def test_caption_file_and_its_name_say_segment_and_chosen_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "bounds", lambda: (date(2018, 1, 1), date(2019, 2, 15)))
    where = (("country", "FR"), ("plan", "METAL"))
    given = answer(row(JANUARY, 0.05), where=where, start=date(2019, 1, 1), end=date(2019, 1, 31))
    basis = chart.basis_of(given)
    assert chart.footnote(given.table, basis) == (
        "Country: France, Plan: Metal · N = 90 days · COMPLETED transactions, not FEE · 1 Jan 2019 to 31 Jan 2019"
    )
    (line,) = read_csv(given)
    assert line["segment"] == "country=FR; plan=METAL"
    assert (line["range_start"], line["range_end"], line["as_of"]) == ("2019-01-01", "2019-01-31", "2019-02-15")
    told: list[chart_files.Files] = []
    monkeypatch.setattr(chart_files, "menu", told.append)
    chart.download(given.table, basis, key="churn")
    chart.download(given.table, chart.basis_of(answer(row(JANUARY, 0.05), where=where[:1])), key="churn")
    assert [files.name for files in told] == [
        "neopulse-churn-FR-METAL-2019-01-01_2019-01-31-v0007-2019-02-15",
        "neopulse-churn-FR-v0007-2019-02-15",
    ]
    assert told[0].lines[0].startswith("Country: France, Plan: Metal · ")
    assert told[0].asked["segment"] == "country=FR; plan=METAL"
    assert (told[0].asked["country"], told[0].asked["to"], told[1].asked.get("to")) == ("FR", "2019-01-31", None)


def test_the_whole_range_is_no_chosen_one_and_a_confined_reader_reads_whose_figures_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data, "bounds", lambda: (date(2018, 1, 1), date(2019, 2, 15)))
    everything = answer(row(JANUARY, 0.05), start=date(2018, 1, 1), end=date(2019, 2, 15), countries=("FR", "PL"))
    basis = chart.basis_of(everything)
    assert (basis.start, basis.end) == (None, None)
    assert chart.footnote(everything.table, basis).startswith("Country: France, Poland · N = 90 days")


def test_the_caption_explains_the_marks_only_where_a_point_is_provisional() -> None:
    given = answer(row(JANUARY, 0.05), row(FEBRUARY, 0.05))
    assert chart.footnote(given.table, chart.basis_of(given)).endswith(messages.text("common.provisional_means", "en"))


def test_the_caption_says_where_the_window_or_the_rule_does_not_enter() -> None:
    rolling, volumes = answer(row(JANUARY, 5.0), metric="mau"), answer(row(JANUARY, 5.0), metric="transactions")
    assert chart.basis_of(rolling).window is None
    assert chart.basis_of(rolling).rule == "COMPLETED transactions, not FEE"
    assert chart.footnote(volumes.table, chart.basis_of(volumes)).startswith(
        "independent of N · completed transactions of every type"
    )
    assert chart.basis_of(answer(row(JANUARY, 0.5), metric="retention_cohort", kind="classic")).window is None
    assert chart.basis_of(answer(row(JANUARY, 0.5), metric="retention_cohort", kind="unbounded")).window == 90


def test_growth_puts_who_left_below_the_line_and_the_net_adds_up() -> None:
    parts = {"new_customers": (50, 20), "resurrected_customers": (4, 6), "churned_customers": (9, 31)}
    answers = [answer(row(JANUARY, float(a)), row(FEBRUARY, float(b)), metric=metric) for metric, (a, b) in parts.items()]
    drawn = figures.growth(answers)
    found = {(line["date"], line["part"]): line["customers"] for line in drawn.rows()}
    assert found[JANUARY, "churned"] == -9
    assert (found[JANUARY, "net"], found[FEBRUARY, "net"]) == (50 + 4 - 9, 20 + 6 - 31)
    assert [line["provisional"] for line in drawn.rows() if line["part"] == "net"] == [False, True]
    assert set(drawn.table.column_names) == set(charts.GROWTH.columns)


def test_all_groups_but_the_largest_are_one_so_that_the_parts_add_up_to_the_total() -> None:
    sizes = {"CARD_PAYMENT": 100.0, "ATM": 5.0, "TAX": 1.0, "FEE": 2.0}
    given = answer(
        *(row(day, size, type=name) for name, size in sizes.items() for day in (JANUARY, FEBRUARY)),
        metric="transactions",
        by="type",
    )
    drawn = figures.with_rest(given, str.lower, rest="others", most=3)
    january = {line["series"]: line["value"] for line in drawn.rows() if line["date"] == JANUARY}
    assert january == {"card_payment": 100.0, "atm": 5.0, "others": 3.0}
    assert sum(line["value"] for line in drawn.rows()) == 2 * sum(sizes.values())


def test_of_many_groups_the_largest_are_drawn_and_all_are_counted() -> None:
    customers = {"GB": 900, "FR": 300, "PL": 600, "MT": 12}
    given = answer(*(row(JANUARY, 0.05, n=n, country=code) for code, n in customers.items()), by="country")
    drawn, total = figures.by_group(given, formats.country, most=2)
    assert [line["series"] for line in drawn.rows()] == ["United Kingdom", "Poland"]
    assert total == 4


def test_shares_of_several_months_are_formed_from_their_counts_and_final_months_only() -> None:
    months = [(JANUARY, 100, 30, 5), (JANUARY, 50, 50, 0), (FEBRUARY, 1000, 0, 0)]
    given = answer(
        *(
            row(day, absent / n, n=n, not_present=absent, unknown=unknown, merchant_country="GBR")
            for day, n, absent, unknown in months
        ),
        metric="card_not_present_share",
        by="merchant_country",
    )
    drawn, total = figures.share_over_months(given, str, most=10)
    (only,) = drawn.rows()
    assert (only["value"], only["n"], only["unknown"], total) == (80 / 150, 150, 5, 1)
    assert only["low"] == pytest.approx(0.4537, abs=5e-4)  # Wilson, 80 of 150, by hand
    assert only["high"] == pytest.approx(0.6113, abs=5e-4)


def test_the_share_of_unknown_presence_is_of_all_payments() -> None:
    (only,) = figures.unknown_share(answer(row(JANUARY, 0.3, n=90, unknown=10))).rows()
    assert (only["value"], only["n"]) == (0.1, 100)


def test_a_sparkline_has_one_point_a_week_and_ends_on_the_last_day() -> None:
    table = pa.table({"value": [float(day) for day in range(1, 31)]})
    assert figures.course(table) == (2.0, 9.0, 16.0, 23.0, 30.0)
    assert figures.course(table, days_summed=28) == (sum(range(3, 31)),)
    assert figures.course(table.slice(0, 5), days_summed=28) == ()


@dataclasses.dataclass
class Point:
    points: int


def test_the_strips_under_a_line_touch_however_few_the_points_are_and_say_nothing_of_a_missing_value() -> None:
    """Of so many points over a width, two stand a width over one less apart; a point alone has the whole of it."""
    (strip,) = (
        node["mark"] for node in nodes(spec(charts.COUNT_OVER_TIME)) if "mark" in node and node["mark"].get("type") == "rule"
    )
    for points, apart in ((1, 600), (2, 600), (3, 300), (13, 50), (1000, 0.6)):
        across = eval(strip["strokeWidth"]["expr"], {"width": 600, "datum": Point(points), "max": max})
        assert apart <= across <= max(1.2 * apart, 2)
    shown = next(node["calculate"] for node in nodes(spec(charts.COUNT_OVER_TIME)) if node.get("as") == "shown")
    assert shown.startswith("isValid(datum.value) ? ")
    assert shown.endswith(": '–'")
