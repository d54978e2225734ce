"""The restatement log: what was published, what it is now, since when and why, where that can be known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hand_made import facts
from page_kit import cells, whole, words

from pipeline import transform
from pipeline.marts import Question, Reader
from pipeline.marts.restatements import Point, Restatement, Told, restatements, told
from pipeline.metrics import Metric
from pipeline.warehouse.publication import Publications, Version
from streamlit_app import data_definitions, messages
from streamlit_app.auth import Role, User
from streamlit_app.components.restatement_log import reason

pytestmark = [pytest.mark.xdist_group("the bank of the pages")]

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)
END_OF_JANUARY = date(2026, 1, 31)
MODELS = {"mart_churn": {"depends_on": ["fct_days"], "written": "a"}, "fct_days": {"depends_on": [], "written": "b"}}


def version(number: int, **told_facts: Any) -> Version:
    at = datetime(2026, 3, number, 6, tzinfo=UTC)
    return facts(number, **told_facts).as_version(f"v{number:04d}", number=number, folder=Path("nowhere"), published_at=at)


def metric(name: str, unit: str) -> Metric:
    return Metric(name, {"en": name, "fr": name}, {"en": name, "fr": name}, unit, "mart_churn", "value")


REGISTRY = {
    "monthly_churn_rate": metric("monthly_churn_rate", "share"),
    "transactions": metric("transactions", "transactions"),
    "active_customers": metric("active_customers", "customers"),
}


def as_told(number: int, points: dict[tuple[str, date], Point], **more: Any) -> Told:
    rows = more.pop("rows", {JANUARY: (100, 1000.0), FEBRUARY: (50, 700.0)})
    models = more.pop("models", MODELS)
    return Told(version(number, **more), points, rows, REGISTRY, models)


def compared(*versions: Told) -> tuple[Restatement, ...]:
    by_name = {one.version.name: one for one in versions}
    return restatements([one.version for one in versions], lambda asked: by_name[asked.name])


def churn(value: float, *, provisional: bool = False) -> dict[tuple[str, date], Point]:
    return {("monthly_churn_rate", JANUARY): Point(value, provisional)}


def causes(*versions: Told) -> list[str]:
    [change] = compared(*versions)
    return [str(each.cause) for each in change.reasons]


def test_a_figure_that_stays_is_no_restatement() -> None:
    assert compared(as_told(1, churn(0.05)), as_told(2, churn(0.05))) == ()


def test_late_rows_are_told_with_their_month_and_number() -> None:
    [change] = compared(as_told(1, churn(0.05)), as_told(2, churn(0.04), rows={JANUARY: (103, 1010.0), FEBRUARY: (50, 700.0)}))
    assert (change.was.value, change.now.value, change.difference) == (0.05, 0.04, pytest.approx(-0.01))
    assert (change.before.name, change.since.name) == ("v0001", "v0002")
    [why] = change.reasons
    assert (str(why.cause), why.values) == ("more_rows", {"rows": 3, "month": JANUARY})


def test_rows_that_are_gone_and_rows_of_other_amounts_are_told_apart() -> None:
    before = as_told(1, churn(0.05))
    assert causes(before, as_told(2, churn(0.04), rows={JANUARY: (99, 990.0), FEBRUARY: (50, 700.0)})) == ["fewer_rows"]
    assert causes(before, as_told(2, churn(0.04), rows={JANUARY: (100, 999.0), FEBRUARY: (50, 700.0)})) == ["other_rows"]


def test_rows_of_a_later_month_or_of_one_that_was_not_over_are_no_reason() -> None:
    later = as_told(2, churn(0.04), rows={JANUARY: (100, 1000.0), FEBRUARY: (55, 800.0)})
    assert causes(as_told(1, churn(0.05)), later) == ["unknown"]
    cut = as_told(1, churn(0.05), as_of=date(2026, 1, 20))
    assert causes(cut, as_told(2, churn(0.04), rows={JANUARY: (190, 2000.0)})) == ["unknown"]


def test_a_provisional_figure_says_so_and_whether_it_is_final_now() -> None:
    [change] = compared(as_told(1, churn(0.05, provisional=True)), as_told(2, churn(0.04)))
    assert [(str(why.cause), why.values["final"]) for why in change.reasons] == [("provisional", True)]


def test_settings_count_for_the_figures_that_depend_on_them() -> None:
    points = churn(0.05) | {("transactions", JANUARY): Point(9.0, provisional=False)}
    moved = churn(0.06) | {("transactions", JANUARY): Point(8.0, provisional=False)}
    changes = compared(as_told(1, points), as_told(2, moved, inactivity_days=60, bank_timezone="UTC"))
    found = {change.metric.name: [str(why.cause) for why in change.reasons] for change in changes}
    assert found == {"monthly_churn_rate": ["timezone", "window"], "transactions": ["timezone"]}


def test_models_behind_the_figure_that_were_written_otherwise_are_named() -> None:
    other = {**MODELS, "fct_days": {"depends_on": [], "written": "c"}, "mart_else": {"depends_on": [], "written": "d"}}
    [change] = compared(as_told(1, churn(0.05)), as_told(2, churn(0.06), models=other))
    assert [(str(why.cause), why.values) for why in change.reasons] == [("models", {"models": ["fct_days"]})]


def test_a_model_is_written_alike_whichever_of_its_branches_a_run_takes() -> None:
    raw = "select 1 {% if neopulse.again() %} from {{ neopulse.days('a') }} {% endif %}"
    texts = {
        "again": "{% macro again() %}{{ return(var('before')) }}{% endmacro %}",
        "days": "{% macro days(name) %}{{ return(adapter.dispatch('days', 'neopulse')(name)) }}{% endmacro %}",
        "duckdb__days": "{% macro duckdb__days(name) %}{{ neopulse.deep() }}{% endmacro %}",
        "deep": "{% macro deep() %}a{% endmacro %}",
        "other": "{% macro other() %}b{% endmacro %}",
    }

    def digest(*, called: tuple[str, ...] = ("again",), **changed: str) -> str:
        own = {
            f"macro.neopulse.{name}": {"name": name, "macro_sql": text, "depends_on": {"macros": []}}
            for name, text in (texts | changed).items()
        }
        node = {"name": "m", "resource_type": "model", "config": {"schema": "marts"}, "description": "", "columns": {}}
        depends = {"nodes": [], "macros": [f"macro.neopulse.{name}" for name in called]}
        manifest = {"nodes": {"model.m": node | {"raw_code": raw, "depends_on": depends}}, "macros": own}
        return str(transform._models(manifest)[0]["written"])

    assert digest() == digest(called=("again", "days")) == digest(other="{% macro other() %}c{% endmacro %}")
    for name in ("again", "days", "duckdb__days", "deep"):
        assert digest(**{name: texts[name] + " "}) != digest(), name


def test_versions_that_do_not_say_how_their_models_were_written_claim_nothing() -> None:
    older = {name: {"depends_on": model["depends_on"]} for name, model in MODELS.items()}
    assert causes(as_told(1, churn(0.05), models=older), as_told(2, churn(0.06))) == ["unknown"]


def test_each_change_is_told_of_the_version_that_made_it_the_newest_first() -> None:
    changes = compared(as_told(1, churn(0.05)), as_told(2, churn(0.06)), as_told(3, churn(0.06)), as_told(4, churn(0.07)))
    assert [(change.since.name, change.was.value) for change in changes] == [("v0004", 0.06), ("v0002", 0.05)]


def test_of_daily_figures_the_ends_of_months_and_the_last_day_of_the_older_version_count() -> None:
    days = {
        ("active_customers", day): Point(5.0, provisional=False) for day in (date(2026, 1, 30), END_OF_JANUARY, date(2026, 2, 28))
    }
    changed = {key: Point(6.0, provisional=False) for key in days}
    assert [change.day for change in compared(as_told(1, days), as_told(2, changed))] == [END_OF_JANUARY, date(2026, 2, 28)]


def test_a_version_that_is_gone_by_now_is_passed_over() -> None:
    kept = {"v0001": as_told(1, churn(0.05)), "v0003": as_told(3, churn(0.06))}

    def read(asked: Version) -> Told:
        if asked.name not in kept:
            raise FileNotFoundError(asked.folder)
        return kept[asked.name]

    [change] = restatements([version(1), version(2), version(3)], read)
    assert (change.before.name, change.since.name) == ("v0001", "v0003")


def test_a_version_tells_what_its_reader_answers_and_no_other_countries(pages_bank: Path) -> None:
    current = Publications(pages_bank, keep=5).current()
    assert current is not None
    found, of_france = told(current), told(current, countries=("FR",))
    rows = Reader(current).answer(Question("monthly_churn_rate")).rows()
    assert [found.points["monthly_churn_rate", row["month"]].value for row in rows] == [row["value"] for row in rows]
    assert len({metric for metric, _ in found.points}) == 8
    assert sum(count for count, _ in found.rows.values()) > sum(count for count, _ in of_france.rows.values()) > 0
    assert all(model["written"] for model in found.models.values())


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_cause_has_its_words(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr(messages, "language", lambda: language)
    other = {**MODELS, "fct_days": {"depends_on": [], "written": "c"}}
    settings = {"inactivity_days": 60, "bank_timezone": "UTC", "source": "BigQuery", "activity_rule": "every type"}
    [change] = compared(
        as_told(1, churn(0.05, provisional=True)),
        as_told(2, churn(0.04), models=other, rows={JANUARY: (103, 1010.0), FEBRUARY: (50, 700.0)}, **settings),
    )
    sentences = [reason(why) for why in change.reasons]
    assert len(sentences) == 7
    for place, told_of in ((4, "60"), (5, "`fct_days`"), (6, "3")):
        assert told_of in sentences[place]


@pytest.mark.usefixtures("bank_of_the_pages")
def test_the_page_shows_what_was_and_is_with_the_reason_and_viewers_are_told_why_not(
    monkeypatch: pytest.MonkeyPatch, come_in: Callable[[User], None]
) -> None:
    late = {JANUARY: (103, 1010.0), FEBRUARY: (50, 700.0)}
    one, two = as_told(1, churn(0.05)), as_told(2, churn(0.0425), rows=late)
    found = ((two.version, one.version), compared(one, two))
    monkeypatch.setattr(data_definitions, "restatements", lambda: found)
    come_in(User("max", Role.MANAGER))
    shown = cells(whole("definitions", section="restated", lang="en"))
    assert {"5.00%", "4.25%", "−0.75 pp", "late rows: 3 more of Jan 2026"} <= set(shown)
    come_in(User("vera", Role.VIEWER))
    page = whole("definitions", section="restated", lang="en")
    assert cells(page) == []
    assert "may be one customer" in words(page)
