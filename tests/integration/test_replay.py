"""Awkward random banks through the chain, every public figure against a replay of each customer day by day."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import builds
import oracle
import pytest
from chain import Published, Replayed, pairs, publish
from differences import close, differences
from histories import OTHER_STATES, History, random_bank, stamp, write_csv, write_parquet

from pipeline.errors import ConfigurationError
from pipeline.marts import CUSTOMER_DIMENSIONS, METRICS, Behind, Question, Search, TogetherError, family
from pipeline.marts.behind import has_a_list

WINDOWS = (7, 29, 30, 31, 60, 90, 180, 400)  # the last one is longer than any of these banks' histories
WINDOWED = {
    "active_customers",
    "new_customers",
    "resurrected_customers",
    "churned_customers",
    "quick_ratio",
    "monthly_churn_rate",
    "survival",
}
LEARNED = {"silence_risk", "silence_calibration"}  # replayed in test_silence.py
IN_THE_MIDDLE_OF_A_DAY = datetime(2020, 11, 10, 12, tzinfo=UTC)  # with rows of that day, and rows dated after it
FILTERS: tuple[Mapping[str, oracle.Values], ...] = (
    {"country": "GB"},
    {"country": "unknown"},
    {"plan_tier": "premium", "os": "Android"},
    {"country": "FR", "plan": "STANDARD", "age_band": "25-34"},
    {"country": ("FR", "GB", "unknown")},
    {"os": ("Android", "iOS"), "plan": ("STANDARD", "METAL")},
)
TOGETHER = 4  # random filters of several values a metric
NOT_TOGETHER = {"amount_concentration", "transaction_concentration"}


@dataclass(frozen=True)
class Twice:
    """One bank, published by the chain and replayed by the oracle."""

    published: Published
    replayed: Replayed

    @property
    def bank(self) -> oracle.Bank:
        return self.replayed.bank

    @property
    def window(self) -> int:
        return self.replayed.window


@pytest.fixture(scope="module", params=["as it comes", "another rule, zone and as_of"])
def twice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    folder, home = tmp_path_factory.mktemp("bank"), tmp_path_factory.mktemp("home")
    if request.param == "as it comes":
        tables = awkward_bank(20180101).tables()
        published = publish(write_csv(folder, tables), home, now=IN_THE_MIDDLE_OF_A_DAY, inactivity_days=30)
        return Twice(published, Replayed(tables, window=30, now=IN_THE_MIDDLE_OF_A_DAY))
    tables = awkward_bank(20190516).tables()
    with builds.building(builds.direct):
        published = publish(
            write_parquet(folder, tables),
            home,
            inactivity_days=90,
            as_of=date(2020, 9, 11),
            bank_timezone="America/New_York",
            activity_states="COMPLETED,PENDING",
            activity_excluded_types="FEE,TAX",
            activity_minimum_amount=0.01,
        )
    rule = oracle.Rule(frozenset({"COMPLETED", "PENDING"}), frozenset({"FEE", "TAX"}), Decimal("0.01"))
    return Twice(published, Replayed(tables, window=90, rule=rule, zone="America/New_York", as_of=date(2020, 9, 11)))


def awkward_bank(seed: int) -> History:
    history = random_bank(seed, customers=110, first_day=date(2019, 10, 20), last_day=date(2020, 11, 17))
    unreadable_amounts(history)
    rows_of_one_id(history)
    rows_of_one_id_at_random(history, random.Random(seed))
    odd_identifiers(history)
    return history


def unreadable_amounts(history: History) -> None:
    """Activity of which only the amount is lost, or beyond what money is."""
    history.customer(9001, opened=date(2020, 2, 1))
    for day, amount in ((1, ""), (15, "n/a"), (29, "1e3")):
        history.transaction(9001, date(2020, 2, day), amount=amount)


def rows_of_one_id(history: History) -> None:
    """A transaction corrected later, and a customer written twice."""
    history.customer(9002, opened=date(2020, 1, 10), country="PL")
    history.customer(9002, opened=date(2020, 1, 12), country="FR")
    first = history.transaction(9002, date(2020, 1, 20), state="PENDING")
    later = history.transaction(9002, date(2020, 3, 2))
    later["transaction_id"] = first["transaction_id"]


def rows_of_one_id_at_random(history: History, chance: random.Random) -> None:
    """Ids again: dated the day that is not over, on any later day, and at the same moment in a state that weighs otherwise."""
    readable = [row for row in history.transactions if oracle.moment(row["created_date"])]
    rows = iter(chance.sample(readable, 60))
    for _ in range(20):
        history.transactions.append(next(rows) | {"created_date": stamp(IN_THE_MIDDLE_OF_A_DAY), "amount_usd": "6.5"})
        moved = datetime(2020, chance.randint(7, 10), chance.randint(1, 28), 10, tzinfo=UTC)
        history.transactions.append(next(rows) | {"created_date": stamp(moved), "transactions_type": "ATM"})
        row = next(rows)
        states = [
            one for one in ("COMPLETED", *OTHER_STATES) if oracle.certainty(one) != oracle.certainty(row["transactions_state"])
        ]
        history.transactions.append(row | {"transactions_state": chance.choice(states), "amount_usd": "3.5"})


def odd_identifiers(history: History) -> None:
    """Ids without their prefix, ids that are no numbers, and rows without an id."""
    history.customer(9003, opened=date(2020, 5, 1))
    history.transaction(9003, date(2020, 5, 2))["user_id"] = "9003"
    history.transaction(9003, date(2020, 5, 3))["user_id"] = " user_9003 "
    for user_id in ("user_b7-x", "00017", "", "user_", "  "):
        history.transaction(9003, date(2020, 6, 1))["user_id"] = user_id
    history.transaction(9003, date(2020, 7, 1))["transaction_id"] = " "


# --- the read side ----------------------------------------------------------------------------------------------------


def questions(metric: str, window: int) -> Iterator[dict[str, Any]]:
    """Every way in which a metric can be asked: every window, grain, kind and cohort, then dimensions and filters."""
    asked = family(metric)
    if metric in WINDOWED:
        yield from ({"window": one} for one in WINDOWS)
    for grain in asked.grains or (None,):
        for kind in asked.kinds or (None,):
            for cohort in asked.cohorts or (None,):
                yield {"window": window, "grain": grain, "kind": kind, "cohort": cohort}
    for dimension in asked.dimensions:
        yield {"window": window, "by": dimension}
        yield {"window": 14, "by": dimension, "kind": asked.kinds[-1] if asked.kinds else None}
    if "country" in asked.dimensions:
        for one in (7, window):
            asked_of = [filters for filters in FILTERS if set(filters) <= set(asked.dimensions)]
            asked_of = [filters for filters in asked_of if metric not in NOT_TOGETHER or isinstance(filters["country"], str)]
            yield from ({"window": one, **filters} for filters in asked_of)


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in LEARNED])
def test_every_figure_of_a_metric_is_what_the_replay_counts(twice: Twice, metric: str) -> None:
    compared = 0
    for question in questions(metric, twice.window):
        found, wanted = (source.figures(metric, **question) for source in (twice.published, twice.replayed))
        assert differences(found, wanted) == [], f"{metric} {question}"
        compared += sum(figure.value is not None for figure in found.values())
    assert compared > 0


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in LEARNED | NOT_TOGETHER])
def test_several_values_of_a_dimension_count_whoever_has_any_of_them(twice: Twice, metric: str) -> None:
    draw, asked, compared = random.Random(metric), family(metric), 0
    for _ in range(TOGETHER):
        question = {"window": draw.choice((7, 30, 60)), "grain": draw.choice(asked.grains or (None,))}
        question |= {name: draw.choice(some or (None,)) for name, some in (("kind", asked.kinds), ("cohort", asked.cohorts))}
        question |= several(twice.bank, draw, asked.dimensions) | {"by": draw.choice((None, None, *asked.dimensions))}
        found, wanted = (source.figures(metric, **question) for source in (twice.published, twice.replayed))
        assert differences(found, wanted) == [], f"{metric} {question}"
        compared += sum(figure.value is not None for figure in found.values())
    assert compared > 0


def several(bank: oracle.Bank, draw: random.Random, dimensions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Two or three values of one or two dimensions, in any order."""
    of_transactions = {name: sorted({getattr(one, name) for one in bank.transactions}) for name in oracle.OF_TRANSACTIONS}
    values = {name: bank.values(name) if name in CUSTOMER_DIMENSIONS else of_transactions[name] for name in dimensions}
    chosen = draw.sample(sorted(values), min(len(values), draw.choice((1, 2))))
    return {name: tuple(draw.sample(values[name], min(len(values[name]), draw.choice((2, 3))))) for name in chosen}


