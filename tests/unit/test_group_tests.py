"""Whether groups differ: the log-rank test and the difference of shares, against figures worked out elsewhere; and in words."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from page_kit import HARMLESS, HOSTILE
from test_charts import FEBRUARY, JANUARY, answer, row

from pipeline.marts import Question, survival
from pipeline.marts.changes import PARTS
from pipeline.marts.survival import Compared
from pipeline.statistics import LogRank, chi_square_tail, difference_of_shares, kaplan_meier, log_rank
from streamlit_app import figures, messages
from streamlit_app.components import group_tests, survival_table, what_changed


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")


def test_the_difference_of_two_shares_has_newcombes_interval() -> None:
    """The first example of Newcombe (1998), table II, method 10: 56 of 70 against 48 of 80."""
    difference, low, high = difference_of_shares((56, 48), (70, 80))
    assert difference == pytest.approx(0.2)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)
    assert np.isnan(difference_of_shares((0, 1), (0, 10))).all()


@pytest.mark.parametrize(
    ("statistic", "degrees", "tail"),
    [(3.841458820694124, 1, 0.05), (5.991464547107979, 2, 0.05), (7.814727903251179, 3, 0.05), (11.070497693516351, 5, 0.05)],
)
def test_the_tail_of_chi_square_is_that_of_the_tables(statistic: float, degrees: int, tail: float) -> None:
    assert chi_square_tail(statistic, degrees) == pytest.approx(tail, abs=1e-12)
    assert chi_square_tail(0.0, degrees) == 1.0


def test_the_log_rank_test_by_hand() -> None:
    """Two groups of two: 1 and 3 days in one, 2 and 4 in the other, all with the event.

    Expected of the first: 2/4 + 1/3 + 1/2 = 4/3 of its 2 events; variance 1/4 + 2/9 + 1/4 = 13/18; so (2/3)^2 / (13/18) = 8/13.
    """
    test = log_rank([([1, 3], [1, 1], [0, 0]), ([2, 4], [1, 1], [0, 0])])
    assert test is not None
    assert test.statistic == pytest.approx(8 / 13)
    assert test.degrees_of_freedom == 1


def test_nothing_can_be_told_of_one_group_or_without_an_event() -> None:
    assert log_rank([([1], [1], [0])]) is None
    assert log_rank([([1, 2], [0, 0], [3, 3]), ([2], [0], [4])]) is None


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_group_that_nobody_is_followed_of_to_an_event_changes_nothing(place: int) -> None:
    """Of two As and three Bs an A leaves on day 5, of one and three a B on day 6; the third group is followed for two days."""
    groups = [([5, 9], [1, 0], [0, 1]), ([6, 12], [1, 0], [0, 2])]
    test = log_rank([*groups[:place], ([2], [0], [40]), *groups[place:]])
    assert test is not None
    risk = [2 / 5, 1 / 4]
    variance = sum(share * (1 - share) for share in risk)
    assert test.statistic == pytest.approx((1 - sum(risk)) ** 2 / variance)
    assert (test.degrees_of_freedom, test.of) == (1, tuple(one for one in range(3) if one != place))
    assert test.p_value == log_rank(groups).p_value  # type: ignore[union-attr]


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_the_log_rank_test_is_that_of_lifelines(groups: int) -> None:
    statistics = pytest.importorskip("lifelines.statistics", reason="the package lifelines is not installed")
    random = np.random.default_rng(groups)
    days = random.integers(1, 60, size=120 * groups)  # many ties
    happened = random.random(days.size) < 0.6
    group = random.integers(0, groups, size=days.size)
    theirs = statistics.multivariate_logrank_test(days, group, happened)
    ours = log_rank([(days[group == one], happened[group == one], ~happened[group == one]) for one in range(groups)])
    assert ours is not None
    assert ours.statistic == pytest.approx(theirs.test_statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-9)


@pytest.mark.parametrize(("customers", "within"), [(40, 60), (300, 90), (60, 400)])
def test_the_median_and_its_interval_are_those_of_lifelines(customers: int, within: int) -> None:
    lifelines = pytest.importorskip("lifelines", reason="the package lifelines is not installed")
    from lifelines.utils import median_survival_times

    random = np.random.default_rng(customers)
    days, happened = random.integers(1, within, size=customers), random.random(customers) < 0.6
    times = np.arange(1, within)
    events, censored = (np.bincount(days[which], minlength=within)[1:] for which in (happened, ~happened))
    ours = kaplan_meier(times, events, censored)
    table = pa.table({"tenure_days": ours.times, "value": ours.survival, "low": ours.low, "high": ours.high, "n": ours.at_risk})
    fitter = lifelines.KaplanMeierFitter().fit(days, happened)
    (low, high), median = median_survival_times(fitter.confidence_interval_).to_numpy()[0], fitter.median_survival_time_
    assert figures.median_time(table) == tuple(None if np.isinf(end) else end for end in (median, low, high))
    followed = figures.at_risk(table, [0, within // 3, within // 2, within])
    assert followed == {day: (days >= day).sum() for day in followed}
    assert set(followed) <= set(days[happened])
    assert len(followed) == 3


def test_a_curve_that_comes_down_to_nobody_has_no_interval_there_and_no_upper_end_of_its_median_by_it() -> None:
    """Greenwood divides by those still there; R's survfit(conf.type = "log-log") says NA for both too, and of three of four:

    0.75 ** exp(1.96 * sqrt(1 / 12) / -log(0.75)) = 0.1279 and so on; "all are gone" of four people is no 0 % to 0 %.
    """
    ours = kaplan_meier([5, 6, 7, 8], [1, 1, 1, 1], [0, 0, 0, 0])
    assert ours.survival[-1] == 0
    assert [round(end, 4) for end in ours.low[:3]] == [0.1279, 0.0578, 0.0089]
    assert [round(end, 4) for end in ours.high[:3]] == [0.9605, 0.8449, 0.6653]
    assert np.isnan([ours.low[3], ours.high[3]]).all()
    columns = {name: pa.array(ends, from_pandas=True) for name, ends in (("low", ours.low), ("high", ours.high))}
    table = pa.table({"tenure_days": ours.times, "value": ours.survival, **columns, "n": ours.at_risk})
    assert figures.median_time(table) == (6, 5, None)


def curve(*points: tuple[int, float | None, float | None, float | None, int | None]) -> pa.Table:
    return pa.table(dict(zip(("tenure_days", "value", "low", "high", "n"), map(list, zip(*points, strict=True)), strict=True)))


def test_the_median_in_words_is_open_where_the_curve_or_its_interval_stays_above_a_half() -> None:
    begin = (0, 1.0, None, None, 1203)
    within = curve(begin, (100, 0.6, 0.5, 0.7, 800), (200, 0.5, 0.4, 0.6, 400), (300, 0.4, 0.3, 0.5, 50))
    assert survival_table.row("Standard", within) == {
        "group": "Standard",
        "customers": "1,203",
        "median": "200 days",
        "interval": "100–300 days",
        "followed": "day 100: 800 · day 200: 400",
    }
    above = survival_table.row("Premium", curve(begin, (100, 0.6, 0.45, 0.7, 80)))
    assert (above["median"], above["interval"], above["followed"]) == ("not reached", "100 days or more", "day 100: 80")
    level = survival_table.row("Metal", curve(begin, (100, 0.9, 0.8, 0.95, 80)))
    assert (level["median"], level["interval"]) == ("not reached", "–")


def test_a_median_of_fewer_than_30_is_grey_and_says_so() -> None:
    def of(customers: int) -> dict[str, str]:
        return survival_table.row("Metal", curve((0, 1.0, None, None, customers), (100, 0.5, 0.4, 0.6, 12)))

    assert (of(29)["customers"], of(29)["median"]) == (":gray[29, fewer than 30]", ":gray[100 days]")
    assert (of(30)["customers"], of(30)["median"]) == ("30", "100 days")


def test_a_median_that_may_lie_on_a_withheld_day_is_withheld() -> None:
    """A viewer's curve has no point of fewer than 10 customers; that it stays above a half cannot be told without these."""
    told, begin = messages.t("common.withheld"), (0, 1.0, None, None, 40)
    few = survival_table.row("Few", curve((0, None, None, None, None)))
    assert (few["customers"], few["median"], few["interval"]) == ("–", told, told)
    hidden_after = survival_table.row("A", curve(begin, (100, 0.5, 0.4, 0.6, 12), (200, None, None, None, None)))
    assert (hidden_after["median"], hidden_after["interval"]) == ("100 days", told)
    hidden_before = curve(begin, (100, None, None, None, None), (200, 0.5, 0.4, 0.6, 12))
    assert figures.median_time(hidden_before) == (figures.WITHHELD,) * 3
    crossed_unseen = survival_table.row("B", curve(begin, (100, 0.6, 0.45, 0.7, 12), (200, None, None, None, None)))
    assert (crossed_unseen["median"], crossed_unseen["interval"]) == (told, told)


