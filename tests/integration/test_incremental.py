"""Run after run on files that come, change and go: after each one, or after those
that say most, the tables are those of a full refresh in an empty home.

The long-lived home is built by dbt itself; the empty one by the same compiled SQL, which a long proof holds against dbt too.
PROOF_SEQUENCES=50 plays that many random sequences instead of one.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import builds
import ledger as happening
import numpy as np
import pyarrow as pa
import pytest
from chain import Published, publish
from histories import stamp
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ledger import BATCHES, Ledger, opening_bank

pytestmark = pytest.mark.slow

Batch = Callable[[Ledger], None]


def at_once(*batches: Batch) -> Batch:
    """All that happens between one run and the next."""

    def batch(ledger: Ledger) -> None:
        for one in batches:
            one(ledger)

    batch.__name__ = " with ".join(one.__name__ for one in batches)
    return batch


DAILY = "few customers change"  # the other sequences are long proofs
RELATIONS = "select table_name from information_schema.tables where table_schema in ('marts', 'warehouse') order by all"
SEQUENCES: dict[str, tuple[Batch, ...]] = {
    # who came on the last day alone has no row of it any more; some are counted anew and the others carried on; days that were
    # counted are after as_of
    "few customers change": (
        happening.a_day_passes,
        at_once(happening.the_newest_file_is_taken_back, happening.one_late_row_fills_a_gap),
        at_once(happening.late_rows_come, happening.an_earlier_day_is_pinned),
    ),
    "few customers change, one at a time": (
        happening.a_day_passes,
        happening.the_newest_file_is_taken_back,
        happening.one_late_row_fills_a_gap,
        happening.late_rows_come,
        happening.an_earlier_day_is_pinned,
    ),
    "days pass, and nothing": (
        happening.a_day_passes,
        happening.nothing_changes,
        happening.only_time_passes,
        happening.weeks_pass,
        happening.a_day_passes,
    ),
    "the clock was ahead": (
        happening.rows_of_tomorrow_come,
        happening.only_time_passes,
        happening.the_clock_goes_back,
        happening.new_customers_open,
        happening.the_clock_goes_back,
        happening.weeks_pass,
    ),
    "rows wait for their day": (
        happening.rows_of_tomorrow_come,
        happening.rows_of_today_come,
        happening.only_time_passes,
        happening.only_time_passes,
        happening.a_day_passes,
    ),
    "late rows, then fewer of them": (
        happening.late_rows_come,
        happening.one_late_row_fills_a_gap,
        happening.the_newest_file_is_taken_back,
        happening.an_old_file_is_taken_back,
        happening.what_was_taken_back_comes_again,
    ),
    "corrections come and are taken back": (
        happening.a_correction_comes_in_a_later_file,
        happening.a_day_passes,
        happening.rows_come_twice,
        happening.the_newest_file_is_taken_back,
        happening.a_row_is_corrected_where_it_stands,
        happening.the_first_day_of_a_customer_goes,
    ),
    "copies wait for their day": (
        happening.a_correction_of_today_comes,
        happening.copies_of_one_moment_differ,
        happening.only_time_passes,
        happening.a_correction_of_today_comes,
        happening.a_day_passes,
        happening.the_newest_file_is_taken_back,
    ),
    "copies on both sides of a pin that moves": (
        happening.corrections_come_weeks_later,
        happening.an_earlier_day_is_pinned,
        happening.the_pin_moves,
        happening.the_pin_moves,
        happening.copies_of_one_moment_differ,
        happening.the_pin_moves,
        happening.an_earlier_day_is_pinned,
    ),
    "files change and say the same": (
        happening.rows_move_to_another_file,
        happening.the_rows_of_a_file_are_shuffled,
        happening.a_whole_file_comes_twice,
        happening.the_newest_file_is_taken_back,
        happening.a_file_loses_half_its_rows,
    ),
    "files change their names, places and words": (
        happening.files_change_their_names,
        happening.two_files_change_places,
        happening.files_come_empty,
        at_once(happening.what_was_taken_back_comes_again, happening.ids_are_written_otherwise),
        happening.words_that_nobody_knows_come,
        at_once(happening.dates_that_cannot_be_come, happening.a_longer_window_is_set),
        at_once(happening.telephones_go_and_come_twice, happening.a_longer_window_is_set),
        happening.accounts_open_on_other_days,
    ),
    "customers change": (
        happening.a_customer_moves,
        happening.new_customers_open,
        happening.an_account_opened_earlier_than_was_said,
        happening.the_missing_rows_of_users_come,
        happening.a_row_of_users_goes,
        happening.a_telephone_changes,
    ),
    "settings change and change back": (
        happening.another_window_is_set,
        happening.a_day_passes,
        happening.another_rule_is_set,
        happening.an_earlier_day_is_pinned,
        happening.late_rows_come,
        happening.an_earlier_day_is_pinned,
    ),
}


def relations(published: Published) -> dict[str, pa.Table]:
    names = published.reader._database.query(RELATIONS)["table_name"].to_pylist()
    return {name: published.reader.relation(name) for name in names}


def same(found: pa.Table, wanted: pa.Table) -> bool:
    """Whether all rows are equal; of sums and quotients of floats the last digits depend on the order of adding."""
    if found.num_rows != wanted.num_rows:
        return False
    pairs = zip(found.columns, wanted.columns, strict=True)
    return all(one.equals(other) or (pa.types.is_floating(one.type) and close(one, other)) for one, other in pairs)


def close(found: pa.ChunkedArray, wanted: pa.ChunkedArray) -> bool:
    """Equal but for the last digits, of a difference of two shares those of the shares."""
    both = (column.to_numpy() for column in (found, wanted))
    return np.allclose(*both, rtol=1e-12, atol=1e-12, equal_nan=True)


def assert_same_tables(found: Published, wanted: Published, *, after: str) -> None:
    """Every published relation, row for row; where one differs, the rows that only one of them has."""
    assert found.as_of == wanted.as_of, after
    left, right = relations(found), relations(wanted)
    assert left.keys() == right.keys(), after
    for name, table in right.items():
        assert left[name].schema == table.schema, (after, name)
        if not same(left[name], table):
            rows = [{tuple(row.items()) for row in one.to_pylist()} for one in (left[name], table)]
            surplus, lacking = (sorted(some, key=repr)[:3] for some in (rows[0] - rows[1], rows[1] - rows[0]))
            counts = f"{left[name].num_rows} rows, not {table.num_rows}"
            pytest.fail(f"after {after}: {name} has {counts}\n  surplus {surplus}\n  lacking {lacking}", pytrace=False)


def play(sequence: Sequence[Batch], *, seed: int, folder: Path, every: int = 1) -> None:
    """A first run, then a run after each batch; every so many, and the last, are held against a full refresh in an empty home."""
    bank, told = opening_bank(seed), "the first run"
    for place, batch in enumerate((None, *sequence)):
        if batch is not None:
            batch(bank)
            told = f"{told}, {batch.__name__}"
        found = run(bank, folder)
        if (place + 1) % every == 0 or place == len(sequence):
            assert_as_a_full_refresh(found, bank, folder, told=told)


def run(bank: Ledger, folder: Path) -> Published:
    """A run on what the home has; the first one, which has nothing, by the compiled SQL."""
    with builds.building(builds.forked if (folder / "home").exists() else builds.direct):
        return publish(bank.write(folder / "raw"), folder / "home", now=bank.now, **bank.settings)


def assert_as_a_full_refresh(found: Published, bank: Ledger, folder: Path, *, told: str) -> None:
    """Hold it against a full refresh in an empty home of its own."""
    empty = folder / f"home-{next(_number)}"
    with builds.building(builds.direct):
        wanted = publish(folder / "raw", empty, now=bank.now, full_refresh=True, **bank.settings)
    assert_same_tables(found, wanted, after=told)
    shutil.rmtree(empty)


_number = itertools.count()  # no home has the name of another: versions are known by their place


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == DAILY else pytest.mark.proof) for name in SEQUENCES])
def test_after_each_of_these_batches_the_tables_are_those_of_a_full_refresh(name: str, tmp_path: Path) -> None:
    play(SEQUENCES[name], seed=len(name), folder=tmp_path, every=3 if name == DAILY else 1)


@pytest.mark.proof
def test_a_clock_that_was_ahead_leaves_nothing_of_the_days_that_are_still_to_come(tmp_path: Path) -> None:
    bank = Ledger(random.Random(1), today=date(2020, 2, 9), settings={"inactivity_days": 60})
    for number, opened in ((1, 2), (2, 3), (3, 36)):  # the third on 6 February
        bank.history.customer(number, opened=date(2020, 1, 1) + timedelta(days=opened - 1), country="LU")
    for day in (5, 20, 35, 38):  # the last on 7 February
        bank.pay("all", date(2020, 1, 1) + timedelta(days=day - 1), number=1)
    found = {}
    for today in (9, 4, 9):
        bank.today = date(2020, 2, today)
        published = run(bank, tmp_path)
        if today == 4:
            assert_as_a_full_refresh(published, bank, tmp_path, told="the clock goes back")
        found[today, len(found)] = (published.as_of.isoformat(), published.reader.relation("mart_customers").num_rows)
    assert list(found.values()) == [("2020-02-07", 3), ("2020-01-20", 2), ("2020-02-07", 3)]
    assert_as_a_full_refresh(published, bank, tmp_path, told="a clock that was ahead")


RUNS_WITH_A_COPY = (
    (9, None, "January"),
    (10, None, "January"),  # it comes, dated the day that is not over
    (11, None, "February"),
    (12, date(2020, 1, 20), "January"),
    (12, None, "February"),
)


@pytest.mark.parametrize(
    "runs", [RUNS_WITH_A_COPY[1:4], pytest.param(RUNS_WITH_A_COPY, marks=pytest.mark.proof)], ids=["few", "all"]
)
def test_a_copy_counts_from_the_run_whose_last_day_has_reached_its_own(
    runs: Sequence[tuple[int, date | None, str]], tmp_path: Path
) -> None:
    bank = Ledger(random.Random(1), today=date(2020, 2, 9), settings={"inactivity_days": 60})
    for number, country in ((1, "LU"), (2, "GB")):
        bank.history.customer(number, opened=date(2020, 1, 2), country=country)
    first = bank.pay("january", date(2020, 1, 5), number=1)
    for day in range(1, 9):
        bank.pay("february", date(2020, 2, day), number=2)
    sent_again = first | {"created_date": stamp(datetime(2020, 2, 10, 8, tzinfo=UTC))}
    active_days = {"January": [date(2020, 1, 5)], "February": [date(2020, 2, 10)]}
    for today, pinned, month in runs:
        bank.today = date(2020, 2, today)
        bank.settings["as_of"] = pinned
        if today == 10:
            bank.files["again"] = [sent_again]
        found = run(bank, tmp_path)
        assert sorted(found.values("dau", country="LU")) == active_days[month], (today, pinned)
        if pinned is not None:
            assert_as_a_full_refresh(found, bank, tmp_path, told="a day before is pinned")
    if pinned is None:
        assert_as_a_full_refresh(found, bank, tmp_path, told="a copy that waited for its day")


_SEQUENCES = int(os.environ.get("PROOF_SEQUENCES", "0"))


@pytest.mark.proof
@settings(
    max_examples=_SEQUENCES or 1,
    derandomize=not _SEQUENCES,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # each step of shrinking would cost a run of dbt; the failure names what happened
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(st.sampled_from(BATCHES), min_size=6, max_size=9), st.integers(0, 2**31))
def test_after_any_batches_the_tables_are_those_of_a_full_refresh(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[Batch], seed: int
) -> None:
    play(sequence, seed=seed, folder=tmp_path_factory.mktemp("sequence"))


@pytest.mark.proof
def test_the_compiled_sql_builds_the_tables_that_dbt_builds(tmp_path: Path) -> None:
    bank = opening_bank(7)
    raw = bank.write(tmp_path / "raw")
    by_dbt = publish(raw, tmp_path / "one", now=bank.now, **bank.settings)
    for build in (builds.forked, builds.direct):
        with builds.building(build):
            quicker = publish(raw, tmp_path / build.__name__, now=bank.now, **bank.settings)
        assert_same_tables(quicker, by_dbt, after=f"a {build.__name__} build")
        assert quicker.reader.version.tests == by_dbt.reader.version.tests


def test_a_batch_changes_only_the_files_that_it_is_about(tmp_path: Path) -> None:
    bank = opening_bank(1)
    bank.write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.csv")}
    happening.a_day_passes(bank)
    bank.write(tmp_path)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.csv")}
    assert [path.stem for path in after if before.get(path) != after[path]] == ["2020-03-05"]
