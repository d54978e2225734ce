"""What changed, on the page Overview: the parts add up to the total, to the customer; and data problems are said first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pytest
from page_kit import cells, whole, words

from pipeline.marts import CUSTOMER_DIMENSIONS, Question
from pipeline.marts.changes import FLOWS, PARTS
from streamlit_app import charts, data, figures, messages
from streamlit_app.auth import Role, User
from streamlit_app.charts import marks
from streamlit_app.components import chart_files, problems, what_changed
from streamlit_app.messages import text

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]
ACTIVE = Question("active_customers")


def total(question: Question = ACTIVE, *, days: int = 28) -> dict[str, float]:
    (row,) = data.what_changed(question, days=days).rows()
    return row


@pytest.mark.parametrize("dimension", CUSTOMER_DIMENSIONS)
def test_the_parts_of_every_value_add_up_to_those_of_everybody_to_the_customer(dimension: str) -> None:
    for days in (7, 28, 91):
        for window in (14, 90):
            question = Question("active_customers", window=window)
            split = data.what_changed(Question("active_customers", window=window, by=dimension), days=days).rows()
            everybody = total(question, days=days)
            assert {part: sum(row[part] for row in split) for part in PARTS} == {part: everybody[part] for part in PARTS}
            for row in [*split, everybody]:
                came = row["new_customers"] + row["resurrected_customers"]
                assert row["now"] == row["before"] + came - row["churned_customers"]
                assert row["value"] == row["now"] - row["before"]


def test_the_parts_are_those_of_the_daily_figures() -> None:
    last = data.published().as_of
    first = last - timedelta(days=28)
    days = {row["date"]: row["value"] for row in data.answer(ACTIVE).rows()}
    found = total()
    assert (found["before"], found["now"]) == (days[first], days[last])
    for flow in FLOWS:
        assert found[flow] == sum(row["value"] for row in data.answer(Question(flow)).rows() if first < row["date"] <= last)


def test_a_period_that_reaches_before_the_first_customer_begins_at_nobody() -> None:
    found = total(days=5000)
    assert found["before"] == 0
    assert found["now"] == found["new_customers"] + found["resurrected_customers"] - found["churned_customers"]


def test_the_rows_that_are_drawn_add_up_with_all_others_as_one() -> None:
    split = data.what_changed(Question("active_customers", by="country"), days=28)
    assert split.table.num_rows > 4
    rows = figures.changes(split, str, rest="others", most=4).to_pylist()
    assert [row["series"] for row in rows][-1] == "others"
    assert len(rows) == 4
    assert {part: sum(row[part] for row in rows) for part in PARTS} == {part: total()[part] for part in PARTS}
    drawn = figures.change_parts(figures.changes(split, str, rest="others", most=4))
    assert set(drawn.column_names) == set(charts.WHAT_CHANGED.columns) - {marks.LIST}
    bars = [row for row in drawn.to_pylist() if row["part"] != "net"]
    assert sum(row["customers"] for row in bars) == total()["value"]


def test_what_is_withheld_of_one_of_the_others_is_withheld_of_their_row() -> None:
    split = data.what_changed(Question("active_customers", by="country"), days=28)
    hidden = split.table.set_column(
        split.table.column_names.index("now"), "now", pa.nulls(split.table.num_rows, split.table["now"].type)
    )
    rows = figures.changes(type(split)(**{**vars(split), "table": hidden}), str, rest="others", most=2).to_pylist()
    assert rows[-1]["now"] is None
    assert rows[-1]["before"] is not None


def test_a_viewer_gets_no_part_of_fewer_than_ten_customers_and_none_that_tells_one(come_in: Callable[[User], None]) -> None:
    for dimension in ("country", "plan_tier", "age_band"):
        question = Question("active_customers", by=dimension)
        come_in(User("max", Role.MANAGER))
        few = {row[dimension] for row in data.what_changed(question, days=28).rows() if any(0 < row[part] < 10 for part in PARTS)}
        assert few
        come_in(User("vera", Role.VIEWER))
        seen = data.what_changed(question, days=28)
        hidden = {row[dimension] for row in seen.rows() if row["now"] is None}
        assert few <= hidden
        assert len(hidden) >= 2 or seen.table.num_rows == 1
        assert all([row[part] for part in (*PARTS, "value")] == [None] * 6 for row in seen.rows() if row[dimension] in hidden)
    everybody = total()
    parts = [everybody[part] for part in PARTS]
    assert parts.count(None) != 1
    assert all(part is None or part == 0 or part >= 10 for part in parts)


def test_the_page_says_the_change_in_words_and_shows_the_total_below_the_groups() -> None:
    page = whole("overview", span="91", changed_by="plan_tier")
    found = total(days=91)
    assert f"went from **{found['before']:,}** to **{found['now']:,}**" in words(page)
    assert page.selectbox(key="changed_by").value == "plan_tier"
    assert "Total" in cells(page)
    assert f"{found['now']:,}" in cells(page)


def test_a_year_can_be_asked_where_the_bank_is_older(monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = data.bounds()
    assert (last - first).days >= 364
    page = whole("overview", span="364", changed_by="plan_tier")
    found = total(days=364)
    assert f"went from **{found['before']:,}** to **{found['now']:,}**" in words(page)
    for days, spans in ((364, ("7", "28", "91", "364")), (363, ("7", "28", "91")), (90, ("7", "28")), (20, ("7", "28"))):
        monkeypatch.setattr(data, "bounds", lambda days=days: (last - timedelta(days=days), last))
        assert what_changed._spans() == spans


def test_caption_and_files_say_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bank ends on 10 May 2019; seven days to it begin on 4 May, and 91 days on 9 February."""
    files: dict[str, chart_files.Files] = {}
    monkeypatch.setattr(chart_files, "menu", lambda given: files.update({given.key: given}))
    assert data.published().as_of == date(2019, 5, 10)
    for span, first, told in (("7", "2019-05-04", "4 May 2019"), ("91", "2019-02-09", "9 Feb 2019")):
        assert f"{told} to 10 May 2019" in " ".join(caption.value for caption in whole("overview", span=span).caption)
        file = files["what_changed"]
        assert file.name == f"neopulse-what_changed-{first}_2019-05-10-v0001-2019-05-10"
        assert f"{told} to 10 May 2019" in file.lines()[-1]
        header, rows = file.content()
        days = {tuple(str(row[header.index(name)]) for name in ("range_start", "range_end")) for row in rows}
        assert days == {(first, "2019-05-10")}


