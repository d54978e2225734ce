"""The pages on a published demo bank, without a browser: what they show, what follows the filters, what they say when broken."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import chain
import duckdb
import pyarrow as pa
import pytest
import streamlit as st
from page_kit import HOSTILE, SECONDS, failed, is_harmless, opened, whole, words
from streamlit.testing.v1 import AppTest

from pipeline.errors import TransientError
from pipeline.marts import Behind, OlderVersionError, Question, Reader, Search, Together
from pipeline.marts.headline import SHOWN
from pipeline.runs.records import RunState
from pipeline.runs.store import RunStore
from pipeline.runs.trail import Acts, TrailStore
from pipeline.warehouse.publication import Publications, TestSummary, Version
from streamlit_app import auth, data, data_kept, figures, formats, messages, navigation, stores
from streamlit_app.auth import Role, User
from streamlit_app.components import chart, chart_files, frame, run_store_now
from streamlit_app.messages import text
from streamlit_app.views import activity, overview, payments

APP = Path(data.__file__).parent / "app.py"
VIEWS = ("overview", "activity", "retention", "churn", "payments")
LAST_DAY = date(2019, 5, 10)

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.xdist_group("the bank of the pages")]


@pytest.fixture
def bank(pages_bank: Path) -> Path:
    """A NEOPULSE_HOME with one published version of a small demo bank."""
    return pages_bank


@pytest.fixture
def home(bank: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app reads that bank, and lets the local user in."""
    use(bank, monkeypatch)
    return bank