@pytest.mark.parametrize("metric", ["new_customers", "churned_customers", "dau", "transactions"])
def test_what_adds_up_over_values_is_the_sum_of_each_of_them_alone(twice: Twice, metric: str) -> None:
    for dimension in CUSTOMER_DIMENSIONS:
        together = {dimension: tuple(twice.bank.values(dimension)[:3])}
        sums: dict[Any, float] = defaultdict(float)
        for value in together[dimension]:
            for key, count in twice.published.values(metric, **{dimension: value}).items():
                sums[key] += count
        assert sums
        assert twice.published.values(metric, **together) == dict(sums), together


def test_the_concentration_of_several_countries_together_is_refused_and_that_of_each_is_told(twice: Twice) -> None:
    where = pairs({"country": ("FR", "GB")})
    for metric in NOT_TOGETHER:
        with pytest.raises(TogetherError, match="known of everybody and of each country, and not of several together"):
            twice.published.reader.answer(Question(metric, where=where))
        split = twice.published.figures(metric, by="country", country=("FR", "GB"))
        assert {country for country, _ in split} == {"FR", "GB"}
        assert differences(split, twice.replayed.figures(metric, by="country", country=("FR", "GB"))) == []


def test_a_filter_by_type_state_or_merchant_country_counts_its_transactions_alone(twice: Twice) -> None:
    for metric, filters in (
        ("transactions", {"type": "ATM"}),
        ("transactions", {"state": "DECLINED", "country": "GB"}),
        ("transaction_amount", {"type": "CARD_PAYMENT", "plan_tier": "premium"}),
        ("transactions", {"type": ("ATM", "TRANSFER"), "state": ("DECLINED", "COMPLETED"), "country": ("GB", "FR")}),
        ("card_not_present_share", {"merchant_country": "ROU"}),
        ("card_not_present_share", {"merchant_country": ("ROU", "FRA")}),
    ):
        found, wanted = (source.figures(metric, **filters) for source in (twice.published, twice.replayed))
        assert found
        assert differences(found, wanted) == [], f"{metric} {filters}"