def test_a_group_that_the_bank_named_is_a_text_in_every_table() -> None:
    begin = (0, 1.0, None, None, 1203)
    assert survival_table.row(HOSTILE, curve(begin))["group"] == HARMLESS
    assert what_changed._row({"series": HOSTILE, "value": 0} | dict.fromkeys(PARTS, 0))["group"] == HARMLESS


def rates(standard: tuple[int, int], premium: tuple[int, int], **more: Any) -> str:
    rows = [
        row(JANUARY, left / n, n=n, low=0.01, high=0.02, plan_tier=tier, churned=left) | more
        for tier, (left, n) in (("standard", standard), ("premium", premium))
    ]
    return group_tests.tiers_in_words(answer(*rows, by="plan_tier"))


def test_premium_against_standard_says_the_rates_their_difference_and_whether_chance_could_make_it() -> None:
    told = rates((48, 80), (56, 70))
    assert told.startswith("In Jan 2019, **80.0%** (95%: 1.0–2.0%, n 70) of the premium customers left")
    assert "Difference: **+20.0 pp** (95%: +5.2 pp to +33.4 pp). A larger share of the premium customers leaves" in told
    assert "A smaller share of the premium customers leaves" in rates((500, 1000), (300, 1000))
    assert "Chance alone could make such a difference." in rates((10, 100), (9, 100))
    assert "fewer than 30 customers" in rates((10, 100), (0, 29))


