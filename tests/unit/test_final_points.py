"""The switch that hides what may still change: on every chart over time and of cohorts, in the URL, and said beneath each."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from page_kit import opened, whole, words

from pipeline.marts import Question
from streamlit_app import charts, data, figures, messages
from streamlit_app.components import final_points, url

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]


class Tab:
    def __init__(self, **query: str) -> None:
        self.query_params = query


@pytest.fixture
def switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(final_points, "st", Tab(only_final="True"))
    monkeypatch.setattr(messages, "language", lambda: "en")


@pytest.mark.usefixtures("switched_on")
def test_every_chart_over_time_and_of_cohorts_leaves_out_what_may_still_change_and_no_other_does() -> None:
    table = pa.table({"value": [1, 2, 3], "provisional": [False, True, False]})
    following = {chart.name for chart in charts.ALL if final_points.drawn(chart, table).num_rows == 2}
    over_time = {
        "growth",
        "count_over_time",
        "count_by_series",
        "ratio_over_time",
        "ratio_by_series",
        "share_over_time",
        "share_by_series",
        "share_by_series_by_week",
    }
    bars = {"transactions_by_type", "amount_by_type"}
    assert following - {"stretches"} == over_time | bars | {"retention_cohorts", "retention_cohorts_by_week"}
    assert final_points.drawn(charts.STRETCHES, table.drop_columns(["provisional"])).num_rows == 3


def test_an_address_with_anything_else_shows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"provisional": [True]})
    for query in ({}, {"only_final": "False"}, {"only_final": "perhaps"}):
        monkeypatch.setattr(final_points, "st", Tab(**query))
        assert final_points.drawn(charts.GROWTH, table).num_rows == 1


def test_the_switch_hides_the_open_month_and_goes_along_with_the_other_filters() -> None:
    page = whole("churn")
    page.toggle(key="only_final").set_value(True).run()
    assert page.query_params == {"only_final": "True"}
    assert page.session_state[url.KEPT]["only_final"] == "True"
    assert "May 2019" not in set(page.dataframe[0].value["Month"])
    assert date(2019, 4, 1) in set(page.dataframe[0].value["Month"])
    rates = data.answer(Question("monthly_churn_rate", by="plan_tier", kind="recognised", window=90))
    hidden = rates.table.num_rows - figures.final(rates.table).num_rows
    assert hidden > 0
    assert sum(f"{hidden} points that may still change are hidden" in caption.value for caption in page.caption) >= 2
    assert page.toggle(key="only_final").set_value(False).run().query_params == {}


def test_where_nothing_is_final_the_card_says_so_instead_of_drawing_nothing() -> None:
    page = opened("churn", **{"from": "2019-05-02", "only_final": "True"})
    assert not page.exception
    assert "Nothing here is final yet" in words(page)
