"""A against B, retention over the cohorts, and the amount that comes again: what is drawn, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc
import pytest
from page_kit import failed, whole, words
from streamlit.testing.v1 import AppTest
from test_charts import answer

from pipeline.marts import Answer, Question
from pipeline.marts.question import Where, meeting
from pipeline.marts.withholding import FEWEST
from pipeline.statistics import wilson
from streamlit_app import charts, data, figures, formats, messages
from streamlit_app.auth import Role, User
from streamlit_app.components import segments_compared
from streamlit_app.views import retention

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]


def curve(*points: tuple[int, int, int]) -> Answer:
    """Periods with how many were retained of how many."""
    rows: list[dict[str, Any]] = [
        {"period": period, "value": retained / n, "n": n, "retained": retained, "low": low, "high": high}
        for period, retained, n in points
        for low, high in [map(float, wilson(retained, n))]
    ]
    return answer(*rows, metric="retention_cohort")


def said(first: Answer, second: Answer) -> str:
    return segments_compared.in_words({"Premium": first, "Standard": second}, grain="month", periods=(1, 3, 6))


def test_two_segments_are_compared_in_the_last_period_in_which_both_have_thirty_customers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    told = said(curve((1, 60, 70), (3, 56, 70), (6, 9, 10)), curve((1, 60, 80), (3, 48, 80), (6, 30, 60)))
    premium, standard = "**80.0%** (95%: 69.2–87.7%, n 70)", "**60.0%** (95%: 49.0–70.0%, n 80)"
    assert told.startswith(f"After 3 months: Premium {premium}, Standard {standard}. Difference +20.0 pp")
    assert "(95%: +5.2 pp to +33.4 pp): chance alone would hardly make it." in told  # Newcombe (1998), his first example
    assert "chance alone could make it" in said(curve((1, 50, 100)), curve((1, 49, 100)))
    assert "fewer than 30 customers" in said(curve((1, 20, 29)), curve((1, 49, 100)))
    part = segments_compared.in_words(
        {"A": curve((1, 60, 70)), "B": curve((1, 60, 80))}, grain="week", periods=(1,), judged=False
    )
    assert part.startswith("After 1 week: ")
    assert "Difference +10.7 pp. Whether chance" in part  # and no interval, where A is counted in both


def test_nothing_is_drawn_until_somebody_is_in_a() -> None:
    page = whole("retention")
    assert len(page.get("vega_lite_chart")) == 4
    assert "Choose who is A" in words(page)


def test_the_lines_over_cohorts_are_explained_by_one_that_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(retention.chart, "show", lambda *_, subtitle, **__: told.append(subtitle))
    question = Question("retention_cohort", grain="month", kind="classic", cohort="first_activity")
    cells = data.answer(question)
    for last in (12, 1):  # of a bank of two months there is no M3
        retention._over_time(question, replace(cells, table=cells.table.filter(pc.less_equal(cells.table["period"], last))))
    assert [text.partition(" after its own month")[0] for text in told] == [
        "M3 is the share of each cohort that was active again 3 months",
        "M1 is the share of each cohort that was active again 1 month",
    ]


@cache
def active_months(raw: Path) -> list[tuple[str, date]]:
    """The months with a transaction that counts, of each customer, from the bank's files."""
    with duckdb.connect() as bank:
        return bank.execute(f"""
            select distinct
                regexp_replace(user_id::varchar, '^user_', ''),
                date_trunc('month', timezone('Europe/Paris', timezone('UTC', left(created_date::varchar, 19)::timestamp)))::date
            from read_parquet('{raw}/transactions*.parquet')
            where transactions_state = 'COMPLETED'
                and transactions_type not in ('FEE', 'TAX', 'CASHBACK', 'REFUND', 'CARD_REFUND')
                and timezone('Europe/Paris', timezone('UTC', left(created_date::varchar, 19)::timestamp))::date <= '2019-05-10'
        """).fetchall()


