"""Of the first N days of the data no rate of churn is shown: nobody can have been silent for N days."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from page_kit import whole, words

from pipeline.marts import Answer, Question
from streamlit_app import data, figures, formats
from streamlit_app.components import headline, rates_table
from streamlit_app.views import churn

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]


def month_end(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


@pytest.mark.parametrize("window", [7, 90, 180])
def test_a_month_is_known_once_somebody_can_have_been_silent_for_n_days_on_each_of_its_days(window: int) -> None:
    first_day = data.bounds()[0]
    answer = data.answer(Question("monthly_churn_rate", window=window))
    known = figures.known(answer, window=window, first_day=first_day)
    for before, row in zip(answer.rows(), known.rows(), strict=True):
        assert (month_end(before["date"]) - first_day).days >= window or before["churned"] == 0
        if (before["date"] - first_day).days < window:
            assert (row["value"], row["low"], row["high"], row["churned"]) == (None, None, None, None)
            assert rates_table._status(row, answer) == f"too early for {window} days of silence"
        else:
            assert row == before
    unknown = [row for row in known.rows() if row["value"] is None]
    assert len(unknown) == {7: 0, 90: 3, 180: 5}[window]  # of the months from February 2018 on, in a bank of 2 January


@pytest.mark.parametrize(("window", "month"), [(89, date(2018, 4, 1)), (90, date(2018, 5, 1)), (119, date(2018, 5, 1))])
def test_the_first_month_with_a_rate_is_one_that_can_have_lapses_on_all_its_days(window: int, month: date) -> None:
    """Of a bank of 2 January: 89 days of silence are over on 1 April, 90 within that month, and 119 on 1 May."""
    assert figures.first_with_a_rate(date(2018, 1, 2), window) == month


def test_the_effective_clock_knows_the_first_days() -> None:
    answer = data.answer(Question("monthly_churn_rate", window=90, kind="effective"))
    known = figures.known(answer, window=90, first_day=data.bounds()[0])
    assert known.table["value"][0].as_py() == answer.table["value"][0].as_py()


def test_a_window_longer_than_the_data_before_the_month_has_no_rate() -> None:
    answer = data.answer(Question("window_sensitivity", kind="churn"))
    end: date = answer.table["final_on"][0].as_py()
    known = figures.known_by_window(answer, first_day=end.replace(day=1) - timedelta(days=60))
    windows = [row["window_days"] for row in known.rows() if row["value"] is not None]
    assert windows == list(range(7, 61))
    assert figures.known_by_window(answer, first_day=data.bounds()[0]).table.equals(answer.table)


def test_a_card_of_such_a_month_has_a_dash_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    end = data.bounds()[1]
    until = end.replace(day=1) - timedelta(days=1)
    question = Question("active_customers", window=90)

    def card(first_day: date) -> headline.Kpi:
        monkeypatch.setattr(data, "bounds", lambda: (first_day, end))
        (kpi,) = headline.kpis(question, only=("monthly_churn_rate",))
        return kpi

    begins = until.replace(day=1)
    known = card(begins - timedelta(days=90))
    assert known.value.endswith("%")
    assert known.change is None  # of the month before nothing is known
    early = card(begins - timedelta(days=89))
    assert (early.value, early.change, early.course) == ("–", None, ())
    assert "too early for 90 days of silence" in early.note
    assert "95%" not in early.note
    (rate,) = (figure for figure in data.headline() if figure.metric.name == "monthly_churn_rate")
    of_nobody_yet = replace(rate, value=None, n=None, low=None, high=None, before=None)
    monkeypatch.setattr(data, "headline", lambda **_: (of_nobody_yet,))
    assert "too early for 90 days of silence" in card(begins - timedelta(days=89)).note


def test_the_page_says_why_months_are_missing() -> None:
    page = whole("churn", window="180")
    assert any("nobody can have been silent that long" in text.value for text in page.markdown)
    statuses = [status for table in page.dataframe for status in table.value.get("Status", [])]
    assert "too early for 180 days of silence" in statuses


def test_a_long_name_of_a_group_has_room_in_the_table_of_months() -> None:
    assert rates_table._columns(["Standard", 25 * "x"])["Group"]["width"] == 224  # type: ignore[index]


def test_a_range_without_a_rate_says_why_instead_of_an_empty_frame() -> None:
    first_day = data.bounds()[0]
    first = {"from": first_day.isoformat(), "to": (first_day + timedelta(days=80)).isoformat()}
    known = first_day + timedelta(days=180)
    page = whole("churn", **first, window="180")
    assert (
        f"No month of this range has a rate yet: before {formats.day(known)} nobody can have been silent for 180 days. "
        f"The first month with a rate is Jul 2018." in words(page)  # whose first day is the 180th
    )
    assert len(page.get("vega_lite_chart")) == 3
    assert "has a rate yet" not in words(whole("churn", window="180"))


def test_so_does_a_range_within_the_last_n_days_by_the_effective_clock() -> None:
    month = data.bounds()[1].replace(day=1)
    told = words(whole("churn", **{"from": month.isoformat()}, clock="effective"))
    assert f"Of the first of these months something is known from {formats.day(month + timedelta(days=89))} on" in told


def test_months_in_which_nobody_was_there_are_not_said_to_be_too_early() -> None:
    answer = data.answer(Question("monthly_churn_rate", window=90))
    nobody = pa.nulls(answer.table.num_rows, pa.float64())
    of_nobody = replace(answer, table=answer.table.set_column(answer.table.column_names.index("value"), "value", nobody))
    assert churn._why_no_rate(of_nobody, of_nobody) == "Nobody of this segment was active at the start of any of these months."
    withheld = replace(of_nobody, withheld=3)
    assert churn._why_no_rate(withheld, withheld) == ""  # which the caption of the chart says


def test_a_bank_in_which_nobody_can_be_lost_yet_says_so_instead_of_a_legend_without_curves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, (first_day, _) = data.answer, data.bounds()

    def young(question: Question, *, days: int = 74) -> Answer:
        answer = read(question)
        if question.metric != "survival":
            return answer
        starts = answer.table.filter(pc.equal(answer.table["tenure_days"], 0))
        return replace(answer, table=starts, as_of=first_day + timedelta(days=days))

    monkeypatch.setattr(data, "answer", young)
    page = words(whole("churn"))
    known = formats.day(first_day + timedelta(days=90))
    assert f"No curve yet: before {known} nobody can have been silent for 90 days, and so nobody is lost." in page
    monkeypatch.setattr(data, "answer", lambda question: young(question, days=90))
    assert "No curve yet, for none of these customers is lost." in words(whole("churn"))
