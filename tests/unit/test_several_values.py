"""A filter of several values of one dimension: whoever has any of them, whatever their order, and nothing that tells of few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipeline.errors import ConfigurationError
from pipeline.marts import Answer, Headline, Question, Search
from pipeline.marts.activity import daily_count, rolling
from pipeline.marts.changes import PARTS
from pipeline.marts.payments import card_not_present_share
from pipeline.marts.question import by_dimension, each_alone, scope
from pipeline.marts.withholding import FEWEST, MOST_ALONE, of_several, withheld
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from streamlit_app import data
from streamlit_app.auth import Role, User

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

MANAGER, VIEWER = User("max", Role.MANAGER), User("vera", Role.VIEWER)
FRANCE, SPAIN = ("country", "FR"), ("country", "ES")
APRIL, MAY = ("signup_cohort", "2024-04"), ("signup_cohort", "2024-05")
SIZES = {
    **dict.fromkeys(("active_customers", "new_customers", "churned_customers", "dau", "mau", "transactions"), "value"),
    **dict.fromkeys(("monthly_churn_rate", "retention_cohort", "stickiness", "amount_retention"), "n"),
}


def test_order_and_repetition_make_no_other_question() -> None:
    once = Question("dau", where=(FRANCE, SPAIN, ("plan", "METAL")))
    again = Question("dau", where=(("plan", "METAL"), SPAIN, FRANCE, SPAIN))
    assert once == again
    assert hash(once) == hash(again)
    assert once.where == (SPAIN, FRANCE, ("plan", "METAL"))
    assert Search(where=(FRANCE, SPAIN)) == Search(where=(SPAIN, FRANCE))


def test_values_of_a_dimension_are_alternatives_and_dimensions_conditions() -> None:
    asked = scope(Question("dau", where=(FRANCE, SPAIN, ("os", "iOS"))))
    assert asked.condition == "true and country in ($where_0, $where_1) and os = $where_2"
    assert asked.parameters == {"where_0": "ES", "where_1": "FR", "where_2": "iOS"}
    assert asked.unites
    assert not scope(Question("dau", by="country", where=(FRANCE, SPAIN))).unites


def test_each_value_alone_keeps_the_other_filters() -> None:
    where = Question("dau", where=(FRANCE, SPAIN, ("plan", "METAL"))).where
    assert by_dimension(where) == {"country": ("ES", "FR"), "plan": ("METAL",)}
    assert list(each_alone(where)) == [(SPAIN, ("plan", "METAL")), (FRANCE, ("plan", "METAL"))]
    assert list(each_alone((FRANCE,))) == []


def test_of_two_dimensions_one_value_of_each_is_alone() -> None:
    plans = ("plan", "METAL"), ("plan", "STANDARD")
    assert list(each_alone((SPAIN, FRANCE, *plans))) == [(country, plan) for country in (SPAIN, FRANCE) for plan in plans]


@pytest.fixture
def by_hand(tmp_path: Path) -> ReadOnlyDuckDB:
    """Three days of three countries, and card payments of a month in three countries of merchants."""
    with duckdb.connect(tmp_path / "by_hand.duckdb") as connection:
        connection.execute("""
            create schema marts;
            create table marts.mart_daily_counts_by_dimension as
            select 'country' as segment, * from (values
                ('FR', date '2024-03-01', 4, 4), ('ES', date '2024-03-01', 2, 2), ('DE', date '2024-03-01', 9, 9),
                ('FR', date '2024-03-03', 3, 0), ('ES', date '2024-03-03', 1, 0)
            ) as rows (segment_value, date, active_customers, new_customers);
            create table marts.mart_activity_gaps_by_dimension as
            select 'country' as segment, segment_value, activity_date, null::date as returned_on,
                null::integer as gap_days, customers
            from (values
                ('FR', date '2024-03-01', 1), ('ES', date '2024-03-01', 1), ('DE', date '2024-03-01', 9),
                ('FR', date '2024-03-03', 3), ('ES', date '2024-03-03', 1)
            ) as rows (segment_value, activity_date, customers);
            create table marts.mart_daily_activity as
            select 'country' as segment, * from (values
                ('FR', date '2024-03-01', 4, 4, 4), ('FR', date '2024-03-02', 0, 4, 4), ('FR', date '2024-03-03', 3, 4, 4),
                ('ES', date '2024-03-01', 2, 2, 2), ('ES', date '2024-03-02', 0, 2, 2), ('ES', date '2024-03-03', 1, 2, 2),
                ('DE', date '2024-03-01', 9, 9, 9), ('DE', date '2024-03-02', 0, 9, 9), ('DE', date '2024-03-03', 0, 9, 9)
            ) as rows (segment_value, date, dau, wau, mau);
            create table marts.mart_card_not_present_by_country as
            select date '2024-03-01' as month, date '2024-03-31' as final_on, * from (values
                ('FRA', 10, 4, 1, 100.0, 30.0), ('ESP', 30, 6, 2, 300.0, 90.0), ('DEU', 50, 50, 0, 10.0, 10.0)
            ) as rows (merchant_country, payments_known, payments_not_present, payments_unknown,
                amount_known_usd, amount_not_present_usd);
        """)
    return ReadOnlyDuckDB(tmp_path / "by_hand.duckdb")


def test_the_counts_of_two_countries_are_added_up_day_by_day(by_hand: ReadOnlyDuckDB) -> None:
    last = date(2024, 3, 3)
    for where, wanted in (((FRANCE,), [4, 0, 3]), ((SPAIN,), [2, 0, 1]), ((SPAIN, FRANCE), [6, 0, 4])):
        table = rolling(by_hand, Question("dau", where=where, grain="day"), window=7, as_of=last)
        assert table["value"].to_pylist() == wanted
    for metric, count in (("wau", rolling), ("active_customers", daily_count)):  # as published, and from the pairs of days
        both = count(by_hand, Question(metric, where=(SPAIN, FRANCE), grain="day"), window=7, as_of=last)
        assert both["value"].to_pylist() == [6, 6, 6]


def test_the_share_of_two_countries_is_of_all_their_payments(by_hand: ReadOnlyDuckDB) -> None:
    where = (("merchant_country", "ESP"), ("merchant_country", "FRA"))
    for kind, share in (("count", (4 + 6) / (10 + 30)), ("amount", (30 + 90) / (100 + 300))):
        question = Question("card_not_present_share", where=where, kind=kind)
        (row,) = card_not_present_share(by_hand, question, window=7, as_of=date(2024, 4, 1)).to_pylist()
        assert (row["value"], row["n"], row["not_present"], row["unknown"]) == (pytest.approx(share), 40, 10, 3)


# --- who sees figures of at least ten customers -----------------------------------------------------------------------


@pytest.fixture
def countries(come_in: Callable[[User], None]) -> Counter[str]:
    """How many customers each country has, in a bank with large and small ones."""
    come_in(MANAGER)
    table = data.relation("mart_customers_by_country").to_pydict()
    found = Counter(dict(zip(table["country"], table["customers"], strict=True)))
    assert 0 < min(found.values()) < FEWEST * 3
    return found


def read(question: Question) -> dict[Any, dict[str, Any]]:
    table = data.answer(question).table
    keys = table.column_names[: table.column_names.index("value")]
    return {tuple(row[name] for name in keys): row for row in table.to_pylist()}


@pytest.mark.parametrize("metric", sorted(SIZES))
def test_two_countries_less_one_tell_a_viewer_of_no_few_customers(
    metric: str, countries: Counter[str], come_in: Callable[[User], None]
) -> None:
    (large, _), *_ = countries.most_common(1)
    size, subtracted = SIZES[metric], 0
    for small in countries.keys() - {large}:
        one, two = (("country", large),), (("country", large), ("country", small))
        come_in(VIEWER)
        alone, together = read(Question(metric, where=one)), read(Question(metric, where=two))
        come_in(MANAGER)
        of_small = read(Question(metric, where=two[1:]))
        for key in alone.keys() & together.keys():
            if alone[key][size] is not None and together[key][size] is not None:
                rest = together[key][size] - alone[key][size]
                assert rest == (of_small[key][size] if key in of_small else 0) or metric == "transactions"
                assert not 0 < rest < FEWEST, (small, key)
                subtracted += 1
    assert subtracted > 0 or metric == "retention_cohort"  # whose cells of a country are all of few, in so small a bank


def test_countries_of_many_are_shown_to_a_viewer_as_to_a_manager(
    countries: Counter[str], come_in: Callable[[User], None]
) -> None:
    question = Question("active_customers", where=tuple(("country", name) for name, _ in countries.most_common(2)))
    managers = read(question)
    come_in(VIEWER)
    viewers = read(question)
    last = max(managers)
    assert viewers[last] == managers[last]


def test_the_headline_of_two_countries_is_withheld_where_that_of_one_is(
    countries: Counter[str], come_in: Callable[[User], None]
) -> None:
    (large, _), *_ = countries.most_common(1)
    small = min(countries, key=countries.__getitem__)
    two = (("country", large), ("country", small))
    come_in(VIEWER)
    alone, together = data.headline(where=two[1:]), data.headline(where=two)
    assert any(figure.withheld and figure.value is None for figure in alone)
    for one, both in zip(alone, together, strict=True):
        assert both.withheld or not one.withheld
        assert both.value is None or not (one.withheld and one.value is None)


@pytest.mark.parametrize("metric", ["survival", "time_to_first_transaction"])
def test_a_curve_of_two_countries_ends_where_that_of_one_does(
    metric: str, countries: Counter[str], come_in: Callable[[User], None]
) -> None:
    large, small = (name for name, _ in countries.most_common(2))
    come_in(VIEWER)
    ends = [
        max(key for key, row in read(Question(metric, where=(("country", name),))).items() if row["n"]) for name in (large, small)
    ]
    both = read(Question(metric, where=(("country", large), ("country", small))))
    assert max(key for key, row in both.items() if row["n"] is not None) <= min(ends)
    assert all(row["value"] is None for key, row in both.items() if key > min(ends))


def headline(
    metric: str, value: float | None, before: float | None, *, n: int | None = None, before_n: int | None = None
) -> Headline:
    return Headline(
        metric=data.registry()[metric],
        period="28 days",
        until=date(2024, 5, 31),
        value=value,
        before=before,
        before_n=before_n,
        n=n,
        low=None,
        high=None,
        final_on=date(2024, 5, 31),
        provisional=False,
    )


def test_a_value_too_young_for_a_figure_before_takes_that_of_several_with_it() -> None:
    """May begins within the 28 days before: 204 of both less 200 of April are the 4 of its first days."""
    of = {
        (APRIL, MAY): headline("new_customers", 60, 204),
        (APRIL,): headline("new_customers", 20, 200),
        (MAY,): headline("new_customers", 40, None),
    }
    (found,) = of_several((of[APRIL, MAY],), (APRIL, MAY), ask=lambda where: (of[where],), hide=lambda each: each)
    assert (found.value, found.before, found.withheld) == (60, None, True)


def test_of_a_value_that_nobody_left_no_quick_ratio_of_several_tells_who_came() -> None:
    """(40 + 3) / 20 of both, times 20, less 40: the 3 who came to the one that nobody left."""
    of = {
        (SPAIN, FRANCE): headline("quick_ratio", 43 / 20, 72 / 52, n=20, before_n=52),
        (FRANCE,): headline("quick_ratio", 40 / 20, 60 / 40, n=20, before_n=40),
        (SPAIN,): headline("quick_ratio", None, 12 / 12, n=0, before_n=12),
    }
    (found,) = of_several((of[SPAIN, FRANCE],), (SPAIN, FRANCE), ask=lambda where: (of[where],), hide=lambda each: each)
    assert (found.value, found.n, found.before, found.withheld) == (None, None, None, True)

    answers = {
        (SPAIN, FRANCE): answered("quick_ratio", [43 / 20, 72 / 52], [20, 52]),
        (FRANCE,): answered("quick_ratio", [40 / 20, 60 / 40], [20, 40]),
        (SPAIN,): answered("quick_ratio", [None, 12 / 12], [0, 12]),
    }
    series = of_several(answers[SPAIN, FRANCE], (SPAIN, FRANCE), ask=answers.__getitem__, hide=withheld)
    assert series.table["value"].to_pylist() == [None, 72 / 52]
    assert series.table["n"].to_pylist() == [None, 52]
    assert series.withheld == 1


def answered(metric: str, values: list[float | None], n: list[int], **more: list[int]) -> Answer:
    """An answer of the periods 0, 1, 2 ..."""
    columns = {"period": pa.array(range(len(n)), pa.int32()), "value": pa.array(values, pa.float64()), "n": n, **more}
    return Answer(Question(metric), data.registry()[metric], date(2024, 5, 31), "v1", "", 7, "", pa.table(columns))


def test_what_is_shown_of_two_countries_and_two_phones_tells_of_no_cell_that_is_not_shown(
    countries: Counter[str], come_in: Callable[[User], None]
) -> None:
    """All four less three of them are the fourth."""
    (large, _), *_ = countries.most_common(1)
    phones, subtracted = data.dimension_values("os")[:2], 0
    for small in countries.keys() - {large}:
        cells = [(("country", country), ("os", phone)) for country in (large, small) for phone in phones]
        come_in(VIEWER)
        together = read(Question("active_customers", where=tuple({pair for cell in cells for pair in cell})))
        each = [read(Question("active_customers", where=cell)) for cell in cells]
        for key, row in together.items():
            parts = [cell[key]["value"] if key in cell else 0 for cell in each]
            if row["value"] is not None:
                assert None not in parts, (small, key)
                assert row["value"] == sum(parts)
                subtracted += 1
    assert subtracted > 0


def test_a_curve_of_fixed_cohorts_of_several_is_of_the_cohorts_that_each_alone_has() -> None:
    both, each = (answered("retention_cohort", [1.0, 0.5], [50, 50], cohorts=cohorts) for cohorts in ([3, 2], [3, 1]))
    found = of_several(both, (SPAIN, FRANCE), ask=lambda _: each, hide=withheld, same="cohorts")
    assert found.table["value"].to_pylist() == [1.0, None]
    assert found.withheld == 1


def test_more_combinations_than_can_be_looked_at_are_refused() -> None:
    where = tuple(("country", f"C{number}") for number in range(MOST_ALONE + 1))
    with pytest.raises(ConfigurationError, match="41 combinations"):
        of_several(0, where, ask=lambda _: 0, hide=lambda found: found)


# --- what is read beside answers --------------------------------------------------------------------------------------

TOGETHER = (("country", "FR"), ("country", "GB"), ("country", "PL"))
Counts = Callable[[tuple[tuple[str, str], ...]], dict[Any, int | None]]


def counted(table: pa.Table, key: str, size: str) -> dict[Any, int | None]:
    return dict(zip(table[key].to_pylist(), table[size].to_pylist(), strict=True))


BESIDE: dict[str, Counts] = {
    "usage intervals": lambda where: counted(
        data.usage_intervals(Question("window_sensitivity", where=where)).table, "from_days", "value"
    ),
    "retention curve": lambda where: counted(
        data.retention_curve(Question("retention_cohort", where=where)).table, "period", "n"
    ),
    "what changed": lambda where: {
        name: row[name] for row in data.what_changed(Question("dau", where=where), days=300).rows() for name in PARTS
    },
    "what changed by phone": lambda where: {
        (row["os"], name): row[name]
        for row in data.what_changed(Question("dau", by="os", where=where), days=300).rows()
        for name in PARTS
    },
}
FOR_MANAGERS: dict[str, Counts] = {
    "customers": lambda where: {"total": data.customers(Search(where=where)).total},
    "early warnings": lambda where: {"total": data.early_warnings(where=where).total},
    "silence risk": lambda where: counted(data.answer(Question("silence_risk", where=where)).table, "date", "n"),
}


@pytest.mark.parametrize("name", [*BESIDE, *FOR_MANAGERS])
def test_what_is_counted_of_three_countries_is_the_sum_of_each(name: str, come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    read = (BESIDE | FOR_MANAGERS)[name]
    sums: Counter[Any] = Counter()
    for pair in TOGETHER:
        sums.update(read((pair,)))
    together = read(TOGETHER)
    assert sum(sums.values()) > 0
    assert {key: count for key, count in together.items() if count} == {key: count for key, count in sums.items() if count}


@pytest.mark.parametrize("name", sorted(set(BESIDE) - {"what changed by phone"}))  # of which so small a bank shows nothing
def test_nor_does_a_viewer_learn_of_few_from_what_is_read_beside(
    name: str, countries: Counter[str], come_in: Callable[[User], None]
) -> None:
    (large, _), *_ = countries.most_common(1)
    read, subtracted = BESIDE[name], 0
    come_in(VIEWER)
    alone = read((("country", large),))
    for small in countries.keys() - {large}:
        together = read((("country", large), ("country", small)))
        for key in alone.keys() & together.keys():
            one, both = alone[key], together[key]
            if one is not None and both is not None:
                assert not 0 < both - one < FEWEST, (small, key)
                subtracted += 1
    assert subtracted > 0
