"""Every share says how sure it is, and every list that is cut says so."""

from __future__ import annotations

import re
from datetime import date
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from page_kit import whole, words
from streamlit.testing.v1 import AppTest

from pipeline.marts import Headline, Question
from pipeline.metrics import Metric
from streamlit_app import data, formats, messages
from streamlit_app.components import comparison, headline, next_steps
from streamlit_app.views import customers

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
    monkeypatch.setattr(data, "bounds", lambda: (date(2018, 1, 1), day))
    monkeypatch.setattr(data, "thin_tail", lambda: None)
    monkeypatch.setattr(headline.data_kept, "beside_figures", lambda _read: ())
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
    assert sum(note.value.endswith("fewer than 30]]") for note in page.markdown) == len(grey)


def test_a_share_in_a_sentence_has_its_interval_and_n_and_says_where_n_is_small() -> None:
    row = {"value": 0.2, "low": 0.1, "high": 0.35, "n": 30}
    assert next_steps.sure(row) == "95%: 10.0–35.0%, n 30"
    assert next_steps.sure(row | {"n": 29}) == "95%: 10.0–35.0%, n 29, fewer than 30"


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_each_share_of_what_to_look_at_next_has_as_many_digits_as_its_interval() -> None:
    sentences = [note.value for note in whole("overview").markdown if "(95%: " in note.value]
    found = [(share, low) for sentence in sentences for share, low in re.findall(r"\*\*([\d.]+)%\*\* \(95%: ([\d.]+)–", sentence)]
    assert len(found) == 3  # churn of both tiers, and absent card holders
    assert [share.partition(".")[2] != "" for share, _ in found] == [low.partition(".")[2] != "" for _, low in found]


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


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_the_days_on_which_a_customer_came_have_their_n() -> None:
    mau = data.answer(Question("mau")).rows()[-1]["value"]
    assert f"of them, on average (n {mau:,.0f})." in words(whole("overview"))


def test_two_versions_side_by_side_say_how_sure_each_share_is() -> None:
    day = date(2019, 4, 30)
    before, after = (
        Headline(CHURN, "month", day, value, None, n, low, high, day, False)
        for value, n, low, high in ((0.2, 29, 0.1, 0.35), (None, None, None, None))
    )
    row = comparison._figure(before, after)
    assert (row["before"], row["after"]) == ("20.0% (95%: 10.0–35.0%, n 29)", "–")
    ratio = Metric("quick_ratio", BOTH, BOTH, "ratio", "m", "c")
    alone = Headline(ratio, "28 days", day, 1.5, None, 31, None, None, day, False)
    assert comparison._figure(alone, alone)["after"] == "1.50 (n 31)"


def test_an_amount_in_the_list_of_customers_is_rounded_as_on_the_customers_own_page() -> None:
    known = {"user_id": "119", "country": "FR", "plan": "METAL", "is_active": True}
    row = dict.fromkeys((*customers.COLUMNS, customers.HAPPENED_ON), 0) | known
    listed = pa.Table.from_pylist([row | {"amount_usd": amount} for amount in (35_861.51, 9.75, None)])
    assert customers._readable(listed)["amount_usd"].to_pylist() == [35_862, 10, None]
    assert formats.money(35_861.51).endswith("35,862")


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
def test_all_metrics_stand_in_a_list_with_their_unit_beside_the_name() -> None:
    page = whole("definitions", metric="mau", lang="en")
    known = data.registry()
    (listed,) = [text.value for text in page.markdown if text.value.startswith("- **")]
    assert listed.count("- **") == len(known)
    assert f"- **{known['mau'].label['en']}** · :gray[customers]  \n  {known['mau'].definition['en']}" in listed


@pytest.mark.usefixtures("bank_of_the_pages")
@pytest.mark.xdist_group("the bank of the pages")
@pytest.mark.parametrize(("language", "before"), [("en", ""), ("fr", "En anglais\u00a0: ")])
def test_what_a_model_says_of_itself_is_called_english_where_the_page_is_not(
    language: str, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "language", lambda: language)
    page = whole("definitions", metric="mau", lang=language)
    description = data.models()[data.registry()["mau"].model]["description"]
    assert before + description in [caption.value for caption in page.caption]