def use(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_HOME", str(home))
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    for cached in (data.in_force, auth._in_force):
        cached.cache_clear()


@pytest.fixture
def no_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app has nothing to read yet."""
    del home  # set before, so that this one counts
    use(tmp_path / "home", monkeypatch)
    return tmp_path / "home"


def whole_app() -> AppTest:
    return AppTest.from_file(str(APP), default_timeout=SECONDS).run()


def charts(page: AppTest) -> int:
    return len(page.get("vega_lite_chart"))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(("name", "cards"), [("overview", 4), ("activity", 9), ("retention", 4), ("churn", 4), ("payments", 10)])
def test_each_page_draws_its_charts_in_both_languages(name: str, cards: int, language: str) -> None:
    page = opened(name, lang=language)
    assert failed(page) == []
    assert [header.value for header in page.header] == [text(f"{name}.title", language)]
    assert charts(page) == cards


@pytest.mark.parametrize("name", VIEWS)
def test_every_chart_has_a_caption_that_says_what_it_rests_on(name: str) -> None:
    page = opened(name)
    last_days = ("to 10 May 2019", "to 30 Apr 2019")  # the latter where complete months are summed
    assert sum(any(day in caption.value for day in last_days) for caption in page.caption) >= charts(page)


def test_a_chart_is_told_in_words_once_and_its_question_where_its_files_are_unfolded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, asked = [], []
    footnote, question_of = chart.footnote, chart.question_of
    monkeypatch.setattr(chart, "footnote", lambda *given, **more: (told.append(given), footnote(*given, **more))[1])
    monkeypatch.setattr(chart, "question_of", lambda *given: (asked.append(given), question_of(*given))[1])
    page = opened("activity")
    assert (len(told), len(asked)) == (charts(page), 0)


def test_the_headline_figures_are_those_of_the_published_version(home: Path) -> None:
    page = opened("overview")
    shown = {metric.label: metric.value for metric in page.metric}
    version = Publications(home, keep=5).current()
    assert version is not None
    last = chain.reader(version).answer(Question("active_customers")).rows()[-1]
    assert shown["Active customers"] == f"{round(last['value']):,}"
    assert len(shown) == 8


def test_the_quick_ratio_of_those_of_whom_nobody_left_is_told_instead_of_drawn() -> None:
    nobody_left = "Nobody left in these months: there is nothing to compare those who came with."
    assert nobody_left in words(whole("overview", country="MT", window="180"))
    assert nobody_left not in words(whole("overview"))


def test_a_quick_ratio_of_no_month_at_all_is_said_to_be_empty_as_any_chart_is(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(overview, "_card", lambda name, *_: drawn.append(name))
    found = data.answer(Question("quick_ratio"))
    overview._quick_ratio(replace(found, table=found.table.slice(0, 0)))
    assert drawn == ["quick_ratio"]


def active_customers(page: AppTest) -> str:
    return str(next(metric.value for metric in page.metric if metric.label == "Active customers"))


def test_the_window_in_a_link_and_on_the_slider_change_the_figures_alike() -> None:
    published, linked = opened("activity"), opened("activity", window="20")
    assert active_customers(published) != active_customers(linked)
    moved = published.slider(key="window").set_value(20).run()
    assert active_customers(moved) == active_customers(linked)
    assert moved.query_params["window"] == "20"


def test_what_equals_the_default_does_not_stand_in_the_link() -> None:
    page = opened("activity", window="20")
    assert "window" not in page.slider(key="window").set_value(90).run().query_params


def test_a_filter_stands_in_the_link_by_its_code_in_every_language() -> None:
    page = opened("activity")
    page.selectbox(key="country").set_value(("FR",)).run()
    assert page.query_params["country"] == "FR"
    french = opened("activity", country="FR", lang="fr")
    assert french.selectbox(key="country").value == ("FR",)
    assert next(metric.value for metric in french.metric) == active_customers(page)


@pytest.mark.parametrize(
    "parameters",
    [
        {"window": "9999"},
        {"window": "x"},
        {"country": "ZZ"},
        {"from": "yesterday"},
        {"to": "1999-01-01"},
        {"grain": "decade"},
        {"only_final": "maybe"},
    ],
)
def test_a_link_with_a_value_that_cannot_be_opens_on_the_default(parameters: dict[str, str]) -> None:
    page = opened("activity", **parameters)
    assert failed(page) == []
    assert active_customers(page) == active_customers(opened("activity"))
    assert page.query_params == parameters
    assert [warning.value.count("The link asks for") for warning in page.warning] == [1]


def test_a_link_in_a_language_or_of_a_section_that_is_not_there_says_so() -> None:
    page = AppTest.from_file(str(APP), default_timeout=SECONDS)
    page.query_params["lang"] = "de"
    page.run()
    asked = [warning.value for warning in page.warning if "The link asks for" in warning.value]
    assert asked == ["The link asks for “Language” = `de`, which is not here. Shown instead: en."]
    (told,) = whole("definitions", section="nothing").warning
    assert "`nothing`" in told.value
    assert "Metrics" in told.value


def test_a_range_chosen_backwards_is_read_forwards() -> None:
    page = opened("churn", **{"from": "2019-03-01", "to": "2019-01-01"})
    assert failed(page) == []
    months = set(page.dataframe[0].value["Month"])
    assert months == {date(2019, 1, 1), date(2019, 2, 1), date(2019, 3, 1)}
    said = "From lies after To: the days shown are 1 Jan 2019 to 1 Mar 2019."
    assert [element.value for element in page.warning if said in element.value]
    assert said not in words(opened("churn", **{"from": "2019-01-01", "to": "2019-03-01"}))


def test_a_segment_without_anybody_says_so_and_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = data.answer

    def nobody(question: Question) -> Any:
        found = answer(question)
        return type(found)(**{**vars(found), "table": found.table.slice(0, 0)})

    monkeypatch.setattr(data, "answer", nobody)
    for name in VIEWS:
        page = opened(name)
        assert failed(page) == [], name
        assert len(page.info) == 1, name


def test_the_monthly_table_marks_the_month_that_is_not_over() -> None:
    table = opened("churn").dataframe[0].value
    status = dict(zip(table["Month"], table["Status"], strict=True))
    assert status[date(2019, 5, 1)] == "provisional, final on 31 May 2019"
    assert status[date(2019, 4, 1)] in ("final", "fewer than 30")


def test_the_monthly_table_has_every_group_with_numbers_that_can_be_sorted(bank: Path) -> None:
    page = opened("churn", by="country")
    assert failed(page) == []
    table = page.dataframe[0].value
    april = table[table["Month"] == date(2019, 4, 1)].set_index("Group")
    shown = {group: (int(row["Left"]), int(row["At start"])) for group, row in april.iterrows() if row["At start"] > 0}
    assert shown == left_in_april(bank) != {}
    assert len(shown) > figures.MOST_SERIES  # more than the chart draws
    assert april["Churn"].tolist() == [round(left / n, 3) for left, n in zip(april["Left"], april["At start"], strict=True)]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, chart_files.Files]:
    """The files that a page offers, by the key of their chart, without anybody unfolding a menu."""
    offered: dict[str, chart_files.Files] = {}
    monkeypatch.setattr(chart_files, "menu", lambda files: offered.update({files.key: files}))
    return offered


def column(files: chart_files.Files, name: str) -> list[Any]:
    names, rows = files.content()
    return [row[names.index(name)] for row in rows]


@pytest.mark.parametrize(
    ("page", "split", "key"),
    [
        ("churn", {"by": "country"}, "churn"),
        ("churn", {"by": "country"}, "survival"),
        ("churn", {"by": "country", "from": "2019-04-01", "to": "2019-04-30"}, "survival"),
        ("retention", {"first_by": "country"}, "first_transaction"),
        ("activity", {"by": "country"}, "active"),
        ("overview", {"changed_by": "country"}, "what_changed"),
    ],
)
def test_the_files_of_a_chart_that_shows_a_few_groups_have_them_all(
    files: dict[str, chart_files.Files], page: str, split: dict[str, str], key: str
) -> None:
    assert failed(opened(page, **split)) == []
    countries = {formats.dimension_value("country", code) for code in data.relation("mart_customers")["country"].to_pylist()}
    drawn = set(files[key].table["series"].to_pylist())
    filed = set(column(files[key], "series"))
    assert len(drawn) <= 10 < len(filed)
    assert filed == countries if key in ("survival", "first_transaction") else filed <= countries
    assert "segment" in files[key].content()[0]


def test_a_country_that_is_not_known_is_called_so_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "fr")
    codes = ("ESP", "unknown", "XQX", "XKX", "TWN")
    assert [data.country_name(code) for code in codes] == ["Espagne", "inconnu", "XQX", "Kosovo", "Taïwan"]


def test_the_files_of_a_map_and_of_a_list_of_countries_have_every_country(files: dict[str, chart_files.Files]) -> None:
    assert failed(opened("payments")) == []
    answer = data.answer(Question("card_not_present_share", by="merchant_country"))
    paid = {row["merchant_country"] for row in answer.rows() if row["n"] and not row["provisional"]}
    for key in ("map", "countries"):
        codes = column(files[key], "code")
        assert len(codes) == len(paid) > payments.COUNTRIES == files["countries"].table.num_rows
        assert set(codes) == paid


def test_the_countries_of_merchants_say_which_months_are_summed(files: dict[str, chart_files.Files]) -> None:
    """The bank ends on 10 May 2019: of a range from 15 January the months that are over are January to April, shown whole."""
    page = opened("payments", **{"from": "2019-01-15"})
    assert failed(page) == []
    assert sum("1 Jan 2019 to 30 Apr 2019" in caption.value for caption in page.caption) == 2
    months = data.answer(Question("card_not_present_share", start=date(2019, 1, 1), end=date(2019, 4, 30))).rows()
    for key in ("map", "countries"):
        assert files[key].name == f"neopulse-{key}-2019-01-01_2019-04-30-v0001-2019-05-10"
        days = {(str(column(files[key], "range_start")[row]), str(column(files[key], "range_end")[row])) for row in range(5)}
        assert days == {("2019-01-01", "2019-04-30")}
        assert sum(column(files[key], "n")) == sum(row["n"] for row in months)


def test_what_a_list_adds_up_to_is_of_all_of_it_and_counts_each_customer_once() -> None:
    rows = data.customers(Search(), limit=1_000_000).table.to_pylist()
    amounts = sorted(row["amount_usd"] for row in rows)
    together = data.customers(Search(), limit=1).together
    assert together.customers == len(rows)
    assert together.transactions == sum(row["transactions"] for row in rows)
    assert together.amount_usd == pytest.approx(sum(amounts))
    assert together.median_amount_usd == pytest.approx(statistics.median(amounts))
    back = Behind(Question("resurrected_customers", window=7, grain="month"), date(2019, 3, 1))
    listed = data.customers(Search(behind=back), limit=1_000_000)
    once = {row["user_id"]: row for row in listed.table.to_pylist()}
    assert listed.together.customers == len(once) < listed.total
    assert listed.together.transactions == sum(row["transactions"] for row in once.values())
    assert listed.together.amount_usd == pytest.approx(sum(row["amount_usd"] for row in once.values()))
    page = opened("customers")
    expected = f"{len(rows):,} customers together: {together.transactions:,} counted transactions"
    assert any(expected in caption.value for caption in page.caption)


def test_a_list_of_nobody_adds_up_to_nothing() -> None:
    nobody = data.customers(Search(text="no such customer"))
    assert (nobody.total, nobody.together) == (0, Together(0, 0, 0.0, None))
    assert not any("together" in caption.value for caption in opened("customers", active="never").caption)


def test_who_was_never_active_is_a_list_of_its_own_beside_those_who_are_gone(bank: Path) -> None:
    wanted = without_an_active_day(bank)
    never = data.customers(Search(state="never"), limit=100_000)
    assert set(never.table["user_id"].to_pylist()) == wanted != set()
    assert never.total == len(wanted)
    totals = {state: data.customers(Search(state=state)).total for state in ("", "active", "inactive", "lapsed")}
    assert totals["inactive"] == totals["lapsed"] + never.total
    assert totals[""] == totals["active"] + totals["inactive"]
    page = opened("customers", active="never")
    assert failed(page) == []
    assert set(page.dataframe[0].value["is_active"]) == {"Never active"}
    assert set(opened("customers", active="lapsed").dataframe[0].value["is_active"]) == {"Inactive"}


def without_an_active_day(bank: Path) -> set[str]:
    """The customers of the bank's own table of users, opened up to the last loaded day, of whom no transaction counts."""
    with duckdb.connect() as files:
        found = files.query(f"""
            select regexp_replace(user_id::varchar, '^user_', '') as customer
            from read_parquet('{bank.parent}/raw/users*.parquet')
            where left(created_date::varchar, 10) <= '2019-05-16'
            except
            select regexp_replace(user_id::varchar, '^user_', '')
            from read_parquet('{bank.parent}/raw/transactions*.parquet')
            where transactions_state = 'COMPLETED'
                and transactions_type not in ('FEE', 'TAX', 'CASHBACK', 'REFUND', 'CARD_REFUND')
        """)
        return {customer for (customer,) in found.fetchall()}


def left_in_april(bank: Path) -> dict[str, tuple[int, int]]:
    """By country how many left in April 2019, of how many active on the last day of March; counted in the bank's own files."""
    customers = data.relation("mart_customers")
    with duckdb.connect() as files:
        people = files.from_arrow(customers).project("replace(user_id, 'user_', '') as customer, country").set_alias("people")
        days = files.query(f"""
            select distinct
                regexp_replace(user_id::varchar, '^user_', '') as customer,
                timezone('Europe/Paris', timezone('UTC', left(created_date::varchar, 19)::timestamp))::date as day
            from read_parquet('{bank.parent}/raw/transactions*.parquet')
            where transactions_state = 'COMPLETED'
                and transactions_type not in ('FEE', 'TAX', 'CASHBACK', 'REFUND', 'CARD_REFUND')
        """).set_alias("days")
        active = days.join(people, "days.customer = people.customer").project("days.customer as customer, country, day")
        found = active.aggregate(
            """country,
            customer,
            max(day) filter (day <= date '2019-03-31') as last,
            min(day) filter (day > date '2019-03-31') as next"""
        )
        counted = found.filter("last > date '2019-03-31' - 90").aggregate(
            """country,
            count(*) filter (last + 90 <= date '2019-04-30' and (next is null or next - last > 90)) as gone,
            count(*) as at_start"""
        )
        return {formats.dimension_value("country", country): (gone, n) for country, gone, n in counted.fetchall()}


def test_the_cohort_heat_map_follows_its_choices() -> None:
    page = opened("retention")
    page.segmented_control(key="kind").set_value("unbounded").run()
    assert page.query_params["kind"] == "unbounded"
    assert "Unbounded" in words(page)
    assert failed(page.segmented_control(key="grain").set_value("week").run()) == []


def test_the_app_shows_every_page_to_the_local_admin_and_the_version_in_its_header() -> None:
    page = whole_app()
    assert failed(page) == []
    header = page.caption[0].value
    assert header.startswith("**v0001** · data to 10 May 2019 · ")
    assert header.endswith(" tests passed · the bank's files")


def test_who_has_not_the_role_is_offered_no_page_for_it() -> None:
    names = {role: [name for pages in navigation.open_to(User("someone", role)).values() for name in pages] for role in Role}
    assert names[Role.VIEWER] == ["overview", "activity", "retention", "churn", "payments", "definitions"]
    assert set(names[Role.MANAGER]) - set(names[Role.VIEWER]) == {"customers"}
    ops = {"ops_runs", "ops_schedule", "ops_syncs", "ops_versions", "ops_alerts", "ops_reports", "ops_audit"}
    assert set(names[Role.ADMIN]) - set(names[Role.MANAGER]) == ops


def test_data_problems_are_told_in_the_header() -> None:
    problems = data.data_quality().to_pylist()
    rows = sum(problem["rows_counted_once"] for problem in problems)
    assert rows > 0
    labels = [popover.proto.popover.label for popover in whole_app().get("popover")]
    of_transactions = [problem for problem in problems if problem["source_table"] == "transactions"]
    doubtful = sum(problem["rows_counted_once"] for problem in of_transactions)
    sent = data.published().transactions + sum(p["rows_affected"] for p in of_transactions if p["disposition"] == "rejected")
    assert f"{rows:,} doubtful rows ({doubtful:,} transactions, {doubtful / sent:.2%} of all)" in labels


def test_a_version_that_does_not_tell_its_transactions_has_a_header_without_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sum(problem["rows_counted_once"] for problem in data.data_quality().to_pylist())
    untold = replace(data.published(), transactions=0)
    monkeypatch.setattr(data, "published", lambda: untold)
    app = whole_app()
    assert not app.exception
    assert f"{rows:,} doubtful rows" in [popover.proto.popover.label for popover in app.get("popover")]


def test_old_data_is_told_in_the_header() -> None:
    """The bank of the tests ends in 2019 and is published in 2026."""
    assert [warning.value.splitlines()[0] for warning in whole_app().warning] == [
        "The newest data is of 10 May 2019, though this version was made on 23 Nov 2026. Is the bank's export still arriving?"
    ]


def version_of(source: str) -> Version:
    return Version(
        name="v0003",
        number=3,
        folder=Path("v0003"),
        published_at=datetime(2019, 5, 17, 6, tzinfo=UTC),
        run_id=5,
        as_of=date(2019, 5, 16),
        source=source,
        inactivity_days=90,
        activity_rule="COMPLETED transactions, every type",
        bank_timezone="Europe/Paris",
        tests=TestSummary(passed=41, failed=0, warned=0, total=41),
        rows={},
    )


def test_synthetic_data_says_so() -> None:
    assert frame.facts_line(version_of("demo bank")).endswith("41 of 41 tests passed · synthetic demo bank")
    assert frame.facts_line(version_of("files")).endswith("the bank's files")


@pytest.mark.usefixtures("no_home")
def test_before_the_first_version_a_page_says_what_to_do() -> None:
    page = whole_app()
    assert failed(page) == []
    assert "No figures yet" in words(page)
    assert "neopulse demo" in words(page)
    assert charts(page) == 0


@pytest.mark.parametrize("file", ["version.json", "published.duckdb"])
def test_a_damaged_version_is_told_with_place_and_next_command_and_the_frame_stands(bank: Path, no_home: Path, file: str) -> None:
    shutil.copytree(bank, no_home)
    (no_home / "versions" / "v0001" / file).write_text("{", encoding="utf-8")
    page = whole_app()
    assert page.exception == []
    assert len(page.error) == 1
    assert "Next: neopulse" in page.error[0].value
    assert formats.plain(str(no_home)) in page.error[0].value
    assert "Traceback" not in words(page)
    assert page.segmented_control(key="lang").value == "en"


def test_a_version_whose_figures_are_not_there_is_told_once_and_not_drawn_over_and_over(bank: Path, no_home: Path) -> None:
    shutil.copytree(bank, no_home)
    (no_home / "versions" / "v0001" / "published.duckdb").unlink()
    page = whole_app()
    assert page.exception == []
    assert len(page.error) == 1


def test_a_page_is_drawn_anew_only_where_that_gives_it_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    current = data.current_version()
    assert current is not None
    older, drawn_anew = replace(current, name="v0000", number=0), list[bool]()
    monkeypatch.setattr(st, "rerun", lambda: drawn_anew.append(True))
    data._draw_anew(current, current)
    monkeypatch.setattr(data, "_asked_version", lambda _: older)  # a link asks for it, and it is still listed
    data._draw_anew(older, current)
    assert drawn_anew == []
    monkeypatch.setattr(data, "_asked_version", lambda current: current)
    data._draw_anew(older, current)
    assert drawn_anew == [True]


def test_an_unforeseen_failure_gives_a_reference_and_keeps_its_words_to_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Question) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(data, "answer", fail)
    page = opened("churn")
    assert page.exception == []
    (told,) = page.error
    assert "secret detail" not in told.value
    reference = caplog.records[-1].args[0]  # type: ignore[index]
    assert str(reference) in told.value
    assert caplog.records[-1].exc_info is not None