@pytest.mark.parametrize(
    ("carried", "told"),
    [
        ({"from": "2019-02-01"}, True),
        ({"to": "2019-03-31"}, True),
        ({"from": "2018-01-02", "to": "2019-05-10"}, False),  # every day that there is
        ({"from": "2031-01-01"}, False),
        ({}, False),
    ],
)
def test_a_range_that_comes_along_is_said_not_to_be_followed(carried: dict[str, str], told: bool) -> None:
    sentence = "This page is of all days to 10 May 2019: it does not follow the range of days"
    assert (sentence in words(whole("overview", **carried))) is told


def test_the_page_begins_with_its_answer_and_says_it_once() -> None:
    found = total()
    sentence = f"went from **{found['before']:,}** to **{found['now']:,}**"
    assert words(whole("overview")).count(sentence) == 1
    page = whole("overview", changed_by="plan_tier")
    assert sentence in next(element.value for element in page.markdown if "active customers" in element.value)
    assert words(page).count(sentence) == 2  # the section's own names another group


def test_the_group_that_weighs_most_is_named_where_there_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    parts = dict.fromkeys(PARTS, 9) | {"value": -5}
    groups = pa.table({"series": ["France", "Poland"], "value": [-4, -1]})
    named = what_changed.in_words(parts, groups, days=28, until="16 May 2019")
    assert named.endswith("The group that weighs most is France (−4).")
    assert "weighs most" not in what_changed.in_words(parts, groups.slice(0, 1), days=28, until="16 May 2019")


@pytest.mark.parametrize(("came", "left", "told"), [(37, 64, "hardly"), (50, 64, "could"), (37, None, ""), (0, 0, "")])
def test_the_answer_says_whether_chance_could_make_it(
    monkeypatch: pytest.MonkeyPatch, came: int, left: int | None, told: str
) -> None:
    """(64 - 37 - 1) / sqrt(101) is 2.6 and more than 1.96; (64 - 50 - 1) / sqrt(114) is 1.2."""
    monkeypatch.setattr(messages, "language", lambda: "en")
    parts = {"new_customers": 3 if came else 0, "resurrected_customers": came - 3 if came else 0, "churned_customers": left}
    said = what_changed._chance(parts | {"value": None if left is None else came - left})
    assert said == (text(f"overview.changes.{told}", "en") if told else "")


