"""A bank that sends nothing but transactions, of the last century: what its pages say of what is not known."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import builds
import pytest
from chain import publish
from histories import History, write_csv
from page_kit import failed, opened, whole, words

from pipeline.sources.schema import RAW_TABLES
from streamlit_app import auth, data

CUSTOMERS = 40
AS_OF = date(1998, 6, 30)


def days(number: int) -> list[date]:
    """Every third customer comes once, the others three times."""
    first = date(1998, 1, 1 + number % 28)
    return [first] if number % 3 == 0 else [first, first.replace(month=3), AS_OF]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    history = History()
    for number in range(CUSTOMERS):
        history.active(number, *days(number))
    raw = write_csv(tmp_path_factory.mktemp("raw"), {"transactions": history.transactions})
    for name in ("users", "devices"):
        (raw / f"{name}.csv").write_text(",".join(RAW_TABLES[name].columns) + "\n", encoding="utf-8")
    home = tmp_path_factory.mktemp("home")
    with builds.building(builds.direct):
        publish(raw, home, inactivity_days=90)
    return home


@pytest.fixture(autouse=True)
def home(bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEOPULSE_HOME", str(bank))
    monkeypatch.setenv("NEOPULSE_RUN_STORE", f"sqlite:///{tmp_path / 'run_store.db'}")
    monkeypatch.setenv("NEOPULSE_BEHIND_LOOPBACK", "true")
    for cached in (data.in_force, auth._in_force):
        cached.cache_clear()


@pytest.mark.parametrize("name", ["overview", "activity", "retention", "churn", "payments", "customers", "definitions"])
def test_every_page_draws(name: str) -> None:
    assert failed(opened(name)) == []


def test_no_transaction_is_doubtful_for_it_and_the_first_page_says_what_is_not_known() -> None:
    said = words(whole("overview", lang="en"))
    assert f"Only transactions are known of the **{CUSTOMERS} customers**" in said
    assert "0.00% are doubtful" in said
    problems = data.data_quality().to_pylist()
    assert [(row["source_table"], row["reason"], row["rows_affected"], row["rows_counted_once"]) for row in problems] == [
        ("users", "no_users", CUSTOMERS, 0)
    ]


def test_nobody_is_said_to_have_made_a_first_transaction_on_the_day_of_an_opening_that_is_not_known() -> None:
    assert data.answer(data.Question("time_to_first_transaction")).empty
    said = words(whole("retention", lang="en"))
    assert "When these customers opened their accounts is not known" in said


def test_without_presence_no_empty_chart_is_drawn_but_a_sentence() -> None:
    page = whole("payments", lang="en")
    said = words(page)
    assert "Of none of these card payments is it known whether the holder was present" in said
    assert "0 largest of 0" not in said
    assert "Card-not-present share" not in said


def test_where_all_are_of_one_tier_churn_is_of_everyone_and_nothing_is_to_compare() -> None:
    page = whole("churn", lang="en")
    groups = {group for table in page.table if "Group" in table.value.columns for group in table.value["Group"]}
    assert groups == {"Everyone"}
    assert not [button for button in page.button if button.label == "Premium against standard"]
    assert whole("churn", lang="en", by="plan_tier").selectbox(key="by").value == "plan_tier"


def test_what_is_not_known_of_anybody_is_neither_a_filter_nor_a_split_unless_a_link_asks_for_it() -> None:
    page = whole("churn", lang="en")
    fields = {box.key for box in page.selectbox}
    assert "signup_cohort" in fields
    assert fields.isdisjoint({"country", "plan", "plan_tier", "os", "age_band"})
    assert page.selectbox(key="by").options == ["No split", "Month of joining"]
    assert whole("overview", lang="en").selectbox(key="changed_by").value == "signup_cohort"
    asked = whole("churn", lang="en", country="unknown")
    assert asked.selectbox(key="country").value == ("unknown",)
    assert whole("overview", lang="en", changed_by="country").selectbox(key="changed_by").value == "country"


def test_a_bank_whose_dates_nobody_can_read_is_told_so_with_one_of_them(tmp_path: Path) -> None:
    history = History()
    for number in range(3):
        history.transaction(number, "12/1/2010 8:26")
    raw = write_csv(tmp_path / "raw", {"transactions": history.transactions})
    for name in ("users", "devices"):
        (raw / f"{name}.csv").write_text(",".join(RAW_TABLES[name].columns) + "\n", encoding="utf-8")
    with builds.building(builds.direct), pytest.raises(AssertionError) as refused:
        publish(raw, tmp_path / "home", inactivity_days=90)
    assert "unreadable_created_date 3 (such as '12/1/2010 8:26'" in str(refused.value)