def by_hand(where: str, beside: str = "") -> dict[int, tuple[int, int]]:
    """Classic monthly retention: by period how many were retained of how many, counted customer by customer.

    With `beside` of the cohorts alone that have somebody of those customers too.
    """
    begun = {min(active) for active in months_of(beside).values() if active} if beside else None
    months = months_of(where)
    last = data.published().as_of
    is_over = (last + timedelta(days=1)).month != last.month
    whole_until = last.year * 12 + last.month - (0 if is_over else 1)
    found: dict[int, tuple[int, int]] = {}
    for active in filter(None, months.values()):
        if begun is not None and min(active) not in begun:
            continue
        for period in range(whole_until - min(active) + 1):
            retained, n = found.get(period, (0, 0))
            found[period] = (retained + (min(active) + period in active), n + 1)
    return found


def months_of(where: str) -> dict[str, set[int]]:
    """The active months of each of these customers, counted from year 0."""
    customers = data.relation("mart_customers")
    with duckdb.connect() as bank:
        people = bank.from_arrow(customers).filter(where).project("user_id").fetchall()
    months: dict[str, set[int]] = {user.removeprefix("user_"): set() for (user,) in people}
    for user, month in active_months(data.in_force().home.parent / "raw"):
        if user in months:
            months[user].add(month.year * 12 + month.month)
    return months


def counted(answer: Answer) -> dict[int, tuple[int, int]]:
    return {row["period"]: (row["retained"], row["n"]) for row in answer.rows()}


QUESTION = Question("retention_cohort", grain="month")
GIVEN = "country in ('FR', 'GB') and os = 'iOS'"
OF_A = (("country", "FR"), ("country", "GB"), ("os", "iOS"))


@pytest.mark.parametrize(
    ("where", "of_everybody"), [((), "true"), ((("country", "GB"), ("country", "PL")), "country in ('GB', 'PL')")]
)
def test_everybody_else_is_whoever_does_not_meet_all_filters_of_a(where: Where, of_everybody: str) -> None:
    question = Question("retention_cohort", where=where, grain="month")
    others = counted(data.retention_curve(question, without=OF_A))
    assert others == by_hand(f"{of_everybody} and not ({GIVEN})")
    assert counted(data.retention_curve(question)) == by_hand(of_everybody) != others


def test_everybody_else_of_whom_a_has_none_is_everybody() -> None:
    question = Question("retention_cohort", where=(("country", "PL"),))
    assert data.retention_curve(question, without=OF_A) == data.retention_curve(question)


def test_whom_two_segments_share_is_found_dimension_by_dimension() -> None:
    assert meeting(OF_A, (("country", "GB"), ("country", "PL"))) == (("country", "GB"), ("os", "iOS"))
    assert meeting(OF_A, (("plan", "METAL"),)) == (("country", "FR"), ("country", "GB"), ("plan", "METAL"), ("os", "iOS"))
    assert meeting(OF_A, (("country", "PL"),)) is None
    assert meeting((), OF_A) == OF_A


def sides(monkeypatch: pytest.MonkeyPatch, **link: str | list[str]) -> tuple[AppTest, list[tuple[str, Answer]]]:
    """The page, and the names and curves of the chart of both."""
    found: list[Mapping[str, Answer]] = []
    together = figures.together
    monkeypatch.setattr(figures, "together", lambda curves: found.append(curves) or together(curves))
    page = whole("retention", **link)
    return page, list(found[-1].items()) if found else []


def test_a_link_compares_any_filters_with_everybody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    page, ((first, one), (second, other)) = sides(monkeypatch, a_country=["FR", "GB"], a_os="iOS")
    assert (first, second) == ("A: France or United Kingdom · iOS", "B: Everybody else")
    others = f"not ({GIVEN})"
    assert (counted(one), counted(other)) == (by_hand(GIVEN, others), by_hand(others, GIVEN))
    assert counted(other) != by_hand(others)
    assert len(page.get("vega_lite_chart")) == 5
    assert "chance alone" in words(page) or "too few to tell" in words(page)
    assert page.query_params["a_country"] == ["FR", "GB"]