@pytest.mark.parametrize("window", WINDOWS)
def test_active_changes_every_day_by_who_comes_and_goes_and_by_nobody_else(twice: Twice, window: int) -> None:
    for by in (None, "country"):
        counts = {
            name: twice.published.figures(f"{name}_customers", window=window, by=by)
            for name in ("active", "new", "resurrected", "churned")
        }
        before: dict[str, float] = defaultdict(float)
        for key in sorted(counts["active"], key=lambda key: key[1] if by else key):
            segment = key[0] if by else "all"
            active, new, resurrected, churned = (count[key].value or 0 for count in counts.values())
            assert active == before[segment] + new + resurrected - churned, (by, key)
            before[segment] = active


# --- the lists behind the figures -------------------------------------------------------------------------------------

SHARES = {"monthly_churn_rate", "came_back_share", "retention_cohort"}
PARTS = {**dict.fromkeys((*SHARES, "l28"), ("value", "n")), "stickiness": ("n",)}
BY_PLACE = {"retention_cohort", "l28"}  # a day and a number are their time key
CELLS_OF_A_QUESTION = 2


def listed(twice: Twice, cell: Behind, **where: oracle.Values) -> list[tuple[str, date | None]]:
    """The user ids of a list and the days of what happened, whole; its total is its length."""
    page = twice.published.reader.customers(Search(where=pairs(where), behind=cell), limit=100_000)
    assert page.total == page.table.num_rows
    return list(zip(page.table["user_id"].to_pylist(), page.table["happened_on"].to_pylist(), strict=True))