def test_the_page_follows_window_and_segment() -> None:
    page = whole("overview", window="20", country="FR")
    found = total(Question("active_customers", window=20, where=(("country", "FR"),)))
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown["Active customers"] == f"{found['now']:,}"


def with_problems(monkeypatch: pytest.MonkeyPatch, *rows: tuple[str, str, int], transactions: int) -> None:
    columns = ("reason", "disposition", "rows_affected")
    table = pa.Table.from_pylist([dict(zip(columns, row, strict=True)) | {"source_table": "transactions"} for row in rows])
    version = replace(data.published(), transactions=transactions)
    monkeypatch.setattr(data, "data_quality", lambda: table)
    monkeypatch.setattr(data, "published", lambda: version)


def test_many_doubtful_rows_are_told_above_the_figures_and_few_in_the_header_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with_problems(monkeypatch, ("in_the_future", "rejected", 5), ("negative_amount", "kept", 5), transactions=994)
    told = (
        "**5 rows are rejected and in no figure**: 5 × rows dated after today. **5 rows are used all the same**, as far as they "
        "can be read: 5 × transactions with a negative amount. Of all transactions that the bank sent (999), 1.00% are doubtful."
    )
    assert f":material/rule: {told}" in [element.value for element in whole("overview").markdown]
    with_problems(monkeypatch, ("in_the_future", "rejected", 5), ("negative_amount", "kept", 5), transactions=995)
    assert "are rejected" not in words(whole("overview"))  # 10 for 1,000 transactions are not more than one for a hundred


def test_of_many_reasons_the_commonest_are_named_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    reasons = {"a_b": 9, "c": 5, "d": 4, "e": 2, "f": 1}
    wrong = [
        {
            "source_table": "transactions",
            "reason": reason,
            "disposition": "rejected",
            "rows_affected": rows,
            "rows_counted_once": rows,
        }
        for reason, rows in reasons.items()
    ]
    found = problems.counted(wrong, usable_transactions=0)
    assert problems.in_words(found) == "**21 rows are rejected and in no figure**: 9 × a b; 5 × c; 4 × d; other reasons: 2."
    assert problems.in_words(problems.counted(wrong, usable_transactions=1_000_000)).endswith(
        "Of all transactions that the bank sent (1,000,021), < 0.01% are doubtful."
    )


def test_a_row_with_several_things_wrong_is_one_row_and_a_missing_day_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 rows of transactions, of which 8 have a second thing wrong; 3 of them are rejected. Of 200 sent, 20 are a tenth."""
    monkeypatch.setattr(messages, "language", lambda: "en")
    columns = ("source_table", "reason", "disposition", "rows_affected", "rows_counted_once")
    rows = [
        ("transactions", "in_the_future", "rejected", 3, 3),
        ("transactions", "negative_amount", "kept", 10, 10),
        ("transactions", "before_account_opening", "kept", 15, 7),
        ("transactions", "day_without_activity", "kept", 2, 0),
        ("transactions", "day_with_few_customers", "kept", 3, 0),
        ("users", "exact_duplicate", "rejected", 4, 4),
        ("users", "city_with_digits", "kept", 6, 5),
    ]
    wrong = [dict(zip(columns, row, strict=True)) for row in rows]
    found = problems.counted(wrong, usable_transactions=197)
    assert (found.rejected_rows, found.kept_rows, found.rows) == (7, 22, 29)
    assert (found.missing_days, found.days_with_few) == (2, 3)
    assert (found.doubtful_transactions, found.transactions, found.share) == (20, 200, 0.1)
    assert "**22 rows are used all the same**" in problems.in_words(found)
    told = "On **2 days** nobody was active, between days with dozens. On **3 days** fewer than a quarter of the usual customers"
    assert told in problems.in_words(found)
    assert found.customers_alone == 0
    without_users = problems.counted(
        [*wrong, dict(zip(columns, ("users", "no_users", "kept", 1_234, 0), strict=True))], usable_transactions=197
    )
    assert (without_users.kept_rows, without_users.customers_alone, without_users.share) == (22, 1_234, 0.1)
    assert "1,234 × " not in problems.in_words(without_users)
    assert "**1,234 customers**: the table of users has no row" in problems.in_words(without_users)
    of_an_older_version = [{name: row[name] for name in columns[:4]} for row in wrong]
    assert problems.counted(of_an_older_version, usable_transactions=0).rows == 3 + 10 + 15 + 4 + 6
