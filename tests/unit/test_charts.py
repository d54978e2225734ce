"""What is drawn: valid constant specs that name no data, mark what is not final, and a CSV of exactly the drawn rows."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import altair as alt
import pyarrow as pa
import pytest
import vl_convert
from altair.utils.schemapi import validate_jsonschema

from pipeline.marts import Answer, Question
from pipeline.metrics import Metric
from streamlit_app import charts, data, exports, figures, formats, messages, pictures
from streamlit_app.charts import marks
from streamlit_app.charts.windows import MARKS
from streamlit_app.components import chart, chart_files, url

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
    hatched = "'datum.provisional'" in built and "'shape': {'expr': 'hatching'}" in built
    assert {"dashed": dashed, "faded": faded, "hatched": hatched}[drawing.provisional]
    assert "provisional, final on" in built
    assert "timeFormat(datum.final_on" in built


def test_a_share_shows_its_interval_and_n_and_greys_what_rests_on_fewer_than_30() -> None:
    for drawing in (charts.SHARE_OVER_TIME, charts.SHARE_BY_SERIES, charts.SURVIVAL, charts.CARD_SHARE_BY_COUNTRY):
        built = spec(drawing)
        tips = {
            tip["field"] for node in nodes(built) for tip in node.get("tooltip") or [] if isinstance(node.get("tooltip"), list)
        }
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
    assert told[0].lines()[0].startswith("Country: France, Plan: Metal · ")
    assert told[0].asked()["segment"] == "country=FR; plan=METAL"
    both = chart.basis_of(answer(row(JANUARY, 0.05), where=(("country", "GB"), *where)))
    assert chart.question_of(both, "active")["country"] == ["FR", "GB"]
    assert chart.footnote(given.table, both).startswith("Country: France or United Kingdom, Plan: Metal · ")
    assert (told[0].asked()["country"], told[0].asked()["to"], told[1].asked().get("to")) == ("FR", "2019-01-31", None)


@pytest.mark.parametrize(
    ("metric", "asked", "name", "columns"),
    [
        ("monthly_churn_rate", {"kind": "recognised"}, "", {"kind": "recognised"}),
        ("monthly_churn_rate", {"kind": "effective", "grain": "month"}, "-effective", {"kind": "effective", "grain": "month"}),
        (
            "retention_cohort",
            {"kind": "unbounded", "cohort": "signup", "grain": "month"},
            "-unbounded-signup",
            {"kind": "unbounded", "cohort_kind": "signup", "grain": "month"},
        ),
        (
            "retention_cohort",
            {"kind": "classic", "cohort": "first_activity", "grain": "week"},
            "-week",  # which the reader chose
            {"kind": "classic", "cohort_kind": "first_activity", "grain": "week"},
        ),
        ("active_customers", {"grain": "day"}, "", {"grain": "day"}),
        ("amount_retention", {"kind": "gross"}, "", {}),  # net and gross are two series of one file
    ],
)
def test_a_file_says_which_variant_of_a_figure_it_has(
    metric: str, asked: dict[str, str], name: str, columns: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(url, "heeded", lambda: {"grain": "week"})
    given = answer(row(JANUARY, 0.05), metric=metric, **asked)
    (line,) = read_csv(given)
    after = list(line)[list(line).index("source") + 1 :]
    assert {column: line[column] for column in after} == columns
    told: list[chart_files.Files] = []
    monkeypatch.setattr(chart_files, "menu", told.append)
    chart.download(given.table, chart.basis_of(given), key="card")
    assert [files.name for files in told] == [f"neopulse-card{name}-v0007-2019-02-15"]


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
    told = {
        drawing.provisional: chart.footnote(given.table, chart.basis_of(given), spec=drawing).split(" · ")[3:]
        for drawing in (charts.COUNT_OVER_TIME, charts.GROWTH, charts.RETENTION_COHORTS)
    }
    assert told == {
        "dashed": ["dashed, hollow: may still change"],
        "faded": ["faded: may still change"],
        "hatched": ["hatched: not final yet"],
    }
    final = answer(row(JANUARY, 0.05))
    assert chart.footnote(final.table, chart.basis_of(final), spec=charts.COUNT_OVER_TIME).endswith("to 15 Feb 2019")


def test_the_caption_says_what_grey_and_pale_mean_where_a_point_is_of_fewer_than_30() -> None:
    def told(drawing: charts.Chart, *numbers: int) -> str:
        given = answer(*(row(JANUARY, 0.05, n=n) for n in numbers))
        return chart.footnote(given.table, chart.basis_of(given), spec=drawing).split(" · ")[-1]

    assert told(charts.RETENTION_COHORTS, 29, 30) == "grey: fewer than 30 customers"
    assert told(charts.SHARE_OVER_TIME, 29, 30) == "pale with a grey edge: n below 30"
    assert told(charts.CARD_SHARE_ON_A_MAP, 29) == "grey: n below 30"
    assert told(charts.SHARE_OVER_TIME, 30) == "to 15 Feb 2019"


def test_hovering_tells_no_interval_of_a_provisional_share() -> None:
    def interval(drawing: charts.Chart) -> set[str]:
        return set(re.findall(r"'calculate': \"([^\"]+)\", 'as': 'interval'", str(drawing.spec("en", messages.text))))

    for drawing in (charts.SHARE_OVER_TIME, charts.SHARE_BY_SERIES, charts.RETENTION_COHORTS):
        assert [found.startswith("datum.provisional ? '–' : ") for found in interval(drawing)] == [True], drawing.name
    assert not any("provisional" in found for found in interval(charts.SURVIVAL))


def test_the_caption_says_why_a_provisional_share_has_no_interval() -> None:
    given = answer(row(FEBRUARY, 0.05, n=100, low=0.02, high=0.1))
    assert "no interval there" in chart.footnote(given.table, chart.basis_of(given), spec=charts.SHARE_OVER_TIME)
    without = answer(row(FEBRUARY, 0.05, n=100))
    assert "no interval" not in chart.footnote(without.table, chart.basis_of(without), spec=charts.SHARE_OVER_TIME)


@pytest.mark.parametrize(
    ("start", "end", "cut"),
    [
        (date(2019, 1, 7), date(2019, 2, 3), False),  # Monday to Sunday
        (date(2019, 1, 8), date(2019, 2, 3), True),
        (date(2019, 1, 7), date(2019, 2, 2), True),
        (date(2019, 1, 7), date(2019, 2, 15), False),  # to the last day that there is, a Friday
        (None, None, False),
    ],
)
def test_the_caption_says_that_weeks_are_whole_where_the_range_cuts_one(
    start: date | None, end: date | None, cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "bounds", lambda: (date(2018, 1, 1), date(2019, 2, 15)))
    given = answer(row(JANUARY, 5.0), metric="active_customers", grain="week", start=start, end=end)
    assert chart.footnote(given.table, chart.basis_of(given)).endswith("weeks are shown whole") == cut


@pytest.mark.parametrize(
    ("start", "end", "covered"),
    [
        (date(2019, 1, 1), date(2019, 1, 31), None),
        (date(2019, 1, 10), date(2019, 1, 31), ("2019-01-01", "2019-01-31")),
        (date(2019, 1, 1), date(2019, 1, 20), ("2019-01-01", "2019-01-31")),
        (date(2019, 2, 10), date(2019, 2, 15), ("2019-02-01", "2019-02-15")),  # to the last day that there is
        (date(2018, 1, 10), date(2019, 2, 10), ("2018-01-05", "2019-02-15")),  # the bank begins on the 5th and ends on the 15th
    ],
)
@pytest.mark.parametrize("metric", ["monthly_churn_rate", "transactions", "retention_cohort"])
def test_caption_and_file_say_that_months_are_whole_where_the_range_cuts_one(
    start: date, end: date, covered: tuple[str, str] | None, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "bounds", lambda: (date(2018, 1, 5), date(2019, 2, 15)))
    given = answer(row(JANUARY, 5.0), metric=metric, grain="month", start=start, end=end)
    assert chart.footnote(given.table, chart.basis_of(given)).endswith("months are shown whole") == (covered is not None)
    (line,) = read_csv(given)
    assert (line["range_start"], line["range_end"]) == (covered or (start.isoformat(), end.isoformat()))


def test_payments_say_which_transactions_count_on_the_page_and_in_the_file() -> None:
    told = {}
    for metric in ("transactions", "card_not_present_share"):
        given = answer(row(JANUARY, 5.0), metric=metric)
        told[metric] = chart.footnote(given.table, chart.basis_of(given)).split(" · ")[1], read_csv(given)[0]["activity_rule"]
    assert told == {
        "transactions": ("completed transactions of every type", "COMPLETED transactions, every type"),
        "card_not_present_share": (
            "completed card and ATM payments of all customers",
            "COMPLETED transactions, CARD_PAYMENT or ATM",
        ),
    }


def test_the_caption_says_where_the_window_or_the_rule_does_not_enter() -> None:
    rolling, volumes = answer(row(JANUARY, 5.0), metric="mau"), answer(row(JANUARY, 5.0), metric="transactions")
    assert chart.basis_of(rolling).window is None
    assert chart.basis_of(rolling).rule == "COMPLETED transactions, not FEE"
    assert chart.footnote(volumes.table, chart.basis_of(volumes)).startswith(
        "independent of N · completed transactions of every type"
    )
    assert chart.basis_of(answer(row(JANUARY, 0.5), metric="retention_cohort", kind="classic")).window is None
    assert chart.basis_of(answer(row(JANUARY, 0.5), metric="retention_cohort", kind="unbounded")).window == 90


def test_the_caption_of_a_figure_by_window_says_that_each_n_stands_for_itself() -> None:
    found = answer(row(JANUARY, 5.0), metric="window_sensitivity")
    captions = [chart.footnote(found.table, chart.basis_of(found), spec=spec) for spec in chart.BY_WINDOW]
    assert [caption.partition(" · ")[0] for caption in captions] == ["each N by itself"] * 2
    assert chart.footnote(found.table, chart.basis_of(found)).startswith("independent of N")


def test_an_axis_of_counts_has_no_part_of_a_customer() -> None:
    text = str(charts.COUNT_OVER_TIME.spec("en", messages.text))
    assert "'tickMinStep': 1" in text
    assert "'tickMinStep': 1" not in str(charts.SHARE_OVER_TIME.spec("en", messages.text))


def test_growth_puts_who_left_below_the_line_and_the_net_adds_up() -> None:
    parts = {"new_customers": (50, 20), "resurrected_customers": (4, 6), "churned_customers": (9, 31)}
    answers = [answer(row(JANUARY, float(a)), row(FEBRUARY, float(b)), metric=metric) for metric, (a, b) in parts.items()]
    drawn = figures.growth(answers)
    found = {(line["date"], line["part"]): line["customers"] for line in drawn.rows()}
    assert found[JANUARY, "churned"] == -9
    assert (found[JANUARY, "net"], found[FEBRUARY, "net"]) == (50 + 4 - 9, 20 + 6 - 31)
    assert [line["provisional"] for line in drawn.rows() if line["part"] == "net"] == [False, True]
    assert set(drawn.table.column_names) == set(charts.GROWTH.columns) - {marks.GRAIN, marks.LIST}


def test_all_groups_but_the_largest_are_one_so_that_the_parts_add_up_to_the_total() -> None:
    sizes = {"CARD_PAYMENT": 100.0, "ATM": 5.0, "TAX": 1.0, "FEE": 2.0}
    given = answer(
        *(row(day, size, type=name) for name, size in sizes.items() for day in (JANUARY, FEBRUARY)),
        metric="transactions",
        by="type",
    )
    drawn = figures.with_rest(given, str.lower, rest="others", groups=figures.groups_of(given), most=3)
    january = {line["series"]: line["value"] for line in drawn.rows() if line["date"] == JANUARY}
    assert january == {"card_payment": 100.0, "atm": 5.0, "others": 3.0}
    assert sum(line["value"] for line in drawn.rows()) == 2 * sum(sizes.values())


def test_a_type_has_the_same_place_in_both_charts_by_type_though_it_is_large_in_one_only() -> None:
    counts = answer(*(row(JANUARY, value, type=name) for name, value in (("CARD_PAYMENT", 90.0), ("TRANSFER", 9.0))), by="type")
    amounts = answer(*(row(JANUARY, value, type=name) for name, value in (("CARD_PAYMENT", 5.0), ("TRANSFER", 800.0))), by="type")
    ranks = [
        {line["series"]: line["rank"] for line in drawn.rows()}
        for drawn in (
            figures.with_rest(given, str, rest="others", groups=figures.groups_of(counts)) for given in (counts, amounts)
        )
    ]
    assert ranks == [{"CARD_PAYMENT": 0, "TRANSFER": 1}] * 2


def test_of_many_groups_the_largest_are_drawn() -> None:
    customers = {"GB": 900, "FR": 300, "PL": 600, "MT": 12}
    given = answer(*(row(JANUARY, 0.05, n=n, country=code) for code, n in customers.items()), by="country")
    groups = figures.drawn_groups(given, most=2)
    assert groups == ["GB", "PL"]
    assert [line["series"] for line in figures.by_group(given, formats.country, groups=groups).rows()] == [
        "United Kingdom",
        "Poland",
    ]


def test_of_many_cohorts_the_largest_are_drawn_the_oldest_first() -> None:
    customers = {"2018-03": 50, "2018-01": 40, "2018-02": 10, "2018-12": 90}
    given = answer(*(row(JANUARY, 0.05, n=n, signup_cohort=month) for month, n in customers.items()), by="signup_cohort")
    assert figures.drawn_groups(given, most=3) == ["2018-01", "2018-03", "2018-12"]


def test_a_month_within_the_last_n_days_has_no_effective_churn_yet() -> None:
    """As of 15 February and N = 20, who was last seen on 25 January or before is known to have gone the day after it."""

    def known(window: int) -> list[Any]:
        months = [row(day, 0.0, n=50, low=0.0, high=0.07, churned=0) for day in (JANUARY, FEBRUARY)]
        found = figures.known(answer(*months, kind="effective"), window=window, first_day=JANUARY).rows()
        return [(line["value"], line["low"], line["high"], line["churned"], line["n"]) for line in found]

    nothing, zero = (None, None, None, None, 50), (0.0, 0.0, 0.07, 0, 50)
    assert known(20) == [zero, nothing]
    assert known(15) == [zero, zero]  # who was last seen on 31 January and is silent since is gone, effective 1 February
    assert known(16) == [zero, nothing]
    assert known(46) == [zero, nothing]  # last seen on 31 December
    assert known(47) == [nothing, nothing]


def test_the_size_of_a_cohort_stands_beside_its_name() -> None:
    cells = [
        row(JANUARY, 1.0, n=1203, cohort=JANUARY),
        row(JANUARY, 0.5, n=1203, cohort=JANUARY),
        row(FEBRUARY, 1.0, cohort=FEBRUARY),
    ]
    named = figures.with_cohort_names(answer(*cells, metric="retention_cohort"), lambda day, size: f"{day:%b} {size}")
    assert [line["cohort_name"] for line in named.rows()] == ["Jan 1203", "Jan 1203", "Feb None"]


def channels(colour: str) -> list[float]:
    """Linear red, green and blue of #rrggbb, as WCAG 2.2 has it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(colour: str) -> float:
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), channels(colour), strict=True))


