"""The formula of docs/scale.md by hand, and the days that constants on a column of days leave."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import stand_ins.bigquery as stand_ins

stand_ins.skip_without_the_packages()

from scale_reads import Analyst, merged, ranges_of, told  # noqa: E402
from stand_ins.bigquery.columns import Column  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import scale  # noqa: E402

TIB = 1024**4
DAY = date(2019, 3, 31)
BANK = scale.Bank(10e9)


@pytest.fixture(scope="module")
def reads() -> dict[str, scale.Reads]:
    return dict(json.loads(scale.READS.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("ranges", "days"),
    [
        ([[None, None]], 1825),
        ([[0, None]], 1),
        ([[30, None]], 31),
        ([[None, 31]], 1794),
        ([[30, 29], [1, -1]], 4),  # tomorrow has no rows yet
        ([[-1, None]], 0),
        ([[5000, 1820]], 5),
        ([], 0),
    ],
)
def test_days_are_counted_from_the_first_to_the_last_of_a_range(ranges: list[list[int | None]], days: int) -> None:
    assert scale.days_read(ranges, BANK) == days


def test_bytes_are_rows_times_columns_times_the_share_of_days() -> None:
    read = [{"columns": ["activity_date", "customer_key"], "days": [[None, 31]]}, {"columns": ["is_new"], "days": [[0, 0]]}]
    rows = 0.324 * 10e9
    assert scale.table_bytes("fct_customer_days", read, BANK) == pytest.approx(rows * 16 * 1794 / 1825 + rows * 8 / 1825)


def test_late_rows_make_the_customer_days_read_nearly_all_that_was_there(reads: dict[str, scale.Reads]) -> None:
    whole = 0.324 * 10e9 * 16  # the customer and the day
    late, new_day = (reads[night]["fct_customer_days"] for night in ("late", "new_day"))
    assert scale.table_bytes("fct_customer_days", late["fct_customer_days"], BANK) / whole == pytest.approx(1794 / 1825, abs=1e-3)
    assert "fct_customer_days" not in new_day
    assert "fct_customer_days" in scale.read_whole("fct_customer_days", reads["late"])


@pytest.mark.parametrize(("model", "days"), [("mart_silence_risk", 90), ("silence_observations", 120)])
def test_what_looks_back_further_than_the_changed_days_counts_with_all_its_days(
    model: str, days: int, reads: dict[str, scale.Reads]
) -> None:
    for night in scale.NIGHTS:
        (read,) = reads[night][model]["fct_customer_days"]
        assert scale.days_read(read["days"], BANK) >= days


def test_who_moves_makes_the_cubes_by_segment_read_the_history(reads: dict[str, scale.Reads]) -> None:
    cubes = {"mart_transactions_monthly", "mart_cohort_cells", "mart_daily_counts", "mart_l28"}
    months = {"mart_amount_retention", "mart_concentration"}
    for model in cubes | months:
        (table,) = {"typed_transactions", "fct_customer_days", "fct_customer_months"} & reads["moved"][model].keys()
        assert table in scale.read_whole(model, reads["moved"])
        assert table not in scale.read_whole(model, reads["late"])
    model = "mart_transactions_monthly"
    nights = {night: scale.model_bytes(reads[night], BANK, looks=True)[model] / TIB for night in scale.NIGHTS}
    assert nights["late"] == pytest.approx(0.012, abs=0.001)
    assert nights["moved"] == pytest.approx(0.656, abs=0.002)


def test_a_night_costs_the_more_the_more_it_finds(reads: dict[str, scale.Reads]) -> None:
    nights = [scale.night_bytes(reads[night], BANK) for night in scale.NIGHTS]
    assert nights == sorted(nights)
    full = sum(scale.model_bytes(reads["full"], BANK, looks=False).values())
    assert nights[-1] < full


def test_the_page_says_what_the_formula_gives(reads: dict[str, scale.Reads]) -> None:
    text = scale.PAGE.read_text(encoding="utf-8")
    assert text == scale.page(text, reads)


def predicates(condition: str) -> Any:
    """The predicates of a condition on `day` and `moment`, by column."""
    analyst = Analyst({"days": (Column("day", "DATE"), Column("moment", "TIMESTAMP"), Column("n", "INT64"))})
    ((_, _, found),) = analyst.reads(f"select n from days where {condition}")
    return found


@pytest.mark.parametrize(
    ("condition", "days"),
    [
        ("day >= '2019-03-01'", [[30, None]]),
        ("day > '2019-03-01' and day < '2019-03-31'", [[29, 1]]),
        ("day <= '2019-03-01'", [[None, 30]]),
        ("day = '2019-03-30'", [[1, 1]]),
        ("day in ('2019-03-30', '2019-03-31', '2019-03-02')", [[29, 29], [1, 0]]),
        ("day is null or day in ('2019-03-30', '2019-04-01')", [[1, 1], [-1, -1]]),
        ("day is not null", [[None, None]]),
        ("day is null", []),
        ("day >= '1900-01-01'", [[None, None]]),
        ("day < '2019-03-01' and day > '2019-03-10'", []),
        ("n = 1", [[None, None]]),
        ("day >= '2019-03-01' or n = 1", [[None, None]]),
    ],
)
def test_the_days_that_conditions_leave(condition: str, days: list[list[int | None]]) -> None:
    found = predicates(condition).get("day", ())
    assert [told(one, DAY) for one in ranges_of(found)] == days


@pytest.mark.parametrize(
    ("condition", "days"),
    [
        ("moment >= '2019-03-01 00:00:00+00' and moment < '2019-03-02 00:00:00+00'", [[30, 30]]),
        (
            "moment >= '2019-03-01' and moment < '2019-03-02' or moment >= '2019-03-31' and moment < '2019-04-01'",
            [[30, 30], [0, 0]],
        ),
        ("moment < '2019-03-30 12:00:00+00'", [[None, 1]]),
        ("moment > '2019-03-30 00:00:00+00'", [[1, None]]),
        ("date(moment) > '2019-03-30'", [[0, None]]),
    ],
)
def test_the_days_that_conditions_on_a_moment_leave(condition: str, days: list[list[int | None]]) -> None:
    found = predicates(condition).get("moment", ())
    assert [told(one, DAY) for one in ranges_of(found)] == days


def test_ranges_hold_the_same_days_after_they_are_merged() -> None:
    numbers = [(1, 3), (2, 2), (4, 6), (8, 9), (9, 12), (20, 20)]
    found = merged([(date(2019, 1, first), date(2019, 1, last)) for first, last in numbers])
    assert [(first.day, last.day) for first, last in found] == [(1, 6), (8, 12), (20, 20)]
    every = [first + timedelta(days=day) for first, last in found for day in range((last - first).days + 1)]
    assert {one.day for one in every} == {day for first, last in numbers for day in range(first, last + 1)}
