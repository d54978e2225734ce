"""Published figures of others: CDNOW, on which half of the customers buy once and never again."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import builds
import pytest
from cdnow import CUSTOMERS, PURCHASES, SHARED, as_bank, master_file, purchases
from chain import Published, publish
from histories import write_csv
from survival_curves import assert_is_lifelines_curve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(master_file() is None, reason=f"neither the package lifetimes is installed nor is {SHARED} there"),
]
LAST_DAY = date(1998, 6, 30)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    path = master_file()
    assert path is not None
    raw = write_csv(tmp_path_factory.mktemp("cdnow"), as_bank(path).tables())
    with builds.building(builds.direct):
        return publish(raw, tmp_path_factory.mktemp("home"), inactivity_days=90)


def test_every_customer_and_every_purchase_is_there(published: Published) -> None:
    assert published.as_of == LAST_DAY
    assert len(published.rows("mart_customers")) == CUSTOMERS
    assert sum(published.values("transactions").values()) == PURCHASES


def test_the_published_retention_after_a_month_of_the_three_cohorts(published: Published) -> None:
    cells = published.figures("retention_cohort", grain="month", kind="classic")
    found = {
        cohort.month: (figure.n, round(100 * (figure.value or 0), 2)) for (cohort, period), figure in cells.items() if period == 1
    }
    assert found == {1: (7_846, 14.75), 2: (8_476, 15.48), 3: (7_248, 14.24)}


def test_nobody_is_new_after_the_quarter(published: Published) -> None:
    new = published.values("new_customers", grain="month")
    assert new == {date(1997, 1, 1): 7_846, date(1997, 2, 1): 8_476, date(1997, 3, 1): 7_248}


def test_half_of_them_buy_on_one_day_alone_and_all_of_these_have_lapsed(published: Published) -> None:
    days: dict[str, set[date]] = {}
    for customer, day, _, _ in purchases(master_file() or Path()):
        days.setdefault(customer.lstrip("0"), set()).add(day)
    once = {customer: first for customer, (first, *more) in days.items() if not more}
    assert len(once) == 12_054
    rows = {row["user_id"]: row for row in published.rows("mart_customers") if row["active_days"] == 1}
    assert rows.keys() == once.keys()
    assert {(row["is_active"], row["lapses"]) for row in rows.values()} == {(False, 1)}
    assert all(row["lapsed_on"] == once[customer] + timedelta(days=90) for customer, row in rows.items())


@pytest.mark.parametrize("window", [7, 30, 90, 180])
def test_the_time_to_a_first_lapse_is_what_lifelines_estimates(published: Published, window: int) -> None:
    lives: dict[str, set[date]] = {}
    for customer, day, _, _ in purchases(master_file() or Path()):
        lives.setdefault(customer, set()).add(day)
    assert_is_lifelines_curve(published, [_first_lapse(sorted(days), window) for days in lives.values()], {"window": window})


def _first_lapse(days: list[date], window: int) -> tuple[int, bool]:
    """Days from the first purchase to the first silence of the whole window, or to the end of the file."""
    for day, following in zip(days, [*days[1:], LAST_DAY + timedelta(days=1)], strict=True):
        if (following - day).days > window:
            return (day - days[0]).days + window, True
    return (LAST_DAY - days[0]).days, False