@pytest.mark.parametrize("metric", [name for name in METRICS if has_a_list(name)])
def test_a_list_is_as_long_as_its_cell(twice: Twice, metric: str) -> None:
    draw, compared = random.Random(metric), 0
    for question in questions(metric, twice.window):
        dimensions = {name: value for name, value in question.items() if name in CUSTOMER_DIMENSIONS}
        by = question.get("by")
        named = {name: question.get(name) for name in ("window", "grain", "kind", "cohort")}
        cells = sorted(twice.published.figures(metric, **question).items())
        for key, figure in draw.sample(cells, min(len(cells), CELLS_OF_A_QUESTION)):
            group, time = key if by else (None, key)
            on, period = time if metric in BY_PLACE else (time, 0)
            where = dimensions | ({by: group} if by else {})
            for part in PARTS.get(metric, ("value",)):
                share = round((figure.value or 0) * (figure.n or 0)) if metric in SHARES else figure.value
                found = listed(twice, Behind(Question(metric, **named), on, period=period, part=part), **where)
                assert len(found) == (figure.n if part == "n" else share), (question, key, part)
                compared += len(found)
    assert compared > 0


@pytest.mark.parametrize("where", [{}, {"country": ("PL", "FR", "GB"), "plan": ("METAL", "STANDARD")}], ids=["all", "some"])
@pytest.mark.parametrize("window", [7, 60])
def test_a_list_names_whom_the_replay_names(twice: Twice, window: int, where: dict[str, oracle.Values]) -> None:
    bank, as_of = twice.bank.where(**where), twice.bank.as_of
    for month in twice.bank.months[1:]:
        end = min(oracle.period_end(month, "month"), as_of)
        by_month = {"window": window, "grain": "month"}
        active = {user for user, _ in listed(twice, Behind(Question("active_customers", **by_month), month), **where)}
        assert active == {one.user_id for one in oracle.active_on(bank, end, window)}, month
        for event in ("new", "resurrected", "churned"):
            wanted = sorted(
                (customer.user_id, day.day)
                for customer in bank.ever_active
                for day in oracle.walk(customer, window, as_of)
                if day.event == event and month <= day.day <= end
            )
            found = listed(twice, Behind(Question(f"{event}_customers", **by_month), month), **where)
            assert sorted(found) == wanted, (event, month)
        at_start = {one.user_id: one for one in oracle.active_on(bank, month - oracle.ONE_DAY, window)}
        churn = Question("monthly_churn_rate", window=window, kind="recognised")
        assert {user for user, _ in listed(twice, Behind(churn, month, part="n"), **where)} == set(at_start), month
        left = {
            user
            for user, one in at_start.items()
            if any(month <= day <= end for day in oracle.recognised_lapses(one, window, as_of))
        }
        assert {user for user, _ in listed(twice, Behind(churn, month), **where)} == left, month


@pytest.mark.parametrize("grain", ["month", "week"])
def test_the_list_of_a_cohort_cell_names_its_customers(twice: Twice, grain: str) -> None:
    members: dict[date, list[oracle.Customer]] = defaultdict(list)
    for customer in twice.bank.ever_active:
        members[oracle.period_start(customer.active_days[0], grain)].append(customer)
    for cohort, customers in sorted(members.items())[:: 7 if grain == "week" else 1]:
        for period, start in enumerate(oracle.periods(cohort, twice.bank.as_of, grain)):
            question = Question("retention_cohort", grain=grain, kind="classic", cohort="first_activity")
            wanted = {
                one.user_id for one in customers if any(oracle.period_start(day, grain) == start for day in one.active_days)
            }
            assert {user for user, _ in listed(twice, Behind(question, cohort, period=period))} == wanted, (cohort, period)


