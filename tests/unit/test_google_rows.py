"""Rows by key in a tab that people work in too: own columns of own rows, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from google_sheets_kit import World, world
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.google_sheets.faults import CUT, Fault
from stand_ins.google_sheets.grid import Formula, Sheet

from pipeline import spreadsheets
from pipeline.errors import DataError, PermanentError
from pipeline.sheets import google_rows
from pipeline.sheets.google_rows import GoogleRows, RowCounts

TAB = "Lapsed customers"
COLUMNS = ("user_id", "plan", "since")
MAY = date(2026, 5, 1)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def rows(here: World, **options: Any) -> GoogleRows:
    return GoogleRows(here.calls(), **options)


def row(user_id: str, plan: str = "STANDARD", since: date | None = MAY) -> tuple[Any, ...]:
    return (user_id, plan, since)


def write(here: World, *changed: Sequence[Any], deleted: Sequence[str] = ()) -> RowCounts:
    return rows(here).write(TAB, COLUMNS, "user_id", {str(each[0]): each for each in changed}, deleted)


def read(here: World) -> dict[str, tuple[Any, ...]]:
    return rows(here).read(TAB, COLUMNS, "user_id")


def sheet(here: World) -> Sheet:
    found = here.book.titled(TAB)
    assert found is not None
    return found


def shown(here: World) -> list[list[Any]]:
    used, columns = sheet(here).used()
    return [line[:columns] for line in here.rows(TAB)[:used]]


def test_a_tab_is_made_with_a_header_and_rows_are_read_back_as_they_were_handed_in(here: World) -> None:
    assert read(here) == {}
    assert write(here, row("17"), row("4", "METAL", None)) == RowCounts(2, 0, 0)
    assert read(here) == {"17": row("17"), "4": row("4", "METAL", None)}
    assert shown(here)[0] == list(COLUMNS)
    assert sheet(here).grid == {"frozenRowCount": 1}


def test_a_write_to_a_tab_that_is_there_costs_two_calls(here: World) -> None:
    write(here, row("17"), row("4"))
    here.stand_in.faults.clear()
    write(here, row("17", "METAL"), row("9"), deleted=["4"])
    assert here.kinds() == ["get", "batchUpdate"]
    assert read(here) == {"17": row("17", "METAL"), "9": row("9")}


def test_columns_and_rows_of_other_people_stay_where_they_belong(here: World) -> None:
    write(here, row("1"), row("2"), row("3"))
    here_sheet = sheet(here)
    here_sheet.put(0, 3, "called by")
    here_sheet.put(3, 3, "Ana")
    here_sheet.put(6, 3, "a note of somebody's far below")
    here_sheet.put(2, 1, Formula("=1+1"))
    write(here, row("3", "METAL"), row("4"), deleted=["1"])
    assert [line[:4] for line in shown(here)] == [
        ["user_id", "plan", "since", "called by"],
        ["2", "=1+1", 46143, None],
        ["3", "METAL", 46143, "Ana"],
        [None, None, None, None],
        [None, None, None, None],
        [None, None, None, "a note of somebody's far below"],
        ["4", "STANDARD", 46143, None],
    ]


def test_columns_are_found_by_name_wherever_people_moved_them_and_missing_ones_are_added(here: World) -> None:
    write(here, row("1"))
    mine = sheet(here)
    for column, (title, value) in enumerate([("since", 46143), ("called by", "Ana"), ("user_id", "1"), (None, None)]):
        mine.put(0, column, title)
        mine.put(1, column, value)
    assert write(here, row("1", "METAL"), row("2")) == RowCounts(1, 1, 0)
    assert shown(here) == [
        ["since", "called by", "user_id", "plan"],
        [46143, "Ana", "1", "METAL"],
        [46143, None, "2", "STANDARD"],
    ]


def test_what_a_person_changed_in_an_own_cell_is_seen(here: World) -> None:
    write(here, row("1"))
    sheet(here).put(1, 1, "scribble")
    found = read(here)["1"]
    assert [spreadsheets.same(value, there) for value, there in zip(row("1"), found, strict=True)] == [True, False, True]


def test_a_tab_without_the_key_column_is_refused_and_stays(here: World) -> None:
    write(here, row("1"))
    sheet(here).put(0, 0, "customer")
    before = shown(here)
    for attempt in (lambda: read(here), lambda: write(here, row("2"))):
        with pytest.raises(DataError, match="has no column user_id in its first row"):
            attempt()
    assert shown(here) == before


def test_merged_cells_are_refused(here: World) -> None:
    write(here, row("1"))
    sheet(here).merges.append(sheet(here).whole())
    with pytest.raises(DataError, match="has merged cells"):
        write(here, row("2"))


def test_the_first_row_of_a_key_is_the_own_one(here: World) -> None:
    write(here, row("1"))
    sheet(here).put(2, 0, "1")
    sheet(here).put(2, 1, "a copy of somebody's")
    write(here, row("1", "METAL"))
    assert [line[1] for line in shown(here)[1:]] == ["METAL", "a copy of somebody's"]


def test_text_stays_text_and_a_number_as_key_is_found_again(here: World) -> None:
    assert write(here, ("=1+1", "@x", None), (17, "-5", None)) == RowCounts(2, 0, 0)
    assert write(here, ("=1+1", "+y", None), (17, "-6", None)) == RowCounts(0, 2, 0)
    assert shown(here)[1:] == [["=1+1", "+y", None], [17, "-6", None]]


def test_a_text_that_no_cell_holds_is_refused_before_the_first_call(here: World) -> None:
    with pytest.raises(DataError, match="50,001 characters"):
        write(here, row("1", "x" * 50_001))
    assert here.kinds() == []


def test_many_rows_go_in_as_few_bodies_as_they_take_and_are_read_in_pages(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_rows, "PART_BYTES", 20_000)
    monkeypatch.setattr(google_rows, "PAGE_CELLS", 900)
    many = [row(f"customer {number:04d}") for number in range(500)]
    assert write(here, *many) == RowCounts(500, 0, 0)
    assert here.kinds().count("batchUpdate") == 11
    assert read(here) == {each[0]: each for each in many}


def test_only_the_last_of_many_bodies_asks_for_the_key_column(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_rows, "PART_BYTES", 20_000)
    calls, asked = here.calls(), list[bool]()
    batch = calls.batch

    def noted(requests: Any, *, read: Sequence[str] = ()) -> Any:
        asked.append(bool(read))
        return batch(requests, read=read)

    monkeypatch.setattr(calls, "batch", noted)
    many = {str(number): row(str(number)) for number in range(300)}
    GoogleRows(calls).write(TAB, COLUMNS, "user_id", many)
    assert asked == [False] * (len(asked) - 1) + [True]
    assert len(asked) > 2


def test_a_new_tab_has_little_room_beside_its_columns_so_that_many_customers_fit(here: World) -> None:
    write(here, row("1"))
    assert sheet(here).columns == len(COLUMNS) + google_rows.ROOM


# 429 says that nothing was done: only before.
@pytest.mark.parametrize(("status", "after"), [(429, False), *((status, after) for status in (CUT, 500) for after in (0, 1))])
def test_one_failure_at_any_call_neither_loses_nor_doubles_a_row(
    here: World, monkeypatch: pytest.MonkeyPatch, status: int, after: bool
) -> None:
    monkeypatch.setattr(google_rows, "PART_BYTES", 600)
    changed = [row(str(number), "METAL") for number in range(5, 15)]
    expected = {str(number): row(str(number), "METAL" if number >= 5 else "STANDARD") for number in range(2, 15)}
    for at in range(1, 10):
        if here.book.titled(TAB):
            here.book.sheets.pop()
        write(here, *(row(str(number)) for number in range(10)))
        here.stand_in.faults.clear()
        here.stand_in.faults.add(Fault(status=status, at=at, after=after))
        write(here, *changed, deleted=["0", "1"])
        assert read(here) == expected
        assert len(shown(here)) == 1 + len(expected)


@pytest.mark.parametrize(
    ("changed", "deleted", "told"),
    [
        (["1"], [], "row 2 holds another key than it should; did somebody move rows"),
        ([], ["1"], r"rows that were to go are still there \(1\), and others may be gone; did somebody move rows"),
    ],
)
def test_rows_that_somebody_moved_at_that_moment_are_noticed_and_put_right_by_the_next_write(
    here: World, changed: list[str], deleted: list[str], told: str
) -> None:
    write(here, row("1"), row("2"), row("3"))
    for number, name in enumerate("123", 1):
        sheet(here).put(number, 3, f"a note on {name}")

    def swap() -> None:
        lines = sheet(here).rows
        lines[1], lines[3] = lines[3], lines[1]

    with pytest.raises(PermanentError, match=told):
        rows(here, guard=swap).write(TAB, COLUMNS, "user_id", {name: row(name, "METAL") for name in changed}, deleted)
    write(
        here, *(row(name, "METAL" if name in changed else "STANDARD") for name in "123" if name not in deleted), deleted=deleted
    )
    kept = {line[0]: line[1::2] for line in shown(here)[1:]}
    assert kept.get("2") == ["STANDARD", "a note on 2"]
    assert deleted or kept == {"1": ["METAL", "a note on 1"], "2": kept["2"], "3": ["STANDARD", "a note on 3"]}


def test_what_people_do_to_other_rows_at_that_moment_is_no_failure(here: World) -> None:
    write(here, row("1"), row("2"))
    assert rows(here, guard=lambda: sheet(here).put(2, 0, None)).write(
        TAB, COLUMNS, "user_id", {"1": row("1", "METAL")}
    ) == RowCounts(0, 1, 0)


def test_a_new_column_goes_behind_what_people_wrote_without_a_header(here: World) -> None:
    write(here, row("1"), row("2"))
    sheet(here).put(2, 3, "calls back in May")
    rows(here).write(TAB, (*COLUMNS, "lapses"), "user_id", {name: (*row(name), 1) for name in "12"})
    assert shown(here) == [
        ["user_id", "plan", "since", None, "lapses"],
        ["1", "STANDARD", 46143, None, 1],
        ["2", "STANDARD", 46143, "calls back in May", 1],
    ]


def test_a_key_that_somebody_shows_as_a_day_is_the_same_key(here: World) -> None:
    write(here, (17, "STANDARD", None))
    shown_as_day = {"numberFormat": {"type": "DATE", "pattern": "yyyy-mm-dd"}}
    sheet(here).change(1, 0, 1, lambda _column, cell: replace(cell, format=shown_as_day))
    assert list(read(here)) == ["17"]
    assert write(here, (17, "METAL", None)) == RowCounts(0, 1, 0)


def test_rows_are_sent_on_with_what_their_formulas_come_to(here: World) -> None:
    write(here, row("1"), row("2"))
    sheet(here).put(1, 1, Formula("=40+2"))
    assert rows(here).computed(TAB, COLUMNS, "user_id") == {"1": ("1", 42, MAY), "2": row("2")}
    sheet(here).put(2, 5, Formula("=1/0"))  # a column of somebody's, and a row of nobody
    sheet(here).put(3, 1, Formula("=1/0"))
    assert list(rows(here).computed(TAB, COLUMNS, "user_id")) == ["1", "2"]
    sheet(here).put(2, 1, Formula("=1/0"))
    with pytest.raises(DataError, match="has a formula in B3 that comes to an error"):
        rows(here).computed(TAB, COLUMNS, "user_id")


def test_a_key_that_somebody_retyped_as_a_number_is_spelt_as_before(here: World) -> None:
    write(here, row("1"))
    sheet(here).put(1, 0, 1)
    assert write(here, row("1")) == RowCounts(0, 1, 0)
    assert shown(here)[1:] == [["1", "STANDARD", 46143]]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["STANDARD", "METAL", "=x", ""]), max_size=6),
            st.lists(st.sampled_from("abcdefgh"), max_size=3),
        ),
        max_size=4,
    )
)
def test_whatever_is_written_the_tab_holds_what_was_written_last(
    one_world: World, steps: list[tuple[dict[str, str], list[str]]]
) -> None:
    here, mine, expected = one_world, rows(one_world), dict[str, tuple[Any, ...]]()
    if here.book.titled(TAB):
        here.book.sheets.pop()
    for changed, deleted in steps:
        handed_in = {name: (name, plan, MAY) for name, plan in changed.items()}
        counts = mine.write(TAB, COLUMNS, "user_id", handed_in, deleted)
        gone = [name for name in dict.fromkeys(deleted) if name in expected and name not in changed]
        assert (counts.created, counts.updated) == (len(set(changed) - set(expected)), len(set(changed) & set(expected)))
        expected = {name: value for name, value in expected.items() if name not in gone}
        expected |= {name: (name, spreadsheets.storable(plan), MAY) for name, plan in changed.items()}
        assert mine.read(TAB, COLUMNS, "user_id") == expected


@pytest.fixture(scope="module")
def one_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("rows")) as made:
        yield made


def test_a_moment_keeps_its_second(here: World) -> None:
    moment = datetime(2026, 11, 25, 23, 59, 59)
    rows(here).write("Moments", ("key", "at"), "key", {"a": ("a", moment)})
    assert rows(here).read("Moments", ("key", "at"), "key") == {"a": ("a", moment)}
