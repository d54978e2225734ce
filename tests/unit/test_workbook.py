"""The sheet: figures in their places, text that stays text, one file that is the same for the same version."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import spreadsheets
from pipeline.errors import DataError, InterruptedRunError, PermanentError
from pipeline.marts import Headline
from pipeline.marts.customers import Page
from pipeline.metrics import Metric
from pipeline.sheets import layout
from pipeline.sheets.base import Tab
from pipeline.sheets.texts import TABS, TEXTS
from pipeline.sheets.workbook import WorkbookSheet
from pipeline.warehouse.publication import TestSummary, Version

PUBLISHED_AT = datetime(2019, 5, 17, 4, 12, 30, tzinfo=UTC)
AS_OF = date(2019, 5, 15)
VERSION = Version(
    name="v0007",
    number=7,
    folder=Path("versions/v0007"),
    published_at=PUBLISHED_AT,
    run_id=12,
    as_of=AS_OF,
    source="demo bank",
    inactivity_days=90,
    activity_rule="COMPLETED transactions, not FEE",
    bank_timezone="Europe/Paris",
    tests=TestSummary(passed=118, failed=0, warned=2, total=120),
    rows={},
)


def metric(name: str, unit: str) -> Metric:
    return Metric(
        name, {"en": f"{name} label", "fr": f"{name} libellé"}, {"en": "what it is", "fr": "ce que c'est"}, unit, "m", "c"
    )


def figure(name: str, unit: str, value: float | None, **more: Any) -> Headline:
    fields = {"period": "day", "until": AS_OF, "before": None, "n": None, "low": None, "high": None, "final_on": AS_OF}
    return Headline(metric=metric(name, unit), value=value, **(fields | {"provisional": False} | more))


HEADLINES = (
    figure("active_customers", "customers", 12_345.0, before=12_000.0),
    figure("churned_customers", "customers", 321.0, period="28 days"),
    figure("quick_ratio", "ratio", None, period="28 days"),
    figure("monthly_churn_rate", "share", 0.0512, period="month", until=date(2019, 4, 30), n=11_000, low=0.0472, high=0.0555),
)


def churn_row(month: date, segment: str, value: str, start: int, churned: int, *, provisional: bool = False) -> dict[str, Any]:
    return {
        "month": month,
        "segment": segment,
        "segment_value": value,
        "customers_at_start": start,
        "churned_customers": churned,
        "churn_rate": churned / start,
        "churn_rate_low": 0.01,
        "churn_rate_high": 0.2,
        "retention_rate": 1 - churned / start,
        "final_on": month + timedelta(days=27),
        "is_provisional": provisional,
    }


def cell(cohort: date, period: int, size: int, active: int, *, provisional: bool = False) -> dict[str, Any]:
    return {
        "cohort": cohort,
        "period": period,
        "cohort_customers": size,
        "retention_classic": active / size,
        "is_provisional": provisional,
    }


def country(code: str, customers: int, **more: Any) -> dict[str, Any]:
    facts = {
        "country": code,
        "name_en": None,
        "name_fr": None,
        "capital": None,
        "region": None,
        "population": None,
        "area_km2": None,
        "currency": None,
        "facts_source": None,
        "facts_as_of": None,
        "customers": customers,
        "ever_active_customers": customers,
        "active_customers": 0,
        "active_share": 0.0,
        "customers_per_million_inhabitants": None,
        "amount_usd": 0.0,
    }
    return facts | more


def activity(day: date, active: int, *, new: int, provisional: bool = False) -> dict[str, Any]:
    return {
        "date": day,
        "active_customers": active,
        "new_customers": new,
        "resurrected_customers": 2,
        "churned_customers": 4,
        "final_on": day,
        "is_provisional": provisional,
    }


def warning(user_id: str, probability: float) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "silence_probability": probability,
        "silence_probability_low": probability - 0.05,
        "silence_probability_high": probability + 0.05,
        "observations": 512,
        "days_silent": 60,
        "active_days_in_90": 3,
        "amount_usd_in_90": 12.5,
        "last_active_day": date(2019, 3, 16),
        "would_lapse_on": date(2019, 6, 14),
        "plan": "STANDARD",
        "country": "FR",
    }


class Published:
    """A version with a few rows in its marts."""

    version = VERSION

    def __init__(self) -> None:
        self.marts = {
            "mart_monthly_churn_rate": [
                churn_row(date(2019, 4, 1), "os", "iOS", 29, 2),
                churn_row(date(2019, 5, 1), "all", "all", 200, 20, provisional=True),
                churn_row(date(2019, 4, 1), "all", "all", 100, 5),
            ],
            "mart_retention_cohorts": [
                cell(date(2019, 4, 1), 0, 50, 50),
                cell(date(2019, 4, 1), 1, 50, 20, provisional=True),
                cell(date(2019, 3, 1), 0, 40, 40),
                cell(date(2019, 3, 1), 1, 40, 30),
                cell(date(2019, 3, 1), 2, 40, 10, provisional=True),
            ],
            "mart_growth_accounting": [activity(date(2019, 5, 15), 12_345, new=7), activity(date(2019, 5, 14), 12_340, new=3)],
            "mart_daily_activity": [
                {"date": date(2019, 5, 15), "dau": 900, "wau": 4_000, "mau": 8_000, "stickiness": 0.125, "is_provisional": False},
            ],
            "mart_customers_by_country": [
                country("unknown", 3),
                country("FR", 2, name_en="France", name_fr="France", population=66_987_244, facts_as_of=date(2026, 7, 21)),
                country("GB", 9, name_en="United Kingdom", name_fr="Royaume-Uni", capital="London", currency="GBP"),
            ],
        }

        self.warned = [warning("17", 0.93), warning("4", 0.61)]
        self.registry = {
            name: metric(name, unit) for name, unit in (("monthly_churn_rate", "share"), ("active_customers", "customers"))
        }

    def headline(self) -> tuple[Headline, ...]:
        return HEADLINES

    def early_warnings(self, *, at_least: float, limit: int) -> Page:
        assert (at_least, limit) == (0.5, 1_000)
        return Page(pa.Table.from_pylist(self.warned), 1_234 if self.warned else 0)

    def relation(self, name: str, *, where: Sequence[tuple[str, Any]] = ()) -> pa.Table:
        if name in ("mart_growth_accounting", "mart_daily_activity"):
            assert dict(where) == {"segment": "all"}
        if name == "mart_retention_cohorts":
            assert dict(where) == {"grain": "month", "cohort_kind": "first_activity", "segment": "all"}
        return pa.Table.from_pylist(self.marts[name])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sheet" / "neopulse.xlsx"


def tabs(language: str = "en", published: Any = None) -> tuple[Tab, ...]:
    return layout.tabs(published or Published(), language=language)


def read(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in openpyxl.load_workbook(path).worksheets}


def test_the_tabs_hold_the_figures_of_the_version(path: Path) -> None:
    result = WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    assert (result.service, result.location, result.tabs, result.rows) == (
        "workbook",
        str(path),
        8,
        4 + 3 + 2 + 2 + 3 + 2 + 2 + 10,
    )
    content = read(path)
    assert (
        list(content)
        == [
            "Headline KPIs",
            "Monthly churn",
            "Cohorts",
            "Activity by day",
            "Countries",
            "Early warnings",
            "Definitions",
            "Last update",
        ]
        == [TEXTS["en"][name] for name in TABS]
    )
    assert content["Headline KPIs"][2][:6] == ("active_customers label", 12_345, "customers", 12_000, 345, None)
    assert content["Headline KPIs"][4][:3] == ("quick_ratio label", None, "ratio")
    assert content["Headline KPIs"][5][1:10] == (
        0.0512,
        "share",
        None,
        None,
        0.0472,
        0.0555,
        11_000,
        "month",
        datetime(2019, 4, 30),
    )
    assert [row[:6] for row in content["Monthly churn"][2:]] == [
        (datetime(2019, 4, 1), "all", "all", 100, 5, 0.05),
        (datetime(2019, 5, 1), "all", "all", 200, 20, 0.1),
        (datetime(2019, 4, 1), "OS", "iOS", 29, 2, pytest.approx(2 / 29)),
    ]
    assert content["Cohorts"][2:] == [
        (datetime(2019, 3, 1), 40, 2, 1, 0.75, 0.25),
        (datetime(2019, 4, 1), 50, 1, 1, 0.4, None),
    ]
    assert [row[:3] for row in content["Countries"][2:]] == [
        ("GB", "United Kingdom", 9),
        ("unknown", None, 3),
        ("FR", "France", 2),
    ]


def test_activity_is_told_by_day_in_its_order_with_the_actives_of_a_day_a_week_and_four(path: Path) -> None:
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    assert read(path)["Activity by day"][1:] == [
        (
            "Day",
            "Active customers",
            "New",
            "Came back",
            "Churned",
            "DAU",
            "WAU",
            "MAU (28 days)",
            "Stickiness",
            "Status",
            "Final on",
        ),
        (datetime(2019, 5, 14), 12_340, 3, 2, 4, None, None, None, None, "final", datetime(2019, 5, 14)),
        (datetime(2019, 5, 15), 12_345, 7, 2, 4, 900, 4_000, 8_000, 0.125, "final", datetime(2019, 5, 15)),
    ]


def test_early_warnings_say_how_many_there_are_in_all(path: Path) -> None:
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    rows = read(path)["Early warnings"]
    assert "2 of 1,234 customers with a probability of at least 50%" in rows[0][0]
    assert [row[:3] for row in rows[2:]] == [("17", 0.93, pytest.approx(0.88)), ("4", 0.61, pytest.approx(0.56))]


def test_definitions_are_there_in_both_languages_whatever_the_sheets_own(path: Path) -> None:
    for language, name in (("en", "Definitions"), ("fr", "Définitions")):
        WorkbookSheet(path).write(tabs(language), at=PUBLISHED_AT)
        assert [row[:5] for row in read(path)[name][2:]] == [
            ("active_customers", "active_customers label", "what it is", "active_customers libellé", "ce que c'est"),
            ("monthly_churn_rate", "monthly_churn_rate label", "what it is", "monthly_churn_rate libellé", "ce que c'est"),
        ]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_columns_that_name_a_row_do_so(language: str) -> None:
    for content in tabs(language):
        named = [row[: content.keys] for row in content.rows]
        assert not content.keys or len({str(key) for key in named}) == len(named), content.name


def test_provisional_rows_and_small_numbers_are_flagged(path: Path) -> None:
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    assert [row[9:] for row in read(path)["Monthly churn"][1:]] == [
        ("Status", "Final on", "n under 30"),
        ("final", datetime(2019, 4, 28), None),
        ("provisional", datetime(2019, 5, 28), None),
        ("final", datetime(2019, 4, 28), "yes"),
    ]


def test_the_last_tab_says_what_the_figures_rest_on(path: Path) -> None:
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    assert dict(read(path)["Last update"][2:]) == {
        "Version": "v0007",
        "As of": datetime(2019, 5, 15),
        "Published at (UTC)": datetime(2019, 5, 17, 4, 12, 30),
        "Source": "demo bank: synthetic data, no real customers",
        "Transactions that count as activity": "COMPLETED transactions, not FEE",
        "Inactivity window (days)": 90,
        "Time zone of the bank's days": "Europe/Paris",
        "Tests passed": 118,
        "Tests with a warning": 2,
        "Tests in all": 120,
    }


def test_every_tab_names_day_window_rule_version_and_demo_data(path: Path) -> None:
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    for name, rows in read(path).items():
        note = rows[0][0]
        for told in (name, "2019-05-15", "90 days", "COMPLETED transactions, not FEE", "synthetic data", "v0007"):
            assert told in note


def test_the_banks_own_files_are_not_called_a_demo() -> None:
    published = Published()
    published.version = dataclasses.replace(VERSION, source="files")
    assert all("source: files" in tab.note and "synthetic" not in tab.note for tab in tabs(published=published))


def test_the_sheet_speaks_french(path: Path) -> None:
    WorkbookSheet(path).write(tabs("fr"), at=PUBLISHED_AT)
    content = read(path)
    assert list(content) == [
        "Indicateurs clés",
        "Attrition mensuelle",
        "Cohortes",
        "Activité par jour",
        "Pays",
        "Alertes précoces",
        "Définitions",
        "Dernière mise à jour",
    ]
    assert content["Indicateurs clés"][2][0] == "active_customers libellé"
    assert content["Pays"][2][1] == "Royaume-Uni"
    assert "données synthétiques" in content["Pays"][0][0]


def test_every_word_is_there_in_every_language() -> None:
    assert set(TEXTS["en"]) == set(TEXTS["fr"])
    assert all(text for texts in TEXTS.values() for text in texts.values())


def test_the_same_version_makes_the_same_file_byte_by_byte(path: Path) -> None:
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    first = path.read_bytes()
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.read("docProps/core.xml").count(b"2019-05-17T04:12:30Z") == 2


def test_numbers_and_dates_have_formats_and_the_header_stays_on_the_screen(path: Path) -> None:
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    workbook = openpyxl.load_workbook(path)
    headline, churn = workbook["Headline KPIs"], workbook["Monthly churn"]
    assert [headline.cell(row, 2).number_format for row in (3, 5, 6)] == ["#,##0", "0.00", "0.0%"]
    assert churn["A3"].number_format == "yyyy-mm-dd"
    assert churn["F3"].number_format == "0.0%"
    assert {sheet.freeze_panes for sheet in workbook.worksheets} == {"B3"}
    assert all(cell.font.bold for cell in churn[2])


@pytest.mark.parametrize("text", ["=1+1", '=HYPERLINK("http://evil")', "+1", "-1", "@SUM(A1)", "#N/A", "TRUE", "12"])
def test_text_is_never_a_formula_a_number_or_an_error(path: Path, text: str) -> None:
    published = Published()
    published.marts["mart_customers_by_country"] = [country(text, 1, name_en=text)]
    WorkbookSheet(path).write(tabs(published=published), at=PUBLISHED_AT)
    written = openpyxl.load_workbook(path)["Countries"]
    assert [(written[place].value, written[place].data_type) for place in ("A3", "B3")] == [(text, "s"), (text, "s")]


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", {0: "0 of 0 customers with", 1: "1 of 1 customer with", 2: "2 of 2 customers with"}),
        ("fr", {0: "0 client sur 0 avec", 1: "1 client sur 1 avec", 2: "2 clients sur 2 avec"}),
    ],
)
def test_one_customer_is_warned_of_in_the_singular(language: str, told: dict[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for number, words in told.items():
        published = Published()
        warned = pa.Table.from_pylist(published.warned[:number], schema=pa.Table.from_pylist(published.warned).schema)
        page = Page(warned, number)
        monkeypatch.setattr(published, "early_warnings", lambda page=page, **_: page)
        tab = next(tab for tab in tabs(language, published) if tab.name == TEXTS[language]["warnings"])
        assert words in tab.note


def test_an_empty_version_still_has_every_tab_and_header(path: Path) -> None:
    published = Published()
    published.marts, published.warned = {name: [] for name in published.marts}, []
    assert WorkbookSheet(path).write(tabs(published=published), at=PUBLISHED_AT).rows == 4 + 2 + 10
    assert "0 of 0 customers" in read(path)["Early warnings"][0][0]
    assert read(path)["Cohorts"][1] == ("Cohort (month of first active day)", "Customers", "Provisional from month")


def test_a_text_that_no_cell_can_hold_is_refused_and_the_old_workbook_stays(path: Path) -> None:
    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    before = path.read_bytes()
    published = Published()
    published.marts["mart_customers_by_country"] = [country("FR", 1, name_en="x" * 32_768)]
    with pytest.raises(DataError, match="Countries has a text of 32,768 characters"):
        WorkbookSheet(path).write(tabs(published=published), at=PUBLISHED_AT)
    assert path.read_bytes() == before


def test_a_workbook_that_lost_rows_on_the_way_is_not_put_in_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "row_counts", lambda _path: (6, 5, 4, 4, 5, 4, 4, 11))
    with pytest.raises(PermanentError, match="not written whole"):
        WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    assert list(path.parent.iterdir()) == []


def test_a_run_that_lost_its_lease_leaves_the_old_workbook(path: Path) -> None:
    def lost() -> None:
        raise InterruptedRunError("lost")

    WorkbookSheet(path).write(tabs(), at=PUBLISHED_AT)
    before = path.read_bytes()
    with pytest.raises(InterruptedRunError):
        WorkbookSheet(path, guard=lost).write(tabs("fr"), at=PUBLISHED_AT)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["neopulse.xlsx"]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\x00b\r\nc", "a\ufffdb\nc"),
        ("", None),
        (float("nan"), None),
        (float("-inf"), None),
        (Decimal("8.95"), 8.95),
        (0.1 + 0.2, 0.3),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5.0, 5),
        (2**53, "9007199254740992"),
        (datetime(2019, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2019, 5, 1, 10)),
        (date(1900, 2, 28), "1900-02-28"),
        (b"x", "b'x'"),
    ],
)
def test_every_kind_of_value_has_one_storable_form(value: Any, stored: Any) -> None:
    assert spreadsheets.storable(value) == stored


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
MOMENTS = st.datetimes(datetime(1900, 3, 1), datetime(2100, 1, 1))
VALUES = st.one_of(st.none(), st.booleans(), TEXT, st.integers(), st.floats(), st.dates(date(1800, 1, 1)), MOMENTS)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_what_is_stored_is_read_back_the_same(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    path = tmp_path_factory.mktemp("cells") / "cells.xlsx"
    workbook = openpyxl.Workbook()
    stored = [spreadsheets.storable(value) for value in values]
    for column, value in enumerate(stored, start=1):
        spreadsheets.put(workbook.worksheets[0], 1, column, value)
    workbook.save(path)
    found = openpyxl.load_workbook(path).worksheets[0]
    assert [value for column, value in enumerate(stored, 1) if not spreadsheets.same(value, found.cell(1, column).value)] == []