def test_a_page_keeps_to_one_version_while_another_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = data.pin_version()
    monkeypatch.setattr(data, "current_version", lambda: version_of("files"))
    assert data.published() == pinned
    assert data.answer(Question("mau")).version == "v0001"
    assert data.pin_version() != pinned
    assert data.published() == version_of("files")  # its file is not there: what is current counts


def test_a_version_that_is_pruned_under_a_reader_leaves_the_question_to_the_current_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    current = data.current_version()
    assert current is not None
    gone = replace(current, name="v0000", folder=tmp_path / "v0000")
    monkeypatch.setattr(data, "_published", lambda: gone)
    assert data.answer(Question("mau")).version == "v0001"
    monkeypatch.setattr(data, "current_version", lambda: gone)
    with pytest.raises(FileNotFoundError):  # where there is no other one it is told
        data.answer(Question("wau", window=33))


def test_a_headline_flow_is_the_sum_over_28_days_and_is_held_against_the_28_before(home: Path) -> None:
    version = Publications(home, keep=5).current()
    assert version is not None
    reader = chain.reader(version)
    figures = {figure.metric.name: figure for figure in reader.headline(window=30)}
    for name in ("new_customers", "resurrected_customers", "churned_customers"):
        days = [row["value"] for row in reader.answer(Question(name, window=30)).rows()]
        assert (figures[name].value, figures[name].before) == (sum(days[-28:]), sum(days[-56:-28]))
    rows = reader.answer(Question("active_customers", window=30)).rows()
    assert (figures["active_customers"].value, figures["active_customers"].before) == (rows[-1]["value"], rows[-29]["value"])


