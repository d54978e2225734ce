"""Which N to choose: the rule of the suggestion and the usage intervals, on figures worked by hand; and the section itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import hand_made
import pyarrow as pa
import pytest
from page_kit import whole, words
from test_charts import nodes, spec

from pipeline.marts import Answer, Question
from pipeline.marts.intervals import REACHED, usage_intervals
from pipeline.marts.sensitivity import Suggestion, suggested_window
from pipeline.warehouse.duckdb import ReadOnlyDuckDB
from streamlit_app import charts, data, figures, messages
from streamlit_app.auth import Role, User
from streamlit_app.components import on_the_chart, window_choice

pytestmark = pytest.mark.xdist_group("the bank of the pages")
AS_OF = date(2019, 12, 31)


def came_back(shares: dict[int, float], *, n: dict[int, int] | None = None, give: float = 0.01) -> pa.Table:
    rows = [
        {"window_days": days, "value": share, "low": share - give, "high": share + give, "n": (n or {}).get(days, 100)}
        for days, share in shares.items()
    ]
    return pa.Table.from_pylist(rows)


def test_the_suggested_window_is_the_first_from_which_on_fewer_than_the_share_came_back() -> None:
    """60 is below one fifth, but 61 is not: only from 62 on does it stay below."""
    shares = came_back({59: 0.22, 60: 0.19, 61: 0.20, 62: 0.18, 63: 0.15})
    assert suggested_window(shares, below=0.2) == Suggestion(
        62, 0.18, 0.18 - 0.01, 0.18 + 0.01, 100, is_settled=True, is_sure=True
    )


def test_a_window_is_suggested_only_where_its_interval_is_below_the_share_too() -> None:
    """From 62 on the share stays below one fifth; its interval, 5 points to either side, does from 64 on."""
    shares = came_back({61: 0.20, 62: 0.19, 63: 0.15, 64: 0.14, 65: 0.13}, give=0.05)
    found = suggested_window(shares, below=0.2)
    assert found is not None
    assert (found.window_days, found.is_settled, found.is_sure) == (64, True, True)
    found = suggested_window(shares.slice(0, 3), below=0.2)
    assert found is not None
    assert (found.window_days, found.is_settled, found.is_sure) == (62, True, False)


def test_an_interval_below_the_share_is_no_suggestion_where_a_longer_window_is_above_it() -> None:
    found = suggested_window(came_back({60: 0.10, 61: 0.30}), below=0.2)
    assert found is not None
    assert (found.window_days, found.is_settled, found.is_sure) == (61, False, False)


def test_where_every_window_fits_the_shortest_is_suggested() -> None:
    found = suggested_window(came_back({7: 0.1, 8: 0.09}), below=0.2)
    assert found is not None
    assert (found.window_days, found.is_settled) == (7, True)


def test_where_none_fits_the_longest_that_can_be_judged_says_so() -> None:
    shares = came_back({30: 0.5, 31: 0.4, 32: 0.0}, n={32: 29})
    found = suggested_window(shares, below=0.2)
    assert found is not None
    assert (found.window_days, found.share, found.is_settled) == (31, 0.4, False)


def test_windows_of_fewer_than_thirty_lapses_or_of_a_withheld_share_are_not_judged() -> None:
    few = came_back({30: 0.9, 31: 0.1}, n={30: 29, 31: 29})
    assert suggested_window(few, below=0.2) is None
    hidden = pa.Table.from_pylist([{"window_days": 30, "value": None, "low": None, "high": None, "n": None}])
    assert suggested_window(hidden, below=0.2) is None


def test_the_words_say_how_the_suggestion_stands_to_the_window_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    found = Suggestion(60, 0.18, 0.12, 0.26, 120, is_settled=True, is_sure=True)
    told = {window: window_choice.in_words(found, below=0.2, window=window) for window in (30, 60, 90)}
    assert all("Suggested: 60 days" in text and "18.0% (95%: 12.0–26.0%, n 120)" in text for text in told.values())
    assert "30 days, is shorter" in told[30]
    assert "That is the window in use" in told[60]
    assert "90 days, is longer" in told[90]
    assert "No window up to 180 days fits" in window_choice.in_words(
        Suggestion(82, 0.5, 0.33, 0.67, 30, is_settled=False, is_sure=False), below=0.2, window=90
    )
    unsure = Suggestion(163, 0.29, 0.161, 0.466, 31, is_settled=True, is_sure=False)
    told_unsure = window_choice.in_words(unsure, below=0.3, window=90)
    assert told_unsure.startswith("**There is not enough data to suggest one.** From 163 days on")
    assert "29.0% were (95%: 16.1–46.6%, n 31), which may just as well be 30% or more" in told_unsure


@pytest.fixture
def three_customers(tmp_path: Path) -> ReadOnlyDuckDB:
    """Ann on 1, 2, 5 and 19 January, Ben on 3 January and 22 July, Cem on 4 January: pauses of 1, 3, 14 and 200 days."""
    counts = "(date '2019-01-01', 1, 1), ('2019-01-02', 1, 0), ('2019-01-03', 1, 1), ('2019-01-04', 1, 1), ('2019-01-05', 1, 0)"
    counts += ", ('2019-01-19', 1, 0), ('2019-07-22', 1, 0)"
    gaps = "(date '2019-01-05', date '2019-01-19', 14, 1), ('2019-01-03', '2019-07-22', 200, 1)"
    gaps += ", ('2019-01-19', null, null, 1), ('2019-07-22', null, null, 1), ('2019-01-04', null, null, 1)"
    everybody = "select 'all' as segment, 'all' as segment_value, * from (values"
    tables = {
        "marts.mart_daily_counts_by_dimension": f"{everybody} {counts}) as t(date, active_customers, new_customers)",
        "marts.mart_activity_gaps_by_dimension": f"{everybody} {gaps}) as t(activity_date, returned_on, gap_days, customers)",
    }
    hand_made.write_tables(tmp_path / "published.duckdb", tables)
    return ReadOnlyDuckDB(tmp_path / "published.duckdb")


def intervals(database: ReadOnlyDuckDB, **asked: date) -> dict[tuple[int, int | None], int]:
    rows = usage_intervals(database, Question("window_sensitivity", **asked), as_of=AS_OF).to_pylist()  # type: ignore[arg-type]
    assert sum(row["value"] for row in rows) == (rows[0]["n"] if rows else 0)
    return {(row["from_days"], row["to_days"]): row["value"] for row in rows if row["value"]}


def test_each_interval_stands_in_the_class_of_its_length_and_the_short_ones_are_counted_though_no_cube_has_them(
    three_customers: ReadOnlyDuckDB,
) -> None:
    assert intervals(three_customers) == {(1, 7): 2, (8, 14): 1, (183, None): 1}
    rows = usage_intervals(three_customers, Question("window_sensitivity"), as_of=AS_OF).to_pylist()
    assert [row["reached"] for row in rows][:3] == [0.5, 0.75, 0.75]
    assert (rows[-1]["share"], rows[-1]["reached"]) == (0.25, 1.0)


def test_the_share_of_a_class_and_of_all_up_to_it_have_their_wilson_intervals(three_customers: ReadOnlyDuckDB) -> None:
    """Of four intervals one and three: 0.0456 to 0.6994, and the same from the other end."""
    rows = usage_intervals(three_customers, Question("window_sensitivity"), as_of=AS_OF).to_pylist()
    assert (rows[1]["low"], rows[1]["high"]) == pytest.approx((0.0456, 0.6994), abs=1e-4)
    assert (rows[1]["reached_low"], rows[1]["reached_high"]) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert rows[-1]["reached_high"] == 1.0


def test_hovering_over_a_class_shows_both_shares_with_their_intervals_and_n() -> None:
    tips = [
        tip["title"]
        for node in nodes(spec(charts.USAGE_INTERVALS))
        if isinstance(node.get("tooltip"), list)
        for tip in node["tooltip"]
    ]
    assert [messages.text(f"charts.{name}", "en") for name in ("interval", "reached_interval")] == [tips[3], tips[5]]
    assert tips[-1] == "n"


def test_an_interval_belongs_to_the_day_on_which_it_ended(three_customers: ReadOnlyDuckDB) -> None:
    assert intervals(three_customers, start=date(2019, 1, 6)) == {(8, 14): 1, (183, None): 1}
    assert intervals(three_customers, end=date(2019, 1, 18)) == {(1, 7): 2}
    assert intervals(three_customers, start=date(2019, 8, 1)) == {}


@pytest.mark.usefixtures("bank_of_the_pages")
def test_the_page_suggests_a_window_or_says_why_not_and_follows_the_share_that_is_asked() -> None:
    page = whole("activity")
    usual = words(page)
    assert "Which window N to choose" in usual
    assert "No window up to 180 days fits" in usual or "Suggested:" in usual or "Nothing can be suggested yet" in usual
    asked = whole("activity", back="50")
    assert asked.segmented_control(key="back").value == "50"


@pytest.mark.usefixtures("bank_of_the_pages")
def test_of_newcomers_of_whom_nothing_is_known_yet_words_say_so_instead_of_empty_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    read = data.answer

    def of_newcomers(question: Question) -> Answer:
        answer = read(question)
        if question.metric not in ("window_sensitivity", "l28") or question.kind == "active":
            return answer
        place, value = answer.table.column_names.index("value"), answer.table["value"]
        given = None if question.metric == "window_sensitivity" else 0
        return replace(answer, table=answer.table.set_column(place, "value", pa.array([given] * len(value), value.type)))

    monkeypatch.setattr(data, "answer", of_newcomers)
    told = words(whole("activity"))
    assert told.count("Too early for these customers.") == 2  # churn by N, and who came back
    assert "None of these customers was active in the 28 days to 10 May 2019" in told


@pytest.mark.usefixtures("bank_of_the_pages")
def test_a_viewer_gets_no_class_of_fewer_than_ten_intervals_and_nothing_that_gives_it_away(
    come_in: Callable[[User], None],
) -> None:
    question = Question("window_sensitivity")
    come_in(User("max", Role.MANAGER))
    whole_answer = data.usage_intervals(question)
    few = [row["from_days"] for row in whole_answer.rows() if 0 < row["value"] < 10]
    assert few
    come_in(User("vera", Role.VIEWER))
    seen = data.usage_intervals(question)
    hidden = [row["from_days"] for row in seen.rows() if row["value"] is None]
    assert set(few) <= set(hidden)
    assert len(hidden) >= 2
    assert {seen.table[name].null_count for name in REACHED} == {seen.table.num_rows}
    assert [row["from_days"] for row in seen.rows() if row["low"] is None] == hidden
    assert figures.bridged(seen, 90) is None
    assert seen.withheld == len(hidden)


def test_the_name_of_a_mark_stands_where_there_is_room_for_it() -> None:
    def marks(**windows: int | None) -> list[tuple[int, str, str]]:
        found = figures.marks(windows, among=pa.chunked_array([range(7, 181)]))
        return [(row["window_days"], row["mark"], row["side"]) for row in found.to_pylist()]

    assert marks(in_use=90, suggested=77) == [(90, "in_use", "right"), (77, "suggested", "left")]
    assert marks(in_use=90, suggested=90) == [(90, "both", "right")]
    assert marks(in_use=10, suggested=170) == [(10, "in_use", "right"), (170, "suggested", "left")]
    assert marks(in_use=90, suggested=None) == [(90, "in_use", "right")]
    assert marks(in_use=365, suggested=90) == [(90, "suggested", "right")]  # off the axis, which it would stretch


def test_a_moved_mark_leaves_the_curve_and_its_spec_as_they_are() -> None:
    """The browser draws anew what has other bytes: that is the mark's own table, and nothing else."""
    curve = pa.table({"window_days": [7, 8], "value": [3, 4]})
    marked = [figures.marks({"in_use": days}, among=curve["window_days"]) for days in (7, 8)]
    read = [on_the_chart.NOTHING.drawn(charts.COUNT_BY_WINDOW, curve, {"marks": marks}) for marks in marked]
    assert [rows for rows, _ in read] == [None, None]
    first, second = (spec["datasets"] for _, spec in read)
    assert first["drawn"] is second["drawn"] is curve
    assert (first["marks"]["window_days"].to_pylist(), second["marks"]["window_days"].to_pylist()) == ([7], [8])
    assert {**read[0][1], "datasets": None} == {**read[1][1], "datasets": None}


@pytest.mark.usefixtures("bank_of_the_pages")
def test_a_viewer_of_a_segment_of_fewer_than_ten_customers_is_told_so(come_in: Callable[[User], None]) -> None:
    come_in(User("max", Role.MANAGER))
    sizes = Counter(data.relation("mart_customers")["country"].to_pylist())
    country = next(name for name, size in sizes.items() if 1 < size < 10)
    come_in(User("vera", Role.VIEWER))
    page = whole("activity", country=country)
    assert "The pauses of this segment are withheld" in "\n".join(info.value for info in page.info)