def test_another_set_leaves_out_who_is_in_a_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    link = {"against": "set", "a_country": "GB", "b_os": "iOS"}
    page, ((_, one), (second, other)) = sides(monkeypatch, **link)
    assert second == "B: iOS, without A"
    assert (counted(one), counted(other)) == (
        by_hand("country = 'GB'", "os = 'iOS' and country <> 'GB'"),
        by_hand("os = 'iOS' and country <> 'GB'", "country = 'GB'"),
    )
    assert "Who is in A is not counted in B" in words(page)
    assert "Who is in A" not in words(whole("retention", against="set", a_country="GB", b_country="FR"))
    assert "Nobody is in B who is not in A as well." in words(whole("retention", against="set", a_os="iOS", b_os="iOS"))


def test_everybody_counts_a_too_and_no_interval_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    page, (_, (second, other)) = sides(monkeypatch, against="everybody", a_os="iOS")
    assert (second, counted(other)) == ("B: Everybody", by_hand("true", "os = 'iOS'"))
    assert "A is part of everybody, and counted in both curves." in words(page)
    assert "against everybody else, who are different customers" in words(page)
    assert "hardly" not in words(page)


def test_a_segment_that_is_new_is_compared_over_its_own_months_also_with_the_same_cohorts_throughout() -> None:
    months = data.dimension_values("signup_cohort")
    late = tuple(("signup_cohort", month) for month in sorted(months)[-6:])
    one, other = segments_compared.Side(late, "", ""), segments_compared.Side((), "", "", without=late)
    assert len(counted(other.curve(QUESTION))) > len(counted(one.curve(QUESTION)))
    for fixed in (False, True):
        curves = one.curve(QUESTION, other, fixed=fixed), other.curve(QUESTION, one, fixed=fixed)
        theirs, others = ({row["period"]: row["cohorts"] for row in curve.rows()} for curve in curves)
        assert theirs == others != {}


def test_two_segments_without_a_cohort_in_common_are_not_compared() -> None:
    page = whole("retention", against="set", a_signup_cohort="2018-03", b_signup_cohort="2018-09", cohort="signup")
    assert "A and B have no cohort in common" in words(page)
    assert "Nobody is in B who is not in A as well." in words(whole("retention", against="set", a_os="iOS", b_os="iOS"))


def test_both_are_within_the_filters_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ((_, one), (_, other)) = sides(monkeypatch, country=["FR", "GB"], a_country="FR")
    assert (counted(one), counted(other)) == (
        by_hand("country = 'FR'", "country = 'GB'"),
        by_hand("country = 'GB'", "country = 'FR'"),
    )
    page = whole("retention", country=["FR", "GB"])
    assert len(page.selectbox(key="a_country").options) == 3  # all and each of the two
    beyond = whole("retention", country="FR", a_country="GB")
    assert [warning.value for warning in beyond.warning] == [
        "The link asks for “A · Country” = `GB`, which is not here. Shown instead: All."
    ]


def test_a_link_from_before_compares_the_same_two_values_and_is_said_as_today(monkeypatch: pytest.MonkeyPatch) -> None:
    page, ((first, one), (second, other)) = sides(monkeypatch, between="plan_tier", a="premium", b="standard", os="iOS")
    assert (first, second) == ("A: Premium", "B: Standard")
    premium, standard = (f"os = 'iOS' and plan_tier = '{tier}'" for tier in ("premium", "standard"))
    assert [counted(one), counted(other)] == [by_hand(premium, standard), by_hand(standard, premium)]
    said = {"against": "set", "a_plan_tier": "premium", "b_plan_tier": "standard", "os": "iOS"}
    assert {key: page.query_params[key] for key in page.query_params} == said


