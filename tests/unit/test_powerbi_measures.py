"""The measures in the committed TMDL, evaluated on the exported star, are what `neopulse metric` says, to the unit.

What this proves: the texts, the star and the relationships together give these figures under the rules of DAX as tests/dax.py has
them. It is no proof that Power BI has the same rules; the cases that were worked out by hand below say which ones we count on.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import chain
import dax
import powerbi_model
import pytest

from pipeline.clock import FixedClock
from pipeline.exports import star
from pipeline.marts import reader
from pipeline.runs.store import RunStore
from pipeline.warehouse.publication import Publications

pytestmark = pytest.mark.xdist_group("the bank of the pages")

DATE, MONTH = ("Dates", "Date"), ("Dates", "Month")
SEGMENT, VALUE = ("Segments", "Segment"), ("Segments", "Segment value")
COHORT, PERIOD = ("Retention", "Cohort"), ("Retention", "Months since")
DIMENSIONS = ("country", "plan", "plan_tier", "os", "age_band")
NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def published(pages_bank: Path) -> chain.Published:
    version = Publications(pages_bank, keep=5).current()
    assert version is not None
    return chain.Published(reader(version), version.as_of)


@pytest.fixture(scope="module")
def folder(pages_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("star")
    version = Publications(pages_bank, keep=5).current()
    assert version is not None
    store = RunStore.open(f"sqlite:///{pages_bank / 'run_store.db'}", clock=FixedClock(NOW))
    star.export_star(version, folder, runs=store.runs(), note=lambda _rows: None, clock=FixedClock(NOW))
    store.close()
    return star.newest(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> dax.Model:
    return powerbi_model.over(folder)


def same(found: Any, expected: float | None) -> bool:
    if expected is None or found is None:
        return found is None and expected is None
    return math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-12)


def filters(time: dict[dax.Column, Any], by: str | None, value: str | None) -> dict[dax.Column, Any]:
    return time if by is None else {**time, SEGMENT: by, VALUE: value}


COUNTS = {
    "active_customers": "Active customers",
    "new_customers": "New customers",
    "resurrected_customers": "Resurrected customers",
    "churned_customers": "Churned customers",
    "quick_ratio": "Quick ratio",
    "dau": "Daily active customers (DAU)",
    "wau": "Weekly active customers (WAU)",
    "mau": "Active customers in 28 days (MAU)",
    "stickiness": "Stickiness",
}


@pytest.mark.parametrize("by", [None, "country"])
@pytest.mark.parametrize(("metric", "measure"), COUNTS.items())
def test_a_day_has_the_figure_that_the_command_line_prints(
    model: dax.Model, published: chain.Published, metric: str, measure: str, by: str | None
) -> None:
    figures = published.figures(metric, by=by, grain="day")
    assert len(figures) > 400
    for key, figure in list(figures.items())[:: len(figures) // 60]:
        value, day = (None, key) if by is None else key
        assert same(model.evaluate(measure, filters({DATE: day}, by, value)), figure.value), (key, figure)


@pytest.mark.parametrize("by", [None, "plan", "plan_tier", "age_band"])
@pytest.mark.parametrize(
    "metric", ["active_customers", "new_customers", "resurrected_customers", "churned_customers", "quick_ratio"]
)
def test_a_month_has_its_last_days_stock_and_the_sum_of_its_flows(
    model: dax.Model, published: chain.Published, metric: str, by: str | None
) -> None:
    figures = published.figures(metric, by=by, grain="month")
    for key, figure in list(figures.items())[:: 1 if by is None else 5]:
        value, month = (None, key) if by is None else key
        chosen = filters({MONTH: month}, by, value)
        assert same(model.evaluate(COUNTS[metric], chosen), figure.value), (key, figure)
        assert model.evaluate("Is final", chosen) is not figure.provisional


@pytest.mark.parametrize("by", [None, *DIMENSIONS])
def test_monthly_churn_has_rate_parts_interval_and_whether_it_is_final(
    model: dax.Model, published: chain.Published, by: str | None
) -> None:
    figures = published.figures("monthly_churn_rate", by=by)
    for key, figure in list(figures.items())[:: 1 if by is None else 3]:
        value, month = (None, key) if by is None else key
        chosen = filters({MONTH: month}, by, value)
        assert same(model.evaluate("Monthly churn rate", chosen), figure.value), (key, figure)
        assert model.evaluate("Customers at the month's start", chosen) == figure.n
        assert model.evaluate("Left within the month", chosen) == figure.counts["churned"]
        assert same(model.evaluate("Monthly churn rate, low", chosen), figure.low)
        assert same(model.evaluate("Monthly churn rate, high", chosen), figure.high)
        assert model.evaluate("Monthly churn rate is final", chosen) is not figure.provisional


@pytest.mark.parametrize("by", [None, "plan_tier", "os"])
@pytest.mark.parametrize(
    ("kind", "measure"), [("classic", "Cohort retention"), ("unbounded", "Unbounded retention")], ids=["classic", "unbounded"]
)
def test_a_cell_of_a_cohort_has_its_share_size_interval_and_whether_it_is_final(
    model: dax.Model, published: chain.Published, kind: str, measure: str, by: str | None
) -> None:
    figures = published.figures("retention_cohort", kind=kind, by=by, grain="month")
    for key, figure in list(figures.items())[:: 1 if by is None else 4]:
        value, (cohort, period) = (None, key) if by is None else key
        chosen = filters({COHORT: cohort, PERIOD: period}, by, value)
        assert same(model.evaluate(measure, chosen), figure.value), (key, figure)
        assert model.evaluate("Cohort size", chosen) == figure.n
        assert model.evaluate(f"{measure} is final", chosen) is not figure.provisional
        if kind == "classic":
            assert same(model.evaluate("Cohort retention, low", chosen), figure.low)
            assert same(model.evaluate("Cohort retention, high", chosen), figure.high)


@pytest.mark.parametrize("by", [None, *DIMENSIONS])
def test_of_the_lapses_of_a_month_the_same_share_came_back(model: dax.Model, published: chain.Published, by: str | None) -> None:
    figures = published.figures("came_back_share", by=by)
    assert figures
    for key, figure in figures.items():
        value, month = (None, key) if by is None else key
        chosen = filters({MONTH: month}, by, value)
        assert same(model.evaluate("Share that came back", chosen), figure.value), (key, figure)
        assert model.evaluate("Recognised lapses", chosen) == figure.n
        assert model.evaluate("Share that came back is final", chosen) is not figure.provisional


@pytest.mark.parametrize("by", [None, *DIMENSIONS])
@pytest.mark.parametrize(("kind", "measure"), [("net", "Amount retention"), ("gross", "Gross amount retention")])
def test_amounts_kept_from_month_to_month_are_the_same(
    model: dax.Model, published: chain.Published, kind: str, measure: str, by: str | None
) -> None:
    figures = published.figures("amount_retention", by=by, kind=kind)
    for key, figure in list(figures.items())[:: 1 if by is None else 4]:
        value, month = (None, key) if by is None else key
        chosen = filters({MONTH: month}, by, value)
        assert same(model.evaluate(measure, chosen), figure.value), (key, figure)
        assert model.evaluate("Customers of the month before", chosen) == figure.n


@pytest.mark.parametrize("by", [None, "country", "plan_tier"])
@pytest.mark.parametrize(
    ("metric", "measure"),
    [("transactions", "Completed transactions"), ("transaction_amount", "Amount of completed transactions")],
)
def test_transactions_are_the_completed_ones_unless_a_state_is_chosen(
    model: dax.Model, published: chain.Published, metric: str, measure: str, by: str | None
) -> None:
    for key, figure in list(published.figures(metric, by=by).items())[:: 1 if by is None else 4]:
        value, month = (None, key) if by is None else key
        assert same(model.evaluate(measure, filters({MONTH: month}, by, value)), figure.value), (key, figure)
    declined = published.figures(metric, state="DECLINED")
    for month, figure in list(declined.items())[::3]:
        chosen = {MONTH: month, ("Transactions", "State"): "DECLINED"}
        assert same(model.evaluate(measure, chosen), figure.value), (month, figure)


@pytest.mark.parametrize("by", [None, "plan_tier"])
def test_customers_by_number_of_active_days_are_the_same(model: dax.Model, published: chain.Published, by: str | None) -> None:
    for end in (date(2019, 3, 31), published.as_of):
        for key, figure in published.figures("l28", by=by, end=end).items():
            value, (day, count) = (None, key) if by is None else key
            chosen = filters({DATE: day, ("Frequency", "Active days in 28"): count}, by, value)
            assert (model.evaluate("Customers by active days in 28", chosen) or 0) == figure.value, (key, figure)


def test_the_list_has_the_customers_and_the_version_says_what_it_is(model: dax.Model, published: chain.Published) -> None:
    customers = published.rows("mart_customers")
    assert model.evaluate("Customers in the list") == len(customers)
    french = sum(1 for customer in customers if customer["country"] == "FR")
    assert model.evaluate("Customers in the list", {("Countries", "Country"): "France"}) == (french or None)
    assert model.evaluate("As of") == dax.days(published.as_of)
    assert (model.evaluate("Version"), model.evaluate("Window N")) == ("v0001", 90)


# --- rules that we count on, worked out by hand -----------------------------------------------------------------------


def test_nothing_chosen_is_everybody_and_two_dimensions_at_once_are_blank(model: dax.Model, published: chain.Published) -> None:
    day = date(2019, 3, 31)
    everybody = published.figures("active_customers", grain="day")[day].value
    assert model.evaluate("Active customers", {DATE: day}) == everybody
    assert model.evaluate("Active customers", {DATE: day, SEGMENT: "country"}) == everybody  # its values add up
    standard = published.figures("active_customers", grain="day", by="plan_tier")["standard", day].value
    assert model.evaluate("Active customers", {DATE: day, SEGMENT: "plan_tier", VALUE: "standard"}) == standard
    metal = published.figures("active_customers", grain="day", by="plan")["METAL", day].value
    assert model.evaluate("Active customers", {DATE: day, VALUE: "METAL"}) == metal  # the value names its dimension
    # Power BI tells no `standard` (a tier) from `STANDARD` (a plan), who overlap: no number is better than a wrong one
    assert model.evaluate("Active customers", {DATE: day, VALUE: "standard"}) is None


def test_of_several_months_the_rate_is_that_of_the_last(model: dax.Model, published: chain.Published) -> None:
    last = max(published.figures("monthly_churn_rate"))
    assert model.evaluate("Monthly churn rate", {("Dates", "Year"): 2019}) == pytest.approx(
        published.figures("monthly_churn_rate")[last].value
    )


def test_a_month_without_a_figure_has_no_row_in_a_table(model: dax.Model, published: chain.Published) -> None:
    """A visual has a row wherever one of its measures is not blank; blank compared with a day, or taken from 0, is not."""
    before = min(published.figures("active_customers", grain="month")).replace(day=1)
    assert before not in published.figures("monthly_churn_rate")
    assert before not in published.figures("came_back_share")
    for measure in ("Monthly churn rate", "Monthly churn rate is final", "Share that came back", "Share that came back is final"):
        assert model.evaluate(measure, {MONTH: before}) is None, measure
    for name, measure in powerbi_model.measures(powerbi_model.committed()).items():
        if not any(text in measure.expression for text in ("Publication[", "COUNTROWS(Customers)")):
            assert model.evaluate(name, {MONTH: date(1999, 1, 1)}) is None, name


def test_of_several_months_since_a_cohort_has_its_size_and_no_share(model: dax.Model, published: chain.Published) -> None:
    figures = published.figures("retention_cohort", kind="classic", grain="month")
    sizes = {cohort: figure.n for (cohort, period), figure in figures.items() if period == 0}
    for cohort, size in sizes.items():
        assert model.evaluate("Cohort size", {COHORT: cohort}) == size
    assert model.evaluate("Cohort size") == sum(size or 0 for size in sizes.values())
    by_tier = published.figures("retention_cohort", kind="classic", grain="month", by="plan_tier")
    standard = sum(figure.n or 0 for (value, (_, period)), figure in by_tier.items() if (value, period) == ("standard", 0))
    assert model.evaluate("Cohort size", filters({}, "plan_tier", "standard")) == standard
    for measure in ("Cohort retention", "Cohort retention, low", "Cohort retention, high", "Unbounded retention"):
        assert model.evaluate(measure, {COHORT: min(sizes)}) is None


def last_over(published: chain.Published) -> date:
    """The last month of the churn rate that is over."""
    return max(month for month, figure in published.figures("monthly_churn_rate").items() if not figure.provisional)


def roles_of(by: str | None, value: str) -> tuple[dax.Role | None, ...]:
    """Nobody's role, and that of a country where the value is one that has a role."""
    has_role = by == "country" and value in _role_countries()
    return (None, powerbi_model.role(f"Country {value}")) if has_role else (None,)


