"""Every share says how sure it is, and every list that is cut says so."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from page_kit import whole
from streamlit.testing.v1 import AppTest

from pipeline.marts import Headline, Question
from pipeline.metrics import Metric
from streamlit_app import data, messages
from streamlit_app.components import headline, next_steps

BOTH = {"en": "Churn", "fr": "Attrition"}
CHURN = Metric("monthly_churn_rate", BOTH, BOTH, "share", "m", "c")


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")


def kpi(monkeypatch: pytest.MonkeyPatch, n: int, *, metric: Metric = CHURN) -> Any:
    day = date(2019, 4, 30)
    low, high = (0.1, 0.35) if metric.unit == "share" else (None, None)
    figure = Headline(metric, "month", day, 0.2, 0.1, n, low, high, day, False, before_n=1000)
    monkeypatch.setattr(data, "headline", lambda **_: (figure,))
    monkeypatch.setattr(data, "published", lambda: SimpleNamespace(inactivity_days=90))
    monkeypatch.setattr(headline.data_kept, "targets", lambda: ())
    monkeypatch.setattr(headline, "_course", lambda *_: ())
    return headline.kpis(Question("active_customers"))[0]


def test_a_headline_share_of_fewer_than_30_says_so_and_is_neither_good_nor_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    thin, enough = kpi(monkeypatch, 29), kpi(monkeypatch, 30)
    assert (thin.tone, enough.tone) == ("neutral", "neutral")
    assert kpi(monkeypatch, 60).tone == "bad"  # 12 of 60 against 100 of 1,000: +1.8 to +21.8 points
    assert "95%: 10.0–35.0%, n 29" in thin.note
    assert thin.note.endswith("fewer than 30")
    assert "fewer than 30" not in enough.note
    assert (thin.is_thin, enough.is_thin) == (True, False)


def test_a_headline_ratio_of_fewer_than_30_has_its_n_and_is_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    ratio = Metric("quick_ratio", BOTH, BOTH, "ratio", "m", "c")
    thin, enough = kpi(monkeypatch, 29, metric=ratio), kpi(monkeypatch, 30, metric=ratio)
    assert thin.note.endswith("n 29, fewer than 30")
    assert (thin.is_thin, enough.is_thin) == (True, False)
    assert (thin.tone, enough.note.count("n 30")) == ("neutral", 0)


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_the_number_on_the_card_is_grey_where_its_note_says_fewer_than_30_and_nowhere_else() -> None:
    page = whole("overview", country="MT")
    grey = {metric.label for metric in page.metric if metric.value.startswith(":gray[")}
    assert grey == {"Monthly churn rate", "Stickiness"}  # of the quick ratio there is none: nobody left
    assert sum(caption.value.endswith("fewer than 30") for caption in page.caption) == len(grey)


def test_a_share_in_a_sentence_has_its_interval_and_n_and_says_where_n_is_small() -> None:
    row = {"value": 0.2, "low": 0.1, "high": 0.35, "n": 30}
    assert next_steps.sure(row) == "95%: 10.0–35.0%, n 30"
    assert next_steps.sure(row | {"n": 29}) == "95%: 10.0–35.0%, n 29, fewer than 30"


def draw(rows: int) -> None:
    from streamlit_app.components import table

    table.show(({"group": str(row)} for row in range(rows)), names="overview.changes.columns", most=3)


@pytest.mark.parametrize(("rows", "told"), [(2, []), (3, ["The last 3; older ones are not shown."])])
def test_a_list_that_may_be_cut_says_so(rows: int, told: list[str]) -> None:
    page = AppTest.from_function(draw, args=(rows,)).run()
    assert [caption.value for caption in page.caption] == told
    assert len(page.table[0].value) == rows


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_every_share_of_where_to_look_next_has_its_interval() -> None:
    sentences = [markdown.value for markdown in whole("overview").markdown if markdown.value.startswith(("In ", "Of the "))]
    with_shares = [sentence for sentence in sentences if "%**" in sentence]
    assert with_shares
    for sentence in with_shares:
        assert sentence.count("%**") == sentence.count("95%: "), sentence
