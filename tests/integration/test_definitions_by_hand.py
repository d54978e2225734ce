"""DEFINITIONS on a dozen-odd customers whose figures are worked out by hand, asked of the chain and of the oracle alike.

One bank holds every case; a customer's country names its case, so that a filter on the country isolates it. N is 7 days,
the first day is 1 October 2019, the last one with data Wednesday 15 April 2020.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import builds
import pytest
from chain import Asking, Replayed, publish
from histories import History, stamp, write_csv

N = 7
AS_OF = date(2020, 4, 15)
PIN = date(2020, 2, 15)

EXACTLY_N, N_AND_ONE, LONE, NEVER, NOT_COUNTING, SILENT, NOT_YET_SILENT = "AT", "BE", "BG", "CH", "CY", "CZ", "DE"
AND_BACK, JOINER, TWICE, LEAP, LEAP_GAP, CLOCKS, EARLY = "DK", "EE", "ES", "FI", "FR", "GB", "GR"
SENT_AGAIN, CONTRADICTED = "LU", "LV"
COHORT, CURVE, AMOUNTS, WAITING, CHURNERS, WEEK = "HR", "HU", "IE", "IS", "IT", "LT"


def january(day: int) -> date:
    return date(2020, 1, day)


def february(day: int) -> date:
    return date(2020, 2, day)


def march(day: int) -> date:
    return date(2020, 3, day)


def april(day: int) -> date:
    return date(2020, 4, day)


def hand_made_bank() -> History:
    """Each case with its customers; what they must come to stands in the test of the case."""
    history = History()
    edges_of_the_window(history)
    months_and_leap_days(history)
    midnights(history)
    several_customers(history)
    payments(history)
    copies(history)
    return history


def edges_of_the_window(history: History) -> None:
    history.customer(1, opened=january(1), country=EXACTLY_N)
    history.active(1, january(1), january(8))
    history.customer(2, opened=january(1), country=N_AND_ONE)
    history.active(2, january(1), january(9))
    history.customer(3, opened=january(5), country=LONE)
    history.active(3, january(10))
    history.customer(4, opened=january(20), country=NEVER)
    history.customer(5, opened=january(20), country=NOT_COUNTING)
    history.transaction(5, january(21), type="FEE")
    history.transaction(5, january(22), type="CASHBACK")
    history.transaction(5, january(23), state="DECLINED")
    history.customer(6, opened=april(1), country=SILENT)
    history.active(6, april(2), april(8))
    history.customer(7, opened=april(1), country=NOT_YET_SILENT)
    history.active(7, april(2), april(9))
    history.customer(8, opened=february(10), country=EARLY)
    history.active(8, february(8), february(12))


def months_and_leap_days(history: History) -> None:
    history.customer(9, opened=january(30), country=AND_BACK)
    history.active(9, january(30), february(20), february(26), march(2))
    history.customer(10, opened=february(1), country=JOINER)
    history.active(10, february(3))
    history.customer(11, opened=january(31), country=TWICE)
    history.active(11, january(31), february(12), february(25), march(1))
    history.customer(12, opened=february(22), country=LEAP)
    history.active(12, february(22), february(29), march(7))
    history.customer(13, opened=february(22), country=LEAP_GAP)
    history.active(13, february(22), march(1))


def midnights(history: History) -> None:
    history.customer(14, opened=date(2019, 10, 1), country=CLOCKS)
    for moment in (
        datetime(2019, 10, 25, 22, 30, tzinfo=UTC),  # summer time, 00:30 of the 26th
        datetime(2019, 10, 26, 21, 30, tzinfo=UTC),  # summer time, 23:30 of the 26th
        datetime(2019, 10, 27, 22, 30, tzinfo=UTC),  # the clocks went back at 3:00: 23:30 of the 27th
        datetime(2019, 10, 28, 23, 30, tzinfo=UTC),  # winter time, 00:30 of the 29th
        datetime(2020, 3, 27, 23, 30, tzinfo=UTC),  # winter time, 00:30 of the 28th
        datetime(2020, 3, 28, 22, 30, tzinfo=UTC),  # winter time, 23:30 of the 28th
        datetime(2020, 3, 29, 22, 30, tzinfo=UTC),  # the clocks went forward at 2:00: 00:30 of the 30th
        datetime(2020, 3, 31, 23, 30, tzinfo=UTC),  # summer time, 01:30 of 1 April
    ):
        history.transaction(14, moment)


def several_customers(history: History) -> None:
    for number, days in (
        (21, (january(6), january(20), february(3), april(1))),
        (22, (january(31), march(10))),
        (23, (january(15),)),
        (24, (february(2), march(3))),
    ):
        history.customer(number, opened=january(6), country=COHORT)
        history.active(number, *days)
    for number, days in (
        (31, (march(1), march(5))),
        (32, (march(10),)),
        (33, (march(20), march(27), april(3), april(10))),
        (34, (april(8),)),
        (35, (april(12),)),
    ):
        history.customer(number, opened=march(1), country=CURVE)
        history.active(number, *days)
    for number, opened, day in (
        (41, march(1), march(1)),
        (42, march(1), march(11)),
        (43, march(26), None),
        (44, april(10), None),
    ):
        history.customer(number, opened=opened, country=WAITING)
        history.active(number, *(day for day in (day,) if day is not None))
    for number, days in (
        (51, (january(29), february(4), february(11))),
        (52, (january(31), february(5), february(10), february(16), february(22), february(28), march(5))),
        (53, (january(27),)),
        (54, (january(24),)),
    ):
        history.customer(number, opened=january(24), country=CHURNERS)
        history.active(number, *days)
    history.customer(61, opened=february(24), country=WEEK)
    history.active(61, march(1), march(2), march(9))


def payments(history: History) -> None:
    for number in (71, 72):
        history.customer(number, opened=january(2), country=AMOUNTS)
    for number, day, amount in (
        (71, january(3), "100.0"),
        (71, february(3), "60.0"),
        (72, january(4), "50.5"),
        (72, february(4), "90.0"),
    ):
        history.transaction(number, day, amount=amount, type="TRANSFER")
    history.transaction(72, march(4), amount="30.0", type="TRANSFER")
    history.customer(81, opened=january(2), country="NO")
    for presence, amount, type in (
        ("FALSE", "10.0", "CARD_PAYMENT"),
        ("false", "30.0", "CARD_PAYMENT"),
        ("TRUE", "20.0", "CARD_PAYMENT"),
        ("true", "20.0", "ATM"),
        ("UNKNOWN", "5.0", "CARD_PAYMENT"),
        ("", "7.0", "CARD_PAYMENT"),
    ):
        history.transaction(81, february(14), presence=presence, amount=amount, type=type, merchant_country="ROM")
    history.transaction(81, february(15), presence="FALSE", merchant_country="ROU", state="DECLINED")
    history.transaction(81, february(15), presence="FALSE", merchant_country="ROU", amount="20.0")
    repeated = history.transaction(81, february(16), presence="FALSE", merchant_country="ROU", amount="40.0")
    history.transactions.append(dict(repeated))
    history.customer(82, opened="30/02/2020", country="SE")
    history.transaction(82, january(11), state="DECLINED")
    history.active(82, january(13))
    history.transaction(14, AS_OF, type="FEE")


def copies(history: History) -> None:
    history.customer(91, opened=january(2), country=SENT_AGAIN)
    first = history.transaction(91, january(5))
    history.transactions.append(first | {"created_date": stamp(march(1))})
    history.customer(92, opened=january(2), country=CONTRADICTED)
    for day, states in (
        (6, ("COMPLETED", "REVERTED")),
        (7, ("CANCELLED", "COMPLETED")),
        (8, ("FAILED", "PENDING", "COMPLETED", "DECLINED")),
        (9, ("PENDING", "COMPLETED")),
        (10, ("COMPLETED", "PENDING", "LOST")),
    ):
        first = history.transaction(92, january(day), state=states[0])
        history.transactions += [first | {"transactions_state": state} for state in states[1:]]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    folder = write_csv(tmp_path_factory.mktemp("hand") / "raw", hand_made_bank().tables())
    return publish(folder, tmp_path_factory.mktemp("home"), inactivity_days=N)


@pytest.fixture(scope="module")
def oracle() -> Asking:
    return Replayed(hand_made_bank().tables(), window=N)


@pytest.fixture(scope="module")
def pinned_chain(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    folder = write_csv(tmp_path_factory.mktemp("pinned") / "raw", hand_made_bank().tables())
    with builds.building(builds.direct):
        return publish(folder, tmp_path_factory.mktemp("home"), inactivity_days=N, as_of=PIN)


@pytest.fixture(scope="module")
def pinned_oracle() -> Asking:
    return Replayed(hand_made_bank().tables(), window=N, as_of=PIN)


@pytest.fixture(params=["chain", "oracle"])
def source(request: pytest.FixtureRequest) -> Asking:
    found: Asking = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["pinned_chain", "pinned_oracle"])
def pinned(request: pytest.FixtureRequest) -> Asking:
    found: Asking = request.getfixturevalue(request.param)
    return found


def happened(source: Asking, country: str) -> dict[str, list[date]]:
    """The days of each event in a case with one customer."""
    return {event: sorted(source.values(f"{event}_customers", country=country)) for event in ("new", "churned", "resurrected")}


def active_days(source: Asking, country: str) -> list[date]:
    return sorted(source.values("dau", country=country))


ACTIVE, INACTIVE = True, False
OPEN = None


def test_a_gap_of_exactly_n_days_is_bridged(source: Asking) -> None:
    # 1 -> 8 January is a gap of 7: on the 7th six days have passed, on the 8th the seventh is a day of activity.
    assert happened(source, EXACTLY_N) == {"new": [january(1)], "churned": [january(15)], "resurrected": []}
    assert source.stretches(1) == [
        (ACTIVE, january(1), january(8), january(1), False),
        (INACTIVE, january(9), OPEN, january(15), False),
    ]


def test_a_gap_of_n_and_one_days_is_a_lapse_of_one_day(source: Asking) -> None:
    # 1 -> 9 January is a gap of 8: on the 8th seven days have passed, a lapse, and the 9th is a return.
    assert happened(source, N_AND_ONE) == {
        "new": [january(1)],
        "churned": [january(8), january(16)],
        "resurrected": [january(9)],
    }
    assert source.stretches(2) == [
        (ACTIVE, january(1), january(1), january(1), False),
        (INACTIVE, january(2), january(8), january(8), False),
        (ACTIVE, january(9), january(9), january(9), False),
        (INACTIVE, january(10), OPEN, january(16), False),
    ]


def test_the_same_gap_under_a_window_one_day_longer_is_no_lapse(source: Asking) -> None:
    assert source.values("churned_customers", window=8, country=N_AND_ONE) == {january(17): 1}
    assert source.values("resurrected_customers", window=8, country=N_AND_ONE) == {}


def test_a_lone_active_day_is_a_stretch_of_one_day(source: Asking) -> None:
    assert source.stretches(3) == [
        (INACTIVE, january(5), january(9), january(5), False),
        (ACTIVE, january(10), january(10), january(10), False),
        (INACTIVE, january(11), OPEN, january(17), False),
    ]
    # Active under N = 7 at the end of the 10th to the 16th: seven days.
    assert source.values("active_customers", country=LONE) == {january(day): 1 for day in range(10, 17)}


def test_who_never_transacted_has_one_inactive_stretch_from_opening(source: Asking) -> None:
    assert source.stretches(4) == [(INACTIVE, january(20), OPEN, january(20), False)]
    assert happened(source, NEVER) == {"new": [], "churned": [], "resurrected": []}


def test_fees_cashback_and_declined_payments_keep_nobody_active(source: Asking) -> None:
    assert source.stretches(5) == [(INACTIVE, january(20), OPEN, january(20), False)]
    assert happened(source, NOT_COUNTING) == {"new": [], "churned": [], "resurrected": []}
    assert active_days(source, NOT_COUNTING) == []


def test_a_trailing_silence_is_a_stretch_once_it_has_lasted_n_days(source: Asking) -> None:
    # Last seen 8 April, as_of 15 April: 15 - 8 = 7, lapsed on the last day of all.
    assert source.stretches(6) == [
        (INACTIVE, april(1), april(1), april(1), False),
        (ACTIVE, april(2), april(8), april(2), False),
        (INACTIVE, april(9), OPEN, april(15), False),
    ]
    assert happened(source, SILENT) == {"new": [april(2)], "churned": [april(15)], "resurrected": []}


def test_a_trailing_silence_shorter_than_n_leaves_the_active_stretch_open(source: Asking) -> None:
    # Last seen 9 April: 15 - 9 = 6. The gap 2 -> 9 April is 7, bridged.
    assert source.stretches(7) == [
        (INACTIVE, april(1), april(1), april(1), False),
        (ACTIVE, april(2), OPEN, april(2), True),
    ]
    assert happened(source, NOT_YET_SILENT) == {"new": [april(2)], "churned": [], "resurrected": []}


def test_activity_before_opening_starts_the_first_stretch(source: Asking) -> None:
    assert source.stretches(8) == [
        (ACTIVE, february(8), february(12), february(8), False),
        (INACTIVE, february(13), OPEN, february(19), False),
    ]
    assert happened(source, EARLY) == {"new": [february(8)], "churned": [february(19)], "resurrected": []}


def test_a_customer_who_lapses_and_returns_inside_one_month_has_churned_in_it(source: Asking) -> None:
    # Last seen 30 January: lapse on 6 February; back on the 20th; 26 February and 2 March bridge; lapse on 9 March.
    assert happened(source, AND_BACK) == {
        "new": [january(30)],
        "churned": [february(6), march(9)],
        "resurrected": [february(20)],
    }
    # Active at the end of 31 January (1 day silent) and of 29 February (3 days silent), not of 31 March.
    assert source.shares("monthly_churn_rate", country=AND_BACK) == {february(1): (1.0, 1), march(1): (1.0, 1)}


def test_joiners_of_the_month_are_in_neither_part_of_its_churn(source: Asking) -> None:
    # Joined on 3 February, lapsed on the 10th: never active at the start of any month.
    assert happened(source, JOINER) == {"new": [february(3)], "churned": [february(10)], "resurrected": []}
    assert source.shares("monthly_churn_rate", country=JOINER) == {}


def test_two_lapses_inside_one_month_are_one_churned_customer(source: Asking) -> None:
    # 31 January, lapse 7 February; 12 February, lapse on the 19th; 25 February, 1 March bridges; lapse 8 March.
    assert happened(source, TWICE) == {
        "new": [january(31)],
        "churned": [february(7), february(19), march(8)],
        "resurrected": [february(12), february(25)],
    }
    assert source.shares("monthly_churn_rate", country=TWICE) == {february(1): (1.0, 1), march(1): (1.0, 1)}


def test_who_transacts_inside_the_month_and_lapses_in_it_still_churns_in_it(source: Asking) -> None:
    # Active at the end of 31 January: 51 (29th), 52 (31st) and 53 (27th); 54 was last seen on the 24th, 7 days: lapsed.
    # 51: 29 January, 4 and 11 February, lapse on the 18th: churns, although the pair of 29 January is bridged.
    # 52: gaps 5 5 6 6 6 6 to 5 March: stays through February, lapses on 12 March. 53: lapse on 3 February.
    assert source.shares("monthly_churn_rate", country=CHURNERS)[february(1)] == (pytest.approx(2 / 3), 3)
    assert source.values("churned_customers", country=CHURNERS) == {
        january(31): 1,
        february(3): 1,
        february(18): 1,
        march(12): 1,
    }
    # March starts with 52 alone, who lapses on the 12th; April starts with nobody.
    assert source.shares("monthly_churn_rate", country=CHURNERS)[march(1)] == (1.0, 1)
    assert april(1) not in source.shares("monthly_churn_rate", country=CHURNERS)


def test_on_the_effective_clock_a_customer_leaves_the_day_after_the_last_active_day(source: Asking) -> None:
    # Stretches that hold 31 January: 51 (to 11 February, gone on the 12th) and 52 (to 5 March, gone on the 6th). 53 and 54
    # were last seen on the 27th and the 24th: gone in January, the month they came in.
    found = source.figures("monthly_churn_rate", kind="effective", country=CHURNERS)
    told = {month: (figure.value, figure.n) for month, figure in found.items() if figure.n}
    assert told == {february(1): (0.5, 2), march(1): (1.0, 1)}
    # Who leaves on the last day of February has lapsed, or not, seven days after the 28th was the last active day.
    assert (found[february(1)].final_on, found[february(1)].provisional) == (march(6), False)
    april_s = source.figures("monthly_churn_rate", kind="effective", country=NOT_YET_SILENT).get(april(1))
    assert april_s is None or (april_s.final_on, april_s.provisional) == (date(2020, 5, 6), True)


def test_who_comes_back_within_ninety_days_of_the_lapse_was_not_gone_for_good(source: Asking) -> None:
    # Lapses: 21 on 13 January (back on the 20th), 27 January (back on 3 February), 10 February (back on 1 April), 8 April;
    # 22 on 7 February (back on 10 March), 17 March; 23 on 22 January; 24 on 9 February (back on 3 March), 10 March.
    found = source.figures("came_back_share", country=COHORT)
    assert {month: (figure.value, figure.n, figure.counts["came_back"]) for month, figure in found.items() if figure.n} == {
        january(1): (pytest.approx(2 / 3), 3, 2),
        february(1): (1.0, 3, 3),
        march(1): (0.0, 2, 0),
        april(1): (0.0, 1, 0),
    }
    # 90 days after 31 January: 29 of February, 31 of March, 30 of April.
    assert (found[january(1)].final_on, found[january(1)].provisional) == (april(30), True)


def test_every_window_from_a_week_to_half_a_year_is_answered_at_once(source: Asking) -> None:
    # Silent on 15 April for 14, 36, 91 and 43 days.
    active = source.figures("window_sensitivity", kind="active", country=COHORT)
    assert sorted(active) == list(range(7, 181))
    steps = {7: 0, 14: 0, 15: 1, 36: 1, 37: 2, 43: 2, 44: 3, 91: 3, 92: 4, 180: 4}
    assert {window: active[window].value for window in steps} == steps
    assert {figure.final_on for figure in active.values()} == {AS_OF}


def test_the_churn_of_the_last_month_under_every_window(source: Asking) -> None:
    # March. On 29 February 21, 22, 23 and 24 had been silent for 26, 29, 45 and 27 days; their gaps were 58, 39, open, 30.
    churn = source.figures("window_sensitivity", kind="churn", country=COHORT)
    told = {window: (churn[window].counts["churned"], churn[window].n) for window in (26, 27, 28, 30, 39, 45, 46, 58, 80)}
    assert told == {
        26: (0, 0),
        27: (1, 1),
        28: (2, 2),
        30: (2, 3),  # the gap of 30 days is bridged
        39: (1, 3),  # that of 39 too
        45: (1, 3),
        46: (2, 4),  # 23 is there now, and gone on 1 March
        58: (1, 4),  # 21 is back on the 58th day
        80: (0, 4),  # 15 January + 80 days is 4 April
    }
    assert {figure.final_on for figure in churn.values()} == {march(31)}


def test_who_came_back_under_every_window(source: Asking) -> None:
    # December ended more than 90 days before 15 April. 29 October to 28 March are 151 days: a lapse in December under
    # windows of 33 to 63 days, and back within 90 days of it from 61 on.
    came_back = source.figures("window_sensitivity", kind="came_back", country=CLOCKS)
    told = {window: (came_back[window].value, came_back[window].n) for window in (32, 33, 60, 61, 63, 64)}
    assert told == {32: (None, 0), 33: (0.0, 1), 60: (0.0, 1), 61: (1.0, 1), 63: (1.0, 1), 64: (None, 0)}
    assert {figure.final_on for figure in came_back.values()} == {march(30)}


def test_the_twenty_ninth_of_february_is_a_day(source: Asking) -> None:
    # 22 -> 29 February -> 7 March: 7 and 7 days in a leap year.
    assert source.stretches(12) == [
        (ACTIVE, february(22), march(7), february(22), False),
        (INACTIVE, march(8), OPEN, march(14), False),
    ]
    # 22 February -> 1 March: 8 days in a leap year, lapsed on the 29th.
    assert happened(source, LEAP_GAP) == {
        "new": [february(22)],
        "churned": [february(29), march(8)],
        "resurrected": [march(1)],
    }
    assert source.shares("monthly_churn_rate", country=LEAP)[march(1)] == (1.0, 1)
    assert march(1) not in source.shares("monthly_churn_rate", country=LEAP_GAP)


def test_the_bank_day_follows_paris_through_both_changes_of_the_clocks(source: Asking) -> None:
    assert active_days(source, CLOCKS) == [
        date(2019, 10, 26),
        date(2019, 10, 27),
        date(2019, 10, 29),
        march(28),
        march(30),
        april(1),
    ]


def test_a_row_of_users_that_cannot_be_read_leaves_a_customer_known_by_transactions(source: Asking) -> None:
    # 30/02/2020 is no date. The first transaction, a declined one, is of 11 January: opening. The first that counts: 13th.
    assert source.stretches(82) == [
        (INACTIVE, january(11), january(12), january(11), False),
        (ACTIVE, january(13), january(13), january(13), False),
        (INACTIVE, january(14), OPEN, january(20), False),
    ]
    assert happened(source, "unknown") == {"new": [january(13)], "churned": [january(20)], "resurrected": []}


def test_dau_wau_and_mau_look_back_one_seven_and_twenty_eight_days(source: Asking) -> None:
    # Active 1, 2 and 9 March. WAU of the 7th still reaches 1 March, of the 8th only the 2nd; MAU ends 28 days after the 9th.
    assert active_days(source, WEEK) == [march(1), march(2), march(9)]
    assert sorted(source.values("wau", country=WEEK)) == [march(day) for day in range(1, 16)]
    mau = source.values("mau", country=WEEK)
    assert (min(mau), max(mau), len(mau)) == (march(1), april(5), 36)
    # To 28 March all three days lie in the 28 (1..28 March); the 29th loses the 1st.
    stickiness = source.values("stickiness", country=WEEK)
    assert stickiness[march(28)] == pytest.approx(3 / 28)
    assert stickiness[march(29)] == pytest.approx(2 / 28)
    assert stickiness[april(5)] == pytest.approx(1 / 28)


def test_cohorts_follow_the_first_active_month(source: Asking) -> None:
    # January: 21 (6, 20 January, 3 February, 1 April), 22 (31 January, 10 March), 23 (15 January). February: 24 (also 3 March).
    third, whole = pytest.approx(1 / 3), 1.0
    assert source.shares("retention_cohort", grain="month", kind="classic", country=COHORT) == {
        (january(1), 0): (whole, 3),
        (january(1), 1): (third, 3),
        (january(1), 2): (third, 3),
        (january(1), 3): (third, 3),
        (february(1), 0): (whole, 1),
        (february(1), 1): (whole, 1),
        (february(1), 2): (0.0, 1),
    }
    # Unbounded: 21 and 22 are seen in February or later and in March or later, 21 alone in April.
    unbounded = source.shares("retention_cohort", grain="month", kind="unbounded", country=COHORT)
    assert [unbounded[january(1), period] for period in range(4)] == [
        (whole, 3),
        (pytest.approx(2 / 3), 3),
        (pytest.approx(2 / 3), 3),
        (third, 3),
    ]


def test_a_cohort_cell_stands_when_its_calendar_period_is_over_and_unbounded_n_days_later(source: Asking) -> None:
    classic = source.figures("retention_cohort", grain="month", kind="classic", country=COHORT)
    assert classic[january(1), 2].final_on == march(31)
    assert not classic[january(1), 2].provisional
    assert classic[january(1), 3].final_on == april(30)
    assert classic[january(1), 3].provisional
    unbounded = source.figures("retention_cohort", grain="month", kind="unbounded", country=COHORT)
    assert unbounded[january(1), 2].final_on == april(7)  # 31 March + 7
    assert unbounded[january(1), 3].final_on == date(2020, 5, 7)


def test_weekly_cohorts_start_on_mondays(source: Asking) -> None:
    # 1 March 2020 is a Sunday: the week of Monday 24 February. 2 March is the next week, 9 March the one after.
    cells = source.shares("retention_cohort", grain="week", kind="classic", country=WEEK)
    assert {key: share for key, (share, _) in cells.items() if share} == {
        (february(24), 0): 1.0,
        (february(24), 1): 1.0,
        (february(24), 2): 1.0,
    }
    assert max(period for _, period in cells) == 7  # Monday 13 April is seven weeks after 24 February


def test_a_range_that_starts_within_a_month_or_week_has_its_cohort(source: Asking) -> None:
    # A range from 15 January has January as every other monthly figure has; one from Sunday 1 March the week of 24 February.
    months = source.shares("retention_cohort", grain="month", country=COHORT, start=january(15), end=february(29))
    assert {cohort for cohort, _ in months} == {january(1), february(1)}
    assert {cohort for cohort, _ in source.shares("retention_cohort", grain="month", country=COHORT, start=february(1))} == {
        february(1)
    }
    weeks = source.shares("retention_cohort", grain="week", country=WEEK, start=march(1))
    assert {cohort for cohort, _ in weeks} == {february(24)}


def test_survival_is_kaplan_meier_on_recognised_lapses(source: Asking) -> None:
    # Days from first active day to lapse, or to as_of (+): 31: 1 -> 5 March, +7 = 11. 32: 7. 33: last seen 10 April,
    # 5 days silent: 26+. 34: 8 April, 7 days silent: 7. 35: 12 April: 3+.
    # At 7: four at risk (35 was censored at 3), two lapse: 1/2. At 11: two at risk, one lapses: 1/4.
    curve = source.curve("survival", country=CURVE)
    assert curve(0) == curve(6) == pytest.approx(1.0)
    assert curve(7) == curve(10) == pytest.approx(0.5)
    assert curve(11) == curve(26) == pytest.approx(0.25)


def test_the_interval_of_survival_is_greenwoods_on_the_log_log_scale(source: Asking) -> None:
    # At 7: variance of log S = 2 / (4 x 2) = 1/4, so se of log(-log S) = 0.5 / 0.693147 = 0.721348;
    # times 1.959964 = 1.413815; low = 0.5 ** exp(1.413815) = 0.0578, high = 0.5 ** exp(-1.413815) = 0.8449.
    figure = source.figures("survival", country=CURVE)[7]
    assert figure.low == pytest.approx(0.0578, abs=5e-5)
    assert figure.high == pytest.approx(0.8449, abs=5e-5)
    assert figure.n == 4


def test_time_to_first_transaction_counts_who_never_transacted_as_still_waiting(source: Asking) -> None:
    # 41 at once, 42 after 10 days, 43 waits since 20 days (26 March), 44 since 5 (10 April).
    # At 0: four at risk, one transacts: 3/4 still wait. 44 leaves at 5. At 10: two at risk (42, 43), one transacts: 3/8.
    transacted = source.curve("time_to_first_transaction", country=WAITING)
    assert transacted(0) == transacted(9) == pytest.approx(1 / 4)
    assert transacted(10) == transacted(20) == pytest.approx(5 / 8)


def test_l28_of_who_was_not_active_for_four_weeks_is_zero_and_not_that_of_an_earlier_day(source: Asking) -> None:
    # The lone customer was active on 10 January alone.
    found = source.figures("l28", country=LONE)
    assert set(found) == {(AS_OF, days) for days in range(1, 29)}
    assert {(figure.value, figure.n) for figure in found.values()} == {(0, 0)}


def test_amount_retention_compares_the_same_customers_in_two_months(source: Asking) -> None:
    # January 100 and 50.5, February 60 and 90: gross (60 + 50.5) / 150.5, net 150 / 150.5. March: 0 and 30 over 150.
    gross = source.values("amount_retention", kind="gross", country=AMOUNTS)
    net = source.values("amount_retention", kind="net", country=AMOUNTS)
    assert gross[february(1)] == pytest.approx(110.5 / 150.5, abs=1e-12)
    assert net[february(1)] == pytest.approx(150 / 150.5, abs=1e-12)
    assert gross[march(1)] == net[march(1)] == pytest.approx(30 / 150, abs=1e-12)


def test_concentration_is_the_share_of_the_largest_customers_of_a_month(source: Asking) -> None:
    # January 100 and 50.5: the largest tenth of two customers is one. Gini: 2 * (1 * 50.5 + 2 * 100) / (2 * 150.5) - 3 / 2.
    top = source.figures("amount_concentration", country=AMOUNTS)
    january = min(top)
    assert (top[january].value, top[january].n) == (pytest.approx(100 / 150.5, abs=1e-12), 2)
    gini = source.figures("amount_concentration", kind="gini", country=AMOUNTS)[january].value
    assert gini == pytest.approx(2 * (50.5 + 200) / (2 * 150.5) - 1.5, abs=1e-12)


def test_card_not_present_is_shared_among_the_payments_whose_presence_is_known(source: Asking) -> None:
    # Absent: 10, 30, 20 and 40 (its exact duplicate counts once). Present: 20 and an ATM withdrawal of 20. Two unknown.
    # The declined one is no payment. ROM is Romania, as ROU is.
    shares = source.shares("card_not_present_share", by="merchant_country")
    assert shares["ROU", february(1)] == (pytest.approx(4 / 6), 6)


def test_a_proportion_carries_wilsons_interval(source: Asking) -> None:
    # 4 of 6 at 95 %: centre (4 + 1.92073) / (6 + 3.84146) = 0.60161, half-width 0.30159: 0.3000 to 0.9032.
    figure = source.figures("card_not_present_share", by="merchant_country")["ROU", february(1)]
    assert figure.low == pytest.approx(0.3000, abs=5e-5)
    assert figure.high == pytest.approx(0.9032, abs=5e-5)


def test_a_month_is_final_on_its_last_day(source: Asking) -> None:
    churn = source.figures("monthly_churn_rate")
    assert churn[march(1)].final_on == march(31)
    assert not churn[march(1)].provisional
    assert churn[april(1)].final_on == april(30)
    assert churn[april(1)].provisional


def test_as_of_is_the_last_day_with_any_transaction_even_one_that_does_not_count(source: Asking) -> None:
    # The last row of all is a fee of 15 April; the last transaction that counts is of 12 April.
    assert source.as_of == AS_OF


def test_a_transaction_that_is_sent_again_on_a_later_day_moves_there(source: Asking) -> None:
    assert active_days(source, SENT_AGAIN) == [march(1)]


def test_a_pinned_as_of_does_not_know_yet_that_a_transaction_moves(pinned: Asking) -> None:
    assert active_days(pinned, SENT_AGAIN) == [january(5)]


def test_of_copies_of_one_moment_that_which_undoes_the_transaction_counts(source: Asking) -> None:
    # Reverted, cancelled and declined on the 6th, 7th and 8th; completed and not pending or lost on the 9th and the 10th.
    assert active_days(source, CONTRADICTED) == [january(9), january(10)]


def test_a_pinned_as_of_knows_nothing_of_later_days(pinned: Asking) -> None:
    assert pinned.as_of == PIN
    # On 15 February the customer who came back on the 20th is gone, and February is not over.
    assert pinned.stretches(9) == [
        (ACTIVE, january(30), january(30), january(30), False),
        (INACTIVE, january(31), OPEN, february(6), False),
    ]
    assert happened(pinned, AND_BACK) == {"new": [january(30)], "churned": [february(6)], "resurrected": []}
    churn = pinned.figures("monthly_churn_rate", country=AND_BACK)[february(1)]
    assert (churn.value, churn.n, churn.final_on, churn.provisional) == (1.0, 1, february(29), True)


def test_a_pinned_as_of_leaves_open_what_time_has_not_decided(pinned: Asking) -> None:
    # 8: last seen 12 February, three days silent. 12 opens on the 22nd: not yet a customer.
    assert pinned.stretches(8) == [(ACTIVE, february(8), OPEN, february(8), True)]
    assert pinned.stretches(12) == []
    assert max(pinned.values("active_customers")) == PIN