def values_of(model: dax.Model, dimension: str) -> list[str]:
    table = model.tables["Segments"]
    return [value for of, value in zip(table["Segment"], table["Segment value"], strict=True) if of == dimension]


def test_the_last_month_that_is_over_is_the_same_for_every_country_also_where_nobody_was_left_in_it(
    model: dax.Model, published: chain.Published
) -> None:
    figures, last = published.figures("monthly_churn_rate", by="country"), last_over(published)
    gone = [value for value in values_of(model, "country") if (value, last) not in figures]
    assert {value for value, _ in figures} & set(gone)  # had customers, and has none at that month's start
    assert set(gone) & set(_role_countries())
    for value in values_of(model, "country"):
        figure = figures.get((value, last))
        for role in roles_of("country", value):
            chosen = {("Churn", "Is provisional"): False}
            chosen |= {SEGMENT: "country", VALUE: value} if role is None else {}
            assert same(model.evaluate("Monthly churn rate", chosen, role=role), figure and figure.value), (value, role)
            assert model.evaluate("Customers at the month's start", chosen, role=role) == (figure.n if figure else 0)
            assert same(model.evaluate("Monthly churn rate, high", chosen, role=role), figure and figure.high), (value, role)


def test_without_a_date_every_bar_of_active_days_is_that_of_the_last_day(model: dax.Model, published: chain.Published) -> None:
    bar = ("Frequency", "Active days in 28")
    for by, dimension in ((None, "all"), ("plan_tier", "plan_tier"), ("country", "country")):
        figures = published.figures("l28", by=by, end=published.as_of)
        wanted = {(None, *key) if by is None else (key[0], *key[1]): figure.value for key, figure in figures.items()}
        for value in values_of(model, dimension):
            for role in roles_of(by, value):
                for count in range(1, 29):
                    chosen = {bar: float(count)} | (filters({}, by, value) if role is None else {})
                    expected = wanted.get((None if by is None else value, published.as_of, count), 0)
                    found = model.evaluate("Customers by active days in 28", chosen, role=role)
                    assert (found or 0) == expected, (value, count, role)


