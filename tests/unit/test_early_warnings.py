"""Early warnings on the page Churn: the list for managers, the bands for everybody, and what may leave as a file."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest
from page_kit import cells, failed, whole, words

from pipeline.marts import Question, Search
from streamlit_app import data, formats, messages, segments, stores
from streamlit_app.auth import Role, RoleError, User
from streamlit_app.components import early_warnings

pytestmark = [pytest.mark.usefixtures("bank_of_the_pages"), pytest.mark.xdist_group("the bank of the pages")]

MANAGER, VIEWER = User("max", Role.MANAGER), User("vera", Role.VIEWER)


def test_the_list_is_as_long_as_it_says_and_the_likeliest_come_first(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    page = data.early_warnings(at_least=0.3, limit=3)
    likely = data.early_warnings(at_least=0.3, limit=10_000).table["silence_probability"].to_pylist()
    assert page.total == len(likely) > 3
    assert likely == sorted(likely, reverse=True)
    assert min(likely) >= 0.3
    everybody = data.early_warnings(at_least=0.3, limit=10_000).table
    assert page.expected_customers == pytest.approx(sum(likely))
    assert page.amount_usd_in_90 == pytest.approx(sum(everybody["amount_usd_in_90"].to_pylist()))
    drawn = whole("churn", likely="30")
    assert f"{min(page.total, 200)} of {page.total} customers, the likeliest first" in words(drawn)
    assert len(drawn.dataframe[-1].value) == min(page.total, 200)


def test_a_page_that_is_split_says_of_each_group_how_many_are_to_be_expected_silent(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    page = whole("churn", by="country")
    (groups,) = [table.value for table in page.table if {"Group", "Expected silent"} <= set(table.value.columns)]
    by_country: dict[str, list[float]] = {}
    for row in data.early_warnings(limit=100_000).table.to_pylist():
        by_country.setdefault(formats.dimension_value("country", row["country"]), []).append(row["silence_probability"])
    most = sorted((sum(each) for each in by_country.values()), reverse=True)[: early_warnings.MOST_GROUPS]
    rows = [[unmarked(row[name]) for name in ("Group", "Customers", "Expected silent")] for _, row in groups.iterrows()]
    assert [expected for _, _, expected in rows] == [early_warnings._about(expected) for expected in most]
    for name, customers, expected in rows:
        assert (customers, expected) == (str(len(by_country[name])), early_warnings._about(sum(by_country[name])))
    assert f"The 10 of {len(by_country)} groups" in words(page)


def test_how_right_the_probabilities_were_is_told_of_the_whole_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    told = data.answer(Question("silence_calibration", kind="error"))

    def of(*days: tuple[float, float, float]) -> str:
        """Of days with an error where chance makes 2 points, what was expected and what came."""
        rows = [{"value": error, "by_chance": 0.02, "expected": told, "observed": came} for error, told, came in days]
        return early_warnings.over_the_year(replace(told, table=pa.Table.from_pylist(rows)))

    assert of((0.04, 0.2, 0.16), (0.01, 0.2, 0.2)) == (
        "Of the days judged over the last year, 2 in all, none was off by more than twice what chance makes."
    )
    spring = of((0.07, 0.28, 0.21), (0.06, 0.25, 0.19), (0.041, 0.1, 0.14), (0.02, 0.2, 0.2))
    assert "4 in all, **3** were off" in spring
    assert "expected silent on 2 of them, too few on 1" in spring
    assert re.search(r"judged over the last year, \d+ in all, (none was|\*\*\d+\*\* (was|were)) off", words(whole("churn")))


def unmarked(cell: str) -> str:
    """What a cell says, grey or not."""
    return cell.removeprefix(":gray[").removesuffix("]")


def test_the_list_follows_the_segment_and_names_no_customer_of_another_country(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    british = data.early_warnings(where=(("country", "GB"),), limit=10_000)
    assert set(british.table["country"].to_pylist()) == {"GB"}
    come_in(User("max", Role.MANAGER, frozenset({"FR"})))
    of_france = data.early_warnings(limit=10_000)
    assert set(of_france.table["country"].to_pylist()) == {"FR"}
    assert of_france.total == data.customers(Search(state="active")).total
    page = whole("churn")
    assert "This is known for all countries together alone" in "\n".join(info.value for info in page.info)  # the calibration


def test_a_viewer_sees_bands_of_at_least_ten_customers_and_neither_list_nor_file(come_in: Callable[[User], None]) -> None:
    come_in(VIEWER)
    page = whole("churn")
    assert "The list, customer by customer, is for managers and admins." in words(page)
    assert not [button.label for button in page.get("download_button") if "early-warnings" in str(button.proto)]
    assert len(page.dataframe) == 1  # the monthly rates
    counts = [row["n"] for row in data.answer(Question("silence_risk", by="silence_band")).rows()]
    assert None in counts
    assert all(count is None or count >= 10 for count in counts)
    assert "withheld, of fewer than 10 customers or telling of them" in cells(page)
    with pytest.raises(RoleError):
        early_warnings._file((), 0.5, "csv")


def test_the_file_holds_the_whole_list_and_the_download_is_noted_down(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    total = data.early_warnings(at_least=0.3, limit=1).total
    rows = list(csv.DictReader(io.StringIO(early_warnings._file((), 0.3, "csv").decode())))
    assert len(rows) == total
    assert set(rows[0]) == {*early_warnings.COLUMNS, "segment"}
    assert {row["segment"] for row in rows} == {""}
    (entry,) = stores.run_store(data.in_force().run_store_url).acts(limit=1)
    assert (entry.who, entry.action, entry.what) == ("max", "export", "early_warnings")
    assert entry.after["filters"] == {"at_least": 0.3, "version": "v0001"}


def test_the_file_of_a_segment_says_which_in_each_row_and_in_its_name(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    where = (("country", "FR"), ("os", "unknown"))
    of_france = csv.DictReader(io.StringIO(early_warnings._file((("country", "FR"),), 0.0, "csv").decode()))
    assert {(row["country"], row["segment"]) for row in of_france} == {("FR", "country=FR")}
    assert (segments.in_codes(where), segments.in_a_name(where)) == ("country=FR; os=unknown", "-FR-os_unknown")
    assert segments.in_codes(where[1:], ("FR", "GB")) == "country=FR|GB; os=unknown"
    three = (("country", "ES"), ("country", "FR"), ("os", "iOS"))
    assert (segments.in_codes(three), segments.in_a_name(three)) == ("country=ES|FR; os=iOS", "-ES_FR-iOS")
    assert segments.in_a_name(tuple(("country", code) for code in ("DE", "ES", "FR", "GB"))) == "-4_country"
    assert segments.in_a_name((("age_band", "under 18/=x"),)) == "-under_18_x"


def test_the_list_rounds_amounts_and_shares_and_marks_who_was_seen_alike_by_too_few(come_in: Callable[[User], None]) -> None:
    come_in(MANAGER)
    row = dict.fromkeys(early_warnings.COLUMNS, 0) | {"user_id": "1", "would_lapse_on": None, "country": "FR", "plan": "METAL"}
    rows = pa.Table.from_pylist(
        [
            row | {"amount_usd_in_90": 9.75, "silence_probability": 0.5449, "observations": 29},
            row | {"amount_usd_in_90": 99.75, "silence_probability": 0.546, "observations": 30},
        ]
    )
    shown = early_warnings._readable(rows)
    assert shown["amount_usd_in_90"].to_pylist() == [10, 100]
    assert shown["silence_probability"].to_pylist() == [0.54, 0.55]
    assert shown["note"].to_pylist() == [["fewer than 30"], []]
    assert shown.column_names.index("note") == shown.column_names.index("observations") + 1


def test_at_another_n_the_number_of_active_customers_says_whose_it_is() -> None:
    note = "They are active under the published N, 90 days"
    assert f"{note}, for which these probabilities and the list are made; N = 30 days" in words(whole("churn", window="30"))
    assert note not in words(whole("churn", window="90"))


def test_a_table_has_the_column_of_notes_only_where_a_group_is_of_few() -> None:
    def notes(**parameters: str) -> list[list[str]]:
        tables = [table.value for table in whole("churn", **parameters).table if "Expected silent" in table.value.columns]
        return [table["Note"].tolist() if "Note" in table.columns else [] for table in tables]

    assert notes(by="os")[1] == []
    assert "fewer than 30" in str(notes(by="country"))


def test_how_far_what_came_lay_from_what_was_told_is_told_in_points() -> None:
    days = data.answer(Question("silence_calibration", kind="error")).rows()
    off = f"What came lay {days[-1]['value'] * 100:.1f} pp from what was told, on average; chance alone makes that "
    assert f"{off}{days[-1]['by_chance'] * 100:.1f} pp" in words(whole("churn"))


def test_the_share_that_fell_silent_has_its_interval_and_what_was_expected_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "language", lambda: "en")
    days = data.answer(Question("silence_calibration", kind="error"))
    of_100 = pa.Table.from_pylist([days.rows()[0] | {"n": 100, "expected": 0.2, "observed": 0.3}], days.table.schema)
    expected, came = early_warnings.told_and_come(replace(days, table=of_100)).rows()
    assert (expected["value"], expected["low"], expected["high"]) == (0.2, None, None)
    assert (came["value"], round(came["low"], 4), round(came["high"], 4)) == (0.3, 0.2189, 0.3958)  # by Wilson, of 30 in 100


def test_the_section_says_where_the_probability_comes_from_and_that_the_slider_does_not_change_it() -> None:
    page, other = whole("churn"), whole("churn", window="30")
    for drawn in (page, other):
        assert "It was learned for 90 days; the slider above does not change it." in words(drawn)
    row = data.answer(Question("silence_risk")).rows()[0]
    assert f"Active customers: **{row['n']}**, of whom about **{round(row['expected_customers'])}**" in words(page)


def test_the_clock_stands_in_the_link_and_the_months_that_still_move_are_marked() -> None:
    recognised = whole("churn")
    effective = recognised.segmented_control(key="clock").set_value("effective").run()
    assert failed(effective) == []
    assert effective.query_params["clock"] == "effective"
    status = dict(zip(effective.dataframe[0].value["Month"], effective.dataframe[0].value["Status"], strict=True))
    assert status[date(2019, 2, 1)] == "provisional, final on 28 May 2019"  # 90 days after the last day but one of February
    assert status[date(2019, 4, 1)] == "not known before 29 Jun 2019"  # 90 days after the last day of March
    rates = dict(zip(effective.dataframe[0].value["Month"], effective.dataframe[0].value["Churn"], strict=True))
    assert math.isnan(rates[date(2019, 4, 1)])  # drawn as a dash


def test_premium_against_standard_is_one_press_from_any_other_question() -> None:
    asked = whole("churn", by="country", plan="STANDARD")
    of_everybody = "This, and what follows, is of all customers, whatever filters are set above."
    assert of_everybody in words(asked)
    (button,) = [button for button in asked.button if button.label == "Premium against standard"]
    compared = button.click().run()
    assert failed(compared) == []
    assert of_everybody not in words(compared)
    assert compared.selectbox(key="by").value == "plan_tier"
    assert compared.selectbox(key="plan").value == ()
    assert compared.query_params == {}
    assert "of the premium customers left" in words(compared)
    assert [button.disabled for button in compared.button if button.label == "Premium against standard"] == [True]


def test_a_band_of_fewer_than_thirty_is_grey_in_every_cell() -> None:
    row = {"value": 0.1, "low": 0.05, "high": 0.3, "expected_customers": 2.9}
    thin, enough = (early_warnings._cells(row | {"n": n}, silence_band="7–13") for n in (29, 30))
    assert {cell[:6] for cell in thin.values()} == {":gray["}
    assert (enough["silence_probability"], enough["note"]) == ("10.0%", "")
    assert early_warnings._cells(dict.fromkeys(("n", "value", "low", "high", "expected_customers")))["customers"] == "–"