def test_the_headline_of_an_earlier_day_is_what_it_was_on_that_day(home: Path) -> None:
    version = Publications(home, keep=5).current()
    assert version is not None
    reader, day = chain.reader(version), date(2019, 2, 20)
    figures = {figure.metric.name: figure for figure in reader.headline(window=30, until=day)}
    for name in ("new_customers", "resurrected_customers", "churned_customers"):
        days = {row["date"]: row["value"] for row in reader.answer(Question(name, window=30)).rows()}
        now, before = (sum(days[day - timedelta(days=back + past)] for past in range(28)) for back in (0, 28))
        assert (figures[name].value, figures[name].before, figures[name].until) == (now, before, day)
    active = {row["date"]: row["value"] for row in reader.answer(Question("active_customers", window=30)).rows()}
    assert figures["active_customers"].value == active[day] != active[version.as_of]
    (january,) = (
        row for row in reader.answer(Question("monthly_churn_rate", window=30)).rows() if row["month"] == date(2019, 1, 1)
    )
    assert (figures["monthly_churn_rate"].until, figures["monthly_churn_rate"].value) == (date(2019, 1, 31), january["value"])
    assert reader.headline(window=30, until=date(2099, 1, 1)) == reader.headline(window=30)


def test_the_cards_of_activity_follow_the_last_day_of_the_range_and_say_it() -> None:
    page = whole("activity", to="2019-02-20")
    days = {row["date"]: row["value"] for row in data.answer(Question("active_customers", grain="day")).rows()}
    assert page.metric[0].value == formats.number(days[date(2019, 2, 20)])
    assert "on 20 Feb 2019" in words(page)
    assert "The charts by N are of 10 May 2019" in words(page)
    whole_range = words(whole("activity"))
    assert "on 10 May 2019" not in whole_range
    assert "The charts by N are of" not in whole_range