@pytest.mark.parametrize("by", ["country", "plan"])
def test_without_a_date_the_amounts_kept_are_those_of_the_last_month(
    model: dax.Model, published: chain.Published, by: str
) -> None:
    figures = published.figures("amount_retention", by=by, kind="net")
    last = max(published.figures("amount_retention", kind="net"))
    assert by == "plan" or {value for value, _ in figures} - {value for value, month in figures if month == last}
    for value in values_of(model, by):
        figure = figures.get((value, last))
        for role in roles_of(by, value):
            chosen = filters({}, by, value) if role is None else {}
            assert same(model.evaluate("Amount retention", chosen, role=role), figure and figure.value), (value, role)
            assert model.evaluate("Customers of the month before", chosen, role=role) == (figure.n if figure else 0)


def test_a_role_sees_the_figures_and_customers_of_its_country_alone(model: dax.Model, published: chain.Published) -> None:
    customers = published.rows("mart_customers")
    country = max({row["country"] for row in customers} & set(_role_countries()), key=lambda one: _count(customers, one))
    role, day = powerbi_model.role(f"Country {country}"), date(2019, 3, 31)
    of_country = published.figures("active_customers", grain="day", by="country")[country, day].value
    assert model.evaluate("Active customers", {DATE: day}, role=role) == of_country
    assert model.evaluate("Customers in the list", role=role) == _count(customers, country)
    month = published.figures("monthly_churn_rate", by="country")[country, date(2019, 3, 1)]
    assert same(model.evaluate("Monthly churn rate", {MONTH: date(2019, 3, 1)}, role=role), month.value)
    for dimension, value in (("all", "all"), ("plan_tier", "standard"), ("country", "XX")):
        assert model.evaluate("Active customers", {DATE: day, SEGMENT: dimension, VALUE: value}, role=role) is None


