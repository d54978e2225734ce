"""Targets, notes, views and what was seen, as the run store keeps them on either engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from pipeline.clock import FixedClock
from pipeline.errors import PermanentError
from pipeline.runs.store import RunStore
from pipeline.runs.targets import Target

MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
OF_FRANCE = Target("monthly_churn_rate", 0.04, (("country", "FR"), ("plan", "METAL")), 90, "ada", MONDAY)


@pytest.fixture
def store(run_store_url: str) -> Iterator[RunStore]:
    opened = RunStore.open(run_store_url, clock=FixedClock(MONDAY))
    yield opened
    opened.close()


def test_a_segment_has_one_target_a_metric_and_window_in_whatever_order_its_filters_are_written(store: RunStore) -> None:
    assert store.set_target(OF_FRANCE) is None
    other_way_round = replace(OF_FRANCE, where=OF_FRANCE.where[::-1], value=0.035)
    assert store.set_target(other_way_round) == OF_FRANCE
    assert store.targets() == [replace(OF_FRANCE, value=0.035)]
    for other in (replace(OF_FRANCE, window=60), replace(OF_FRANCE, where=()), replace(OF_FRANCE, metric="mau", window=None)):
        assert store.set_target(other) is None
    assert len(store.targets()) == 4
    assert [target.window for target in store.targets() if target.metric == "mau"] == [None]


def test_a_target_is_removed_once_and_the_others_stay(store: RunStore) -> None:
    store.set_target(OF_FRANCE)
    store.set_target(replace(OF_FRANCE, window=60))
    assert store.remove_target(OF_FRANCE) == OF_FRANCE
    assert store.remove_target(OF_FRANCE) is None
    assert [target.window for target in store.targets()] == [60]


def test_notes_come_by_day_with_their_author_and_the_text_as_it_was_written(store: RunStore) -> None:
    store.add_annotation("grace", date(2026, 2, 1), "<b>prices</b> | **up**", metric="mau")
    first = store.add_annotation("ada", date(2026, 1, 1), "a new card")
    notes = store.annotations()
    assert [(note.day, note.author, note.metric) for note in notes] == [
        (date(2026, 1, 1), "ada", None),
        (date(2026, 2, 1), "grace", "mau"),
    ]
    assert notes[1].text == "<b>prices</b> | **up**"
    store.remove_annotation(first)
    assert [note.author for note in store.annotations()] == ["grace"]
    with pytest.raises(PermanentError, match=f"no note {first}"):
        store.annotation(first)


def test_a_person_has_own_views_and_those_that_others_share(store: RunStore) -> None:
    mine = store.save_view("ada", "b", page="churn", query={"country": "FR"}, shared=False)
    store.save_view("grace", "a", page="activity", query={}, shared=True)
    store.save_view("grace", "secret", page="activity", query={}, shared=False)
    assert [(view.owner, view.name) for view in store.saved_views("ada")] == [("grace", "a"), ("ada", "b")]
    assert mine is not None
    assert store.saved_view(mine).content == {"name": "b", "shared": False, "page": "churn", "query": {"country": "FR"}}


def test_a_name_is_taken_once_a_person_and_the_view_that_has_it_stays_as_it_is(store: RunStore) -> None:
    first = store.save_view("ada", "mine", page="churn", query={"window": "30"}, shared=False)
    assert store.save_view("ada", "mine", page="activity", query={}, shared=True) is None
    assert store.save_view("grace", "mine", page="activity", query={}, shared=False) is not None
    second = store.save_view("ada", "other", page="activity", query={}, shared=False)
    assert first is not None
    assert second is not None
    assert not store.rename_view(second, "mine")
    assert store.rename_view(second, "third")
    assert [view.name for view in store.saved_views("ada")] == ["mine", "third"]
    assert store.saved_view(first).query == {"window": "30"}
    store.delete_view(first)
    assert [view.name for view in store.saved_views("ada")] == ["third"]


def test_what_a_person_dismissed_is_remembered_for_that_person_alone(store: RunStore) -> None:
    assert store.seen_by("ada") == frozenset()
    for _ in range(2):
        store.note_seen("ada", "tour")
    assert store.seen_by("ada") == {"tour"}
    assert store.seen_by("grace") == frozenset()