def test_what_does_not_follow_the_range_on_churn_says_so_where_a_range_is_chosen() -> None:
    told = "whatever range of days is chosen above"
    page = whole("churn", **{"from": "2019-05-02", "to": "2019-05-08"})
    assert sum(told in line for line in words(page).splitlines()) == 3  # the curves, their test, the early warnings
    assert "No complete, final month lies in this range, so premium and standard are not compared." in words(page)
    everything = words(whole("churn"))
    assert told not in everything
    assert "No complete, final month" not in everything
    april = words(whole("churn", **{"from": "2019-04-10", "to": "2019-05-08"}))
    assert told in april
    assert "In Apr 2019" in april


def test_the_days_of_28_name_the_end_of_the_month_that_they_are_counted_to() -> None:
    assert "in the 28 days to 10 May 2019" in words(whole("activity"))
    page = words(whole("activity", **{"from": "2019-02-10", "to": "2019-02-20"}))
    assert "in the 28 days to 31 Jan 2019" in page
    assert "CARD_REFUND · to 31 Jan 2019" in page
    assert "none of these days is there" in words(whole("activity", **{"to": "2018-01-20"}))


def test_a_viewer_has_no_sum_of_another_day_than_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "current_user", lambda: User("vera", Role.VIEWER))
    assert data.headline(until=date(2019, 2, 20)) == data.headline()
    assert "on 10 May 2019" in words(whole("activity", to="2019-02-20"))