def _role_countries() -> list[str]:
    return [name.removeprefix("Country ") for name in powerbi_model.committed().of("role")]


def _count(customers: list[dict[str, Any]], country: str) -> int:
    return sum(1 for row in customers if row["country"] == country)


@pytest.mark.parametrize(
    ("chosen", "culture", "leads_to"),
    [
        ({MONTH: date(2019, 3, 1)}, "en-US", "/churn?lang=en&from=2019-03-01&to=2019-03-31"),
        ({MONTH: date(2019, 5, 1)}, "fr-FR", "/churn?lang=fr&from=2019-05-01&to=2019-05-10"),  # no day beyond the last
        (
            {MONTH: date(2019, 3, 1), SEGMENT: "age_band", VALUE: "65+"},
            "de-DE",
            "/churn?lang=en&from=2019-03-01&to=2019-03-31&age_band=65%2B",
        ),
        (
            {MONTH: date(2019, 3, 1), SEGMENT: "signup_cohort", VALUE: "2018-03"},
            "en-US",
            "/churn?lang=en&from=2019-03-01&to=2019-03-31&signup_cohort=2018-03",
        ),
    ],
)
def test_the_link_carries_segment_days_and_language(
    folder: Path, chosen: dict[dax.Column, Any], culture: str, leads_to: str
) -> None:
    model = powerbi_model.over(folder, culture=culture, address="https://neopulse.bank.example")
    assert model.evaluate("Link to overview", chosen) == f"https://neopulse.bank.example{leads_to.replace('/churn', '/')}"
    assert model.evaluate("Link to churn", chosen) == f"https://neopulse.bank.example{leads_to}"


def test_the_measures_of_one_page_read_as_written_by_hand() -> None:
    texts = {
        name: " ".join(measure.expression.split()) for name, measure in powerbi_model.measures(powerbi_model.committed()).items()
    }
    assert texts["Quick ratio"] == "DIVIDE([New customers] + [Resurrected customers], [Churned customers])"
    assert texts["Monthly churn rate"] == "DIVIDE([Left within the month], [Customers at the month's start])"
    assert texts["New customers"] == (
        "IF( HASONEVALUE(Segments[Segment]), SUM(Growth[new_customers]), "
        'CALCULATE(SUM(Growth[new_customers]), Segments[Segment] = "all") )'
    )
    assert texts["Active customers"] == (
        "VAR last_date = MAX(Growth[date]) RETURN IF( HASONEVALUE(Segments[Segment]), "
        "CALCULATE(SUM(Growth[active_customers]), Growth[date] = last_date), "
        'CALCULATE(SUM(Growth[active_customers]), Growth[date] = last_date, Segments[Segment] = "all") )'
    )