def test_a_link_from_before_without_values_compares_the_first_two(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ((first, _), (second, _)) = sides(monkeypatch, between="country")
    names = [formats.dimension_value("country", value) for value in data.dimension_values("country")[:2]]
    assert [first, second] == [f"A: {names[0]}", f"B: {names[1]}"]


def test_a_link_from_before_by_what_is_no_dimension_says_so_until_somebody_is_in_a() -> None:
    page = whole("retention", between="eye_colour", a="blue", b="brown")
    told = "The link asks for “A against B” = `eye_colour`, which is not here. Shown instead: Nobody yet."
    assert [warning.value for warning in page.warning] == [told]
    assert len(page.get("vega_lite_chart")) == 4
    page.selectbox(key="a_os").select(("iOS",)).run()
    assert failed(page) == []
    assert (page.warning.len, dict(page.query_params)) == (0, {"a_os": "iOS"})
    assert whole("retention", between="all").warning.len == 0  # nobody was compared, and nobody is


def test_a_filter_is_added_to_a_as_to_any_segment_and_stands_in_the_address() -> None:
    page = whole("retention")
    page.selectbox(key="a_country").select(("GB",)).run()
    page.selectbox(key="a_country").select(("FR", "GB")).run()
    assert failed(page) == []
    assert (page.query_params["a_country"], len(page.get("vega_lite_chart"))) == (["FR", "GB"], 5)


def test_the_filters_of_b_leave_the_address_with_it() -> None:
    page = whole("retention", against="set", a_os="iOS", b_country="GB")
    page.segmented_control(key="against").set_value("others").run()
    assert failed(page) == []
    assert set(page.query_params) == {"a_os"}


def test_what_a_asks_is_given_up_without_a_word_once_the_page_filters_by_another_value() -> None:
    page = whole("retention", a_plan_tier="standard")
    page.selectbox(key="plan_tier").select(("premium",)).run()
    assert (page.selectbox(key="a_plan_tier").value, page.warning.len) == ((), 0)
    assert "a_plan_tier" not in page.query_params


def test_everybody_less_everybody_else_tells_a_viewer_of_no_few_customers(come_in: Callable[[User], None]) -> None:
    question, subtracted, hidden = Question("retention_cohort"), 0, 0
    for country in data.dimension_values("country"):
        left_out = (("country", country),)
        come_in(User("max", Role.MANAGER))
        theirs = counted(data.retention_curve(replace(question, where=left_out)))
        come_in(User("vera", Role.VIEWER))
        everybody = counted(data.retention_curve(question))
        others = counted(data.retention_curve(question, without=left_out))
        for period, (_, n) in others.items():
            if n is not None and everybody[period][1] is not None:
                assert not 0 < everybody[period][1] - n < FEWEST, (country, period)
                subtracted += 1
            hidden += n is None and 0 < theirs.get(period, (0, 0))[1] < FEWEST
    assert subtracted > 0
    assert hidden > 0


def test_the_caption_of_both_curves_names_the_segment_of_the_page_and_neither_of_the_two() -> None:
    said = [caption.value for caption in whole("retention", a_plan_tier="premium", os="iOS").caption]
    of_the_page = [line for line in said if "Phone: iOS · " in line]
    assert len(of_the_page) == 5
    assert not [line for line in said if "Tier:" in line]


def test_the_lines_over_the_cohorts_are_the_cells_of_the_heat_map() -> None:
    cells = data.answer(Question("retention_cohort"))
    drawn = figures.over_cohorts(cells, {1: "M1", 3: "M3"})
    assert set(charts.SHARE_BY_SERIES.columns) - {"grain"} <= set(drawn.table.column_names)  # which is said by the question
    wanted = {(f"M{row['period']}", row["cohort"]): row["value"] for row in cells.rows() if row["period"] in (1, 3)}
    assert {(row["series"], row["date"]): row["value"] for row in drawn.rows()} == wanted
    assert date(2019, 5, 1) not in {row["date"] for row in drawn.rows()}  # nobody has had a month yet


def test_the_amount_that_comes_again_is_never_more_gross_than_net() -> None:
    net, gross = (data.answer(Question("amount_retention", kind=kind)).rows() for kind in ("net", "gross"))
    assert all(low["value"] <= high["value"] and low["value"] <= 1 for low, high in zip(gross, net, strict=True))
    assert "Amount that comes again, by month" in words(whole("payments"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("United Kingdom", "United Kingdom"),
        ("Metal (free)", "Metal (free)"),
        ("25-34", "25-34"),
        ("**bold**", "`**bold**`"),
        ("[a](b)", "`[a](b)`"),
        (":material/check:", "`:\u2060material/check:`"),
        ("_x_", "`_x_`"),
    ],
)
def test_a_name_from_the_banks_files_is_no_mark_up_within_a_sentence(name: str, shown: str) -> None:
    assert formats.in_words(name) == shown