def test_an_error_is_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    data._answers.cache_clear()
    working = data.marts.reader

    def broken(_: Version) -> None:
        raise OSError("the disk is gone for a moment")

    monkeypatch.setattr(data.marts, "reader", broken)
    with pytest.raises(OSError, match="for a moment"):
        data.answer(Question("mau"))
    monkeypatch.setattr(data.marts, "reader", working)
    assert not data.answer(Question("mau")).empty


def test_one_answer_is_read_once_a_version_and_role() -> None:
    first = data.answer(Question("wau"))
    assert data.answer(Question("wau")) is first
    assert data.answer(Question("wau", where=(("country", "GB"),))) is not first


def test_the_time_key_is_called_date_whatever_the_grain() -> None:
    for grain in ("day", "week", "month"):
        assert data.answer(Question("active_customers", grain=grain)).table.column_names[0] == "date"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.INTERRUPTED])
def test_a_run_that_broke_off_says_whether_these_figures_are_its_own(state: RunState, monkeypatch: pytest.MonkeyPatch) -> None:
    run = data.latest_run()
    assert run is not None
    for version, ending in (("v0001", "afterwards at: "), (None, "whole and tested.")):
        changed = type(run)(**{**vars(run), "state": state, "version": version})
        monkeypatch.setattr(data, "latest_run", lambda changed=changed: changed)
        (told,) = whole_app().warning
        assert ending in told.value


