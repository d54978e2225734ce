"""Counts by group and day as a grid, and added up by period: small cases counted by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from pipeline.marts.grid import by_period, grid, period_ends, period_starts
from pipeline.marts.pairs import moved_on

AS_OF = date(2019, 3, 3)  # a Sunday


def rows(*given: tuple[date, str, int]) -> pa.Table:
    days, plans, came = zip(*given, strict=True) if given else ((), (), ())
    return pa.table(
        {"date": pa.array(days, pa.date32()), "plan": pa.array(plans, pa.string()), "came": pa.array(came, pa.int64())}
    )


BANK = rows(
    (date(2019, 2, 25), "METAL", 3),
    (date(2019, 3, 1), "METAL", 4),
    (date(2019, 2, 27), "STANDARD", 5),
    (date(2019, 2, 28), "STANDARD", 6),
)


def shown(table: pa.Table, grain: str, *, by: tuple[str, ...] = ("plan",), start: date = date.min) -> list[tuple[object, ...]]:
    laid_out = grid(table, by=by, names=("came",), as_of=AS_OF)
    columns = by_period(laid_out, grain, stocks=(), flows=("came",), start=start, end=AS_OF)
    return list(
        zip(columns["group"], columns["period_start"].tolist(), columns["final_on"].tolist(), columns["came"], strict=True)
    )


def test_a_group_has_every_day_from_its_first_row_to_the_end() -> None:
    assert [(group, day.day, came) for group, day, _, came in shown(BANK, "day")] == [
        *[
            ("METAL", 25, 3),
            ("METAL", 26, 0),
            ("METAL", 27, 0),
            ("METAL", 28, 0),
            ("METAL", 1, 4),
            ("METAL", 2, 0),
            ("METAL", 3, 0),
        ],
        *[("STANDARD", 27, 5), ("STANDARD", 28, 6), ("STANDARD", 1, 0), ("STANDARD", 2, 0), ("STANDARD", 3, 0)],
    ]


def test_months_hold_their_days_and_a_period_is_final_on_its_last_day() -> None:
    february, march = (date(2019, 2, 1), date(2019, 2, 28)), (date(2019, 3, 1), date(2019, 3, 31))
    assert shown(BANK, "month") == [
        *[("METAL", *february, 3), ("METAL", *march, 4)],
        *[("STANDARD", *february, 11), ("STANDARD", *march, 0)],
    ]


def test_weeks_begin_on_monday() -> None:
    week = (date(2019, 2, 25), date(2019, 3, 3))
    assert shown(BANK, "week") == [("METAL", *week, 7), ("STANDARD", *week, 11)]


def test_a_period_belongs_to_the_range_that_begins_within_it() -> None:
    assert [start for _, start, _, _ in shown(BANK, "month", start=date(2019, 3, 2))] == [date(2019, 3, 1)] * 2


def test_a_stock_is_that_of_the_last_day_so_far() -> None:
    laid_out = grid(BANK.filter(pa.array([True, True, False, False])), by=(), names=("came",), as_of=AS_OF)
    columns = by_period(laid_out, "month", stocks=("came",), flows=(), start=date.min, end=AS_OF)
    assert list(columns["came"]) == [0, 0]
    assert list(columns["group"]) == ["", ""]


@pytest.mark.parametrize("grain", ["day", "week", "month"])
@pytest.mark.parametrize("by", [(), ("plan",)])
def test_nothing_counted_is_nothing_shown(grain: str, by: tuple[str, ...]) -> None:
    assert shown(rows(), grain, by=by) == []


def test_periods_of_leap_days_and_of_days_before_1970() -> None:
    days = np.array(["2020-02-29", "1969-12-31"], dtype="datetime64[D]")
    assert period_starts(days, "month").tolist() == [date(2020, 2, 1), date(1969, 12, 1)]
    assert period_starts(days, "week").tolist() == [date(2020, 2, 24), date(1969, 12, 29)]
    assert period_ends(period_starts(days, "month"), "month").tolist() == [date(2020, 2, 29), date(1969, 12, 31)]


def test_amounts_are_summed_by_group_and_day_and_those_of_other_days_are_left_out() -> None:
    laid_out = grid(BANK, by=("plan",), names=("came",), as_of=AS_OF)  # METAL and STANDARD, 25 February to 3 March
    days = np.array(["2019-02-24", "2019-02-25", "2019-03-03", "2019-03-03", "2019-03-04"], dtype="datetime64[D]")
    summed = laid_out.added_up(np.array([0, 0, 1, 1, 1]), days, np.array([1, 2, 3, 4, 5]))
    assert summed.tolist() == [[2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 7]]


@pytest.mark.parametrize(
    ("days", "wanted"), [(0, [[1, 2, 3]]), (1, [[0, 1, 2]]), (2, [[0, 0, 1]]), (3, [[0, 0, 0]]), (400, [[0, 0, 0]])]
)
def test_counts_moved_on_leave_at_the_end_and_nothing_comes_in_at_the_begin(days: int, wanted: list[list[int]]) -> None:
    assert moved_on(np.array([[1, 2, 3]]), days).tolist() == wanted


def test_a_grid_that_is_shared_cannot_be_changed() -> None:
    laid_out = grid(BANK, by=("plan",), names=("came",), as_of=AS_OF)
    with pytest.raises(ValueError, match="read-only"):
        laid_out.counts["came"] += 1
