"""A change of a headline figure is called good or bad only where chance alone would hardly make it."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from pipeline.marts import Headline, Question
from pipeline.marts.headline import _TESTS, _of_month
from pipeline.marts.thin_tail import ThinTail
from pipeline.marts.withholding import withheld_headline
from pipeline.metrics import Metric
from pipeline.statistics import Z_95, ratio_of_counts, ratio_of_ratios
from streamlit_app import data, messages
from streamlit_app.components import headline
from streamlit_app.components.kpi_row import Kpi

DAY = date(2019, 5, 16)
UNITS = {"quick_ratio": "ratio", "stickiness": "ratio", "monthly_churn_rate": "share"}


def figure(name: str, value: float, before: float, *, n: int | None = None, before_n: int | None = None) -> Headline:
    words = {"en": name, "fr": name}
    metric = Metric(name, words, words, UNITS.get(name, "customers"), "m", "c")
    interval = (0.0, 1.0) if metric.unit == "share" else (None, None)
    return Headline(metric, "28 days", DAY, value, before, n, *interval, DAY, False, before_n=before_n)


def exact(first: int, second: int) -> float:
    """Two-sided: twice the smaller tail of throwing a fair coin first + second times."""
    total, least = first + second, min(first, second)
    return min(1.0, 2 * sum(math.comb(total, heads) for heads in range(least + 1)) / 2**total)


def test_two_counts_differ_where_the_exact_test_says_so_but_for_a_hair() -> None:
    for first in range(61):
        for second in range(61):
            if not first + second:
                continue
            _, low, high = ratio_of_counts(first, second)
            differ, probability = not low <= 1 <= high, exact(first, second)
            assert differ == (probability < 0.05) or (not differ and 0.0487 < probability < 0.05), (first, second)


def test_the_ends_of_a_ratio_of_counts_are_where_the_corrected_score_is_1_96() -> None:
    ratio, low, high = ratio_of_counts(64, 45)
    assert ratio == pytest.approx(64 / 45)
    for end, away in ((low, 63.5), (high, 64.5)):
        share = end / (1 + end)
        assert abs(away - 109 * share) / math.sqrt(109 * share * (1 - share)) == pytest.approx(Z_95)


def test_a_ratio_of_counts_has_an_open_end_where_one_is_nothing_and_none_where_both_are() -> None:
    assert ratio_of_counts(0, 5)[:2] == (0.0, 0.0)
    assert ratio_of_counts(5, 0)[::2] == (math.inf, math.inf)
    assert all(map(math.isnan, ratio_of_counts(0, 0)))


def test_the_ratio_of_ratios_has_woolfs_interval() -> None:
    """Woolf's own example (1955), peptic ulcer in London: group O 911 patients and 4,578 others, group A 579 and 4,219."""
    assert ratio_of_ratios((911, 579), (4578, 4219)) == pytest.approx((1.4500, 1.2961, 1.6223), abs=5e-5)
    assert all(map(math.isnan, ratio_of_ratios((911, 0), (4578, 4219))))


def test_a_change_of_the_churn_rate_has_newcombes_interval() -> None:
    """His first example (1998), 56 of 70 against 48 of 80, as two months."""
    found = figure("monthly_churn_rate", 56 / 70, 48 / 80, n=70, before_n=80)
    assert found.change_interval == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.is_beyond_chance


def test_chance_is_asked_once_a_figure_which_stays_the_same_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Headline] = []
    told, silent = (figure("monthly_churn_rate", 56 / 70, 48 / 80, n=70, before_n=80) for _ in range(2))
    test = _TESTS[told.metric.name]
    monkeypatch.setitem(_TESTS, told.metric.name, lambda of: (asked.append(of), test(of))[1])  # type: ignore[index]
    assert told.change_interval == told.change_interval
    assert told.is_beyond_chance
    assert asked == [told]
    assert told == silent
    assert pickle.loads(pickle.dumps(told)) == silent
    assert replace(told, before=56 / 70, before_n=70).is_beyond_chance is False


def test_of_stocks_and_of_what_has_nothing_before_it_nothing_is_said_of_chance() -> None:
    for name in ("active_customers", "mau", "stickiness"):
        assert figure(name, 700, 1000, n=700, before_n=1000).is_beyond_chance is None
    assert replace(figure("new_customers", 9, 90), before=None).is_beyond_chance is None
    assert figure("monthly_churn_rate", 0.5, 0.1, n=50).is_beyond_chance is None
    assert figure("new_customers", 0, 0).is_beyond_chance is None