def test_a_month_without_one_of_the_two_or_withheld_is_not_compared() -> None:
    assert rates((1, 10), (1, 10), n=None) == ""
    assert group_tests.tiers_in_words(answer(row(JANUARY, 0.1, n=50, plan_tier="standard", churned=5), by="plan_tier")) == ""
    provisional = [row(FEBRUARY, 0.1, n=50, plan_tier=tier, churned=5) for tier in ("standard", "premium")]
    told = group_tests.tiers_in_words(answer(*provisional, by="plan_tier"))
    assert told == "No complete, final month lies in this range, so premium and standard are not compared."


def test_the_log_rank_test_in_words_names_its_groups_and_who_was_left_out() -> None:
    told = group_tests.survival_in_words(Compared(LogRank(8.1, 1, 0.0044), ("standard", "premium"), ("unknown",)), "plan_tier")
    assert told.startswith("Log-rank test between Standard, Premium: chi-square 8.1, degrees of freedom 1, p = 0.004. ")
    assert told.endswith("Left out, with fewer than 30 customers: unknown.")
    assert "p < 0.001" in group_tests.survival_in_words(Compared(LogRank(50.0, 1, 1e-12), ("standard",), ()), "plan_tier")
    assert "No log-rank test" in group_tests.survival_in_words(Compared(None, ("standard",), ()), "plan_tier")
    young = Compared(LogRank(8.1, 1, 0.0044), ("standard", "premium"), (), too_young=("unknown",))
    assert group_tests.survival_in_words(young, "plan_tier").endswith("followed to a day on which somebody left: unknown.")


def test_the_groups_of_a_split_answer_come_largest_first() -> None:
    given = answer(row(JANUARY, 0.1, n=5, country="FR"), row(JANUARY, 0.1, n=50, country="GB"), by="country")
    assert figures.groups_of(given) == ["GB", "FR"]
    assert isinstance(given.table, pa.Table)


@pytest.mark.parametrize("metric", ["survival", "time_to_first_transaction"])
@pytest.mark.parametrize("by", [None, "plan"])
def test_a_segment_without_anybody_has_no_curve(metric: str, by: str | None) -> None:
    counted = {"plan": pa.string(), "days": pa.int64(), "events": pa.int64(), "censored": pa.int64(), "last_start": pa.date32()}
    nothing = SimpleNamespace(query=lambda _sql, _parameters: pa.schema(list(counted.items())).empty_table())
    asked = Question(metric, where=(("country", "FR"),), by=by)
    found = getattr(survival, metric)(nothing, asked, window=90, as_of=date(2019, 5, 16))
    assert found.num_rows == 0
    assert found.column_names[:2] == (["tenure_days", "plan"] if by else ["tenure_days", "value"])