def test_tables_are_arrow_from_the_mart_to_the_chart() -> None:
    assert isinstance(data.growth(Question("active_customers", grain="month")).table, pa.Table)


def test_a_version_from_before_a_metric_says_so_in_its_place_and_shows_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_older(asked: data.Question) -> data.Answer:
        if asked.metric in ("amount_concentration", "transaction_concentration"):
            raise OlderVersionError(asked.metric, "v0001")
        return answer(asked)

    answer = data.answer
    monkeypatch.setattr(data, "answer", is_older)
    page = opened("payments")
    assert failed(page) == []
    assert "published before the concentration was there" in words(page)
    assert charts(page) == 7


def test_figures_are_shown_with_targets_and_notes_missing_where_the_run_store_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def silent(url: str) -> RunStore:
        asked.append(url)
        raise TransientError("The run store did not answer: connection refused")

    asked: list[str] = []
    monkeypatch.setattr(stores, "run_store", silent)
    monkeypatch.setattr(data_kept, "_known", {})
    monkeypatch.setattr(data_kept, "SECONDS_SILENT", 3600)
    monkeypatch.setattr(run_store_now, "_silent", {})
    page = whole_app()
    assert failed(page) == []
    assert charts(page) == 4
    assert "The run store does not answer: targets, notes, views and news of runs are missing here." in page.warning[0].value
    assert len(asked) == 3  # the head, then targets and notes once each, and not again for every chart
    whole_app()
    assert len(asked) == 3  # nor for every page: a store that the network lost takes seconds to say so


def test_what_another_neopulse_did_not_publish_is_no_failure_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_older(asked: data.Question) -> data.Answer:
        if asked.kind == "hold_out":
            raise OlderVersionError("the kind hold_out of silence_calibration", "v0001")
        return answer(asked)

    answer = data.answer
    monkeypatch.setattr(data, "answer", is_older)
    page = opened("churn", lang="fr")
    assert (len(page.error), len(page.exception)) == (0, 0)
    assert [told.partition(".")[0] for told in failed(page)] == ["Le neopulse qui a publié v0001 n'avait pas ceci"]


def test_the_concentration_of_two_countries_says_that_it_is_known_of_one_and_the_rest_is_of_both() -> None:
    page = opened("payments", country=["FR", "GB"], lang="en")
    assert failed(page) == []
    assert "known of everybody and of one country at a time, and not of several together" in words(page)
    assert charts(page) == 7
    assert any("Country: France or United Kingdom" in caption.value for caption in page.caption)


def test_a_range_without_a_month_that_is_over_has_no_map_and_says_why() -> None:
    last = data.published().as_of
    page = opened("payments", **{"from": last.replace(day=2).isoformat(), "lang": "en"})
    assert failed(page) == []
    assert "No month of this range is over yet" in words(page)
    assert charts(page) == 8


def test_the_headline_shows_the_metrics_that_are_named_as_its_own() -> None:
    assert tuple(figure.metric.name for figure in data.headline()) == SHOWN


def test_a_reader_of_an_older_version_says_which_metric_it_has_not() -> None:
    reader = Reader(data.published())
    reader.registry.pop("amount_concentration")
    with pytest.raises(OlderVersionError, match="was published before amount_concentration was there"):
        reader.answer(Question("amount_concentration"))


@pytest.mark.parametrize("dimension", ["country", "signup_cohort", "os"])
def test_active_customers_split_by_a_dimension_add_up_to_all_of_them(dimension: str) -> None:
    asked = Question("active_customers", window=30, grain="month")
    whole = {row["date"]: row["value"] for row in data.answer(asked).rows()}
    drawn = activity._by_group(data.answer(replace(asked, by=dimension)), dimension)
    sums: dict[date, float] = {}
    for row in drawn.rows():
        sums[row["date"]] = sums.get(row["date"], 0) + row["value"]
    assert sums == whole
    names = list(dict.fromkeys(drawn.table["series"].to_pylist()))
    assert len(names) <= figures.MOST_SERIES
    assert ("All others" in names) == (dimension != "os")