def test_a_viewer_is_told_nothing_of_chance_where_a_figure_is_withheld() -> None:
    for found in (figure("new_customers", 90, 9), figure("monthly_churn_rate", 0.5, 0.25, n=200, before_n=8)):
        assert found.is_beyond_chance is not None
        assert withheld_headline(found).change_interval is None


@pytest.fixture
def kpi(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(messages, "language", lambda: "en")
    monkeypatch.setattr(data, "published", lambda: SimpleNamespace(inactivity_days=90))
    monkeypatch.setattr(data, "bounds", lambda: (DAY - timedelta(days=500), DAY))
    monkeypatch.setattr(data, "thin_tail", lambda: None)
    monkeypatch.setattr(headline.data_kept, "beside_figures", lambda _read: ())
    monkeypatch.setattr(headline, "_course", lambda *_: ())

    def made(found: Headline) -> Kpi:
        monkeypatch.setattr(data, "headline", lambda **_: (found,))
        return headline.kpis(Question("active_customers"))[0]

    return made


def told(card: Kpi) -> tuple[str | None, str, str]:
    """Change, tone, and the last line of the note."""
    return card.change, card.tone, str(card.note).rpartition("  \n")[2]


def test_a_card_is_coloured_only_where_chance_would_hardly_make_the_change(kpi: object) -> None:
    assert callable(kpi)
    churn = kpi(figure("monthly_churn_rate", 61 / 1011, 73 / 1000, n=1011, before_n=1000))
    assert told(churn) == ("−1.3 pp", "neutral", "within chance (95%: −3.5 pp to +0.9 pp)")
    better = kpi(figure("monthly_churn_rate", 30 / 1000, 73 / 1000, n=1000, before_n=1000))
    assert told(better)[:2] == ("−4.3 pp", "good")
    lost = kpi(figure("churned_customers", 90, 45))
    assert told(lost)[:2] == ("+100.0%", "bad")
    assert told(lost)[2].startswith("beyond chance (95%: +")
    assert told(kpi(figure("churned_customers", 64, 68)))[1] == "neutral"
    assert told(kpi(figure("quick_ratio", 0.58, 0.56, n=64, before_n=68)))[1:] == (
        "neutral",
        "within chance",
    )
    assert told(kpi(figure("quick_ratio", 2.0, 0.5, n=60, before_n=60)))[1] == "good"


def test_a_change_of_few_is_a_count_and_no_percentage(kpi: object) -> None:
    assert callable(kpi)
    assert told(kpi(figure("new_customers", 3, 9))) == ("−6", "neutral", "within chance")
    assert told(kpi(figure("new_customers", 29, 90)))[:2] == ("−61", "bad")
    assert told(kpi(figure("new_customers", 30, 30)))[:2] == ("0.0%", "neutral")
    assert told(kpi(figure("new_customers", 6, 0))) == ("+6", "good", "beyond chance")


def test_a_stock_is_neither_good_nor_bad(kpi: object) -> None:
    assert callable(kpi)
    assert told(kpi(figure("active_customers", 973, 1500)))[:2] == ("−35.1%", "neutral")


def test_what_days_not_loaded_whole_make_is_no_chance_and_neither_good_nor_bad(
    kpi: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(kpi)
    fell = figure("new_customers", 45, 90)
    monkeypatch.setattr(data, "thin_tail", lambda: ThinTail(DAY + timedelta(days=1), DAY + timedelta(days=3), 0.1, 0.5, 9))
    assert told(kpi(fell))[:2] == ("−50.0%", "bad")  # it ends before them
    monkeypatch.setattr(data, "thin_tail", lambda: ThinTail(DAY, DAY + timedelta(days=3), 0.1, 0.5, 9))
    assert told(kpi(fell)) == ("−50.0%", "neutral", "few active since 16 May 2019: may still rise")
    assert "chance" not in str(kpi(fell).note)


@pytest.mark.parametrize(("month", "before"), [(date(2019, 5, 1), 0.2), (date(2019, 4, 1), None)])
def test_a_rate_is_compared_with_that_of_the_month_before_and_of_no_earlier_one(month: date, before: float | None) -> None:
    """In a small segment nobody may be there when a month begins, which then has no rate."""
    rows = [
        {"month": first, "value": value, "n": 40, "low": 0.1, "high": 0.3, "final_on": final_on, "provisional": False}
        for first, value, final_on in ((month, 0.2, month + timedelta(days=29)), (date(2019, 6, 1), 0.1, date(2019, 6, 30)))
    ]
    answer = SimpleNamespace(metric=figure("monthly_churn_rate", 0.1, 0.2).metric, rows=lambda: rows)
    assert (found := _of_month(answer, date(2019, 7, 4))).before == before  # type: ignore[arg-type]
    assert (found.value, found.before_n) == (0.1, None if before is None else 40)