def between(one: str, other: str, share: float) -> str:
    ends = [[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in (one, other)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_ink_on_every_cell_has_a_contrast_of_at_least_four_and_a_half(theme: str) -> None:
    scale = tomllib.loads(pictures.THEME.read_text(encoding="utf-8"))["theme"][theme]["chartSequentialColors"]
    grounds = [between(one, other, step / 20) for one, other in pairwise(scale) for step in range(21)]
    threshold = float(re.findall(r"> ([\d.]+)", marks.INK_ON)[0])
    assert marks.INK_ON.endswith("? 'black' : 'white'")
    for ground in grounds:
        bright = luminance(ground)
        contrast = (bright + 0.05) / 0.05 if bright > threshold else 1.05 / (bright + 0.05)
        assert contrast >= 4.5, ground


MONTHS = [date(2018 + month // 12, month % 12 + 1, 1) for month in range(14)]


def picture(drawing: charts.Chart, table: pa.Table) -> ElementTree.Element:
    whole = pictures.whole(
        spec(drawing), table.select([name for name in drawing.columns if name in table.column_names]), title="", lines=[]
    )
    return ElementTree.fromstring(vl_convert.vegalite_to_svg(whole))


def strokes(drawn: ElementTree.Element, kind: str) -> list[str]:
    """The paths of all marks of a kind (line, area, symbol ...)."""
    groups = [part for part in drawn.iter() if f"mark-{kind} " in part.get("class", "") and "role-mark" in part.get("class", "")]
    return [part.get("d", "") for group in groups for part in group.iter() if part.tag.endswith("path")]


def points(path: str) -> int:
    return len(re.findall("[ML]", path))


def months(*, thin: tuple[int, ...] = (), missing: tuple[int, ...] = (), provisional: int = 0) -> pa.Table:
    """14 months of a share of one group; numbers of months from 0."""
    return pa.Table.from_pylist(
        [
            {"date": day, "series": "all", "value": 0.1, "n": 5 if month in thin else 500, "low": 0.08, "high": 0.12}
            | {"final_on": day, "provisional": month >= len(MONTHS) - provisional}
            for month, day in enumerate(MONTHS)
            if month not in missing
        ]
    )


@pytest.mark.parametrize("drawing", [charts.SHARE_OVER_TIME, charts.SHARE_BY_SERIES], ids=lambda drawing: drawing.name)
@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (months(), [14]),
        (months(thin=(4,)), [4, 9]),
        (months(missing=(4,)), [4, 9]),
        (months(thin=(3, 5), missing=(8,)), [3, 2, 5]),  # month 4 stands alone
        (months(thin=tuple(range(1, 14, 2))), []),  # every second one: no two neighbours
    ],
    ids=["whole", "thin", "missing", "both", "every second"],
)
def test_a_line_and_its_band_end_where_a_point_is_thin_or_missing(
    drawing: charts.Chart, given: pa.Table, lines: list[int]
) -> None:
    drawn = picture(drawing, given)
    assert [points(path) for path in strokes(drawn, "line") if points(path) > 1] == lines
    assert [points(path) // 2 for path in strokes(drawn, "area") if points(path) > 2] == lines


def test_a_point_that_stands_alone_is_drawn() -> None:
    """Beside the drawn points stands the one that follows the pointer, which is not drawn before."""
    (alone,) = strokes(picture(charts.COUNT_OVER_TIME, months().slice(0, 1)), "symbol")
    assert alone
    assert len(strokes(picture(charts.COUNT_OVER_TIME, months(missing=(1, 4))), "symbol")) == 1
    assert strokes(picture(charts.COUNT_OVER_TIME, months()), "symbol") == []


def test_provisional_months_are_dashed_from_the_last_final_one_on_and_have_no_band() -> None:
    drawn = picture(charts.SHARE_OVER_TIME, months(provisional=2))
    assert sorted(points(path) for path in strokes(drawn, "line")) == [3, 12]
    assert [points(path) // 2 for path in strokes(drawn, "area")] == [12]


@pytest.mark.parametrize("drawing", [charts.COUNT_OVER_TIME, charts.SHARE_BY_SERIES], ids=lambda drawing: drawing.name)
def test_what_catches_the_pointer_stays_within_the_plot_so_that_two_points_have_all_of_its_width(drawing: charts.Chart) -> None:
    def width(months_drawn: int) -> float:
        return float(picture(drawing, months().slice(0, months_drawn)).get("width", 0))

    assert width(2) == pytest.approx(width(14), abs=15)  # a label of the axis may reach over its end


def test_on_a_telephone_no_name_of_a_legend_reaches_beyond_the_drawing() -> None:
    rows = [row | {"series": f"A_PLAN_OF_A_LONG_NAME_{group}"} for group in range(6) for row in months().to_pylist()]
    narrow = pictures.whole(spec(charts.COUNT_BY_SERIES), pa.Table.from_pylist(rows), title="", lines=[]) | {"width": 240}
    drawn = ElementTree.fromstring(vl_convert.vegalite_to_svg(narrow))
    assert float(drawn.get("width", 0)) < 240 + 70  # and the axis with its padding


@pytest.mark.parametrize("days", [1, 2, 3])
def test_few_days_on_an_axis_are_not_divided_into_hours(days: int) -> None:
    given = months().slice(0, days)
    shown = given.set_column(0, "date", pa.array([date(2019, 3, 4 + day) for day in range(days)]))
    drawn = picture(charts.COUNT_OVER_TIME, shown)
    words = [part.text for part in drawn.iter() if part.tag.endswith("text") and part.text]
    assert not [word for word in words if re.search(r"AM|PM|:\d\d", word)]


def test_incomplete_cells_are_hatched_whatever_their_n_and_stay_on_the_scale() -> None:
    cells = [
        {"cohort": MONTHS[cohort], "cohort_name": f"c{cohort}", "period": period, "value": 0.5, "n": n, "low": 0.4, "high": 0.6}
        | {"final_on": MONTHS[cohort], "provisional": period == 1}
        for cohort, n in enumerate((500, 5))
        for period in (0, 1)
    ]
    drawn = picture(charts.RETENTION_COHORTS, pa.Table.from_pylist(cells))
    hatching = strokes(drawn, "symbol")
    assert len(hatching) == 2
    assert all(path.count("M") == charts.cohorts.STROKES for path in hatching)
    fills = [part.get("fill") for part in drawn.iter() if part.get("aria-roledescription") != "legend" and part.get("fill")]
    assert len({fill for fill in fills if fill and fill.startswith("rgb")}) == 1  # both cells of 500 in one colour


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
    drawn = figures.share_over_months(given, str)
    (only,) = drawn.rows()
    assert (only["value"], only["n"], only["unknown"]) == (80 / 150, 150, 5)
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
    date: float = 0
    half: float = 0
    first: float = 0
    last: float = 0
    places: int = 1
    value: float = 0
    under: float | None = None
    over: float | None = None


def pixel(expression: str, point: Point) -> float:
    """What a Vega expression with at most one condition says of a point, on a plot of 600 to 250 on which a unit is a pixel."""
    names = {"datum": point, "max": max, "min": min, "width": 600, "height": 250, "isValid": lambda value: value is not None}
    names["scale"] = lambda axis, value: value if axis == "x" else 250 - value
    condition, asks, answers = expression.partition(" ? ")
    if asks:
        yes, _, no = answers.partition(" : ")
        expression = yes if eval(condition, names) else no
    return float(eval(expression, names))


def rectangle(chart: charts.Chart, point: Point) -> tuple[float, ...]:
    """Left, right, top and bottom of what catches the pointer for a point."""
    (drawn,) = (node for node in nodes(spec(chart)) if "mark" in node and node["mark"].get("type") == "rect")
    half = next(node["calculate"] for node in nodes(spec(chart)) if node.get("as") == "half")
    placed = dataclasses.replace(point, half=pixel(half, point))
    said = (drawn["encoding"][name]["value"] for name in ("x", "x2", "y", "y2"))
    return tuple(pixel(one["expr"], placed) if isinstance(one, dict) else float(one) for one in said)


def test_the_rectangles_of_several_lines_meet_in_the_middle_of_two_lines() -> None:
    """Of 40, 100 and 180 at one place the middles are 70 and 140, from below; the plot is 250 high."""
    heights = [(None, 40, 100), (40, 100, 180), (100, 180, None)]
    found = [rectangle(charts.COUNT_BY_SERIES, Point(value=value, under=under, over=over)) for under, value, over in heights]
    assert [(top, bottom) for _, _, top, bottom in found] == [(180, 250), (110, 180), (0, 110)]


def test_the_rectangles_under_a_line_touch_however_few_the_points_are_and_say_nothing_of_a_missing_value() -> None:
    """Of so many points over a width, two stand a width over one less apart; a point alone has the whole of it."""
    for points, apart in ((2, 600), (3, 300), (13, 50), (1000, 600 / 999)):
        left, right, top, bottom = rectangle(charts.COUNT_OVER_TIME, Point(date=300, first=0, last=600, places=points))
        assert apart <= right - left <= 1.2 * apart
        assert (left + right) / 2 == pytest.approx(300)
        assert (top, bottom) == (0, 250)
    assert rectangle(charts.COUNT_OVER_TIME, Point(date=300, first=300, last=300)) == (0, 600, 0, 250)
    shown = next(node["calculate"] for node in nodes(spec(charts.COUNT_OVER_TIME)) if node.get("as") == "shown")
    assert shown.startswith("isValid(datum.value) ? ")
    assert shown.endswith(": '–'")


@pytest.mark.parametrize("chart", [charts.RETENTION_COHORTS, charts.RETENTION_COHORTS_BY_WEEK])
def test_a_cohort_cell_tells_the_same_over_its_number_and_its_hatching(chart: charts.Chart) -> None:
    parts = list(nodes(spec(chart)))
    layers = [part for part in parts if "mark" in part and "encoding" in part and "layer" not in part]
    telling = [part for part in parts if "layer" in part and part["encoding"].get("tooltip")]
    assert len(layers) == 5
    assert len(telling) == 1
    assert not any("tooltip" in layer["encoding"] or "tooltip" in layer["mark"] for layer in layers)


def test_a_cohort_cell_that_is_withheld_says_so_and_tells_no_count() -> None:
    told = copy.deepcopy(dict(spec(charts.RETENTION_COHORTS)))
    label = [node for node in nodes(told) if "encoding" in node and node["encoding"].get("text")][-1]
    cell = {"cohort": JANUARY, "cohort_name": "A", "period": 0}
    cells = [row(JANUARY, 0.0) | cell | {"value": None}, row(FEBRUARY, 0.5, n=1300) | cell | {"cohort_name": "B"}]

    def said(name: str) -> set[str | None]:
        label["encoding"]["text"]["field"] = name
        whole = pictures.whole(told, pa.Table.from_pylist(cells), title="", lines=[])
        drawn = ElementTree.fromstring(vl_convert.vegalite_to_svg(whole))
        return {part.text for part in drawn.iter() if part.tag.endswith("text")}

    assert {"–", "650"} <= said("customers")
    assert {"–", "1,300"} <= said("of")
    assert messages.text("common.withheld", "en") in said("state")


@pytest.mark.parametrize(
    ("first", "count", "told"),
    [(0, 2, ["2018", "February"]), (1, 2, ["February", "March"]), (0, 3, ["2018", "February", "March"])],
)
@pytest.mark.parametrize("drawing", [charts.SHARE_OVER_TIME, charts.SHARE_BY_SERIES], ids=lambda drawing: drawing.name)
def test_an_axis_of_a_few_months_names_months_and_no_days_between_them(
    drawing: charts.Chart, first: int, count: int, told: list[str]
) -> None:
    assert times(picture(drawing, months().slice(first, count))) == told


@each_chart
def test_every_axis_of_numbers_says_how_they_are_written(drawing: charts.Chart) -> None:
    """A number alone on an axis is 0.000000 where nothing says so."""
    scales = [node for node in nodes(spec(drawing)) if node.get("type") == "quantitative" and node.get("axis")]
    assert all("format" in node["axis"] for node in scales)


@pytest.mark.parametrize(("mondays", "sundays"), [((5, 12), [11]), ((5, 12, 19), [11, 18])])
def test_an_axis_of_a_few_weeks_names_a_day_a_week_at_most(mondays: tuple[int, ...], sundays: list[int]) -> None:
    days = pa.array([date(2018, 3, day) for day in mondays])
    weeks = months().slice(0, len(mondays)).set_column(0, "date", days)
    named = times(picture(charts.SHARE_BY_SERIES_BY_WEEK, weeks))
    assert [int(label.split()[1]) for label in named] == sundays  # on which weeks begin for the axis


def times(drawn: ElementTree.Element) -> list[str]:
    """The labels of the axis of time, left to right."""
    return labels(drawn, "X-axis")


def labels(drawn: ElementTree.Element, name: str) -> list[str]:
    (axis,) = [part for part in drawn.iter() if part.get("aria-label", "").startswith(name)]
    return [text for text in axis.itertext() if text.strip() and name not in text]


OF_SOLID = [drawing for drawing in charts.ALL if drawing.is_of_solid]
of_solid = pytest.mark.parametrize("drawing", OF_SOLID, ids=lambda drawing: drawing.name)
FEW = 4  # a month of five customers


def with_few(few: float | None, **others: Any) -> pa.Table:
    """14 months of which one is of five customers and has this value; what the others have."""
    of_few = {"value": few, "low": None, "high": None}
    rows = months(thin=(FEW,)).to_pylist()
    return pa.Table.from_pylist([row | (of_few if month == FEW else others) for month, row in enumerate(rows)])


def upper_end(drawn: ElementTree.Element) -> float:
    return max(float(label.rstrip("%")) for label in labels(drawn, "Y-axis")) / (100 if "%" in labels(drawn, "Y-axis")[0] else 1)


def triangles(drawn: ElementTree.Element) -> list[str]:
    """The points that are drawn with corners; a round one is made of arcs."""
    return [path for path in strokes(drawn, "symbol") if "A" not in path]


@of_solid
def test_a_point_of_few_customers_lengthens_no_axis_and_is_a_triangle_at_its_upper_end(drawing: charts.Chart) -> None:
    drawn = picture(drawing, with_few(1.0))
    assert upper_end(drawn) <= 0.15
    (above,) = [part for part in drawn.iter() if part.get("d") in triangles(drawn) and part.get("transform")]
    assert above.get("transform", "").endswith(f",{marks.EDGE})")
    assert len(strokes(drawn, "symbol")) == 1


@of_solid
@pytest.mark.parametrize(
    ("given", "least", "shown"),
    [
        (with_few(0.05), 0.1, 1),
        (with_few(None), 0.1, 0),
        (with_few(1.0, n=5), 1.0, 14),
        (with_few(0.5, value=0.6), 0.6, 1),
        (with_few(0.5, value=None), 0.5, 1),
    ],
    ids=["within", "no value", "all of few", "beneath", "the only one"],
)
def test_a_point_of_few_customers_stays_where_it_is_unless_it_lies_above_the_others(
    drawing: charts.Chart, given: pa.Table, least: float, shown: int
) -> None:
    drawn = picture(drawing, given)
    assert upper_end(drawn) >= least
    assert (triangles(drawn), len(strokes(drawn, "symbol"))) == ([], shown)


@of_solid
def test_a_provisional_point_of_enough_customers_is_within_the_axis_without_its_interval(drawing: charts.Chart) -> None:
    rows = with_few(1.0).to_pylist()
    last = rows[-1] | {"value": 0.4, "high": 0.9, "provisional": True}
    assert 0.4 <= upper_end(picture(drawing, pa.Table.from_pylist([*rows[:-1], last]))) <= 0.5


def told_under_the_pointer(drawing: charts.Chart, name: str, table: pa.Table, *, language: str = "en") -> list[str | None]:
    """What catches the pointer is turned into the text that it would tell."""
    told = copy.deepcopy(dict(spec(drawing, language)))
    (caught,) = (node for node in nodes(told) if "mark" in node and node["mark"].get("type") == "rect")
    caught["mark"] = {"type": "text"}
    caught["encoding"]["text"] = {"field": name, "type": "nominal"}
    drawn = ElementTree.fromstring(vl_convert.vegalite_to_svg(pictures.whole(told, table, title="", lines=[])))
    return [part.text for part in drawn.iter() if part.tag.endswith("text")]


@of_solid
def test_the_tooltip_of_a_point_above_the_axis_tells_its_true_value(drawing: charts.Chart) -> None:
    said = told_under_the_pointer(drawing, "shown", with_few(0.98765))
    assert ("0.99" if drawing in (charts.RATIO_OVER_TIME, charts.RATIO_BY_SERIES) else "98.8%") in said


@pytest.mark.parametrize(
    ("grain", "language", "when"),
    [
        (None, "en", "7 Jan 2019"),
        ("day", "fr", "7 janv. 2019"),
        ("week", "en", "week of 7 Jan 2019"),
        ("week", "fr", "semaine du 7 janv. 2019"),
        ("month", "en", "Jan 2019"),
        ("month", "fr", "janv. 2019"),
    ],
)
def test_hovering_tells_the_day_the_week_or_the_month_that_a_point_is_of(grain: str | None, language: str, when: str) -> None:
    given = answer(row(JANUARY, 12.0, date=date(2019, 1, 7)), grain=grain)
    table = chart.drawn(chart.of_grain(given.table, chart.basis_of(given)), charts.COUNT_OVER_TIME.columns)
    assert when in told_under_the_pointer(charts.COUNT_OVER_TIME, "when", table, language=language)


def test_hovering_tells_n_of_a_ratio_which_is_pale_where_it_is_small() -> None:
    for drawing in (charts.RATIO_OVER_TIME, charts.RATIO_BY_SERIES):
        assert "80" in told_under_the_pointer(drawing, "n", with_few(None, n=80)), drawing.name
        tips = [tip["field"] for node in nodes(spec(drawing)) if isinstance(node.get("tooltip"), list) for tip in node["tooltip"]]
        assert "n" in tips
        assert "interval" not in tips


def test_of_pauses_without_an_upper_end_nothing_is_said_to_be_no_longer() -> None:
    calculated = {node["as"]: node["calculate"] for node in nodes(spec(charts.USAGE_INTERVALS)) if "calculate" in node}
    for name in ("shown_reached", "reached_interval"):
        assert calculated[name].startswith("isValid(datum.to_days)")


@each_chart
def test_each_line_of_a_hint_has_a_name_of_its_own(drawing: charts.Chart) -> None:
    for tips in (node["tooltip"] for node in nodes(spec(drawing)) if isinstance(node.get("tooltip"), list)):
        titles = [tip["title"].strip() for tip in tips]
        assert all(titles)
        assert len(set(titles)) == len(titles)


def test_an_axis_of_counts_asks_nothing_of_few_customers() -> None:
    assert "datum.top" not in texts(spec(charts.COUNT_OVER_TIME))


def test_the_caption_says_what_a_triangle_is_where_there_is_one() -> None:
    def told(drawing: charts.Chart, few: float) -> bool:
        given = answer(row(JANUARY, 0.05, n=500, high=0.07), row(JANUARY, few, n=2))
        return chart.footnote(given.table, chart.basis_of(given), spec=drawing).endswith(
            "triangle at the top: such a point above the axis"
        )

    assert told(charts.SHARE_BY_SERIES, 0.08)
    assert not told(charts.SHARE_BY_SERIES, 0.06)
    assert not told(charts.SURVIVAL, 0.08)
    of_few = answer(row(JANUARY, 0.5, n=2))
    assert figures.top_of_solid(of_few.table) is None
    assert "triangle" not in chart.footnote(of_few.table, chart.basis_of(of_few), spec=charts.SHARE_BY_SERIES)
