"""Notes on days: on which charts they stand, that they stay text, who writes and removes them, and what the audit keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import altair as alt
import pyarrow as pa
import pytest
import yaml
from altair.utils.schemapi import validate_jsonschema
from page_kit import HOSTILE, SECONDS, failed, press, whole, words
from streamlit.testing.v1 import AppTest

from pipeline.errors import ConfigurationError, PermanentError
from pipeline.marts import Question
from streamlit_app import actions_notes, charts, data, data_kept, formats, messages, stores
from streamlit_app.auth import Role, RoleError, User
from streamlit_app.charts import marked, marks
from streamlit_app.components import notes, on_the_chart
from streamlit_app.data_kept import Annotation

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

MANAGER = User("grace", Role.MANAGER)
WRITTEN = datetime(2026, 3, 2, tzinfo=UTC)
COLOUR_WORDS = {"primary", "blue", "orange", "gray"}


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch, come_in: Callable[[User], None]) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    come_in(MANAGER)
    data_kept.forget()


def acts() -> list[Any]:
    return stores.run_store(data.in_force().run_store_url).acts()


def note(day: date, text: str = "a note", metric: str | None = None) -> Annotation:
    return Annotation(1, day, text, metric, "ada", WRITTEN)


# --- on the charts ----------------------------------------------------------------------------------------------------


def nodes(content: Any) -> list[dict[str, Any]]:
    own = [content] if isinstance(content, dict) else []
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return own + [node for part in inner for node in nodes(part)]


def test_every_chart_over_calendar_time_takes_notes_and_no_other_one() -> None:
    over_time = {
        chart.name
        for chart in charts.ALL
        if any(isinstance(node.get("x"), dict) and node["x"].get("type") == "temporal" for node in nodes(spec(chart)))
    }
    assert over_time == set(marked.OVER_TIME)


def spec(chart: charts.Chart, *, notes: bool = False, target: bool = False) -> Any:
    return marked.spec(chart, "en", messages.text, notes=notes, target=target)


@pytest.mark.parametrize("chart", [each for each in charts.ALL if each.name in marked.OVER_TIME], ids=lambda each: each.name)
def test_a_chart_with_notes_and_a_target_is_valid_and_all_of_the_chart_is_still_there(chart: charts.Chart) -> None:
    built, plain = spec(chart, notes=True, target=True), spec(chart)
    validate_jsonschema(dict(built) | {"data": {"name": "drawn"}}, alt.load_schema())
    assert {node["data"]["name"] for node in nodes(built) if "data" in node} == {marked.NOTES, marked.TARGETS}
    inner, *added = built["layer"]
    outside = {name: part for name, part in built.items() if name != "layer"}
    assert inner | outside == plain  # what its layers share is shared with no other one
    assert set(outside) <= set(marked.OUTSIDE)
    for layer in added:
        if layer["mark"]["type"] == "text":
            assert layer["mark"]["color"]["expr"] == marks.PAGE_INK
        else:
            assert layer["encoding"]["color"]["value"] in COLOUR_WORDS
    named = set(re.findall(r"'field': '(\w+)'", str(added)))
    assert named == {*marked.NOTE_COLUMNS, *marked.TARGET_COLUMNS}
    assert spec(chart, notes=True) is spec(chart, notes=True)  # built once


def test_notes_are_on_the_chart_that_draws_their_day_and_on_those_of_their_metric() -> None:
    for metric in (None, "mau", "churned_customers"):
        actions_notes.add_note(date(2019, 3, 10), f"about {metric}", metric=metric)
    actions_notes.add_note(date(2012, 1, 1), "before the bank began")

    def texts(question: Question, chart: charts.Chart, key: str = "card") -> list[str]:
        answer = data.answer(question)
        return [each.text for each in on_the_chart.of(chart, answer, answer.table, key=key).notes]

    assert texts(Question("mau"), charts.COUNT_OVER_TIME) == ["about None", "about mau"]
    assert texts(Question("dau"), charts.COUNT_BY_SERIES, "rolling") == ["about None", "about mau"]
    assert texts(Question("new_customers", grain="month"), charts.GROWTH, "growth") == ["about None", "about churned_customers"]
    assert texts(Question("transactions", start=date(2019, 4, 1)), charts.COUNT_OVER_TIME) == []
    assert texts(Question("survival"), charts.SURVIVAL) == []


def test_the_last_point_of_a_month_carries_the_notes_of_its_whole_month() -> None:
    months = pa.chunked_array([pa.array([date(2019, 1, 1), date(2019, 2, 1)])])
    days = (date(2018, 12, 31), date(2019, 1, 1), date(2019, 2, 27), date(2019, 3, 20))
    found = on_the_chart.within([note(day) for day in days], months)
    assert [each.day for each in found] == [date(2019, 1, 1), date(2019, 2, 27)]


def test_two_notes_of_one_day_are_one_mark_with_both_texts() -> None:
    day = date(2019, 1, 1)
    found = on_the_chart.OnTheChart(notes=(note(day, "first"), note(day, "second")))
    table = pa.table({"date": [day]})
    alone, spec = found.drawn(charts.COUNT_OVER_TIME, table)
    assert spec["datasets"][marked.NOTES].to_pylist() == [{"day": day, "note": "first (ada) · second (ada)"}]
    assert (alone, spec["data"], spec["datasets"][marks.DRAWN]) == (None, {"name": marks.DRAWN}, table)


# --- as people use them -----------------------------------------------------------------------------------------------


def whole_app() -> AppTest:
    page = AppTest.from_file(str(Path(data.__file__).parent / "app.py"), default_timeout=SECONDS).run()
    assert failed(page) == []
    return page


def test_a_note_is_written_read_as_text_and_removed_by_its_author() -> None:
    page = whole_app()
    page.date_input(key="note_day").set_value(date(2019, 3, 10))
    page.text_input(key="note_text").set_value(HOSTILE)
    page = press(page, "note_add")
    assert failed(page) == []
    (kept,) = data_kept.notes()
    assert (kept.day, kept.text, kept.metric, kept.author) == (date(2019, 3, 10), HOSTILE, None, "grace")
    assert HOSTILE not in words(page)
    beneath = f"10 Mar 2019 · {formats.plain(HOSTILE)} · grace"
    assert sum(caption.value == beneath for caption in page.caption) == 3  # growth, quick ratio, active customers

    page = press(page, "note_remove")
    assert data_kept.notes() == ()
    removed, added = acts()[:2]
    assert (added.who, added.action, added.after) == (
        "grace",
        "add_note",
        {"day": "2019-03-10", "text": HOSTILE, "metric": None, "author": "grace"},
    )
    assert (removed.action, removed.before) == ("remove_note", added.after)


@pytest.mark.parametrize("as_of", ["1998-06-30", "1990-01-01"])
def test_a_bank_of_the_last_century_can_take_notes_on_its_days(as_of: str) -> None:
    def draw(as_of: str) -> None:
        from dataclasses import replace
        from datetime import date

        from streamlit_app import data
        from streamlit_app.auth import Role, User
        from streamlit_app.components import notes

        notes.show(User("grace", Role.MANAGER), replace(data.published(), as_of=date.fromisoformat(as_of)))

    page = AppTest.from_function(draw, args=(as_of,), default_timeout=SECONDS).run()
    assert failed(page) == []
    assert page.date_input(key="note_day").value == date.fromisoformat(as_of)


def test_the_first_day_that_takes_a_note_is_the_first_that_a_figure_can_be_of() -> None:
    project = yaml.safe_load((Path(data.__file__).parents[1] / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))
    assert date.fromisoformat(project["vars"]["earliest_bank_day"]) == notes.FIRST_DAY


def test_many_notes_are_folded_and_all_of_them_are_there() -> None:
    for day in (1, 2, 3):
        actions_notes.add_note(date(2019, 3, day), f"note {day}", metric="mau")
    page = whole("activity")
    folded = [expander for expander in page.expander if expander.label == "Notes: 3"]
    assert len(folded) == 1  # mau's chart alone
    assert [f"note {day}" in folded[0].caption[0].value for day in (1, 2, 3)] == [True] * 3


def test_a_note_is_removed_by_its_author_or_an_admin_and_by_nobody_else(come_in: Callable[[User], None]) -> None:
    for _ in range(2):
        actions_notes.add_note(date(2019, 3, 1), "a note")
    first, second = (each.id for each in data_kept.notes())
    come_in(User("max", Role.MANAGER))
    with pytest.raises(RoleError):
        actions_notes.remove_note(first)
    come_in(User("grace", Role.VIEWER))  # no manager any more
    with pytest.raises(RoleError):
        actions_notes.remove_note(first)
    come_in(User("ada", Role.ADMIN))
    actions_notes.remove_note(first)
    come_in(MANAGER)
    actions_notes.remove_note(second)
    assert data_kept.notes() == ()
    with pytest.raises(PermanentError):
        actions_notes.remove_note(second)


def test_a_viewer_reads_notes_and_has_no_form(come_in: Callable[[User], None]) -> None:
    actions_notes.add_note(date(2019, 3, 10), "a new card")
    come_in(User("vera", Role.VIEWER))
    page = whole_app()
    assert "note_add" not in {button.key for button in page.button}
    assert any("a new card" in markdown.value for markdown in page.markdown)


def test_an_empty_note_is_not_written_and_one_about_nothing_or_too_long_is_refused() -> None:
    assert actions_notes.add_note(date(2019, 3, 1), " \n ").answer == "note_empty"
    for text, metric in (("x" * 301, None), ("a note", "survival")):
        with pytest.raises(ConfigurationError):
            actions_notes.add_note(date(2019, 3, 1), text, metric=metric)
    assert data_kept.notes() == ()
    assert set(actions_notes.METRICS) <= set(data.registry())


def test_a_note_forges_no_author_by_turning_the_direction_of_what_follows() -> None:
    assert actions_notes.add_note(date(2019, 3, 1), "Card\u202e outage\u200b \u2066elpmaxe.knab@ada").accepted
    (note,) = data_kept.notes()
    assert note.text == "Card outage elpmaxe.knab@ada"
    assert formats.plain("a\u202eb") == "ab"
    assert ":material/" not in formats.literal(":material/delete:")
    assert formats.literal("\U0001f468\u200d\U0001f469") == "`\U0001f468\u200d\U0001f469`"  # what joins emoji stays