def test_the_lists_of_single_days_name_whom_the_replay_names(twice: Twice) -> None:
    bank, draw = twice.bank, random.Random(28)
    days = oracle.calendar(min(one.active_days[0] for one in bank.ever_active), bank.as_of)
    for day in [days[0], *draw.sample(days, 25), days[-1]]:
        wanted = {one.user_id for one in bank.customers if day in one.active_days}
        assert {user for user, _ in listed(twice, Behind(Question("dau"), day))} == wanted, day
    ends = [oracle.period_end(month, "month") for month in bank.months if oracle.period_end(month, "month") <= bank.as_of]
    named = 0
    for day in [*draw.sample(ends, min(len(ends), 6)), bank.as_of]:
        within = {
            one.user_id: sum(day - 28 * oracle.ONE_DAY < active <= day for active in one.active_days)
            for one in bank.customers
            if one.known_from <= day - 28 * oracle.ONE_DAY
        }
        for count in range(1, 29):
            found = {user for user, _ in listed(twice, Behind(Question("l28"), day, period=count))}
            assert found == {user for user, active in within.items() if active == count}, (day, count)
            named += len(found)
        assert {user for user, _ in listed(twice, Behind(Question("l28"), day, part="n"))} == {
            user for user, active in within.items() if active
        }
    assert named > 0


def test_a_metric_without_a_list_says_so(twice: Twice) -> None:
    with pytest.raises(ConfigurationError, match="transactions are not known one by one"):
        listed(twice, Behind(Question("transactions"), twice.bank.as_of))
    for days in (0, 29):
        with pytest.raises(ConfigurationError, match=f"counted on {days} of 28 days"):
            listed(twice, Behind(Question("l28"), twice.bank.as_of, period=days))


# --- the published marts ----------------------------------------------------------------------------------------------


def by_key(rows: list[dict[str, Any]], *names: str) -> dict[Any, dict[str, Any]]:
    found = {tuple(row[name] for name in names): row for row in rows}
    assert len(found) == len(rows), f"{names} is not a key"
    return found


def assert_columns(found: Mapping[str, Any], wanted: Mapping[str, Any], about: Any) -> None:
    for name, value in wanted.items():
        if isinstance(value, float | Decimal):
            assert close(found[name], value, 1e-9), (about, name, found[name], value)
        else:
            assert found[name] == value, (about, name, found[name], value)


def test_the_interval_table_is_the_replayed_calendar_of_every_customer(twice: Twice) -> None:
    wanted = {
        (one.user_id, one.starting_date): (one.is_active, one.ending_date, one.recognised_on, one.is_provisional)
        for customer in twice.bank.customers
        for one in oracle.stretches(customer, twice.window, twice.bank.as_of)
    }
    found = {
        (row["user_id"], row["starting_date"]): (
            row["is_active"],
            row["ending_date"],
            row["recognised_on"],
            row["is_provisional"],
        )
        for row in twice.published.rows("mart_user_is_active")
    }
    assert found == wanted


def test_each_customer_has_the_active_days_of_the_replay(twice: Twice) -> None:
    for customer in twice.bank.customers:
        found = twice.published.reader.customer(customer.user_id)
        assert found is not None
        assert found.active_days == customer.active_days, customer.user_id


def test_each_customer_is_in_exactly_one_stretch_on_each_day(twice: Twice) -> None:
    days: dict[str, list[date]] = defaultdict(list)
    for row in twice.published.rows("mart_user_is_active"):
        days[row["user_id"]] += oracle.calendar(row["starting_date"], row["ending_date"] or twice.bank.as_of)
    for customer in twice.bank.customers:
        assert sorted(days.pop(customer.user_id)) == oracle.calendar(customer.known_from, twice.bank.as_of)
    assert days == {}


