"""One customer's page: the state in words at the edges of the inactivity window, and the stretches as they are drawn."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from streamlit_app import data, messages
from streamlit_app.components.customer_words import longest_pauses, rhythm
from streamlit_app.data import Customer
from streamlit_app.views import customers

AS_OF = date(2019, 5, 15)


@pytest.fixture(autouse=True)
def a_version_with_a_window_of_90_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "published", lambda: SimpleNamespace(inactivity_days=90))
    monkeypatch.setattr(messages, "language", lambda: "en")


def customer(**facts: Any) -> Customer:
    known = {"as_of": AS_OF, "opening_date": date(2018, 1, 20), "first_active_day": date(2018, 1, 21), "lapses": 0}
    return Customer(facts=known | facts)


def test_one_day_short_of_the_window_is_active_and_names_the_day_on_which_that_would_end() -> None:
    words = customers.why(customer(is_active=True, last_active_day=date(2019, 2, 15), days_silent=89))
    assert words.startswith("**Active, because 89 days of silence is less than N = 90 days.**")
    assert "last active day was 15 Feb 2019; the data goes to 15 May 2019" in words
    assert "counts as gone from 16 May 2019" in words


def test_the_whole_window_in_silence_is_a_lapse_recognised_on_that_very_day() -> None:
    words = customers.why(customer(is_active=False, last_active_day=date(2019, 2, 14), days_silent=90, lapses=1))
    assert words.startswith("**Inactive, because 90 days of silence is no less than N = 90 days.**")
    assert "recognised on 15 May 2019" in words
    assert "came back" not in words


def test_lapses_that_ended_are_counted_as_returns_and_the_present_one_is_not() -> None:
    words = customers.why(customer(is_active=False, last_active_day=date(2018, 12, 1), days_silent=165, lapses=3))
    assert words.endswith("went silent for more than N days and came back; times: 2.")
    words = customers.why(customer(is_active=True, last_active_day=AS_OF, days_silent=0, lapses=3))
    assert words.endswith("came back; times: 3.")


def test_who_never_had_an_active_day_is_told_from_the_opening_of_the_account() -> None:
    never = customer(is_active=False, first_active_day=None, last_active_day=None, days_silent=480)
    words = customers.why(never)
    assert words.startswith("**Inactive: no active day so far.** A customer since 20 Jan 2018, 480 days before")


SCHEMA = pa.schema(
    [
        ("is_active", pa.bool_()),
        ("starting_date", pa.date32()),
        ("ending_date", pa.date32()),
        ("recognised_on", pa.date32()),
        ("is_provisional", pa.bool_()),
    ]
)


def drawn(*stretches: tuple[bool, date, date | None, bool], last_active_day: date | None) -> list[tuple[bool, date, date, bool]]:
    rows = [
        {"is_active": active, "starting_date": start, "ending_date": end, "recognised_on": start, "is_provisional": provisional}
        for active, start, end, provisional in stretches
    ]
    facts = {"as_of": AS_OF, "last_active_day": last_active_day}
    table = customers.timeline(Customer(facts, pa.Table.from_pylist(rows, schema=SCHEMA)))
    assert [row["final_on"] is not None for row in table.to_pylist()] == [row["is_provisional"] for row in table.to_pylist()]
    assert not last_active_day or {row["final_on"] for row in table.to_pylist()} <= {None, last_active_day + timedelta(days=90)}
    return [(row["is_active"], row["starting_date"], row["ending_date"], row["is_provisional"]) for row in table.to_pylist()]


def test_of_an_open_active_stretch_only_the_days_since_the_last_active_one_are_drawn_as_provisional() -> None:
    closed = (False, date(2018, 1, 1), date(2018, 3, 31), False)
    assert drawn(closed, (True, date(2018, 4, 1), None, True), last_active_day=date(2019, 5, 1)) == [
        closed,
        (True, date(2018, 4, 1), date(2019, 5, 1), False),
        (True, date(2019, 5, 2), AS_OF, True),
    ]


def test_activity_on_the_last_loaded_day_leaves_nothing_provisional() -> None:
    assert drawn((True, date(2018, 4, 1), None, True), last_active_day=AS_OF) == [(True, date(2018, 4, 1), AS_OF, False)]


def test_an_open_silence_is_drawn_to_the_last_loaded_day() -> None:
    assert drawn((False, date(2018, 4, 1), None, False), last_active_day=None) == [(False, date(2018, 4, 1), AS_OF, False)]


DAYS = (date(2018, 1, 21), date(2018, 1, 22), date(2018, 1, 24), date(2018, 4, 24), date(2018, 7, 24), date(2018, 8, 1))
PAUSES = [1, 2, 90, 91, 8]  # counted on a calendar


def of_days(*days: date, **facts: Any) -> Customer:
    never = {"is_active": False, "starting_date": AS_OF, "ending_date": None, "recognised_on": AS_OF, "is_provisional": False}
    known = {"as_of": AS_OF, "user_id": "883", "last_active_day": days[-1] if days else None}
    return Customer(known | facts, pa.Table.from_pylist([never], schema=SCHEMA), days)


def test_each_active_day_is_drawn_with_the_days_since_the_one_before() -> None:
    rows = [row for row in customers.timeline(of_days(*DAYS)).to_pylist() if row["of"] == "day"]
    assert [row["starting_date"] for row in rows] == list(DAYS)
    assert [row["pause"] for row in rows] == [None, *PAUSES]
    assert {row["of"] for row in customers.timeline(of_days()).to_pylist()} == {"stretch"}


def test_a_pause_of_n_days_is_bridged_one_of_more_is_a_lapse_and_the_last_one_goes_on() -> None:
    told = [(pause.last, pause.returned, pause.days, pause.meaning) for pause in longest_pauses(of_days(*DAYS))]
    assert told == [
        (date(2018, 8, 1), None, 287, "lapse"),  # N days of silence were over on 30 October
        (date(2018, 4, 24), date(2018, 7, 24), 91, "lapse"),
        (date(2018, 1, 24), date(2018, 4, 24), 90, "bridged"),
        (date(2018, 7, 24), date(2018, 8, 1), 8, "bridged"),
    ]
    silent = {89: "open", 90: "lapse"}
    for days, meaning in silent.items():
        assert longest_pauses(of_days(AS_OF - timedelta(days=days)))[0].meaning == meaning
    assert longest_pauses(of_days(AS_OF - timedelta(days=7))) == longest_pauses(of_days()) == []


def test_where_n_is_below_a_week_its_lapses_are_pauses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "published", lambda: SimpleNamespace(inactivity_days=3))
    days = (date(2019, 5, 1), date(2019, 5, 4), date(2019, 5, 8), date(2019, 5, 12))
    assert [(pause.days, pause.meaning) for pause in longest_pauses(of_days(*days))] == [(4, "lapse")] * 2 + [(3, "lapse")]


def test_the_rhythm_is_the_pause_that_half_of_the_pauses_do_not_exceed() -> None:
    words = rhythm(of_days(*DAYS))
    assert "8 days or less" in words
    assert "and at most 91 days, from 24 Apr 2018 to 24 Jul 2018" in words
    assert rhythm(of_days(*DAYS[:2])) == rhythm(of_days()) == rhythm(customer()) == ""
