"""Whether the list of early warnings helps, as the page Churn says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from page_kit import whole, words

from pipeline.marts import Question
from pipeline.statistics import wilson
from streamlit_app import data, messages
from streamlit_app.auth import Role, User
from streamlit_app.components import early_warnings, hold_out

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

LAST = date(2019, 1, 20)


@pytest.fixture(autouse=True)
def _in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")


def judged(*counted: tuple[int, int, int, int], every: int = 30) -> list[dict[str, Any]]:
    """Rows of the last day and of days before it: held out and of those silent, others and of those silent."""
    return [
        {"date": LAST - timedelta(days=every * place), "listed": listed, "n": n, "silent": silent}
        for place, (held_out, silent_held_out, others, silent_others) in enumerate(counted)
        for listed, n, silent in (("held_out", held_out, silent_held_out), ("to_be_called", others, silent_others))
        if n
    ]


def test_days_whose_silences_overlap_are_counted_once() -> None:
    days = [LAST - timedelta(days=30 * place) for place in range(8)]
    assert sorted(hold_out.apart(days, 90)) == [days[6], days[3], days[0]]
    assert sorted(hold_out.apart(days, 91)) == [days[4], days[0]]
    assert hold_out.apart(days, 30) == set(days)
    assert hold_out.apart([], 30) == set()


def test_shares_are_of_all_days_that_count_and_their_difference_has_its_interval() -> None:
    # the second and third day overlap with the first and count nothing
    told = hold_out.in_words(judged((40, 24, 400, 160), (999, 999, 999, 0), (999, 0, 999, 999), (60, 36, 600, 240)), 90)
    assert told.startswith("On 2 days in all: of the hold-out customers who were on the list (50% or more), **60.0%**")
    assert "n 100) fell silent; of the others, **40.0%**" in told
    assert "n 1,000)" in told
    # by hand, of Wilson's 0.5020-0.6906 and 0.3701-0.4307: -0.2 - hypot(0.0299, 0.0906) and -0.2 + hypot(0.0307, 0.0980)
    assert "**\u221220.0 pp** (95%: \u221229.5 pp to \u22129.7 pp)" in told
    assert told.endswith("The others fell silent less often; chance alone would hardly make such a difference.")


@pytest.mark.parametrize(
    ("counted", "verdict"),
    [
        ((100, 40, 1000, 600), "more often; chance alone would hardly"),
        ((100, 50, 1000, 480), "Chance alone could make such a difference."),
        ((29, 29, 1000, 0), "fewer than 30 times, too few to tell."),
        ((100, 90, 29, 0), "fewer than 30 times, too few to tell."),
    ],
)
def test_what_it_says_depends_on_the_interval_and_on_how_many_there_were(
    counted: tuple[int, int, int, int], verdict: str
) -> None:
    assert verdict in hold_out.in_words(judged(counted), 90)


def test_days_that_count_on_which_nobody_was_held_out_have_no_share_and_no_difference() -> None:
    told = hold_out.in_words(judged((0, 0, 50, 20), (40, 20, 50, 20)), 90)
    assert "who were on the list (50% or more), none was on it, so no share fell silent" in told
    assert "Difference" not in told
    assert told.endswith("too few to tell.")


def answering(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> None:
    """Let the page find these rows of the hold-out group."""
    answered = data.answer

    def answer(question: Question) -> data.Answer:
        found = answered(question)
        if question.kind != "hold_out":
            return found
        low, high = wilson([row["silent"] for row in rows], [row["n"] for row in rows])
        ends = [{"value": row["silent"] / row["n"], "low": low[place], "high": high[place]} for place, row in enumerate(rows)]
        told = {"final_on": LAST, "provisional": False, "expected": 0.6}
        full = [{**row, **end, **told} for row, end in zip(rows, ends, strict=True)]
        return replace(found, table=pa.Table.from_pylist(full))

    monkeypatch.setattr(data, "answer", answer)


def test_the_page_has_the_sentence_and_a_line_of_each_group(
    come_in: Callable[[User], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    come_in(User("max", Role.MANAGER))
    others = len(whole("churn").get("vega_lite_chart"))
    answering(monkeypatch, judged((40, 24, 400, 160), (50, 25, 300, 150), every=90))
    shown: list[data.Answer] = []
    show = hold_out.chart.show
    monkeypatch.setattr(hold_out.chart, "show", lambda what, answer, **more: (shown.append(answer), show(what, answer, **more)))
    page = whole("churn")
    assert "Whether calling them helps" in words(page)
    assert "**54.4%**" in words(page)  # 49 of 90
    assert "**44.3%**" in words(page)  # 310 of 700
    assert len(page.get("vega_lite_chart")) == others + 1
    drawn = [(row["series"], row["n"], row["date"]) for row in shown[-1].rows()]
    assert drawn == [
        ("Hold-out group", 40, LAST),
        ("The others", 400, LAST),
        ("Hold-out group", 50, LAST - timedelta(days=90)),
        ("The others", 300, LAST - timedelta(days=90)),
    ]


def test_a_bank_that_holds_nobody_out_is_told_nothing_of_it(
    come_in: Callable[[User], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    come_in(User("max", Role.MANAGER))
    answering(monkeypatch, judged((0, 0, 400, 160)))
    assert "Whether calling them helps" not in words(whole("churn"))


def test_a_list_from_before_there_was_a_hold_out_group_leaves_the_column_empty(come_in: Callable[[User], None]) -> None:
    come_in(User("max", Role.MANAGER))
    table = data.early_warnings(limit=5).table
    before = early_warnings._complete(table.drop_columns(["is_held_out"]))
    assert before["is_held_out"].to_pylist() == [None] * before.num_rows
    assert early_warnings._complete(table) is table