def test_growth_accounting_holds_every_segment_of_every_day(twice: Twice) -> None:
    rows = by_key(twice.published.rows("mart_growth_accounting"), "segment", "segment_value", "date")
    for segment, value, bank in twice.bank.segments(CUSTOMER_DIMENSIONS):
        for day, count in oracle.growth(bank, twice.window).items():
            names = ("active", "new", "resurrected", "churned")
            row = rows.pop((segment, value, day), dict.fromkeys([f"{name}_customers" for name in names], 0))
            assert_columns(row, {f"{name}_customers": count[name] for name in names}, (segment, value, day))
    assert rows == {}


def test_daily_activity_holds_every_segment_of_every_day(twice: Twice) -> None:
    rows = by_key(twice.published.rows("mart_daily_activity"), "segment", "segment_value", "date")
    for segment, value, bank in twice.bank.segments(CUSTOMER_DIMENSIONS):
        counts = {
            "dau": oracle.present_within(bank, 1),
            "wau": oracle.present_within(bank, 7),
            "mau": oracle.present_within(bank, 28),
        }
        sticky = oracle.stickiness(bank)
        for day in bank.days:
            row = rows.pop((segment, value, day), {"dau": 0, "wau": 0, "mau": 0, "stickiness": None})
            wanted = {name: count[day] for name, count in counts.items()} | {"stickiness": sticky[day].value}
            assert_columns(row, wanted, (segment, value, day))
    assert rows == {}


def test_monthly_churn_holds_every_segment_and_the_premium_table_its_two(twice: Twice) -> None:
    rows = by_key(twice.published.rows("mart_monthly_churn_rate"), "segment", "segment_value", "month")
    sides: dict[tuple[str, date], oracle.Point] = {}
    for segment, value, bank in twice.bank.segments(CUSTOMER_DIMENSIONS):
        for month, point in oracle.monthly_churn(bank, twice.window).items():
            if point.n:
                assert_columns(rows.pop((segment, value, month)), churn_columns(point, twice.bank.as_of), (segment, value, month))
                sides[value, month] = point
    assert rows == {}
    for row in twice.published.rows("mart_monthly_premium_churn_rate"):
        for side in ("premium", "standard"):
            point = sides.get((side, row["month"]))
            wanted = (
                {"customers_at_start": point.n, "churned_customers": point.counts["churned"], "churn_rate": point.value}
                if point
                else {}
            )
            assert_columns(row, {f"{side}_{name}": value for name, value in wanted.items()}, (side, row["month"]))


def churn_columns(point: oracle.Point, as_of: date) -> dict[str, Any]:
    return {
        "customers_at_start": point.n,
        "churned_customers": point.counts["churned"],
        "churn_rate": point.value,
        "churn_rate_low": point.low,
        "churn_rate_high": point.high,
        "retention_rate": 1 - (point.value or 0.0),
        "final_on": point.final_on,
        "is_provisional": point.final_on > as_of,
    }


def test_cohorts_hold_every_kind_grain_and_segment(twice: Twice) -> None:
    names = ("cohort_kind", "grain", "segment", "segment_value", "cohort", "period")
    rows = by_key(twice.published.rows("mart_retention_cohorts"), *names)
    for segment, value, bank in twice.bank.segments(CUSTOMER_DIMENSIONS):
        for kind in ("first_activity", "signup"):
            for grain in ("month", "week"):
                classic, unbounded = (
                    oracle.cohorts(bank, grain=grain, kind=kind, unbounded=unbounded, window=twice.window)
                    for unbounded in (False, True)
                )
                for (cohort, period), point in classic.items():
                    key = (kind, grain, segment, value, cohort, period)
                    assert_columns(rows.pop(key), cohort_columns(point, unbounded[cohort, period], bank.as_of), key)
    assert rows == {}


