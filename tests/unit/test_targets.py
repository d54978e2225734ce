"""Targets: which one applies to what is on the screen, how far it is, who may set it, and the line that it has on a chart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest
from page_kit import press, whole

from pipeline.errors import ConfigurationError
from pipeline.marts import ConfinedError, Question
from pipeline.runs.targets import Target
from streamlit_app import actions_targets, charts, data, data_kept, messages, targets
from streamlit_app.auth import Role, User
from streamlit_app.charts import marked
from streamlit_app.components import on_the_chart, target_words

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

ADMIN = User("ada", Role.ADMIN)
FRANCE = (("country", "FR"),)
ACTIVE = Target("active_customers", 100.0, (), 90)
CHURN = Target("monthly_churn_rate", 0.04, FRANCE, 90)


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch, come_in: Callable[[User], None]) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    come_in(ADMIN)
    data_kept.forget()


def test_a_target_applies_to_its_own_segment_and_window_and_to_no_other() -> None:
    metal_in_france = (("plan", "METAL"), *FRANCE)
    known = [ACTIVE, replace(ACTIVE, window=60, value=80.0), replace(ACTIVE, where=metal_in_france, value=5.0)]

    def value(**asked: object) -> float | None:
        found = targets.of(known, "active_customers", Question("mau", **asked), published_window=90)  # type: ignore[arg-type]
        return None if found is None else found.value

    assert value() == value(window=90) == 100
    assert value(window=60) == 80
    assert value(window=61) is None
    assert value(where=FRANCE) is None
    assert value(where=metal_in_france) == value(where=metal_in_france[::-1]) == 5
    two = [replace(ACTIVE, where=(("country", "GB"), *FRANCE), value=7.0)]
    of_two = Question("active_customers", where=(*FRANCE, ("country", "GB")))
    (found,) = [targets.of(two, "active_customers", of_two, published_window=90)]
    assert found is not None
    assert target_words.segment(found) == "United Kingdom or France · N = 90 days"
    assert found.content["segment"] == {"country": "GB|FR"}
    assert targets.of(two, "active_customers", replace(of_two, where=FRANCE), published_window=90) is None
    assert targets.of([Target("mau", 9.0)], "mau", Question("mau", window=17), published_window=90) is not None


@pytest.mark.parametrize(
    ("target", "unit", "value", "told"),
    [
        (ACTIVE, "customers", 130.0, ":material/check_circle: Target 100 or more: **reached**, 30 to spare"),
        (ACTIVE, "customers", 100.0, ":material/check_circle: Target 100 or more: **reached**, 0 to spare"),
        (ACTIVE, "customers", 99.0, ":material/flag: Target 100 or more: **missed** by 1"),
        (CHURN, "share", 0.031, ":material/check_circle: Target 4.0% or less: **reached**, 0.9 pp to spare"),
        (CHURN, "share", 0.055, ":material/flag: Target 4.0% or less: **missed** by 1.5 pp"),
        (Target("quick_ratio", 1.2), "ratio", 0.9, ":material/flag: Target 1.20 or more: **missed** by 0.30"),
        (ACTIVE, "customers", None, ":material/flag: Target 100 or more"),
    ],
)
def test_the_distance_is_told_in_the_direction_that_is_good_for_the_metric(
    target: Target, unit: str, value: float | None, told: str
) -> None:
    assert target_words.against(target, unit, value) == told


def test_who_sees_some_countries_is_measured_by_their_targets_and_never_by_those_of_everybody(
    come_in: Callable[[User], None],
) -> None:
    of_germany, of_both = (("country", "DE"),), (("country", "DE"), *FRANCE)
    for target in (ACTIVE, CHURN, replace(CHURN, where=of_germany), replace(CHURN, where=of_both)):
        actions_targets.set_target(target)
    assert len(data_kept.targets()) == 4
    come_in(User("max", Role.MANAGER, frozenset({"FR"})))
    assert [target.where for target in data_kept.targets()] == [FRANCE]
    come_in(User("max", Role.MANAGER, frozenset({"FR", "DE"})))
    assert sorted(target.where for target in data_kept.targets()) == sorted([FRANCE, of_germany, of_both])


def test_a_target_is_set_for_what_is_on_the_screen_and_audited_with_the_one_before() -> None:
    page = whole("overview", country="FR")
    page.selectbox(key="target_metric").set_value("monthly_churn_rate").run()
    page.number_input(key="target_value_monthly_churn_rate").set_value(4.0).run()
    page = press(page, "target_save")
    (target,) = data_kept.targets()
    assert (target.metric, target.value, target.where, target.window, target.set_by) == (
        "monthly_churn_rate",
        0.04,
        FRANCE,
        90,
        "ada",
    )
    cards = [caption.value for caption in page.caption if "Target 4.0% or less" in caption.value]
    assert len(cards) == 1
    assert "**reached**" in cards[0] or "**missed**" in cards[0]

    page = press(page, f"target_remove_monthly_churn_rate_{FRANCE}_90")
    assert data_kept.targets() == ()
    removed, was_set = data.run_store().acts(limit=2)
    assert (was_set.who, was_set.action, was_set.before) == ("ada", "set_target", None)
    assert was_set.after == {"value": 0.04, "segment": {"country": "FR"}, "window": 90}
    assert (removed.action, removed.before) == ("remove_target", was_set.after)


def test_who_may_not_set_a_target_has_no_form_for_it_and_reads_it(come_in: Callable[[User], None]) -> None:
    actions_targets.set_target(replace(ACTIVE, value=1.0))
    come_in(User("vera", Role.VIEWER))
    page = whole("overview")
    assert "target_save" not in {button.key for button in page.button}
    assert any("Target 1 or more: **reached**" in caption.value for caption in page.caption)
    come_in(User("max", Role.ADMIN, frozenset({"FR"})))
    with pytest.raises(ConfinedError):
        actions_targets.set_target(ACTIVE)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(ACTIVE, metric="survival"),
        replace(ACTIVE, where=(("shoe_size", "44"),)),
        replace(ACTIVE, value=float("nan")),
        replace(ACTIVE, value=-1.0),
        replace(ACTIVE, where=tuple(("country", f"C{number}") for number in range(22))),  # more than PostgreSQL's column takes
    ],
)
def test_what_cannot_be_a_target_is_refused(wrong: Target) -> None:
    with pytest.raises(ConfigurationError):
        actions_targets.set_target(wrong)
    assert data_kept.targets() == ()


def test_a_line_stands_on_the_chart_of_the_metric_for_its_segment_alone() -> None:
    actions_targets.set_target(replace(CHURN, where=()))
    actions_targets.set_target(replace(ACTIVE, metric="new_customers"))

    def lines(question: Question, key: str = "card") -> list[str]:
        answer = data.answer(question)
        found = on_the_chart.of(charts.SHARE_BY_SERIES, answer, answer.table, key=key)
        drawn = found.drawn(charts.SHARE_BY_SERIES, answer.table)[1].get("datasets", {}).get(marked.TARGETS)
        return [] if drawn is None else drawn["label"].to_pylist()

    assert lines(Question("monthly_churn_rate")) == ["Target: 4.0% or less"]
    assert lines(Question("monthly_churn_rate", by="plan_tier")) == ["Target: 4.0% or less"]
    assert lines(Question("monthly_churn_rate", where=FRANCE)) == []
    assert lines(Question("monthly_churn_rate", kind="effective")) == []
    assert lines(Question("new_customers", grain="month"), key="growth") == []  # 28 days are no point of this chart


def test_a_target_far_above_what_is_drawn_is_said_in_words_and_does_not_press_the_figures_flat() -> None:
    points = pa.table({"date": [date(2019, 1, 1), date(2019, 1, 2)], "value": [40.0, 50.0]})
    given = replace(data.answer(Question("active_customers")), table=points)

    def told(value: float) -> tuple[list[float], list[float]]:
        actions_targets.set_target(replace(ACTIVE, value=value))
        found = on_the_chart.of(charts.COUNT_OVER_TIME, given, points, key="active")
        return [target.value for target in found.targets], [target.value for target in found.beyond]

    assert told(150.0) == ([150.0], [])  # three times the largest
    assert told(151.0) == ([], [151.0])
    page = whole("activity")
    assert all("Too far above" not in caption.value for caption in page.caption)
    actions_targets.set_target(replace(ACTIVE, value=1e14))
    (said,) = [caption.value for caption in whole("activity").caption if "Too far above" in caption.value]
    assert said == "Too far above the figures to be drawn: Target: 100,000,000,000,000 or more"


def test_without_anything_kept_the_spec_is_the_constant_one() -> None:
    table = pa.table({"date": [date(2019, 1, 1)]})
    drawn, spec = on_the_chart.of(charts.SHARE_OVER_TIME, table, table, key="x").drawn(charts.SHARE_OVER_TIME, table)
    assert (drawn, spec) == (table, charts.SHARE_OVER_TIME.spec("en", messages.text))
    assert spec is charts.SHARE_OVER_TIME.spec("en", messages.text)
