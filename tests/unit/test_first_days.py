"""Of the first N days of the data no rate of churn is shown: nobody can have been silent for N days."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

import pytest
from page_kit import whole

from pipeline.marts import Question
from streamlit_app import data, figures
from streamlit_app.components import headline, rates_table

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]


def month_end(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


@pytest.mark.parametrize("window", [7, 90, 180])
def test_a_month_is_known_once_somebody_can_have_been_silent_for_n_days_in_it(window: int) -> None:
    first_day = data.bounds()[0]
    answer = data.answer(Question("monthly_churn_rate", window=window))
    known = figures.known(answer, window=window, first_day=first_day)
    for before, row in zip(answer.rows(), known.rows(), strict=True):
        days = (month_end(before["date"]) - first_day).days
        if days < window:
            assert (before["churned"], row["value"], row["low"], row["high"], row["churned"]) == (0, None, None, None, None)
            assert rates_table._status(row, answer) == f"too early: nobody can have been silent for {window} days"
        else:
            assert row == before
    unknown = [row for row in known.rows() if row["value"] is None]
    assert bool(unknown) == (window > 30)


def test_the_effective_clock_knows_the_first_days() -> None:
    answer = data.answer(Question("monthly_churn_rate", window=90, kind="effective"))
    known = figures.known(answer, window=90, first_day=data.bounds()[0])
    assert known.table["value"][0].as_py() == answer.table["value"][0].as_py()


def test_a_window_longer_than_the_data_to_the_months_end_has_no_rate() -> None:
    answer = data.answer(Question("window_sensitivity", kind="churn"))
    end: date = answer.table["final_on"][0].as_py()
    known = figures.known_by_window(answer, first_day=end - timedelta(days=60))
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

    known = card(until - timedelta(days=90))
    assert known.value.endswith("%")
    assert known.change is None  # of the month before nothing is known
    early = card(until - timedelta(days=89))
    assert (early.value, early.change, early.course) == ("–", None, ())
    assert "too early: nobody can have been silent for 90 days" in early.note
    assert "95%" not in early.note


def test_the_page_says_why_months_are_missing() -> None:
    page = whole("churn", window="180")
    assert any("nobody can have been silent that long" in text.value for text in page.markdown)
    statuses = [status for table in page.dataframe for status in table.value.get("Status", [])]
    assert "too early: nobody can have been silent for 180 days" in statuses