def cohort_columns(classic: oracle.Point, unbounded: oracle.Point, as_of: date) -> dict[str, Any]:
    return {
        "cohort_customers": classic.n,
        "active_customers": classic.counts["active"],
        "active_customers_unbounded": unbounded.counts["active"],
        "retention_classic": classic.value,
        "retention_unbounded": unbounded.value,
        "final_on": classic.final_on,
        "final_on_unbounded": unbounded.final_on,
        "is_provisional": classic.provisional(as_of),
        "is_provisional_unbounded": unbounded.provisional(as_of),
    }


def test_each_customer_is_listed_with_what_the_replay_knows_of_them(twice: Twice) -> None:
    rows, as_of = by_key(twice.published.rows("mart_customers"), "user_id"), twice.bank.as_of
    for customer in twice.bank.customers:
        counting = twice.bank.counting.get(customer.user_id, [])
        last = customer.active_days[-1] if customer.active_days else None
        wanted = {
            **{name: getattr(customer, name) for name in CUSTOMER_DIMENSIONS},
            "opening_date": customer.known_from,
            "first_active_day": customer.first,
            "last_active_day": last,
            "active_days": len(customer.active_days),
            "transactions": len(counting),
            "amount_usd": float(sum(one.amount or 0 for one in counting)),
            "is_active": oracle.walk(customer, twice.window, as_of)[-1].is_active,
            "days_silent": (as_of - (last or customer.known_from)).days,
            "lapses": oracle.lapses(customer, twice.window, as_of),
        }
        assert_columns(rows.pop((customer.user_id,)), wanted, customer.user_id)
    assert rows == {}


def test_time_to_first_transaction_keeps_who_is_still_waiting(twice: Twice) -> None:
    rows = by_key(twice.published.rows("mart_time_to_first_transaction"), "user_id")
    for customer in oracle.with_account(twice.bank):
        days, happened = oracle.time_to_first(customer, twice.bank.as_of)
        wanted = {
            "first_active_day": customer.first,
            "days_to_first_transaction": days if happened else None,
            "follow_up_days": days,
            "is_censored": not happened,
        }
        assert_columns(rows.pop((customer.user_id,)), wanted, customer.user_id)
    assert rows == {}


def test_transactions_by_month_and_of_all_time_keep_every_type_and_state(twice: Twice) -> None:
    people = {customer.user_id: customer for customer in twice.bank.everybody}

    def cell(one: oracle.Transaction) -> tuple[Any, ...]:
        dimensions = (getattr(people[one.user_id], name) for name in CUSTOMER_DIMENSIONS)
        return (one.day.replace(day=1), one.type, one.state, *dimensions)

    names = ("month", "transaction_type", "transaction_state", *CUSTOMER_DIMENSIONS)
    segments = {row["segment_id"]: row for row in twice.published.rows("dim_segments")}
    assert sorted(segments) == list(range(len(segments)))  # readers' files number them
    monthly = [segments[row["segment_id"]] | row for row in twice.published.rows("mart_transactions_monthly")]
    rows = by_key(monthly, *names)
    for key, (count, amount) in oracle.transaction_totals(twice.bank, cell).items():
        assert_columns(rows.pop(key), {"transactions": count, "amount_usd": amount}, key)
    assert rows == {}
    for row in twice.published.rows("mart_transactions_global"):
        group = [one for one in twice.bank.transactions if row["transaction_type"] in ("all", one.type)]
        completed = [one for one in group if one.state == "COMPLETED"]
        wanted = {
            "transactions": len(group),
            "completed_transactions": len(completed),
            "customers": len({one.user_id for one in group}),
            "completed_amount_usd": float(sum(one.amount or 0 for one in completed)),
            "first_date": min(one.day for one in group),
            "last_date": max(one.day for one in group),
        }
        assert_columns(row, wanted, row["transaction_type"])


