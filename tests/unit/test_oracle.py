"""The oracle itself: figures worked out by hand, and its two ways of counting agree."""

from __future__ import annotations

from datetime import UTC, date, datetime

import oracle
import pytest
from histories import History, random_bank

N = 7


def bank_of(history: History, *, as_of: date) -> oracle.Bank:
    return oracle.bank(history.tables(), current_day=date(2022, 1, 1), as_of=as_of)


def february_leavers() -> History:
    """Three customers inside a stretch on 31 January, of whom two leave in February, and one silent since the day before."""
    history = History()
    for number in (1, 2, 3, 4):
        history.customer(number, opened=date(2020, 1, 1))
    history.active(1, date(2020, 1, 28), date(2020, 2, 2), date(2020, 2, 5))
    history.active(2, date(2020, 1, 30), date(2020, 2, 10))
    history.active(3, date(2020, 1, 31), date(2020, 2, 28))
    history.active(4, *(date(2020, 1, 25), date(2020, 2, 1), date(2020, 2, 8), date(2020, 2, 15), date(2020, 2, 22)))
    history.active(4, date(2020, 2, 29))
    return history


def test_a_customer_leaves_on_the_effective_clock_the_day_after_the_last() -> None:
    churn = oracle.monthly_churn_effective(bank_of(february_leavers(), as_of=date(2020, 3, 6)), N)
    february, march = churn[date(2020, 2, 1)], churn[date(2020, 3, 1)]
    assert (february.n, february.counts["churned"], february.final_on) == (3, 2, date(2020, 3, 6))
    assert not february.provisional(date(2020, 3, 6))
    # of customer 4, last seen on 29 February, nothing is known before 7 March; customer 3 was not seen on that day
    assert (march.n, march.counts["churned"]) == (1, 0)
    later = oracle.monthly_churn_effective(bank_of(february_leavers(), as_of=date(2020, 3, 7)), N)
    assert (later[date(2020, 3, 1)].n, later[date(2020, 3, 1)].value) == (1, 1.0)
    assert later[date(2020, 2, 1)] == february


def test_the_recognised_clock_counts_the_same_leavers_when_the_silence_is_over() -> None:
    churn = oracle.monthly_churn(bank_of(february_leavers(), as_of=date(2020, 3, 7)), N)
    # on 31 January all four had been seen within a week: 1 (5 February + 7), 2 (30 January + 7) and 3 (31 January + 7) lapse
    assert (churn[date(2020, 2, 1)].n, churn[date(2020, 2, 1)].counts["churned"]) == (4, 3)


def returners() -> History:
    history = History()
    for number in (1, 2, 3, 4):
        history.customer(number, opened=date(2020, 1, 1), plan="METAL" if number == 4 else "STANDARD")
    history.active(1, date(2020, 1, 1), date(2020, 4, 7))  # recognised on 8 January, back after 90 days
    history.active(2, date(2020, 1, 1), date(2020, 4, 8))  # back after 91
    history.active(3, date(2020, 1, 2))
    history.active(4, date(2020, 1, 20), date(2020, 1, 28), date(2020, 2, 4))  # recognised on the 27th, back the day after
    return history


def test_who_is_back_within_ninety_days_of_the_recognition_came_back() -> None:
    january = oracle.came_back(bank_of(returners(), as_of=date(2020, 5, 1)), N)[date(2020, 1, 1)]
    assert (january.n, january.counts["came_back"], january.final_on) == (4, 2, date(2020, 4, 30))
    early = oracle.came_back(bank_of(returners(), as_of=date(2020, 4, 6)), N)[date(2020, 1, 1)]
    assert (early.n, early.counts["came_back"]) == (4, 1)
    assert early.provisional(date(2020, 4, 6))


def test_the_sensitivity_is_of_the_last_month_that_is_final() -> None:
    bank = bank_of(returners(), as_of=date(2020, 4, 30))
    assert oracle.sensitivity(bank, "came_back")[N] == oracle.came_back(bank, N)[date(2020, 1, 1)]
    assert oracle.sensitivity(bank, "churn")[N].final_on == date(2020, 4, 30)
    assert oracle.sensitivity(bank_of(returners(), as_of=date(2020, 1, 30)), "churn") == {}
    active = oracle.sensitivity(bank, "active")
    # silent for 119, 86, 23 and 22 days
    assert [active[window].value for window in (22, 23, 24, 86, 87, 118, 119, 120)] == [0, 1, 2, 2, 3, 3, 3, 4]


def test_signup_cohort_is_the_month_in_which_a_customer_is_first_known() -> None:
    history = History()
    history.customer(1, opened=datetime(2020, 2, 29, 23, 30, tzinfo=UTC))  # in Paris 1 March
    history.customer(2, opened=date(2020, 3, 1))
    history.active(2, date(2020, 2, 1))
    history.active(3, date(2020, 4, 30))
    bank = bank_of(history, as_of=date(2020, 4, 30))
    assert {one.user_id: one.signup_cohort for one in bank.customers} == {"1": "2020-03", "2": "2020-02", "3": "2020-04"}


def test_silence_is_judged_by_the_days_that_follow_of_those_active_then() -> None:
    bank = bank_of(returners(), as_of=date(2020, 5, 1))
    silent = oracle.silent_after(bank, date(2020, 1, 20), window=30, days=8)
    assert {one.user_id: was for one, was in silent.items()} == {"1": True, "2": True, "3": True, "4": False}
    assert [one.user_id for one in oracle.silent_after(bank, date(2020, 1, 20), window=N, days=7)] == ["4"]
    with pytest.raises(ValueError, match="not over"):
        oracle.silent_after(bank, date(2020, 4, 30), window=30, days=2)


@pytest.mark.parametrize("seed", range(3))
def test_lapses_and_churn_are_the_same_by_walk_and_by_definition(seed: int) -> None:
    history = random_bank(seed, customers=40, first_day=date(2019, 12, 1), last_day=date(2020, 9, 30))
    bank = bank_of(history, as_of=date(2020, 9, 12))
    for kind, figures in (("churn", oracle.monthly_churn), ("came_back", oracle.came_back)):
        months = {"churn": date(2020, 8, 1), "came_back": date(2020, 5, 1)}
        by_window = oracle.sensitivity(bank, kind)
        for window in (7, 29, 30, 31, 90, 180):
            assert by_window[window] == figures(bank, window)[months[kind]]
    for window in (7, 30, 181):
        for customer in bank.ever_active:
            walked = [day.day for day in oracle.walk(customer, window, bank.as_of) if day.event == "churned"]
            assert oracle.recognised_lapses(customer, window, bank.as_of) == walked
            for day in (date(2020, 2, 29), bank.as_of):
                position = (day - customer.known_from).days
                active = position >= 0 and oracle.walk(customer, window, bank.as_of)[position].is_active
                assert active == (customer in oracle.active_on(bank, day, window))