@pytest.mark.parametrize("dimension", ["country", "plan_tier", "signup_cohort"])
def test_the_page_activity_draws_each_split(dimension: str) -> None:
    page = whole("activity", by=dimension, window="30")
    assert active_customers(page) == active_customers(whole("activity", window="30"))


def test_a_viewer_is_not_told_the_sum_of_others_of_whom_some_are_withheld(come_in: Callable[[User], None]) -> None:
    asked = Question("active_customers", window=30, grain="month", by="country")
    come_in(User("vera", Role.VIEWER))
    answer = data.answer(asked)
    drawn = activity._by_group(answer, "country").rows()
    named = {row["series"] for row in drawn} - {"All others"}
    hidden = {row["date"] for row in answer.rows() if row["value"] is None and formats.country(row["country"]) not in named}
    assert hidden
    assert {row["date"] for row in drawn if row["series"] == "All others" and row["value"] is None} == hidden


def test_a_file_says_the_choices_that_its_chart_follows_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(chart_files, "menu", lambda files: told.update({files.key: files.asked()}))
    asked = {
        "first_by": "plan_tier",
        "cohorts": "fixed",
        "kind": "unbounded",
        "cohort": "signup",
        "a_country": "FR",
        "plan": "STANDARD",
    }
    assert failed(opened("retention", **asked, only_final="True")) == []
    of_cohorts = {"kind", "cohort", "plan"}
    assert {key: {name for name in asked if name in said} for key, said in told.items()} == {
        "cohorts": of_cohorts,
        "over_time": of_cohorts,
        "curve": of_cohorts | {"cohorts"},
        "compared": of_cohorts | {"cohorts", "a_country"},
        "first_transaction": {"first_by", "plan"},
    }
    assert all(said["only_final"] == "True" for said in told.values())


def test_no_customer_of_a_link_and_no_id_or_plan_of_the_bank_is_read_as_more_than_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in (
        "<b>`a`</b> $x$",
        "![x](http://elsewhere.example/x.png)",
        "[sign in](http://elsewhere.example)",
        "www.elsewhere.example",
    ):
        told = words(whole("customers", customer=asked))
        assert formats.literal(asked) in told
        assert asked not in told.replace(formats.literal(asked), "")
    someone = data.customers(Search(), limit=1).table["user_id"][0].as_py()
    known = data.customer(someone)
    assert known is not None
    odd = replace(known, facts={**known.facts, "user_id": HOSTILE, "plan": HOSTILE})
    monkeypatch.setattr(data, "customer", lambda _asked: odd)
    page = whole("customers", customer=someone)
    assert page.header[0].value == f"Customer {formats.plain(HOSTILE)}"
    assert is_harmless(page)
    assert f"Open customer {formats.plain(HOSTILE)}" in [button.label for button in whole("customers", search=someone).button]


def test_who_opens_a_customers_page_is_noted_down_once_a_tab_and_before_anything_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def noted() -> list[tuple[str, str, Any]]:
        return [(act.who, act.what, act.after) for act in data.run_store().acts(Acts(action="read_customer"))]

    before, listed = noted(), data.customers(Search(), limit=2).table["user_id"].to_pylist()
    page = opened("customers", customer=listed[0])
    page.run()
    wanted = ("local", "customer", {"customer": listed[0], "version": data.published().name})
    assert noted() == [wanted, *before]
    opened("customers")
    opened("customers", customer="nobody")
    assert noted() == [wanted, *before]

    def refused(*_: object, **__: object) -> None:
        raise TransientError("the run store does not answer")

    monkeypatch.setattr(TrailStore, "audit", refused)
    assert listed[1] not in words(opened("customers", customer=listed[1]))


def test_a_type_of_transaction_keeps_its_place_in_every_segment() -> None:
    whole_bank = figures.groups_of(data.answer(Question("transactions", by="type")))
    orders = set()
    for country in data.dimension_values("country"):
        asked = Question("transactions", where=(("country", country),), by="type")
        volumes = data.answer(asked)
        kept = payments._types(asked, volumes)
        assert kept == [code for code in whole_bank if code in figures.groups_of(volumes)]
        orders.add(tuple(figures.groups_of(volumes)) == tuple(kept))
    assert False in orders  # some segment has an order of its own, which is not followed