def test_card_payments_without_the_holder_are_counted_where_presence_is_known(twice: Twice) -> None:
    for mart, names in (
        ("mart_card_not_present_by_country", ("month", "merchant_country")),
        ("mart_card_not_present_global", ("month",)),
    ):
        rows = by_key(twice.published.rows(mart), *names)

        def cell(one: oracle.Transaction, length: int = len(names)) -> tuple[Any, ...]:
            return (one.day.replace(day=1), one.merchant_country)[:length]

        for key, payments in oracle.card_payments(twice.bank, cell).items():
            point = oracle.share(payments.absent, payments.known, final_on=oracle.period_end(key[0], "month"))
            wanted = {
                "payments_known": payments.known,
                "payments_not_present": payments.absent,
                "payments_unknown": payments.unknown,
                "amount_known_usd": payments.amount_known,
                "amount_not_present_usd": payments.amount_absent,
                "amount_unknown_usd": payments.amount_unknown,
                "share_by_count": point.value,
                "share_low": point.low,
                "share_high": point.high,
                "share_by_amount": payments.amount_absent / payments.amount_known if payments.amount_known else None,
                "final_on": point.final_on,
                "is_provisional": point.final_on > twice.bank.as_of,
            }
            assert_columns(rows.pop(key), wanted, key)
        assert rows == {}


def test_the_country_table_and_the_synced_tables_say_the_same(twice: Twice) -> None:
    walks = {customer: oracle.walk(customer, twice.window, twice.bank.as_of) for customer in twice.bank.customers}
    for row in twice.published.rows("mart_customers_by_country"):
        here = [customer for customer in walks if customer.country == row["country"]]
        active = sum(walks[customer][-1].is_active for customer in here)
        assert (row["customers"], row["active_customers"]) == (len(here), active)
        ever = sum(customer.first is not None for customer in here)
        interval = (row["active_share_low"], row["active_share_high"])
        assert interval == (pytest.approx(oracle.wilson(active, ever), abs=1e-9) if ever else (None, None))
    statuses = by_key(twice.published.rows("sync_customer_status"), "user_id")
    assert {key[0]: row["is_active"] for key, row in statuses.items()} == {
        customer.user_id: days[-1].is_active for customer, days in walks.items()
    }
    recent = twice.bank.as_of - timedelta(days=90)
    assert {row["user_id"]: row["lapsed_on"] for row in twice.published.rows("sync_lapsed_customers")} == {
        customer.user_id: lapses[-1]
        for customer, days in walks.items()
        if not days[-1].is_active and (lapses := [day.day for day in days if day.event == "churned"]) and lapses[-1] > recent
    }


def test_the_unbounded_curve_of_a_fixed_set_of_cohorts_never_rises(twice: Twice) -> None:
    for grain in ("month", "week"):
        question = Question("retention_cohort", window=7, grain=grain, kind="unbounded")
        rows = twice.published.reader.retention_curve(question, fixed_cohorts=True).rows()
        values = [row["value"] for row in sorted(rows, key=lambda row: row["period"])]
        assert len(values) > 2
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("kind", ["classic", "unbounded"])
def test_the_curve_of_all_cohorts_weighs_them_by_size_and_takes_final_cells_alone(twice: Twice, kind: str) -> None:
    cells = twice.replayed.figures("retention_cohort", window=30, grain="month", kind=kind)
    final = {key: figure for key, figure in cells.items() if not figure.provisional}
    found = twice.published.reader.retention_curve(Question("retention_cohort", window=30, grain="month", kind=kind)).rows()
    assert [row["period"] for row in found] == sorted({period for _, period in final})
    for row in found:
        here = [figure for (_, period), figure in final.items() if period == row["period"]]
        customers = sum(figure.n or 0 for figure in here)
        assert (row["n"], row["cohorts"]) == (customers, len(here))
        assert row["value"] == pytest.approx(sum(figure.counts["active"] for figure in here) / customers, abs=1e-12)


def test_the_last_day_is_the_pinned_one_or_the_last_that_is_over(twice: Twice) -> None:
    assert twice.published.as_of == twice.replayed.as_of
    assert twice.published.as_of in (date(2020, 11, 9), date(2020, 9, 11))
