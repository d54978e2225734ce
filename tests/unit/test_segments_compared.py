"""A against B, retention over the cohorts, and the amount that comes again: what is drawn, and what is said of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from page_kit import failed, whole, words
from test_charts import answer

from pipeline.marts import Answer, Question
from pipeline.statistics import wilson
from streamlit_app import charts, data, figures, formats, messages
from streamlit_app.components import segments_compared

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]


def curve(*points: tuple[int, int, int]) -> Answer:
    """Periods with how many were retained of how many."""
    rows: list[dict[str, Any]] = [
        {"period": period, "value": retained / n, "n": n, "retained": retained, "low": low, "high": high}
        for period, retained, n in points
        for low, high in [map(float, wilson(retained, n))]
    ]
    return answer(*rows, metric="retention_cohort")


def said(first: Answer, second: Answer) -> str:
    return segments_compared.in_words({"Premium": first, "Standard": second}, periods=(1, 3, 6))


def test_two_segments_are_compared_in_the_last_period_in_which_both_have_thirty_customers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    told = said(curve((1, 60, 70), (3, 56, 70), (6, 9, 10)), curve((1, 60, 80), (3, 48, 80), (6, 30, 60)))
    premium, standard = "**80.0%** (95%: 69.2–87.7%, n 70)", "**60.0%** (95%: 49.0–70.0%, n 80)"
    assert told.startswith(f"In period 3: Premium {premium}, Standard {standard}. Difference +20.0 pp")
    assert "(95%: +5.2 pp to +33.4 pp): chance alone would hardly make it." in told  # Newcombe (1998), his first example
    assert "chance alone could make it" in said(curve((1, 50, 100)), curve((1, 49, 100)))
    assert "fewer than 30 customers" in said(curve((1, 20, 29)), curve((1, 49, 100)))


def test_the_page_draws_both_curves_as_each_segment_has_them_alone() -> None:
    page = whole("retention", between="plan_tier", a="premium", b="standard")
    assert len(page.get("vega_lite_chart")) == 4
    assert "One of the two groups has fewer than 30 customers throughout" in words(page)  # this small bank has few premium ones
    assert failed(page.selectbox(key="b").set_value("premium").run()) == []
    assert "Choose two different groups." in [info.value for info in page.info]


def test_the_caption_of_both_curves_names_the_segment_of_the_page_and_neither_of_the_two() -> None:
    said = [caption.value for caption in whole("retention", between="plan_tier", os="iOS").caption]
    of_the_page = [line for line in said if "Phone: iOS · " in line]
    assert len(of_the_page) == 4
    assert not [line for line in said if "Tier:" in line]


def test_a_dimension_that_is_filtered_cannot_be_compared_too() -> None:
    page = whole("retention", plan_tier="premium", between="plan_tier")
    assert page.selectbox(key="between").value == "all"
    assert [warning.value for warning in page.warning] == [
        "The link asks for “Compare two groups of” = `plan_tier`, which is not here. Shown instead: Nobody yet."
    ]


def test_what_is_compared_is_given_up_without_a_word_once_the_reader_filters_by_it() -> None:
    page = whole("retention", between="plan_tier")
    page.selectbox(key="plan_tier").select(("premium",)).run()
    assert (page.selectbox(key="between").value, page.warning.len) == ("all", 0)
    assert "between" not in page.query_params


def test_the_lines_over_the_cohorts_are_the_cells_of_the_heat_map() -> None:
    cells = data.answer(Question("retention_cohort"))
    drawn = figures.over_cohorts(cells, {1: "M1", 3: "M3"})
    assert set(charts.SHARE_BY_SERIES.columns) <= set(drawn.table.column_names)
    wanted = {(f"M{row['period']}", row["cohort"]): row["value"] for row in cells.rows() if row["period"] in (1, 3)}
    assert {(row["series"], row["date"]): row["value"] for row in drawn.rows()} == wanted
    assert date(2019, 5, 1) not in {row["date"] for row in drawn.rows()}  # nobody has had a month yet


def test_the_amount_that_comes_again_is_never_more_gross_than_net() -> None:
    net, gross = (data.answer(Question("amount_retention", kind=kind)).rows() for kind in ("net", "gross"))
    assert all(low["value"] <= high["value"] and low["value"] <= 1 for low, high in zip(gross, net, strict=True))
    assert "Amount that comes again, by month" in words(whole("payments"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("United Kingdom", "United Kingdom"),
        ("Metal (free)", "Metal (free)"),
        ("25-34", "25-34"),
        ("**bold**", "`**bold**`"),
        ("[a](b)", "`[a](b)`"),
        (":material/check:", "`:material/check:`"),
        ("_x_", "`_x_`"),
    ],
)
def test_a_name_from_the_banks_files_is_no_mark_up_within_a_sentence(name: str, shown: str) -> None:
    assert formats.in_words(name) == shown
